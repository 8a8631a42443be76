"""Presence goes round: what changed of it is told to everyone in a room, at a pace of its own."""

import asyncio
from collections.abc import Collection
from typing import Final

from ..monitoring.tally import Tally
from ..transport.sockets import Packet
from .member import Member
from .presence import Roster

# Twenty times a second looks immediate to people, and makes the work of n clients' cursors n, not n squared, per tick.
INTERVAL: Final = 0.05


class Rounds:
    """Tells those in a room of presence, all that changed since the last time at once.

    Args:
        roster: the room's presence.
        members: those who are there at any time.
        tally: where it counts what it tells.
    """

    def __init__(self, roster: Roster, members: Collection[Member], tally: Tally) -> None:
        self._roster = roster
        self._members = members
        self._tally = tally
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0.0

    def soon(self) -> None:
        """Tell what changed when it is time."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._sent + INTERVAL, self._tell)

    def _tell(self) -> None:
        self._timer = None
        self._sent = asyncio.get_running_loop().time()
        clients = self._roster.take_dirty()
        frame = self._roster.frame(clients)
        if frame is not None:
            packet = Packet(frame)
            for member in self._members:
                member.outbox.put_presence(packet, clients)
            self._tally.present(len(frame), len(self._members))
