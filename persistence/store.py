"""The protocol that every store keeps."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from .records import Append, Loaded, Record, RoomRow

# A page of history: enough that paging costs nothing, little enough to hold in memory whatever the updates'
# size.
RECORDS_LIMIT: Final = 1000


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
