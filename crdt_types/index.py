"""The index of a state document: which entries are live in every cell, and what a transaction did to them."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple

from .changes import Change, Conflict, Kind, Rival
from .entry import CELL, COUNTER, ELEMENT, HEADER, ITEM, OPAQUE, REGISTER, Entry
from .values import canonical

_KIND_NAMES: Final[dict[int, Kind]] = {
    REGISTER: "register",
    CELL: "map",
    ELEMENT: "set",
    COUNTER: "counter",
    ITEM: "log",
}
_ORDER: Final = attrgetter("order")
# So many items out of order are rather sorted in than inserted: a load brings them lane by lane, not one by one.
_MANY_LATE: Final = 64


class Cells(dict[Any, tuple[Entry, ...]]):
    """The live entries of one field by key, the one that is read first.

    Attributes:
        kind: REGISTER, CELL, ELEMENT, COUNTER or HEADER.
        field: the field's name.
        total: the sum of a counter's lanes, kept as they change.
    """

    __slots__ = ("field", "kind", "total")

    def __init__(self, kind: int, field: str) -> None:
        super().__init__()
        self.kind = kind
        self.field = field
        self.total = 0


class Items:
    """The live items of one log, in order."""

    __slots__ = ("_late", "_sorted", "field")

    def __init__(self, field: str) -> None:
        self.field = field
        self._sorted: list[Entry] = []
        self._late: list[Entry] = []

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
                insort(self._sorted, entry, key=_ORDER)
        else:
            self._sorted.extend(late)
            self._sorted.sort(key=_ORDER)

    def remove(self, entry: Entry) -> None:
        """Take an item out."""
        entries = self.entries
        del entries[entries.index(entry, bisect_left(entries, entry.order, key=_ORDER))]


class CellStep(NamedTuple):
    """One step of a transaction: a cell, and what it held before."""

    cells: Cells
    key: Any
    before: tuple[Entry, ...]


class ItemStep(NamedTuple):
    """One step of a transaction: an item that a log gained or lost."""

    items: Items
    entry: Entry
    gained: bool


Step = CellStep | ItemStep


class Index:
    """Finds the live entries of every cell, and notes the steps of the transaction under way.

    Attributes:
        noting: whether steps are noted, which costs time: they serve to tell listeners and to take edits back.
    """

    def __init__(self) -> None:
        self.fields: dict[tuple[int, str], Cells] = {}
        self.logs: dict[str, Items] = {}
        self.headers = self.cells(HEADER, "")
        self.noting = False
        self._steps: list[Step] = []

    def cells(self, kind: int, field: str) -> Cells:
        """Return the cells of a field; the same object for the life of the index."""
        found = self.fields.get((kind, field))
        if found is None:
            found = self.fields[kind, field] = Cells(kind, field)
        return found

    def items(self, field: str) -> Items:
        """Return the items of a log; the same object for the life of the index."""
        found = self.logs.get(field)
        if found is None:
            found = self.logs[field] = Items(field)
        return found

    def put(self, cells: Cells, key: Any, entries: tuple[Entry, ...]) -> None:
        """Replace what a cell holds."""
        before = cells.get(key, ())
        if self.noting:
            self._note(cells, key, before)
        if cells.kind == COUNTER:
            cells.total += _count(entries) - _count(before)
        if entries:
            cells[key] = entries
        else:
            cells.pop(key, None)

    def _note(self, cells: Cells, key: Any, before: tuple[Entry, ...]) -> None:
        last = self._steps[-1] if self._steps else None
        # What goes is mostly followed by what supersedes it, and of a cell the first step says it all.
        if type(last) is not CellStep or last.cells is not cells or last.key != key:
            self._steps.append(CellStep(cells, key, before))

    def add(self, entry: Entry) -> None:
        """Take in an entry that became live."""
        kind = entry.kind
        if kind == ITEM:
            self._turn(self.items(entry.field), entry, gained=True)
        elif kind != OPAQUE:
            cells = self.cells(kind, entry.field)
            rivals = cells.get(entry.key)
            entries = (entry,) if not rivals else tuple(sorted((*rivals, entry), key=_ORDER, reverse=True))
            self.put(cells, entry.key, entries)

    def drop(self, entry: Entry) -> None:
        """Forget an entry that is live no more."""
        kind = entry.kind
        if kind == ITEM:
            self._turn(self.items(entry.field), entry, gained=False)
        elif kind != OPAQUE:
            cells = self.cells(kind, entry.field)
            rivals = cells[entry.key]
            left = () if len(rivals) == 1 else tuple(rival for rival in rivals if rival is not entry)
            self.put(cells, entry.key, left)

    def _turn(self, items: Items, entry: Entry, *, gained: bool) -> None:
        if gained:
            items.insert(entry)
        else:
            items.remove(entry)
        if self.noting:
            self._steps.append(ItemStep(items, entry, gained))

    def forget_all(self) -> None:
        """Drop every entry; the cells and items handed out stay valid."""
        for cells in self.fields.values():
            for key in list(cells):
                self.put(cells, key, ())
        for items in self.logs.values():
            for entry in reversed(items.entries.copy()):
                self._turn(items, entry, gained=False)

    def forget_steps(self) -> None:
        """Forget the steps noted; what they did stays."""
        self._steps.clear()

    def undo(self) -> None:
        """Take back every step noted, the last one first."""
        steps, self._steps = self._steps, []
        self.noting = False
        for step in reversed(steps):
            if isinstance(step, CellStep):
                self.put(step.cells, step.key, step.before)
            else:
                self._turn(step.items, step.entry, gained=not step.gained)

    def author(self, client: int | None) -> str | None:
        """Return the name of the agent whose session a client id is, empty if it gave none; None for None."""
        if client is None:
            return None
        headers = self.headers.get(client)
        return headers[0].data if headers else ""

    def conflicts(self) -> list[Conflict]:
        """List every register and map cell that holds more than one concurrent value."""
        return [conflict for _place, cells in sorted(self.fields.items()) for conflict in self.conflicts_in(cells)]

    def conflicts_in(self, cells: Cells) -> Iterator[Conflict]:
        """Yield the conflicts of one field by key; a set has none, whoever adds an element wants it there.

        Entries of one value are one rival, the one that is read first: there is nothing to choose between them.
        """
        if cells.kind in (REGISTER, CELL):
            for key in sorted(key for key, entries in cells.items() if len(entries) > 1):
                rivals = {canonical(entry.value): entry for entry in reversed(cells[key])}
                if len(rivals) > 1:
                    kept = [entry for entry in cells[key] if entry in rivals.values()]
                    yield Conflict(cells.field, key, tuple(map(self._rival, kept)))

    def _rival(self, entry: Entry) -> Rival:
        return Rival(entry.value, self.author(entry.client) or "", entry.client, entry.stamp)

    def take_changes(self, local: bool, deleter: Callable[[], int | None]) -> list[Change]:
        """Turn the steps noted into typed changes, and forget them.

        Args:
            local: whether this replica made them.
            deleter: returns the client id that made the deletions among them, if it is known.
        """
        steps, self._steps = self._steps, []
        totals: dict[str, int] = {}
        changes: list[Change] = []
        # Backwards, because what a counter came to is known and what it came from follows.
        for step in reversed(steps if len(steps) == 1 else list(_net(steps))):
            changes.extend(self._changed(step, totals, local, deleter))
        changes.reverse()
        return changes

    def _changed(
        self, step: Step, totals: dict[str, int], local: bool, deleter: Callable[[], int | None]
    ) -> Iterable[Change]:
        if isinstance(step, ItemStep):
            return self._item_changed(step, local, deleter)
        kind = step.cells.kind
        if kind == COUNTER:
            return self._counter_changed(step, totals, local)
        after = step.cells.get(step.key, ())
        if kind == HEADER or _identity(after) == _identity(step.before):
            return ()
        return self._cell_changed(step, after, local, deleter)

    def _cell_changed(
        self, step: CellStep, after: tuple[Entry, ...], local: bool, deleter: Callable[[], int | None]
    ) -> Iterable[Change]:
        cells, key, before = step
        # A rival that comes to be read was written before: who deleted what was read made this change.
        came = bool(after) and not any(_identity((entry,)) == _identity(after) for entry in before)
        who = after[0].client if came else deleter()
        old = before[0].value if before else None
        new = after[0].value if after else None
        if cells.kind == ELEMENT:
            if before and after:
                return ()
            key, old, new = (new, None, True) if after else (old, True, None)
        return (Change(_KIND_NAMES[cells.kind], cells.field, key, old, new, self.author(who), who, local),)

    def _counter_changed(self, step: CellStep, totals: dict[str, int], local: bool) -> Iterable[Change]:
        cells, who, before = step
        change = _count(cells.get(who, ())) - _count(before)
        if not change:
            return ()
        new = totals.get(cells.field, cells.total)
        old = totals[cells.field] = new - change
        return (Change("counter", cells.field, None, old, new, self.author(who), who, local),)

    def _item_changed(self, step: ItemStep, local: bool, deleter: Callable[[], int | None]) -> Iterable[Change]:
        value = step.entry.value
        who = step.entry.client if step.gained else deleter()
        old, new = (None, value) if step.gained else (value, None)
        return (Change("log", step.items.field, None, old, new, self.author(who), who, local),)


def totals_of(entries: tuple[Entry, ...]) -> tuple[int, int]:
    """Return what one lane adds to and takes from a counter.

    Its writer's totals only grow, so of several entries the greatest hold.
    """
    if len(entries) == 1:
        plus, minus = entries[0].data
    else:
        plus = max((entry.data[0] for entry in entries), default=0)
        minus = max((entry.data[1] for entry in entries), default=0)
    return plus, minus


def _count(entries: tuple[Entry, ...]) -> int:
    plus, minus = totals_of(entries)
    return plus - minus


def _identity(entries: tuple[Entry, ...]) -> tuple[int, bytes] | None:
    """Return what tells the entry that is read from any other, also of a document that was read anew."""
    return (entries[0].client, entries[0].raw) if entries else None


def _net(steps: list[Step]) -> Iterator[Step]:
    """Keep what a transaction came to.

    Of every cell that is the first step, which knows what it held before. A log item that was both gained and lost
    never was.
    """
    seen: set[tuple[int, Any]] = set()
    gains = Counter[Any]()
    for step in steps:
        if isinstance(step, ItemStep):
            gains[_item(step)] += 1 if step.gained else -1
    for step in steps:
        if isinstance(step, CellStep):
            if (cell := (id(step.cells), step.key)) not in seen:
                seen.add(cell)
                yield step
        elif (left := gains[_item(step)]) and (left > 0) == step.gained:
            gains[_item(step)] -= 1 if step.gained else -1
            yield step


def _item(step: ItemStep) -> tuple[int, int, bytes]:
    return id(step.items), step.entry.client, step.entry.raw
