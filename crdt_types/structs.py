"""The structs of Yjs updates (version 1): how far each moves its client's clock, and where its bytes end.

For walks over updates that come from anywhere. Every function takes the whole update and a position in it, and copies
nothing: lengths that lie cost nothing. What they raise: one of `PAST_END` where the update ends early, unless it ends
inside of what is skipped, which `check_rest` finds; ProtocolError for what is unknown or nested too deep.

Source: UpdateEncoderV1 and readClientsStructRefs of yjs 13.6; update.rs and block.rs of yrs 0.28.
"""

import re
from collections.abc import Callable, Generator, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from .errors import ProtocolError
from .varint import read_bytes, read_uint

# The engine's clocks are unsigned 32 bit; half of that leaves no sum of two that could wrap around.
MAX_CLOCK: Final = 2**31
# Deeper than any state that people write, far below what overflows a stack here or in a reader.
MAX_DEPTH: Final = 100

# What a read past the end raises: no byte there, or no match.
PAST_END: Final = (IndexError, AttributeError)

# The first byte of a struct: one of these as a whole, or flags and in its low bits the content.
GC: Final = 0
SKIP: Final = 10
CONTENT: Final = 0x1F
_HAS_ORIGINS: Final = 0xC0
_HAS_KEY: Final = 0x20

DELETED: Final = 1
_STRINGS: Final = 2  # JSON values, as old versions of Yjs wrote them
_BINARY: Final = 3
TEXT: Final = 4
EMBED: Final = 5
FORMAT: Final = 6
TYPE: Final = 7
_VALUES: Final = 8
_SUBDOCUMENT: Final = 9
VALUES: Final = frozenset({_BINARY, _VALUES})  # where binary values lie

_XML_ELEMENT: Final = 3

_VARINT: Final = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_match_varint = re.compile(_VARINT).match
_match_id = re.compile(_VARINT * 2).match  # a client and a clock
_match_two_ids = re.compile(_VARINT * 4).match
_ORIGINS: Final = {0x80: _match_id, 0x40: _match_id, 0xC0: _match_two_ids}


class Struct(NamedTuple):
    """One struct of an update: whose it is, what it is, and where it, its content and its end lie.

    Attributes:
        kind: GC, SKIP, or the kind of its content.
    """

    client: int
    clock: int
    length: int
    kind: int
    begin: int
    content: int
    end: int


class Inspector(Protocol):
    """Looks at binary values on the way."""

    def look(self, data: bytes, start: int, end: int, index: int) -> object:
        """Look at one binary value, from one position in an update to another, the index-th in its struct."""
        ...


def read_head(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Read what stands before the structs of one client.

    Returns: how many they are, the client, the clock of the first, and the position after all that.
    """
    structs, begin = read_uint(data, at)
    at = _match_varint(data, begin).end()  # type: ignore[union-attr]
    client = _client_of(data[begin:at])
    clock, at = read_uint(data, at)
    return structs, client, clock, at


@lru_cache(maxsize=4096)  # a client's id comes with each of its updates, and takes eight bytes to read
def _client_of(encoded: bytes) -> int:
    return read_uint(encoded, 0)[0]


def skip_place(data: bytes, at: int, info: int) -> int:
    """Return the position after what says where an item lies: that of its content."""
    origins = info & _HAS_ORIGINS
    return _ORIGINS[origins](data, at).end() if origins else _skip_parent(data, at, info)  # type: ignore[union-attr]


def read_content(data: bytes, at: int, content: int, inspector: Inspector | None = None) -> tuple[int, int]:
    """Return how far a content moves its client's clock, and the position after it."""
    if content == _VALUES:
        return _read_values(data, at, inspector)
    if content == _BINARY:
        return _read_binary(data, at, inspector)
    reader = _CONTENTS.get(content)
    if reader is None:
        raise ProtocolError(f"unknown content {content}", subject="update")
    return reader(data, at)


def bad_length(length: int) -> ProtocolError:
    """Return the error of a struct that is empty or, if it is not, passes MAX_CLOCK."""
    return ProtocolError(f"a clock above {MAX_CLOCK}" if length else "an empty struct", subject="update")


class Deletion(NamedTuple):
    """Clocks of a client that an update deletes, from one on."""

    client: int
    clock: int
    length: int


def structs_of(update: bytes) -> Iterator[Struct]:
    """Yield the structs of an update in their order, and check all of it on the way; raises ProtocolError."""
    try:
        at = yield from _sections(update)
        check_rest(update, at)
    except PAST_END:
        raise ProtocolError("the update ends early", subject="update") from None


def deletions_of(update: bytes) -> list[Deletion]:
    """Return what an update deletes. Raises ProtocolError."""
    walk = _sections(update)
    try:
        while True:
            try:
                next(walk)
            except StopIteration as end:
                return list(_deletions(update, end.value))
    except PAST_END:
        raise ProtocolError("the update ends early", subject="update") from None


def builds_on(update: bytes) -> Iterator[tuple[int, int]]:
    """Yield the Yjs ids of what must be there for an update to find its place, in it or in a document.

    They are the neighbours and parents of what it inserts, and the last of each range that it deletes. Raises
    ProtocolError.
    """
    for struct in structs_of(update):
        if struct.kind not in (GC, SKIP):
            yield from _neighbours(update, struct.begin)
    for client, clock, length in deletions_of(update):
        yield client, clock + length - 1


def _neighbours(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Yield the ids by which an item says where it lies."""
    origins = data[at] & _HAS_ORIGINS
    ids, at = origins.bit_count(), at + 1
    if not origins:
        named, at = read_uint(data, at)
        ids = int(named != 1)
    for _ in range(ids):
        client, at = read_uint(data, at)
        clock, at = read_uint(data, at)
        yield client, clock


def _sections(update: bytes) -> Generator[Struct, None, int]:
    """Yield the structs, and return the position after them."""
    sections, at = read_uint(update, 0)
    for _ in range(sections):
        at = yield from _section(update, at)
    return at


def _deletions(data: bytes, at: int) -> Iterator[Deletion]:
    clients, at = read_uint(data, at)
    for _ in range(clients):
        client, at = read_uint(data, at)
        ranges, at = read_uint(data, at)
        for _ in range(ranges):
            clock, at = read_uint(data, at)
            length, at = read_uint(data, at)
            yield Deletion(client, clock, length)


def _section(data: bytes, at: int) -> Generator[Struct, None, int]:
    structs, client, clock, at = read_head(data, at)
    for _ in range(structs):
        begin, kind = at, data[at]
        if kind in (GC, SKIP):
            content = begin + 1
            length, at = read_uint(data, content)
        else:
            content, kind = skip_place(data, begin + 1, kind), kind & CONTENT
            length, at = read_content(data, content, kind)
        yield Struct(client, clock, length, kind, begin, content, at)
        clock += length
        if clock > MAX_CLOCK or not length:
            raise bad_length(length)
    return at


def check_rest(data: bytes, at: int) -> None:
    """Check what follows the structs: a set of deletions, and then nothing. Raises ProtocolError."""
    at = _skip_deletes(data, at)
    if at != len(data):
        raise ProtocolError(f"{abs(len(data) - at)} bytes left over or missing", subject="update")


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


def _skip_parent(data: bytes, at: int, info: int) -> int:
    named, at = read_uint(data, at)
    at = skip_bytes(data, at) if named == 1 else _match_id(data, at).end()  # type: ignore[union-attr]
    return skip_bytes(data, at) if info & _HAS_KEY else at


def skip_bytes(data: bytes, at: int) -> int:
    """Return the position after a byte string or text with its length before it."""
    length = data[at]
    if length < 0x80:
        return at + 1 + length
    length, at = read_uint(data, at)
    return at + length


def _read_one(data: bytes, at: int) -> tuple[int, int]:
    return 1, skip_bytes(data, at)


def _read_binary(data: bytes, at: int, inspector: Inspector | None) -> tuple[int, int]:
    start, end = _find_bytes(data, at)
    if inspector is not None:
        inspector.look(data, start, end, 0)
    return 1, end


def _read_values(data: bytes, at: int, inspector: Inspector | None) -> tuple[int, int]:
    """Read JSON values, as which yrs writes binary ones, too, if nothing holds them."""
    if data[at] == 1 and data[at + 1] == _BYTES:  # one entry: the most common content
        return _read_binary(data, at + 2, inspector)
    count, at = read_uint(data, at)
    return count, _skip_values(data, at, count, inspector)


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
        at = skip_bytes(data, at)
    return count, at


def _read_format(data: bytes, at: int) -> tuple[int, int]:
    return 1, skip_bytes(data, skip_bytes(data, at))


def _read_type(data: bytes, at: int) -> tuple[int, int]:
    kind, at = read_uint(data, at)
    return 1, skip_bytes(data, at) if kind == _XML_ELEMENT else at


def _read_subdocument(data: bytes, at: int) -> tuple[int, int]:
    return 1, _skip_values(data, skip_bytes(data, at), 1)


_CONTENTS: Final[dict[int, Callable[[bytes, int], tuple[int, int]]]] = {
    DELETED: read_uint,
    _STRINGS: _read_strings,
    TEXT: _read_text,
    EMBED: _read_one,
    FORMAT: _read_format,
    TYPE: _read_type,
    _SUBDOCUMENT: _read_subdocument,
}

_MAP: Final = 118
_ARRAY: Final = 117
_INTEGER: Final = 125
_BYTES: Final = 116
_SIZED: Final = (_BYTES, 119)  # the second is a string
# true, false, null, undefined; big integer, double; float
_FIXED: Final = {120: 0, 121: 0, 126: 0, 127: 0, 122: 8, 123: 8, 124: 4}


def _skip_values(data: bytes, at: int, left: int, inspector: Inspector | None = None) -> int:
    count = left
    keyed = False
    above: list[tuple[int, bool]] = []
    while left or above:
        if not left:
            left, keyed = above.pop()
            continue
        left -= 1
        if keyed:
            at = skip_bytes(data, at)
        tag = data[at]
        if tag in (_MAP, _ARRAY):
            above.append((left, keyed))
            if len(above) > MAX_DEPTH:
                raise ProtocolError(f"values nested deeper than {MAX_DEPTH}", subject="update")
            left, at = read_uint(data, at + 1)
            keyed = tag == _MAP
        elif tag == _BYTES and not above and inspector is not None:
            start, at = _find_bytes(data, at + 1)
            inspector.look(data, start, at, count - left - 1)
        else:
            at = _skip_scalar(data, at + 1, tag)
    return at


def _skip_scalar(data: bytes, at: int, tag: int) -> int:
    width = _FIXED.get(tag)
    if width is not None:
        return at + width
    if tag in _SIZED:
        return skip_bytes(data, at)
    if tag == _INTEGER:
        return _match_varint(data, at).end()  # type: ignore[union-attr]
    raise ProtocolError(f"unknown value type {tag}", subject="update")
