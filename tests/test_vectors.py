"""The test vectors are current, and what is in them is read as they say."""

import base64
import json
from typing import Any

import pytest

from comity.crdt_types import StateDocument, wire
from comity.crdt_types.errors import ProtocolError
from tests.support import vectors
from tests.support.invariants import check


def _load(text: str) -> Any:
    return json.loads(text)


def test_vectors_of_the_state_format_are_current() -> None:
    assert vectors.STATE.read_text() == vectors.state_format(), "the format changed; run scripts/vectors"


def test_vectors_of_the_wire_are_current() -> None:
    assert vectors.WIRE.read_text() == vectors.frames(), "the wire changed; run scripts/vectors"


@pytest.mark.parametrize("vector", _load(vectors.state_format()), ids=lambda vector: vector["name"])
def test_vectors_of_the_state_format_keep_the_invariants_of_the_index(vector: Any) -> None:
    check(StateDocument(update=base64.b64decode(vector["update"])))


@pytest.mark.parametrize("vector", _load(vectors.frames())["frames"], ids=lambda vector: vector["type"])
def test_vectors_of_the_wire_decode_to_their_type(vector: Any) -> None:
    data = base64.b64decode(vector["bytes"])
    assert type(wire.decode(data)).__name__ == vector["type"]
    assert wire.encode(wire.decode(data)) == data


@pytest.mark.parametrize("vector", _load(vectors.frames())["malformed"], ids=lambda vector: vector["name"])
def test_vectors_of_malformed_frames_raise_protocol_errors(vector: Any) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(base64.b64decode(vector["bytes"]))


def test_vector_of_strangers_holds_what_is_understood_and_nothing_else() -> None:
    strangers = next(v for v in _load(vectors.state_format()) if v["name"] == "what is not understood is passed over")
    assert strangers["expect"]["fields"] == {
        "goal": {"kind": "register", "value": "read"},
        "spent": {"kind": "counter", "value": 3},
        "steps": {"kind": "map", "value": {"k": "read"}},
    }
