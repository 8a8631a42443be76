"""The state document: typed edits of the cells of one Yjs document."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

from ..errors import InvalidValueError, TooLargeError
from ..limits import Limits
from .cells import Cells, Items
from .edits import Edit, Operation
from .entry import (
    CELL,
    COUNTER,
    ELEMENT,
    LISTED,
    MAX_COUNT,
    PLACE,
    REGISTER,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    item_entry,
    place_entry,
    register_entry,
)
from .listeners import Callbacks, Commit
from .livedocument import LiveDocument
from .staged import Staged
from .steps import totals_of
from .textmirror import TextEdit, TextMirror
from .values import canonical, pack

__all__ = ["Commit", "StateDocument"]

_ERASING: Final[dict[int, Operation]] = {
    REGISTER: "clear",
    CELL: "delete",
    ELEMENT: "discard",
    COUNTER: "reset",
    LISTED: "remove",
    PLACE: "remove",
}
_WRITING: Final[dict[int, Operation]] = {REGISTER: "set", CELL: "put", ELEMENT: "add", LISTED: "item"}


class StateDocument(LiveDocument):
    """Typed cells in a Yjs document: reads come from an index in memory, edits become Yjs updates.

    Args:
        agent: the name that this session's edits bear.
        update: a Yjs update to start from.
        client_id: this session's Yjs client id; a fresh random one if None. Never reuse one across sessions.
        clock: the hybrid clock that stamps the edits.

    Raises: ProtocolError, if the update is not one.

    Every edit raises TooLargeError, and writes nothing, where it passes the document's limits.
    """

    _limits = Limits()
    _short = min(_limits.value_bytes, _limits.name_bytes)  # an entry of so many bytes passes no limit of size

    @property
    def limits(self) -> Limits:
        """What this document takes; to be replaced by other `Limits` if need be."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._short = min(limits.value_bytes, limits.name_bytes)

    # Texts ------------------------------------------------------------------------------------------------------

    def text(self, name: str) -> TextMirror:
        """Return the mirror of a root text, which becomes part of the document when it is first asked for.

        Raises: SchemaError, if the name is that of the lanes.
        """
        fresh = name not in self._texts
        mirror = super().text(name)
        if fresh:
            self._text_readers.call(mirror)
        return mirror

    def on_text(self, reader: Callable[[TextMirror], object]) -> Callable[[], None]:
        """Call a reader with every text, now or when it is first asked for; returns how to stop it.

        It is called again where a text was read anew, because edits of it could not be followed one by one.
        """
        for mirror in list(self._texts.values()):
            reader(mirror)
        return self._text_readers.add(reader)

    @cached_property
    def _text_readers(self) -> Callbacks:
        return Callbacks()

    def _catch_up(self) -> None:
        super()._catch_up()
        for mirror in list(self._texts.values()):
            self._text_readers.call(mirror)

    # Edits ------------------------------------------------------------------------------------------------------

    def set_register(self, field: str, value: Any) -> None:
        """Write a register; value is plain data."""
        cells = self.index.cells(REGISTER, field)
        entry = register_entry(field, self.clock.tick(), value, self.client_id, self._ancestor(cells, None))
        self._replace(cells, None, entry, Edit("set", field, None, entry.value))

    def clear_register(self, field: str) -> None:
        """Delete what a register holds."""
        self._replace(self.index.cells(REGISTER, field), None, None, Edit("clear", field, None, None))

    def set_cell(self, field: str, key: str, value: Any) -> None:
        """Write a map cell; value is plain data."""
        self._put(CELL, field, key, value, "put")

    def _put(self, kind: int, field: str, key: str, value: Any, operation: Operation) -> None:
        cells = self.index.cells(kind, field)
        entry = cell_entry(kind, field, key, self.clock.tick(), value, self.client_id, self._ancestor(cells, key))
        self._replace(cells, key, entry, Edit(operation, field, key, entry.value))

    def _ancestor(self, cells: Cells, key: Any) -> int:
        """Return the stamp of what a write of a cell supersedes in the Yjs document, 0 if that is nothing."""
        before = cells.get(key)
        if self._staged is not None:
            return self._staged.ancestor(cells, key, before)
        return before[0].stamp if before else 0

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

    def reset_counter(self, field: str) -> None:
        """Delete what everybody counted; what is counted meanwhile elsewhere survives, with its session's total."""
        self.erase(self.index.cells(COUNTER, field))

    def put_item(self, field: str, key: str, value: Any) -> None:
        """Write an item of a list under its id; a new id is its position.

        Raises: InvalidValueError, if the id is not ASCII.
        """
        _check_ascii(field, key)
        self._put(LISTED, field, key, value, "item")

    def place_item(self, field: str, key: str, position: str) -> None:
        """Move an item of a list to a position; raises InvalidValueError, if that or the id is not ASCII."""
        _check_ascii(field, key, position)
        cells = self.index.cells(PLACE, field)
        entry = place_entry(field, key, self.clock.tick(), position, self.client_id)
        self._replace(cells, key, entry, Edit("place", field, key, position))

    def remove_item(self, field: str, key: str) -> None:
        """Remove an item of a list, and its place."""
        with self._joined() as staged:
            for kind in (LISTED, PLACE):
                self._stage(staged, self.index.cells(kind, field), key, None, Edit("remove", field, key, None))

    def erase(self, found: Cells | Items) -> None:
        """Delete all that a field holds."""
        if isinstance(found, Items):
            self.prune_items(found, found.entries.copy())
            return
        with self._joined() as staged:
            operation = _ERASING[found.kind]
            for key, entries in list(found.items()):
                value = entries[0].value if operation == "discard" else None
                self._stage(staged, found, key, None, Edit(operation, found.field, key, value))

    def withdraw(self, cells: Cells, entry: Entry) -> None:
        """Delete one of the entries of a cell, and leave its rivals alone."""
        left = tuple(rival for rival in cells[entry.key] if rival is not entry)
        with self._joined() as staged:
            self.index.put(cells, entry.key, left)
            staged.doom(entry)
            staged.edits.append(_left(cells, entry, left))

    def append_item(self, field: str, value: Any) -> None:
        """Append an item to a log."""
        self.restore_item(field, self.clock.tick(), value)

    def restore_item(self, field: str, stamp: int, value: Any) -> None:
        """Write an item of a log at the place that its stamp gives it."""
        entry = item_entry(field, stamp, value, self.client_id)
        with self._joined() as staged:
            self._check_size(entry)
            self._check_room()
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
            case Edit("item", field, key, value):
                self.put_item(field, key, value)
            case Edit("place", field, key, value):
                self.place_item(field, key, value)
            case Edit("remove", field, key, _):
                self.remove_item(field, key)
            case Edit("reset", field, _, _):
                self.reset_counter(field)
            case _:
                raise ValueError(f"a {edit.operation} edit cannot be replayed")

    @contextmanager
    def _joined(self) -> Generator[Staged]:
        with self.transaction():
            assert self._staged is not None
            yield self._staged

    def _replace(self, cells: Cells, key: Any, entry: Entry | None, edit: Edit) -> None:
        """Supersede what a cell holds by one entry, or by none."""
        if entry is not None and len(entry.raw) > self._short:
            self._check_size(entry)
        staged = self._staged
        if staged is not None:
            self._stage(staged, cells, key, entry, edit)
        elif self._guards:
            with self._joined() as staged:
                self._stage(staged, cells, key, entry, edit)
        else:
            # The way of most edits, without the cost of a context manager.
            self._begin()
            self.index.noting = self.listeners.want_steps
            staged = Staged()
            self._stage(staged, cells, key, entry, edit)
            self._commit(staged)

    def _stage(self, staged: Staged, cells: Cells, key: Any, entry: Entry | None, edit: Edit) -> None:
        before = cells.get(key, ())
        if not before and entry is None:
            return
        if not before:
            self._check_room()
        for old in before:
            staged.doom(old)
        if entry is None:
            staged.note_deletion(cells, key, before)
            self.index.put(cells, key, ())
        else:
            self.index.put(cells, key, (entry,))
            staged.fresh[entry] = None
        staged.edits.append(edit)

    def _check_size(self, entry: Entry) -> None:
        """Refuse an entry over the limits; short ones cannot be."""
        names = [entry.field] + ([entry.key] if entry.kind == CELL else [])
        sizes = [len(name.encode()) for name in names]
        if max(sizes) > self.limits.name_bytes:
            raise TooLargeError(
                f"a name of {max(sizes):,} bytes, over {self.limits.name_bytes:,}",
                subject=f"{entry.field[:60]!r}",
                remedy="use a shorter field name or key; nothing was written",
            )
        # What surrounds the value is a few bytes, which only count where it is near the limit.
        size = len(entry.raw) - sum(sizes)
        if size > self.limits.value_bytes and (size := len(pack(entry.value))) > self.limits.value_bytes:
            raise TooLargeError(
                f"a value of {size:,} bytes, over {self.limits.value_bytes:,}",
                subject=entry.field,
                remedy="spread it over several cells, or keep it elsewhere and store where; nothing was written",
            )

    def _check_room(self) -> None:
        if self.index.live >= self.limits.cells:
            raise TooLargeError(
                f"{self.limits.cells:,} values are live already",
                subject="document",
                remedy="prune logs or delete what is done with, or spread the state over several rooms",
            )


def _check_ascii(field: str, *names: str) -> None:
    """Refuse ids and positions that languages would not all compare alike."""
    for name in names:
        if not name.isascii():
            raise InvalidValueError(f"{name!r} is not ASCII", subject=field, remedy="use ids that the list made")


def _left(cells: Cells, entry: Entry, left: tuple[Entry, ...]) -> Edit:
    """Return the edit that makes a cell of another document hold what is left of this one."""
    if cells.kind == COUNTER:
        plus, minus = entry.data
        return Edit("count", cells.field, None, minus - plus)
    if cells.kind == PLACE:
        return Edit("place", cells.field, entry.key, left[0].data if left else entry.key)
    operation = _WRITING[cells.kind] if left else _ERASING[cells.kind]
    return Edit(operation, cells.field, entry.key, left[0].value if left else entry.value)
