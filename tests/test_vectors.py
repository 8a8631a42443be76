"""The test vectors are current, and what is in them is read as they say."""

import base64
import json
from typing import Any

import pytest

from comity.crdt_types import StateDocument, wire
from comity.crdt_types.document.entry import (
    CELL,
    COUNTER,
    ELEMENT,
    HEADER,
    ITEM,
    LISTED,
    PLACE,
    REGISTER,
    Entry,
    cell_entry,
    counter_entry,
    element_entry,
    header_entry,
    item_entry,
    place_entry,
    read_entry,
    register_entry,
)
from comity.crdt_types.document.position import Positions
from comity.crdt_types.document.values import canonical
from comity.crdt_types.errors import ProtocolError
from tests.support import vectors
from tests.support.edits import Everything
from tests.support.entry_vectors import lane_of, lossless, restored, values
from tests.support.invariants import check


def _load(text: str) -> Any:
    return json.loads(text)


def test_vectors_of_the_state_format_are_current() -> None:
    assert vectors.STATE.read_text() == vectors.state_format(), "the format changed; run scripts/vectors"


def test_vectors_of_the_wire_are_current() -> None:
    assert vectors.WIRE.read_text() == vectors.frames(), "the wire changed; run scripts/vectors"


def test_vectors_of_entries_are_current() -> None:
    assert vectors.ENTRIES.read_text() == vectors.entries(), "the format changed; run scripts/vectors"


def test_vectors_of_positions_are_current() -> None:
    assert vectors.POSITIONS.read_text() == vectors.positions(), "the format changed; run scripts/vectors"


# The state format ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", _load(vectors.STATE.read_text()), ids=lambda vector: vector["name"])
def test_vectors_of_the_state_format_keep_the_invariants_of_the_index(vector: Any) -> None:
    check(StateDocument(update=base64.b64decode(vector["update"])))


def test_vector_of_strangers_holds_what_is_understood_and_nothing_else() -> None:
    strangers = next(
        v for v in _load(vectors.STATE.read_text()) if v["name"] == "what is not understood is passed over"
    )
    assert strangers["expect"]["fields"] == {
        "goal": {"kind": "register", "value": "read"},
        "spent": {"kind": "counter", "value": 3},
        "steps": {"kind": "map", "value": {"k": "read"}},
    }


def test_vector_of_malformed_lists_holds_what_is_understood_and_nothing_else() -> None:
    found = next(v for v in _load(vectors.STATE.read_text()) if v["name"] == "lists and steps that are malformed")
    assert found["expect"]["fields"] == {"plan": {"kind": "list", "value": ["first", "read"]}}


# Entries and sessions -----------------------------------------------------------------------------------------------


def _made(vector: Any) -> Entry:
    """Make the entry that a vector tells of."""
    value = restored(vector.get("value"))
    field, key, stamp, ancestor = (vector.get(name) for name in ("field", "key", "stamp", "ancestor"))
    match vector["kind"]:
        case 0:
            return register_entry(field, stamp, value, 7, ancestor)
        case 1 | 6 as kind:
            return cell_entry(kind, field, key, stamp, value, 7, ancestor)
        case 2:
            return element_entry(field, value, 7)
        case 3:
            return counter_entry(field, vector["plus"], vector["minus"], 7)
        case 4:
            return item_entry(field, stamp, value, 7)
        case 5:
            return header_entry(vector["agent"], 7)
        case _:
            return place_entry(field, key, stamp, value, 7)


def test_entries_of_the_vectors_are_written_and_read_byte_for_byte() -> None:
    vectors_of_entries = _load(vectors.ENTRIES.read_text())["entries"]
    kinds = {REGISTER, CELL, ELEMENT, COUNTER, ITEM, HEADER, LISTED, PLACE}
    assert {vector["kind"] for vector in vectors_of_entries} == kinds
    for vector in vectors_of_entries:
        raw = base64.b64decode(vector["bytes"])
        made, read = _made(vector), read_entry(raw, 7)
        assert made.raw == raw
        assert (read.kind, read.field, read.key, read.stamp) == (made.kind, made.field, made.key, made.stamp)
        assert read.ancestor == (made.ancestor if made.ancestor < made.stamp else 0)
        assert canonical(read.value) == canonical(made.value)


def test_values_of_the_vectors_cross_as_json_without_loss() -> None:
    for value in values():
        crossed = restored(_load(json.dumps(lossless(value))))
        assert canonical(crossed) == canonical(value)


@pytest.mark.parametrize("session", _load(vectors.JAVASCRIPT.read_text())["documents"], ids=lambda v: v["name"])
def test_documents_that_javascript_wrote_hold_the_bytes_that_python_writes(session: Any) -> None:
    documents = _load(vectors.ENTRIES.read_text())["documents"]
    expected = next(document for document in documents if document["name"] == session["name"])
    document = StateDocument(update=base64.b64decode(session["update"]))
    assert lane_of(document, expected["client"]) == expected["lane"]
    assert document.index.author(expected["client"]) == expected["agent"]
    check(document)
    assert Everything(document).conflicts() == []


def test_documents_that_javascript_wrote_are_all_those_of_the_vectors() -> None:
    files = vectors.ENTRIES, vectors.JAVASCRIPT
    python, javascript = ([v["name"] for v in _load(file.read_text())["documents"]] for file in files)
    assert python == javascript


# Positions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", _load(vectors.POSITIONS.read_text())["sessions"], ids=lambda v: v["name"])
def test_positions_of_the_vectors_are_made_call_by_call(session: Any) -> None:
    positions = Positions(session["client"])
    for left, right, made in session["calls"]:
        assert positions.between(left, right) == made


# The wire -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", _load(vectors.frames())["frames"], ids=lambda vector: vector["type"])
def test_vectors_of_the_wire_decode_to_their_type(vector: Any) -> None:
    data = base64.b64decode(vector["bytes"])
    assert type(wire.decode(data)).__name__ == vector["type"]
    assert wire.encode(wire.decode(data)) == data


@pytest.mark.parametrize("vector", _load(vectors.frames())["malformed"], ids=lambda vector: vector["name"])
def test_vectors_of_malformed_frames_raise_protocol_errors(vector: Any) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(base64.b64decode(vector["bytes"]))
