"""Yjs updates as the load generator needs them: made from a template, and read for which edits they hold.

An edit is one clock of one client: a character that was typed, or an item of a list. Servers merge updates, so what
arrives is counted in edits, never in messages.

Source: UpdateEncoderV1 and readClientsStructRefs of yjs 13.6.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from comity.crdt_types.varint import read_bytes, read_string, read_uint, write_string, write_uint

TEXT: Final = "text"
LIST: Final = "list"
EMPTY: Final = b"\x00\x00"

_ORIGIN: Final = 0x80
_RIGHT_ORIGIN: Final = 0x40
_KEY: Final = 0x20
_CONTENT: Final = 0x1F
_STRING: Final = 4
_ANY: Final = 8
_GC: Final = 0
_SKIP: Final = 10
_NAMED: Final = (3, 5)  # XML elements and hooks bear a name

_FIRST_CHARACTER: Final = bytes((_STRING, 1)) + write_string(TEXT) + b"\x01x"
_FIRST_ITEM: Final = bytes((_ANY, 1)) + write_string(LIST)


class Range(NamedTuple):
    """Edits of one client: its clocks from ``start`` up to ``end``."""

    client: int
    start: int
    end: int


def typed(client: bytes, clock: int) -> bytes:
    """Return the update by which a client types its next character behind its last one.

    Args:
        client: its id as a varUint.
        clock: how many characters it has typed before.
    """
    head = b"\x01\x01" + client + write_uint(clock)
    if not clock:
        return head + _FIRST_CHARACTER + b"\x00"
    return head + bytes((_ORIGIN | _STRING,)) + client + write_uint(clock - 1) + b"\x01x\x00"


def listed(authors: Sequence[int], first: int, count: int, text: str) -> bytes:
    """Return the update of rows that authors add to the list in turn, each behind the one before.

    No two rows in a row are of the same author, so each stays an item of its own.

    Args:
        authors: the client ids.
        first: how many rows there are before.
        count: how many rows to add; a multiple of the number of authors.
        text: what each row holds.
    """
    size = len(authors)
    sections = []
    for turn, author in enumerate(authors):
        clock = first // size
        head = write_uint(count // size) + write_uint(author) + write_uint(clock)
        sections.append(head + b"".join(_row(authors, row, text) for row in range(first + turn, first + count, size)))
    return write_uint(size) + b"".join(sections) + b"\x00"


def _row(authors: Sequence[int], row: int, text: str) -> bytes:
    place = _FIRST_ITEM
    if row:
        turn = (row - 1) % len(authors)
        place = bytes((_ORIGIN | _ANY,)) + write_uint(authors[turn]) + write_uint((row - 1) // len(authors))
    return place + b"\x01\x77" + write_string(text)


def read_ranges(update: bytes) -> tuple[Range, ...]:
    """Return which edits an update holds, in its order. Raises ProtocolError, IndexError, if it is malformed."""
    ranges: list[Range] = []
    sections, at = read_uint(update, 0)
    for _ in range(sections):
        at = _read_section(update, at, ranges)
    return tuple(ranges)


def _read_section(data: bytes, at: int, ranges: list[Range]) -> int:
    structs, at = read_uint(data, at)
    client, at = read_uint(data, at)
    start, at = read_uint(data, at)
    end = start
    for _ in range(structs):
        info = data[at]
        if info == _ORIGIN | _STRING:  # what most edits of the load are
            length, at = _read_characters(data, _skip_id(data, at + 1))
        elif info in (_GC, _SKIP):
            length, at = read_uint(data, at + 1)
        else:
            length, at = _CONTENTS[info & _CONTENT](data, _skip_place(data, at + 1, info))
        if info == _SKIP:
            if end > start:
                ranges.append(Range(client, start, end))
            start = end + length
        end += length
    ranges.append(Range(client, start, end))
    return at


def _skip_uint(data: bytes, at: int) -> int:
    while data[at] > 0x7F:
        at += 1
    return at + 1


def _skip_id(data: bytes, at: int) -> int:
    while data[at] > 0x7F:
        at += 1
    at += 1
    while data[at] > 0x7F:
        at += 1
    return at + 1


def _skip_place(data: bytes, at: int, info: int) -> int:
    if info & _ORIGIN:
        at = _skip_id(data, at)
    if info & _RIGHT_ORIGIN:
        at = _skip_id(data, at)
    if info & (_ORIGIN | _RIGHT_ORIGIN):
        return at
    named, at = read_uint(data, at)
    at = _skip_bytes(data, at) if named else _skip_id(data, at)
    return _skip_bytes(data, at) if info & _KEY else at


def _skip_bytes(data: bytes, at: int) -> int:
    length, at = read_uint(data, at)
    return at + length


def _read_characters(data: bytes, at: int) -> tuple[int, int]:
    if data[at] == 1:
        return 1, at + 2
    text, at = read_bytes(data, at)
    return len(text) if text.isascii() else len(text.decode().encode("utf-16-le")) // 2, at


def _read_one(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_bytes(data, at)


def _read_strings(data: bytes, at: int) -> tuple[int, int]:
    count, at = read_uint(data, at)
    for _ in range(count):
        at = _skip_bytes(data, at)
    return count, at


def _read_format(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_bytes(data, _skip_bytes(data, at))


def _read_type(data: bytes, at: int) -> tuple[int, int]:
    kind, at = read_uint(data, at)
    return 1, _skip_bytes(data, at) if kind in _NAMED else at


def _read_values(data: bytes, at: int) -> tuple[int, int]:
    count, at = read_uint(data, at)
    for _ in range(count):
        at = _skip_value(data, at)
    return count, at


def _read_document(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_value(data, _skip_bytes(data, at))


_CONTENTS: Final[dict[int, Callable[[bytes, int], tuple[int, int]]]] = {
    1: read_uint,  # deleted
    2: _read_strings,  # JSON
    3: _read_one,  # binary
    _STRING: _read_characters,
    5: _read_one,  # embed
    6: _read_format,
    7: _read_type,
    _ANY: _read_values,
    9: _read_document,
}

# null, undefined, true, false; big integer, double; float
_FIXED: Final = {120: 0, 121: 0, 126: 0, 127: 0, 122: 8, 123: 8, 124: 4}
_INTEGER: Final = 125
_MAP: Final = 118
_ARRAY: Final = 117


def _skip_value(data: bytes, at: int) -> int:
    tag = data[at]
    at += 1
    if tag in _FIXED:
        return at + _FIXED[tag]
    if tag == _INTEGER:
        return _skip_uint(data, at)
    if tag not in (_MAP, _ARRAY):
        return _skip_bytes(data, at)
    count, at = read_uint(data, at)
    for _ in range(count):
        at = _skip_value(data, _skip_bytes(data, at) if tag == _MAP else at)
    return at


# Presence --------------------------------------------------------------------------------------------------------


_PRESENCE: Final = '{"user":{"name":"somebody","color":"#abcdef"},"cursor":{"anchor":0,"head":0}}'


def announced(client: bytes, number: int) -> bytes:
    """Return the awareness update by which a client moves its cursor for the so many-th time."""
    return b"\x01" + client + write_uint(number + 1) + write_string(_PRESENCE.replace("0", str(number)))


def read_presence(body: bytes) -> tuple[Range, ...]:
    """Return which states an awareness update holds: of each client the one by which ``start`` becomes ``end``."""
    count, at = read_uint(body, 0)
    ranges = []
    for _ in range(count):
        client, at = read_uint(body, at)
        clock, at = read_uint(body, at)
        _, at = read_string(body, at)
        ranges.append(Range(client, clock - 1, clock))
    return tuple(ranges)
