"""pycrdt's own provider, on a WebSocket: the stock Python client."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class SocketChannel:
    """A WebSocket as a channel of pycrdt."""

    def __init__(self, socket: ClientConnection, path: str) -> None:
        self.path = path
        self._socket = socket

    def __aiter__(self) -> "SocketChannel":
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message: bytes) -> None:
        await self._socket.send(message)

    async def recv(self) -> bytes:
        message = await self._socket.recv()
        assert isinstance(message, bytes)
        return message


@asynccontextmanager
async def provided(url: str, room: str) -> AsyncGenerator[pycrdt.Doc[Any]]:
    """Keep a document in sync with a room by ``pycrdt.Provider`` while the context lasts."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with (
        connect(f"{url}/ws/{quote(room)}", compression=None) as socket,
        pycrdt.Provider(doc, SocketChannel(socket, room)) as provider,
    ):
        await provider.synced.wait()
        yield doc
