"""The marks in the list of the server's backups that keep what was erased from being restored."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from comity.persistence.errors import StoreError
from comity.persistence.manifest import mark_erased, mark_redacted
from comity.persistence.records import Tombstone

logger = logging.getLogger(__name__)


class Marks:
    """Marks what of a server's backups must not come back. Each method returns whether it did; there may be no backups.

    Args:
        backups: their directory, None if the server makes none.
    """

    def __init__(self, backups: Path | None) -> None:
        self._backups = backups

    async def erased(self, tombstone: Tombstone) -> bool:
        """Mark a room that was erased."""
        return await self._mark(tombstone.room, lambda backups: mark_erased(backups, tombstone))

    async def redacted(self, room: str, lineage: str) -> bool:
        """Mark a room of which something was taken out."""
        return await self._mark(room, lambda backups: mark_redacted(backups, room, lineage))

    async def _mark(self, room: str, mark: Callable[[Path], None]) -> bool:
        if self._backups is None:
            return False
        try:
            await asyncio.to_thread(partial(mark, self._backups))
        except StoreError as error:
            logger.error("the backups still hold what was erased of room %r: %s", room, error)
            return False
        return True
