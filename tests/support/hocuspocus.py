"""Clients of Hocuspocus: the stock provider in a Node process of its own, and one of raw frames."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from comity.crdt_types.hocuspocus import Credentials, Message, SyncStatus, decode, encode, split
from comity.crdt_types.varint import write_string
from comity.crdt_types.wire import STEP1, STEP2, UPDATE, Frame, SyncStep1, SyncStep2, Update, encode_sync

from .node import Node, running_node
from .raw import DEADLINE
from .server import ServerHere

ROUTE: Final = "/hocuspocus"


@asynccontextmanager
async def hocuspocus_providers(url: str, *, silence_ms: int = 30_000) -> AsyncGenerator[Node]:
    """Run Node with one socket for as many providers as it is told to open; give up the test without Node.

    Args:
        url: the server's ``ws://`` address.
        silence_ms: how long the socket bears a server that is silent.
    """
    address = f"{url}{ROUTE}?agent=node"
    async with running_node("hocuspocus.mjs", "@hocuspocus", address, str(silence_ms)) as node:
        yield node


class RawHocuspocus:
    """A socket that sends what it is told to, and keeps everything received, by address, in ``messages``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.messages: dict[str, list[Message | Frame]] = {}
        self.single: list[bytes] = []  # messages of one byte
        self.close_code: int | None = None
        self.close_reason = ""
        self._socket = socket
        self._changed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def send(self, address: str, frame: bytes) -> None:
        """Send a frame to a document."""
        await self._socket.send(write_string(address) + frame)

    async def send_raw(self, message: bytes | str) -> None:
        """Send a message as it is."""
        await self._socket.send(message)

    async def open(self, address: str, token: str = "", version: str | None = "4.8.0") -> None:
        """Ask for a document."""
        await self.send(address, encode(Credentials(token, version)))

    def seen(self, address: str, kind: type[Any]) -> list[Any]:
        """Return the messages of a kind that came for a document."""
        return [message for message in self.messages.get(address, ()) if isinstance(message, kind)]

    def statuses(self, address: str) -> list[bool]:
        """Return the sync statuses that came for a document."""
        return [message.is_saved for message in self.seen(address, SyncStatus)]

    def text(self, address: str) -> str:
        """Return the root text "t" of what came for a document."""
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        for message in (*self.seen(address, SyncStep2), *self.seen(address, Update)):
            doc.apply_update(message.update)
        return str(doc.get("t", type=pycrdt.Text))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; it is looked at after every message."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                if self._reader.done():
                    raise AssertionError(f"closed with {self.close_code} {self.close_reason!r}")
                await self._changed.wait()

    async def until_message(self, address: str, kind: type[Any], count: int = 1) -> Any:
        """Return the last message of a kind for a document, once there are as many."""
        await self.until(lambda: len(self.seen(address, kind)) >= count)
        return self.seen(address, kind)[-1]

    async def closed(self) -> int:
        """Wait until the server closes the socket, and return the close code."""
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait((self._reader,))
        assert self.close_code is not None
        return self.close_code

    async def vanish(self) -> None:
        """Break the connection off."""
        self._socket.transport.abort()
        await self._reader

    async def leave(self) -> None:
        """Close the socket."""
        await self._socket.close()
        await self._reader

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                assert isinstance(message, bytes)
                self._take(message)
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self._socket.close_code
            self.close_reason = self._socket.close_reason or ""
            self._changed.set()

    def _take(self, message: bytes) -> None:
        if len(message) == 1:
            self.single.append(message)
            return
        address, frame = split(message)
        self.messages.setdefault(address, []).append(decode(frame))


class RawDocument:
    """One document on a raw socket, which does by itself what a provider does: it answers step 1 if told to."""

    def __init__(self, client: RawHocuspocus, address: str) -> None:
        self.client = client
        self.address = address
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.text: pycrdt.Text = self.doc.get("t", type=pycrdt.Text)

    def value(self) -> str:
        """Return the root text "t", with everything that came so far."""
        for message in (*self.client.seen(self.address, SyncStep2), *self.client.seen(self.address, Update)):
            self.doc.apply_update(message.update)
        return str(self.text)

    async def ask(self) -> None:
        """Send step 1."""
        await self.client.send(self.address, encode_sync(STEP1, self.doc.get_state()))

    def write(self, text: str) -> bytes:
        """Append to the root text "t" and return the update that this makes."""
        return self._changed(lambda: self.text.insert(len(self.text), text))

    def erase(self, count: int) -> bytes:
        """Delete from the end of the root text "t" and return the update that this makes."""
        end = len(self.text)

        def cut() -> None:
            del self.text[end - count : end]

        return self._changed(cut)

    async def send(self, update: bytes) -> None:
        """Send an update."""
        await self.client.send(self.address, encode_sync(UPDATE, update))

    async def answer(self) -> None:
        """Answer the last step 1 of the server, once there is one."""
        request: SyncStep1 = await self.client.until_message(self.address, SyncStep1)
        await self.client.send(self.address, encode_sync(STEP2, self.doc.get_update(request.state_vector)))

    def _changed(self, change: Callable[[], None]) -> bytes:
        updates: list[bytes] = []
        subscription = self.doc.observe(lambda event: updates.append(event.update))
        change()
        self.doc.unobserve(subscription)
        return updates[-1]


@asynccontextmanager
async def raw_hocuspocus(url: str, query: str = "", **options: Any) -> AsyncGenerator[RawHocuspocus]:
    """Connect a raw socket while the context lasts; ``options`` go to ``websockets.connect``."""
    options = {"max_size": None, "compression": None, "open_timeout": DEADLINE} | options
    async with connect(f"{url}{ROUTE}{query}", **options) as socket:
        client = RawHocuspocus(socket)
        try:
            yield client
        finally:
            await client.leave()


def connections(server: ServerHere, name: str) -> int:
    """Return how many are connected to a room."""
    return sum(room.connections for room in server.hub.rooms if room.name == name)
