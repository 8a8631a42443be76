"""What can be read of a document whatever its schema, and how differences change it."""

from typing import Final, NamedTuple

from comity.crdt_types import StateDocument
from comity.crdt_types.document.delta import Delta, compose
from comity.crdt_types.document.entry import CELL, COUNTER, ELEMENT, LISTED, REGISTER
from comity.crdt_types.document.roots import text_names
from comity.crdt_types.document.values import canonical
from comity.crdt_types.history.differences import Difference, Differences

_CELLS: Final = {REGISTER: "register", CELL: "map", ELEMENT: "set"}


class Reading(NamedTuple):
    """All that can be read of a document: values as their stored bytes, texts as insertions."""

    cells: dict[tuple[str, str, bytes], bytes]
    counters: dict[str, int]
    sequences: dict[tuple[str, str], list[bytes]]
    texts: dict[str, Delta]


def reading(state: bytes) -> Reading:
    """Return what can be read of a document, given as a Yjs update."""
    document = StateDocument(update=state)
    found = Reading({}, {}, {}, {name: document.text(name).content() for name in text_names(document)})
    for (kind, field), cells in document.index.fields.items():
        if kind in _CELLS:
            for entries in cells.values():
                key = canonical(entries[0].value if kind == ELEMENT else entries[0].key)
                found.cells[_CELLS[kind], field, key] = canonical(True if kind == ELEMENT else entries[0].value)
        elif kind == COUNTER and cells.total:
            found.counters[field] = cells.total
        elif kind == LISTED and cells and cells.order is not None:
            keys = [key for _position, key in cells.order.entries]
            found.sequences["list", field] = [canonical(cells[key][0].value) for key in keys]
    logs = {field: items.entries for field, items in document.index.logs.items() if items.entries}
    found.sequences.update({("log", field): [canonical(entry.value) for entry in logs[field]] for field in logs})
    return found


def applied(before: Reading, differences: Differences) -> Reading:
    """Return what differences make of a reading."""
    sequences = {place: items.copy() for place, items in before.sequences.items()}
    after = Reading(before.cells.copy(), before.counters.copy(), sequences, before.texts.copy())
    for change in differences.changes:
        if change.kind == "counter":
            assert after.counters.pop(change.field, 0) == change.old
            if change.new:
                after.counters[change.field] = change.new
        elif change.kind in _CELLS.values():
            _write(after, change)
    for place in {(change.kind, change.field) for change in differences.changes if change.kind in ("list", "log")}:
        items = after.sequences.pop(place, [])
        _arrange(items, [change for change in differences.changes if (change.kind, change.field) == place])
        if items:
            after.sequences[place] = items
    for name, delta in differences.texts.items():
        if text := compose(after.texts.pop(name, []), delta):
            after.texts[name] = text
    return after


def _write(after: Reading, change: Difference) -> None:
    place = (change.kind, change.field, canonical(change.key))
    assert after.cells.pop(place, None) == (None if change.action == "added" else canonical(change.old))
    if change.action != "removed":
        after.cells[place] = canonical(change.new)


def _arrange(items: list[bytes], changes: list[Difference]) -> None:
    """Do to a list or log what its differences say."""
    for at, change in _by_index([(change.old_index, change) for change in changes if change.action in _GOING])[::-1]:
        gone = items.pop(at)
        assert change.action == "moved" or gone == canonical(change.old)
    for at, change in _by_index([(change.new_index, change) for change in changes if change.action in _COMING]):
        items.insert(at, canonical(change.new))
    for at, change in _by_index([(change.new_index, change) for change in changes if change.action == "modified"]):
        items[at] = canonical(change.new)


_GOING: Final = ("removed", "moved")
_COMING: Final = ("added", "moved")


def _by_index(found: list[tuple[int | None, Difference]]) -> list[tuple[int, Difference]]:
    return sorted(((at, change) for at, change in found if at is not None), key=lambda each: each[0])
