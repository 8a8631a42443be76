"""Rebuilding a room from stored rows, and telling rows that are not what was written."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from .errors import CorruptRecordError
from .records import Checkpoint, Loaded, Tombstone

SNAPSHOT: Final = 0
UPDATE: Final = 1
HEAD: Final = 2


class Row(NamedTuple):
    """A row of a load: a snapshot, then updates in order, then where the log ends, if that was noted."""

    kind: int
    seq: int
    payload: bytes
    sound: int


def is_damaged_snapshot(rows: list[Row]) -> bool:
    """Tell whether the snapshot that these rows build on is unsound, so that an older one is to be tried."""
    return bool(rows) and rows[0].kind == SNAPSHOT and not rows[0].sound


def assemble(room: str, lineage: str, rows: list[Row], *, skipped: int) -> Loaded:
    """Return what the rows of a load add up to, after ``skipped`` snapshots were found damaged.

    Raises:
        CorruptRecordError: the room's beginning is not there, so that nothing can be built on.
    """
    base = rows[0] if rows and rows[0].kind == SNAPSHOT else None
    start = base.seq if base else 0
    updates = [row for row in rows if row.kind == UPDATE]
    tail, damage = _sound(room, start + 1, updates)
    end = start + len(tail)
    damage = damage or _hidden(room, end, rows)
    if damage is not None and base is None and not tail and (skipped or (updates and updates[0].seq != 1)):
        what = "its snapshot is damaged, and the log begins after it"
        raise CorruptRecordError(what, room=room) if skipped else damage
    size = sum(map(len, tail))
    return Loaded(lineage, base and base.payload, start, tuple(tail), end, size, damage, skipped)


def _sound(room: str, first: int, updates: list[Row]) -> tuple[list[bytes], CorruptRecordError | None]:
    """Return the payloads before the first update that is damaged or missing, and that damage."""
    try:
        check_log(room, first, ((row.seq, row.sound) for row in updates))
    except CorruptRecordError as error:
        return [row.payload for row in updates[: error.seq - first]], error
    return [row.payload for row in updates], None


def _hidden(room: str, end: int, rows: list[Row]) -> CorruptRecordError | None:
    """Return the damage of a log whose last rows are not found any more."""
    head = rows[-1] if rows and rows[-1].kind == HEAD and rows[-1].sound else None
    return missing(room, end + 1) if head is not None and head.seq > end else None


def check_log(room: str, first: int, records: Iterable[tuple[int, int]]) -> None:
    """Check that (seq, sound) pairs are sound and count up from ``first`` without a gap.

    Raises:
        CorruptRecordError: the first that is not.
    """
    for expected, (seq, sound) in enumerate(records, first):
        if seq != expected:
            raise missing(room, expected)
        if not sound:
            raise CorruptRecordError("the record does not fit its checksum", room=room, seq=seq)


def missing(room: str, seq: int) -> CorruptRecordError:
    """Return the error of an update that should be there."""
    return CorruptRecordError("the record is missing", room=room, seq=seq)


def checkpoints_of(rows: Iterable[Any]) -> list[Checkpoint]:
    """Return the sound ones of stored checkpoints."""
    return [
        Checkpoint(name.decode(), seq, kind.decode(), author.decode(), at, note.decode())
        for name, seq, kind, author, at, note, sound in rows
        if sound
    ]


def tombstones_of(rows: Iterable[Any]) -> list[Tombstone]:
    """Return the sound ones of stored tombstones."""
    return [
        Tombstone(room.decode(), lineage.decode(), at, vector) for room, lineage, at, vector, sound in rows if sound
    ]
