"""Updates: what each transaction changed of a state, by key, before and after."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

from comity.crdt_types import ABSENT, Change, Map, State
from comity.crdt_types.document.entry import ELEMENT
from comity.crdt_types.document.listeners import Commit, Footprint
from comity.crdt_types.document.path import split
from comity.crdt_types.document.steps import CellStep, Step
from comity.crdt_types.document.values import unpack
from comity.crdt_types.types.rows import RowMap

from .keys import Keys
from .pattern import Matcher
from .typedkeys import fields_of

OnUpdate = Callable[[dict[str, Any], dict[str, Any]], object]

Part = tuple[str, ...]
"""What is looked at as one: a field by its name, of a map one key, of rows one row."""


class Updates:
    """Tells a listener of each transaction what it changed: the values before, and those after, by key.

    Only what a transaction touched is looked at: a key of a map, a row, else a field. What the listener was told last
    is kept here, to tell it what was before. Where listeners edit, several transactions may come as one.

    Args:
        state: the state.
        keys: its keys.
        listener: gets both, unless nothing changed that it is to be told of.
        matches: which keys it is told of; None for all.
    """

    def __init__(self, state: State, keys: Keys, listener: OnUpdate, matches: Matcher | None) -> None:
        self._keys = keys
        self._listener = listener
        self._matches = matches
        self._fields = fields_of(state)
        state.open_texts()
        self._known = {part: found for part in self._parts() if (found := self._found(part))}
        self._touched: dict[Part, None] = {}
        document = state.document
        # What comes late, after a gap, comes without an update.
        tellers = [document.on_commit(self._tell), document.on_change(self._tell)]
        self._stops = [document.add_recorder(self._note), *tellers]

    def close(self) -> None:
        """Tell nothing more."""
        for stop in self._stops:
            stop()

    def _parts(self) -> Iterator[Part]:
        for name, field in self._fields.items():
            yield from ((name, key) for key in field) if isinstance(field, Map) else [(name,)]

    def _found(self, part: Part) -> dict[str, Any]:
        matches = self._matches
        return {key: value for key, value in self._keys.at(part) if matches is None or matches(key)}

    def _note(self, footprint: Footprint) -> None:
        for step in footprint.steps:
            self._touch(step.cells.field if isinstance(step, CellStep) else step.items.field, step)
        for path, _delta in footprint.texts:
            self._touch(path)

    def _touch(self, path: str, step: Step | None = None) -> None:
        name, *inside = split(path)
        field = self._fields.get(name)
        if isinstance(field, Map):
            self._touched[name, inside[0] if inside else _key(field, step)] = None
        elif field is not None:
            self._touched[name,] = None

    def _tell(self, _event: Commit | Change) -> None:
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        for part in touched:
            self._compare(part, old, new)
        if old or new:
            self._listener(old, new)

    def _compare(self, part: Part, old: dict[str, Any], new: dict[str, Any]) -> None:
        found = self._found(part)
        known = self._known.pop(part, {})
        if found:
            self._known[part] = found
        old.update(_beside(known, found))
        new.update(deepcopy(dict(_beside(found, known))))  # to do with as the listener likes


def _key(field: "Map[Any]", step: Step | None) -> str:
    """Return the key of a map that a step is about."""
    assert isinstance(step, CellStep)
    return str(unpack(step.key) if step.cells.kind == ELEMENT and isinstance(field, RowMap) else step.key)


def _beside(values: dict[str, Any], others: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the values that others do not have like that."""
    return [(key, value) for key, value in values.items() if _differ(value, others.get(key, ABSENT))]


def _differ(one: Any, other: Any) -> bool:
    """Tell whether values differ, or parts of them; 1, 1.0 and True do."""
    if type(one) is not type(other):
        return True
    if isinstance(one, list):
        return len(one) != len(other) or any(map(_differ, one, other))
    if isinstance(one, dict):
        return one.keys() != other.keys() or any(_differ(value, other[key]) for key, value in one.items())
    return bool(one != other)
