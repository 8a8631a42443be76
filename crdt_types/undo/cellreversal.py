"""What takes back what was written to a cell, or deleted from it."""

from collections.abc import Hashable
from typing import Any, Final

from ..document.cells import Cells
from ..document.entry import CELL, COUNTER, ELEMENT, LISTED, PLACE, REGISTER, Entry
from ..document.statedocument import StateDocument
from ..document.values import canonical
from .countreversal import net_count
from .marks import Mark, is_same
from .reversal import Reversal, Rows, kept_of
from .turn import Kept, Turn


class CellReversal(Reversal):
    """Puts a cell back that was written or deleted.

    Args:
        cells: the cells.
        key: the key.
        before: what it held before.
        superseded: the mark of that, if it was all of it and has one.
        written: what was written to it; nothing if it was deleted.
        rows: the rows that it lies in.
        settles: whether values that were there before, and lost against others of then, are written over as well.
    """

    def __init__(
        self,
        cells: Cells,
        key: Any,
        before: tuple[Entry, ...],
        superseded: Mark | None,
        written: tuple[Mark, ...],
        rows: Rows,
        settles: bool,
    ) -> None:
        self.rows = rows
        self._cells = cells
        self._key = key
        self._before = before
        self._superseded = superseded
        self._written = written
        self._settles = settles

    @property
    def place(self) -> Hashable:
        """The cell."""
        return id(self._cells), self._key

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether what was written is still there, or the cell still empty."""
        mine, others = self._live()
        return bool(mine) if self._written else not others or self._overrides(others)

    def _live(self) -> tuple[list[Entry], tuple[Entry, ...]]:
        """Return what is live in the cell: what was written to it, and what else there is."""
        mine = [entry for mark in self._written if (entry := mark.found_in(self._cells, self._key)) is not None]
        return mine, tuple(entry for entry in self._cells.get(self._key, ()) if entry not in mine)

    def _overrides(self, others: tuple[Entry, ...]) -> bool:
        """Tell whether what was read before has to be written over others that were there before too."""
        if not (self._settles and others and _all_in(others, self._before)):
            return False
        cells = self._cells
        return canonical(_was_read(cells, others)) != canonical(_was_read(cells, self._before))

    def revert(self, turn: Turn) -> None:
        """Write what was there before, if nobody else's value is there; delete what was written."""
        cells, key, before = self._cells, self._key, self._before
        mine, others = self._live()
        beside = others and not self._overrides(others)
        if mine and (beside or (not before and cells.kind == PLACE)):
            for entry in mine:
                turn.document.withdraw(cells, entry)
        elif before:
            _write(turn.document, cells, key, _was_read(cells, before))
            if self._superseded is not None:
                turn.restored(self._superseded, cells, key)
        else:
            _delete(turn.document, cells, key)

    def kept(self, document: StateDocument) -> Kept | None:
        """Return the cell, unless it is empty, or the element there, as before; or it is the place of nothing."""
        cells, now = self._cells, self._cells.get(self._key, ())
        if cells.kind == ELEMENT:
            held = now or self._before
            return None if bool(now) == bool(self._before) else kept_of(cells, held[0].value, now, document)
        placeless = cells.order is not None and self._key not in cells.order.items
        if not now and (not self._before or (cells.kind == PLACE and placeless)):
            return None
        return kept_of(cells, self._key, now, document)

    def joined(self, later: "CellReversal") -> Reversal | None:
        """Return what takes back both; the later one alone, if somebody else wrote in between."""
        mine = [entry for entry in later._before if any(is_same(entry, mark.entry) for mark in self._written)]
        others = tuple(entry for entry in later._before if entry not in mine)
        stood = _all_in(others, self._before)
        if not (mine or (stood and not self._written)):
            return later
        before = self._before if stood else others
        written = tuple(dict.fromkeys([*(mark for mark in self._written if mark.alive), *later._written]))
        if not (before or written) or (self._cells.kind == ELEMENT and bool(before) == bool(written)):
            return None
        superseded = self._superseded if stood else None
        return CellReversal(self._cells, self._key, before, superseded, written, later.rows, self._settles)


def _all_in(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> bool:
    return all(any(is_same(entry, other) for other in others) for entry in entries)


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
