"""When rooms leave snapshots behind, and what of their log is kept."""

import logging
from typing import Final

from comity.crdt_types.errors import ComityError

from .archive import Archive, now
from .room import Room

logger = logging.getLogger(__name__)

# Loading this many updates costs half a millisecond: not worth a snapshot when a room goes to rest.
RESTING_TAIL: Final = 100
MS_PER_DAY: Final = 24 * 60 * 60 * 1000


class Keeper:
    """Takes snapshots of rooms, one at a time each.

    Args:
        archive: where they go.
        history_days: how long updates that two snapshots have folded are kept; None for good.
    """

    def __init__(self, archive: Archive, history_days: float | None) -> None:
        self._archive = archive
        self._history_days = history_days
        self._busy: set[str] = set()

    def is_busy(self, room: Room) -> bool:
        """Tell whether a snapshot of a room is being taken."""
        return room.name in self._busy

    async def snapshot(self, room: Room) -> None:
        """Take a snapshot of a room, unless one is being taken; a failure is logged, since nothing is lost by it."""
        if self.is_busy(room):
            return
        self._busy.add(room.name)
        try:
            await self._snapshot(room)
        except ComityError as error:  # of the store, or of a room that ended
            logger.error("no snapshot of room %r: %s", room.name, error)
            room.tally.failed_snapshots += 1
            contents = room.contents
            contents.snapshot_bytes = max(contents.snapshot_bytes, 2 * contents.tail_bytes)  # when the tail doubled
        finally:
            self._busy.discard(room.name)

    async def rest(self, room: Room) -> None:
        """See everything of a room onto the disk, with a snapshot if loading it would be slow without."""
        await self._archive.flush()
        if room.failure is None and room.contents.tail_updates >= RESTING_TAIL:
            await self.snapshot(room)

    async def _snapshot(self, room: Room) -> None:
        await room.sound()
        with room.tally.snapshot_seconds.timed():
            seq = await self._fold(room)
        if self._history_days is not None:
            await self._archive.retire(room.name, seq, now() - round(self._history_days * MS_PER_DAY))

    async def _fold(self, room: Room) -> int:
        contents = room.contents
        state, seq = contents.document.state(), contents.seq
        folded_bytes, folded_updates = contents.tail_bytes, contents.tail_updates
        await self._archive.flush()  # the log must reach what the snapshot holds
        await self._archive.snapshot(room.name, seq, state)
        contents.snapshot_bytes = len(state)
        contents.tail_bytes -= folded_bytes
        contents.tail_updates -= folded_updates
        return seq
