"""The entrance of a room: what an update has to pass before it may be applied."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from comity.crdt_types.errors import TooLargeError
from comity.crdt_types.update import read_state_vector

from ..settings import Settings
from .archive import Archive
from .bounds import REFUSALS, Bounds
from .room import Room
from .vetting import Section, vet

T = TypeVar("T")

# Up to this size bytes are checked in the event loop, in at most some 5 ms; larger ones have a thread to themselves.
VET_INLINE: Final = 64 * 1024


class Entrance:
    """Looks at updates before a room takes them.

    Args:
        room: the room.
        archive: where the room is kept.
        settings: what is taken.
    """

    __slots__ = ("_archive", "_room", "_settings", "bounds")

    def __init__(self, room: Room, archive: Archive, settings: Settings) -> None:
        self.bounds: Final = Bounds(settings.max_value, settings.max_name, settings.max_depth)
        self._room = room
        self._archive = archive
        self._settings = settings

    async def vetted(self, update: bytes) -> tuple[Section, ...]:
        """Vet an update, see ``vet``; what the room has already may be out of bounds, from a time before them."""
        try:
            return await vetted(partial(vet, bounds=self.bounds), update)
        except REFUSALS:
            await self._room.sound()
            known = read_state_vector(self._room.state_vector())
            return await vetted(partial(vet, bounds=self.bounds, known=known), update)

    async def check_size(self, update: bytes, sections: tuple[Section, ...]) -> None:
        """Check that the document has room for an update; what only deletes is always welcome.

        Raises: TooLargeError.
        """
        if sections and not await self._fits(len(update)):
            raise TooLargeError(
                f"its document may have {self._settings.max_document:,} bytes, and this is one edit too many",
                subject=f"room {self._room.name!r}",
                remedy="begin another room, or start the server with a larger --max-document",
                limit="max_document",
            )

    async def _fits(self, size: int) -> bool:
        volume = self._room.contents.volume
        if not volume.fits(size):
            await self._archive.flush()  # what came before is in the document then: it may bring nothing, or delete
            await self._room.sound()
            self._room.measure()
        return volume.fits(size)

    async def open(self) -> None:
        """Wait until an update can be applied.

        Raises: StorageError, while none can be.
        """
        while (refusal := self._room.refusal) is None:
            await self._archive.ready()
            await self._room.ensure_stored()
            if self._room.refusal is None:
                return
        raise refusal


async def vetted(check: Callable[[bytes], T], data: bytes) -> T:
    """Check bytes, in a thread if they are many."""
    return await asyncio.to_thread(check, data) if len(data) > VET_INLINE else check(data)
