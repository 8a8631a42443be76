"""The state document: typed edits of the cells of one Yjs document."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .edits import Edit
from .entry import (
    CELL,
    COUNTER,
    ELEMENT,
    MAX_COUNT,
    REGISTER,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    item_entry,
    register_entry,
)
from .errors import InvalidValueError
from .index import Cells, Items, totals_of
from .listeners import Commit
from .livedocument import LiveDocument, Staged
from .textmirror import TextEdit
from .values import canonical

__all__ = ["Commit", "StateDocument"]


class StateDocument(LiveDocument):
    """Typed cells in a Yjs document: reads come from an index in memory, edits become Yjs updates.

    Args:
        agent: the name that this session's edits bear.
        update: a Yjs update to start from.
        client_id: this session's Yjs client id; a fresh random one if None. Never reuse one across sessions.
        clock: the hybrid clock that stamps the edits.

    Raises: ProtocolError, if the update is not one.
    """

    def set_register(self, field: str, value: Any) -> None:
        """Write a register; value is plain data."""
        entry = register_entry(field, self.clock.tick(), value, self.client_id)
        self._replace(self.index.cells(REGISTER, field), None, entry, Edit("set", field, None, entry.value))

    def clear_register(self, field: str) -> None:
        """Delete what a register holds."""
        self._replace(self.index.cells(REGISTER, field), None, None, Edit("clear", field, None, None))

    def set_cell(self, field: str, key: str, value: Any) -> None:
        """Write a map cell; value is plain data."""
        entry = cell_entry(field, key, self.clock.tick(), value, self.client_id)
        self._replace(self.index.cells(CELL, field), key, entry, Edit("put", field, key, entry.value))

    def delete_cell(self, field: str, key: str) -> None:
        """Delete a map cell."""
        self._replace(self.index.cells(CELL, field), key, None, Edit("delete", field, key, None))

    def add_element(self, field: str, element: Any) -> None:
        """Add a set element; added again, it outlives removals that have not seen this."""
        entry = element_entry(field, element, self.client_id)
        self._replace(self.index.cells(ELEMENT, field), entry.key, entry, Edit("add", field, entry.key, entry.value))

    def discard_element(self, field: str, element: Any) -> None:
        """Remove a set element, if it is there: every tag of it that this replica has seen."""
        key = canonical(element)
        self._replace(self.index.cells(ELEMENT, field), key, None, Edit("discard", field, key, element))

    def count(self, field: str, amount: int) -> None:
        """Add a whole number to a counter; a negative one is subtracted.

        Raises: InvalidValueError, if this session's totals would pass 2^53 - 1.
        """
        cells = self.index.cells(COUNTER, field)
        plus, minus = totals_of(cells.get(self.client_id, ()))
        plus, minus = (plus + amount, minus) if amount > 0 else (plus, minus - amount)
        if max(plus, minus) > MAX_COUNT:
            raise InvalidValueError("a counter past 2^53 - 1", subject=field, remedy="count in larger units")
        entry = counter_entry(field, plus, minus, self.client_id)
        self._replace(cells, self.client_id, entry, Edit("count", field, None, amount))

    def append_item(self, field: str, value: Any) -> None:
        """Append an item to a log."""
        entry = item_entry(field, self.clock.tick(), value, self.client_id)
        with self._joined() as staged:
            self.index.add(entry)
            staged.fresh[entry] = None
            staged.edits.append(Edit("append", field, None, entry.value))

    def prune_items(self, items: Items, entries: list[Entry]) -> None:
        """Delete items of a log."""
        if not entries:
            return
        with self._joined() as staged:
            for entry in reversed(entries):  # the newest first, so that the list's tail moves the least
                self.index.drop(entry)
                staged.doom(entry)
            staged.edits.append(Edit("prune", items.field, None, len(entries)))

    def edit_text(self, edit: TextEdit) -> None:
        """Apply an edit of a text."""
        with self._joined() as staged:
            edit.stage()
            staged.texts.append(edit)
            staged.edits.append(Edit("text", edit.mirror.name, None, edit.delta))

    def replay(self, edit: Edit) -> None:
        """Make a typed edit again, on this document.

        Raises: ValueError, for a ``prune`` or ``text`` edit, which mean nothing in another document.
        """
        match edit:
            case Edit("set", field, _, value):
                self.set_register(field, value)
            case Edit("clear", field, _, _):
                self.clear_register(field)
            case Edit("put", field, key, value):
                self.set_cell(field, key, value)
            case Edit("delete", field, key, _):
                self.delete_cell(field, key)
            case Edit("add", field, _, value):
                self.add_element(field, value)
            case Edit("discard", field, _, value):
                self.discard_element(field, value)
            case Edit("count", field, _, value):
                self.count(field, value)
            case Edit("append", field, _, value):
                self.append_item(field, value)
            case _:
                raise ValueError(f"a {edit.operation} edit cannot be replayed")

    @contextmanager
    def _joined(self) -> Generator[Staged]:
        with self.transaction():
            assert self._staged is not None
            yield self._staged

    def _replace(self, cells: Cells, key: Any, entry: Entry | None, edit: Edit) -> None:
        """Supersede what a cell holds by one entry, or by none."""
        staged = self._staged
        if staged is not None:
            self._stage(staged, cells, key, entry, edit)
            return
        # The way of most edits, without the cost of a context manager.
        self._begin()
        self.index.noting = self.listeners.want_changes
        staged = Staged()
        self._stage(staged, cells, key, entry, edit)
        self._commit(staged)

    def _stage(self, staged: Staged, cells: Cells, key: Any, entry: Entry | None, edit: Edit) -> None:
        before = cells.get(key, ())
        if not before and entry is None:
            return
        for old in before:
            staged.doom(old)
        if entry is None:
            self.index.put(cells, key, ())
        else:
            self.index.put(cells, key, (entry,))
            staged.fresh[entry] = None
        staged.edits.append(edit)
