"""When rooms end by themselves: a session's state is erased once nobody has needed it for its time to live."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from comity.crdt_types.errors import ComityError, InvalidValueError, StorageError
from comity.persistence.errors import SequenceError
from comity.persistence.records import RoomRow

from ..monitoring.tally import tier
from ..rooms.archive import Archive, now, translated
from .erasure import Erasure
from .past import never_written

logger = logging.getLogger(__name__)

# What a store notes of a room that lives for another time than its tier: milliseconds, in decimal.
ATTRIBUTE: Final = "ttl"
# Between two looks at all rooms: a session ends a minute late at most, and looking at 10,000 takes 50 ms of a thread.
PERIOD: Final = 60.0
MS: Final = 1000


class Expiry:
    """Erases rooms that nobody has needed for longer than they are to live.

    Args:
        archive: where rooms are kept.
        erasure: erases them.
        ttl_seconds: how long rooms live after their last version, by tier; None, and none for a tier, is for good.
        is_needed: tells whether somebody is in a room.
    """

    def __init__(
        self,
        archive: Archive,
        erasure: Erasure,
        ttl_seconds: Mapping[str, float | None],
        is_needed: Callable[[str], bool],
    ) -> None:
        self._archive = archive
        self._erasure = erasure
        self._ttl_seconds = ttl_seconds
        self._is_needed = is_needed

    async def run(self) -> None:
        """Look after the rooms until cancelled."""
        while True:
            try:
                await self.sweep()
            except ComityError as error:
                logger.error("rooms whose time is over could not be erased: %s", error)
            await asyncio.sleep(PERIOD)

    async def sweep(self) -> list[str]:
        """Erase the rooms whose time is over, and return their names; one that cannot be erased keeps no other.

        Raises: StorageError, if it cannot be told which they are.
        """
        with translated():
            noted = await self._archive.store.attributed(ATTRIBUTE)
        ended = [row for row in await self._archive.rooms() if self._is_over(row, noted)]
        return [row.room for row in ended if await self._expire(row)]

    async def set(self, name: str, seconds: float | None) -> None:
        """Let a room live for another time than its tier; None is as long as its tier.

        Raises: InvalidValueError, if that is no time; StaleVersionError, for a room that was never written to;
            StorageError.
        """
        if seconds is not None and not 0 < seconds < 2**40:
            raise InvalidValueError(f"{seconds} seconds", subject=f"room {name!r}", remedy="give a time above 0")
        value = None if seconds is None else b"%d" % round(seconds * MS)
        try:
            with translated():
                await self._archive.store.note(name, ATTRIBUTE, value)
        except StorageError as error:
            if isinstance(error.__cause__, SequenceError):
                raise never_written(name) from error
            raise

    async def _expire(self, row: RoomRow) -> bool:
        try:
            return await self._erasure.expire(row.room, row.seq)
        except ComityError as error:
            logger.error("room %r could not be erased though its time is over: %s", row.room, error)
            return False

    def _is_over(self, row: RoomRow, noted: Mapping[str, bytes]) -> bool:
        if self._is_needed(row.room):
            return False
        own, of_tier = noted.get(row.room), self._ttl_seconds.get(tier(row.room))
        ttl = int(own) if own is not None else None if of_tier is None else of_tier * MS
        last = row.created if row.updated is None else max(row.updated, row.created)
        return ttl is not None and last + ttl < now()
