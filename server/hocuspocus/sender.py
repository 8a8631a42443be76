"""What one document sends on a socket that several share, in the words of Hocuspocus."""

from collections.abc import Callable
from typing import Final

from comity.crdt_types.hocuspocus import NOT_SAVED, SAVED
from comity.crdt_types.wire import COMITY, STEP1, SYNC, Ack, Frame, Reject, decode

from ..transport.sockets import Packet
from .dues import Dues
from .line import Line

_STEP1: Final = bytes((SYNC, STEP1))


class AddressedSender:
    """Puts the document's address before each packet, and says acknowledgements as a provider counts them.

    Args:
        line: the socket.
        prefix: the encoded address.
        dues: what the provider counts.
        on_reject: called when the client was told that an update of its was turned down.
    """

    def __init__(self, line: Line, prefix: bytes, dues: Dues, on_reject: Callable[[Reject], None]) -> None:
        self.is_mute = False  # whether the client is done with the document: nothing is sent any more
        self._line = line
        self._prefix = prefix
        self._dues = dues
        self._on_reject = on_reject
        self._saved = Packet(prefix + SAVED)
        self._not_saved = Packet(prefix + NOT_SAVED)

    def offer(self, packet: Packet) -> bool:
        """Send a packet if that takes no waiting; tell whether it was sent."""
        message = packet.message
        if self.is_mute:
            return True
        if message[0] == COMITY:
            return self._offer_control(decode(message))
        if not self._line.offer(packet.behind(self._prefix)):
            return False
        if message[:2] == _STEP1:
            self._dues.request()
        return True

    async def send(self, packet: Packet) -> None:
        """Send a packet, waiting for the reader if need be. Raises OSError when the connection is gone."""
        message = packet.message
        if self.is_mute:
            return
        if message[0] == COMITY:
            await self._send_control(decode(message))
            return
        if message[:2] == _STEP1:
            self._dues.request()
        await self._line.send(packet.behind(self._prefix))

    async def drain(self) -> None:
        """Wait until a packet could be sent without waiting."""
        await self._line.drain()

    def unsent(self) -> int:
        """Return how many bytes of the socket were sent and not yet taken by the system, as far as that is known."""
        return self._line.unsent()

    def _offer_control(self, frame: Frame) -> bool:
        match frame:
            case Ack(n):
                for number in range(self._dues.settled + 1, n + 1):
                    if self._dues.owes(number) and not self._line.offer(self._saved):
                        return False
                    self._dues.settle(number)
            case Reject():
                if not self._line.offer(self._not_saved):
                    return False
                self._turned_down(frame)
            case _:
                pass  # nothing that Hocuspocus has a word for
        return True

    async def _send_control(self, frame: Frame) -> None:
        match frame:
            case Ack(n):
                for number in range(self._dues.settled + 1, n + 1):
                    if self._dues.owes(number):
                        await self._line.send(self._saved)
                    self._dues.settle(number)
            case Reject():
                await self._line.send(self._not_saved)
                self._turned_down(frame)
            case _:
                pass

    def _turned_down(self, reject: Reject) -> None:
        self._dues.settle(reject.n)
        self._on_reject(reject)
