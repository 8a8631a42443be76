"""What takes back that items of a log were appended, or pruned."""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator
from operator import attrgetter
from typing import Final

from ..document.cells import Items
from ..document.entry import Entry
from ..document.statedocument import StateDocument
from .reversal import Reversal, Rows
from .turn import Turn

_STAMP: Final = attrgetter("stamp")


class AppendReversal(Reversal):
    """Prunes an item of a log that was appended."""

    def __init__(self, items: Items, entry: Entry, rows: Rows) -> None:
        self.rows = rows
        self._items = items
        self._entry = entry

    @property
    def place(self) -> Hashable:
        """The item."""
        return place_of(self._items, self._entry)

    def _found(self) -> Entry | None:
        alike = _alike(self._items, self._entry)
        return next((entry for entry in alike if entry.client == self._entry.client), None)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether the item lives."""
        return self._found() is not None

    def revert(self, turn: Turn) -> None:
        """Prune it."""
        found = self._found()
        assert found is not None
        turn.document.prune_items(self._items, [found])


class PruneReversal(Reversal):
    """Brings an item of a log back that was pruned.

    Args:
        items: the log.
        entry: the item.
        rank: how many items just like it there were beside it.
        rows: the rows that it lies in.
    """

    def __init__(self, items: Items, entry: Entry, rank: int, rows: Rows) -> None:
        self.rows = rows
        self._items = items
        self._entry = entry
        self._rank = rank

    @property
    def place(self) -> Hashable:
        """The item."""
        return place_of(self._items, self._entry)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether nobody else has brought it back."""
        return how_many(self._items, self._entry) <= self._rank

    def revert(self, turn: Turn) -> None:
        """Write it again, with its stamp."""
        turn.document.restore_item(self._items.field, self._entry.stamp, self._entry.value)


def place_of(items: Items, entry: Entry) -> Hashable:
    """Return what an item is known by: pruning it undoes that it was appended."""
    return id(items), entry.client, entry.raw


def how_many(items: Items, entry: Entry) -> int:
    """Return how many items of a log were appended at the same moment with the same value as another."""
    return sum(1 for _ in _alike(items, entry))


def _alike(items: Items, entry: Entry) -> Iterator[Entry]:
    entries = items.entries
    first = bisect_left(entries, entry.stamp, key=_STAMP)
    for at in range(first, bisect_right(entries, entry.stamp, first, key=_STAMP)):
        if entries[at].raw == entry.raw:
            yield entries[at]
