"""Keepalive: a peer that is gone is let go, one that is only slow is not."""

import asyncio
import os
import socket
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from comity.crdt_types.wire import STEP1, encode_sync
from comity.server.transport import websocket as transport
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

# More than the systems of both ends hold on their own, so that a ping is behind it for a while.
SIZE: Final = 12_000_000
ROOM: Final = "x"


async def _fill(server: ServerHere) -> None:
    async with raw_client(server.url, ROOM) as writer:
        await writer.sync()
        await writer.edit("x" * SIZE)
        await writer.durable()


@asynccontextmanager
async def _asking(server: ServerHere) -> AsyncGenerator[asyncio.StreamReader]:
    """Hold a bare connection on which the whole room was asked for, and which answers no ping."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=small)
    key = b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws/{ROOM} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    request = encode_sync(STEP1, b"\x00")
    writer.write(bytes((0x82, 0x80 | len(request), 0, 0, 0, 0)) + request)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def test_keepalive_leaves_a_slow_reader_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER_SECONDS", 0.1)
    async with in_process_server(tmp_path, ping_interval=0.1, ping_timeout=0.5) as server:
        await _fill(server)
        received = 0
        async with _asking(server) as reader:
            while received < SIZE:
                await asyncio.sleep(0.01)  # some three seconds in all
                chunk = await reader.read(48 * 1024)
                assert chunk, f"cut off after {received} bytes"
                received += len(chunk)


async def test_keepalive_ends_a_connection_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER_SECONDS", 0.1)
    async with in_process_server(tmp_path, ping_interval=0.1, ping_timeout=0.5) as server:
        await _fill(server)
        await eventually(lambda: server.hub.rooms[0].connections == 0)
        async with _asking(server) as reader:
            await reader.readexactly(1)
            assert server.hub.rooms[0].connections == 1
            await eventually(lambda: server.hub.rooms[0].connections == 0)
            assert server.hub.refusals == {"ping_timeout": 1}
            assert server.hub.closes == {1011: 1}
