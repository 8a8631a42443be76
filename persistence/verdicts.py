"""What is right and what is damaged in a database, room by room."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Verdict = Literal["sound", "recoverable", "lost"]
Kind = Literal["room", "record", "snapshot", "beginning", "head", "checkpoint", "attribute"]


class Damage(NamedTuple):
    """Something of a room that is not what was written: which, for records the first and the last, and how."""

    kind: Kind
    what: str
    first: int = 0
    last: int = 0

    def __str__(self) -> str:
        numbers = f" {self.first}" if self.first == self.last else f"s {self.first} to {self.last}"
        return f"{self.kind}{numbers if self.first or self.last else ''}: {self.what}"


class Kept(NamedTuple):
    """The part of a room's log that is whole: the snapshot it builds on, 0 for none, and its last record."""

    base: int
    end: int


@dataclass(slots=True)
class Runs:
    """Sequence numbers that came in order, as ranges without a gap."""

    ranges: list[tuple[int, int]] = field(default_factory=list)

    def add(self, seq: int) -> None:
        """Add a number above all that were added."""
        if self.ranges and self.ranges[-1][1] == seq - 1:
            self.ranges[-1] = self.ranges[-1][0], seq
        else:
            self.ranges.append((seq, seq))

    def reach(self, seq: int) -> int:
        """Return how far the numbers go on right after one."""
        return next((last for first, last in self.ranges if first <= seq + 1 <= last), seq)

    def count(self, after: int) -> int:
        """Return how many numbers there are above one."""
        return sum(last - max(first - 1, after) for first, last in self.ranges if last > after)


@dataclass(slots=True)
class Findings:
    """What was read of a room, and judged piece by piece.

    Attributes:
        sound: the records that are what was written.
        unsound: those that are not.
        snapshots: whether each snapshot is sound, by sequence number.
        beginning: the update after which the log begins, 0 for none; None if the note of it is damaged, or there are no
        such notes yet.
        head: where it is noted that the log ends; None if it is not, or that is damaged.
        damage: what else is damaged.
    """

    sound: Runs = field(default_factory=Runs)
    unsound: Runs = field(default_factory=Runs)
    snapshots: dict[int, bool] = field(default_factory=dict)
    beginning: int | None = None
    head: int | None = None
    damage: list[Damage] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Where the log ended when all was well, as far as that can be told."""
        known = [last for _, last in self.sound.ranges]
        known += [seq for seq, is_sound in self.snapshots.items() if is_sound]
        if self.head is not None:
            return max((self.head, *known))
        return max((*known, *(last for _, last in self.unsound.ranges)), default=0)

    @property
    def kept(self) -> Kept:
        """The newest state that can be had whole, on the oldest base that leads to it."""
        bases = [0, *(seq for seq, is_sound in self.snapshots.items() if is_sound)]
        end = max(self.sound.reach(base) for base in bases)
        return Kept(min(base for base in bases if self.sound.reach(base) == end), end)

    def damages(self) -> tuple[Damage, ...]:
        """Return all that is damaged."""
        records = [Damage("record", "it does not fit its checksum", *each) for each in self.unsound.ranges]
        records += [Damage("record", "missing", *each) for each in self._missing()]
        snapshots = [
            Damage("snapshot", "it does not fit its checksum", seq, seq)
            for seq, is_sound in sorted(self.snapshots.items())
            if not is_sound
        ]
        return (*self.damage, *sorted(records, key=lambda each: each.first), *snapshots)

    def _missing(self) -> Iterable[tuple[int, int]]:
        known = sorted([*self.sound.ranges, *self.unsound.ranges])
        seq = self._beginning(known[0][0] if known else self.end + 1)
        for first, last in known:
            if first > seq:
                yield seq, first - 1
            seq = max(seq, last + 1)
        if seq <= self.end:
            yield seq, self.end

    def _beginning(self, first: int) -> int:
        """Return where a log begins whose first record that is there has a number."""
        if self.beginning is not None:
            return self.beginning + 1
        return max((seq for seq in self.snapshots if seq < first), default=0) + 1


class RoomReport(NamedTuple):
    """What is right and what is damaged in a room.

    ``id`` is its number in the database. ``records`` is how many are sound. ``end`` is where its log ended when all was
    well, ``kept`` the newest state that can be had whole, and ``after`` how many sound records there are beyond that.
    """

    id: int
    room: str
    verdict: Verdict
    records: int
    end: int
    kept: Kept
    after: int
    damage: tuple[Damage, ...]


def judge(number: int, room: str, findings: Findings) -> RoomReport:
    """Return what was found in a room of a number and a name, and what that means."""
    kept, end, damage = findings.kept, findings.end, findings.damages()
    verdict: Verdict = "lost" if kept.end < end else "recoverable" if damage else "sound"
    sound = findings.sound
    return RoomReport(number, room, verdict, sound.count(0), end, kept, sound.count(kept.end), damage)


class Report(NamedTuple):
    """What is right and what is damaged in a database.

    ``structure`` is what SQLite says of the file: where there is anything, rooms are reported as they are found without
    its help. ``strays`` counts what belongs to no room, ``tombstones`` those that are damaged.
    """

    structure: tuple[str, ...]
    rooms: tuple[RoomReport, ...]
    strays: int
    tombstones: int

    @property
    def is_sound(self) -> bool:
        """Whether everything is what was written."""
        is_whole = not (self.structure or self.strays or self.tombstones)
        return is_whole and all(room.verdict == "sound" for room in self.rooms)
