"""The rows of a SQLite file, read page by page without SQLite: for files that it cannot make sense of any more.

Every page is looked at, also those that nothing leads to. What is no row is passed over, so that whoever reads must be
able to tell a row that is right. Source: https://www.sqlite.org/fileformat2.html
"""

import os
import struct
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

_TABLE_LEAF: Final = 13
_INDEX_LEAF: Final = 10
_FILE_HEADER: Final = 100  # bytes of the first page before its rows
_PAGE_SIZES: Final = frozenset(2**n for n in range(9, 16))
# What every database of ours has, unless somebody rebuilt it: the answer where the header is damaged.
_USUAL_PAGE_SIZE: Final = 4096

_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_WAL_MAGIC: Final = (0x377F0682, 0x377F0683)

Value = int | float | bytes | None


class Row(NamedTuple):
    """A row of a table, or an entry of an index, which has no ``id``.

    ``kinds`` has a letter for each value: null, integer, real, text or blob.
    """

    id: int | None
    kinds: str
    values: tuple[Value, ...]


class Pages:
    """The pages of a database file as they are with its write-ahead log.

    Args:
        file: the descriptor of the file.
        wal: that of the log, None if there is none.
    """

    def __init__(self, file: int, wal: int | None) -> None:
        self._file = file
        self._wal = wal
        self.size: Final = _page_size(os.pread(file, _FILE_HEADER, 0))
        self._newer = {} if wal is None else _frames(wal, self.size)
        in_file = os.fstat(file).st_size // self.size
        self.count: Final = max(in_file, max(self._newer, default=0))

    def read(self, number: int) -> bytes:
        """Return a page by its number, the first of which is 1; shorter than a page where the file ends."""
        if self._wal is not None and number in self._newer:
            return os.pread(self._wal, self.size, self._newer[number])
        return os.pread(self._file, self.size, (number - 1) * self.size)

    def rows(self, number: int) -> Iterator[Row]:
        """Return what can be read of the rows of a page; none if it holds no rows."""
        page = self.read(number)
        begin = _FILE_HEADER if number == 1 else 0
        if len(page) < self.size or page[begin] not in (_TABLE_LEAF, _INDEX_LEAF):
            return
        (count,) = struct.unpack_from(">H", page, begin + 3)
        first = begin + 8
        for at in range(first, min(first + 2 * count, self.size - 1), 2):
            try:
                row = self._row(page, struct.unpack_from(">H", page, at)[0], is_table=page[begin] == _TABLE_LEAF)
            except (IndexError, struct.error, ValueError):
                continue
            yield row

    def _row(self, page: bytes, at: int, *, is_table: bool) -> Row:
        length, at = _varint(page, at)
        row_id = None
        if is_table:
            row_id, at = _varint(page, at)
        kinds, values = _record(self._payload(page, at, length, is_table=is_table))
        return Row(row_id, kinds, values)

    def _payload(self, page: bytes, at: int, length: int, *, is_table: bool) -> bytes:
        usable = self.size
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return page[at : at + length]
        if length > self.count * usable:
            raise ValueError("longer than the file")
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= most else least
        (following,) = struct.unpack_from(">I", page, at + local)
        return page[at : at + local] + self._overflow(following, length - local)

    def _overflow(self, number: int, length: int) -> bytes:
        parts = []
        while length > 0:
            page = self.read(number) if 0 < number <= self.count else b""
            (number,) = struct.unpack_from(">I", page)
            parts.append(page[4 : 4 + length])
            length -= self.size - 4
        return b"".join(parts)


@contextmanager
def pages_of(path: Path) -> Generator[Pages]:
    """Read the pages of a database file. Raises OSError."""
    with ExitStack() as stack:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, file)
        log = path.with_name(f"{path.name}-wal")
        wal = os.open(log, os.O_RDONLY | os.O_CLOEXEC) if log.exists() else None
        if wal is not None:
            stack.callback(os.close, wal)
        yield Pages(file, wal)


def _page_size(header: bytes) -> int:
    size = struct.unpack_from(">H", header, 16)[0] if len(header) == _FILE_HEADER else 0
    size = 65536 if size == 1 else size
    return size if size in _PAGE_SIZES or size == 65536 else _USUAL_PAGE_SIZE


def _frames(wal: int, size: int) -> dict[int, int]:
    """Return where in a write-ahead log the newest committed version of each of its pages lies."""
    header = os.pread(wal, _WAL_HEADER, 0)
    if len(header) < _WAL_HEADER or struct.unpack_from(">I", header)[0] not in _WAL_MAGIC:
        return {}
    committed: dict[int, int] = {}
    pending: dict[int, int] = {}
    at = _WAL_HEADER
    while len(frame := os.pread(wal, _FRAME_HEADER, at)) == _FRAME_HEADER and frame[8:16] == header[16:24]:
        number, end = struct.unpack_from(">II", frame)
        pending[number] = at + _FRAME_HEADER
        if end:  # the last frame of a transaction
            committed |= pending
            pending.clear()
        at += _FRAME_HEADER + size
    return committed


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(8):
        byte = data[at + n]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> tuple[str, tuple[Value, ...]]:
    end, at = _varint(payload, 0)
    begin = end
    kinds, values = [], []
    while at < end:
        serial, at = _varint(payload, at)
        kind, value, begin = _value(payload, serial, begin)
        kinds.append(kind)
        values.append(value)
    if at != end or begin != len(payload):
        raise ValueError("no record")
    return "".join(kinds), tuple(values)


_INTEGER_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)


def _value(payload: bytes, serial: int, at: int) -> tuple[str, Value, int]:
    if serial >= 12:
        end = at + (serial - 12) // 2
        return "bt"[serial % 2], payload[at:end], end
    if serial == 0:
        return "n", None, at
    if serial < 7:
        end = at + _INTEGER_BYTES[serial]
        return "i", int.from_bytes(payload[at:end], "big", signed=True), end
    if serial == 7:
        return "r", struct.unpack_from(">d", payload, at)[0], at + 8
    if serial in (8, 9):
        return "i", serial - 8, at
    raise ValueError("no serial type")
