"""A replica's own file: its document and its unacknowledged edits in SQLite, so that both outlive the process."""

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import aiosqlite

from comity.crdt_types.document.edits import Edit
from comity.crdt_types.document.values import pack, unpack
from comity.crdt_types.errors import StorageError

VERSION: Final = 1
# Of a file that keeps the versions of its document; only a local tier reads it, so that none of them is passed over.
VERSIONED: Final = 2
SUFFIX: Final = ".comity"
ASIDE_SUFFIX: Final = ".aside"
LOCK_SUFFIX: Final = ".lock"
# Bytes; file systems take 255, and the suffixes of SQLite, the lock and copies come on top.
MAX_FILE_NAME: Final = 160

SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE updates (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE edits (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, body BLOB NOT NULL);
"""

# The key in meta that is there while bytes of what was erased may be left in the files.
_UNCLEAN: Final = "unclean"


class Origin(NamedTuple):
    """Where a document comes from: a room's lineage, and how often something had been taken out of its history."""

    lineage: str
    redactions: int


class Restored(NamedTuple):
    """What a file held when it was opened.

    Attributes:
        updates: Yjs updates that make up the document.
        edits: the unacknowledged edits with their numbers, oldest first.
        number: the number of the last local update.
        acknowledged: the number of the last local update that the server has on disk.
        lineage: the room's lineage, or None before the first contact with a server.
        refused: whether the server refused some of what is in the document, which must be replaced by the server's.
        redactions: how often something had been taken out of the room's history when the file was last cleaned.
    """

    updates: list[bytes]
    edits: list[tuple[int, Edit]]
    number: int
    acknowledged: int
    lineage: str | None
    refused: bool
    redactions: int


class LocalFile:
    """The file of one room's replica; one process at a time has it open.

    Args:
        directory: where the files of all rooms lie; made if absent.
        room: the room's name.

    Raises: StorageError, on entering, if it cannot be opened, or another process has it open.
    """

    def __init__(self, directory: Path, room: str) -> None:
        self.path = directory / (_file_name(room) + SUFFIX)
        self._stack = AsyncExitStack()
        self._db: aiosqlite.Connection

    async def __aenter__(self) -> Self:
        try:
            async with self._explained():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._lock()
                # What is in the way is found here rather than by aiosqlite, whose thread outlives a failure to open.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    def _lock(self) -> None:
        handle = os.open(self.path.with_name(self.path.name + LOCK_SUFFIX), os.O_CREAT | os.O_RDWR, 0o600)
        self._stack.callback(os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A process that was forked off meanwhile shares the lock, which closing alone would leave to it.
            self._stack.callback(fcntl.flock, handle, fcntl.LOCK_UN)
        except BlockingIOError:
            raise StorageError(
                "another process has this replica open, or this one has it twice",
                subject=str(self.path),
                remedy="give every process a directory of its own, and open it once in each",
            ) from None

    @asynccontextmanager
    async def _explained(self) -> AsyncGenerator[None]:
        """Raise what the system or SQLite says as a StorageError, and leave no transaction half done."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            with suppress(sqlite3.Error, ValueError, AttributeError):  # there may be no connection to roll back
                await self._db.rollback()
            raise StorageError(
                str(error), subject=str(self.path), remedy="check that the directory can be written and has room"
            ) from error

    async def _open(self) -> None:
        async with self._explained():
            self._db = await self._stack.enter_async_context(aiosqlite.connect(self.path))
            await self._db.execute("PRAGMA journal_mode = WAL")
            await self._db.execute("PRAGMA synchronous = FULL")
            version = await self._pragma_version()
            if version > VERSIONED:
                raise StorageError(
                    f"written by a newer version (format {version}, this one knows {VERSIONED})",
                    subject=str(self.path),
                    remedy="upgrade comity",
                )
            await self._make_ready(version)

    async def _make_ready(self, version: int) -> None:
        """Bring the file from the format that it has, 0 if it is new, to the one that is written here."""
        if version == VERSIONED:
            raise StorageError(
                "the file of a local tier, which keeps its versions",
                subject=str(self.path),
                remedy="open it by client.local()",
            )
        if version == 0:
            await self._db.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")

    async def _pragma_version(self) -> int:
        async with self._db.execute("PRAGMA user_version") as cursor:
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def restore(self) -> Restored:
        """Read everything back, and clean the file first if a crash interrupted that."""
        if await self._is_unclean():
            await self._clean()
        async with self._explained():
            meta = dict(await self._rows("SELECT key, value FROM meta"))
            updates = [body for (body,) in await self._rows("SELECT body FROM updates ORDER BY seq")]
            edits = await self._rows("SELECT number, body FROM edits ORDER BY id")
        acknowledged = int(meta.get("acknowledged", 0))
        return Restored(
            updates,
            [(number, Edit(*unpack(body))) for number, body in edits],
            # An edit may have reached the server, and its acknowledgement this file, before the edit itself did.
            max(int(meta.get("number", 0)), acknowledged),
            acknowledged,
            meta.get("lineage"),
            bool(meta.get("refused", 0)),
            int(meta.get("redactions", 0)),
        )

    async def _rows(self, sql: str, *values: Any) -> list[Any]:
        return list(await self._db.execute_fetchall(sql, values))

    async def append(self, updates: Iterable[bytes], edits: Iterable[tuple[int, Edit]], number: int) -> None:
        """Write updates and the edits behind them, on disk when it returns."""
        async with self._explained():
            await self._db.executemany("INSERT INTO updates (body) VALUES (?)", [(body,) for body in updates])
            await self._insert_edits(edits)
            await self._set("number", number)
            await self._db.commit()

    async def fold(self, state: bytes, edits: Iterable[tuple[int, Edit]], number: int) -> None:
        """Replace all that was written by one update and the edits that are still unacknowledged."""
        async with self._explained():
            await self._replace(state, edits, number)
            await self._db.commit()

    async def start_over(
        self, state: bytes, edits: Iterable[tuple[int, Edit]], number: int, origin: Origin | None = None
    ) -> None:
        """Do what ``fold`` does with another document, which holds nothing that the server refused.

        An origin, if given, replaces the one that is remembered, in the same transaction.
        """
        async with self._explained():
            await self._replace(state, edits, number)
            await self._set("refused", 0)
            if origin is not None:
                await self._set_origin(origin)
            await self._db.commit()

    async def redact(self, state: bytes, edits: Iterable[tuple[int, Edit]], number: int, redactions: int) -> None:
        """Do what ``fold`` does, and leave no byte of what was there, nor what was kept aside.

        Remembers how often something was taken out of the room's history until now.
        """
        async with self._explained():
            await self._replace(state, edits, number)
            await self._set("redactions", redactions)
            await self._set(_UNCLEAN, 1)
            await self._db.commit()
        await self._clean()

    async def erase(self, state: bytes, number: int, origin: Origin | None) -> None:
        """Write a document in place of all that there is, and leave no byte of that, nor what was kept aside.

        Args:
            state: the document as one update.
            number: that of the last local update; none before it is unacknowledged.
            origin: where the document comes from, None if from no server.
        """
        async with self._explained():
            await self._db.execute("DELETE FROM meta")
            await self._replace(state, (), number)
            await self._set("acknowledged", number)
            if origin is not None:
                await self._set_origin(origin)
            await self._set(_UNCLEAN, 1)
            await self._db.commit()
        await self._clean()

    async def _replace(self, state: bytes, edits: Iterable[tuple[int, Edit]], number: int) -> None:
        await self._db.execute("DELETE FROM updates")
        await self._db.execute("DELETE FROM edits")
        await self._db.execute("INSERT INTO updates (body) VALUES (?)", (state,))
        await self._insert_edits(edits)
        await self._set("number", number)

    async def _set_origin(self, origin: Origin) -> None:
        await self._set("lineage", origin.lineage)
        await self._set("redactions", origin.redactions)

    async def acknowledge(self, number: int) -> None:
        """Forget the edits up to a number: the server has them."""
        async with self._explained():
            await self._db.execute("DELETE FROM edits WHERE number <= ?", (number,))
            await self._set("acknowledged", number)
            await self._db.commit()

    async def adopt(self, lineage: str) -> None:
        """Remember the lineage of the room."""
        async with self._explained():
            await self._set("lineage", lineage)
            await self._db.commit()

    async def refuse(self, after: int, number: int) -> None:
        """Forget the edits after one number, up to another, and remember that the document holds them still."""
        async with self._explained():
            await self._db.execute("DELETE FROM edits WHERE number > ? AND number <= ?", (after, number))
            await self._set("refused", 1)
            await self._db.commit()

    async def keep_aside(self, state: bytes, edits: list[tuple[int, Edit]]) -> Path:
        """Write a document and its unacknowledged edits to a new file of this format beside this one."""
        aside = LocalFile(self.path.parent, "")
        async with self._put_aside(aside):
            await aside.fold(state, edits, last_number(edits))
        return aside.path

    @asynccontextmanager
    async def _put_aside(self, aside: "LocalFile") -> AsyncGenerator[None]:
        """Open a file as one that is kept aside of this one, in place of that of a room."""
        aside.path = self.path.with_name(f"{self.path.stem}-{time.time_ns()}{ASIDE_SUFFIX}")
        await self._copy_to(aside.path)
        async with aside:
            yield
        aside.path.with_name(aside.path.name + LOCK_SUFFIX).unlink(missing_ok=True)

    async def _copy_to(self, path: Path) -> None:
        """Write what a file that is kept aside begins with."""

    async def _is_unclean(self) -> bool:
        async with self._explained():
            return bool(await self._rows("SELECT 1 FROM meta WHERE key = ?", _UNCLEAN))

    async def _clean(self) -> None:
        """Leave no byte of what was replaced or deleted: not in the file, its log, or what was kept aside."""
        async with self._explained():
            for kept in self._kept_aside():
                kept.unlink(missing_ok=True)
            await self._db.execute("VACUUM")
            ((is_busy, _, _),) = await self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
            if is_busy:
                raise sqlite3.OperationalError("another program reads what is to be erased")
            await self._db.execute("DELETE FROM meta WHERE key = ?", (_UNCLEAN,))
            await self._db.commit()

    def _kept_aside(self) -> list[Path]:
        """Return the files that were kept aside of this replica, and what SQLite and the lock left beside them."""
        is_kept = re.compile(rf"{re.escape(self.path.stem)}-\d+{re.escape(ASIDE_SUFFIX)}\b.*").fullmatch
        return [each for each in self.path.parent.iterdir() if is_kept(each.name)]

    async def _insert_edits(self, edits: Iterable[tuple[int, Edit]]) -> None:
        rows = [(number, pack(tuple(edit))) for number, edit in edits]
        if rows:
            await self._db.executemany("INSERT INTO edits (number, body) VALUES (?, ?)", rows)

    async def _set(self, key: str, value: object) -> None:
        await self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def last_number(edits: Iterable[tuple[int, Edit]]) -> int:
    """Return the number of the last of some edits."""
    return max((number for number, _edit in edits), default=0)


def _file_name(room: str) -> str:
    """Return a file name for a room: the quoted name, or the head and the hash of one that is too long."""
    name = quote(room, safe="")
    if len(name) <= MAX_FILE_NAME:
        return name
    digest = blake2b(room.encode(), digest_size=16).hexdigest()
    return f"{name[: MAX_FILE_NAME - len(digest) - 1]}-{digest}"
