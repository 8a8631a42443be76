"""A room's history in memory, as a store keeps it."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.history.record import EMPTY, Base, Span, VersionRecord
from comity.crdt_types.update import EMPTY_UPDATE

from .world import EDITS, GROWING, Edit, World, make

START_MS: Final = 1_700_000_000_000  # when the first record of a log is made, in milliseconds since the Unix epoch


class Chronicle:
    """A room whose every change is recorded, one second after the other; a `HistorySource`.

    Args:
        page: how many records are handed out at a time.
        start: what the room's document holds before its first version.

    Attributes:
        document: the room's document.
        log: the records that are kept.
        states: the document as it was after each record, the empty one first.
        read: the versions of the records that were handed out.
    """

    def __init__(self, page: int = 1000, start: bytes = EMPTY_UPDATE) -> None:
        self.document = StateDocument(update=start)
        self.log: list[VersionRecord] = []
        self.states = [start]
        self.read: list[int] = []
        self._bases = {} if start == EMPTY_UPDATE else {0: start}
        self._page = page
        self._author = ""
        self.document.on_commit(lambda commit: self._record(commit.update))

    def _record(self, update: bytes) -> None:
        version = len(self.states)
        self.log.append(VersionRecord(version, update, self._author, START_MS + version * 1000))
        self.states.append(self.document.update_since())

    def receive(self, update: bytes, author: str = "") -> None:
        """Take an update from an author, as a server does."""
        self._author = author
        self.document.apply(update)

    def keep(self, version: int) -> None:
        """Keep the whole state as of a version."""
        self._bases[version] = self.states[version]

    def retire(self, version: int) -> None:
        """Keep the whole state as of a version, and forget the records that led to it."""
        self.keep(version)
        self._bases = {known: state for known, state in self._bases.items() if known >= version}
        self.log = [record for record in self.log if record.version > version]

    # What a source is asked -------------------------------------------------------------------------------------

    async def span(self) -> Span:
        """Return which versions there are."""
        first = self.log[0].version - 1 if self.log else len(self.states) - 1
        return Span(first, len(self.states) - 1)

    async def version_at(self, at: int) -> int:
        """Return the last version that was taken at a moment or before."""
        return max((record.version for record in self.log if record.at <= at), default=0)

    async def base(self, version: int) -> Base:
        """Return the nearest whole state at a version or before."""
        kept = sorted(self._bases)
        found = bisect_right(kept, version)
        return Base(kept[found - 1], self._bases[kept[found - 1]]) if found else EMPTY

    async def records(self, after: int, until: int) -> Sequence[VersionRecord]:
        """Return a page of records."""
        first = self.log[0].version if self.log else 1
        start = max(after + 1 - first, 0)
        page = self.log[start : min(start + self._page, max(until + 1 - first, 0))]
        self.read += [record.version for record in page]
        return page


class Turn(NamedTuple):
    """One turn of an agent: what it edits in one transaction, and whether it then meets the server."""

    agent: str
    edits: list[Edit]
    syncs: bool


AGENTS: Final = ("ana", "bo", "cy")


def turns() -> st.SearchStrategy[list[Turn]]:
    """Return a strategy of what several agents do."""
    edits = st.lists(st.one_of(EDITS, GROWING), min_size=1, max_size=4)
    return st.lists(st.builds(Turn, st.sampled_from(AGENTS), edits, st.booleans()), max_size=16)


def chronicle_of(script: list[Turn], page: int = 1000, start: bytes = EMPTY_UPDATE) -> Chronicle:
    """Return a room in which agents did something, and all met the server in the end.

    Args:
        script: what they did.
        page: how many records are handed out at a time.
        start: what the room held before.
    """
    chronicle = Chronicle(page, start)
    agents = {name: World(StateDocument(agent=name, update=start)) for name in AGENTS}
    for agent, edits, syncs in script:
        world = agents[agent]
        with world.document.transaction():
            for edit in edits:
                make(world, edit)
        if syncs:
            _meet(chronicle, world.document)
    for world in agents.values():
        _meet(chronicle, world.document)
    return chronicle


def _meet(chronicle: Chronicle, document: StateDocument) -> None:
    chronicle.receive(document.update_since(chronicle.document.state_vector()), document.agent)
    document.apply(chronicle.document.update_since(document.state_vector()))
