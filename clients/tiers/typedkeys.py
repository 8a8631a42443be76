"""The keys of a state with a class."""

from collections.abc import Iterator
from typing import Any, Final, Literal

from comity.crdt_types import ABSENT, Change, Map, Register, State, Text
from comity.crdt_types.document.path import join, split
from comity.crdt_types.errors import InvalidValueError
from comity.crdt_types.schema.declaration import declared_fields
from comity.crdt_types.types.field import Field
from comity.crdt_types.types.rows import RowMap
from comity.crdt_types.views.view import empty

from .keys import Cell, Keys, escaped, joined, parted
from .pattern import SEPARATOR, Matcher, beginning, matcher

Place = tuple[Field | State, str | None]
"""What a key stands for: a field or a state, or one key of a map."""

Sort = Literal["state", "rows", "map", "register", "other"]


_SORTS: Final[dict[type, Sort]] = {}  # of each class that was met


def sort_of(cls: type) -> Sort:
    """Return what sort of holder a class is of; asking each object would take most of the time of a read."""
    found = _SORTS.get(cls)
    if found is None:
        found = _SORTS[cls] = _sort(cls)
    return found


def _sort(cls: type) -> Sort:
    if issubclass(cls, State):
        return "state"
    if issubclass(cls, RowMap):
        return "rows"
    return "map" if issubclass(cls, Map) else "register" if issubclass(cls, Register) else "other"


class TypedKeys(Keys):
    """The keys of a state with a class: the names of fields, and of rows and map keys in them, joined by dots.

    Args:
        state: the state.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, key: object) -> Any:
        """Return the value under a key."""
        place = self._place(key) if isinstance(key, str) else None
        value = ABSENT if place is None else _value(*place)
        if value is ABSENT:
            raise KeyError(key)
        return value

    def _place(self, key: str) -> Place | None:
        """Return what a key stands for; None if there is no such field, or not such a row."""
        found: Any = self._state
        names = parted(key)
        last = len(names) - 1
        for at, name in enumerate(names):
            sort = sort_of(type(found))
            if sort == "state":
                found = None if name[:1] == "_" else vars(found).get(name)
                if found is None:
                    return None
            elif sort == "rows":
                found = found.get(name)
                if found is None:
                    return None
            else:
                return (found, name) if sort == "map" and at == last else None
        return (found, None) if names else None

    def _place_to_write(self, key: str) -> Place:
        """Return what a key stands for; rows on the way are made. Raises InvalidValueError."""
        if not isinstance(key, str):
            raise InvalidValueError(f"{key!r} is no key", subject=type(self._state).__name__, remedy="give a string")
        found: Field | State = self._state
        names = parted(key)
        for at, name in enumerate(names):
            if isinstance(found, RowMap):
                if at == len(names) - 1:
                    return found, name
                found = found.setdefault(name)
                continue
            if isinstance(found, Map) and at == len(names) - 1:
                return found, name
            below = None if isinstance(found, Map) else _field(found, name)
            if below is None:
                raise _no_such_key(key, self._state)
            found = below
        if not names:
            raise _no_such_key(key, self._state)
        return found, None

    def write(self, key: str, value: Any) -> None:
        """Write what a key stands for."""
        with self._state.transaction():
            holder, cell = self._place_to_write(key)
            if isinstance(holder, Map) and cell is not None:
                holder[cell] = value
            else:
                holder.assign(value)

    def delete(self, key: str) -> None:
        """Take away what a key stands for."""
        place = self._place(key)
        if place is None or _value(*place) is ABSENT:
            raise KeyError(key)
        with self._state.transaction():
            rows, name = self._row_of(key)
            holder, cell = place
            if rows is not None:
                del rows[name]
            elif cell is not None and isinstance(holder, Map):
                del holder[cell]
            else:
                empty(holder)

    def _row_of(self, key: str) -> tuple[RowMap[Any] | None, str]:
        """Return the map of rows and the row's name, if a key stands for a row."""
        *above, name = parted(key)
        place = self._place(joined(tuple(above))) if above else None
        return (place[0] if place is not None and isinstance(place[0], RowMap) else None), name

    def clear(self) -> None:
        """Take away all there is."""
        with self._state.transaction():
            empty(self._state)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield every key with its value."""
        return leaves(self._state, "")

    def at(self, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Yield what lies at names and below."""
        key = joined(names)
        place = self._place(key)
        if place is None:
            return iter(())
        if place[1] is None:
            return leaves(place[0], key)
        return iter([(key, value)] if (value := _value(*place)) is not ABSENT else ())

    def spot(self, key: str) -> Cell:
        """Return the path of what a key stands for, and the key of a map."""
        names = parted(key)
        above = self._state.field_at(join(*names[:-1])) if names[1:] else None
        if isinstance(above, Map):
            return (above.name, names[-1]) if not isinstance(above, RowMap) else (join(*names), None)
        if names and (self._place(key) is not None or self._state.field_at(join(*names)) is not None):
            return join(*names), None
        raise _no_such_key(key, self._state)

    def _candidates(self, pattern: str) -> Iterator[tuple[str, Any]]:
        names = beginning(pattern)
        return self.at(names) if names else self.items()

    def key(self, path: str, cell: Any = None) -> str:
        """Return the key of a field or of one of its cells."""
        return joined(split(path) if cell is None else (*split(path), cell))

    def _is_row(self, change: Change) -> bool:
        return change.kind == "set" and isinstance(self._state.field_at(change.field), RowMap)

    def matcher(self, pattern: str) -> Matcher:
        """Return a function that tells whether a key matches."""
        return matcher(pattern, escaped=True)

    def cells(self, key: str) -> list[Cell]:
        """Return what the value under a key lies in."""
        place = self._place(key)
        if place is None:
            return self._cells_to_be(key)
        refuse_text(place[0])
        return list(_cells(*place))

    def _cells_to_be(self, key: str) -> list[Cell]:
        """Return where the value of a key would lie if its row were there."""
        names = parted(key)
        field = self._state.field_at(join(*names)) if names else None
        if isinstance(field, Text) or field is None:
            above = self._state.field_at(join(*names[:-1])) if names[1:] else None
            if isinstance(above, Map) and not isinstance(above, RowMap):
                return [(above.name, names[-1])]
            raise _no_such_key(key, self._state)
        return [(field.name, None)]

    def reliance(self, key: str) -> Cell:
        """Return the path of what a key stands for, with all below; of a map or rows, the path and the key."""
        names = parted(key)
        above = self._state.field_at(join(*names[:-1])) if names[1:] else None
        if isinstance(above, Map):
            return above.name, names[-1]
        path, _ = self.spot(key)
        refuse_text(self._state.field_at(path))
        return path, None

    def put(self, key: str, value: Any) -> None:
        """Write a register or a map's key, or take its value away."""
        with self._state.transaction():
            holder, cell = self._place_to_write(key)
            if isinstance(holder, Register):
                holder.clear() if value is ABSENT else holder.set(value)
            elif isinstance(holder, Map) and cell is not None and not isinstance(holder, RowMap):
                if value is not ABSENT:
                    holder[cell] = value
                elif cell in holder:
                    del holder[cell]
            else:
                raise InvalidValueError(
                    "neither a register nor a map's key", subject=key, remedy="use decide() for everything else"
                )


def _field(state: Field | State, name: str) -> Field | State | None:
    """Return the field of a state by its name; None if there is none, or that is no state."""
    found = vars(state).get(name) if isinstance(state, State) and not name.startswith("_") else None
    return found if isinstance(found, (Field, State)) else None


def _value(holder: Any, cell: str | None = None) -> Any:
    """Return what a key stands for as it is read; ABSENT if nothing is there."""
    if cell is not None:
        return holder.get(cell, ABSENT)
    if sort_of(type(holder)) != "register":
        return holder.value
    written = holder.written
    return holder.value if written is ABSENT and holder.default is not None else written


def leaves(holder: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys below a field or state that has a key, with their values; the root's key is empty."""
    sort = sort_of(type(holder))
    inside = f"{key}{SEPARATOR}" if key else ""
    if sort == "state":
        fields = vars(holder)
        for name in declared_fields(type(holder)):  # type: ignore[arg-type]  # mypy takes no class for hashable
            yield from leaves(fields[name], inside + name)
    elif sort == "rows":
        for name, row in holder.items():
            yield from leaves(row, inside + escaped(name))
    elif sort == "map":
        for name, value in holder.items():
            yield inside + escaped(name), value
    elif (value := _value(holder)) is not ABSENT:
        yield key, value


def refuse_text(field: Field | State | None) -> None:
    """Raise InvalidValueError, if a field is a text: nobody could tell whether it was edited meanwhile."""
    if isinstance(field, Text):
        raise InvalidValueError(
            "the edits of a text are not told apart by cells", subject=field.name, remedy="name another field"
        )


def _cells(holder: Field | State, cell: str | None = None) -> Iterator[Cell]:
    if isinstance(holder, State):
        for field in fields_of(holder).values():
            yield from _cells(field)
    elif isinstance(holder, RowMap):
        yield holder.name, None
        for row in holder.values():
            yield from _cells(row)
    elif not isinstance(holder, Text):
        yield holder.name, cell


def fields_of(state: State) -> dict[str, Field | State]:
    """Return the fields of a state, and the states in it, by their names."""
    return {name: vars(state)[name] for name in declared_fields(type(state))}  # type: ignore[arg-type]  # mypy takes no class for hashable


def _no_such_key(key: str, state: State) -> InvalidValueError:
    names = ", ".join(fields_of(state))
    return InvalidValueError(f"no field for key {key!r}", subject=type(state).__name__, remedy=f"there are {names}")
