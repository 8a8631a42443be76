"""What must hold of every state document after every step, however it came to be."""

from typing import Any, NamedTuple

from pycrdt import Array, Map, Text

from comity.crdt_types import StateDocument
from comity.crdt_types.document.entry import COUNTER
from comity.crdt_types.document.steps import totals_of

Tag = tuple[bytes, int]


class Picture(NamedTuple):
    """All that an index knows, in a form that compares."""

    cells: dict[tuple[int, str], dict[Any, list[Tag]]]
    logs: dict[str, list[Tag]]
    totals: dict[str, int]


def picture(document: StateDocument) -> Picture:
    """Return what the index of a document knows: the entries of each cell and log in their order."""
    fields = document.index.fields
    cells = {
        place: {key: [(entry.raw, entry.client) for entry in entries] for key, entries in field.items()}
        for place, field in fields.items()
        if field
    }
    logs = {
        name: [(entry.raw, entry.client) for entry in items.entries]
        for name, items in document.index.logs.items()
        if items.entries
    }
    totals = {name: field.total for (kind, name), field in fields.items() if kind == COUNTER and field}
    return Picture(cells, logs, totals)


def check(document: StateDocument) -> None:
    """Assert that the index is the one that its bytes give, and that the mirrors lie as the Yjs types do."""
    afresh = StateDocument(update=document.update_since())
    assert picture(document) == picture(afresh)
    afresh.close()
    _check_totals(document)
    _check_mirrors(document)


def _check_totals(document: StateDocument) -> None:
    for (kind, _name), field in document.index.fields.items():
        if kind == COUNTER:
            sums = [totals_of(entries) for entries in field.values()]
            assert field.total == sum(plus - minus for plus, minus in sums)


def _check_mirrors(document: StateDocument) -> None:
    lanes: Map[Any] = document.ydoc.get("lanes", type=Map)
    for key, lane in document.lanes.mirrors.items():
        array = lanes[key]
        assert len(lane.segments) == len(array)
        for at, segment in enumerate(lane.segments):
            stored = array[at]
            if segment.array is None:
                assert not isinstance(stored, Array)
                continue
            assert [entry.raw for entry in segment.entries] == [
                bytes(item) if isinstance(item, (bytes, bytearray)) else b"" for item in stored
            ]
            assert all(entry.segment is segment for entry in segment.entries)


def check_text(document: StateDocument, name: str) -> None:
    """Assert that the mirror of a text holds what the Yjs text holds."""
    ytext = document.ydoc.get(name, type=Text)
    chunks = [chunk if isinstance(chunk, str) else "\ufffc" for chunk, _attributes in ytext.diff()]
    assert document.text(name).value == "".join(chunks)
