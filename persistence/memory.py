"""A store in memory: for tests, and for servers whose rooms need not outlive them."""

from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Self

from .errors import StoreInUseError, not_open, sequence_error
from .records import Append, Loaded, Record, RoomRow
from .store import RECORDS_LIMIT


class _Room:
    """One room: its log is gapless and ends at ``last``; its snapshots are keyed by sequence number."""

    def __init__(self, lineage: str, created: int) -> None:
        self.lineage = lineage
        self.created = created
        self.log: list[Record] = []
        self.snapshots: dict[int, bytes] = {}

    @property
    def last(self) -> int:
        return self.log[-1].seq if self.log else 0

    def row(self, name: str) -> RoomRow:
        return RoomRow(name, self.lineage, self.created, self.last, self.log[-1].at if self.log else None)

    def after(self, seq: int) -> list[Record]:
        first = self.log[0].seq if self.log else 1
        return self.log[max(seq + 1 - first, 0) :]


class MemoryStore:
    """A store whose contents live as long as the object, also across leaving and entering it again."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
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

    async def create(self, room: str, lineage: str, at: int) -> None:
        """Create a room; see ``Store.create``."""
        self._opened().setdefault(room, _Room(lineage, at))

    async def load(self, room: str) -> Loaded | None:
        """Return a room's snapshot and tail; see ``Store.load``."""
        held = self._opened().get(room)
        if held is None:
            return None
        base = max(held.snapshots, default=0)
        tail = tuple(record.update for record in held.after(base))
        return Loaded(held.lineage, held.snapshots.get(base), base, tail, held.last, sum(map(len, tail)))

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

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        """Store a snapshot; see ``Store.snapshot``."""
        held = self._opened().get(room)
        if held is None or not 0 <= seq <= held.last:
            raise sequence_error(room, seq, None if held is None else held.last)
        held.snapshots[seq] = state
        for old in sorted(held.snapshots)[:-2]:
            del held.snapshots[old]

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete a room's oldest updates; see ``Store.retire``."""
        held = self._opened().get(room)
        if held is None or len(held.snapshots) < 2:
            return 0
        end = min(before - 1, min(held.snapshots))
        kept = (n for n, record in enumerate(held.log) if record.seq > end or record.at >= at_before)
        count = next(kept, len(held.log))
        del held.log[:count]
        return count

    async def records(self, room: str, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return a page of a room's log; see ``Store.records``."""
        held = self._opened().get(room)
        return [] if held is None else list(islice(held.after(after), max(limit, 0)))

    async def rooms(self) -> list[RoomRow]:
        """Return all rooms; see ``Store.rooms``."""
        return [held.row(name) for name, held in sorted(self._opened().items())]

    def _opened(self) -> dict[str, _Room]:
        if not self._open:
            raise not_open("memory store")
        return self._rooms
