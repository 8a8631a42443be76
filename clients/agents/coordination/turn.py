"""Turns: of those of one agent that want the same, one asks after the other, so that nobody is overtaken."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from .quotas import Lacking, too_fast

# Whoever does not want to wait waits for so long all the same while others of the same agent ask: each of them takes
# milliseconds.
ASKING_SECONDS: Final = 0.5


class Turn:
    """Whose turn it is.

    Attributes:
        free_at: when whoever has the turn is going to ask again, by the clock of time.monotonic.
    """

    def __init__(self) -> None:
        self.free_at = 0.0
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def taken(self, provider: str, deadline: float) -> AsyncGenerator[None]:
        """Have the turn. Raises TooFastError, if it comes later than a moment by the clock of time.monotonic."""
        now = time.monotonic()
        if self._lock.locked() and self.free_at > max(deadline, now):
            raise too_fast(provider, Lacking("turn", self.free_at - now))
        try:
            async with asyncio.timeout(max(deadline - now, ASKING_SECONDS)):
                await self._lock.acquire()
        except TimeoutError:
            raise too_fast(provider, Lacking("turn", max(self.free_at - time.monotonic(), 0.0))) from None
        try:
            yield
        finally:
            self._lock.release()
