"""Reading every row of a database whose structure is sound, and telling which are what was written."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from . import notes, queries
from .progress import Progress
from .verdicts import Damage, Findings, Kind, Report, RoomReport, judge

# Between two words on how far it has come, some 10 ms.
_TOLD_RECORDS: Final = 1_000

# -> id, name as bytes, sound
_ROOMS: Final = (
    f"SELECT id, CAST(name AS BLOB), {queries.SOUND_ROOM} FROM rooms WHERE NOT ({notes.IS_HIDDEN}) ORDER BY 2"
)

# (name, room id) -> seq, sound; of heads (room id)
_UPDATES: Final = f"SELECT CAST(seq AS INTEGER), {queries.SOUND_UPDATE} FROM updates WHERE room = ?2 ORDER BY seq"
_SNAPSHOTS: Final = f"SELECT CAST(seq AS INTEGER), {queries.SOUND_SNAPSHOT} FROM snapshots WHERE room = ?2"
_BEGINNINGS: Final = f"SELECT CAST(seq AS INTEGER), {queries.SOUND_BEGINNING} FROM beginnings WHERE room = ?1"
_HEADS: Final = f"SELECT CAST(seq AS INTEGER), {queries.SOUND_HEAD} FROM heads WHERE room = ?1"

# (name, room id) -> how many are damaged
_NOTES: Final[dict[Kind, str]] = {
    "checkpoint": f"SELECT count(*) FROM checkpoints WHERE room = ?2 AND NOT ({notes.SOUND_CHECKPOINT})",
    "attribute": f"SELECT count(*) FROM attributes WHERE room = ?2 AND NOT ({notes.SOUND_ATTRIBUTE})",
}
_TOMBSTONES: Final = f"SELECT count(*) FROM tombstones WHERE NOT ({notes.SOUND_TOMBSTONE})"


class Inspection:
    """One reading of a database.

    Args:
        database: the open database, in a transaction.
        on_progress: told of records.
    """

    def __init__(self, database: sqlite3.Connection, on_progress: Progress) -> None:
        self._database = database
        self._on_progress = on_progress
        self._tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        self._total = self._count("SELECT count(*) FROM updates")
        self._done = 0

    def report(self) -> Report:
        """Return what is right and what is damaged. Raises sqlite3.Error."""
        rooms = tuple(self._room(*row) for row in self._database.execute(_ROOMS).fetchall())
        strays = sum(self._count(_strays(table)) for table in notes.OF_ROOMS if table in self._tables)
        tombstones = self._count(_TOMBSTONES) if "tombstones" in self._tables else 0
        self._on_progress(self._done % _TOLD_RECORDS, self._total)
        return Report((), rooms, strays, tombstones)

    def _room(self, room: int, name: bytes, is_sound: int) -> RoomReport:
        findings = Findings()
        if not is_sound:
            findings.damage.append(Damage("room", "its own record does not fit its checksum"))
        if "beginnings" in self._tables:
            self._note_beginning(findings, room)
        for seq, is_right in self._rows(_UPDATES, name, room):
            if seq > (findings.beginning or 0):  # what is before is being deleted
                (findings.sound if is_right else findings.unsound).add(seq)
            self._tell()
        findings.snapshots = {seq: bool(is_right) for seq, is_right in self._rows(_SNAPSHOTS, name, room)}
        if findings.beginning and findings.beginning not in findings.snapshots:
            findings.damage.append(Damage("snapshot", "missing", findings.beginning, findings.beginning))
        if "heads" in self._tables:
            self._note_head(findings, room)
            self._note_rest(findings, name, room)
        return judge(room, name.decode(errors="replace"), findings)

    def _note_beginning(self, findings: Findings, room: int) -> None:
        beginnings = list(self._rows(_BEGINNINGS, room)) or [(0, 1)]
        findings.beginning = next((seq for seq, is_right in beginnings if is_right), None)
        if findings.beginning is None:
            findings.damage.append(Damage("beginning", "the note where the log begins does not fit its checksum"))

    def _note_head(self, findings: Findings, room: int) -> None:
        heads = list(self._rows(_HEADS, room))
        findings.head = next((seq for seq, is_right in heads if is_right), None)
        if heads and findings.head is None:
            findings.damage.append(Damage("head", "the note where the log ends does not fit its checksum"))
        elif findings.head is None and findings.end:
            findings.damage.append(Damage("head", "it is not noted where the log ends"))
        elif findings.head is not None and findings.head < findings.end:
            findings.damage.append(Damage("head", f"it is noted that the log ends at {findings.head}"))

    def _note_rest(self, findings: Findings, name: bytes, room: int) -> None:
        for kind, query in _NOTES.items():
            count = self._count(query, name, room)
            if count:
                findings.damage.append(Damage(kind, f"{count} of them not what was written"))

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        yield from self._database.execute(query, values)

    def _count(self, query: str, *values: Any) -> int:
        ((count,),) = self._database.execute(query, values)
        return int(count)

    def _tell(self) -> None:
        self._done += 1
        if self._done % _TOLD_RECORDS == 0:
            self._on_progress(_TOLD_RECORDS, self._total)


def _strays(table: str) -> str:
    return f"SELECT count(*) FROM {table} WHERE room NOT IN (SELECT id FROM rooms)"
