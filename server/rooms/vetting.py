"""Checks the bytes of updates and state vectors before they reach the document engine.

The engine (yrs) trusts what it decodes, and a process that hosts everyone's rooms cannot: values nested some ten
thousand deep overflow its stack, and clocks near 2^32 wrap around and leave pointers into nowhere. Both end the
process, not one request, so both are refused here, and so are empty structs, which it panics on. It also takes room
for as many entries as a state vector announces before it reads the first. The walk follows the layout of version 1,
reads lengths and clocks, and copies nothing.

Source: UpdateEncoderV1 and readClientsStructRefs of yjs 13.6; update.rs and block.rs of yrs 0.28.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from comity.crdt_types.errors import ProtocolError
from comity.crdt_types.varint import read_bytes, read_uint

from .bounds import Bounds, Inspection

# The engine's clocks are unsigned 32 bit; half of that leaves no sum of two that could wrap around.
MAX_CLOCK: Final = 2**31
# Deeper than any state that people write, far below what overflows a stack here or in a reader.
MAX_DEPTH: Final = 100

_NOTHING: Final[Mapping[int, int]] = MappingProxyType({})

_GC: Final = 0
_SKIP: Final = 10
_CONTENT: Final = 0x1F
_BINARY: Final = 3
_VALUES: Final = 8
_HAS_ORIGINS: Final = 0xC0
_HAS_KEY: Final = 0x20
_XML_ELEMENT: Final = 3

_VARINT: Final = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_match_varint = re.compile(_VARINT).match
_match_id = re.compile(_VARINT * 2).match  # a client and a clock
_match_two_ids = re.compile(_VARINT * 4).match
_ORIGINS: Final = {0x80: _match_id, 0x40: _match_id, 0xC0: _match_two_ids}


class Section(NamedTuple):
    """What an update brings of one client: clocks from ``begin`` up to ``end``, after ``needs`` without a gap.

    A document that has fewer than ``needs`` of the client's clocks has a gap before it.
    """

    client: int
    begin: int
    needs: int
    end: int


def vet(update: bytes, bounds: Bounds | None = None, known: Mapping[int, int] = _NOTHING) -> tuple[Section, ...]:
    """Check that an update is whole and cannot harm the engine, and return what it brings.

    Args:
        update: the update.
        bounds: what its typed entries are held to, if to anything.
        known: how many clocks of each client the room has already: what it has is not held to the bounds again.

    Raises:
        ProtocolError: it ends early, has bytes left over, holds something unknown, nests its values deeper than
            MAX_DEPTH, or has a clock above MAX_CLOCK.
        InvalidValueError, TooLargeError: an entry is out of bounds.
    """
    inspection = None if bounds is None else Inspection(bounds, known)
    try:
        sections, at = _read_sections(update, inspection)
        at = _skip_deletes(update, at)
    except (IndexError, AttributeError):  # past the end: no byte there, or no match
        raise ProtocolError("the update ends early", subject="update") from None
    if at != len(update):
        raise ProtocolError(f"{abs(len(update) - at)} bytes left over or missing", subject="update")
    return sections


def vet_state_vector(state: bytes) -> None:
    """Check that a state vector is whole and has as many entries as it announces.

    Raises: ProtocolError, if it ends early, has bytes left over, or has a clock above MAX_CLOCK.
    """
    count, at = read_uint(state, 0)
    if count * 2 > len(state) - at:
        raise ProtocolError("the state vector ends early", subject="state vector")
    for _ in range(count):
        _, at = read_uint(state, at)
        clock, at = read_uint(state, at)
        if clock > MAX_CLOCK:
            raise ProtocolError(f"a clock above {MAX_CLOCK}", subject="state vector")
    if at != len(state):
        raise ProtocolError(f"{len(state) - at} bytes left over", subject="state vector")


def _read_sections(data: bytes, inspection: Inspection | None) -> tuple[tuple[Section, ...], int]:
    count, at = read_uint(data, 0)
    sections = []
    for _ in range(count):
        section, at = _read_section(data, at, inspection)
        sections.append(section)
    return tuple(sections), at


def _read_section(data: bytes, at: int, inspection: Inspection | None) -> tuple[Section, int]:
    structs, begin = read_uint(data, at)
    at = _match_varint(data, begin).end()  # type: ignore[union-attr]
    client = _client_of(data[begin:at])
    clock, at = read_uint(data, at)
    first = needs = clock
    for _ in range(structs):
        info = data[at]
        if info in (_GC, _SKIP):
            length, at = read_uint(data, at + 1)
        else:
            at = _skip_place(data, at + 1, info)
            if inspection is not None:
                inspection.place = client, clock
            length, at = _read_content(data, at, info & _CONTENT, inspection)
        if not length:
            raise ProtocolError("an empty struct", subject="update")
        clock += length
        if clock > MAX_CLOCK:
            raise ProtocolError(f"a clock above {MAX_CLOCK}", subject="update")
        if info == _SKIP:
            needs = clock
    return Section(client, first, needs, clock), at


@lru_cache(maxsize=4096)  # a client's id comes with each of its updates, and takes eight bytes to read
def _client_of(encoded: bytes) -> int:
    return read_uint(encoded, 0)[0]


def _skip_place(data: bytes, at: int, info: int) -> int:
    """Return the position after what says where an item lies: that of its content."""
    origins = info & _HAS_ORIGINS
    return _ORIGINS[origins](data, at).end() if origins else _skip_parent(data, at, info)  # type: ignore[union-attr]


def _read_content(data: bytes, at: int, content: int, inspection: Inspection | None) -> tuple[int, int]:
    """Return how far a content moves its client's clock, and the position after it."""
    if content == _VALUES:
        return _read_values(data, at, inspection)
    if content == _BINARY:
        return _read_binary(data, at, inspection)
    reader = _CONTENTS.get(content)
    if reader is None:
        raise ProtocolError(f"unknown content {content}", subject="update")
    return reader(data, at)


def _skip_parent(data: bytes, at: int, info: int) -> int:
    named, at = read_uint(data, at)
    at = _skip_bytes(data, at) if named == 1 else _match_id(data, at).end()  # type: ignore[union-attr]
    return _skip_bytes(data, at) if info & _HAS_KEY else at


def _skip_bytes(data: bytes, at: int) -> int:
    length = data[at]
    if length < 0x80:
        return at + 1 + length
    length, at = read_uint(data, at)
    return at + length


def _read_one(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_bytes(data, at)


def _read_binary(data: bytes, at: int, inspection: Inspection | None) -> tuple[int, int]:
    start, end = _find_bytes(data, at)
    if inspection is not None:
        inspection.look(data, start, end, 0)
    return 1, end


def _read_values(data: bytes, at: int, inspection: Inspection | None) -> tuple[int, int]:
    """Read JSON values, as which yrs writes binary ones, too, if nothing holds them."""
    if data[at] == 1 and data[at + 1] == _BYTES:  # one entry: the most common content
        return _read_binary(data, at + 2, inspection)
    count, at = read_uint(data, at)
    return count, _skip_values(data, at, count, inspection)


def _find_bytes(data: bytes, at: int) -> tuple[int, int]:
    length = data[at]
    if length < 0x80:
        return at + 1, at + 1 + length
    length, at = read_uint(data, at)
    return at, at + length


def _read_text(data: bytes, at: int) -> tuple[int, int]:
    chars, end = read_bytes(data, at)
    return len(chars) if chars.isascii() else len(_decoded(chars).encode("utf-16-le")) // 2, end


def _decoded(chars: bytes) -> str:
    try:
        return chars.decode()
    except UnicodeDecodeError:
        raise ProtocolError("a text that is not UTF-8", subject="update") from None


def _read_strings(data: bytes, at: int) -> tuple[int, int]:
    count, at = read_uint(data, at)
    for _ in range(count):
        at = _skip_bytes(data, at)
    return count, at


def _read_format(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_bytes(data, _skip_bytes(data, at))


def _read_type(data: bytes, at: int) -> tuple[int, int]:
    kind, at = read_uint(data, at)
    return 1, _skip_bytes(data, at) if kind == _XML_ELEMENT else at


def _read_subdocument(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_values(data, _skip_bytes(data, at), 1)


_CONTENTS: Final[dict[int, Callable[[bytes, int], tuple[int, int]]]] = {
    1: read_uint,  # deleted
    2: _read_strings,  # JSON
    4: _read_text,
    5: _read_one,  # embed
    6: _read_format,
    7: _read_type,
    9: _read_subdocument,
}

_MAP: Final = 118
_ARRAY: Final = 117
_INTEGER: Final = 125
_BYTES: Final = 116
_SIZED: Final = (_BYTES, 119)  # the second is a string
# true, false, null, undefined; big integer, double; float
_FIXED: Final = {120: 0, 121: 0, 126: 0, 127: 0, 122: 8, 123: 8, 124: 4}


def _skip_values(data: bytes, at: int, left: int, inspection: Inspection | None = None) -> int:
    count = left
    keyed = False
    above: list[tuple[int, bool]] = []
    while left or above:
        if not left:
            left, keyed = above.pop()
            continue
        left -= 1
        if keyed:
            at = _skip_bytes(data, at)
        tag = data[at]
        if tag in (_MAP, _ARRAY):
            above.append((left, keyed))
            if len(above) > MAX_DEPTH:
                raise ProtocolError(f"values nested deeper than {MAX_DEPTH}", subject="update")
            left, at = read_uint(data, at + 1)
            keyed = tag == _MAP
        elif tag == _BYTES and not above and inspection is not None:
            start, at = _find_bytes(data, at + 1)
            inspection.look(data, start, at, count - left - 1)
        else:
            at = _skip_scalar(data, at + 1, tag)
    return at


def _skip_scalar(data: bytes, at: int, tag: int) -> int:
    width = _FIXED.get(tag)
    if width is not None:
        return at + width
    if tag in _SIZED:
        return _skip_bytes(data, at)
    if tag == _INTEGER:
        return _match_varint(data, at).end()  # type: ignore[union-attr]
    raise ProtocolError(f"unknown value type {tag}", subject="update")


def _skip_deletes(data: bytes, at: int) -> int:
    clients, at = read_uint(data, at)
    for _ in range(clients):
        at = _match_varint(data, at).end()  # type: ignore[union-attr]
        ranges, at = read_uint(data, at)
        for _ in range(ranges):
            clock, at = read_uint(data, at)
            length, at = read_uint(data, at)
            if clock + length > MAX_CLOCK:
                raise ProtocolError(f"a clock above {MAX_CLOCK}", subject="update")
    return at
