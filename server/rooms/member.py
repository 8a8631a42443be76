"""One connection's place in a room: how many updates came from it, and how many of them are safe."""

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from comity.crdt_types.errors import ComityError, ProtocolError
from comity.crdt_types.wire import STEP1, Reject, encode, encode_sync

from ..transport.sockets import Packet
from .deciding import Decision
from .outbox import Outbox
from .presence import Owner
from .vetting import Section

# The engine keeps them as well, and every edit of the room tries them again. A client that answers step 1 has one
# round trip's worth of edits waiting; those that follow a gap for longer are of a client that is broken.
MAX_HELD_BYTES: Final = 4 * 1024 * 1024


class Member:
    """A connection in a room.

    Args:
        author: the name that its updates are logged under.
        outbox: what it is owed.
        owner: its place in the room's presence.
        fail: ends the connection with an error.
        acknowledges: whether the client understands acknowledgements.
        max_waiting: how many of its updates may wait for others that they build on.
    """

    def __init__(
        self,
        author: str,
        outbox: Outbox,
        owner: Owner,
        *,
        fail: Callable[[ComityError], None],
        acknowledges: bool,
        max_waiting: int,
    ) -> None:
        self.author: Final = author
        self.outbox: Final = outbox
        self.owner: Final = owner
        self.has_left = False
        self.has_failed = False
        self._fail = fail
        self._acknowledges = acknowledges
        self._max_waiting = max_waiting
        self._received = 0
        self._settled = 0
        self._acknowledged = 0
        self._all_settled: asyncio.Event | None = None  # made for the first rejection: most connections have none
        self._waiting: dict[int, Arrival | None] = {}  # by number; None once it is none to try again
        self._held_bytes = 0

    @property
    def is_settled(self) -> bool:
        """Whether every update that came is answered for, or known to be held."""
        return self._settled == self._received

    def count(self) -> int:
        """Count one more document update and return its number."""
        self._received += 1
        return self._received

    def fail(self, error: ComityError) -> None:
        """End the connection; nothing more is taken from it."""
        self.has_failed = True
        self._fail(error)

    def tell(self, packet: Packet) -> None:
        """Send a frame of ``comity.v1``, if the client understands those."""
        if self._acknowledges:
            self.outbox.put(packet)

    def hold(self, arrival: "Arrival", state_vector: bytes) -> None:
        """Keep an update unacknowledged, since it builds on others that are missing, and ask for those."""
        if len(self._waiting) >= self._max_waiting:
            self._turn_away(arrival.n, f"{self._max_waiting} updates")
            return
        self._held_bytes += len(arrival.update)
        if self._held_bytes > MAX_HELD_BYTES:
            self._turn_away(arrival.n, f"{MAX_HELD_BYTES} bytes")
            return
        if not self._waiting:
            self.outbox.put(Packet(encode_sync(STEP1, state_vector)))
        self._waiting[arrival.n] = arrival

    def _turn_away(self, n: int, much: str) -> None:
        self._waiting[n] = None  # for good: no acknowledgement may cover it
        what = f"{much} build on others that never came"
        self.fail(ProtocolError(what, subject="update", limit="max_pending_sync"))

    def held(self) -> list["Arrival"]:
        """Return the updates that still wait for others."""
        return [arrival for arrival in self._waiting.values() if arrival is not None]

    def place(self, n: int) -> None:
        """Note that update n, held until now, is in the document."""
        arrival, self._waiting[n] = self._waiting[n], None
        self._held_bytes -= len(arrival.update) if arrival is not None else 0

    def release(self, n: int) -> None:
        """Note that update n, held until now, is on disk."""
        self._waiting.pop(n, None)

    def settle(self, n: int) -> int:
        """Note that the updates up to n are on disk, but for those held; return how many that acknowledges."""
        self._settled = max(self._settled, n)
        if self._all_settled is not None and self.is_settled:
            self._all_settled.set()
        safe = min(self._settled, next(iter(self._waiting)) - 1) if self._waiting else self._settled
        if not self._acknowledges or safe <= self._acknowledged:
            return 0
        count, self._acknowledged = safe - self._acknowledged, safe
        self.outbox.acknowledge(safe)
        return count

    async def reject(self, error: ComityError) -> None:
        """Turn the next update down, once every one before it is acknowledged, turned down, or known to be held."""
        while not self.is_settled:
            self._all_settled = asyncio.Event()
            await self._all_settled.wait()
        self._settled = n = self.count()
        self.outbox.put_behind_ack(Packet(encode(Reject(n, error.close_code, str(error)))))


class Arrival(NamedTuple):
    """An update of a connection on its way into the document: its number there, and what ``vet`` found in it.

    One that is a decision has no number: it is not acknowledged, but answered.
    """

    member: Member
    n: int
    update: bytes
    sections: tuple[Section, ...]
    decision: Decision | None = None
