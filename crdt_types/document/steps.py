"""Steps: what a transaction did to the index, and the typed changes that it comes to."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .cells import Cells, Items
from .changes import Action, Change, Kind
from .entry import CELL, COUNTER, ELEMENT, HEADER, LISTED, PLACE, REGISTER, Entry
from .values import canonical

KIND_NAMES: Final[dict[int, Kind]] = {
    REGISTER: "register",
    CELL: "map",
    ELEMENT: "set",
    COUNTER: "counter",
    LISTED: "list",
    PLACE: "list",
}


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


def _count(cells: Cells, entries: tuple[Entry, ...]) -> int:
    plus, minus = totals_of(entries)
    return plus if cells.grows else plus - minus


def identity(entries: tuple[Entry, ...]) -> tuple[int, bytes] | None:
    """Return what tells the entry that is read from any other, also of a document that was read anew."""
    return (entries[0].client, entries[0].raw) if entries else None


def net(steps: list[Step]) -> list[Step]:
    """Keep what a transaction came to.

    Of every cell that is the first step, which knows what it held before. A log item that was both gained and lost
    never was.
    """
    if len(steps) == 1:
        return steps
    if any(type(step) is ItemStep for step in steps):
        return list(_net(steps))
    firsts: dict[tuple[int, Any], Step] = {}
    for step in steps:
        firsts.setdefault((id(step[0]), step[1]), step)
    return list(firsts.values())


def _net(steps: list[Step]) -> Iterator[Step]:
    seen: set[tuple[int, Any]] = set()
    gains = Counter[Any]()
    for step in steps:
        if type(step) is ItemStep:
            gains[_item(step)] += 1 if step.gained else -1
    for step in steps:
        if type(step) is CellStep:
            if (cell := (id(step.cells), step.key)) not in seen:
                seen.add(cell)
                yield step
        elif type(step) is ItemStep and (left := gains[_item(step)]) and (left > 0) == step.gained:
            gains[_item(step)] -= 1 if step.gained else -1
            yield step


def _item(step: ItemStep) -> tuple[int, int, bytes]:
    return id(step.items), step.entry.client, step.entry.raw


class Teller:
    """Turns the net steps of one transaction into typed changes.

    Args:
        steps: the steps.
        author: returns the agent's name of a client id.
        local: whether this replica made them.
        deleter: returns the client id that made the deletions among them, if it is known.
    """

    __slots__ = ("_author", "_deleter", "_local", "_steps", "_totals", "_touched")

    def __init__(
        self, steps: list[Step], author: Callable[[int | None], str | None], local: bool, deleter: Callable[[], Any]
    ) -> None:
        self._steps = steps
        self._author = author
        self._local = local
        self._deleter = deleter
        self._totals: dict[str, int] = {}
        self._touched: set[tuple[int, Any]] | None = None

    def changes(self) -> list[Change]:
        """Return the changes in the order of the steps."""
        if len(self._steps) == 1:
            change = self._told(self._steps[0])
            return [] if change is None else [change]
        changes: list[Change] = []
        # Backwards, because what a counter came to is known and what it came from follows.
        for step in reversed(self._steps):
            change = self._told(step)
            if change is not None:
                changes.append(change)
        changes.reverse()
        return changes

    def _told(self, step: Step) -> Change | None:
        if isinstance(step, ItemStep):
            return self._item_changed(step)
        cells, key, before = step
        after = cells.get(key, ())
        if len(before) == 1 == len(after) and cells.disputable:
            return self._overwritten(cells, key, before[0], after[0])
        return self._changed(cells, key, before, after)

    def _overwritten(self, cells: Cells, key: Any, before: Entry, after: Entry) -> Change | None:
        """Tell of a cell that one entry superseded another in, which is the way of most edits."""
        who = after.client
        if who == before.client and after.raw == before.raw:
            return None
        kind, author = KIND_NAMES[cells.kind], self._author(who)
        return Change(kind, cells.field, key, before.value, after.value, author, who, self._local, "changed")

    def _changed(self, cells: Cells, key: Any, before: tuple[Entry, ...], after: tuple[Entry, ...]) -> Change | None:
        kind = cells.kind
        if kind == COUNTER:
            return self._counter_changed(cells, key, before)
        if not before and not after:
            return None  # it came and went
        if kind == ELEMENT:
            return self._element_changed(cells, before, after)
        if cells.reader is not None and (len(before) > 1 or len(after) > 1):
            return self._reading_changed(cells, key, before, after)
        if kind == HEADER or identity(after) == identity(before):
            return None
        if kind == PLACE:
            return self._place_changed(cells, key)
        old = before[0].value if before else None
        new = after[0].value if after else None
        return self._change(cells, key, old, new, before, after)

    def _reading_changed(
        self, cells: Cells, key: Any, before: tuple[Entry, ...], after: tuple[Entry, ...]
    ) -> Change | None:
        """Tell of a cell of which the schema decides what is read."""
        old, new = _read(cells, before), _read(cells, after)
        if bool(before) == bool(after) and canonical(old) == canonical(new):
            return None
        return self._change(cells, key, old, new, before, after)

    def _change(
        self, cells: Cells, key: Any, old: Any, new: Any, before: tuple[Entry, ...], after: tuple[Entry, ...]
    ) -> Change:
        who = self._who(before, after)
        action: Action = "removed" if not after else "changed" if before else "added"
        return Change(KIND_NAMES[cells.kind], cells.field, key, old, new, self._author(who), who, self._local, action)

    def _who(self, before: tuple[Entry, ...], after: tuple[Entry, ...]) -> int | None:
        # A rival that comes to be read was written before: who deleted what was read made this change.
        if not after or any(entry.client == after[0].client and entry.raw == after[0].raw for entry in before):
            who: int | None = self._deleter()
            return who
        return after[0].client

    def _element_changed(self, cells: Cells, before: tuple[Entry, ...], after: tuple[Entry, ...]) -> Change | None:
        if before and after:
            return None
        element = (after or before)[0].value
        old, new = (None, True) if after else (True, None)
        return self._change(cells, element, old, new, before, after)

    def _counter_changed(self, cells: Cells, who: int, before: tuple[Entry, ...]) -> Change | None:
        change = _count(cells, cells.get(who, ())) - _count(cells, before)
        if not change:
            return None
        new = self._totals.get(cells.field, cells.plus if cells.grows else cells.total)
        old = self._totals[cells.field] = new - change
        return Change("counter", cells.field, None, old, new, self._author(who), who, self._local)

    def _place_changed(self, cells: Cells, key: str) -> Change | None:
        assert cells.order is not None
        items = cells.order.items
        entries = items.get(key)
        if not entries or (id(items), key) in self._written():
            return None  # it is gone, or another change tells of it
        value, places = _read(items, entries), cells.get(key)
        who = places[0].client if places else self._deleter()
        return Change("list", cells.field, key, value, value, self._author(who), who, self._local, "moved")

    def _written(self) -> set[tuple[int, Any]]:
        """Return the items that a change tells of as written, as a set: the transaction may have moved many."""
        if self._touched is None:
            steps = [step for step in self._steps if type(step) is CellStep and step.cells.kind == LISTED]
            self._touched = {(id(step.cells), step.key) for step in steps if self._told(step) is not None}
        return self._touched

    def _item_changed(self, step: ItemStep) -> Change:
        value = step.entry.value
        who = step.entry.client if step.gained else self._deleter()
        old, new = (None, value) if step.gained else (value, None)
        action: Action = "added" if step.gained else "removed"
        return Change("log", step.items.field, None, old, new, self._author(who), who, self._local, action)


def _read(cells: Cells, entries: tuple[Entry, ...]) -> Any:
    if len(entries) > 1 and cells.reader is not None:
        return cells.reader.pick(entries)
    return entries[0].value if entries else None
