"""Writing: an edit of a room as it was read, on its way to the server, and the version that it becomes."""

import pycrdt

from comity.crdt_types.history.record import Span, VersionRecord, merged
from comity.crdt_types.update import EMPTY_UPDATE, holds_no_inserts

from .asked import Asked
from .source import RoomSource


class Writer:
    """Has edits stored, and finds out which versions they are.

    Args:
        line: who is asked.
        source: the room's history, over that line.
    """

    def __init__(self, line: Asked, source: RoomSource) -> None:
        self._line = line
        self._source = source

    async def write(self, update: bytes, span: Span, before: bytes) -> int | None:
        """Have an edit stored, and return the version that it is, None if there is none; raises as `Line.hand_in`.

        Args:
            update: the edit.
            span: the versions that there were.
            before: the document as of the last of them, as a Yjs update.
        """
        if update == EMPTY_UPDATE:
            return None
        await self._line.hand_in(update)
        last = (await self._source.span()).last
        if last == span.last + 1:
            return last
        arrival = Arrival(update, before, self._line.principal)
        async for page in self._source.pages(span.last, last):
            for record in page:
                if arrival.is_in(record):
                    return record.version
        return None  # somebody else wrote the same, as when two merge a branch at once


class Arrival:
    """Tells which version an update became.

    Args:
        update: the update.
        before: the document before it, as a Yjs update.
        sender: the name under which the server notes it.
    """

    def __init__(self, update: bytes, before: bytes, sender: str) -> None:
        self._update = update
        self._state = before
        self._sender = sender

    def is_in(self, record: VersionRecord) -> bool:
        """Tell whether all of the update is there with a version, after all those before it were asked about."""
        self._state = merged([self._state, record.update])
        rest = pycrdt.get_update(self._update, pycrdt.get_state(self._state))
        return record.author == self._sender and holds_no_inserts(rest)
