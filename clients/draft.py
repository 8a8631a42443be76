"""Drafts: copies of a replica's document on which decisions are tried, which nobody sees."""

from collections.abc import Callable, Iterable, Iterator
from inspect import isawaitable
from itertools import chain
from typing import Final, NamedTuple, TypeVar

import pycrdt

from comity.crdt_types import Commit, State, StateDocument
from comity.crdt_types.document.cells import Cells, Items
from comity.crdt_types.document.clock import HybridClock
from comity.crdt_types.document.entry import Entry
from comity.crdt_types.document.path import child
from comity.crdt_types.document.position import Positions
from comity.crdt_types.document.values import canonical
from comity.crdt_types.errors import StateError, TransactionError
from comity.crdt_types.precondition import Cell, Precondition
from comity.crdt_types.structs import Deletion, deletions_of
from comity.crdt_types.update import EMPTY_UPDATE, read_state_vector

S = TypeVar("S", bound=State)
R = TypeVar("R")

Read = str | tuple[str, str | None]
"""What a decision relies on: a field's path, with all below it, or that and one key of it."""

# Edits of what a cell holds; where they were made, nothing else may have been written meanwhile. What merges anyway,
# what is counted or appended, does not depend on what others wrote.
_OF_CELLS: Final = frozenset({"set", "clear", "put", "delete", "add", "discard", "item", "place", "remove"})
_OF_FIELDS: Final = frozenset({"reset"})


class Proposal(NamedTuple):
    """What an edit of a draft came to: the update, and what it relies on."""

    update: bytes
    precondition: Precondition


class Session(NamedTuple):
    """Who wrote a draft, for another one to go on with: each client id stays in the document for good.

    Attributes:
        client_id: the Yjs client id.
        clock: how many of its Yjs clocks are in the document, so that none is given out twice.
        stamps: the hybrid clock.
        positions: makes its positions in lists.
    """

    client_id: int
    clock: int
    stamps: HybridClock
    positions: Positions


class Draft:
    """A copy of a document.

    Args:
        source: the document, which the copy follows when it is told to.
        session: of a draft whose last proposal was refused for sure; a new one if None, or if the document lacks what
            it wrote before.

    Attributes:
        is_sound: whether nothing was written to it but what was proposed and accepted.
    """

    def __init__(self, source: StateDocument, session: Session | None = None) -> None:
        self.is_sound = True
        self._source = source
        self._document = _copy(source, session)
        self._clock = 0  # of its own, before what it proposed last
        self._document.limits = source.limits
        self._states: dict[type[State], State] = {}
        self._commits: list[Commit] | None = None  # while an edit is under way
        self._is_behind = False
        self._stops = [self._document.on_commit(self._committed), source.on_commit(self._fall_behind)]

    def close(self) -> None:
        """Follow nothing any more."""
        for stop in self._stops:
            stop()
        self._document.close()

    @property
    def session(self) -> Session:
        """Its session as of before what it proposed last."""
        document = self._document
        return Session(document.client_id, self._clock, document.clock, document.positions)

    def catch_up(self) -> None:
        """Take in what came to the source."""
        if not self._is_behind:
            return
        self._is_behind = False
        self._document.limits = self._source.limits
        update = self._source.update_since(self._document.state_vector())
        if update != EMPTY_UPDATE:
            self._document.apply(update)

    def state(self, schema: type[S]) -> S:
        """Return the copy as typed state."""
        state = self._states.get(schema)
        if not isinstance(state, schema):
            state = self._states[schema] = schema(self._document)
        return state

    def propose(self, state: S, edit: Callable[[S], R], reads: Iterable[Read]) -> tuple[R, Proposal | None]:
        """Make an edit, and return what it returned, and what it came to; None if it wrote nothing.

        Raises: what the edit raises; nothing is written then. TransactionError, if it writes to the source.
        """
        document = self._document
        seen, cells = document.state_vector(), {cell for read in reads for cell in _cells(read)}
        live = document.ids(_live(document, cells))
        self._clock = _clock_of(seen, document.client_id)
        commits: list[Commit] = []
        self._commits = commits
        stop = self._source.add_guard(_refuse)
        try:
            with document.transaction():
                result = _called(edit, state)
        finally:
            stop()
            self._commits = None
        if not commits:
            return result, None
        update = commits[0].update if len(commits) == 1 else pycrdt.merge_updates(*[each.update for each in commits])
        cells.update(_written(commits))
        gone = [*_ranges(live), *deletions_of(update)]
        return result, Proposal(update, Precondition(seen, frozenset(cells), tuple(gone)))

    def _committed(self, commit: Commit) -> None:
        if self._commits is not None:
            self._commits.append(commit)
        elif commit.local:  # by a policy of the schema, when something came: the replica does the same by itself
            self.is_sound = False

    def _fall_behind(self, _commit: Commit) -> None:
        self._is_behind = True


def _copy(source: StateDocument, session: Session | None) -> StateDocument:
    update = source.update_since()
    if session is None or _clock_of(source.state_vector(), session.client_id) != session.clock:
        return StateDocument(agent=source.agent, update=update)
    copy = StateDocument(agent=source.agent, update=update, client_id=session.client_id, clock=session.stamps)
    copy.positions = session.positions
    copy.lanes.find_header()
    return copy


def _clock_of(state_vector: bytes, client: int) -> int:
    return read_state_vector(state_vector).get(client, 0)


def _refuse(_changes: object) -> None:
    """Refuse what a decision writes past its draft: nobody would decide on it."""
    raise TransactionError(
        "a decision wrote to the live state", subject="decide()", remedy="write to the state that the function is given"
    )


def _called(edit: Callable[[S], R], state: S) -> R:
    result = edit(state)
    if isawaitable(result):
        getattr(result, "close", lambda: None)()
        raise StateError(
            "a decision that waits", subject=repr(edit), remedy="give a plain function; wait before or after it"
        )
    return result


def _cells(read: Read) -> Iterator[Cell]:
    if isinstance(read, str):
        yield Cell(read)
        return
    field, key = read
    yield Cell(field, key)
    if key is not None:  # of a map whose values are rows, the mark that the row is there, and its fields
        yield Cell(field, canonical(key))
        yield Cell(child(field, key))


def _live(document: StateDocument, cells: Iterable[Cell]) -> Iterator[Entry]:
    """Yield what is live in cells."""
    index = document.index
    for field, key in cells:
        for found in index.at(field):
            if key is None:
                yield from _entries(found)
            elif isinstance(found, Cells):
                yield from found.get(key, ())
        if key is None:
            for found in chain.from_iterable(index.below(field).values()):
                yield from _entries(found)


def _entries(found: Cells | Items) -> Iterable[Entry]:
    return found.entries if isinstance(found, Items) else chain.from_iterable(found.values())


def _written(commits: Iterable[Commit]) -> Iterator[Cell]:
    for commit in commits:
        for edit in commit.edits:
            if edit.operation in _OF_CELLS:
                yield Cell(edit.field, edit.key)
            elif edit.operation in _OF_FIELDS:
                yield Cell(edit.field)


def _ranges(ids: Iterable[tuple[int, int]]) -> Iterator[Deletion]:
    """Return Yjs ids as ranges."""
    start: Deletion | None = None
    for client, clock in sorted(set(ids)):
        if start is not None and start.client == client and start.clock + start.length == clock:
            start = start._replace(length=start.length + 1)
            continue
        if start is not None:
            yield start
        start = Deletion(client, clock, 1)
    if start is not None:
        yield start
