"""JSON Patch in: the operations of RFC 6902 as typed edits of a state.

Sources: JSON Patch (RFC 6902) and JSON Pointer (RFC 6901), by the libraries jsonpatch and jsonpointer where a value is
plain JSON.
"""

import re
from copy import deepcopy
from typing import Any, Final, NamedTuple

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from ..document.changes import ABSENT
from ..errors import InvalidValueError
from ..types.field import Field
from ..types.list import List
from ..types.log import Log
from ..types.map import Map
from ..types.orset import GSet
from ..types.register import Register
from ..types.rows import RowMap
from .plain import Json, from_json, unescaped
from .view import Viewed, cell_view, cells_of, empty, fields_of, put, view

_JSON_ERRORS: Final = (JsonPatchException, JsonPointerException, TypeError, KeyError, IndexError)
_INDEX: Final = re.compile("0|[1-9][0-9]{0,15}")

Names = tuple[str, ...]


def apply_patch(state: Viewed, operations: Any) -> None:
    """Make the operations of a JSON Patch as typed edits, in one transaction; inside of another one they join that.

    Raises: InvalidValueError, if the patch is malformed, an operation cannot be made, or a test fails; it names the
        operation, and nothing is changed.
    """
    if not isinstance(operations, (list, tuple)):
        raise InvalidValueError("a patch that is not a list", subject="patch", remedy="nothing was changed")
    with state.document.transaction():
        patcher = _Patcher(state)
        for number, operation in enumerate(operations):
            try:
                patcher.apply(operation)
            except InvalidValueError as error:
                subject = f"operation {number}{_title(operation)}"
                raise InvalidValueError(error.what, subject=subject, remedy="nothing was changed") from None
        patcher.finish()


def _title(operation: Any) -> str:
    if not isinstance(operation, dict):
        return ""
    return f", {operation.get('op')} {operation.get('path')!r:.200}"


class _Spot(NamedTuple):
    """Where a pointer leads: the last state or field on the way, and the names on from there."""

    holder: Field | Viewed
    rest: Names


class _Patcher:
    """Makes the operations of one patch, inside a transaction.

    Sets and logs, whose order is not free, are edited as the lists that they are seen as, and written at the end.
    """

    def __init__(self, state: Viewed) -> None:
        self._state = state
        self._drafts: dict[str, tuple[Field, list[Json]]] = {}

    def apply(self, operation: Any) -> None:
        """Make an operation.

        Raises: InvalidValueError, if it is malformed, or cannot be made.
        """
        path = _names(operation, "path")
        match operation.get("op"):
            case "add":
                self._add(path, _value(operation))
            case "replace":
                self._replace(path, _value(operation))
            case "remove":
                self._remove(path)
            case "move":
                self._move(_names(operation, "from"), path)
            case "copy":
                self._add(path, self._get(_names(operation, "from")))
            case "test":
                self._test(path, _value(operation))
            case other:
                raise InvalidValueError(f"{other!r:.60} is not add, remove, replace, move, copy or test")

    def finish(self, below: str = "") -> None:
        """Write the sets and logs, or those whose paths begin alike."""
        for name in [name for name in self._drafts if name.startswith(below)]:
            field, items = self._drafts.pop(name)
            put(field, from_json(items))

    # The operations ---------------------------------------------------------------------------------------------

    def _add(self, path: Names, value: Json) -> None:
        holder, rest = self._find(path)
        if not rest:
            self._put(holder, value)
        elif len(rest) == 1 and isinstance(holder, List):
            holder.insert(_index(rest[0], len(holder) + 1, end=True), from_json(value))
        elif len(rest) == 1 and isinstance(holder, Map):
            self._put_key(holder, rest[0], value)
        else:
            self._edit_inside(holder, rest, {"op": "add", "value": value})

    def _replace(self, path: Names, value: Json) -> None:
        self._get(path)
        holder, rest = self._find(path)
        if not rest:
            self._put(holder, value)
        elif len(rest) == 1 and isinstance(holder, List):
            holder[_index(rest[0], len(holder))] = from_json(value)
        elif len(rest) == 1 and isinstance(holder, Map):
            self._put_key(holder, rest[0], value)
        else:
            self._edit_inside(holder, rest, {"op": "replace", "value": value})

    def _remove(self, path: Names) -> None:
        self._get(path)
        holder, rest = self._find(path)
        if not rest:
            self._drafts.pop(holder.name if isinstance(holder, Field) else "", None)
            empty(holder)
        elif len(rest) == 1 and isinstance(holder, List):
            del holder[_index(rest[0], len(holder))]
        elif len(rest) == 1 and isinstance(holder, Map):
            del holder[unescaped(rest[0])]
        else:
            self._edit_inside(holder, rest, {"op": "remove"})

    def _move(self, source: Names, target: Names) -> None:
        value = self._get(source)
        if source == target:
            return
        if target[: len(source)] == source:
            raise InvalidValueError("a move of a value into itself")
        holder, rest = self._find(source)
        if isinstance(holder, List) and len(rest) == 1 and source[:-1] == target[:-1]:
            holder.move(_index(rest[0], len(holder)), _index(target[-1], len(holder), end=True))
        else:
            self._remove(source)
            self._add(target, value)

    def _test(self, path: Names, value: Json) -> None:
        if not _equal(found := self._get(path), value):
            raise InvalidValueError(f"there is {found!r:.200}, not {value!r:.200}")

    # What they do to a field ------------------------------------------------------------------------------------

    def _put(self, holder: Field | Viewed, value: Json) -> None:
        """Make a field or state hold a value."""
        if isinstance(holder, (GSet, Log)) and isinstance(value, list):
            self._drafts[holder.name] = (holder, value.copy())
        else:
            put(holder, from_json(value))

    def _put_key(self, holder: Map[Any], name: str, value: Json) -> None:
        key, plain = unescaped(name), from_json(value)
        if not isinstance(holder, RowMap):
            holder[key] = plain
            return
        if key not in holder:
            holder[key] = {}
        put(holder[key], plain)

    def _edit_inside(self, holder: Field | Viewed, rest: Names, operation: dict[str, Any]) -> None:
        """Make an operation inside of a value, and write the whole of it."""
        if isinstance(holder, (GSet, Log)):
            _edited(self._draft(holder), rest, operation)
        elif isinstance(holder, Register):
            holder.set(from_json(_edited(self._seen(holder, ()), rest, operation)))
        elif isinstance(holder, List):
            value = _edited(self._seen(holder, rest[:1]), rest[1:], operation)
            holder[_index(rest[0], len(holder))] = from_json(value)
        elif isinstance(holder, Map):
            value = _edited(self._seen(holder, rest[:1]), rest[1:], operation)
            holder[unescaped(rest[0])] = from_json(value)
        else:
            raise InvalidValueError("nothing lies in a counter or text")

    # Where pointers lead ----------------------------------------------------------------------------------------

    def _find(self, path: Names) -> _Spot:
        holder: Any = self._state
        for at, name in enumerate(path):
            if isinstance(holder, RowMap) and at < len(path) - 1:
                if (key := unescaped(name)) not in holder:
                    raise InvalidValueError(f"no row {key!r}")
                holder = holder[key]
            elif isinstance(holder, Field):
                return self._spot(holder, path[at:])
            elif (holder := fields_of(holder).get(name)) is None:
                raise InvalidValueError(f"no field {name!r}")
        return self._spot(holder, ())

    def _spot(self, holder: Field | Viewed, rest: Names) -> _Spot:
        # What is to be seen or changed may be more than one field.
        if isinstance(holder, RowMap):
            self.finish(f"{holder.name}/")
        elif not isinstance(holder, Field):
            self.finish()
        return _Spot(holder, rest)

    def _get(self, path: Names) -> Json:
        """Return what is seen where a pointer leads."""
        holder, rest = self._find(path)
        if isinstance(holder, (List, Map)) and rest:
            return _inside(self._seen(holder, rest[:1]), rest[1:])
        return _inside(self._seen(holder, ()), rest)

    def _seen(self, holder: Field | Viewed, rest: Names) -> Json:
        """Return what is seen of a field, or of one key or item of it."""
        if isinstance(holder, (GSet, Log)):
            return self._draft(holder)
        if not rest:
            found = view(holder)
        elif isinstance(holder, RowMap):
            row = holder.get(unescaped(rest[0]))
            found = ABSENT if row is None else view(row)
        else:
            assert isinstance(holder, (List, Map))
            key = holder.id_of(_index(rest[0], len(holder))) if isinstance(holder, List) else unescaped(rest[0])
            found = cell_view(holder, cells_of(holder), key)
        if found is ABSENT:
            raise InvalidValueError("nothing is there")
        return found

    def _draft(self, field: "GSet[Any] | Log[Any]") -> list[Json]:
        known = self._drafts.get(field.name)
        if known is None:
            known = self._drafts[field.name] = (field, view(field))
        return known[1]


# Operations, pointers and JSON --------------------------------------------------------------------------------------


def _names(operation: Any, member: str) -> Names:
    """Return the names on the way of a pointer in an operation."""
    if not isinstance(operation, dict):
        raise InvalidValueError(f"{operation!r:.200} is not an object")
    pointer = operation.get(member)
    if not isinstance(pointer, str):
        raise InvalidValueError(f"{pointer!r:.200} for {member!r} is not a JSON pointer")
    try:
        return tuple(JsonPointer(pointer).parts)
    except JsonPointerException as error:
        raise InvalidValueError(f"{pointer!r:.200} is not a JSON pointer: {error}") from None


def _value(operation: dict[str, Any]) -> Json:
    if "value" not in operation:
        raise InvalidValueError("no value is given")
    return deepcopy(operation["value"])


def _index(name: str, size: int, *, end: bool = False) -> int:
    """Return an index below a size that a name in a pointer is; "-" is the greatest, where something may be added."""
    if end and name == "-":
        return size - 1
    if not _INDEX.fullmatch(name):
        raise InvalidValueError(f"{name!r:.60} is not an index")
    if (index := int(name)) >= size:
        raise InvalidValueError(f"index {index} is outside of the list")
    return index


def _inside(value: Json, rest: Names) -> Json:
    """Return what lies inside of a value."""
    try:
        found = JsonPointer.from_parts(rest).resolve(value)
    except _JSON_ERRORS as error:
        raise InvalidValueError(f"nothing is there: {error}") from None
    if rest and rest[-1] == "-" and not isinstance(found, (dict, list, str, int, float, type(None))):
        raise InvalidValueError("nothing is there: - is beyond the end")
    return found


def _edited(value: Json, rest: Names, operation: dict[str, Any]) -> Json:
    """Return a value after an operation inside of it; it is the same object, changed."""
    pointer = JsonPointer.from_parts(rest).path
    try:
        return JsonPatch([{**operation, "path": pointer}]).apply(value, in_place=True)
    except _JSON_ERRORS as error:
        raise InvalidValueError(str(error)) from None


def _equal(one: Json, other: Json) -> bool:
    """Tell whether two values are equal as JSON: numbers by their value, which a boolean has none."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
