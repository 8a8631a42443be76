"""The JSON view of a field or state: what is read of it as JSON data, and how that is written."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from ..document.cells import Cells
from ..document.changes import ABSENT, Kind
from ..document.entry import CELL, ELEMENT, LISTED, REGISTER
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError
from ..types.counter import Counter, GCounter
from ..types.field import CellField, Field
from ..types.log import Log
from ..types.map import Map
from ..types.orset import GSet, ORSet
from ..types.register import Register
from ..types.rows import RowMap
from ..types.text import Text
from .plain import Json, escaped, identity, stored_json, to_json

_KINDS: Final[dict[Kind, int]] = {"register": REGISTER, "map": CELL, "set": ELEMENT, "list": LISTED}


@runtime_checkable
class Viewed(Protocol):
    """A state, as far as views are concerned."""

    @property
    def document(self) -> StateDocument:
        """The document that holds it."""
        ...

    def to_json(self) -> dict[str, Json]:
        """Return the values of all fields."""
        ...


def fields_of(state: Viewed) -> dict[str, Field | Viewed]:
    """Return the fields of a state, and the states in it, by their names."""
    return {name: value for name, value in vars(state).items() if name[0] != "_" and isinstance(value, (Field, Viewed))}


# Seeing -------------------------------------------------------------------------------------------------------------


def view(field: Field | Viewed) -> Json:
    """Return what a field or state holds as JSON data; ABSENT for a register that is not set.

    Elements and items that do not fit their type are seen as they are read: a set passes over them, a list and a log
    hold them as they are stored.
    """
    if not isinstance(field, Field):
        return field.to_json()
    if isinstance(field, (Counter, Text)):
        return field.value
    if isinstance(field, RowMap):
        return {escaped(key): row.to_json() for key, row in field.items()}
    if isinstance(field, Log):
        return [stored_json(entry.value) for entry in field.document.index.items(field.name).entries]
    assert isinstance(field, CellField)
    return _view_of_cells(field)


def _view_of_cells(field: CellField) -> Json:
    cells = cells_of(field)
    if isinstance(field, Register):
        return cell_view(field, cells, None)
    if isinstance(field, Map):
        values = {escaped(key): cell_view(field, cells, key) for key in sorted(cells)}
        return {key: value for key, value in values.items() if value is not ABSENT}
    keys = sorted(cells) if cells.order is None else [key for _position, key in cells.order.entries]
    items = [cell_view(field, cells, key) for key in keys]
    return [item for item in items if item is not ABSENT]


def cells_of(field: CellField) -> Cells:
    """Return the cells in which a field's values lie."""
    return field.document.index.cells(_KINDS[field.kind], field.name)


def cell_view(field: CellField, cells: Cells, key: Any) -> Json:
    """Return what is read of one cell as JSON data; ABSENT if that is nothing."""
    entries = cells.get(key)
    if not entries:
        return ABSENT
    if len(entries) == 1 and cells.reader is None:
        return stored_json(entries[0].value)
    if any(map(field.fits, entries)):
        return stored_json(field.pick(entries))
    stand_in = cells.stand_ins.get(key, entries[0] if cells.kind == LISTED else None)
    return ABSENT if stand_in is None else stored_json(stand_in.value)


# Writing ------------------------------------------------------------------------------------------------------------


def put(holder: Field | Viewed, plain: Any) -> None:
    """Make a field or state hold what a view of it came from, with as few edits as it takes, inside a transaction.

    Raises: InvalidValueError, if it does not fit.
    """
    if not isinstance(holder, Field):
        put_fields(holder, plain, others=True)
    elif isinstance(holder, RowMap):
        _put_rows(holder, _checked(plain, Mapping, holder.name))
    elif isinstance(holder, Register):
        _put_register(holder, plain)
    elif isinstance(holder, Map):
        holder.assign(_checked(plain, Mapping, holder.name))
    elif isinstance(holder, (Counter, Text)):
        holder.assign(plain)
    else:
        holder.assign(_checked(plain, list, holder.name))


def _put_register(register: Register[Any], plain: Any) -> None:
    known = cell_view(register, cells_of(register), None)
    if known is ABSENT or identity(known) != identity(to_json(plain)):
        register.set(plain)


def put_fields(state: Viewed, plain: Any, *, others: bool) -> None:
    """Make the fields named hold values; empty all others, if asked to."""
    fields = fields_of(state)
    subject = type(state).__name__
    if unknown := [name for name in _checked(plain, Mapping, subject) if name not in fields]:
        raise InvalidValueError(f"no field {unknown[0]!r}", subject=subject, remedy=f"there are {', '.join(fields)}")
    for name, field in fields.items():
        if name in plain:
            put(field, plain[name])
        elif others:
            empty(field)


def _put_rows(rows: RowMap[Any], plain: Mapping[str, Any]) -> None:
    for key in [key for key in rows if key not in plain]:
        del rows[key]
    for key, row in plain.items():
        if key not in rows:
            rows[key] = {}
        put(rows[key], row)


def _checked(plain: Any, wanted: type, subject: str) -> Any:
    if not isinstance(plain, wanted):
        kind = "a list" if wanted is list else "an object"
        raise InvalidValueError(f"{plain!r:.200} is not {kind}", subject=subject, remedy="nothing was written")
    return plain


def empty(holder: Field | Viewed) -> None:
    """Take away what a field or state holds, inside a transaction.

    Raises: InvalidValueError, if it holds something and only grows.
    """
    if not isinstance(holder, Field):
        for field in fields_of(holder).values():
            empty(field)
    elif isinstance(holder, RowMap):
        holder.clear()
    elif isinstance(holder, Text):
        holder.assign("")
    elif only_grows(holder) and holder.value:
        raise InvalidValueError("what only grows cannot be emptied", subject=holder.name, remedy="nothing was written")
    else:
        for found in holder.document.index.at(holder.name):
            holder.document.erase(found)


def only_grows(field: Field | None) -> bool:
    """Tell whether a field is of a type that only grows."""
    return isinstance(field, GCounter) or (isinstance(field, GSet) and not isinstance(field, ORSet))
