"""Cells and items: the live entries of one field, as the index holds them."""

from bisect import bisect_left, insort
from operator import attrgetter
from typing import Any, Final, Protocol

from .entry import CELL, LISTED, REGISTER, Entry

DISPUTABLE: Final = frozenset({REGISTER, CELL, LISTED})
IN_ORDER: Final = attrgetter("order")
# So many items out of order are rather sorted in than inserted: a load brings them lane by lane, not one by one.
_MANY_LATE: Final = 64


class Reader(Protocol):
    """What a schema says of how a field is read."""

    def fits(self, entry: Entry) -> bool:
        """Tell whether the value of an entry fits the field's type."""
        ...

    def pick(self, entries: tuple[Entry, ...]) -> Any:
        """Return the plain value that is read where several entries are live."""
        ...

    def disputed(self, key: Any) -> None:
        """Take note that a cell came into conflict, or got another rival."""
        ...


class Cells(dict[Any, tuple[Entry, ...]]):
    """The live entries of one field by key, the one that is read first.

    Attributes:
        kind: REGISTER, CELL, ELEMENT, COUNTER, HEADER, LISTED or PLACE.
        field: the field's path.
        total: the sum of a counter's lanes, kept as they change.
        plus: the sum of what they added.
        grows: whether that alone is read.
        disputable: whether concurrent values of a cell are in conflict.
        disputed: the keys of the cells with more than one entry.
        order: the order of a list, None for any other kind.
        reader: what the schema says, None while no typed field reads these cells.
        stand_ins: of cells without an entry that fits the schema, the last one seen that did.
    """

    __slots__ = ("disputable", "disputed", "field", "grows", "kind", "order", "plus", "reader", "stand_ins", "total")

    def __init__(self, kind: int, field: str) -> None:
        super().__init__()
        self.kind = kind
        self.field = field
        self.disputable = kind in DISPUTABLE
        self.total = 0
        self.plus = 0
        self.grows = False
        self.disputed: set[Any] = set()
        self.order: Order | None = None
        self.reader: Reader | None = None
        self.stand_ins: dict[Any, Entry] = {}


class Order:
    """The order of a list's items: by position, then id.

    Args:
        items: the list's items by id.
        places: the places of those that were moved.
    """

    __slots__ = ("_known", "_sorted", "_touched", "items", "places")

    def __init__(self, items: Cells, places: Cells) -> None:
        self.items = items
        self.places = places
        self._sorted: list[tuple[str, str]] = []
        self._known: dict[str, tuple[str, str]] = {}
        self._touched: set[str] = set()
        items.order = places.order = self

    def touch(self, key: str) -> None:
        """Note that an item came, went or was moved."""
        self._touched.add(key)

    @property
    def entries(self) -> list[tuple[str, str]]:
        """The positions and ids of all items, in order."""
        if self._touched:
            self._sort_in()
        return self._sorted

    def position(self, key: str) -> str:
        """Return the position of an item."""
        places = self.places.get(key)
        position: str = places[0].data if places else key
        return position

    def index_of(self, key: str) -> int:
        """Return how many items stand before a live one."""
        return bisect_left(self.entries, (self.position(key), key))

    def _sort_in(self) -> None:
        touched, self._touched = self._touched, set()
        if len(touched) > _MANY_LATE:
            self._known = {key: (self.position(key), key) for key in self.items}
            self._sorted = sorted(self._known.values())
            return
        for key in touched:
            self._sort_in_one(key)

    def _sort_in_one(self, key: str) -> None:
        before = self._known.pop(key, None)
        if before is not None:
            del self._sorted[bisect_left(self._sorted, before)]
        if key in self.items:
            now = self._known[key] = (self.position(key), key)
            insort(self._sorted, now)


class Items:
    """The live items of one log, in order."""

    __slots__ = ("_late", "_sorted", "field", "reader")

    def __init__(self, field: str) -> None:
        self.field = field
        self.reader: Reader | None = None
        self._sorted: list[Entry] = []
        self._late: list[Entry] = []

    def __len__(self) -> int:
        return len(self._sorted) + len(self._late)

    @property
    def entries(self) -> list[Entry]:
        """The items in order."""
        if self._late:
            self._sort_in()
        return self._sorted

    def insert(self, entry: Entry) -> None:
        """Take in an item, whose place mostly is the end."""
        if not self._sorted or self._sorted[-1].order <= entry.order:
            self._sorted.append(entry)
        else:
            self._late.append(entry)

    def _sort_in(self) -> None:
        late, self._late = self._late, []
        if len(late) < _MANY_LATE:
            for entry in late:
                insort(self._sorted, entry, key=IN_ORDER)
        else:
            self._sorted.extend(late)
            self._sorted.sort(key=IN_ORDER)

    def remove(self, entry: Entry) -> None:
        """Take an item out."""
        entries = self.entries
        del entries[entries.index(entry, bisect_left(entries, entry.order, key=IN_ORDER))]
