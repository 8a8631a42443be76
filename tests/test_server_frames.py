"""The server's WebSocket protocol, compared with the ``websockets`` library on streams of any bytes, cut anywhere."""

import asyncio
import tracemalloc
from collections.abc import Callable
from typing import Any, Final, cast

import uvicorn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState
from websockets.frames import Opcode
from websockets.protocol import Side

from comity.server.transport.frames import Splitter
from comity.server.transport.websocket import EXTENSION, UvicornProtocol
from tests.support.bare import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, cut, frame, upgrade
from tests.support.oracle import Heard, heard
from tests.support.profiles import examples

LIMIT: Final = 1000


class Transport(asyncio.Transport):
    """A transport whose other end is the test."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_reading_now = True
        self._has_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        if not self._has_closed:
            self.written += data

    def close(self) -> None:
        self._has_closed = True

    def abort(self) -> None:
        self._has_closed = True

    def is_closing(self) -> bool:
        return self._has_closed

    def pause_reading(self) -> None:
        assert self.is_reading_now
        self.is_reading_now = False

    def resume_reading(self) -> None:
        assert not self.is_reading_now
        self.is_reading_now = True

    def get_write_buffer_size(self) -> int:
        return 0


class Listener:
    """Takes messages as the server does: after some of them it holds the protocol back for some turns of the loop.

    Args:
        turns: for how many turns, message by message; none after the last of these.
    """

    def __init__(self, turns: list[int]) -> None:
        self.messages: list[bytes | str] = []
        self.has_ended = False
        self.protocol: UvicornProtocol | None = None
        self._turns = iter(turns)
        self._is_holding = False

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.protocol = scope["extensions"][EXTENSION]
        assert self.protocol is not None
        await receive()
        await send({"type": "websocket.accept"})
        await self.protocol.listen(self)
        self.has_ended = True

    def message(self, data: bytes | str) -> None:
        assert not self._is_holding or cast("Transport", self._protocol.transport).is_closing()
        self.messages.append(data)
        turns = next(self._turns, 0)
        if turns and not self._is_holding:
            self._is_holding = True
            self._protocol.hold()
            self._wait(turns)

    @property
    def _protocol(self) -> UvicornProtocol:
        assert self.protocol is not None
        return self.protocol

    def _wait(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._wait, turns - 1)
        else:
            self._is_holding = False
            self._protocol.release()


class Peer:
    """A client that is connected to a protocol, without a network."""

    def __init__(self, listener: Listener) -> None:
        config = uvicorn.Config(
            cast("Any", listener.app),
            interface="asgi3",
            ws=UvicornProtocol,
            ws_max_size=LIMIT,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
        )
        config.load()
        self.transport = Transport()
        self._protocol = UvicornProtocol(config, ServerState(), {})
        self._protocol.connection_made(self.transport)

    async def shake_hands(self) -> None:
        self._protocol.data_received(upgrade())
        await _soon(lambda: self.transport.written)
        assert self.transport.written.startswith(b"HTTP/1.1 101 ")
        self.transport.written = b""

    async def send(self, chunks: list[bytes]) -> None:
        """Send chunks as the protocol reads them, until it ends the connection."""
        for chunk in chunks:
            if not await self.is_read():
                return
            self._protocol.data_received(chunk)

    async def is_read(self) -> bool:
        """Wait until the protocol reads; tell whether it still does, or has ended the connection."""
        await _soon(lambda: self.transport.is_reading_now or self.transport.is_closing())
        return not self.transport.is_closing()

    def leave(self) -> None:
        self._protocol.connection_lost(None)


async def _soon(condition: Callable[[], object]) -> None:
    """Return once a condition holds, within some turns of the loop."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("did not come to hold")


async def _hears(chunks: list[bytes], turns: list[int], *, is_hurried: bool = False) -> tuple[list[bytes | str], Heard]:
    """Return the messages that the server takes from a stream, and what the client hears.

    Args:
        chunks: the stream.
        turns: how long the server takes for its messages, see `Listener`.
        is_hurried: whether the client goes while the server still has some of it to take.
    """
    listener = Listener(turns)
    peer = Peer(listener)
    await peer.shake_hands()
    await peer.send(chunks)
    if not is_hurried:
        await peer.is_read()
    peer.leave()
    await _soon(lambda: listener.has_ended)
    return listener.messages, heard([peer.transport.written], side=Side.CLIENT)


def _as_taken(kind: Opcode, message: bytes) -> bytes | str:
    return message if kind is Opcode.BINARY else message.decode(errors="replace")


payloads = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([0, 1, 125, 126, 127, LIMIT - 1, LIMIT, LIMIT + 1, 70_000]).map(lambda size: b"\x83" * size),
)
masks = st.binary(min_size=4, max_size=4)
whole = st.builds(frame, st.just(BINARY), payloads, mask=masks)
parts = st.builds(frame, st.sampled_from([BINARY, CONTINUATION, CONTINUATION, TEXT]), payloads, final=st.booleans())
texts = st.builds(frame, st.just(TEXT), st.one_of(st.just("hé".encode()), st.binary(max_size=5)))
control = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
closes = st.builds(
    frame,
    st.just(CLOSE),
    st.one_of(
        st.just(b""),
        st.integers(0, 65535).map(lambda code: code.to_bytes(2, "big")),
        st.just(b"\x03\xe8why"),
        st.just(b"\x03\xe8\xff"),
        st.binary(min_size=1, max_size=1),
    ),
)
any_frames = st.builds(
    frame,
    st.integers(0, 15),
    st.one_of(st.binary(max_size=4), st.just(bytes(126))),
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 2, 4]),
    mask=st.one_of(st.none(), masks, masks),
    length=st.one_of(st.none(), st.none(), st.integers(0, 130), st.sampled_from([LIMIT + 1, 2**32, 2**64 - 1])),
    width=st.sampled_from([None, None, 0, 2, 8]),
)
sound = st.one_of(whole, whole, whole, parts, texts, control)
streams = st.one_of(
    st.lists(sound, max_size=12),
    st.lists(st.one_of(sound, sound, sound, closes, any_frames), max_size=12),
    st.tuples(whole, st.integers(200, 600)).map(lambda burst: [burst[0] * burst[1]]),
    st.binary(max_size=40).map(lambda data: [data]),
).map(b"".join)
places: st.SearchStrategy[list[int]] = st.one_of(
    st.just([]), st.lists(st.integers(0, 200_000), max_size=8), st.lists(st.integers(0, 40), max_size=40)
)
pauses: st.SearchStrategy[list[int]] = st.one_of(st.just([]), st.lists(st.integers(0, 3), max_size=12))


@settings(max_examples=examples(300, 10_000))
@given(streams, places, pauses)
@example(frame(CLOSE, b"") + frame(BINARY, b"too late"), [], [])
@example(frame(5) + frame(BINARY, b"too late"), [], [])
async def test_frames_are_heard_as_the_library_hears_them(stream: bytes, cuts: list[int], turns: list[int]) -> None:
    chunks = cut(stream, cuts)
    expected = heard(chunks, limit=LIMIT)
    if expected.fault is not None:  # the library may see it in a frame's head already, we when the frame is whole
        chunks.append(bytes(LIMIT + 14))
    messages, answer = await _hears(chunks, turns)
    assert messages == [_as_taken(*each) for each in expected.messages]
    assert answer.fault is None
    assert answer.pongs == expected.pings
    assert answer.closed == (expected.closed if expected.fault is None else expected.fault)


@settings(max_examples=examples(200, 5_000))
@given(streams, places, pauses)
@example(frame(BINARY, b"1") + frame(BINARY, b"2", final=False) + frame(CONTINUATION, b"3") + frame(BINARY), [], [3])
async def test_frames_of_a_client_that_goes_are_taken_without_a_gap(
    stream: bytes, cuts: list[int], turns: list[int]
) -> None:
    chunks = cut(stream, cuts)
    expected = [_as_taken(*each) for each in heard(chunks, limit=LIMIT).messages]
    messages, _ = await _hears(chunks, turns, is_hurried=True)
    assert messages == expected


@settings(max_examples=examples(300, 10_000))
@given(streams, places)
def test_frames_are_split_alike_wherever_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    def pieces(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
        splitter = Splitter(LIMIT)
        found = [piece for chunk in chunks for piece in splitter.feed(chunk)]
        return [data for is_message, data in found if is_message], b"".join(
            data for is_message, data in found if not is_message
        )

    assert pieces(cut(stream, cuts)) == pieces([stream])


def test_frames_that_come_in_tiny_pieces_take_no_more_than_their_size() -> None:
    data = frame(BINARY, bytes(200_000))
    splitter = Splitter(len(data))
    tracemalloc.start()
    try:
        for at in range(0, len(data) - 2, 2):
            assert not splitter.feed(data[at : at + 2])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(data)
