"""What an outbox writes to: a WebSocket, as uvicorn or as any ASGI server offers it."""

import fcntl
import sys
import termios
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

EXTENSION: Final = "comity.socket"

# For a reader that takes nothing: long enough to wake up and read why it was closed.
LINGER_SECONDS: Final = 5.0

_BINARY: Final = 0x82  # a final frame, binary


class Packet:
    """One message, framed once however many connections it goes to."""

    __slots__ = ("_framed", "message")

    def __init__(self, message: bytes) -> None:
        self.message = message
        self._framed: bytes | None = None

    @property
    def framed(self) -> bytes:
        """The message with its WebSocket header (RFC 6455, from a server: not masked)."""
        if self._framed is None:
            self._framed = _header(len(self.message)) + self.message
        return self._framed


def _header(length: int) -> bytes:
    if length < 126:
        return bytes((_BINARY, length))
    if length < 1 << 16:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big")
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big")


class Socket(Protocol):
    """The sending side of an accepted WebSocket."""

    def offer(self, packet: Packet) -> bool:
        """Send a packet if that takes no waiting; tell whether it was sent."""
        ...

    async def send(self, packet: Packet) -> None:
        """Send a packet, waiting for the reader if need be. Raises OSError when the connection is gone."""
        ...

    async def drain(self) -> None:
        """Wait until a packet could be sent without waiting."""
        ...

    def unsent(self) -> int:
        """Return how many bytes were sent and not yet taken by the system, as far as that is known."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, without waiting for a reader that takes nothing."""
        ...


class AsgiSocket:
    """A socket by the ASGI specification alone: works on every server, one ``send`` at a time."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def offer(self, packet: Packet) -> bool:
        """Send nothing: ASGI may always wait."""
        del packet
        return False

    async def send(self, packet: Packet) -> None:
        """Send a packet."""
        await self._send({"type": "websocket.send", "bytes": packet.message})

    async def drain(self) -> None:
        """Return: ASGI waits in ``send``."""

    def unsent(self) -> int:
        """Return 0: ASGI does not tell."""
        return 0

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class UvicornProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which the application finds among its ASGI extensions."""

    _has_moved = False  # whether the peer has sent or taken something since it was last looked at
    _was_unsent = 0

    async def run_asgi(self) -> None:
        """Run the application."""
        cast("Scope", self.scope)["extensions"][EXTENSION] = self
        await super().run_asgi()

    def close_after_writing(self, code: int, reason: str) -> None:
        """Send a close frame without waiting for space, and wait at most LINGER_SECONDS for the answer."""
        self.conn.send_close(code, reason)
        self.close_sent = True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self._has_moved = True
        super().data_received(data)

    def resume_writing(self) -> None:
        """Write again: the peer took something."""
        self._has_moved = True
        super().resume_writing()

    def send_keepalive_ping(self) -> None:
        """Send a ping, and note what is sent before it."""
        super().send_keepalive_ping()
        self._look()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer answers no ping, also when there is more to send than it takes.

        A ping waits its turn behind what was sent before it: a peer that takes that, however slowly, has more time.
        """
        if self._look():
            self.pong_timer = self.loop.call_later(self.ping_timeout or 0.0, self.keepalive_timeout)
            return
        super().keepalive_timeout()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _look(self) -> bool:
        """Tell whether the peer has sent or taken something since this was last asked."""
        if self.transport.is_closing():
            return False
        unsent = self.transport.get_write_buffer_size() + _untaken(self.transport.get_extra_info("socket").fileno())
        has_moved = self._has_moved or unsent < self._was_unsent
        self._has_moved, self._was_unsent = False, unsent
        return has_moved


def _untaken(handle: int) -> int:
    """Return how many bytes the system holds that the peer of a TCP socket has not confirmed; 0 if it does not tell."""
    try:
        return int.from_bytes(fcntl.ioctl(handle, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


class UvicornSocket:
    """A socket that writes to uvicorn's transport without a coroutine per message.

    Frames go past the protocol's own state machine, which keeps no state for whole, uncompressed messages once the
    connection is open. Fan-out costs half of what it does through ASGI, and a reader that stands still can be closed.
    """

    def __init__(self, protocol: UvicornProtocol) -> None:
        self._protocol = protocol

    def offer(self, packet: Packet) -> bool:
        """Write a packet unless the transport's buffer is full or the connection is ending."""
        protocol = self._protocol
        if not protocol.writable.is_set() or self._is_ending():
            return False
        protocol.transport.write(packet.framed)
        return True

    async def send(self, packet: Packet) -> None:
        """Write a packet once the transport's buffer has space."""
        await self._protocol.writable.wait()
        if self._is_ending():
            raise ConnectionResetError("the connection is ending")
        self._protocol.transport.write(packet.framed)

    async def drain(self) -> None:
        """Wait until the transport's buffer has space."""
        await self._protocol.writable.wait()

    def unsent(self) -> int:
        """Return what the transport still holds."""
        return self._protocol.transport.get_write_buffer_size()

    async def close(self, code: int, reason: str) -> None:
        """Close behind what was sent; by force after LINGER_SECONDS, when the reader takes nothing."""
        if not self._is_ending():
            self._protocol.close_after_writing(code, reason)

    def _is_ending(self) -> bool:
        protocol = self._protocol
        return protocol.close_sent or protocol.disconnected or protocol.transport.is_closing()


def socket_for(scope: Scope, send: Send) -> Socket:
    """Return the best socket that the server of a connection offers."""
    protocol = scope.get("extensions", {}).get(EXTENSION)
    return AsgiSocket(send) if protocol is None else UvicornSocket(protocol)
