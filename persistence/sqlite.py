"""The store of a complete installation: one SQLite file in WAL mode, written by one connection."""

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import AsyncExitStack, contextmanager
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import aiosqlite

from . import queries
from .checksum import checksum
from .directory import ensure_openable, exclusive, sync
from .errors import CorruptRecordError, StoreUnwritableError, not_open, sequence_error
from .failures import from_sqlite
from .records import Append, Loaded, Record, RoomRow
from .recovery import Row, assemble, check_log, is_damaged_snapshot
from .schema import migrate
from .store import RECORDS_LIMIT

Durability = Literal["fsync", "os"]

# FULL syncs the log at every commit: it survives a power cut. NORMAL hands every commit to the operating
# system: it survives the death of this process in any way, and a power cut takes the last commits without
# damaging the rest. OFF would save nothing more between checkpoints, and a power cut could damage the file.
SYNCHRONOUS: Final[dict[Durability, str]] = {"fsync": "FULL", "os": "NORMAL"}

# Longer than a backup or a look with sqlite3 holds the write lock, shorter than operators wait for an answer.
BUSY_SECONDS: Final = 10.0

# What a burst may leave the write-ahead log at, on disk, once its content is in the database.
WAL_LIMIT: Final = 64 * 1024 * 1024

# Deleted in one transaction: 7 ms, for updates of 60 bytes, during which no commit gets through.
RETIRE_BATCH: Final = 5_000


# Updates stored by one statement, each of whose lengths SQLite keeps prepared.
STATEMENT_ROWS: Final = 32

# Rooms whose end is remembered, at a quarter of a kilobyte each.
MAX_TAILS: Final = 5_000


class _Tail(NamedTuple):
    """Where a room's log ends."""

    room: int
    last: int


class _Record(NamedTuple):
    """An update as it is stored, but for its checksum."""

    room: int
    entry: Append


class _AtomicConnection(sqlite3.Connection):
    """A connection whose ``executemany`` stores updates in one transaction, all or none.

    All other statements commit by themselves, so no transaction is ever left open between two trips to the
    thread that owns the connection: a batch is one trip, and a cancelled caller cannot leave half of one
    behind.
    """

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = [_stored(record) for record in parameters]
        if len(rows) <= STATEMENT_ROWS:
            return self.execute(queries.append(len(rows)), list(chain.from_iterable(rows)))
        self.execute("BEGIN IMMEDIATE")
        with self:
            return super().executemany(sql, rows)


def _stored(record: _Record) -> tuple[Any, ...]:
    (name, seq, update, author, at), room = record.entry, record.room
    return room, seq, at, checksum(name.encode(), seq, author.encode(), at, update), author, update


class SqliteStore:
    """A store in one SQLite file, of which only one may be open at a time, in any process.

    Other processes may read the file meanwhile. One thread writes and another reads, so that loading a large
    room delays no commit.

    Args:
        path: the database file; it and its directory are created when absent. A lock file lies beside it.
        durability: "fsync" survives power cuts, "os" only the death of the process.
    """

    def __init__(self, path: Path, *, durability: Durability = "fsync") -> None:
        self._path = path
        self._durability: Durability = durability
        self._stack = AsyncExitStack()
        self._connections: tuple[aiosqlite.Connection, aiosqlite.Connection] | None = None
        self._tails: dict[str, _Tail] = {}  # of rooms that were written to: nobody else writes

    async def __aenter__(self) -> Self:
        """Lock, open and migrate the database.

        Raises:
            StoreInUseError: another server holds it.
            StoreUnwritableError: the place cannot be written, or the file is no database of ours.
            NewerDatabaseError: a newer version wrote it; it was not changed.
            StoreFullError: there is no space to open it.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(exclusive(self._path))
            ensure_openable(self._path)
            with self._translated():
                writes = await self._connect(stack)
                await migrate(writes, self._path)
                await self._configure(writes)
                reads = await self._connect(stack)
                await reads.execute("PRAGMA query_only = ON")
            sync(self._path.parent)
            self._connections = writes, reads
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database and release the lock."""
        self._connections = None
        with self._translated():
            await self._stack.aclose()

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room; see ``Store.create``."""
        with self._translated(room):
            await self._writes.execute(queries.CREATE, (room, lineage, at))

    async def load(self, room: str) -> Loaded | None:
        """Return a room's snapshot and tail; see ``Store.load``."""
        with self._translated(room):
            for lineage, sound in await self._reads.execute_fetchall(queries.ROOM, (room,)):
                if not sound:
                    raise CorruptRecordError("the room's own record is damaged", room=room)
                return await self._load(room, lineage.decode())
        return None

    async def append(self, batch: Sequence[Append]) -> None:
        """Store updates, all or none; see ``Store.append``."""
        if not batch:
            return
        with self._translated():
            tails, self._tails = self._tails, {}  # until it is known what became of them
            if len(tails) > MAX_TAILS:
                tails = {}
            records = await self._follow(tails, batch)
            await self._writes.executemany(queries.append(1), records)
            self._tails = tails

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store a snapshot; see ``Store.snapshot``."""
        with self._translated(room):
            cursor = await self._writes.execute(queries.SNAPSHOT, (room, seq, state, at))
            if not cursor.rowcount:
                raise sequence_error(room, seq, await self._last(room))
            await self._writes.execute(queries.RETIRE_SNAPSHOTS, (room,))

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates; see ``Store.retire``."""
        with self._translated(room):
            rows = await self._reads.execute_fetchall(queries.RETIRABLE, (room, before, at_before))
            ((first, end),) = rows
            for stop in range(first + RETIRE_BATCH, end, RETIRE_BATCH):
                await self._writes.execute(queries.RETIRE, (room, stop))
            await self._writes.execute(queries.RETIRE, (room, end))
        return int(end - first)

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return a page of a room's log; see ``Store.records``."""
        with self._translated(room):
            rows = list(await self._reads.execute_fetchall(queries.RECORDS, (room, after, max(limit, 0))))
        check_log(room, rows[0][0] if rows else 0, ((row[0], row[4]) for row in rows))
        return [Record(seq, update, author.decode(), at) for seq, update, author, at, _ in rows]

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms; see ``Store.rooms``."""
        with self._translated():
            return [RoomRow(*row) for row in await self._reads.execute_fetchall(queries.ROOMS)]

    async def _load(self, room: str, lineage: str) -> Loaded:
        rows = await self._rows(room, 0)
        skipped = 0
        while is_damaged_snapshot(rows):
            skipped += 1
            rows = await self._rows(room, skipped)
        return assemble(room, lineage, rows, skipped=skipped)

    async def _rows(self, room: str, skip: int) -> list[Row]:
        rows = await self._reads.execute_fetchall(queries.LOAD, (room, skip))
        return sorted((Row(*row) for row in rows), key=itemgetter(0, 1))

    async def _follow(self, tails: dict[str, _Tail], batch: Sequence[Append]) -> list[_Record]:
        """Return what to store of a batch, and note where rooms end after it. Raises SequenceError."""
        records = []
        for entry in batch:
            tail = tails.get(entry.room) or await self._tail(entry.room)
            if tail is None or entry.seq != tail.last + 1:
                raise sequence_error(entry.room, entry.seq, None if tail is None else tail.last)
            tails[entry.room] = _Tail(tail.room, entry.seq)
            records.append(_Record(tail.room, entry))
        return records

    async def _last(self, room: str) -> int | None:
        tail = await self._tail(room)
        return None if tail is None else tail.last

    async def _tail(self, room: str) -> _Tail | None:
        rows = await self._writes.execute_fetchall(queries.LAST, (room,))
        return next((_Tail(*row) for row in rows), None)

    async def _connect(self, stack: AsyncExitStack) -> aiosqlite.Connection:
        connection = await stack.enter_async_context(
            aiosqlite.connect(self._path, isolation_level=None, timeout=BUSY_SECONDS, factory=_AtomicConnection)
        )
        await connection.create_function("comity_checksum", 5, checksum, deterministic=True)
        return connection

    async def _configure(self, writes: aiosqlite.Connection) -> None:
        ((mode,),) = await writes.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreUnwritableError(
                "its file system cannot hold a write-ahead log",
                subject=str(self._path),
                remedy="put the data directory on a local disk",
            )
        await writes.execute(f"PRAGMA synchronous = {SYNCHRONOUS[self._durability]}")
        await writes.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        # Read by macOS only, where fsync alone does not reach the platter.
        await writes.execute(f"PRAGMA fullfsync = {self._durability == 'fsync'}")

    @property
    def _writes(self) -> aiosqlite.Connection:
        return self._opened()[0]

    @property
    def _reads(self) -> aiosqlite.Connection:
        return self._opened()[1]

    def _opened(self) -> tuple[aiosqlite.Connection, aiosqlite.Connection]:
        if self._connections is None:
            raise not_open(str(self._path))
        return self._connections

    @contextmanager
    def _translated(self, room: str = "") -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise from_sqlite(error, self._path, room) from error
