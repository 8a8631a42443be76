"""How long a commit waits for more to come."""

import asyncio
import time
from math import inf
from typing import Final

# From the beginning of one commit to that of the next, in seconds, while more comes in than one client's next edit: as
# long, and longer by this for each room that it was for, and at most. A commit costs a quarter of a millisecond of
# processor time however much it holds, and telling many readers of it costs more. Who waits for each edit before
# making the next does not wait for this.
INTERVAL: Final = 0.0025
INTERVAL_PER_TURN: Final = 0.0005
MAX_INTERVAL: Final = 0.01
# As many updates as commits lately held are worth a commit at once: clients that each wait for their edit to be safe
# have all made their next one then. Of what commits held, this part counts at the next.
GATHER_MEMORY: Final = 0.95
# Rooms in one commit, above which that is no sign of anybody waiting: what many rooms bring varies by itself.
FEW: Final = 4


class Pace:
    """Knows what is on its way to the next commit, and waits until that is enough."""

    def __init__(self) -> None:
        self.size = 0  # of what is expected, in bytes, at most
        self._expected = 0  # how many updates that is
        self._enough = 0.0  # of them, to wait for no more
        self._wanted = 0.0  # of them, while it waits
        self._gathering: asyncio.Future[None] | None = None

    def expect(self, size: int) -> None:
        """Count an update that is on its way."""
        self.size += size
        self._expected += 1
        if self._gathering is not None and self._expected >= self._wanted:
            _wake(self._gathering)

    def take(self) -> None:
        """Note that all that was on its way has come."""
        self._enough = max(self._enough * GATHER_MEMORY, self._expected)
        self._expected = self.size = 0

    async def gather(self, began: float, turns: int) -> None:
        """Wait for more to come, until there is enough.

        Args:
            began: when the last commit began, by the clock of perf_counter.
            turns: how many rooms it was for.
        """
        enough = self._enough if turns <= FEW else inf
        if self._expected < enough:
            interval = min(INTERVAL + INTERVAL_PER_TURN * turns, MAX_INTERVAL)
            await self._wait(began + interval - time.perf_counter(), enough)

    async def _wait(self, seconds: float, enough: float) -> None:
        self._wanted = enough
        loop = asyncio.get_running_loop()
        self._gathering = loop.create_future()
        timer = loop.call_later(seconds, _wake, self._gathering)
        try:
            await self._gathering
        finally:
            timer.cancel()
            self._gathering = None


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
