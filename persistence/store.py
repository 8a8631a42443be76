"""The protocol that every store keeps."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from .records import Append, Base, Checkpoint, Erased, Loaded, Record, RoomRow, Snapshot, Tombstone, Version

# A page of history: enough that paging costs nothing, little enough to hold in memory whatever the updates'
# size.
RECORDS_LIMIT: Final = 1000


class Store(Protocol):
    """An update log and snapshots per room, ordered by sequence number; 1 is a room's first.

    A store is an async context manager: entering opens, locks and migrates it, leaving closes it. Every
    method raises ``StoreError`` when the store is not open or fails, and changes nothing then.
    """

    async def __aenter__(self) -> Self:
        """Open the store; raises a ``StoreError`` that says what is in the way."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store; whatever was reported stored stays stored."""
        ...

    async def recover(self) -> bool:
        """Find out whether the store can be written again after it failed, opening anew what has to be.

        Returns whether it is another one than before, so that what was loaded from it may be wrong.

        Raises:
            StoreError: what is still in the way.
        """
        ...

    # Rooms ------------------------------------------------------------------------------------------------------

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room, durably. The first lineage stays: creating an existing room changes nothing."""
        ...

    async def begin(self, room: str, lineage: str, at: int, base: Base) -> None:
        """Create a room whose log begins after a state that it had elsewhere.

        Raises:
            SequenceError: the room exists.
        """
        ...

    async def adopt(self, room: str, lineage: str) -> None:
        """Give a room another lineage: replicas of the one before will not merge with it."""
        ...

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms by name, in a time that grows with their number alone; damaged ones are left out."""
        ...

    async def erase(self, room: str, state_vector: bytes, at: int) -> Erased | None:
        """Remove everything of a room, so that its bytes are in no file of the store, and leave a tombstone.

        Returns what was removed, None for a room that there is not.

        Args:
            room: its name.
            state_vector: what the tombstone shall know the room's document by.
            at: when, in ms.
        """
        ...

    async def scrub(self) -> None:
        """Leave no byte in the files of the store of what was replaced or deleted before."""
        ...

    async def tombstones(self, room: str | None = None) -> list[Tombstone]:
        """Return what is left of rooms that were erased, of one name or all, in the order of erasing."""
        ...

    async def bury(self, tombstone: Tombstone) -> None:
        """Store the tombstone of a room that was erased elsewhere; twice is as good as once."""
        ...

    async def attributes(self, room: str) -> dict[str, bytes]:
        """Return what was noted of a room, by key.

        Raises:
            CorruptRecordError: one of the values is damaged.
        """
        ...

    async def attributed(self, key: str) -> dict[str, bytes]:
        """Return what was noted under a key, by room; damaged values are left out."""
        ...

    async def note(self, room: str, key: str, value: bytes | None) -> None:
        """Note something of a room under a key; None forgets it.

        Raises:
            SequenceError: the room was never created.
        """
        ...

    # The log ----------------------------------------------------------------------------------------------------

    async def load(self, room: str) -> Loaded | None:
        """Return the newest sound snapshot and the updates after it, or None for a room never created.

        A damaged snapshot is passed over for an older one while the log reaches back that far. An update that is
        damaged or missing ends what is returned.

        Raises:
            CorruptRecordError: nothing of the room can be trusted.
        """
        ...

    async def append(self, batch: Sequence[Append]) -> None:
        """Store updates of any number of rooms, all or none; they are durable on return.

        Raises:
            SequenceError: an update is not the next of its room, or its room was never created.
        """
        ...

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return at most ``limit`` updates with a sequence number above ``after``, in order.

        Raises:
            CorruptRecordError: one of them is damaged or missing.
        """
        ...

    async def versions(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Version]:
        """Return what ``records`` returns, without the updates themselves. Raises the same."""
        ...

    async def version_at(self, room: str, at: int) -> int:
        """Return the newest update that is not younger than a time in ms, 0 if there is none."""
        ...

    async def replace(self, room: str, records: Sequence[Record]) -> None:
        """Put other updates in place of some, under the same sequence numbers.

        Raises:
            SequenceError: there is none of that number.
        """
        ...

    async def cut(self, room: str, after: int) -> int:
        """Delete a room's updates, snapshots and checkpoints above ``after``; return how many updates there were."""
        ...

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates and return how many were deleted.

        The log is deleted from its beginning up to the first update that is not below ``before``, is not
        older than ``at_before`` (ms), that the older of the two newest sound snapshots has not folded, or that a
        checkpoint needs which has no snapshot of its own; so the newest snapshot may be lost and the room
        still loads, and no checkpoint is lost. Snapshots that nothing builds on any more are deleted with it.
        """
        ...

    # Snapshots and checkpoints ----------------------------------------------------------------------------------

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store the state that the updates up to ``seq`` add up to.

        Kept are the two newest sound snapshots, those that a checkpoint names, the one that the log begins after, and
        of the others as many as are worth it: one that is larger than the log between it and the one kept before it
        is deleted. So those take no more than the log does, and no state of the past is farther from one than it is
        large.

        Raises:
            SequenceError: the log does not reach ``seq``.
        """
        ...

    async def snapshots(self, room: str) -> list[Snapshot]:
        """Return a room's snapshots, the oldest first, without their states."""
        ...

    async def base(self, room: str, seq: int) -> Base:
        """Return the newest sound snapshot that is not above ``seq``, or the room's beginning."""
        ...

    async def add_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint; returns False, and changes nothing, if the room has one of that name.

        Raises:
            SequenceError: the log does not reach it, or not back to it.
        """
        ...

    async def checkpoints(self, room: str) -> list[Checkpoint]:
        """Return a room's checkpoints, by their sequence number and time; damaged ones are left out."""
        ...

    async def replace_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Put another checkpoint in place of the one of its name; returns False if there is none.

        Raises:
            SequenceError: as ``add_checkpoint``.
        """
        ...

    async def drop_checkpoint(self, room: str, name: str) -> bool:
        """Delete a checkpoint; returns whether there was one."""
        ...
