"""A client of plain y-protocols, and of ``comity.v1`` if asked to: one document, one socket, nothing clever."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from comity.crdt_types.wire import (
    STEP1,
    STEP2,
    SUBPROTOCOL,
    UPDATE,
    Ack,
    Answer,
    Awareness,
    Call,
    Failure,
    Frame,
    Presence,
    SyncStep1,
    SyncStep2,
    Update,
    decode,
    encode,
    encode_awareness,
    encode_sync,
)

DEADLINE: Final = 30.0  # seconds; far more than anything takes, on a machine that is busy


class CallError(Exception):
    """A call that the server answered with an error.

    Args:
        failure: the error.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class RawClient:
    """A document and a socket. Everything received is kept in ``frames``; updates are applied, requests answered.

    Args:
        socket: an open connection.
        answers: whether the server's sync step 1 is answered.
    """

    def __init__(self, socket: ClientConnection, *, answers: bool = True) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.frames: list[Frame] = []
        self.sent = 0  # document updates
        self.acknowledged = 0
        self.presence: dict[int, Presence] = {}
        self.answers: dict[int, Answer] = {}
        self.is_synced = False
        self.close_code: int | None = None
        self.close_reason = ""
        self._socket = socket
        self._answers = answers
        self._calls = 0
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @property
    def text(self) -> pycrdt.Text:
        """The root text "t"."""
        text: pycrdt.Text = self.doc.get("t", type=pycrdt.Text)
        return text

    def value(self) -> str:
        """Return the root text's content."""
        return str(self.text)

    async def send(self, message: bytes | str) -> None:
        """Send a message as it is."""
        await self._socket.send(message)

    async def update(self, update: bytes, step: int = UPDATE) -> int:
        """Send a document update and return its number."""
        self.sent += 1
        await self.send(encode_sync(step, update))
        return self.sent

    async def edit(self, text: str) -> int:
        """Append to the root text "t", send that, and return the update's number."""
        return await self.update(self.change(text))

    def change(self, text: str) -> bytes:
        """Append to the root text "t" and return the update that this makes."""
        state = self.doc.get_state()
        self.text.insert(len(self.text), text)
        return self.doc.get_update(state)

    async def ask(self) -> None:
        """Ask for everything that the document lacks."""
        await self.send(encode_sync(STEP1, self.doc.get_state()))

    async def ask_for(self, method: str, **params: Any) -> int:
        """Send a call and return its id."""
        self._calls += 1
        await self.send(encode(Call(self._calls, method, params)))
        return self._calls

    async def call(self, method: str, **params: Any) -> Any:
        """Send a call, and return its result. Raises CallError."""
        number = await self.ask_for(method, **params)
        await self.until(lambda: number in self.answers)
        answer = self.answers[number]
        if answer.error is not None:
            raise CallError(answer.error)
        return answer.result

    async def announce(self, entries: Iterable[Presence]) -> None:
        """Send awareness entries."""
        await self.send(encode_awareness(entries))

    async def sync(self) -> Self:
        """Ask for everything, and wait until it has come."""
        self.is_synced = False
        await self.ask()
        await self.until(lambda: self.is_synced)
        return self

    async def until(self, condition: Callable[[], object], *, within: float = DEADLINE) -> None:
        """Wait until a condition holds; it is looked at after every message."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._changed.clear()
                    if self._reader.done():
                        raise AssertionError(f"closed with {self.close_code} {self.close_reason!r}")
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"did not come to hold within {within} s, last {self.frames[-3:]}") from None

    async def durable(self) -> None:
        """Wait until everything sent is acknowledged."""
        await self.until(lambda: self.acknowledged >= self.sent)

    def hold(self) -> None:
        """Read nothing more from the socket until ``read_on``."""
        self._socket.transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        self._socket.transport.resume_reading()

    def abort(self) -> None:
        """Break the connection off, without a word."""
        self._socket.transport.abort()

    async def closed(self) -> int:
        """Wait until the server closes the connection, and return the close code."""
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait((self._reader,))
        assert self.close_code is not None
        return self.close_code

    async def leave(self) -> None:
        """Close the connection."""
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                assert isinstance(message, bytes)
                await self._take(decode(message))
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._socket.close_code
            self.close_reason = self._socket.close_reason or ""
            self._changed.set()

    async def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        match frame:
            case SyncStep1(state_vector) if self._answers:
                await self.update(self.doc.get_update(state_vector), STEP2)
            case SyncStep2(update):
                self.doc.apply_update(update)
                self.is_synced = True
            case Update(update):
                self.doc.apply_update(update)
            case Ack(n):
                self.acknowledged = n
            case Answer(number):
                self.answers[number] = frame
            case Awareness(entries):
                self.presence.update({entry.client: entry for entry in entries})
            case _:
                pass


def narrow_socket(port: int) -> socket.socket:
    """Return a connection to a port whose reader's system takes little on its own: holding still is felt soon."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", port))
    narrow.setblocking(False)
    return narrow


@asynccontextmanager
async def raw_client(
    url: str, room: str, *, v1: bool = True, agent: str = "", answers: bool = True, **options: Any
) -> AsyncGenerator[RawClient]:
    """Connect to a room while the context lasts.

    Args:
        url: the server's WebSocket address.
        room: the room's name.
        v1: whether to offer ``comity.v1``.
        agent: the name to go by.
        answers: whether to answer the server's sync step 1.
        options: passed on to ``websockets.connect``.
    """
    query = f"?{urlencode({'agent': agent})}" if agent else ""
    protocols: Any = [SUBPROTOCOL] if v1 else None
    options = {"max_size": None, "compression": None, "open_timeout": DEADLINE} | options
    async with connect(f"{url}/ws/{quote(room)}{query}", subprotocols=protocols, **options) as socket:
        client = RawClient(socket, answers=answers)
        try:
            yield client
        finally:
            await client.leave()
