"""The part of the SQLite store that is beside the log: checkpoints, notes about rooms, and erasure."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from . import notes, queries
from .database import BUSY_SECONDS, Database
from .errors import CorruptRecordError, sequence_error
from .records import Checkpoint, Erased, Tombstone
from .recovery import checkpoints_of, tombstones_of

# Deleted in one transaction: some 10 ms during which no commit gets through.
PURGE_BATCH: Final = 5_000
# Between attempts to empty the write-ahead log, which a backup that is being read can put off, in seconds.
SCRUB_PAUSE: Final = 0.05


class SqliteNotes:
    """What a SQLite store knows of rooms beside their logs.

    Args:
        database: its database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_doubtful = False

    async def add_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint; see ``Store.add_checkpoint``."""
        return await self._put_checkpoint(notes.ADD_CHECKPOINT, room, checkpoint)

    async def replace_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Put another checkpoint in place of one; see ``Store.replace_checkpoint``."""
        return await self._put_checkpoint(notes.REPLACE_CHECKPOINT, room, checkpoint)

    async def _put_checkpoint(self, statement: str, room: str, checkpoint: Checkpoint) -> bool:
        with self._translated(room):
            last = await self._last(room)
            if last is None or not 0 <= checkpoint.seq <= last:
                raise sequence_error(room, checkpoint.seq, last)
            is_put = bool(await self._database.transact([(statement, (room, *checkpoint))]))
            if not is_put and not await self._fetch(queries.IS_KEPT, room, checkpoint.seq):
                raise sequence_error(room, checkpoint.seq, last)
            return is_put

    async def checkpoints(self, room: str) -> list[Checkpoint]:
        """Return a room's checkpoints; see ``Store.checkpoints``."""
        with self._translated(room):
            return checkpoints_of(await self._fetch(notes.CHECKPOINTS, room))

    async def drop_checkpoint(self, room: str, name: str) -> bool:
        """Delete a checkpoint; see ``Store.drop_checkpoint``."""
        with self._translated(room):
            return bool(await self._database.transact([(notes.DROP_CHECKPOINT, (room, name))]))

    async def attributes(self, room: str) -> dict[str, bytes]:
        """Return what was noted of a room; see ``Store.attributes``."""
        with self._translated(room):
            rows = await self._fetch(notes.ATTRIBUTES, room)
            is_whole = not self._is_doubtful or rows == await self._fetch(notes.ATTRIBUTES_SCANNED, room)
        if not is_whole or not all(sound for _, _, sound in rows):
            raise CorruptRecordError("what was noted of it is damaged", room=room)
        return {key.decode(): value for key, value, _ in rows}

    async def attributed(self, key: str) -> dict[str, bytes]:
        """Return what was noted under a key, by room; see ``Store.attributed``."""
        with self._translated():
            found = {}
            for (room,) in await self._fetch(notes.ATTRIBUTED, key):
                for each, value, sound in await self._fetch(notes.ATTRIBUTES, room):
                    if sound and each.decode() == key:
                        found[room] = value
            return found

    async def note(self, room: str, key: str, value: bytes | None) -> None:
        """Note something of a room; see ``Store.note``."""
        with self._translated(room):
            if await self._last(room) is None:
                raise sequence_error(room, 0, None)
            statement = (notes.FORGET, (room, key)) if value is None else (notes.NOTE, (room, key, value))
            await self._database.transact([statement])

    async def tombstones(self, room: str | None = None) -> list[Tombstone]:
        """Return what is left of erased rooms; see ``Store.tombstones``."""
        with self._translated(room or ""):
            found = self._fetch(notes.TOMBSTONES) if room is None else self._fetch(notes.TOMBSTONES_OF, room)
            return tombstones_of(await found)

    async def bury(self, tombstone: Tombstone) -> None:
        """Store a tombstone; see ``Store.bury``."""
        with self._translated(tombstone.room):
            await self._database.transact([(notes.BURY, tuple(tombstone))])

    async def erase(self, room: str, state_vector: bytes, at: int) -> Erased | None:
        """Remove everything of a room and leave a tombstone; see ``Store.erase``."""
        with self._translated(room):
            rows = await self._fetch(notes.CONTENTS, room)
            if not rows:
                return None
            await self._database.transact([(notes.BURY_ROOM, (room, state_vector, at)), (notes.HIDE, (room,))])
            self._forget(room)
        await self._purge()
        return Erased(*rows[0])

    async def _purge(self) -> None:
        """Delete what is left of rooms being erased, also of those that a crash interrupted at it."""
        with self._translated():
            hidden = await self._fetch(notes.HIDDEN)
            for (room,) in hidden:
                while await self._database.transact([(notes.PURGE_SOME, (room, PURGE_BATCH))]):
                    pass
                await self._database.transact((statement, (room,)) for statement in notes.PURGE_REST)
            if hidden:
                await self.scrub()

    async def scrub(self) -> None:
        """Leave nothing in the files of the store that was replaced or deleted; see ``Store.scrub``."""
        with self._translated():
            for (room,) in await self._fetch(queries.UNCLEARED):
                await self._clear(room)
            while not await self._emptied():  # noqa: ASYNC110  # nobody tells when other processes have read
                await asyncio.sleep(SCRUB_PAUSE)

    async def _clear(self, room: int) -> None:
        """Delete what a room has from before its log begins."""
        while await self._database.transact([(queries.CLEAR_SOME, (room, PURGE_BATCH))]):
            pass

    async def _look_for_doubt(self) -> None:
        """Find out whether something of a room may be there and not be found: then tables are read in whole as well."""
        with self._translated():
            found = [await self._fetch(f"PRAGMA integrity_check({table})") for table in ("rooms", "attributes")]
        self._is_doubtful = any(lines != [("ok",)] for lines in found)

    async def _emptied(self) -> bool:
        """Empty the write-ahead log, and tell whether that is done; nobody waits for those who read from it."""
        writes = self._database.writes
        await writes.execute("PRAGMA busy_timeout = 0")
        try:
            ((busy, _, _),) = await writes.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await writes.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
        return not busy

    async def _last(self, room: str) -> int | None:
        """Return a room's last sequence number, None for a room never created."""
        rows = await self._database.writes.execute_fetchall(queries.LAST, (room,))
        return next((last for _, last in rows), None)

    async def _fetch(self, query: str, *values: Any) -> list[Any]:
        if self._is_doubtful and values:
            await self._check_found(values[0])
        return list(await self._database.reads.execute_fetchall(query, values))

    async def _check_found(self, room: str) -> None:
        """Check that the index of rooms leads to a room, if there is one of that name."""
        reads = self._database.reads
        found = [bool(sound) for _, sound in await reads.execute_fetchall(queries.ROOM, (room,))]
        found = found or [False for _ in await reads.execute_fetchall(queries.ROOM_SCANNED, (room,))]
        if not all(found):
            raise CorruptRecordError("the index of rooms does not lead to it", room=room)

    def _forget(self, room: str) -> None:
        """Forget what is remembered of a room that is gone."""

    @contextmanager
    def _translated(self, room: str = "") -> Generator[None]:
        with self._database.translated(room):
            yield
