"""When rooms leave snapshots behind, and what of their log is kept."""

import logging
from collections.abc import Mapping
from typing import Final

from comity.crdt_types.errors import ComityError

from ..history.past import parts_at, preserve
from ..monitoring.tally import tier
from .archive import Archive, now
from .folding import folded
from .room import Room

logger = logging.getLogger(__name__)

# Loading this many updates costs half a millisecond: not worth a snapshot when a room goes to rest.
RESTING_TAIL: Final = 100
# Documents up to this size are encoded in the event loop, which stands still for 6 ms then; a process of its own costs
# 200 ms of processor time, on any core.
FOLD_INLINE: Final = 2 * 1024 * 1024
MS_PER_DAY: Final = 24 * 60 * 60 * 1000


class Keeper:
    """Takes snapshots of rooms, one at a time each.

    Args:
        archive: where they go.
        history_days: how long updates that two snapshots have folded are kept, by tier; None, and none for a tier, is
            for good.
    """

    def __init__(self, archive: Archive, history_days: Mapping[str, float | None]) -> None:
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
        if room.refusal is not None:  # nothing can be stored, or what is there must stay until somebody repairs it
            return
        with room.tally.snapshot_seconds.timed():
            seq = await self._fold(room)
        days = self._history_days.get(tier(room.name))
        if days is not None:
            at_before = now() - round(days * MS_PER_DAY)
            await preserve(self._archive, room.name, seq, at_before)
            await self._archive.retire(room.name, seq, at_before)

    async def _fold(self, room: Room) -> int:
        contents, epoch = room.contents, self._archive.epoch
        seq, document = contents.seq, contents.document
        folded_bytes, folded_updates = contents.tail_bytes, contents.tail_updates
        size = contents.snapshot_bytes + folded_bytes
        state = document.state() if size <= FOLD_INLINE else None
        await self._archive.flush()  # the log must reach what the snapshot holds
        if state is None:
            state = await folded(room.name, await parts_at(self._archive, room.name, seq))
        if self._archive.epoch != epoch:  # what was captured may not be what is there
            return 0
        await self._archive.snapshot(room.name, seq, state)
        if contents.document is document:
            contents.snapshot_bytes = len(state)
            contents.tail_bytes -= folded_bytes
            contents.tail_updates -= folded_updates
        return seq
