"""Fuzzing a real server: frames, handshakes, WebSocket framing and the ends of connections, whatever is wrong in them.

After each example a witness in the same room still syncs, has just the sound edits of what was sent, the room is what
its log says, everything that the connection took is given back, and no fault was logged.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import Side

from comity.crdt_types.hocuspocus import Close, Credentials, Stateless, SyncStatus
from comity.crdt_types.hocuspocus import encode as encode_message
from comity.crdt_types.varint import write_string
from comity.crdt_types.wire import STEP1, UPDATE, Presence, QueryAwareness, encode, encode_awareness, encode_sync
from comity.server.hocuspocus.connection import ROUTE as HOCUSPOCUS
from tests.support.arena import PRESENT, Arena, Expected, arena
from tests.support.bare import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    BareSocket,
    bare_socket,
    cut,
    frame,
    upgrade,
)
from tests.support.grammar import messages
from tests.support.handshakes import plain, requests, spoilt, torn
from tests.support.oracle import Heard, heard
from tests.support.profiles import examples

LIMIT: Final = 4096  # largest message of the servers here, in bytes; twice that ends it while it arrives

# Not shrunk: an example that hangs takes half a minute to fail.
PROFILE: Final[dict[str, Any]] = {
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@pytest.fixture(name="arena")
async def _arena(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Arena]:
    async with arena(tmp_path, caplog, max_message=LIMIT) as opened:
        yield opened


# Messages ---------------------------------------------------------------------------------------------------------

SOUND: Final = [
    encode_sync(STEP1, b"\x00"),
    encode(QueryAwareness()),
    encode_awareness([Presence(5, 1, "{}")]),
    encode_awareness([PRESENT._replace(clock=99, state=None)]),  # of somebody else: passed over
    encode_sync(UPDATE, b"\x00\x00"),
]
sound: st.SearchStrategy[bytes | None] = st.one_of(st.none(), st.none(), st.sampled_from(SOUND))  # None: an edit


# Framing ----------------------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """A message and how it is framed: in one frame, or in several with something between them."""

    message: bytes | None
    places: tuple[int, ...] = ()
    between: bytes = b""


pings = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
said: st.SearchStrategy[Said] = st.builds(
    Said, sound, st.lists(st.integers(0, 9999), max_size=3).map(tuple), st.one_of(st.just(b""), pings)
)
masks = st.one_of(st.none(), st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4))
frames = st.builds(
    frame,
    st.one_of(st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]), st.integers(0, 15)),
    st.one_of(
        st.binary(max_size=10),
        st.sampled_from([125, 126, 127, LIMIT + 1, 2 * LIMIT, 2 * LIMIT + 1]).map(bytes),
        st.sampled_from([b"\xff\xfe", b"\x03\xe8", b"\x03\xe8\xff", b"\x03\xee", b"\x00"]),
    ),
    final=st.sampled_from([True, True, False]),
    reserved=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
    mask=masks,
    length=st.one_of(st.none(), st.none(), st.integers(0, 200), st.sampled_from([2**16, 2**31, 2**63 - 1, 2**64 - 1])),
    width=st.sampled_from([None, None, 0, 2, 8]),
)
closes = st.one_of(
    st.just(b""),
    st.integers(0, 65535).map(lambda code: code.to_bytes(2, "big")),
    st.sampled_from([1000, 1001, 1005, 1006, 1011, 1015, 2999, 3000, 4400, 5000]).map(
        lambda code: code.to_bytes(2, "big") + b"why"
    ),
    st.binary(min_size=1, max_size=1),
    st.just(b"\x03\xe8" + b"\xff" * 4),
    st.just(b"\x03\xe8" + b"y" * 123),
    st.just(b"\x03\xe8" + b"y" * 124),
).map(lambda payload: frame(CLOSE, payload))
ENDS: Final = ("half", "half", "reset", "gone")
cuts: st.SearchStrategy[list[int]] = st.one_of(st.just([]), st.lists(st.integers(0, 99_999), max_size=6))


def _framed(message: bytes, said: Said) -> bytes:
    parts = cut(message, said.places) or [b""]
    pieces = [
        frame(CONTINUATION if number else BINARY, part, final=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    return said.between.join(pieces)


def _stream(arena: Arena, steps: list[Said | bytes], address: bytes = b"") -> tuple[bytes, dict[bytes, str]]:
    """Return the bytes of some steps, and the keys of the edits in them, by their messages.

    Args:
        arena: where the edits are made.
        steps: what is said.
        address: what edits have before them.
    """
    stream, edits = b"", dict[bytes, str]()
    for step in steps:
        if isinstance(step, bytes):
            stream += step
            continue
        message = step.message
        if message is None:
            key, update = arena.edit()
            message = address + encode_sync(UPDATE, update)
            edits[message] = key
        stream += _framed(message, step)
    return stream, edits


def _expect(expected: Expected, told: Heard, edits: dict[bytes, str], end: str) -> bool:
    """Note which edits are to come of what a server hears; tell whether it hears anything wrong."""
    is_sure = end == "half"  # what is on its way when a connection breaks off may be lost
    for kind, message in told.messages:
        if kind is not Opcode.BINARY or len(message) > LIMIT:
            return True
        if message in edits:
            (expected.sure if is_sure else expected.possible).append(edits[message])
        elif message not in SOUND:
            is_sure = False
    return told.fault is not None or not is_sure


async def _end(socket: BareSocket, end: str) -> None:
    match end:
        case "half":
            socket.stop_sending()
            await socket.read_all()
        case "reset":
            socket.reset()
        case _:
            socket.close()


async def _converse(arena: Arena, steps: list[Said | bytes], places: list[int], end: str) -> None:
    """Say something to the server on a connection of its own, and assert what may come of it."""
    async with arena.undisturbed() as expected:
        stream, edits = _stream(arena, steps)
        told = heard([stream], limit=2 * LIMIT)
        is_wrong = _expect(expected, told, edits, end)
        answer = heard([await _said(arena, "/ws/x", cut(stream, places), end)], side=Side.CLIENT)
        assert answer.fault is None
        allowed = {told.closed} if not is_wrong else {told.closed, told.fault, None, 1002, 1007, 1009, 4400, 4413}
        if told.closed is not None and heard([stream[:-1]], limit=2 * LIMIT).closed is not None:
            allowed.add(None)  # what comes behind a close may make a reset of the end, which swallows the answer
        assert end != "half" or answer.closed in allowed


async def _said(arena: Arena, path: str, pieces: list[bytes], end: str) -> bytes:
    """Send pieces on a connection of its own, end it, and return what the server sent."""
    async with bare_socket(arena.server.port) as socket:
        await socket.shake_hands(upgrade(path))
        await socket.send(*pieces)
        await _end(socket, end)
        return socket.received


@settings(max_examples=examples(50, 2_000), **PROFILE)
@given(
    st.lists(st.one_of(messages.map(Said), messages.map(Said), said), min_size=1, max_size=6),
    cuts,
    st.sampled_from(ENDS),
)
async def test_fuzz_of_frames(arena: Arena, steps: list[Said | bytes], places: list[int], end: str) -> None:
    await _converse(arena, steps, places, end)


@settings(max_examples=examples(50, 2_000), **PROFILE)
@given(st.lists(st.one_of(said, frames, pings), min_size=1, max_size=8), cuts, st.sampled_from(ENDS))
async def test_fuzz_of_websocket_frames(arena: Arena, steps: list[Said | bytes], places: list[int], end: str) -> None:
    await _converse(arena, steps, places, end)


@settings(max_examples=examples(30, 2_000), **PROFILE)
@given(
    st.lists(said, max_size=3),
    closes,
    st.lists(st.one_of(said, closes, frames), max_size=2),
    cuts,
    st.sampled_from(ENDS),
)
async def test_fuzz_of_close_sequences(
    arena: Arena,
    before: list[Said | bytes],
    close: bytes,
    behind: list[Said | bytes],
    places: list[int],
    end: str,
) -> None:
    await _converse(arena, [*before, close, *behind], places, end)


ADDRESS: Final = write_string("x")
CREDENTIALS: Final = Said(ADDRESS + encode_message(Credentials("", None)))
TOLD: Final = [
    encode_message(Credentials("token", "4.8.0")),
    encode_message(Stateless("{}")),
    encode_message(Close(None)),
    encode_message(Close("why")),
    encode_message(SyncStatus(True)),
]
addressed: st.SearchStrategy[Said] = st.builds(
    lambda address, message: Said(address + message),
    st.one_of(
        st.just(ADDRESS),
        st.just(ADDRESS),
        st.sampled_from([write_string(name) for name in ("", "y", "x\0one", "x\0two", "\0", "x" * 300)]),
        st.binary(max_size=3),
    ),
    st.one_of(
        messages,
        st.sampled_from(SOUND),
        st.sampled_from(TOLD),
        st.builds(lambda kind, body: bytes((kind,)) + body, st.integers(0, 11), st.binary(max_size=5)),
    ),
)


@settings(max_examples=examples(30, 2_000), **PROFILE)
@given(
    st.lists(st.one_of(addressed, st.just(CREDENTIALS), st.just(Said(None)), st.just(Said(b"\x09"))), max_size=8),
    cuts,
    st.sampled_from(ENDS),
)
async def test_fuzz_of_hocuspocus_frames(arena: Arena, steps: list[Said], places: list[int], end: str) -> None:
    async with arena.undisturbed() as expected:
        stream, edits = _stream(arena, [CREDENTIALS, *steps], ADDRESS)
        expected.possible += edits.values()
        received = await _said(arena, HOCUSPOCUS, cut(stream, places), end)
        assert heard([received], side=Side.CLIENT).fault is None


# Handshakes -------------------------------------------------------------------------------------------------------

hasty = st.one_of(
    st.just(b""),
    st.just(b""),
    frames,
    st.sampled_from(SOUND).map(lambda message: frame(BINARY, message)),
    st.binary(max_size=9),
)
handshakes = st.tuples(
    st.one_of(st.just(b""), st.just(b""), plain, requests),
    st.one_of(requests, requests, spoilt, torn, st.binary(max_size=40)),
    hasty,
).map(b"".join)


@settings(max_examples=examples(50, 2_000), **PROFILE)
@given(handshakes, cuts, st.sampled_from(ENDS))
async def test_fuzz_of_handshakes(arena: Arena, sent: bytes, places: list[int], end: str) -> None:
    async with arena.undisturbed(), bare_socket(arena.server.port) as socket:
        await socket.send(*cut(sent, places))
        await _end(socket, end)
        assert end != "half" or not socket.received or socket.received.startswith(b"HTTP/1.1 ")


@settings(max_examples=examples(6, 200), **PROFILE)
@given(st.lists(st.tuples(st.one_of(handshakes, torn), st.lists(frames, max_size=2)), min_size=5, max_size=20))
async def test_fuzz_of_half_open_sockets(arena: Arena, opened: list[tuple[bytes, list[bytes]]]) -> None:
    async with arena.undisturbed(), AsyncExitStack() as stack:
        for sent, behind in opened:  # none of them reads, or ends
            socket = await stack.enter_async_context(bare_socket(arena.server.port))
            await socket.send(sent, *behind)
        await arena.witness.edit("")
        await arena.witness.durable()
