"""One socket, as the documents see it that share it."""

import asyncio
from typing import Final

from ..transport.sockets import Packet, Socket
from .dues import Backlog


class Line:
    """Sends for all in turn, and receives for as long as none of them needs a pause.

    Args:
        socket: the socket.
    """

    def __init__(self, socket: Socket) -> None:
        self.backlog: Final = Backlog()
        self.has_opened = False  # whether any document ever was
        self._socket = socket
        self._turn = asyncio.Lock()
        self._holders: set[object] = set()

    def offer(self, packet: Packet) -> bool:
        """Send a packet if that takes no waiting; tell whether it was sent."""
        return self._socket.offer(packet)

    async def send(self, packet: Packet) -> None:
        """Send a packet when it is its turn. Raises OSError when the connection is gone."""
        async with self._turn:
            await self._socket.send(packet)

    async def drain(self) -> None:
        """Wait until a packet could be sent without waiting."""
        await self._socket.drain()

    def unsent(self) -> int:
        """Return how many bytes were sent and not yet taken by the system, as far as that is known."""
        return self._socket.unsent()

    def hold(self, holder: object) -> None:
        """Receive nothing more until each one who asked for it has released it."""
        if not self._holders:
            self._socket.pause()
        self._holders.add(holder)

    def release(self, holder: object) -> None:
        """Receive again, if nobody else objects."""
        if holder in self._holders:
            self._holders.remove(holder)
            if not self._holders:
                self._socket.resume()


class Hold:
    """One holder of a line.

    Args:
        line: the line.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def pause(self) -> None:
        """Receive nothing more."""
        self._line.hold(self)

    def resume(self) -> None:
        """Receive again."""
        self._line.release(self)
