"""Preconditions: what a decision relies on, and whether what came in the meantime breaks it.

Whoever decides names cells and what was live in them. An update that came meanwhile breaks that if it inserts a typed
entry of such a cell, or deletes one of the entries that were live. Both follow from the update alone: no index of the
document is needed, and the check is exact, since entries are never changed.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple, Self

from .document.entry import CELL, ELEMENT, HEADER, LISTED, OPAQUE, PLACE, Entry, read_entry
from .errors import PreconditionError, ProtocolError
from .structs import VALUES, Deletion, deletions_of, read_content, structs_of

Key = str | bytes | None

# Kinds of entries that a key of text or bytes finds; any other is watched with its whole field.
_KEYED: Final = frozenset({CELL, LISTED, PLACE, ELEMENT})
_UNREAD: Final = frozenset({HEADER, OPAQUE})


class Cell(NamedTuple):
    """What is watched: one cell of a field, or all of a field and of what lies below it.

    Attributes:
        field: the field's path.
        key: the key of a map or the id of a list's item, as text; a set's element in its canonical bytes; None for the
            whole field.
    """

    field: str
    key: Key = None


class Precondition(NamedTuple):
    """What a decision relies on.

    Attributes:
        state_vector: what its maker had seen.
        cells: where nothing may have come.
        live: the Yjs ids of which none may have been deleted.
        not_before: the moment before which it may not be made, in ms since the Unix epoch; None for any.
    """

    state_vector: bytes
    cells: frozenset[Cell]
    live: tuple[Deletion, ...]
    not_before: int | None = None

    def to_params(self) -> dict[str, Any]:
        """Return it as the parameters of a call."""
        cells, live = list(map(list, self.cells)), list(map(list, self.live))
        return {"state_vector": self.state_vector, "cells": cells, "ids": live, "not_before": self.not_before}

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        """Return what came as the parameters of a call. Raises ProtocolError, if they are malformed."""
        cells, live = frozenset(map(_cell, params["cells"])), tuple(map(_deletion, params["ids"]))
        return cls(params["state_vector"], cells, live, params["not_before"])

    def check(self, since: bytes, now: int) -> None:
        """Check it.

        Args:
            since: what a document of that state vector lacks, as a Yjs update with all that was ever deleted.
            now: the time, in ms since the Unix epoch.

        Raises: PreconditionError, if it does not hold; ProtocolError, if that is no update.
        """
        if self.not_before is not None and now < self.not_before:
            raise PreconditionError(
                "its time has not come",
                subject="decision",
                remedy="come back then; nothing was written",
                retry_after=(self.not_before - now) / 1000,
            )
        for entry in entries_of(since):
            if self._watches(entry):
                raise changed(entry.field)
        if self.live and _overlap(self.live, deletions_of(since)):
            raise changed()

    def _watches(self, entry: Entry) -> bool:
        cells, path = self.cells, entry.field
        if entry.kind in _KEYED and Cell(path, entry.key) in cells:
            return True
        while Cell(path) not in cells:
            path, found, _ = path.rpartition("/")
            if not found:
                return False
        return True


def changed(field: str = "") -> PreconditionError:
    """Return the error of a decision whose ground has changed."""
    return PreconditionError(
        "what it relied on has changed",
        subject=f"decision on {field[:60]!r}" if field else "decision",
        remedy="look at what is there now, and decide again; nothing was written",
    )


def entries_of(update: bytes) -> Iterator[Entry]:
    """Yield the typed entries that an update inserts, but for those that name authors. Raises ProtocolError."""
    for struct in structs_of(update):
        if struct.kind in VALUES:
            found = _Entries(struct.client)
            read_content(update, struct.content, struct.kind, found)
            yield from found.entries


class _Entries:
    """Takes the entries out of one struct."""

    __slots__ = ("_client", "entries")

    def __init__(self, client: int) -> None:
        self.entries: list[Entry] = []
        self._client = client

    def look(self, data: bytes, start: int, end: int, index: int) -> None:
        """Take a binary value."""
        entry = read_entry(data[start:end], self._client)
        if entry.kind not in _UNREAD:
            self.entries.append(entry)


def _overlap(ranges: Iterable[Deletion], others: Collection[Deletion]) -> bool:
    """Tell whether any clock lies in a range of both."""
    clients = {each.client for each in ranges}
    by_client: dict[int, list[tuple[int, int]]] = {client: [] for client in clients}
    for client, clock, length in others:
        if client in clients:
            by_client[client].append((clock, clock + length))
    for spans in by_client.values():
        spans.sort()
    return any(_meets(by_client[client], clock, clock + length) for client, clock, length in ranges)


def _meets(spans: list[tuple[int, int]], begin: int, end: int) -> bool:
    """Tell whether one of some ranges, in order and apart from each other, has a clock in common with another one."""
    at = bisect_left(spans, (end, 0)) - 1  # the last that begins before the end
    return at >= 0 and spans[at][1] > begin


def _cell(raw: Any) -> Cell:
    if isinstance(raw, list) and len(raw) == 2 and isinstance(raw[0], str) and isinstance(raw[1], str | bytes | None):
        return Cell(*raw)
    raise ProtocolError("a cell that is no pair of a field and a key", subject="decide")


def _deletion(raw: Any) -> Deletion:
    if isinstance(raw, list) and len(raw) == 3 and all(type(n) is int and n >= 0 for n in raw) and raw[2]:
        return Deletion(*raw)
    raise ProtocolError("ids that are no client, clock and length", subject="decide")
