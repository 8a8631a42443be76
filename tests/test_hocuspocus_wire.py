"""The wire of Hocuspocus: what is written is read, what is not well formed is refused, real frames are understood."""

from contextlib import suppress
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types import hocuspocus, wire
from comity.crdt_types.errors import ProtocolError
from comity.crdt_types.hocuspocus import (
    Authenticated,
    Close,
    Credentials,
    Message,
    PermissionDenied,
    Stateless,
    SyncStatus,
    decode,
    encode,
    first_clock,
    room_of,
    split,
)
from comity.crdt_types.varint import MAX_VARINT, write_bytes, write_string, write_uint

texts = st.text(max_size=40)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(Credentials, texts, st.none() | texts),
    st.builds(PermissionDenied, texts),
    st.builds(Authenticated, texts),
    st.builds(Stateless, texts),
    st.builds(Close, st.none() | texts),
    st.builds(SyncStatus, st.booleans()),
)
addresses = texts


@given(addresses, messages)
def test_hocuspocus_reads_what_it_wrote(address: str, message: Message) -> None:
    found, frame = split(write_string(address) + encode(message))
    assert (found, decode(frame)) == (address, message)


@given(messages, st.integers(0, 1000))
def test_hocuspocus_refuses_what_was_cut_off(message: Message, cut: int) -> None:
    whole = encode(message)
    part = whole[: cut % len(whole)]
    if isinstance(message, Credentials) and part == encode(message._replace(version=None)):
        assert decode(part).version is None  # type: ignore[union-attr]  # as providers before 4.0 send it
    elif isinstance(message, Close) and part == encode(Close()):
        assert decode(part) == Close()
    else:
        with pytest.raises(ProtocolError):
            decode(part)


@given(messages, st.binary(min_size=1, max_size=5))
def test_hocuspocus_refuses_bytes_left_over(message: Message, rest: bytes) -> None:
    if isinstance(message, Credentials) and message.version is not None:
        assert decode(encode(message) + rest) == message  # later versions may add fields
    elif not (isinstance(message, Credentials) or message == Close()):  # what is left over could be their next field
        with pytest.raises(ProtocolError):
            decode(encode(message) + rest)


@given(st.binary(max_size=60))
def test_hocuspocus_reads_or_refuses_any_bytes(data: bytes) -> None:
    with suppress(ProtocolError):
        _, frame = split(data)
        decode(frame)


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x02a", b"\x01a", b"\x01\xff\x00", b"\xff" * 9, b"\x00", b"\x09", b"\x0a"]
)
def test_hocuspocus_refuses_an_address_that_is_none_or_stands_alone(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        split(data)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"\x04\x00\x00", "unknown message type 4"),  # a sync reply, which only servers send each other
        (b"\x06\x00", "unknown message type 6"),  # stateless to everyone, likewise
        (b"\x0b", "unknown message type 11"),
        (b"\x64\x00\x80", "unknown message type 100"),  # comity.v1 has a route of its own
        (b"\x02\x03\x00", "unknown auth message 3"),
        (b"\x08\x02", "unknown sync status 2"),
        (b"\x00\x03\x00", "unknown sync step 3"),
        (b"", "ends inside an integer"),
    ],
)
def test_hocuspocus_says_what_it_does_not_understand(frame: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        decode(frame)


def test_hocuspocus_frames_of_y_protocols_are_ours() -> None:
    presence = wire.Awareness((wire.Presence(7, 2, '{"agent":"a"}'),))
    frames = (wire.SyncStep1(b"\0"), wire.SyncStep2(b"\0\0"), wire.Update(b"\0\0"), presence, wire.QueryAwareness())
    for frame in frames:
        assert decode(wire.encode(frame)) == frame


# As the provider 4.8.0 sent them to the document "notes".
@pytest.mark.parametrize(
    ("recorded", "address", "message"),
    [
        ("056e6f746573020003746f6b05342e382e30", "notes", Credentials("tok", "4.8.0")),
        ("056e6f74657300000100", "notes", wire.SyncStep1(b"\0")),
        ("056e6f74657305026869", "notes", Stateless("hi")),
        (
            "056e6f7465730002140101d6a0b0b40b002801036d6170016b017d0100",
            "notes",
            wire.Update(bytes.fromhex("0101d6a0b0b40b002801036d6170016b017d0100")),
        ),
        ("056e6f74657307", "notes", Close()),
    ],
)
def test_hocuspocus_reads_what_the_provider_sends(recorded: str, address: str, message: Any) -> None:
    found, frame = split(bytes.fromhex(recorded))
    assert (found, decode(frame)) == (address, message)


@pytest.mark.parametrize(("address", "room"), [("a", "a"), ("a/b\0x1", "a/b"), ("a\0b\0c", "a"), ("\0x", ""), ("", "")])
def test_hocuspocus_address_names_a_room(address: str, room: str) -> None:
    assert room_of(address) == room


@given(st.integers(1, 2**53 - 1), st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4))
def test_hocuspocus_first_clock_is_where_an_update_begins(client: int, pieces: list[str]) -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    text = doc.get("t", type=pycrdt.Text)
    for piece in pieces:
        updates: list[bytes] = []
        subscription = doc.observe(lambda event, into=updates: into.append(event.update))
        written = len(str(text).encode("utf-16-le")) // 2
        text += piece
        doc.unobserve(subscription)
        assert first_clock(updates[0]) == (client, written)


def test_hocuspocus_an_update_that_inserts_nothing_has_no_first_clock() -> None:
    assert first_clock(b"\0\0") is None
    assert first_clock(b"\0\x01\x05\x01\x00\x02") is None


@given(st.integers(1, MAX_VARINT), st.integers(0, MAX_VARINT), st.integers(0, 12))
def test_hocuspocus_first_clock_refuses_an_update_that_ends_early(client: int, clock: int, cut: int) -> None:
    head = write_uint(1) + write_uint(1) + write_uint(client) + write_uint(clock)
    assert first_clock(head + write_bytes(b"rest")) == (client, clock)
    with pytest.raises(ProtocolError):
        first_clock(head[: cut % len(head)])


def test_hocuspocus_statuses_are_one_of_two() -> None:
    assert encode(SyncStatus(True)) == hocuspocus.SAVED == b"\x08\x01"
    assert encode(SyncStatus(False)) == hocuspocus.NOT_SAVED == b"\x08\x00"
