"""Rooms from portable files: whether their frames make sense, and how they get into a store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .errors import DamagedFileError, SequenceError, sequence_error
from .portable import MAX_SEQ, About, Beginning, Frame, Note, Room, RoomEnd, State, ignore, read_frames
from .records import Append, Base, Checkpoint, Record
from .store import RECORDS_LIMIT, Store

# Appended in one transaction, beside at most as many records as a page has.
BATCH_BYTES: Final = 4 * 1024 * 1024

# What may come after what; docs/backup.md says the same.
_STATES: Final = (State, RoomEnd)
_NOTES: Final = (Note, *_STATES)
_CHECKPOINTS: Final = (Checkpoint, *_NOTES)
_RECORDS: Final = (Record, *_CHECKPOINTS)
_FOLLOWS: Final[dict[type[Frame], tuple[type[Frame], ...]]] = {
    About: (Room,),
    Room: _RECORDS,
    Beginning: _RECORDS,
    Record: _RECORDS,
    Checkpoint: _CHECKPOINTS,
    Note: _NOTES,
    State: _STATES,
    RoomEnd: (Room,),
}


def sound_frames(path: Path, sha256: str = "", on_bytes: Callable[[int], None] = ignore) -> Iterator[Frame]:
    """Yield the frames of a file as ``read_frames`` does, after checking that each may stand where it does.

    Raises:
        DamagedFileError: it is not what was written, or none of ours.
        NewerFileError: a newer version wrote it.
        StoreUnwritableError: it cannot be read.
    """
    order = _Order(path)
    for frame in read_frames(path, sha256, on_bytes):
        order.see(frame)
        yield frame
    order.end()


class _Order:
    """The order of the frames of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: Frame | None = None
        self._rooms: set[str] = set()
        self._last = 0  # update of the room

    def see(self, frame: Frame) -> None:
        """Check the next frame. Raises DamagedFileError if it cannot stand here."""
        if not isinstance(frame, self._expected()) or not self._fits(frame):
            raise self._wrong(f"a {type(frame).__name__} stands where none can be")
        self._before = frame

    def end(self) -> None:
        """Check that the file may end here."""
        if not isinstance(self._before, About | RoomEnd):
            raise self._wrong("it ends within a room")

    def _expected(self) -> tuple[type[Frame], ...]:
        match self._before:
            case None:
                return (About,)
            case Room(after=after, is_whole=1) if after:
                return (Beginning,)
            case before:
                return _FOLLOWS[type(before)]

    def _fits(self, frame: Frame) -> bool:
        """Tell whether the numbers in a frame are right."""
        match frame:
            case Room():
                is_new = bool(frame.name) and frame.name not in self._rooms
                self._rooms.add(frame.name)
                self._last = frame.after
                return is_new and 0 <= frame.after < MAX_SEQ and frame.is_whole in (0, 1)
            case Record():
                self._last += 1
                return frame.seq == self._last
            case Checkpoint() | State():
                return 0 <= frame.seq <= self._last
            case RoomEnd():
                return frame.seq == self._last
            case _:
                return True

    def _wrong(self, what: str) -> DamagedFileError:
        return DamagedFileError(what, subject=str(self._path), remedy="use another copy of it")


class Place(NamedTuple):
    """Where a room goes: its name and its lineage there."""

    room: str
    lineage: str


class Filler:
    """Puts rooms from files that are known to be whole into a store.

    What each section says of checkpoints and attributes takes the place of what the one before said.

    Args:
        store: an open store.
        place: tells where a room goes, or None to leave it out.
    """

    def __init__(self, store: Store, place: Callable[[Room], Place | None]) -> None:
        self._store = store
        self._place = place
        self._room = Room("", "", 0, 0, 0)
        self._to: Place | None = None
        self._batch: list[Append] = []
        self._size = 0
        self._checkpoints: list[Checkpoint] = []
        self._notes: dict[str, bytes] = {}
        self._settled = False

    async def put(self, frame: Frame) -> None:
        """Take the next frame of a file. Raises StoreError if the store fails, or has other records."""
        if isinstance(frame, Room):
            await self._begin(frame)
        elif self._to is not None:
            await self._put(frame, self._to.room)

    async def _begin(self, frame: Room) -> None:
        self._room, self._to = frame, self._place(frame)
        self._checkpoints, self._notes, self._settled = [], {}, False
        if self._to is not None and frame.is_whole and not frame.after:
            await self._store.create(*self._to, frame.created)

    async def _put(self, frame: Frame, room: str) -> None:
        match frame:
            case Beginning():
                await self._begin_after(frame)
            case Record():
                await self._append(Append(room, *frame))
            case Checkpoint():
                self._checkpoints.append(frame)
            case Note():
                self._notes[frame.key] = frame.value
            case State():
                await self._settle(room)
                await self._store.snapshot(room, frame.seq, frame.state, frame.at)
                await self._add_checkpoints(room)  # before the next snapshot: this one stays only if it has a name
            case _:
                await self._settle(room)
                if self._checkpoints:
                    first = self._checkpoints[0]
                    raise sequence_error(room, first.seq, self._room.after)

    async def _begin_after(self, frame: Beginning) -> None:
        assert self._to is not None
        room, lineage = self._to
        seq = self._room.after
        await self._store.begin(room, lineage, self._room.created, Base(seq, frame.state))
        await self._store.snapshot(room, seq, frame.state, frame.at)  # at its own time, not at the room's

    async def _append(self, entry: Append) -> None:
        self._batch.append(entry)
        self._size += len(entry.update)
        if len(self._batch) >= RECORDS_LIMIT or self._size >= BATCH_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        await self._store.append(batch)

    async def _settle(self, room: str) -> None:
        """Store what came before the snapshots: which of them stay depends on the checkpoints."""
        if self._settled:
            return
        self._settled = True
        await self._flush()
        for checkpoint in await self._store.checkpoints(room):
            if checkpoint not in self._checkpoints:
                await self._store.drop_checkpoint(room, checkpoint.name)
        await self._add_checkpoints(room)
        for key in await self._store.attributes(room):
            if key not in self._notes:
                await self._store.note(room, key, None)
        for key, value in self._notes.items():
            await self._store.note(room, key, value)

    async def _add_checkpoints(self, room: str) -> None:
        """Store checkpoints; those from before the log have to wait for the snapshot that they need."""
        waiting = []
        for checkpoint in self._checkpoints:
            try:
                await self._store.add_checkpoint(room, checkpoint)
            except SequenceError:
                waiting.append(checkpoint)
        self._checkpoints = waiting
