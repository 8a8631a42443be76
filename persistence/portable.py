"""The format of exported rooms and of backups: frames with checksums, read and written in constant memory.

docs/backup.md states it byte by byte.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from .checksum import CHECKSUM_BYTES, checksum
from .errors import DamagedFileError, NewerFileError
from .failures import from_os
from .records import Checkpoint, Record
from .wholefile import written_whole

# As PNG's: the first byte is no text, and what mangles line ends or stops at a ^Z damages it.
MAGIC: Final = b"\x89Comity\r\n\x1a\n"
FORMAT: Final = 1

_HEAD: Final = struct.Struct(">BI")  # of a frame: its kind, and the length of its body
_INTEGER: Final = struct.Struct(">q")
_LENGTH: Final = struct.Struct(">I")

# Bytes between two calls that tell of progress.
STEP: Final = 1024 * 1024

# SQLite, in its usual build, keeps nothing larger; and a frame holds little beside one blob.
MAX_BODY: Final = 1_001_000_000

# Sequence numbers are below it, as everywhere.
MAX_SEQ: Final = 2**53


class About(NamedTuple):
    """What a file is: the id of a backup, that of the one it builds on, and when it was made, in ms.

    Both ids are empty for an exported room, the second one for a full backup.
    """

    id: str
    parent: str
    at: int


class Room(NamedTuple):
    """The head of a room: its records follow ``after``, the number of the one before them.

    ``is_whole`` is 1 if all that is kept of the room is here, and 0 if the file's parent has what comes before. A
    ``Beginning`` follows a room that is whole, unless ``after`` is 0.
    """

    name: str
    lineage: str
    created: int
    after: int
    is_whole: int


class Beginning(NamedTuple):
    """The state of a room that its records come after, and when it was taken, in ms."""

    at: int
    state: bytes


class State(NamedTuple):
    """The state of a room as of an update, and when it was taken, in ms."""

    seq: int
    at: int
    state: bytes


class Note(NamedTuple):
    """An attribute of a room."""

    key: str
    value: bytes


class RoomEnd(NamedTuple):
    """The end of a room: the number of its last record, and what was damaged of it when the file was made."""

    seq: int
    damage: str


class End(NamedTuple):
    """The end of a file: how many frames and records come before, and the SHA-256 of every byte before."""

    frames: int
    records: int
    digest: bytes


Frame = About | Room | Beginning | State | Record | Checkpoint | Note | RoomEnd | End

# The kind of each frame is its place here; with the types of its fields: integers, text and bytes.
_LAYOUTS: Final[tuple[tuple[type[Frame], str], ...]] = (
    (End, "iib"),
    (About, "tti"),
    (Room, "ttiii"),
    (Beginning, "ib"),
    (State, "iib"),
    (Record, "ibti"),
    (Checkpoint, "tittit"),
    (Note, "tb"),
    (RoomEnd, "it"),
)
_KINDS: Final = {frame: kind for kind, (frame, _) in enumerate(_LAYOUTS)}


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def copy(self) -> "_Hash": ...
    def digest(self) -> bytes: ...


class Mark(NamedTuple):
    """A place in a file that is being written, to which its end can be taken back."""

    position: int
    frames: int
    records: int
    hash: _Hash


class PortableWriter:
    """Writes frames to a file; ``size`` is how many bytes it has so far, ``records`` how many records.

    Args:
        file: a new file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash: _Hash = hashlib.sha256()
        self._frames = 0
        self.records = 0
        self.size = 0
        self._write(MAGIC + bytes((FORMAT,)))

    @property
    def sha256(self) -> str:
        """The SHA-256 of all that was written, in hexadecimal."""
        return self._hash.digest().hex()

    def write(self, frame: Frame) -> None:
        """Write a frame."""
        kind, body = encoded(frame)
        self._write(_HEAD.pack(kind, len(body)) + body + _sum(self._frames, kind, body))
        self._frames += 1
        self.records += isinstance(frame, Record)

    def mark(self) -> Mark:
        """Return the place that writing has reached."""
        return Mark(self.size, self._frames, self.records, self._hash.copy())

    def rewind(self, mark: Mark) -> None:
        """Take back what was written since a mark."""
        self._file.seek(mark.position)
        self._file.truncate()
        self.size, self._frames, self.records = mark.position, mark.frames, mark.records
        self._hash = mark.hash.copy()

    def end(self) -> None:
        """Write the last frame."""
        self.write(End(self._frames, self.records, self._hash.digest()))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)


@contextmanager
def portable_file(path: Path) -> Generator[PortableWriter]:
    """Write a file of frames, which is there once the context ended well. Raises as ``written_whole`` does."""
    with written_whole(path) as file:
        writer = PortableWriter(file)
        yield writer
        writer.end()


def ignore(_count: int) -> None:
    """Do nothing about progress."""


def read_frames(path: Path, sha256: str = "", on_bytes: Callable[[int], None] = ignore) -> Iterator[Frame]:
    """Yield the frames of a file in order, each of them checked, without the last.

    Nothing may be done with them before all have been seen once: only then is the file known to be whole.

    Args:
        path: the file.
        sha256: what its SHA-256 must be, in hexadecimal; any if empty.
        on_bytes: called now and then with how many bytes were read since.

    Raises:
        DamagedFileError: it is not what was written, or none of ours.
        NewerFileError: a newer version wrote it.
        StoreUnwritableError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from _Reader(file, path, on_bytes).frames(sha256)
    except OSError as error:
        raise from_os(error, path) from error


def encoded(frame: Frame) -> tuple[int, bytes]:
    """Return the kind and the body of a frame."""
    kind = _KINDS[type(frame)]
    fields: Iterable[Any] = frame
    return kind, b"".join(map(_encoded, fields))


class _Reader:
    """Reads frames from a file, once."""

    def __init__(self, file: BinaryIO, path: Path, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._path = path
        self._on_bytes = on_bytes
        self._untold = 0
        self._left = os.fstat(file.fileno()).st_size
        self._hash = hashlib.sha256()
        self._frames = self._records = 0

    def frames(self, sha256: str) -> Iterator[Frame]:
        self._check_head()
        while True:
            before = self._hash.digest()
            frame = self._frame()
            if isinstance(frame, End):
                self._check_end(frame, before)
                if sha256 not in ("", self._hash.hexdigest()):
                    raise self._damaged("it is another file than the one that is listed")
                return
            self._frames += 1
            self._records += isinstance(frame, Record)
            yield frame

    def _check_head(self) -> None:
        if self._read(len(MAGIC)) != MAGIC:
            raise self._damaged("it is no file of Comity, or its beginning is damaged")
        (number,) = self._read(1)
        if number != FORMAT:
            raise NewerFileError(
                f"it has format {number}; this version knows {FORMAT}",
                subject=str(self._path),
                remedy="use the version that wrote it, or one after it",
            )

    def _frame(self) -> Frame:
        kind, length = _HEAD.unpack(self._read(_HEAD.size))
        if length > MAX_BODY:
            raise self._damaged(f"frame {self._frames} is larger than any can be")
        body = self._read(length)
        if self._read(CHECKSUM_BYTES) != _sum(self._frames, kind, body):
            raise self._damaged(f"frame {self._frames} does not fit its checksum")
        try:
            return decoded(kind, body)
        except ValueError as error:
            raise self._damaged(f"frame {self._frames} cannot be read") from error

    def _check_end(self, end: End, digest: bytes) -> None:
        if end != (self._frames, self._records, digest):
            raise self._damaged("its end does not fit what comes before")
        if self._file.read(1):
            raise self._damaged("something follows its end")

    def _read(self, size: int) -> bytes:
        data = self._file.read(size) if size <= self._left else b""
        if len(data) != size:
            raise self._damaged(f"it is cut short after {self._frames} frames")
        self._left -= size
        self._hash.update(data)
        self._untold += size
        if self._untold >= STEP or not self._left:
            self._on_bytes(self._untold)
            self._untold = 0
        return data

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(what, subject=str(self._path), remedy="use another copy of it")


def decoded(kind: int, body: bytes) -> Frame:
    """Return the frame of a body. Raises ValueError for what is none."""
    if kind >= len(_LAYOUTS):
        raise ValueError("no kind of frame")
    frame, layout = _LAYOUTS[kind]
    values: list[int | str | bytes] = []
    at = 0
    for each in layout:
        if each == "i":
            values.append(int.from_bytes(body[at : at + _INTEGER.size], signed=True))
            at += _INTEGER.size
        else:
            length = int.from_bytes(body[at : at + _LENGTH.size])
            at += _LENGTH.size + length
            value = body[at - length : at]
            values.append(value.decode() if each == "t" else value)
    if at != len(body):
        raise ValueError("fields of another length")
    return frame(*values)  # type: ignore[arg-type]


def _encoded(value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _INTEGER.pack(value)
    data = value.encode() if isinstance(value, str) else value
    return _LENGTH.pack(len(data)) + data


def _sum(number: int, kind: int, body: bytes) -> bytes:
    return checksum(b"", number, b"", kind, body)
