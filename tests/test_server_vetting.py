"""Vetting: every honest update passes, and nothing that passes can end the process."""

from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types.errors import EngineError, ProtocolError
from comity.crdt_types.structs import MAX_CLOCK, MAX_DEPTH
from comity.crdt_types.varint import write_uint
from comity.server.rooms.document import Document
from comity.server.rooms.vetting import vet, vet_state_vector

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(), st.binary()
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def _updates(contents: list[Any]) -> list[bytes]:
    """Return the updates of a document that uses every kind of content."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    array = doc.get("array", type=pycrdt.Array)
    mapping = doc.get("map", type=pycrdt.Map)
    text = doc.get("text", type=pycrdt.Text)
    xml = doc.get("xml", type=pycrdt.XmlFragment)
    for content in contents:
        array.append(content)
        mapping["key"] = content
        text.insert(0, "zwölf 😀", {"bold": True})
    xml.children.append(pycrdt.XmlElement("p", {"class": "x"}, [pycrdt.XmlText("hi")]))
    mapping["nested"] = pycrdt.Map({"array": pycrdt.Array([1, 2]), "text": pycrdt.Text("x")})
    mapping["document"] = pycrdt.Doc()
    text.insert_embed(0, {"image": "x"})
    del text[1:3]
    del array[0:1]
    return [*updates, doc.get_update()]


def _struct(body: bytes, *, client: int = 7, clock: int = 0, count: int = 1) -> bytes:
    return b"\x01" + write_uint(count) + write_uint(client) + write_uint(clock) + body + b"\x00"


def _nested(depth: int) -> bytes:
    return _struct(b"\x08\x01\x01a\x01" + b"\x75\x01" * depth + b"\x7e")


@given(st.lists(values, min_size=1, max_size=3))
def test_vetting_passes_every_honest_update(contents: list[Any]) -> None:
    for update in _updates(contents):
        vet(update)


def test_vetting_passes_an_update_that_says_nothing() -> None:
    vet(b"\x00\x00")


def test_vetting_bounds_the_depth_of_values() -> None:
    vet(_nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 100_000):  # the second would overflow the engine's stack
        with pytest.raises(ProtocolError, match="nested"):
            vet(_nested(depth))


@pytest.mark.parametrize("clock", [MAX_CLOCK, 2**32 - 1, 2**32, 2**53 - 1])
def test_vetting_bounds_clocks(clock: int) -> None:
    with pytest.raises(ProtocolError, match="clock"):
        vet(_struct(b"\x04\x01\x01t\x01a", clock=clock))
    with pytest.raises(ProtocolError, match="clock"):
        vet(b"\x00\x01\x07\x01" + write_uint(clock) + b"\x01")
    with pytest.raises(ProtocolError, match="clock"):
        vet(_struct(b"\x00" + write_uint(MAX_CLOCK // 2 + 1) + b"\x00" + write_uint(MAX_CLOCK // 2), count=2))


@pytest.mark.parametrize(
    "update",
    [
        b"",
        b"\x00",
        b"\x01",
        b"\x00\x00\x00",
        _struct(b"\x0b\x01\x01t\x01"),  # moves, which this engine cannot decode either
        _struct(b"\x1f\x01\x01t\x01"),
        _struct(b"\x08\x01\x01t\x01\x05"),  # a value of no known type
        _struct(b"\x04\x01\x01t\x7fa"),  # a string longer than the update
        b"\xff" * 20,
        _struct(b"\x04\x01\x01t\x00"),  # nothing: no engine writes it, and ours panics on it
    ],
)
def test_vetting_refuses_what_is_no_update(update: bytes) -> None:
    with pytest.raises(ProtocolError):
        vet(update)


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.sampled_from("xdi"), st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_vetting_leaves_nothing_that_harms_the_engine(which: int, changes: list[tuple[str, int, int]]) -> None:
    honest = _updates([1, "two", {"three": [3.5, None]}])
    update = bytearray(honest[which % len(honest)])
    for how, at, byte in changes:
        at %= len(update) or 1
        update[at : at + (how != "i")] = b"" if how == "d" else bytes((byte,))
    try:
        vet(bytes(update))
        document = Document(honest[:-1])
        document.apply(bytes(update))
    except (ProtocolError, EngineError):
        return
    Document([document.state()])


@given(st.dictionaries(st.integers(1, 2**32), st.integers(0, MAX_CLOCK), max_size=5))
def test_vetting_passes_every_state_vector_and_nothing_short_or_long(clocks: dict[int, int]) -> None:
    entries = [write_uint(client) + write_uint(clock) for client, clock in clocks.items()]
    state = write_uint(len(clocks)) + b"".join(entries)
    vet_state_vector(state)
    for wrong in (state[:-1], state + b"\x00"):
        with pytest.raises(ProtocolError):
            vet_state_vector(wrong)


@pytest.mark.parametrize(
    "state",
    [
        write_uint(500_000_000),  # the engine would take a GiB for them
        write_uint(500_000_000) + b"\x01" * 1000,
        b"\x01\x07" + write_uint(MAX_CLOCK + 1),
        b"\x01\x07" + b"\xff" * 9,
    ],
)
def test_vetting_refuses_what_is_no_state_vector(state: bytes) -> None:
    with pytest.raises(ProtocolError):
        vet_state_vector(state)
