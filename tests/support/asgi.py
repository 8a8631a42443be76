"""An ASGI application on uvicorn as it comes, in the test's own loop, and clients of the channels that it serves."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pycrdt
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from .provider import SocketChannel
from .raw import DEADLINE, RawClient


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def served(app: Any) -> AsyncGenerator[str]:
    """Serve an application on a free port while the context lasts; gives its WebSocket address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, ws="websockets-sansio", lifespan="on", log_config=None)
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await server.is_up.wait()
        yield f"ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def opened(address: str) -> AsyncGenerator[ClientConnection]:
    """Hold a WebSocket open."""
    async with connect(address, compression=None, max_size=None, open_timeout=DEADLINE) as socket:
        yield socket


@asynccontextmanager
async def raw(address: str) -> AsyncGenerator[RawClient]:
    """Speak y-protocols to an address while the context lasts."""
    async with opened(address) as socket:
        client = RawClient(socket)
        try:
            yield client
        finally:
            await client.leave()


@asynccontextmanager
async def provided_at(address: str) -> AsyncGenerator["pycrdt.Doc[Any]"]:
    """Keep a document in sync with an address by ``pycrdt.Provider`` while the context lasts."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with opened(address) as socket, pycrdt.Provider(doc, SocketChannel(socket, address)) as provider:
        async with asyncio.timeout(DEADLINE):
            await provider.synced.wait()
        yield doc
