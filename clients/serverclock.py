"""The server's clock, as far as it can be known from here."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

# Seconds that an estimate serves for: clocks of machines drift apart by some milliseconds in an hour.
FRESH: Final = 60.0


class ServerClock:
    """Estimates the server's time from calls: what it says, and half of the time that took.

    Args:
        call: asks the server.
    """

    def __init__(self, call: Callable[[str], Awaitable[Any]]) -> None:
        self._call = call
        self._asked: float | None = None  # when it was asked last, by the clock of time.monotonic
        self._ahead = 0.0  # of that clock, in seconds

    @property
    def estimate(self) -> int | None:
        """The time in ms since the Unix epoch by the last estimate, None before there is one."""
        return None if self._asked is None else round((time.monotonic() + self._ahead) * 1000)

    async def now(self) -> int:
        """Return the time in ms since the Unix epoch; the server is asked if that was long ago. Raises ComityError."""
        if self._asked is None or time.monotonic() - self._asked > FRESH:
            before = time.monotonic()
            told = await self._call("clock")
            self._asked = time.monotonic()
            self._ahead = told / 1000 - (before + self._asked) / 2
        estimate = self.estimate
        assert estimate is not None
        return estimate
