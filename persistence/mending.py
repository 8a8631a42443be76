"""Making rooms of a damaged database whole again: what cannot be trusted, or kept for want of it, is deleted."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from . import notes, queries
from .checksum import checksum
from .records import Record
from .verdicts import Kept

# Each needs the room's name, its id, and its log's base and end.
_RECORDS: Final = f"room = ?2 AND NOT (seq > ?3 AND seq <= ?4 AND {queries.SOUND_UPDATE})"
_NAMED: Final = f"SELECT seq FROM checkpoints WHERE room = ?2 AND {notes.SOUND_CHECKPOINT}"
_SNAPSHOTS: Final = f"""
    room = ?2 AND NOT ({queries.SOUND_SNAPSHOT} AND seq <= ?4 AND (seq >= ?3 OR seq IN ({_NAMED})))"""
_CHECKPOINTS: Final = f"""
    room = ?2 AND NOT ({notes.SOUND_CHECKPOINT} AND seq <= ?4
    AND (seq >= ?3 OR seq IN (SELECT seq FROM snapshots WHERE room = ?2)))"""
_ATTRIBUTES: Final = f"room = ?2 AND ?3 <= ?4 AND NOT ({notes.SOUND_ATTRIBUTE})"

_LEGIBLE: Final = f"SELECT CAST(author AS BLOB), CAST(at AS INTEGER) FROM updates WHERE {_RECORDS}"

# (name, room id, after) -> the fields of `Record`, the author as bytes: records that are sound
_SOUND_AFTER: Final = f"""
    SELECT CAST(seq AS INTEGER), CAST("update" AS BLOB), CAST(author AS BLOB), CAST(at AS INTEGER) FROM updates
    WHERE room = ?2 AND seq > ?3 AND {queries.SOUND_UPDATE} ORDER BY seq"""
_SOUND_STATE: Final = f"""
    SELECT CAST(state AS BLOB) FROM snapshots WHERE room = ?2 AND seq = ?3 AND {queries.SOUND_SNAPSHOT}"""

_NAME: Final = "SELECT CAST(name AS BLOB) FROM rooms WHERE id = ?1"
_SOUND_ROOM: Final = f"SELECT {queries.SOUND_ROOM} FROM rooms WHERE id = ?1"
_RENEW: Final = "UPDATE rooms SET name = CAST(?2 AS TEXT), lineage = ?3, created = ?4, checksum = ?5 WHERE id = ?1"
_DROP_BOUNDS: Final = ("DELETE FROM heads WHERE room = ?1", "DELETE FROM beginnings WHERE room = ?1")

# (name) -> its id and where its log ends, in another database
_SOURCE: Final = """
    SELECT id, max(coalesce((SELECT max(seq) FROM {0}.updates WHERE room = each.id), 0),
        coalesce((SELECT max(seq) FROM {0}.snapshots WHERE room = each.id), 0))
    FROM {0}.rooms AS each WHERE name = CAST(?1 AS TEXT)"""
# (room id, its id in another database)
_TAKE: Final = """
    UPDATE rooms SET (lineage, created, checksum) =
        (SELECT lineage, created, checksum FROM {0}.rooms AS each WHERE each.id = ?2)
    WHERE id = ?1"""
_COPIED: Final = {
    "updates": 'seq, at, checksum, author, "update"',
    "snapshots": "seq, at, checksum, state",
    "checkpoints": "name, seq, kind, author, at, note, checksum",
    "attributes": "key, checksum, value",
}

_STRAY: Final = "DELETE FROM {} WHERE room NOT IN (SELECT id FROM rooms)"
_TOMBSTONES: Final = f"DELETE FROM tombstones WHERE NOT ({notes.SOUND_TOMBSTONE})"


class Removed(NamedTuple):
    """What was deleted of a room; of the records, as far as legible, the ``authors`` and their times in ms."""

    records: int
    snapshots: int
    checkpoints: int
    attributes: int
    authors: tuple[str, ...]
    since: int | None
    until: int | None


class Patient:
    """A room of a damaged database that is being mended.

    Args:
        database: the open database, in a transaction.
        number: the room's id.
    """

    def __init__(self, database: sqlite3.Connection, number: int) -> None:
        self._database = database
        self._id = number
        ((self._name,),) = database.execute(_NAME, (number,))

    def is_known(self) -> bool:
        """Tell whether the room's own row is what was written."""
        ((is_sound,),) = self._database.execute(_SOUND_ROOM, (self._id,))
        return bool(is_sound)

    def state(self, seq: int) -> bytes | None:
        """Return the state of a sound snapshot, None for the room's beginning."""
        rows = self._database.execute(_SOUND_STATE, (self._name, self._id, seq)).fetchall()
        return rows[0][0] if rows else None

    def sound_records(self, after: int) -> Iterator[Record]:
        """Yield the records above a number that are what was written."""
        for seq, update, author, at in self._database.execute(_SOUND_AFTER, (self._name, self._id, after)):
            yield Record(seq, update, author.decode(), at)

    def keep(self, kept: Kept) -> Removed:
        """Delete all that is not sound, or beyond what is to be kept."""
        values = self._name, self._id, *kept
        legible = self._database.execute(_LEGIBLE, values).fetchall()
        times = [at for _, at in legible]
        records = self._delete("updates", _RECORDS, values)
        snapshots = self._delete("snapshots", _SNAPSHOTS, values)
        checkpoints = self._delete("checkpoints", _CHECKPOINTS, values)
        attributes = self._delete("attributes", _ATTRIBUTES, values)
        authors = tuple(sorted({(author or b"").decode(errors="replace") for author, _ in legible}))
        since, until = min(times, default=None), max(times, default=None)
        return Removed(records, snapshots, checkpoints, attributes, authors, since, until)

    def renew(self, lineage: str, at: int) -> None:
        """Give the room another row of its own, the old one of which is not to be trusted."""
        fits = checksum(self._name, 0, lineage.encode(), at, b"")
        self._database.execute(_RENEW, (self._id, self._name, lineage, at, fits))

    def append(self, record: Record) -> None:
        """Store a record after the last."""
        seq, update, author, at = record
        fits = checksum(self._name, seq, author.encode(), at, update)
        self._database.execute(queries.append(1), (self._id, seq, at, fits, author, update))

    def take(self, source: str) -> int:
        """Take the room as it is in another database, attached under a name; return where its log ends there."""
        ((room, end),) = self._database.execute(_SOURCE.format(source), (self._name,))
        for table in notes.OF_ROOMS:
            self._database.execute(f"DELETE FROM {table} WHERE room = ?", (self._id,))
        for table, columns in _COPIED.items():
            copied = f"INSERT INTO {table} (room, {columns}) SELECT ?1, {columns} FROM {source}.{table} WHERE room = ?2"
            self._database.execute(copied, (self._id, room))
        self._database.execute(_TAKE.format(source), (self._id, room))
        return int(end)

    def conclude(self) -> None:
        """Note where the log begins and ends."""
        for statement in _DROP_BOUNDS:
            self._database.execute(statement, (self._id,))
        for statement in (queries.HEAD_ANEW, queries.BEGINNING_ANEW):
            self._database.execute(statement, (self._name.decode(errors="replace"),))

    def _delete(self, table: str, which: str, values: tuple[Any, ...]) -> int:
        return self._database.execute(f"DELETE FROM {table} WHERE {which}", values).rowcount


def drop_strays(database: sqlite3.Connection) -> int:
    """Delete what belongs to no room, and tombstones that are damaged; return how much that was."""
    statements = [*(_STRAY.format(table) for table in notes.OF_ROOMS), _TOMBSTONES]
    return sum(database.execute(statement).rowcount for statement in statements)
