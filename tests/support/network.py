"""A simulated network of replicas: partitions, loss of order, duplicates, merges and restarts, beside a plain model."""

from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from pycrdt import merge_updates

from comity.crdt_types import ABSENT, Commit, Rival, State, StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.document.values import canonical
from comity.crdt_types.update import read_state_vector

from .draft import Draft
from .edits import Edit, Everything, perform, settled
from .invariants import check, check_text
from .model import Model, Rivals

__all__ = ["Everything", "FailedError", "Network", "Site", "disputes"]


# How far the sites' clocks are off, in milliseconds: two are right, one is fast, one slow.
SKEWS: Final = (0, 0, 120_000, -60_000)


class FailedError(Exception):
    """Raised in a transaction, on purpose."""


def disputes(state: State) -> dict[tuple[str, str | None], list[Rival]]:
    """Return the live rivals of every cell with two or more.

    Every replica knows these. What a cell held before, and whether it was deleted in the meantime, only those know who
    have seen it.
    """
    found = {(c.field, c.key): [rival for rival in c.rivals if not rival.deleted] for c in state.conflicts()}
    return {place: rivals for place, rivals in found.items() if len(rivals) > 1}


def without_texts(state: State) -> dict[str, Any]:
    """Return what a state reads, with None in place of the texts."""
    return _without_texts(state, state.to_dict())


def _without_texts(state: State, values: dict[str, Any]) -> dict[str, Any]:
    return {name: _without(getattr(state, name), value) for name, value in values.items()}


def _without(field: Any, value: Any) -> Any:
    if isinstance(field, State):
        return _without_texts(field, value)
    if isinstance(value, dict) and hasattr(field, "field_at"):
        return {key: _without_texts(field[key], row) for key, row in value.items()}
    return None if field.kind == "text" else value


class Site:
    """One replica, which notes in the model what its edits mean.

    Attributes:
        outbox: the updates that it made and nobody was sent.
        torn: whether it was opened from bytes that lack updates. These say nothing of it, but deletions of such an
            update may be in them without what it wrote.
        told: the changes that it was told of.
    """

    def __init__(self, network: "Network", number: int, update: bytes | None = None) -> None:
        self.network = network
        self.number = number
        self.torn = False
        self.outbox: list[bytes] = []
        self.document = StateDocument(
            agent=f"agent-{number}",
            update=update,
            client_id=network.fresh_client(),
            clock=HybridClock(lambda: self.wall),
        )
        self.state = Everything(self.document)
        self.told: list[Any] = []
        self.document.on_commit(self._committed)
        self.document.on_change(self.told.append)
        self._draft: Draft | None = None

    def _committed(self, commit: Commit) -> None:
        if commit.local:
            self.outbox.append(commit.update)

    @property
    def wall(self) -> int:
        """The wall clock as it is here, in milliseconds since the Unix epoch."""
        return self.network.now + SKEWS[self.number % len(SKEWS)]

    @property
    def lacks_updates(self) -> bool:
        """Whether its state vector does not tell what it reads."""
        return self.torn or self.document.lacks_updates

    @property
    def seen(self) -> dict[int, int]:
        """Which transactions the site has seen."""
        return read_state_vector(self.document.state_vector())

    def apply(self, update: bytes) -> None:
        """Take in what others made."""
        self.document.apply(update)

    def close(self) -> bytes:
        """End the session, and return the bytes that it leaves."""
        return self.document.update_since()

    @contextmanager
    def editing(self) -> Generator[None]:
        """Run edits in one transaction and note them in the model once they are in."""
        self._draft = draft = Draft(self.network.model, self.seen, self.document.client_id)
        sent = len(self.outbox)
        try:
            with self.document.transaction():
                yield
        finally:
            self._draft = None
        self.network.note(draft, self.outbox[sent:])

    def edit(self, edit: Edit) -> None:
        """Make an edit, in the transaction under way or one of its own."""
        if self._draft is None:
            with self.editing():
                self.edit(edit)
            return
        if made := settled(edit, self._draft, self._length_of, self.network.label()):
            if made.operation == "write":
                self.network.texts.add(made.path)
            self._draft.do(made.operation, made.path, *made.arguments)
            self._make(made)

    def _make(self, edit: Edit) -> None:
        perform(self.state, edit)

    def _length_of(self, path: str) -> int:
        text: Any = self.state.field_at(path)
        return len(text)

    def check(self) -> None:
        """Assert the invariants of the replica, and that it reads what the model says."""
        check(self.document)
        check_text(self.document, "notes")
        if self.network.exact and not self.lacks_updates:
            self._check_against_model()

    def _check_against_model(self) -> None:
        model = self.network.model
        view = model.view(self.seen)
        assert canonical(without_texts(self.state)) == canonical(view.read(Everything))
        found = disputes(self.state)
        rivals: Rivals = {
            place: [(canonical(rival.value), rival.client, rival.stamp) for rival in rivals]
            for place, rivals in found.items()
        }
        assert rivals == view.rivals()
        for conflict in self.state.conflicts():
            if conflict.kind != "deleted_modified" and conflict.ancestor is not ABSENT:
                made = [(rival.client, rival.stamp) for rival in conflict.rivals]
                assert canonical(conflict.ancestor) in model.ancestors(conflict.field, conflict.key, made)


class Network:
    """Some sites and the updates that are under way between them.

    Attributes:
        texts: the paths of the texts that were edited.

    Args:
        size: how many sites.
        exact: whether a site first gets what it lacks when it edits. The model judges by state vectors what a site
            has seen, and these do not tell what Yjs took in beyond a gap.
    """

    def __init__(self, size: int, *, exact: bool = True) -> None:
        self.exact = exact
        self.model = Model()
        self._archive = StateDocument()
        self.texts: set[str] = set()
        self._labels = 0
        self._clients = Random(size)  # nothing may depend on chance, or no failure could be told again
        self.sites = [self.open_site(number) for number in range(size)]
        self.inboxes: list[list[bytes]] = [[] for _ in range(size)]

    def open_site(self, number: int, update: bytes | None = None) -> Site:
        """Return a site as a new session."""
        return Site(self, number, update)

    @property
    def now(self) -> int:
        """The wall clock, in milliseconds since the Unix epoch; it moves on with every few edits."""
        return EPOCH_MS + 10**9 + self._labels // 3

    def fresh_client(self) -> int:
        """Return a client id that no session had before."""
        return self._clients.getrandbits(53)

    def label(self) -> str:
        """Return a text that was not used before."""
        self._labels += 1
        return f"item {self._labels}"

    def note(self, draft: Draft, updates: list[bytes]) -> None:
        """Take note of a transaction that a site made."""
        if not self.exact:
            return
        for update in updates:
            self._archive.apply(update)
        draft.note(self._archive)

    def editor(self, number: int) -> Site:
        """Return a site that is to edit."""
        site = self.sites[number]
        if self.exact and site.lacks_updates:
            self._bring_all(site)
        return site

    def _bring_all(self, site: Site) -> None:
        for other in self.sites:
            if site is not other:
                site.apply(other.document.update_since(site.document.state_vector()))
        site.torn = False

    def post(self) -> None:
        """Put what the sites made into the inboxes of all others."""
        for number, site in enumerate(self.sites):
            for other, inbox in enumerate(self.inboxes):
                if other != number:
                    inbox.extend(site.outbox)
            site.outbox.clear()

    def deliver(self, number: int, choices: list[int], *, keep: bool, merge: bool) -> None:
        """Deliver some of the updates under way to a site, in any order.

        Args:
            number: the site.
            choices: which ones, taken modulo what there is.
            keep: whether they stay under way, so that they will arrive again.
            merge: whether they arrive as one update.
        """
        inbox = self.inboxes[number]
        taken: list[bytes] = []
        for choice in choices:
            if inbox:
                at = choice % len(inbox)
                taken.append(inbox[at] if keep else inbox.pop(at))
        if merge and len(taken) > 1:
            taken = [merge_updates(*taken)]
        for update in taken:
            self.sites[number].apply(update)

    def restart(self, number: int) -> None:
        """Let a site die and open again from its bytes, as a new session."""
        self.post()
        old = self.sites[number]
        self.sites[number] = self.open_site(number, old.close())
        self.sites[number].torn = old.lacks_updates

    def settle(self) -> None:
        """Bring every site what it lacks."""
        for _ in range(2):
            for site in self.sites:
                self._bring_all(site)
        self.post()
        for inbox in self.inboxes:
            inbox.clear()

    def close(self) -> None:
        """End every session."""
        for site in self.sites:
            site.close()

    def check(self) -> None:
        """Assert that all sites agree with each other and with the model."""
        first = self.sites[0]
        for site in self.sites:
            site.check()
            assert site.state.to_dict() == first.state.to_dict()
            assert disputes(site.state) == disputes(first.state)
            assert not site.lacks_updates
