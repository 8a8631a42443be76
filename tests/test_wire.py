"""The wire: what is written is read, what is not well formed is refused, and others write the same bytes."""

import json
from contextlib import suppress
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types import wire
from comity.crdt_types.errors import ProtocolError
from comity.crdt_types.varint import MAX_VARINT, read_uint, write_uint

integers = st.integers(0, MAX_VARINT)
texts = st.text(max_size=40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
failures = st.builds(wire.Failure, st.integers(4000, 4999), texts, texts, st.none() | st.floats(0, 1e6))
answers = st.builds(wire.Answer, integers, json_values, st.none()) | st.builds(
    wire.Answer, integers, st.none(), failures
)
states = st.none() | st.dictionaries(texts, json_values, max_size=3).map(json.dumps)
frames: st.SearchStrategy[wire.Frame] = st.one_of(
    st.builds(wire.SyncStep1, st.binary(max_size=300)),
    st.builds(wire.SyncStep2, st.binary(max_size=300)),
    st.builds(wire.Update, st.binary(max_size=300)),
    st.builds(wire.Awareness, st.lists(st.builds(wire.Presence, integers, integers, states), max_size=4).map(tuple)),
    st.builds(wire.Denied, texts),
    st.just(wire.QueryAwareness()),
    st.builds(
        wire.Welcome,
        lineage=texts,
        principal=texts,
        access=st.lists(texts, max_size=3).map(tuple),
        limits=st.dictionaries(texts, integers, max_size=3),
        server=texts,
        erased=st.lists(texts, max_size=3).map(tuple),
        redactions=integers,
    ),
    st.builds(wire.Ack, integers),
    st.builds(wire.Reject, integers, st.integers(4000, 4999), texts, st.none() | st.floats(0, 1e6)),
    st.builds(
        wire.Notice,
        st.integers(4000, 4999),
        texts,
        st.none() | st.floats(0, 1e6),
        st.none() | st.integers(0, 2**53 - 1),
    ),
    st.builds(wire.Token, texts),
    st.builds(wire.Call, integers, texts, st.dictionaries(texts, json_values, max_size=3)),
    answers,
)


@given(frames)
def test_wire_reads_what_it_wrote(frame: wire.Frame) -> None:
    assert wire.decode(wire.encode(frame)) == frame


@given(frames, st.integers(0, 1000))
def test_wire_refuses_what_was_cut_off(frame: wire.Frame, cut: int) -> None:
    whole = wire.encode(frame)
    with pytest.raises(ProtocolError):
        wire.decode(whole[: cut % len(whole)])


@given(frames, st.binary(min_size=1, max_size=5))
def test_wire_refuses_bytes_left_over(frame: wire.Frame, rest: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(wire.encode(frame) + rest)


@given(frames, st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), min_size=1, max_size=4))
def test_wire_raises_nothing_but_its_own_error(frame: wire.Frame, changes: list[tuple[int, int]]) -> None:
    message = bytearray(wire.encode(frame))
    for at, byte in changes:
        message[at % len(message)] = byte
    with suppress(ProtocolError):
        wire.decode(bytes(message))


@given(st.binary(max_size=200))
def test_wire_reads_or_refuses_any_bytes(message: bytes) -> None:
    try:
        frame = wire.decode(message)
    except ProtocolError:
        return
    assert wire.decode(wire.encode(frame)) == frame


@given(frames)
def test_wire_short_way_agrees_with_the_long_way(frame: wire.Frame) -> None:
    message = wire.encode(frame)
    carried = frame.update if isinstance(frame, wire.SyncStep2 | wire.Update) else None
    assert wire.document_update(message) == carried
    assert wire.document_update(message + b"\0") is None


@given(integers)
def test_wire_encodes_an_ack_alike_both_ways(n: int) -> None:
    assert wire.encode_ack(n) == wire.encode(wire.Ack(n))


@given(integers)
def test_wire_integers_are_read_as_written(value: int) -> None:
    written = write_uint(value)
    assert read_uint(b"\x00" + written + b"\x01", 1) == (value, 1 + len(written))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 4, write_uint(MAX_VARINT + 1), b"\xff" * 30])
def test_wire_integers_that_end_early_or_are_too_large_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_uint(data, 0)


def test_wire_writes_the_bytes_that_pycrdt_writes() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc["t"] = pycrdt.Text("hällo" * 40)
    update, state = doc.get_update(), doc.get_state()
    assert wire.encode(wire.Update(update)) == pycrdt.create_update_message(update)
    assert wire.encode(wire.SyncStep1(state)) == pycrdt.create_sync_message(doc)


def test_wire_awareness_counts_bytes_not_characters() -> None:
    entry = wire.Presence(7, 1, '{"name":"Zoë 😀"}')
    message = wire.encode(wire.Awareness((entry,)))
    body = b"\x01\x07\x01" + bytes((len(entry.state.encode()),)) + entry.state.encode() if entry.state else b""
    assert message == b"\x01" + bytes((len(body),)) + body


@pytest.mark.parametrize("state", ["5", '"x"', "[1]", "{", "NaN", '{"a":Infinity}', "[" * 100_000])
def test_wire_refuses_awareness_that_is_no_json_object(state: str) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(wire.encode_awareness([wire.Presence(1, 1, state)]))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (1, b"\x81\xa1n\xa1x"),  # n is a string
        (1, b"\x81\xa1n\xc3"),  # n is true
        (1, b"\x80"),  # no n
        (1, b"\x05"),  # not a map
        (1, b"\xc1"),  # not msgpack
        (5, b"\x83\xa2id\x01\xa6method\xa1x\xa6params\x90"),  # params is a list
        (6, b"\x82\xa2id\x01\xa5error\xa1x"),  # error is a string
        (6, b"\x82\xa2id\x01\xa5error\x80"),  # an error without a code
        (9, b"\x80"),  # no such kind
    ],
)
def test_wire_refuses_control_frames_of_the_wrong_shape(kind: int, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(write_uint(wire.COMITY) + write_uint(kind) + body)


def test_wire_passes_over_fields_of_later_versions() -> None:
    assert wire.decode(b"\x64\x01\x82\xa1n\x05\xa5later\x01") == wire.Ack(5)
