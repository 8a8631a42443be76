"""Entries: the immutable binary values that make up a lane."""

from typing import Any, Final

from ..limits import MAX_READ_DEPTH
from .clock import MAX_STAMP
from .values import SCALARS, canonical, pack, pack_readable, unpack

REGISTER: Final = 0
CELL: Final = 1
ELEMENT: Final = 2
COUNTER: Final = 3
ITEM: Final = 4
HEADER: Final = 5
LISTED: Final = 6
PLACE: Final = 7
OPAQUE: Final = -1  # an entry that this version does not understand: kept, and never read

MAX_COUNT: Final = 2**53 - 1  # the largest whole number that JavaScript keeps exact


class Entry:
    """One live entry: its cell, its value, and where it lies.

    Attributes:
        kind: REGISTER, CELL, ELEMENT, COUNTER, ITEM, HEADER, LISTED, PLACE or OPAQUE.
        field: the field's path.
        key: what tells cells of one field apart: None for a register, the key of a map cell, the canonical bytes of
            a set element, the client id for a counter and a header, the id of a list's item and its place.
        stamp: the hybrid clock's stamp; 0 where the kind has none.
        ancestor: the stamp of the entry that this one superseded; 0 for none.
        data: a scalar value; a mark where it must be decoded from `raw` each time, because it can be changed.
        raw: the stored bytes.
        client: the Yjs client id of the lane it lies in.
        segment: the segment it lies in; None while it is only staged.
    """

    __slots__ = ("ancestor", "client", "data", "field", "key", "kind", "raw", "segment", "stamp")

    def __init__(
        self, kind: int, field: str, key: Any, stamp: int, data: Any, raw: bytes, client: int, ancestor: int = 0
    ) -> None:
        self.kind = kind
        self.field = field
        self.key = key
        self.stamp = stamp
        self.data = data
        self.raw = raw
        self.client = client
        self.ancestor = ancestor
        self.segment: Any = None

    @property
    def value(self) -> Any:
        """The value as plain data; a new object at every read if it can be changed."""
        return unpack(self.raw)[VALUE_AT[self.kind]] if self.data is _DECODE else self.data

    @property
    def order(self) -> tuple[int, int, bytes]:
        """What decides between concurrent values: the greatest stamp, then client id, then stored bytes.

        A writer makes no stamp twice, so the bytes decide only over what no sound writer wrote.
        """
        return self.stamp, self.client, self.raw

    def __repr__(self) -> str:
        return f"<Entry {unpack(self.raw)} of {self.client}>" if self.kind != OPAQUE else "<Entry opaque>"


class _Decode:
    __slots__ = ()


_DECODE: Final = _Decode()


def _kept(value: Any) -> Any:
    return value if type(value) in SCALARS else _DECODE


# Where in the array of an entry its value lies.
VALUE_AT: Final = {REGISTER: 3, CELL: 4, ELEMENT: 2, ITEM: 3, LISTED: 4}


def _with_step(parts: tuple[Any, ...], stamp: int, ancestor: int) -> tuple[tuple[Any, ...], int]:
    """Return the parts of an entry with its step, and its ancestor's stamp; 0 where no step can be written."""
    return ((*parts, stamp - ancestor), ancestor) if 0 < ancestor < stamp else (parts, 0)


def register_entry(field: str, stamp: int, value: Any, client: int, ancestor: int = 0) -> Entry:
    """Make the entry of a register."""
    parts, ancestor = _with_step((REGISTER, field, stamp, value), stamp, ancestor)
    return Entry(REGISTER, field, None, stamp, _kept(value), pack_readable(parts, value), client, ancestor)


def cell_entry(kind: int, field: str, key: str, stamp: int, value: Any, client: int, ancestor: int = 0) -> Entry:
    """Make the entry of a map cell (CELL) or a list's item (LISTED)."""
    parts, ancestor = _with_step((kind, field, key, stamp, value), stamp, ancestor)
    return Entry(kind, field, key, stamp, _kept(value), pack_readable(parts, value), client, ancestor)


def place_entry(field: str, key: str, stamp: int, position: str, client: int) -> Entry:
    """Make the entry of a list item's place."""
    return Entry(PLACE, field, key, stamp, position, pack((PLACE, field, key, stamp, position)), client)


def element_entry(field: str, element: Any, client: int) -> Entry:
    """Make the entry of a set element."""
    return Entry(
        ELEMENT, field, canonical(element), 0, _kept(element), pack_readable((ELEMENT, field, element), element), client
    )


def counter_entry(field: str, plus: int, minus: int, client: int) -> Entry:
    """Make the entry of a writer's totals in a counter."""
    return Entry(COUNTER, field, client, 0, (plus, minus), pack((COUNTER, field, plus, minus)), client)


def item_entry(field: str, stamp: int, value: Any, client: int) -> Entry:
    """Make the entry of a log item."""
    return Entry(ITEM, field, None, stamp, _kept(value), pack_readable((ITEM, field, stamp, value), value), client)


def header_entry(agent: str, client: int) -> Entry:
    """Make the header of a lane, which names its author."""
    return Entry(HEADER, "", client, 0, agent, pack((HEADER, agent)), client)


def read_entry(raw: bytes, client: int) -> Entry:
    """Decode a stored entry; one that is not understood comes back as OPAQUE, and never raises."""
    try:
        fields = unpack(raw)
        if type(fields) is list and type(fields[0]) is int:  # not true, nor 1.0, which would find the same reader
            entry = _READERS[fields[0]](fields, raw, client)
            if entry is not None and not (len(raw) > MAX_READ_DEPTH and entry.data is _DECODE and _is_deep(fields)):
                return entry
    except Exception:  # msgpack raises many kinds for bad input, and so do reads of what is not a list
        return Entry(OPAQUE, "", None, 0, None, raw, client)
    return Entry(OPAQUE, "", None, 0, None, raw, client)


def _is_deep(level: list[Any]) -> bool:
    """Tell whether a value among these is nested deeper than MAX_READ_DEPTH."""
    for _ in range(MAX_READ_DEPTH + 1):
        inner = [value.values() if type(value) is dict else value for value in level if type(value) in (dict, list)]
        if not inner:
            return False
        level = [value for values in inner for value in values]
    return True


def _is_stamp(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_STAMP


def _ancestor(fields: list[Any], stamp: int, length: int) -> int:
    """Return the stamp of what an entry superseded, 0 for none, or -1 if the entry is not well formed."""
    if len(fields) == length:
        return 0
    step = fields[-1]
    sound = len(fields) == length + 1 and type(step) is int and 0 < step <= stamp
    return stamp - step if sound else -1


def _read_register(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    _kind, field, stamp, value = fields[:4]
    if type(field) is not str or not _is_stamp(stamp):
        return None
    ancestor = _ancestor(fields, stamp, 4)
    return None if ancestor < 0 else Entry(REGISTER, field, None, stamp, _kept(value), raw, client, ancestor)


def _read_item(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    if len(fields) != 4 or type(fields[1]) is not str or not _is_stamp(fields[2]):
        return None
    return Entry(ITEM, fields[1], None, fields[2], _kept(fields[3]), raw, client)


def _read_cell(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    kind, field, key, stamp, value = fields[:5]
    if not (type(field) is type(key) is str and type(stamp) is int and 0 <= stamp <= MAX_STAMP):
        return None
    if kind == LISTED and not key.isascii():
        return None
    ancestor = _ancestor(fields, stamp, 5) if len(fields) > 5 else 0
    data = value if type(value) in SCALARS else _DECODE
    return None if ancestor < 0 else Entry(kind, field, key, stamp, data, raw, client, ancestor)


def _read_place(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    _kind, field, key, stamp, position = fields
    if not (type(field) is type(key) is type(position) is str) or not _is_stamp(stamp):
        return None
    if not (key.isascii() and position.isascii()):
        return None
    return Entry(PLACE, field, key, stamp, position, raw, client)


def _read_element(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    if len(fields) != 3 or type(fields[1]) is not str:
        return None
    return Entry(ELEMENT, fields[1], canonical(fields[2]), 0, _kept(fields[2]), raw, client)


def _read_counter(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    if len(fields) != 4 or type(fields[1]) is not str:
        return None
    plus, minus = fields[2:]
    if type(plus) is not int or type(minus) is not int or min(plus, minus) < 0 or max(plus, minus) > MAX_COUNT:
        return None
    return Entry(COUNTER, fields[1], client, 0, (plus, minus), raw, client)


def _read_header(fields: list[Any], raw: bytes, client: int) -> Entry | None:
    if len(fields) != 2 or type(fields[1]) is not str:
        return None
    return Entry(HEADER, "", client, 0, fields[1], raw, client)


_READERS: Final = {
    REGISTER: _read_register,
    CELL: _read_cell,
    ELEMENT: _read_element,
    COUNTER: _read_counter,
    ITEM: _read_item,
    HEADER: _read_header,
    LISTED: _read_cell,
    PLACE: _read_place,
}
