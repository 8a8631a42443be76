"""A simulated network of replicas: partitions, loss of order, duplicates, merges and restarts, beside a plain model.

The model knows nothing of lanes or Yjs. It holds every write with the moment it was made, and of every write which
later writes and deletions had seen it; what nobody saw when superseding lives.
"""

from collections import Counter as Tally
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pycrdt import merge_updates

from comity.crdt_types import Commit, Counter, Log, Map, ORSet, Register, State, StateDocument, Text
from comity.crdt_types.clock import HybridClock
from comity.crdt_types.values import canonical
from comity.crdt_types.varint import read_uint

from .invariants import check, check_text


class Everything(State):
    """One field of each kind, and a second counter."""

    goal: Register[Any]
    steps: Map[Any]
    tags: ORSet[Any]
    spent: Counter
    errors: Counter
    journal: Log[str]
    notes: Text


class Write(NamedTuple):
    """One value that came into a cell: by whom, and the clock of the Yjs client after it."""

    cell: tuple[str, Any]
    value: Any
    client: int
    clock: int
    number: int


class FailedError(Exception):
    """Raised in a transaction, on purpose."""


def clocks(state_vector: bytes) -> dict[int, int]:
    """Decode a Yjs state vector: client id to the number of its operations that were seen."""
    count, at = read_uint(state_vector, 0)
    found: dict[int, int] = {}
    for _ in range(count):
        client, at = read_uint(state_vector, at)
        found[client], at = read_uint(state_vector, at)
    return found


class Model:
    """What the replicas must come to."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.superseded: set[int] = set()
        self.counts = Tally[str]()

    def living(self, cell: tuple[str, Any]) -> list[Write]:
        """Return the writes of a cell that nothing superseded."""
        return [write for write in self.writes if write.cell == cell and write.number not in self.superseded]

    def cells(self) -> set[tuple[str, Any]]:
        """Return every cell that was ever written."""
        return {write.cell for write in self.writes}


class _Intent(NamedTuple):
    cell: tuple[str, Any]
    value: Any
    deletes: bool
    superseded: frozenset[int]


class Site:
    """One replica, which notes in the model what its edits mean."""

    def __init__(self, model: Model, name: str, update: bytes | None = None, clock: HybridClock | None = None) -> None:
        self.model = model
        self.name = name
        self.outbox: list[bytes] = []
        self.document = StateDocument(agent=name, update=update, clock=clock)
        self.state = Everything(self.document)
        self.document.on_commit(self._committed)
        self.told: list[Any] = []
        self.document.on_change(self.told.append)
        self._intents: list[_Intent] = []
        self._counts = Tally[str]()
        self._depth = 0

    def _committed(self, commit: Commit) -> None:
        if commit.local:
            self.outbox.append(commit.update)

    @contextmanager
    def editing(self) -> Generator[None]:
        """Run edits in one transaction and note them in the model once they are in."""
        with self.document.transaction():
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if not self._depth:
                    self._intents.clear()
                    self._counts.clear()
                raise
            self._depth -= 1
        if not self._depth:
            self._note()

    def _note(self) -> None:
        client = self.document.client_id
        clock = clocks(self.document.state_vector()).get(client, 0)
        mine: dict[tuple[str, Any], int] = {}  # the last write of a cell in this transaction
        for intent in self._intents:
            if intent.cell in mine:
                self.model.superseded.add(mine.pop(intent.cell))
            self.model.superseded |= intent.superseded
            if not intent.deletes:
                number = len(self.model.writes)
                mine[intent.cell] = number
                self.model.writes.append(Write(intent.cell, intent.value, client, clock, number))
        self.model.counts.update(self._counts)
        self._intents.clear()
        self._counts.clear()

    def _seen(self, cell: tuple[str, Any]) -> frozenset[int]:
        seen = clocks(self.document.state_vector())
        living = self.model.living(cell)
        return frozenset(write.number for write in living if write.clock <= seen.get(write.client, 0))

    def _intend(self, cell: tuple[str, Any], value: Any, *, deletes: bool = False) -> None:
        superseded = frozenset[int]() if cell[0] == "journal" and not deletes else self._seen(cell)
        self._intents.append(_Intent(cell, value, deletes, superseded))

    # Edits, each of which may be part of a transaction under way.

    def set_goal(self, value: Any) -> None:
        """Write the register."""
        with self.editing():
            self._intend(("goal", None), value)
            self.state.goal.set(value)

    def clear_goal(self) -> None:
        """Delete what the register holds."""
        with self.editing():
            self._intend(("goal", None), None, deletes=True)
            self.state.goal.clear()

    def put_step(self, key: str, value: Any) -> None:
        """Write a map cell."""
        with self.editing():
            self._intend(("steps", key), value)
            self.state.steps[key] = value

    def drop_step(self, key: str) -> None:
        """Delete a map cell if it is there."""
        with self.editing():
            self._intend(("steps", key), None, deletes=True)
            self.state.steps.pop(key, None)

    def tag(self, element: Any) -> None:
        """Add a set element."""
        with self.editing():
            self._intend(("tags", repr(element)), element)
            self.state.tags.add(element)

    def untag(self, element: Any) -> None:
        """Remove a set element if it is there."""
        with self.editing():
            self._intend(("tags", repr(element)), element, deletes=True)
            self.state.tags.discard(element)

    def count(self, field: str, amount: int) -> None:
        """Add to a counter."""
        with self.editing():
            self._counts[field] += amount
            counter: Counter = getattr(self.state, field)
            counter.add(amount)

    def log(self, item: str) -> None:
        """Append to the log an item that nobody else appends."""
        with self.editing():
            self._intend(("journal", item), item)
            self.state.journal.append(item)

    def prune(self, keep: int) -> None:
        """Delete the oldest items of the log."""
        with self.editing():
            gone = self.state.journal[: max(len(self.state.journal) - keep, 0)]
            for item in gone:
                self._intend(("journal", item), item, deletes=True)
            self.state.journal.prune(keep)

    def write_text(self, at: int, gone: int, come: str) -> None:
        """Replace some characters of the text; positions beyond its end mean its end."""
        at = min(at, len(self.state.notes))
        gone = min(gone, len(self.state.notes) - at)
        with self.editing():
            self.state.notes.replace(at, gone, come)

    def check(self) -> None:
        """Assert the invariants of the replica."""
        check(self.document)
        check_text(self.document, "notes")


class Network:
    """Some sites and the updates that are under way between them.

    Args:
        size: how many sites.
        exact: whether a site first gets what it lacks when it edits. The model judges by state vectors what a site
            has seen, and these do not tell what Yjs took in beyond a gap.
    """

    def __init__(self, size: int, *, exact: bool = True) -> None:
        self.exact = exact
        self.model = Model()
        self.sites = [Site(self.model, f"agent-{number}") for number in range(size)]
        self.inboxes: list[list[bytes]] = [[] for _ in range(size)]

    def editor(self, number: int) -> Site:
        """Return a site that is to edit."""
        site = self.sites[number]
        if self.exact and site.document.lacks_updates:
            self._bring_all(site)
        return site

    def _bring_all(self, site: Site) -> None:
        for other in self.sites:
            if site is not other:
                site.document.apply(other.document.update_since(site.document.state_vector()))

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
            self.sites[number].document.apply(update)

    def restart(self, number: int) -> None:
        """Let a site die and open again from its bytes, as a new session."""
        self.post()
        old = self.sites[number]
        self.sites[number] = Site(self.model, old.name, update=old.document.update_since())

    def settle(self) -> None:
        """Bring every site what it lacks."""
        for _ in range(2):
            for site in self.sites:
                self._bring_all(site)
        self.post()
        for inbox in self.inboxes:
            inbox.clear()

    def check(self) -> None:
        """Assert that all sites agree with each other and with the model."""
        first = self.sites[0]
        for site in self.sites:
            site.check()
            assert site.state.to_dict() == first.state.to_dict()
            assert site.state.conflicts() == first.state.conflicts()
            assert not site.document.lacks_updates
            if self.exact:
                self._check_against_model(site.state)

    def _check_against_model(self, state: Everything) -> None:
        model = self.model
        rivals = {(c.field, c.key): [(r.value, r.client) for r in c.rivals] for c in state.conflicts()}
        living = {cell: model.living(cell) for cell in model.cells()}
        for cell, writes in living.items():
            if cell[0] in ("goal", "steps"):
                written = [(canonical(write.value), write.client) for write in writes]
                values = {value for value, _client in written}
                found = [(canonical(value), client) for value, client in rivals.pop(cell, [])]
                assert sorted(value for value, _client in found) == (sorted(values) if len(values) > 1 else [])
                assert set(found) <= set(written)
        assert not rivals
        steps = {key for (field, key), writes in living.items() if field == "steps" and writes}
        assert set(state.steps) == steps
        for key in steps:
            assert state.steps[key] in [write.value for write in living["steps", key]]
        goals = [write.value for write in living.get(("goal", None), [])]
        assert state.goal.value in goals if goals else not state.goal.is_set
        tags = [element for (field, element), writes in living.items() if field == "tags" and writes]
        assert sorted(map(repr, state.tags)) == sorted(tags)
        assert state.spent.value == model.counts["spent"]
        assert state.errors.value == model.counts["errors"]
        self._check_journal(state, [write for write in model.writes if write.cell[0] == "journal"])

    def _check_journal(self, state: Everything, appended: list[Write]) -> None:
        kept = [write for write in appended if write.number not in self.model.superseded]
        assert sorted(state.journal) == sorted(write.value for write in kept)
        for client in {write.client for write in kept}:
            own = [write.value for write in kept if write.client == client]
            assert [item for item in state.journal if item in own] == own
