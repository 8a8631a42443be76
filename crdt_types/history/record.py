"""Records: a room's log as its history reads it, and where that comes from."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import pycrdt

from ..errors import InvalidValueError, ProtocolError
from ..update import EMPTY_UPDATE

# Updates merged at once: to merge very many takes a time that grows with the square of their number.
_GROUP: Final = 1000


class VersionRecord(NamedTuple):
    """One version: what it changed, and who made it.

    Attributes:
        version: its number; a room's first is 1, and none is left out.
        update: the Yjs update that the document emitted.
        author: the agent that the server took it from, empty if that is not known.
        at: when the server took it, in milliseconds since the Unix epoch. Versions are not ordered by it.
    """

    version: int
    update: bytes
    author: str
    at: int

    @property
    def time(self) -> datetime:
        """When the server took it, in UTC."""
        return datetime.fromtimestamp(self.at / 1000, UTC)


class Base(NamedTuple):
    """A whole document as of a version, as a Yjs update."""

    version: int
    state: bytes


EMPTY: Final = Base(0, EMPTY_UPDATE)
"""The document before its first version."""


class Span(NamedTuple):
    """The versions that a room still has.

    Attributes:
        first: the oldest version whose state can be had: that of the oldest base, or 0 where no record was retired.
        last: the newest version; 0 of a room that was never written to.
    """

    first: int
    last: int


class HistorySource(Protocol):
    """Where a room's history comes from: the server's store, or the server itself over the wire."""

    async def span(self) -> Span:
        """Return which versions there are."""
        ...

    async def version_at(self, at: int) -> int:
        """Return the last version that was taken at a moment or before; 0 if none was.

        Args:
            at: milliseconds since the Unix epoch.
        """
        ...

    async def base(self, version: int) -> Base:
        """Return the nearest whole state at a version or before; `EMPTY` if there is none."""
        ...

    async def records(self, after: int, until: int) -> Sequence[VersionRecord]:
        """Return the records after one version, up to another, in order: at least one, and as many as suits a page.

        None are returned where there are none.
        """
        ...


def milliseconds(moment: datetime) -> int:
    """Return a moment in milliseconds since the Unix epoch, as versions have it; raises InvalidValueError."""
    if moment.tzinfo is None:
        raise InvalidValueError(
            f"{moment} without a time zone", subject="history", remedy="say which, such as datetime.UTC"
        )
    return math.floor(moment.timestamp() * 1000)


def merged(updates: Sequence[bytes]) -> bytes:
    """Return updates in their order as one, at least one; raises ProtocolError if one of them is not an update."""
    try:
        while len(updates) > 1:
            updates = [_merged(updates[at : at + _GROUP]) for at in range(0, len(updates), _GROUP)]
    except ValueError as error:
        raise ProtocolError(
            f"a record that is not a Yjs update: {error}", subject="history", remedy="verify what it was read from"
        ) from None
    return updates[0]


def _merged(updates: Sequence[bytes]) -> bytes:
    return updates[0] if len(updates) == 1 else pycrdt.merge_updates(*updates)
