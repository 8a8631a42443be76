"""What the server takes from a client of a typed entry: how far ahead its stamp may be, how long, large and deep it is.

A stamp from the far future would win against every write until that day comes; so one broken clock would win for
ever. What is too large or too deep is a burden to every reader of the room. Entries look like any other binary value
of an update, so each of those is looked at: a glance at its first bytes tells that nearly all are harmless, and the
few others are taken apart. What is no well formed entry (docs/state-format.md) is left alone, whoever stored it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

import msgpack
from msgpack.exceptions import StackError, UnpackException

from comity.crdt_types.document.clock import EPOCH_MS, MAX_AHEAD_MS, TICKS_PER_MS, stamp_ms, wall_ms
from comity.crdt_types.document.entry import (
    CELL,
    HEADER,
    ITEM,
    LISTED,
    OPAQUE,
    PLACE,
    REGISTER,
    VALUE_AT,
    Entry,
    read_entry,
)
from comity.crdt_types.document.values import unpack
from comity.crdt_types.errors import ComityError, InvalidValueError, TooLargeError
from comity.crdt_types.limits import MAX_DEPTH, MAX_NAME, MAX_VALUE_BYTES

# What `Inspection.look` raises: the update is not to be applied, its connection may go on.
REFUSALS: Final = (InvalidValueError, TooLargeError)

_LENGTHS: Final = range(2, 7)  # of that array
_STRINGS: Final = tuple(
    range(2 if kind in (CELL, LISTED, PLACE) else 1) for kind in range(PLACE + 1)
)  # before the rest
_STAMPED: Final = frozenset((REGISTER, CELL, ITEM, LISTED, PLACE))
_SHOWN: Final = 60  # characters of a name in an error

_int_of: Final = int.from_bytes

# msgpack's first bytes.
_NIL: Final = b"\xc0"
_FIXARRAY: Final = 0x90
_LONG_ARRAYS: Final = (0xDC, 0xDD)
_LONG_INTEGERS: Final = range(0xCC, 0xD4)
_INTEGERS: Final = frozenset((*range(0x80), *_LONG_INTEGERS))
_UINT64: Final = 0xCF
_STR8: Final = 0xD9
_LONG_STRINGS: Final = (0xDA, 0xDB)
_CONTAINERS: Final = frozenset((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
_NO_CONTAINER: Final = bytes(byte for byte in range(256) if byte not in _CONTAINERS)
_CONTAINER_TYPES: Final = frozenset((list, dict))
# In place of a value that is nested deeper than the decoder goes: the decoder gives up on it in the same way.
_BOTTOMLESS: Final = b"\x91" * 2000 + _NIL


class Bounds(NamedTuple):
    """What is taken from clients.

    Attributes:
        value_bytes: the greatest size of one value (a list item's id and position are such, too), in bytes as stored.
        name_bytes: the greatest length of a field's name, of a key and of an agent's name, in bytes of UTF-8.
        depth: how many containers may lie in each other in one value.
        now: the server's clock, in milliseconds since the Unix epoch.
    """

    value_bytes: int = MAX_VALUE_BYTES
    name_bytes: int = MAX_NAME
    depth: int = MAX_DEPTH
    now: Callable[[], int] = wall_ms

    def fault(self, raw: bytes) -> ComityError | None:
        """Return what is wrong with a binary value; None if nothing is, or if it is no well formed entry."""
        parts = _taken_apart(raw)
        if parts is None:
            return None
        entry, value = parts
        if len(value) > self.value_bytes:  # not decoded: that takes many times its size of memory
            return self._too_large(entry, "a value", len(value), "max_value")
        is_deeper = _is_deeper(value, self.depth)
        if is_deeper is None:
            return None
        return self._too_deep(entry) if is_deeper else self._too_long(entry) or self._too_early(entry)

    def _too_deep(self, entry: Entry) -> ComityError:
        return TooLargeError(
            f"a value nested deeper than {self.depth}",
            subject=_shown(entry),
            remedy="spread it over several cells",
            limit="max_depth",
        )

    def _too_long(self, entry: Entry) -> ComityError | None:
        for what, text, limit in self._texts(entry):
            size = len(text.encode())
            if size > self._most(limit):
                return self._too_large(entry, what, size, limit)
        return None

    def _texts(self, entry: Entry) -> Iterator[tuple[str, str, str]]:
        """Yield what an entry has of texts: what it is, the text, and the name of its limit."""
        if entry.kind == HEADER:
            yield "an agent's name", entry.data, "max_name"
        yield "a name", entry.field, "max_name"
        if entry.kind == CELL:
            yield "a key", entry.key, "max_name"
        if entry.kind in (LISTED, PLACE):
            yield "an id", entry.key, "max_value"
        if entry.kind == PLACE:
            yield "a position", entry.data, "max_value"

    def _most(self, limit: str) -> int:
        return self.value_bytes if limit == "max_value" else self.name_bytes

    def _too_large(self, entry: Entry, what: str, size: int, limit: str) -> ComityError:
        return TooLargeError(
            f"{what} of {size:,} bytes, over the server's limit of {self._most(limit):,}",
            subject=_shown(entry),
            remedy="shorten it, or keep the bulk elsewhere and store where it is",
            limit=limit,
        )

    def _too_early(self, entry: Entry) -> ComityError | None:
        ahead = stamp_ms(entry.stamp) - self.now()
        if ahead <= MAX_AHEAD_MS:
            return None
        return InvalidValueError(
            f"a stamp {ahead // 1000:,} s ahead of the server's clock",
            subject=_shown(entry),
            remedy="set this machine's clock",
        )


class Inspection:
    """Looks at the binary values of one update.

    Args:
        bounds: what is taken.
        known: how many clocks of each client the room has already: what it has is not refused.

    Attributes:
        place: the client and the clock of the item that is being looked at.
    """

    __slots__ = ("_bounds", "_known", "_least_refused", "place")

    def __init__(self, bounds: Bounds, known: Mapping[int, int]) -> None:
        self.place: tuple[int, int] = (0, 0)
        self._bounds = bounds
        self._known = known
        self._least_refused = 0  # of stamps; 0 until it is asked for

    def look(self, data: bytes, start: int, end: int, index: int) -> None:
        """Look at one binary value, from one position in an update to another, the index-th in its item.

        Raises: InvalidValueError or TooLargeError, if it is an entry that is out of bounds and new to the room.
        """
        if not self._is_suspect(data, start, end):
            return
        client, clock = self.place
        if clock + index < self._known.get(client, 0):
            return
        fault = self._bounds.fault(data[start:end])
        if fault is not None:
            raise fault

    def _horizon(self) -> int:
        if not self._least_refused:
            self._least_refused = (self._bounds.now() + MAX_AHEAD_MS + 1 - EPOCH_MS) * TICKS_PER_MS
        return self._least_refused

    def _is_suspect(self, data: bytes, start: int, end: int) -> bool:
        """Tell at a glance whether this may be an entry that is out of bounds; never false for one that is."""
        value_bytes, name_bytes, depth, _now = self._bounds
        try:
            if not 0x92 <= data[start] <= 0x96:
                return data[start] in _LONG_ARRAYS
            kind = data[start + 1]
            if kind > PLACE:
                return kind in _LONG_INTEGERS
            if end - start > value_bytes:
                return True
            at = start + 2
            for _ in _STRINGS[kind]:
                size = data[at] - 0xA0
                if not 0 <= size < 0x20:
                    if data[at] != _STR8:
                        return data[at] in _LONG_STRINGS
                    at += 1
                    size = data[at]
                if size > name_bytes:
                    return True
                at += 1 + size
            if kind in _STAMPED:
                if (
                    data[at] != _UINT64 or _int_of(data[at + 1 : at + 9]) >= self._horizon()
                ):  # all but old ones are 64 bits
                    return True
                at += 9
            return (
                end - at > depth
                and data[at] in _CONTAINERS
                and len(data[at:end].translate(None, _NO_CONTAINER)) > depth
                and _is_deeper(data[start:end], depth + 1) is True  # the entry itself is one
            )
        except IndexError:  # it ends early
            return False


def _taken_apart(raw: bytes) -> tuple[Entry, bytes] | None:
    """Return a well formed entry with nil for its value, and that value's bytes; None if it is none."""
    members = _members(raw)
    if len(members) not in _LENGTHS or members[0][0] not in _INTEGERS:
        return None
    value, at = _NIL, VALUE_AT.get(unpack(members[0]), len(members))
    if at < len(members):
        value, members[at] = members[at], _NIL
    entry = read_entry(bytes((_FIXARRAY | len(members),)) + b"".join(members), 0)
    return None if entry.kind == OPAQUE else (entry, value)


def _members(raw: bytes) -> list[bytes]:
    """Return the members of a msgpack array as they are stored; none if that is not what it is, whole."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(raw)
    members: list[bytes] = []
    try:
        count = unpacker.read_array_header()
        for _ in range(count if count in _LENGTHS else 0):
            start = unpacker.tell()
            unpacker.skip()
            members.append(raw[start : unpacker.tell()])
    except StackError:
        return [*members, _BOTTOMLESS]
    except (UnpackException, ValueError):
        return []
    return members if unpacker.tell() == len(raw) else []


def _shown(entry: Entry) -> str:
    return entry.field if len(entry.field) <= _SHOWN else f"{entry.field[:_SHOWN]}..."


def _is_deeper(value: bytes, depth: int) -> bool | None:
    """Tell whether more containers lie in each other in a msgpack value than a number; None if it is no value."""
    try:
        level: list[Any] = [unpack(value)]
    except StackError:
        return True
    except Exception:  # msgpack raises many kinds for bad input
        return None
    while not _CONTAINER_TYPES.isdisjoint(map(type, level)):
        if not depth:
            return True
        depth -= 1
        level = list(chain.from_iterable(map(_inner, level)))
    return False


def _inner(item: Any) -> Iterable[Any]:
    kind = type(item)
    return item if kind is list else item.values() if kind is dict else ()
