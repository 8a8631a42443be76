"""JSON Patch out: what each transaction does to the JSON view of a state."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

from ..document.changes import ABSENT, Change
from ..document.entry import CELL, ELEMENT, LISTED, PLACE
from ..document.listeners import Commit, Footprint
from ..document.path import escape, split
from ..document.steps import CellStep, ItemStep, Step
from ..document.values import unpack
from ..types.field import CellField, Field
from ..types.list import List
from ..types.log import Log
from ..types.map import Map
from ..types.orset import GSet
from ..types.rows import RowMap
from .jsondiff import Patch, added, changes, moved, removed
from .plain import Json, escaped, stored_json
from .view import Viewed, cell_view, cells_of, fields_of, view

Operations = Iterator[dict[str, Any]]


class PatchStream:
    """Tells a listener of each transaction, local or not, as the JSON Patch that it is to `State.to_json`.

    Only what a transaction touched is looked at: a key of a map, an item of a list, a field of a row. A text is
    replaced as a whole. If listeners edit, several transactions may come as one patch. The stream holds a copy of the
    view.

    Args:
        state: the state.
        listener: gets each patch that is not empty.
    """

    def __init__(self, state: Viewed, listener: Callable[[Patch], object]) -> None:
        self._state = state
        self._listener = listener
        self._view = state.to_json()
        self._lines: dict[str, _Line] = {}
        self._touched: dict[str, list[Step]] = {}
        document = state.document
        # What comes late, after a gap, comes without an update.
        tellers = [document.on_commit(self._tell), document.on_change(self._tell)]
        self._stops = [document.add_recorder(self._note), *tellers]
        self._above = _names_above(state)

    @property
    def snapshot(self) -> dict[str, Json]:
        """The view that the next patch is for, as a copy."""
        return deepcopy(self._view)

    def close(self) -> None:
        """Tell nothing more."""
        for stop in self._stops:
            stop()

    def _note(self, footprint: Footprint) -> None:
        for step in footprint.steps:
            field = step.cells.field if isinstance(step, CellStep) else step.items.field
            self._touched.setdefault(field, []).append(step)
        for name, _delta in footprint.texts:
            self._touched.setdefault(name, [])

    def _tell(self, _event: Commit | Change) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        above = self._above
        patch: Patch = []
        for path, steps in touched.items():
            names = split(path)
            if names[: len(above)] == above and len(names) > len(above):
                patch += self._state_changes(_Place(self._view, ""), self._state, names[len(above) :], steps)
        if patch:
            self._listener(patch)

    # From states down to fields ---------------------------------------------------------------------------------

    def _state_changes(self, place: "_Place", state: Viewed, names: tuple[str, ...], steps: list[Step]) -> Operations:
        field = fields_of(state).get(names[0])
        if field is None:
            return
        if isinstance(field, RowMap):
            yield from self._rows_changes(place.below(names[0]), field, names[1:], steps)
        elif not isinstance(field, Field):
            if names[1:]:
                yield from self._state_changes(place.below(names[0]), field, names[1:], steps)
        elif len(names) == 1:
            yield from self._field_changes(place, names[0], field, steps)

    def _rows_changes(
        self, place: "_Place", rows: RowMap[Any], names: tuple[str, ...], steps: list[Step]
    ) -> Operations:
        if not names:
            for mark in _keys(steps, ELEMENT):
                if isinstance(key := unpack(mark), str):
                    yield from self._rows_changes(place, rows, (key,), [])
            return
        member = escaped(names[0])
        is_there = names[0] in rows
        if not is_there or member not in place.data:
            self._forget_lines(f"{rows.name}/{escape(names[0])}/")
            yield from place.changes(member, view(rows[names[0]]) if is_there else ABSENT)
        elif names[1:]:
            yield from self._state_changes(place.below(member), rows[names[0]], names[1:], steps)

    def _field_changes(self, place: "_Place", name: str, field: Field, steps: list[Step]) -> Operations:
        if isinstance(field, Map):
            cells = cells_of(field)
            for key in _keys(steps, CELL):
                yield from place.below(name).changes(escaped(key), cell_view(field, cells, key))
        elif isinstance(field, (GSet, List, Log)):
            yield from self._line_changes(place.below(name), field, steps)
        else:
            yield from place.changes(name, view(field))

    # Sets, lists and logs ---------------------------------------------------------------------------------------

    def _forget_lines(self, prefix: str) -> None:
        for name in [name for name in self._lines if name.startswith(prefix)]:
            del self._lines[name]

    def _line_changes(
        self, place: "_Place", field: "GSet[Any] | List[Any] | Log[Any]", steps: list[Step]
    ) -> Operations:
        line = self._lines.get(field.name)
        if line is None:
            now = view(field)
            yield from changes(place.pointer, place.data, now)
            place.data[:] = now
            self._lines[field.name] = _Line(field)
        elif isinstance(field, Log):
            for step in steps:
                if isinstance(step, ItemStep):
                    yield line.turn(place, step)
        else:
            for key in _keys(steps, *((ELEMENT,) if isinstance(field, GSet) else (LISTED, PLACE))):
                yield from line.changes(place, field, key)


class _Place(NamedTuple):
    """A part of the view, and the JSON pointer to it."""

    data: Any
    pointer: str

    def below(self, name: str) -> "_Place":
        """Return the part under a name."""
        return _Place(self.data[name], f"{self.pointer}/{escape(name)}")

    def changes(self, name: str, now: Json) -> Operations:
        """Make a member what it is now, or take it away if that is ABSENT, and yield what changes."""
        pointer = f"{self.pointer}/{escape(name)}"
        before = self.data.pop(name, ABSENT)
        if now is not ABSENT:
            self.data[name] = now
        if before is ABSENT or now is ABSENT:
            if before is not now:
                yield removed(pointer) if now is ABSENT else added(pointer, now)
        else:
            yield from changes(pointer, before, now)


class _Line:
    """What decides the order of a set, list or log, item by item as it is seen."""

    def __init__(self, field: "GSet[Any] | List[Any] | Log[Any]") -> None:
        self._known: dict[Any, Any] = {}
        if isinstance(field, Log):
            self._order: list[Any] = [entry.order for entry in field.document.index.items(field.name).entries]
        else:
            cells = cells_of(field)
            seen = [key for key in cells if cell_view(field, cells, key) is not ABSENT]
            self._known = {key: _rank(field, key) for key in seen}
            self._order = sorted(self._known.values())

    def turn(self, place: _Place, step: ItemStep) -> dict[str, Any]:
        """Take in an item that a log gained or lost, and return the operation."""
        entry = step.entry
        at = bisect_left(self._order, entry.order)
        pointer = f"{place.pointer}/{at}"
        if step.gained:
            self._order.insert(at, entry.order)
            place.data.insert(at, stored_json(entry.value))
            return added(pointer, place.data[at])
        del self._order[at], place.data[at]
        return removed(pointer)

    def changes(self, place: _Place, field: CellField, key: Any) -> Operations:
        """Follow an element or item, and yield what changes."""
        now = cell_view(field, cells_of(field), key)
        old = self._known.pop(key, None)
        if old is None:
            if now is not ABSENT:
                at = self._put(field, key)
                place.data.insert(at, now)
                yield added(f"{place.pointer}/{at}", now)
            return
        at = bisect_left(self._order, old)
        before = place.data.pop(at)
        del self._order[at]
        if now is ABSENT:
            yield removed(f"{place.pointer}/{at}")
            return
        to = self._put(field, key)
        place.data.insert(to, now)
        if at != to:
            yield moved(place.pointer, at, to)
        yield from changes(f"{place.pointer}/{to}", before, now)

    def _put(self, field: CellField, key: Any) -> int:
        """Put an element or item where it stands now, and return its index."""
        rank = self._known[key] = _rank(field, key)
        insort(self._order, rank)
        return bisect_left(self._order, rank)


def _rank(field: CellField, key: Any) -> Any:
    order = cells_of(field).order
    return key if order is None else (order.position(key), key)


def _keys(steps: list[Step], *kinds: int) -> list[Any]:
    """Return the keys of the cells of some kinds that were touched, each once."""
    return list(dict.fromkeys(step.key for step in steps if isinstance(step, CellStep) and step.cells.kind in kinds))


def _names_above(state: Viewed) -> tuple[str, ...]:
    """Return the names on the way to a state from the root of its document."""
    for field in fields_of(state).values():
        return split(field.name)[:-1] if isinstance(field, Field) else _names_above(field)[:-1]
    return ()
