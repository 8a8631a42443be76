"""Reversals: what takes one cell, count, log item or text of a transaction back, and leaves what others did alone."""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ..document.cells import Cells, Items
from ..document.delta import Delta
from ..document.entry import CELL, COUNTER, ELEMENT, LISTED, PLACE, REGISTER, Entry
from ..document.index import Index
from ..document.path import join, split
from ..document.statedocument import StateDocument
from ..document.steps import totals_of
from ..document.values import canonical
from ..types.text import Text
from .marks import Mark, Tally, Turn, is_same

_STAMP: Final = attrgetter("stamp")

Rows = tuple[tuple[str, str], ...]
"""The rows that a field lies in, the outermost first: the path of the map and the key."""


class Reversal(ABC):
    """What takes one part of a transaction back.

    Attributes:
        rows: the rows that it lies in; where one of them is gone since, there is nothing to take back.
    """

    rows: Rows = ()

    @property
    @abstractmethod
    def place(self) -> Hashable:
        """What it is about; there is one for each place in a step."""

    @abstractmethod
    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there still is something to take back."""

    @abstractmethod
    def revert(self, turn: Turn) -> None:
        """Take it back; only called if that is due."""

    def joined(self, later: Any) -> "Reversal | None":
        """Return what takes back this and a later one of the same place; None if there is nothing left."""
        return None


class CellReversal(Reversal):
    """Puts a cell back that was written or deleted.

    Args:
        cells: the cells.
        key: the key.
        before: what it held before.
        superseded: the mark of that, if it was all of it and this session wrote it.
        written: what was written to it; None if it was deleted.
        rows: the rows that it lies in.
    """

    def __init__(
        self,
        cells: Cells,
        key: Any,
        before: tuple[Entry, ...],
        superseded: Mark | None,
        written: Mark | None,
        rows: Rows,
    ) -> None:
        self.rows = rows
        self._cells = cells
        self._key = key
        self._before = before
        self._superseded = superseded
        self._written = written

    @property
    def place(self) -> Hashable:
        """The cell."""
        return id(self._cells), self._key

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether what was written is still there, or the cell still empty."""
        if self._written is None:
            return self._key not in self._cells
        return self._written.found_in(self._cells, self._key) is not None

    def revert(self, turn: Turn) -> None:
        """Write what was there before, if nobody else's value is there; delete what was written."""
        cells, key = self._cells, self._key
        written = None if self._written is None else self._written.found_in(cells, key)
        if written is not None and (len(cells[key]) > 1 or (not self._before and cells.kind == PLACE)):
            turn.document.withdraw(cells, written)
        elif self._before:
            _write(turn.document, cells, key, _was_read(cells, self._before))
            if self._superseded is not None:
                turn.restored(self._superseded, cells, key)
        else:
            _delete(turn.document, cells, key)

    def joined(self, later: "CellReversal") -> Reversal | None:
        """Return what takes back both; the later one alone, if somebody else wrote in between."""
        if not self._led_to(later._before):
            return later
        both = CellReversal(self._cells, self._key, self._before, self._superseded, later._written, later.rows)
        if self._cells.kind == ELEMENT:
            return None if bool(self._before) == (later._written is not None) else both
        return both if self._before or later._written else None

    def _led_to(self, before: tuple[Entry, ...]) -> bool:
        if self._written is None:
            return not before
        return len(before) == 1 and is_same(before[0], self._written.entry)


class CountReversal(Reversal):
    """Counts the opposite of what this session counted.

    Args:
        cells: the counter's cells.
        amount: what was counted.
        tally: tells whether it still counts.
        grows: whether it may only be taken back by deleting all that this session counted.
        rows: the rows that it lies in.
    """

    def __init__(self, cells: Cells, amount: int, tally: Tally, grows: bool, rows: Rows) -> None:
        self.rows = rows
        self._cells = cells
        self._amount = amount
        self._tally = tally
        self._grows = grows

    @property
    def place(self) -> Hashable:
        """The counter, since its last reset."""
        return id(self._cells), id(self._tally)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether the count was not reset since."""
        return self._tally.alive and (not self._grows or self._is_all(document))

    def _is_all(self, document: StateDocument) -> bool:
        entries = self._cells.get(document.client_id)
        return entries is not None and net_count(entries) == self._amount

    def revert(self, turn: Turn) -> None:
        """Count the opposite; where this session's counts come to nothing, delete them."""
        document, cells = turn.document, self._cells
        if self._is_all(document):
            for entry in cells[document.client_id]:
                document.withdraw(cells, entry)
        else:
            document.count(cells.field, -self._amount)

    def joined(self, later: "CountReversal") -> Reversal | None:
        """Return what takes back both."""
        amount = self._amount + later._amount
        return CountReversal(self._cells, amount, self._tally, self._grows, later.rows) if amount else None


class ResetReversal(Reversal):
    """Counts again what one session had counted when the counter was reset.

    Args:
        cells: the counter's cells.
        client: the session that had counted.
        amount: what it had counted.
        ended: of this session's own counts, those that the reset ended.
        current: those that count now.
    """

    def __init__(self, cells: Cells, client: int, amount: int, ended: list[Tally], current: list[Tally]) -> None:
        self._cells = cells
        self._client = client
        self._amount = amount
        self._ended = ended
        self._current = current

    @property
    def place(self) -> Hashable:
        """This reset."""
        return id(self)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether that session has not counted on since: then its totals are there again, with what they were."""
        return self._client == document.client_id or self._client not in self._cells

    def revert(self, turn: Turn) -> None:
        """Count it, as this session's own."""
        if self._amount:
            turn.document.count(self._cells.field, self._amount)
        turn.revived(self._ended, self._current)


class AppendReversal(Reversal):
    """Prunes an item of a log that was appended."""

    def __init__(self, items: Items, entry: Entry, rows: Rows) -> None:
        self.rows = rows
        self._items = items
        self._entry = entry

    @property
    def place(self) -> Hashable:
        """The item."""
        return id(self._items), self._entry.client, self._entry.raw

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
        return id(self._items), self._entry.client, self._entry.raw, self._rank

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether nobody else has brought it back."""
        return how_many(self._items, self._entry) <= self._rank

    def revert(self, turn: Turn) -> None:
        """Write it again, with its stamp."""
        turn.document.restore_item(self._items.field, self._entry.stamp, self._entry.value)


class TextReversal(NamedTuple):
    """Makes the opposite edit of a text.

    Attributes:
        name: the text.
        delta: the edit.
        rows: the rows that it lies in.
    """

    name: str
    delta: Delta
    rows: Rows

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there still is something to take back."""
        return bool(self.delta) and rows_live(document.index, self.rows)

    def revert(self, document: StateDocument) -> None:
        """Make the edit, and keep the row that the text lies in."""
        if self.rows:
            document.add_element(*self.rows[-1])
        Text().bind(document, self.name, Any).apply_delta(self.delta)


def rows_of(index: Index, path: str) -> Rows:
    """Return the rows that a field lies in and that are there."""
    if "/" not in path:
        return ()
    names = split(path)
    found: list[tuple[str, str]] = []
    for at in range(1, len(names)):
        cells = index.fields.get((ELEMENT, join(*names[:at])))
        if cells and canonical(names[at]) in cells:
            found.append((cells.field, names[at]))
    return tuple(found)


def rows_live(index: Index, rows: Rows) -> bool:
    """Tell whether all of some rows are there."""
    return all(_row_lives(index, path, key) for path, key in rows)


def _row_lives(index: Index, path: str, key: str) -> bool:
    if canonical(key) in index.cells(ELEMENT, path):
        return True
    below = index.below(path).get(key, [])
    return any(len(found) and not (isinstance(found, Cells) and found.kind == PLACE) for found in below)


def how_many(items: Items, entry: Entry) -> int:
    """Return how many items of a log were appended at the same moment with the same value as another."""
    return sum(1 for _ in _alike(items, entry))


def _alike(items: Items, entry: Entry) -> Iterator[Entry]:
    entries = items.entries
    first = bisect_left(entries, entry.stamp, key=_STAMP)
    for at in range(first, bisect_right(entries, entry.stamp, first, key=_STAMP)):
        if entries[at].raw == entry.raw:
            yield entries[at]


def net_count(entries: tuple[Entry, ...]) -> int:
    """Return what one session's totals in a counter come to."""
    plus, minus = totals_of(entries)
    return plus - minus


def _was_read(cells: Cells, entries: tuple[Entry, ...]) -> Any:
    """Return the plain value that was read where several entries were live."""
    first, *rivals = entries
    if rivals and cells.reader is not None and any(map(cells.reader.fits, entries)):
        return cells.reader.pick(entries)
    return first.data if cells.kind == PLACE else first.value


_SETTERS: Final = {CELL: StateDocument.set_cell, LISTED: StateDocument.put_item, PLACE: StateDocument.place_item}


def _write(document: StateDocument, cells: Cells, key: Any, value: Any) -> None:
    if cells.kind == REGISTER:
        document.set_register(cells.field, value)
    elif cells.kind == ELEMENT:
        document.add_element(cells.field, value)
    else:
        _SETTERS[cells.kind](document, cells.field, key, value)


def _delete(document: StateDocument, cells: Cells, key: Any) -> None:
    if cells.kind == REGISTER:
        document.clear_register(cells.field)
    elif cells.kind == ELEMENT:
        element = cells[key][0].value
        document.discard_element(cells.field, element)
        if isinstance(element, str):
            _sweep(document, cells.field, element)
    elif cells.kind == LISTED:
        document.remove_item(cells.field, key)
    else:
        document.delete_cell(cells.field, key)


def _sweep(document: StateDocument, path: str, key: str) -> None:
    """Delete what this session counted below a row if it comes to nothing, for that alone would keep the row."""
    for found in document.index.below(path).get(key, []):
        if isinstance(found, Cells) and found.kind == COUNTER:
            entries = found.get(document.client_id, ())
            for entry in entries if net_count(entries) == 0 else ():
                document.withdraw(found, entry)
