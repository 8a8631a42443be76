"""How late the event loop is: what everybody waits for who wants anything of this process."""

import asyncio
import time
from types import TracebackType
from typing import Final, Self

from .tally import SECONDS, Histogram

# Twice a second costs nothing, and a stall long enough to be felt by people is seen more often than not.
INTERVAL: Final = 0.5


class Pulse:
    """Looks twice a second how much later than asked for the event loop runs a timer.

    An async context manager that owns its one timer.
    """

    def __init__(self) -> None:
        self.lags: Final = Histogram(SECONDS)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    async def __aenter__(self) -> Self:
        """Begin."""
        self._wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        # Not the loop's own time: that stands still while a callback runs.
        self._due = time.monotonic() + INTERVAL
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._beat)

    def _beat(self) -> None:
        # A timer set late in a turn that took long may be early: it counts from the turn's beginning.
        self.lags.observe(max(time.monotonic() - self._due, 0.0))
        self._wait()
