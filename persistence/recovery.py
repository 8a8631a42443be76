"""Rebuilding a room from stored rows, and refusing rows that are not what was written."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from .errors import CorruptRecordError
from .records import Loaded

SNAPSHOT: Final = 0
UPDATE: Final = 1


class Row(NamedTuple):
    """A row of a load: a snapshot, then updates in order, then the last sequence number of the log."""

    kind: int
    seq: int
    payload: bytes
    sound: int


def is_damaged_snapshot(rows: list[Row]) -> bool:
    """Tell whether the snapshot that these rows build on is unsound, so that an older one is to be tried."""
    return rows[0].kind == SNAPSHOT and not rows[0].sound


def assemble(room: str, lineage: str, rows: list[Row], *, skipped: int) -> Loaded:
    """Return what the rows of a load add up to, after ``skipped`` snapshots were found damaged.

    Raises:
        CorruptRecordError: an update is damaged or missing.
    """
    base = rows[0] if rows[0].kind == SNAPSHOT else None
    start = base.seq if base else 0
    last = rows[-1].seq
    tail = rows[1 if base else 0 : -1]
    if skipped and (tail[0].seq if tail else last + 1) != start + 1:
        raise CorruptRecordError("its snapshot is damaged, and the log begins after it", room=room)
    check_log(room, start + 1, ((row.seq, row.sound) for row in tail))
    if last != start + len(tail):
        raise CorruptRecordError("the log ends before the snapshot", room=room, seq=last + 1)
    updates = tuple(row.payload for row in tail)
    return Loaded(lineage, base and base.payload, start, updates, last, sum(map(len, updates)))


def check_log(room: str, first: int, records: Iterable[tuple[int, int]]) -> None:
    """Check that (seq, sound) pairs are sound and count up from ``first`` without a gap.

    Raises:
        CorruptRecordError: the first that is not.
    """
    for expected, (seq, sound) in enumerate(records, first):
        if seq != expected:
            raise CorruptRecordError("the record is missing", room=room, seq=expected)
        if not sound:
            raise CorruptRecordError("the record does not fit its checksum", room=room, seq=seq)
