"""What a store is: its records, its errors, and the protocol that every store keeps.

::

    StoreError
    |- CorruptRecordError      what was read is not what was written
    |- NewerDatabaseError      the database has a format that this version does not know
    |- StoreFullError          no space is left
    |- StoreInUseError         another server holds the database
    |- StoreUnwritableError    the place cannot be created or written, or is no database of ours
    `- SequenceError           an update that does not follow the last one of its room
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

# A page of history: enough that paging costs nothing, little enough to hold in memory whatever the updates'
# size.
RECORDS_LIMIT: Final = 1000


class StoreError(Exception):
    """Any failure of a store.

    Args:
        what: what happened, one clause.
        subject: the thing it happened to: a file, a room.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, subject: str = "", remedy: str = "") -> None:
        self.what = what
        self.subject = subject
        self.remedy = remedy
        head = f"{subject}: {what}" if subject else what
        super().__init__(f"{head}; {remedy}" if remedy else head)


class CorruptRecordError(StoreError):
    """What was read is not what was written: a checksum that does not fit, or a gap in the log.

    Args:
        what: what was found.
        room: the room's name.
        seq: the sequence number of the damaged or missing record; 0 when the damage is not that of one
        record.
    """

    def __init__(self, what: str, *, room: str, seq: int = 0) -> None:
        self.room = room
        self.seq = seq
        subject = f"room {room!r}, record {seq}" if seq else f"room {room!r}"
        super().__init__(what, subject=subject, remedy="restore this room from a backup")


class NewerDatabaseError(StoreError):
    """The database was written by a newer version; nothing in it was changed."""


class StoreFullError(StoreError):
    """The disk is full; what was being written was not written at all."""


class StoreInUseError(StoreError):
    """Another server, or another process that is writing, holds the database."""


class StoreUnwritableError(StoreError):
    """The directory or file cannot be created or written, or the file is not a database of ours."""


class SequenceError(StoreError):
    """An update or snapshot that does not fit its log: two writers, or a room that was never created."""


class Append(NamedTuple):
    """One update to be stored. ``at`` is in ms since the Unix epoch and never used for ordering."""

    room: str
    seq: int
    update: bytes
    author: str
    at: int


class Record(NamedTuple):
    """One update as it was stored."""

    seq: int
    update: bytes
    author: str
    at: int


class RoomRow(NamedTuple):
    """A room in a listing; ``seq`` and ``updated`` (ms) are its last update's, 0 and None before its first."""

    room: str
    lineage: str
    created: int
    seq: int
    updated: int | None


class Loaded(NamedTuple):
    """Everything needed to rebuild a room: a snapshot and, in order, the updates after it.

    ``snapshot`` is None and ``snapshot_seq`` 0 when there is none. ``seq`` is the last update's, and the next
    append's less one.
    """

    lineage: str
    snapshot: bytes | None
    snapshot_seq: int
    tail: tuple[bytes, ...]
    seq: int
    tail_bytes: int


class Store(Protocol):
    """An update log and snapshots per room, ordered by sequence number; 1 is a room's first.

    A store is an async context manager: entering opens, locks and migrates it, leaving closes it. Every
    method raises ``StoreError`` when the store is not open or fails.
    """

    async def __aenter__(self) -> Self:
        """Open the store; raises a ``StoreError`` that says what is in the way."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store; whatever was reported stored stays stored."""
        ...

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room, durably. The first lineage stays: creating an existing room changes nothing."""
        ...

    async def load(self, room: str) -> Loaded | None:
        """Return the newest sound snapshot and the updates after it, or None for a room never created.

        A damaged snapshot is passed over for the older one while the log reaches back that far.

        Raises:
            CorruptRecordError: an update that is needed is damaged or missing.
        """
        ...

    async def append(self, batch: Sequence[Append]) -> None:
        """Store updates of any number of rooms, all or none; they are durable on return.

        Raises:
            SequenceError: an update is not the next of its room, or its room was never created.
        """
        ...

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store the state that the updates up to ``seq`` add up to, keeping the two newest sound snapshots.

        Raises:
            SequenceError: the log does not reach ``seq``.
        """
        ...

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates and return how many were deleted.

        The log is deleted from its beginning up to the first update that is not below ``before``, is not
        older than ``at_before`` (ms), or that the older of the two kept snapshots has not folded; so the
        newest snapshot may be lost and the room still loads.
        """
        ...

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return at most ``limit`` updates with a sequence number above ``after``, in order.

        Raises:
            CorruptRecordError: one of them is damaged or missing.
        """
        ...

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms by name, in a time that grows with their number alone."""
        ...


def sequence_error(room: str, seq: int, last: int | None) -> SequenceError:
    """Return the error of update ``seq`` in a room whose log ends at ``last``, None if never created."""
    subject = f"room {room!r}"
    if last is None:
        return SequenceError("the room was never created", subject=subject, remedy="create it before writing")
    return SequenceError(
        f"record {seq} does not fit a log that ends at {last}",
        subject=subject,
        remedy="let one server write to a room, and load the room again",
    )


def not_open(subject: str) -> StoreError:
    """Return the error of using a store outside its ``async with``."""
    return StoreError("the store is not open", subject=subject, remedy="use it inside its `async with`")
