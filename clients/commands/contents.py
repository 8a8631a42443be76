"""The contents of a document whose schema is not known, as JSON data."""

from collections.abc import Callable
from typing import Any, Final

from comity.crdt_types import StateDocument
from comity.crdt_types.document.cells import Cells
from comity.crdt_types.document.entry import CELL, COUNTER, ELEMENT, LISTED, REGISTER
from comity.crdt_types.document.roots import text_names
from comity.crdt_types.views.plain import Json, escaped, stored_json


def contents(document: StateDocument) -> dict[str, Json]:
    """Return what every field holds, by its path, as it is read where no schema says otherwise.

    Rows and nested states come as fields with slashes in their paths. Of two fields of one path but of other types,
    which no schema has, one is returned.
    """
    found: dict[str, Json] = {name: document.text(name).value for name in text_names(document)}
    for (kind, field), cells in document.index.fields.items():
        if cells and kind in _READERS:
            found[field] = _READERS[kind](cells)
    for field, items in document.index.logs.items():
        if items.entries:
            found[field] = [stored_json(entry.value) for entry in items.entries]
    return {escaped(field): found[field] for field in sorted(found)}


def _read(cells: Cells, key: Any) -> Json:
    return stored_json(cells[key][0].value)


def _read_list(cells: Cells) -> Json:
    assert cells.order is not None
    return [_read(cells, key) for _position, key in cells.order.entries]


_READERS: Final[dict[int, Callable[[Cells], Json]]] = {
    REGISTER: lambda cells: _read(cells, None),
    CELL: lambda cells: {escaped(key): _read(cells, key) for key in sorted(cells)},
    ELEMENT: lambda cells: [_read(cells, key) for key in sorted(cells)],
    COUNTER: lambda cells: cells.total,
    LISTED: _read_list,
}
