"""A WebSocket from both of its sides, as uvicorn or as any ASGI server offers it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Protocol

from .websocket import EXTENSION, Sink, UvicornProtocol

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

# Of what is larger the system seldom takes all at once, and what is left would have to be copied.
MAX_DIRECT: Final = 16 * 1024

_BINARY: Final = 0x82  # a final frame, binary


class Packet:
    """One message, framed once however many connections it goes to.

    Args:
        message: the message.
        can_wait: whether it may go out with what follows in the same turn of the event loop, in one system call.
    """

    __slots__ = ("_behind", "_framed", "can_wait", "message")

    def __init__(self, message: bytes, *, can_wait: bool = False) -> None:
        self.message = message
        self.can_wait = can_wait
        self._framed: bytes | None = None
        self._behind: tuple[bytes, Packet] | None = None

    @property
    def framed(self) -> bytes:
        """The message with its WebSocket header (RFC 6455, from a server: not masked)."""
        if self._framed is None:
            self._framed = _header(len(self.message)) + self.message
        return self._framed

    def behind(self, prefix: bytes) -> "Packet":
        """Return the packet with a prefix before its message: the same one while the prefix stays the same."""
        if self._behind is None or self._behind[0] != prefix:
            self._behind = prefix, Packet(prefix + self.message)
        return self._behind[1]


def _header(length: int) -> bytes:
    if length < 126:
        return bytes((_BINARY, length))
    if length < 1 << 16:
        return bytes((_BINARY, 126)) + length.to_bytes(2, "big")
    return bytes((_BINARY, 127)) + length.to_bytes(8, "big")


class Sender(Protocol):
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


class Valve(Protocol):
    """What lets messages come or not."""

    def pause(self) -> None:
        """Receive nothing more than what is on its way already."""
        ...

    def resume(self) -> None:
        """Receive again."""
        ...


class Receiver(Valve, Protocol):
    """The receiving side of an accepted WebSocket."""

    async def listen(self, sink: Sink) -> None:
        """Hand everything that is received to a sink, until the client is gone or ``stop`` was called."""
        ...

    def stop(self) -> None:
        """End ``listen``; what was received before is still handed on when the client is gone."""
        ...


class Socket(Sender, Receiver, Protocol):
    """An accepted WebSocket."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, without waiting for a reader that takes nothing."""
        ...


class AsgiSocket:
    """A socket by the ASGI specification alone: works on every server, one ``send`` at a time."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._may_receive = asyncio.Event()
        self._may_receive.set()
        self._stopped = asyncio.Event()

    async def listen(self, sink: Sink) -> None:
        """Receive events one by one."""
        stopped = asyncio.create_task(self._stopped.wait())
        receiving = asyncio.create_task(self._pump(sink))
        try:
            await asyncio.wait((stopped, receiving), return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
        finally:
            stopped.cancel()
            receiving.cancel()

    def pause(self) -> None:
        """Receive no further event."""
        self._may_receive.clear()

    def resume(self) -> None:
        """Receive again."""
        self._may_receive.set()

    def stop(self) -> None:
        """End ``listen``."""
        self._stopped.set()

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

    async def _pump(self, sink: Sink) -> None:
        while True:
            await self._may_receive.wait()
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return
            message = event.get("bytes")
            sink.message(event.get("text", "") if message is None else message)


class UvicornSocket:
    """A socket on uvicorn's transport, without a coroutine, a task or an event per message.

    Frames go past the protocol's own state machine, which keeps no state for whole, uncompressed messages once the
    connection is open, and past the transport while it holds nothing back. Fan-out costs half of what it does through
    ASGI, and a reader that stands still can be closed.
    """

    def __init__(self, protocol: UvicornProtocol) -> None:
        self._protocol = protocol
        transport = protocol.transport
        is_plain = transport.get_extra_info("ssl_object") is None
        self._handle: int = transport.get_extra_info("socket").fileno() if is_plain else -1

    async def listen(self, sink: Sink) -> None:
        """Have the protocol hand on what it receives."""
        await self._protocol.listen(sink)

    def pause(self) -> None:
        """Hold back what the protocol has received, and read no more."""
        self._protocol.hold()

    def resume(self) -> None:
        """Hand on what was held back, and read again."""
        self._protocol.release()

    def stop(self) -> None:
        """End ``listen``."""
        self._protocol.stop_listening()

    def offer(self, packet: Packet) -> bool:
        """Write a packet unless the transport's buffer is full or the connection is ending."""
        protocol = self._protocol
        if not protocol.writable.is_set() or protocol.is_ending():
            return False
        framed, transport = packet.framed, protocol.transport
        if packet.can_wait or len(framed) > MAX_DIRECT or self._handle < 0 or transport.get_write_buffer_size():
            transport.write(framed)
            return True
        try:
            sent = os.write(self._handle, framed)
        except OSError:  # no space there, or nobody: the transport knows what to do
            sent = 0
        if sent < len(framed):
            transport.write(framed[sent:])
        return True

    async def send(self, packet: Packet) -> None:
        """Write a packet once the transport's buffer has space."""
        await self._protocol.writable.wait()
        if self._protocol.is_ending():
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
        if not self._protocol.is_ending():
            self._protocol.close_after_writing(code, reason)


def socket_for(scope: Scope, receive: Receive, send: Send) -> Socket:
    """Return the best socket that the server of a connection offers."""
    protocol = scope.get("extensions", {}).get(EXTENSION)
    return AsgiSocket(receive, send) if protocol is None else UvicornSocket(protocol)
