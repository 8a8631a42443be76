"""A bare socket that sends a server whatever bytes a test likes, and the bytes to send: handshakes and frames."""

import asyncio
import os
import socket
import struct
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from websockets.utils import apply_mask

from .waiting import DEADLINE

CONTINUATION, TEXT, BINARY = 0, 1, 2
CLOSE, PING, PONG = 8, 9, 10

_MASK: Final = b"\x17\x2a\x80\xff"


def upgrade(
    path: str = "/ws/x",
    changes: Mapping[str, str | None] | None = None,
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
) -> bytes:
    """Return a request to become a WebSocket.

    Args:
        path: its target, as it is sent.
        changes: headers to have otherwise than a browser has them; None leaves one out.
        method: its method.
        version: its version.
    """
    headers: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    headers |= changes or {}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode("latin-1")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = _MASK,
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """Return a WebSocket frame, sound unless told otherwise.

    Args:
        opcode: what it is.
        payload: what it carries.
        final: whether the message ends with it.
        reserved: its three reserved bits.
        mask: its masking key, None for a frame without one.
        length: the length that it announces, if not its own.
        width: how many bytes that takes: 0, 2 or 8, whether it needs them or not.
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size & 0x7F, 2: 126, 8: 127}[width]
    head = bytes((final << 7 | (reserved & 7) << 4 | opcode & 15, (mask is not None) << 7 | short))
    head += (size & (1 << 8 * width) - 1).to_bytes(width, "big")
    return head + payload if mask is None else head + mask + apply_mask(payload, mask)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Return data in pieces, cut at some places (taken modulo its length), none of them empty."""
    ends = sorted({place % len(data) for place in places} - {0}) if data else []
    return [data[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)], strict=True) if begin < end]


class BareSocket:
    """A TCP connection to a server.

    Attributes:
        received: all that the server sent so far, as far as it was read.
    """

    def __init__(self, plain: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received = b""
        self._plain = plain
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each by itself, as long as the server takes them."""
        with suppress(OSError, RuntimeError):  # the latter from uvloop, whose transports take nothing once closed
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
                await asyncio.sleep(0)

    async def shake_hands(self, request: bytes | None = None) -> None:
        """Become a WebSocket, and leave what came behind the answer in ``received``."""
        await self.send(upgrade() if request is None else request)
        async with asyncio.timeout(DEADLINE):
            answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    async def read_some(self) -> bytes:
        """Read what comes next, and return it; nothing at the end."""
        try:
            async with asyncio.timeout(DEADLINE):
                data = await self._reader.read(1 << 16)
        except ConnectionError:
            return b""
        self.received += data
        return data

    async def read_all(self) -> bytes:
        """Read until the server has ended the connection, and return all that it ever sent."""
        while await self.read_some():
            pass
        return self.received

    def stop_sending(self) -> None:
        """End this side only."""
        if not self._writer.is_closing():
            with suppress(OSError, RuntimeError):
                self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection off, so that the server is told by a reset."""
        with suppress(OSError):
            self._plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection without a word."""
        self._writer.close()


@asynccontextmanager
async def bare_socket(port: int, *, window: int | None = None) -> AsyncGenerator[BareSocket]:
    """Hold a TCP connection to this machine while the context lasts.

    Args:
        port: where to.
        window: how many bytes the system takes from the server on its own, if that is to be few.
    """
    plain = socket.socket()
    if window is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
    limit = window or 1 << 16
    reader, writer = await asyncio.open_connection(sock=plain, limit=limit)
    try:
        yield BareSocket(plain, reader, writer)
    finally:
        writer.transport.abort()
