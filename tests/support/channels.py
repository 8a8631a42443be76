"""Channels of pycrdt for tests: one held by hand, and a provider that opens its own."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, cast

import pycrdt

from comity.crdt_types.wire import SyncStep2, Update, decode

from .asgi import opened
from .provider import SocketChannel


class Line:
    """A channel whose other end is the test: it keeps what is sent, and receives what it is fed.

    Args:
        path: its path.
        messages: what it receives first.
    """

    def __init__(self, path: str, *messages: bytes | None) -> None:
        self.path = path
        self.sent: list[bytes] = []
        self._fed: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._has_ended = False
        self._may_send = asyncio.Event()
        self._may_send.set()
        for message in messages:
            self.feed(message)

    def feed(self, message: bytes | None) -> None:
        """Let it receive a message; None is what channels make of a text message."""
        self._fed.put_nowait(message)

    def end(self) -> None:
        """Let it end, behind what it was fed."""
        self._has_ended = True
        self._fed.put_nowait(None)

    def hold(self) -> None:
        """Take nothing more until ``release``."""
        self._may_send.clear()

    def release(self) -> None:
        """Take what is sent again."""
        self._may_send.set()

    def text(self) -> str:
        """Return the root text "t" of a document with everything that was sent."""
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        for message in self.sent:
            match decode(message):
                case SyncStep2(update) | Update(update):
                    doc.apply_update(update)
                case _:
                    pass
        return str(doc.get("t", type=pycrdt.Text))

    def __aiter__(self) -> "Line":
        return self

    async def __anext__(self) -> bytes:
        return await self.recv()

    async def send(self, message: bytes) -> None:
        await self._may_send.wait()
        self.sent.append(message)

    async def recv(self) -> bytes:
        message = await self._fed.get()
        if message is None and self._has_ended:
            raise StopAsyncIteration
        return cast("bytes", message)


class Reaching(pycrdt.Provider):
    """A provider that opens a WebSocket to an address when it is entered.

    Args:
        address: where to.
        doc: the document.
        log: passed on.
    """

    def __init__(self, address: str, doc: "pycrdt.Doc[Any]", log: Any) -> None:
        self._address = address
        self._given = doc, log
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Reaching":
        doc, log = self._given
        async with AsyncExitStack() as stack:
            socket = await stack.enter_async_context(opened(self._address))
            super().__init__(doc, SocketChannel(socket, self._address), log)
            await super().__aenter__()
            stack.push_async_exit(super().__aexit__)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc_value, exc_tb)
