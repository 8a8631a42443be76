"""Telling: the net steps of any number of transactions as differences."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ..document.cells import IN_ORDER, Order
from ..document.changes import Action, Change
from ..document.entry import COUNTER, LISTED, PLACE
from ..document.index import Index
from ..document.steps import CellStep, ItemStep, Step
from ..document.values import canonical
from .differences import Difference, DifferenceAction

_ACTIONS: Final[dict[Action, DifferenceAction]] = {
    "added": "added",
    "changed": "modified",
    "removed": "removed",
    "moved": "moved",
}
_BY_FIELD: Final = attrgetter("field")
_Place = tuple[str, str]


class Telling:
    """Turns net steps into differences, while the index is as they left it.

    Args:
        index: the index.
        steps: the steps.
        client: the client id whose deletions are among them, if it is one.
        author: who made what no lane gives a name for; None if that is not known.
    """

    def __init__(self, index: Index, steps: Sequence[Step], client: int | None, author: str | None) -> None:
        self._index = index
        self._client = client
        self._author = author
        self._counts: dict[str, list[Change]] = {}
        self._items: dict[str, dict[str, list[CellStep]]] = {}
        self._logs: dict[str, list[ItemStep]] = {}
        self._cells: list[CellStep] = []
        for step in steps:
            self._sort(step)

    def _sort(self, step: Step) -> None:
        if isinstance(step, ItemStep):
            self._logs.setdefault(step.items.field, []).append(step)
        elif step.cells.kind in (LISTED, PLACE):
            self._items.setdefault(step.cells.field, {}).setdefault(step.key, []).append(step)
        elif step.cells.kind == COUNTER:
            self._counts.setdefault(step.cells.field, []).extend(self._changes(step))
        else:
            self._cells.append(step)

    def differences(self) -> list[Difference]:
        """Return the differences by field; a cell that was written again as it was is none."""
        changes = [change for step in self._cells for change in self._changes(step)]
        found = [self._difference(change) for change in changes if not _reads_the_same(change)]
        for counts in self._counts.values():
            found += self._counted(counts)
        for keys in self._items.values():
            found += self._of_list(keys)
        for steps in self._logs.values():
            found += self._of_log(steps)
        return sorted(found, key=_BY_FIELD)

    def _changes(self, step: Step) -> list[Change]:
        return self._index.changes([step], False, lambda: self._client)

    def _difference(self, change: Change, old_index: int | None = None, new_index: int | None = None) -> Difference:
        kind, field, key, old, new, author, *_, action = change
        return Difference(kind, field, key, _ACTIONS[action], old, new, author or self._author, old_index, new_index)

    def _counted(self, changes: list[Change]) -> Iterator[Difference]:
        """Yield what the lanes of one counter come to; each was told as if it were the only one."""
        amount = sum(change.new - change.old for change in changes)
        if amount:
            authors = {change.author or self._author for change in changes}
            last = changes[-1]
            author = authors.pop() if len(authors) == 1 else None
            yield Difference("counter", last.field, None, "modified", last.new - amount, last.new, author)

    def _of_log(self, steps: list[ItemStep]) -> Iterator[Difference]:
        gone = [step.entry.order for step in steps if not step.gained]
        come = [step.entry.order for step in steps if step.gained]
        shift = _Shift(steps[0].items.entries, gone, come, IN_ORDER)
        for step in steps:
            for change in self._changes(step):
                place = step.entry.order
                yield self._difference(
                    change, *((None, shift.now(place)) if step.gained else (shift.before(place), None))
                )

    def _of_list(self, keys: dict[str, list[CellStep]]) -> Iterator[Difference]:
        order = _order(keys)
        items = [_item(order, key, steps) for key, steps in keys.items()]
        shift = _Shift(
            order.entries,
            [item.before for item in items if item.before is not None and item.before != item.now],
            [item.now for item in items if item.now is not None and item.before != item.now],
        )
        for item in items:
            old_index = None if item.before is None else shift.before(item.before)
            new_index = None if item.now is None else shift.now(item.now)
            for step in item.steps:
                for change in self._changes(step):
                    yield self._difference(change, old_index, new_index)


def _reads_the_same(change: Change) -> bool:
    return change.action == "changed" and canonical(change.old) == canonical(change.new)


class _Item(NamedTuple):
    """An item of a list: where it stood before and stands now, and the steps that say something of it."""

    before: _Place | None
    now: _Place | None
    steps: list[CellStep]


def _order(keys: dict[str, list[CellStep]]) -> Order:
    order = next(iter(keys.values()))[0].cells.order
    assert order is not None
    return order


def _item(order: Order, key: str, steps: list[CellStep]) -> _Item:
    befores = {step.cells.kind: step.before for step in steps}
    lived = befores.get(LISTED, order.items.get(key))
    places = befores.get(PLACE, order.places.get(key))
    before = (places[0].data if places else key, key) if lived else None
    now = (order.position(key), key) if key in order.items else None
    if before is None or now is None or before == now:
        steps = [step for step in steps if step.cells.kind == LISTED]
    return _Item(before, now, steps)


class _Shift:
    """Where something stands in a sequence, and where it stood before others came and went.

    Args:
        now: the sequence, in order.
        gone: the places that were left.
        come: the places that were taken.
        key: returns the place of what is in the sequence; None if that is a place itself.
    """

    def __init__(
        self, now: Sequence[Any], gone: Iterable[Any], come: Iterable[Any], key: Callable[[Any], Any] | None = None
    ) -> None:
        self._now = now
        self._gone = sorted(gone)
        self._come = sorted(come)
        self._key = key

    def now(self, place: Any) -> int:
        """Return how many stand before a place."""
        return bisect_left(self._now, place, key=self._key)

    def before(self, place: Any) -> int:
        """Return how many stood before a place."""
        return self.now(place) - bisect_left(self._come, place) + bisect_left(self._gone, place)
