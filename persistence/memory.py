"""A store in memory: for tests, and for servers whose rooms need not outlive them."""

from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Self

from .errors import StoreInUseError, not_open, sequence_error
from .records import (
    Append,
    Base,
    Checkpoint,
    Erased,
    Loaded,
    Record,
    RoomRow,
    Snapshot,
    Tombstone,
    Version,
)
from .store import RECORDS_LIMIT


class _Room:
    """One room: its log is gapless and ends at ``last``; its snapshots are keyed by sequence number."""

    def __init__(self, lineage: str, created: int) -> None:
        self.lineage = lineage
        self.created = created
        self.log: list[Record] = []
        self.snapshots: dict[int, tuple[bytes, int]] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.attributes: dict[str, bytes] = {}

    @property
    def last(self) -> int:
        return max(self.log[-1].seq if self.log else 0, max(self.snapshots, default=0))

    @property
    def beginning(self) -> int:
        """The oldest version that can be seen."""
        return self.log[0].seq - 1 if self.log else self.last

    def row(self, name: str) -> RoomRow:
        return RoomRow(name, self.lineage, self.created, self.last, self.log[-1].at if self.log else None)

    def after(self, seq: int) -> list[Record]:
        first = self.log[0].seq if self.log else 1
        return self.log[max(seq + 1 - first, 0) :]

    def size(self, after: int, until: int) -> int:
        """Return the bytes of the updates after one, up to another."""
        return sum(len(record.update) for record in self.after(after) if record.seq <= until)

    def pinned(self) -> set[int]:
        """Return the sequence numbers that checkpoints name."""
        return {checkpoint.seq for checkpoint in self.checkpoints.values()}

    def thin(self) -> None:
        """Delete the third newest snapshot unless it is worth keeping; see ``Store.snapshot``."""
        *older, third = sorted(self.snapshots)[:-2] or [0]
        before = older[-1] if older else 0
        needed = self.pinned() | ({self.log[0].seq - 1} if self.log else set())
        if third and third not in needed and len(self.snapshots[third][0]) > self.size(before, third):
            del self.snapshots[third]

    def retirable(self, before: int, at_before: int) -> int:
        """Return the snapshot whose updates may go; see ``Store.retire``."""
        young = next((record.seq for record in self.log if record.at >= at_before), self.last + 1)
        needed = [self.base(seq) for seq in self.pinned() if seq not in self.snapshots]
        limit = min(before - 1, young - 1, *sorted(self.snapshots)[-2:-1] or [0], *needed)
        return self.base(limit)

    def base(self, seq: int) -> int:
        return max((each for each in self.snapshots if each <= seq), default=0)


class MemoryStore:
    """A store whose contents live as long as the object, also across leaving and entering it again."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._tombstones: dict[tuple[str, str], Tombstone] = {}
        self._open = False

    async def __aenter__(self) -> Self:
        """Open the store."""
        if self._open:
            raise StoreInUseError("already open", subject="memory store", remedy="give each server its own")
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self._open = False

    async def recover(self) -> bool:
        """Return False: memory does not fail; see ``Store.recover``."""
        self._opened()
        return False

    # Rooms ------------------------------------------------------------------------------------------------------

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room; see ``Store.create``."""
        self._opened().setdefault(room, _Room(lineage, at))

    async def begin(self, room: str, lineage: str, at: int, base: Base) -> None:
        """Create a room whose log begins after a state; see ``Store.begin``."""
        rooms = self._opened()
        if room in rooms:
            raise sequence_error(room, base.seq, rooms[room].last)
        rooms[room] = _Room(lineage, at)
        rooms[room].snapshots[base.seq] = base.state or b"", at

    async def adopt(self, room: str, lineage: str) -> None:
        """Give a room another lineage; see ``Store.adopt``."""
        if (held := self._opened().get(room)) is not None:
            held.lineage = lineage

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms; see ``Store.rooms``."""
        return [held.row(name) for name, held in sorted(self._opened().items())]

    async def erase(self, room: str, state_vector: bytes, at: int) -> Erased | None:
        """Remove everything of a room and leave a tombstone; see ``Store.erase``."""
        held = self._opened().pop(room, None)
        if held is None:
            return None
        self._tombstones.setdefault((room, held.lineage), Tombstone(room, held.lineage, at, state_vector))
        size = held.size(0, held.last) + sum(len(state) for state, _ in held.snapshots.values())
        return Erased(len(held.log), len(held.snapshots), len(held.checkpoints), size)

    async def scrub(self) -> None:
        """Return: nothing is left in memory that was deleted; see ``Store.scrub``."""
        self._opened()

    async def tombstones(self, room: str | None = None) -> list[Tombstone]:
        """Return what is left of erased rooms; see ``Store.tombstones``."""
        self._opened()
        return [each for each in self._tombstones.values() if room in (None, each.room)]

    async def bury(self, tombstone: Tombstone) -> None:
        """Store a tombstone; see ``Store.bury``."""
        self._opened()
        self._tombstones.setdefault((tombstone.room, tombstone.lineage), tombstone)

    async def attributes(self, room: str) -> dict[str, bytes]:
        """Return what was noted of a room; see ``Store.attributes``."""
        held = self._opened().get(room)
        return {} if held is None else dict(sorted(held.attributes.items()))

    async def attributed(self, key: str) -> dict[str, bytes]:
        """Return what was noted under a key, by room; see ``Store.attributed``."""
        rooms = sorted(self._opened().items())
        return {name: held.attributes[key] for name, held in rooms if key in held.attributes}

    async def note(self, room: str, key: str, value: bytes | None) -> None:
        """Note something of a room; see ``Store.note``."""
        held = self._held(room, 0)
        if value is None:
            held.attributes.pop(key, None)
        else:
            held.attributes[key] = value

    # The log ----------------------------------------------------------------------------------------------------

    async def load(self, room: str) -> Loaded | None:
        """Return a room's snapshot and tail; see ``Store.load``."""
        held = self._opened().get(room)
        if held is None:
            return None
        base = max(held.snapshots, default=0)
        tail = tuple(record.update for record in held.after(base))
        snapshot = held.snapshots[base][0] if base in held.snapshots else None
        return Loaded(held.lineage, snapshot, base, tail, held.last, sum(map(len, tail)))

    async def append(self, batch: Sequence[Append]) -> None:
        """Store updates, all or none; see ``Store.append``."""
        rooms = self._opened()
        last = {room: rooms[room].last for room, *_ in batch if room in rooms}
        for entry in batch:
            if entry.room not in last or entry.seq != last[entry.room] + 1:
                raise sequence_error(entry.room, entry.seq, last.get(entry.room))
            last[entry.room] = entry.seq
        for room, seq, update, author, at in batch:
            rooms[room].log.append(Record(seq, update, author, at))

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return a page of a room's log; see ``Store.records``."""
        held = self._opened().get(room)
        return [] if held is None else list(islice(held.after(after), max(limit, 0)))

    async def versions(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Version]:
        """Return a page of a room's log without the updates; see ``Store.versions``."""
        page = await self.records(room, after, limit)
        return [Version(seq, author, at, len(update)) for seq, update, author, at in page]

    async def version_at(self, room: str, at: int) -> int:
        """Return the newest update that is not younger than a time; see ``Store.version_at``."""
        held = self._opened().get(room)
        return max((record.seq for record in held.log if record.at <= at), default=0) if held else 0

    async def replace(self, room: str, records: Sequence[Record]) -> None:
        """Put other updates in place of some; see ``Store.replace``."""
        held = self._opened().get(room)
        log = {record.seq: record for record in held.log} if held else {}
        for record in records:
            if record.seq not in log:
                raise sequence_error(room, record.seq, held.last if held else None)
            log[record.seq] = record
        if held is not None:
            held.log = list(log.values())

    async def cut(self, room: str, after: int) -> int:
        """Delete what comes after an update; see ``Store.cut``."""
        held = self._opened().get(room)
        if held is None:
            return 0
        gone = held.after(after)
        del held.log[len(held.log) - len(gone) :]
        held.snapshots = {seq: kept for seq, kept in held.snapshots.items() if seq <= after}
        held.checkpoints = {name: kept for name, kept in held.checkpoints.items() if kept.seq <= after}
        return len(gone)

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates; see ``Store.retire``."""
        held = self._opened().get(room)
        end = 0 if held is None else held.retirable(before, at_before)
        if held is None or not held.log or end < held.log[0].seq:
            return 0
        count = end - held.log[0].seq + 1
        del held.log[:count]
        kept = held.pinned()
        held.snapshots = {seq: each for seq, each in held.snapshots.items() if seq >= end or seq in kept}
        return count

    # Snapshots and checkpoints ----------------------------------------------------------------------------------

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store a snapshot; see ``Store.snapshot``."""
        held = self._held(room, seq)
        held.snapshots[seq] = state, at
        held.thin()

    async def snapshots(self, room: str) -> list[Snapshot]:
        """Return a room's snapshots; see ``Store.snapshots``."""
        held = self._opened().get(room)
        kept = sorted(held.snapshots.items()) if held else []
        return [Snapshot(seq, at, len(state), True) for seq, (state, at) in kept]

    async def base(self, room: str, seq: int) -> Base:
        """Return the newest snapshot up to an update; see ``Store.base``."""
        held = self._opened().get(room)
        found = held.base(seq) if held else 0
        state = held.snapshots.get(found) if held else None
        return Base(found, state and state[0])

    async def add_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Store a checkpoint; see ``Store.add_checkpoint``."""
        held = self._reaching(room, checkpoint)
        return held.checkpoints.setdefault(checkpoint.name, checkpoint) is checkpoint

    async def replace_checkpoint(self, room: str, checkpoint: Checkpoint) -> bool:
        """Put another checkpoint in place of one; see ``Store.replace_checkpoint``."""
        held = self._reaching(room, checkpoint)
        if checkpoint.name not in held.checkpoints:
            return False
        held.checkpoints[checkpoint.name] = checkpoint
        return True

    async def checkpoints(self, room: str) -> list[Checkpoint]:
        """Return a room's checkpoints; see ``Store.checkpoints``."""
        held = self._opened().get(room)
        kept = list(held.checkpoints.values()) if held else []
        return sorted(kept, key=lambda each: (each.seq, each.at, each.name.encode()))

    async def drop_checkpoint(self, room: str, name: str) -> bool:
        """Delete a checkpoint; see ``Store.drop_checkpoint``."""
        held = self._opened().get(room)
        return held is not None and held.checkpoints.pop(name, None) is not None

    def _reaching(self, room: str, checkpoint: Checkpoint) -> _Room:
        """Return a room that has the state of a checkpoint. Raises SequenceError."""
        held = self._held(room, checkpoint.seq)
        if checkpoint.seq not in held.snapshots and checkpoint.seq < held.beginning:
            raise sequence_error(room, checkpoint.seq, held.last)
        return held

    def _held(self, room: str, seq: int) -> _Room:
        """Return a room whose log reaches an update. Raises SequenceError."""
        held = self._opened().get(room)
        if held is None or not 0 <= seq <= held.last:
            raise sequence_error(room, seq, None if held is None else held.last)
        return held

    def _opened(self) -> dict[str, _Room]:
        if not self._open:
            raise not_open("memory store")
        return self._rooms
