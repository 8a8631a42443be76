"""A database as it stands at one moment, read beside whoever writes it."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from . import notes, queries
from .checksum import checksum
from .database import BUSY_SECONDS
from .errors import CorruptRecordError, NewerDatabaseError, StoreUnwritableError, not_open
from .failures import FAILURES, from_sqlite
from .records import Checkpoint, Record, Snapshot, Tombstone
from .recovery import check_log, checkpoints_of, missing, tombstones_of
from .schema import APPLICATION_ID, migrations


class Listed(NamedTuple):
    """A room; ``seq`` is its last update's. What is said of it is right only if it is ``sound``."""

    room: str
    lineage: str
    created: int
    seq: int
    sound: bool


class View:
    """One consistent view of a database: everything it returns is of the moment at which it was entered.

    A context manager, to be used on one thread. Nothing is written, and nobody who writes waits for it; what is
    written meanwhile stays in the write-ahead log until the view is left.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the database.

        Raises:
            NewerDatabaseError: a newer version wrote it.
            StoreUnwritableError: there is none, it is none of ours, or it has an older format.
        """
        if not self._path.is_file():
            raise StoreUnwritableError(
                "there is no database", subject=str(self._path), remedy="give the data directory of a server"
            )
        with ExitStack() as stack, self._translated():
            connection = stack.enter_context(closing(self._connect()))
            connection.create_function("comity_checksum", 5, checksum, deterministic=True)
            connection.execute("BEGIN")
            _check_format(connection, self._path)
            self._connection, self._stack = connection, stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self._connection = None
        self._stack.close()

    def rooms(self) -> list[Listed]:
        """Return all rooms by name."""
        with self._translated():
            return [
                Listed(name.decode(errors="replace"), lineage.decode(errors="replace"), created, last, bool(sound))
                for name, lineage, created, last, sound in self._run(queries.LISTING)
            ]

    def beginning(self, room: str) -> int:
        """Return the number of the update after which a room's log begins."""
        with self._translated(room):
            ((seq,),) = self._run(queries.BEGINNING_OF, room)
            return int(seq)

    def records(self, room: str, after: int) -> Iterator[Record]:
        """Yield the updates above ``after``, each checked, in constant memory.

        Raises:
            CorruptRecordError: one of them is damaged or missing; those before it were yielded.
        """
        expected = after + 1
        with self._translated(room):
            for seq, update, author, at, sound, _ in self._run(queries.RECORDS, room, after, -1):
                check_log(room, expected, ((seq, sound),))
                yield Record(seq, update, author.decode(), at)
                expected += 1
            if any(head >= expected for (head,) in self._run(queries.HEAD_OF, room)):
                raise missing(room, expected)

    def checksum(self, room: str, seq: int) -> bytes:
        """Return the checksum that is stored with an update, nothing if there is no such update."""
        with self._translated(room):
            return b"".join(found for (found,) in self._run(queries.CHECKSUM, room, seq))

    def snapshots(self, room: str) -> list[Snapshot]:
        """Return a room's sound snapshots, the oldest first, without their states."""
        with self._translated(room):
            found = [Snapshot(*row) for row in self._run(queries.SNAPSHOTS, room)]
        return [snapshot for snapshot in found if snapshot.sound]

    def state(self, room: str, seq: int) -> tuple[bytes, int]:
        """Return the state of a sound snapshot, and when it was taken, in ms."""
        with self._translated(room):
            for state, at in self._run(queries.STATE, room, seq):
                return state, at
        raise CorruptRecordError("the snapshot is missing", room=room, seq=seq)

    def checkpoints(self, room: str) -> tuple[list[Checkpoint], bool]:
        """Return a room's sound checkpoints, and whether that is all of them."""
        with self._translated(room):
            rows = list(self._run(notes.CHECKPOINTS, room))
        found = checkpoints_of(rows)
        return found, len(found) == len(rows)

    def attributes(self, room: str) -> tuple[dict[str, bytes], bool]:
        """Return what was noted of a room and is sound, and whether that is all of it."""
        with self._translated(room):
            rows = list(self._run(notes.ATTRIBUTES, room))
        found = {key.decode(): value for key, value, sound in rows if sound}
        return found, len(found) == len(rows)

    def tombstones(self) -> list[Tombstone]:
        """Return what is left of erased rooms; what is damaged of it is left out."""
        with self._translated():
            return tombstones_of(self._run(notes.TOMBSTONES))

    def _connect(self) -> sqlite3.Connection:
        address = f"{self._path.resolve().as_uri()}?mode=ro"
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_SECONDS)

    def _run(self, query: str, *values: Any) -> Iterator[Any]:
        if self._connection is None:
            raise not_open(str(self._path))
        return self._connection.execute(query, values)

    @contextmanager
    def _translated(self, room: str = "") -> Generator[None]:
        try:
            yield
        except FAILURES as error:
            raise from_sqlite(error, self._path, room) from error


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    newest = len(migrations())
    if application != APPLICATION_ID:
        raise StoreUnwritableError(
            "the file is no database of Comity", subject=str(path), remedy="give the data directory of a server"
        )
    if version > newest:
        raise NewerDatabaseError(
            f"a newer version wrote this database (format {version}; this one knows up to {newest})",
            subject=str(path),
            remedy="use the version that wrote it, or one after it",
        )
    if version < newest:
        raise StoreUnwritableError(
            f"an older version wrote this database (format {version}; this one reads {newest})",
            subject=str(path),
            remedy="start the server of this version on it once, which brings it up to date",
        )
