"""The database file of a store: held by one server, written on one thread, read on another."""

import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import aiosqlite

from .checksum import checksum
from .directory import Place, ensure_openable, exclusive, lock_file, place_of, sync
from .errors import StoreUnwritableError, not_open
from .failures import FAILURES, from_sqlite
from .schema import migrate

Durability = Literal["fsync", "os"]

# FULL syncs the log at every commit: it survives a power cut. NORMAL hands every commit to the operating
# system: it survives the death of this process in any way, and a power cut takes the last commits without
# damaging the rest. OFF would save nothing more between checkpoints, and a power cut could damage the file.
SYNCHRONOUS: Final[dict[Durability, str]] = {"fsync": "FULL", "os": "NORMAL"}

# Longer than a backup or a look with sqlite3 holds the write lock, shorter than operators wait for an answer.
BUSY_SECONDS: Final = 5.0

# What a burst may leave the write-ahead log at, on disk, once its content is in the database.
WAL_LIMIT: Final = 64 * 1024 * 1024

_TRANSACTION: Final = "a transaction"

Statement = tuple[str, Sequence[Any]]


class _AtomicConnection(sqlite3.Connection):
    """A connection whose ``executemany`` runs statements in one transaction, all or none.

    All other statements commit by themselves, so no transaction is ever left open between two trips to the
    thread that owns the connection: a batch is one trip, and a cancelled caller cannot leave half of one
    behind. A transaction in a file that is in its place no more raises, since nobody will ever find it.
    """

    def __init__(self, file: Path, address: str, **options: Any) -> None:
        super().__init__(address, **options)
        self._file = file
        self._places: Places | None = None

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        if sql != _TRANSACTION:
            return super().executemany(sql, parameters)
        cursor = self.execute("BEGIN IMMEDIATE")
        with self:
            for statement, values in parameters:
                cursor = self.execute(statement, values)
            self._check_in_place()
        self._check_in_place()
        return cursor

    def _check_in_place(self) -> None:
        places = places_of(self._file)
        if self._places is None:
            self._places = places
        elif places != self._places:
            raise _out_of_place(self._file)


class Places(NamedTuple):
    """Where the files of a database lie: its own, the two that SQLite keeps beside it, and the one that locks it."""

    database: Place | None
    wal: Place | None
    shm: Place | None
    lock: Place | None


class Database:
    """One open database file and its two connections.

    Args:
        path: the file.
        durability: what a commit survives.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path: Final = path
        self._durability: Durability = durability
        self._lock = ExitStack()
        self._stack = AsyncExitStack()
        self._places = Places(None, None, None, None)
        self._connections: tuple[aiosqlite.Connection, aiosqlite.Connection] | None = None

    async def open(self) -> None:
        """Lock, open and migrate the file, creating it when absent. Raises StoreError."""
        with ExitStack() as lock:
            lock.enter_context(exclusive(self.path))
            ensure_openable(self.path)
            async with AsyncExitStack() as stack:
                with self.translated():
                    self._connections = await self._connect(stack)
                sync(self.path.parent)
                self._places = places_of(self.path)
                self._stack, self._lock = stack.pop_all(), lock.pop_all()

    async def close(self) -> None:
        """Close the file and release the lock."""
        self._connections = None
        with self._lock, self.translated():
            await self._stack.aclose()

    async def recover(self) -> bool:
        """Open the file anew and write to it; tell whether it is another file than before.

        Raises:
            StoreError: what is in the way; what was open before stays open, and can be read as far as it could.
        """
        before, found = self._places, places_of(self.path)
        is_other = found.database != before.database
        is_mixed = bool({found.wal, found.shm} & {before.wal, before.shm} - {None})
        if found.database is None or (is_other and is_mixed):
            raise _out_of_place(self.path)
        with ExitStack() as lock:
            if found.lock != before.lock:
                lock.enter_context(exclusive(self.path))
            if not is_other and (found.wal, found.shm) != (before.wal, before.shm):
                await self._let_go()
            await self._reopen(found.database)
            if found.lock != before.lock:
                self._lock, lock = lock.pop_all(), self._lock
                lock.close()
        return is_other

    async def _reopen(self, place: Place) -> None:
        """Put new connections in place of the old ones, once they can be written with."""
        async with AsyncExitStack() as stack:
            with self.translated():
                connections = await self._connect(stack)
                await _probe(connections[0])
            places = places_of(self.path)
            if places.database != place:
                raise _out_of_place(self.path)
            old, self._stack = self._stack, stack.pop_all()
        self._connections, self._places = connections, places
        with suppress(sqlite3.Error):  # of a file that cannot be reached any more
            await old.aclose()

    async def _let_go(self) -> None:
        """Close the file once all of it lies in it: what SQLite keeps beside it was taken away.

        New connections would share the index of the old ones, and not find in a new log what it says is there.
        """
        if self._connections is None:
            return
        with self.translated():
            ((is_busy, _, _),) = await self.writes.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            if is_busy:
                raise sqlite3.OperationalError("what was written cannot be moved into the database: it is being read")
            self._connections = None
            await self._stack.aclose()

    @property
    def writes(self) -> aiosqlite.Connection:
        """The connection that writes."""
        return self._opened()[0]

    @property
    def reads(self) -> aiosqlite.Connection:
        """The connection that only reads."""
        return self._opened()[1]

    async def transact(self, statements: Iterable[Statement]) -> int:
        """Run statements in one transaction, all or none, made on the thread that runs them.

        Returns how many rows the last of them touched.
        """
        cursor = await self.writes.executemany(_TRANSACTION, statements)
        return cursor.rowcount

    @contextmanager
    def translated(self, room: str = "") -> Generator[None]:
        """Raise SQLite's errors as a store's."""
        try:
            yield
        except FAILURES as error:
            raise from_sqlite(error, self.path, room) from error

    async def _connect(self, stack: AsyncExitStack) -> tuple[aiosqlite.Connection, aiosqlite.Connection]:
        writes = await self._connection(stack)
        await migrate(writes, self.path)
        await self._configure(writes)
        reads = await self._connection(stack)
        await reads.execute("PRAGMA query_only = ON")
        await reads.execute_fetchall("PRAGMA user_version")  # whatever is read first makes the files beside it
        return writes, reads

    async def _connection(self, stack: AsyncExitStack) -> aiosqlite.Connection:
        # Never created here: where the file has vanished, an empty one would be served as if it were all there is.
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        factory = partial(_AtomicConnection, self.path)
        connection = await stack.enter_async_context(
            aiosqlite.connect(address, uri=True, isolation_level=None, timeout=BUSY_SECONDS, factory=factory)
        )
        await connection.create_function("comity_checksum", 5, checksum, deterministic=True)
        return connection

    async def _configure(self, writes: aiosqlite.Connection) -> None:
        ((mode,),) = await writes.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreUnwritableError(
                "its file system cannot hold a write-ahead log",
                subject=str(self.path),
                remedy="put the data directory on a local disk",
            )
        await writes.execute(f"PRAGMA synchronous = {SYNCHRONOUS[self._durability]}")
        await writes.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        # Read by macOS only, where fsync alone does not reach the platter.
        await writes.execute(f"PRAGMA fullfsync = {self._durability == 'fsync'}")
        # What was deleted must not be read from the file's free pages: erasure is a promise.
        await writes.execute("PRAGMA secure_delete = ON")

    def _opened(self) -> tuple[aiosqlite.Connection, aiosqlite.Connection]:
        if self._connections is None:
            raise not_open(str(self.path))
        return self._connections


async def _probe(writes: aiosqlite.Connection) -> None:
    """Write to a database without changing it."""
    ((version,),) = await writes.execute_fetchall("PRAGMA user_version")
    await writes.executemany(_TRANSACTION, [(f"PRAGMA user_version = {version}", ())])


@cache
def _files(path: Path) -> tuple[str, ...]:
    """Return the files of a database, as ``Places`` has them."""
    return str(path), f"{path}-wal", f"{path}-shm", str(lock_file(path))


def places_of(path: Path) -> Places:
    """Return where the files of a database lie."""
    return Places(*map(place_of, _files(path)))


def _out_of_place(path: Path) -> StoreUnwritableError:
    return StoreUnwritableError(
        "the database is gone or not complete, or another one is in its place",
        subject=str(path),
        remedy="put it back, or stop the server and restore a backup",
    )
