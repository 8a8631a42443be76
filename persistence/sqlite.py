"""The store of a complete installation: one SQLite file in WAL mode, written by one connection."""

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from . import queries
from .checksum import checksum
from .database import Database, Durability, Statement
from .errors import CorruptRecordError, sequence_error
from .records import Append, Base, Loaded, Record, RoomRow, Snapshot, Version
from .recovery import Row, assemble, check_log, is_damaged_snapshot, missing
from .sqlitenotes import SqliteNotes
from .store import RECORDS_LIMIT

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


class SqliteStore(SqliteNotes):
    """A store in one SQLite file, of which only one may be open at a time, in any process.

    Other processes may read the file meanwhile. One thread writes and another reads, so that loading a large
    room delays no commit.

    Args:
        path: the database file; it and its directory are created when absent. A lock file lies beside it.
        durability: "fsync" survives power cuts, "os" only the death of the process.
    """

    def __init__(self, path: Path, *, durability: Durability = "fsync") -> None:
        super().__init__(Database(path, durability))
        self._tails: dict[str, _Tail] = {}  # of rooms that were written to: nobody else writes

    async def __aenter__(self) -> Self:
        """Lock, open and migrate the database.

        Raises:
            StoreInUseError: another server holds it.
            StoreUnwritableError: the place cannot be written, or the file is no database of ours.
            NewerDatabaseError: a newer version wrote it; it was not changed.
            StoreFullError: there is no space to open it.
        """
        await self._database.open()
        try:
            await self._purge()
            await self._look_for_doubt()
        except BaseException:
            await self._database.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database and release the lock."""
        await self._database.close()

    async def recover(self) -> bool:
        """Open the database anew and write to it; see ``Store.recover``."""
        self._tails.clear()
        is_other = await self._database.recover()
        if is_other:
            await self._look_for_doubt()
        return is_other

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room; see ``Store.create``."""
        with self._translated(room):
            await self._database.transact([(queries.CREATE, (room, lineage, at))])

    async def begin(self, room: str, lineage: str, at: int, base: Base) -> None:
        """Create a room whose log begins after a state; see ``Store.begin``."""
        with self._translated(room):
            last = await self._last(room)
            if last is not None:
                raise sequence_error(room, base.seq, last)
            created = (queries.CREATE, (room, lineage, at))
            begun = (queries.BEGIN, (room, base.seq, base.state or b"", at))
            notes = [(note, (room,)) for note in (queries.HEAD_ANEW, queries.BEGINNING_ANEW)]
            await self._database.transact([created, begun, *notes])

    async def adopt(self, room: str, lineage: str) -> None:
        """Give a room another lineage; see ``Store.adopt``."""
        with self._translated(room):
            await self._database.transact([(queries.ADOPT, (room, lineage))])

    async def load(self, room: str) -> Loaded | None:
        """Return a room's snapshot and tail; see ``Store.load``."""
        with self._translated(room):
            for lineage, sound in await self._fetch(queries.ROOM, room):
                if not sound:
                    raise CorruptRecordError("the room's own record is damaged", room=room)
                return await self._load(room, lineage.decode())
        return None

    async def append(self, batch: Sequence[Append]) -> None:
        """Store updates, all or none; see ``Store.append``.

        What raised is not stored, with one exception: where the sync failed, the whole batch lies in the write-ahead
        log, and is there, whole, if the process dies before anything else is committed. It is never seen before that,
        and gone once an append or ``recover`` succeeded.
        """
        if not batch:
            return
        with self._translated():
            if len(self._tails) > MAX_TAILS:
                self._tails.clear()
            try:
                records = await self._follow(self._tails, batch)
                await self._database.transact(_appending(records))
            except BaseException:
                self._tails.clear()  # nobody knows what became of them
                raise

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store a snapshot; see ``Store.snapshot``."""
        with self._translated(room):
            if not await self._database.transact([(queries.SNAPSHOT, (room, seq, state, at))]):
                raise sequence_error(room, seq, await self._last(room))
            await self._database.transact([(queries.THIN, (room,))])

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates; see ``Store.retire``."""
        with self._translated(room):
            tail = await self._tail(room)
            if tail is None:
                return 0
            ((before_it,),) = await self._fetch(queries.BEGINNING_OF, room)
            await self._database.transact([(queries.RETIRE, (room, before, at_before))])
            ((begun,),) = await self._fetch(queries.BEGINNING_OF, room)
            await self._clear(tail.room)
            await self._database.transact([(queries.RETIRE_SNAPSHOTS, (room,))])
        return int(begun - before_it)

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return a page of a room's log; see ``Store.records``."""
        rows = await self._page(queries.RECORDS, room, after, limit)
        return [Record(seq, update, author.decode(), at) for seq, update, author, at, *_ in rows]

    async def versions(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Version]:
        """Return a page of a room's log without the updates; see ``Store.versions``."""
        rows = await self._page(queries.VERSIONS, room, after, limit)
        return [Version(seq, author.decode(), at, size) for seq, size, author, at, *_ in rows]

    async def version_at(self, room: str, at: int) -> int:
        """Return the newest update that is not younger than a time; see ``Store.version_at``."""
        with self._translated(room):
            rows = await self._fetch(queries.VERSION_AT, room, at)
        check_log(room, rows[0][0] if rows else 0, rows)
        return rows[0][0] if rows else 0

    async def replace(self, room: str, records: Sequence[Record]) -> None:
        """Put other updates in place of some; see ``Store.replace``."""
        with self._translated(room):
            tail = await self._tail(room)
            ((begun,),) = await self._fetch(queries.BEGINNING_OF, room)
            known = range(begun + 1, tail.last + 1) if tail else range(0)
            for record in records:
                if tail is None or record.seq not in known:
                    raise sequence_error(room, record.seq, tail and tail.last)
            await self._database.transact(_replacing(room, tail, records) if tail else ())

    async def cut(self, room: str, after: int) -> int:
        """Delete what comes after an update; see ``Store.cut``."""
        with self._translated(room):
            self._tails.pop(room, None)
            ((count,),) = await self._fetch(queries.COUNT, room, after)
            deletions = [(statement, (room, after)) for statement in queries.CUT]
            notes = [(statement, (room,)) for statement in queries.CUT_ANEW]
            await self._database.transact([*deletions, *notes])
            return int(count)

    async def snapshots(self, room: str) -> list[Snapshot]:
        """Return a room's snapshots; see ``Store.snapshots``."""
        with self._translated(room):
            rows = await self._fetch(queries.SNAPSHOTS, room)
        return [Snapshot(seq, at, size, bool(sound)) for seq, at, size, sound in rows]

    async def base(self, room: str, seq: int) -> Base:
        """Return the newest sound snapshot up to an update; see ``Store.base``."""
        with self._translated(room):
            rows = await self._fetch(queries.BASE, room, seq)
        return Base(*rows[0]) if rows else Base(0, None)

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms; see ``Store.rooms``."""
        with self._translated():
            return [RoomRow(*row) for row in await self._fetch(queries.ROOMS)]

    async def _load(self, room: str, lineage: str) -> Loaded:
        rows = await self._rows(room, 0)
        skipped = 0
        while is_damaged_snapshot(rows):
            skipped += 1
            rows = await self._rows(room, skipped)
        return assemble(room, lineage, rows, skipped=skipped)

    async def _rows(self, room: str, skip: int) -> list[Row]:
        rows = await self._fetch(queries.LOAD, room, skip)
        return sorted((Row(*row) for row in rows), key=itemgetter(0, 1))

    async def _page(self, query: str, room: str, after: int, limit: int) -> list[Any]:
        """Return rows of a log, which have a sequence number, three more fields, and whether they are sound."""
        with self._translated(room):
            ((ended, begun),) = await self._fetch(queries.BOUNDS, room)  # first: what comes meanwhile is beyond it
            rows = await self._fetch(query, room, after, max(limit, 0))
        first = max(after, rows[0][5] if rows else begun, 0) + 1  # of what was retired meanwhile the rows know
        check_log(room, first, ((row[0], row[4]) for row in rows))
        if len(rows) < limit and ended >= first + len(rows):
            raise missing(room, first + len(rows))
        return rows

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

    def _forget(self, room: str) -> None:
        self._tails.pop(room, None)

    async def _tail(self, room: str) -> _Tail | None:
        rows = await self._database.writes.execute_fetchall(queries.LAST, (room,))
        return next((_Tail(*row) for row in rows), None)


def _appending(records: list[_Record]) -> Iterator[Statement]:
    """Return the statements that store records, and where the rooms' logs end then."""
    for rows in _portions([_stored(record) for record in records]):
        yield queries.append(len(rows)), list(chain.from_iterable(rows))
    for rows in _portions([_ended(room, entry) for room, entry in dict(records).items()]):
        yield queries.heads(len(rows)), list(chain.from_iterable(rows))


def _replacing(name: str, tail: _Tail, records: Sequence[Record]) -> Iterator[Statement]:
    """Return the statements that put records in place of others, and note when the last one was written."""
    for record in records:
        yield queries.REPLACE, _replaced(name, tail.room, record)
        if record.seq == tail.last:
            yield queries.heads(1), _ended(tail.room, record)


def _portions(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows in as many as one statement takes."""
    for at in range(0, len(rows), STATEMENT_ROWS):
        yield rows[at : at + STATEMENT_ROWS]


def _ended(room: int, entry: Append | Record) -> tuple[Any, ...]:
    return room, entry.seq, entry.at, checksum(b"", entry.seq, b"", room, b"%d" % entry.at)


def _stored(record: _Record) -> tuple[Any, ...]:
    (name, seq, update, author, at), room = record.entry, record.room
    return room, seq, at, checksum(name.encode(), seq, author.encode(), at, update), author, update


def _replaced(name: str, room: int, record: Record) -> tuple[Any, ...]:
    seq, update, author, at = record
    return room, seq, update, checksum(name.encode(), seq, author.encode(), at, update), author, at
