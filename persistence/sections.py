"""What of a room goes into a portable file: all that is kept of it, or what came since earlier files."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

from .checksum import CHECKSUM_BYTES
from .compaction import due
from .errors import CorruptRecordError
from .portable import Beginning, Note, PortableWriter, Room, RoomEnd, State, encoded
from .records import Checkpoint, Snapshot
from .view import Listed, View

# Records between two calls that tell of progress.
STEP: Final = 1000

# The attribute of a room that changes when some of its updates are replaced by others.
REDACTED: Final = "redacted"


class Kept(NamedTuple):
    """What files have of a room, so that the next one can go on from there.

    Attributes:
        lineage: the room's.
        to: the number of the last record.
        checksum: that of the last record, in hexadecimal; empty if it is not in the log.
        redacted: the room's attribute of that name, in hexadecimal.
        notes: a digest of its checkpoints and attributes, in hexadecimal.
        pinned: the numbers of the snapshots that checkpoints have from before the log.
        snapshot: the number of the newest snapshot.
        tail: bytes of the records since that one.
        damage: what was damaged of it, empty if nothing was.
    """

    lineage: str
    to: int
    checksum: str
    redacted: str
    notes: str
    pinned: tuple[int, ...]
    snapshot: int
    tail: int
    damage: str


class Section(NamedTuple):
    """What one file has of a room, the records above ``after``; and what the files up to it have."""

    after: int
    is_whole: bool
    kept: Kept


class _Start(NamedTuple):
    """Where the records of a section begin, and whether nothing of earlier files comes before them."""

    after: int
    is_whole: bool


class _Log(NamedTuple):
    """The records of a section: the number of the last one, their bytes, and the damage that ends them."""

    last: int
    size: int
    damage: CorruptRecordError | None


class SectionWriter:
    """Writes rooms of a database into a portable file.

    Args:
        view: the database.
        writer: the file.
        on_records: called now and then, and at the end of each room, with how many records were read since.
    """

    def __init__(self, view: View, writer: PortableWriter, on_records: Callable[[int], None]) -> None:
        self._view = view
        self._writer = writer
        self._on_records = on_records

    def write(self, room: Listed, kept: Kept | None) -> Section | None:
        """Write what is new of a room, or all of it if that does not follow what earlier files have.

        A damaged room is written as far as it is sound: from the first snapshot after the damage if there is one, or up
        to the damage. Returns None, and writes nothing, if nothing is new.

        Raises:
            CorruptRecordError: nothing of the room can be trusted; nothing was written.
        """
        if not room.sound:
            raise CorruptRecordError("the room's own record is damaged", room=room.room)
        notes = _Notes(self._view, room.room)
        if kept is None or not self._follows(room, kept, notes):
            return self._write(room, _Start(self._view.beginning(room.room), True), None, notes)
        if (kept.to, kept.notes, kept.damage) == (room.seq, notes.digest, ""):
            return None
        return self._write(room, _Start(kept.to, False), kept, notes)

    def _follows(self, room: Listed, kept: Kept, notes: "_Notes") -> bool:
        """Tell whether the log goes on from what earlier files have."""
        if (room.lineage, notes.redacted) != (kept.lineage, kept.redacted):
            return False
        if not kept.to:
            return not self._view.beginning(room.room)
        return bool(kept.checksum) and self._view.checksum(room.room, kept.to).hex() == kept.checksum

    def _write(self, room: Listed, start: _Start, kept: Kept | None, notes: "_Notes") -> Section:
        snapshots = {each.seq: each for each in self._view.snapshots(room.room)}
        mark = self._writer.mark()
        log = self._write_log(room, start)
        damage = log.damage
        while log.damage is not None:
            later = next((seq for seq in snapshots if seq > log.last), None)
            if later is None and log.last < start.after:
                self._writer.rewind(mark)
                raise log.damage
            if later is None:
                break
            self._writer.rewind(mark)
            start, kept = _Start(later, True), None
            log = self._write_log(room, start)
        return self._finish(room, start, log, kept, notes, snapshots, notes.damage or str(damage or ""))

    def _write_log(self, room: Listed, start: _Start) -> _Log:
        """Write the beginning of a section, and its records."""
        name, after = room.room, start.after
        has_base = start.is_whole and after > 0
        last, size, untold = after - has_base, 0, 0
        self._writer.write(Room(name, room.lineage, room.created, after, int(start.is_whole)))
        try:
            if has_base:
                state, at = self._view.state(name, after)
                self._writer.write(Beginning(at, state))
                last = after
            for record in self._view.records(name, after):
                self._writer.write(record)
                last, size, untold = record.seq, size + len(record.update), untold + 1
                if untold == STEP:
                    self._on_records(untold)
                    untold = 0
        except CorruptRecordError as error:
            return _Log(last, size, error)
        self._on_records(untold)
        return _Log(last, size, None)

    def _finish(
        self,
        room: Listed,
        start: _Start,
        log: _Log,
        kept: Kept | None,
        notes: "_Notes",
        snapshots: dict[int, Snapshot],
        damage: str,
    ) -> Section:
        """Write what comes after the records of a section."""
        checkpoints = [each for each in notes.checkpoints if _can_be_seen(each.seq, start, log, snapshots)]
        frames: list[Checkpoint | Note] = [*checkpoints, *notes.attributes]
        for frame in frames:
            self._writer.write(frame)
        beginning = start.after if start.is_whole else self._view.beginning(room.room)
        pinned = sorted({each.seq for each in checkpoints if each.seq < beginning} & snapshots.keys())
        for seq in pinned:
            if kept is None or seq not in kept.pinned:
                self._write_state(room.room, seq)
        before, tail = (kept.snapshot, kept.tail) if kept else (start.after, 0)
        newest = max((seq for seq in snapshots if seq <= log.last), default=0)
        tail += log.size
        if newest > before and due(tail, snapshots[newest].size):
            self._write_state(room.room, newest)
            before, tail = newest, 0
        self._writer.write(RoomEnd(log.last, damage))
        found = self._view.checksum(room.room, log.last).hex()
        after = Kept(room.lineage, log.last, found, notes.redacted, notes.digest, tuple(pinned), before, tail, damage)
        return Section(start.after, start.is_whole, after)

    def _write_state(self, room: str, seq: int) -> None:
        state, at = self._view.state(room, seq)
        self._writer.write(State(seq, at, state))


class _Notes:
    """What there is of a room beside its log."""

    def __init__(self, view: View, room: str) -> None:
        self.checkpoints, has_checkpoints = view.checkpoints(room)
        attributes, has_attributes = view.attributes(room)
        self.attributes = [Note(key, value) for key, value in attributes.items()]
        self.redacted = attributes.get(REDACTED, b"").hex()
        self.damage = "" if has_checkpoints and has_attributes else f"room {room!r}: a checkpoint or a note is damaged"

    @property
    def digest(self) -> str:
        """What tells these notes from others."""
        frames: list[Checkpoint | Note] = [*self.checkpoints, *self.attributes]
        said = b"".join(b"%d%b" % encoded(frame) for frame in frames)
        return blake2b(said, digest_size=CHECKSUM_BYTES).hexdigest()


def _can_be_seen(seq: int, start: _Start, log: _Log, snapshots: dict[int, Snapshot]) -> bool:
    """Tell whether a section, after what comes before it, leads to the state as of an update."""
    return seq <= log.last and (not start.is_whole or seq >= start.after or seq in snapshots)
