"""Timers: fires the events of a machine that come by themselves, when their time has come by the server's clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    NotConnectedError,
    OverloadError,
    PreconditionError,
    SchemaError,
    TransitionRefusedError,
)

from .record import Timeout
from .state import MachineState

logger = logging.getLogger("comity")

LONGEST_NAP: Final = 60.0  # seconds; a machine that was asleep counts its own time wrong, so the server is asked again
RETRY: Final = 1.0  # seconds; after the server could not be asked, although it seemed to be there
_MS: Final = 1000  # milliseconds in a second


class Timers:
    """Waits for the timeouts of one machine.

    Every agent that has the machine open does so. The transition is decided once; the others find it made.

    Args:
        state: the machine.
        now: asks for the time by the server's clock, in milliseconds.
        expire: takes the event of a timeout, given with its key.
        synced: returns once there is a connection.
    """

    def __init__(
        self,
        state: MachineState,
        now: Callable[[], Awaitable[int]],
        expire: Callable[[str, Timeout], Awaitable[None]],
        synced: Callable[[], Awaitable[object]],
    ) -> None:
        self._state = state
        self._now = now
        self._expire = expire
        self._synced = synced
        self._changed = asyncio.Event()
        self._failed: set[tuple[str, Timeout]] = set()

    async def run(self) -> None:
        """Fire what is due, and wait for what is not, until cancelled or until nothing can be fired any more."""
        stop = self._state.timeouts.on_change(lambda _change: self._changed.set())
        try:
            while True:
                await self._round()
        except ComityError as error:
            logger.warning("%s: its timeouts are left to others: %s", self._state.timeouts.name, error)
        finally:
            stop()

    async def _round(self) -> None:
        self._changed.clear()
        try:
            nap = await self._seconds_or_fire()
        except PreconditionError as error:
            nap = error.retry_after or RETRY  # the server's clock is behind what this client makes of it
        except (NotConnectedError, ConnectionFailedError, OverloadError):
            await self._synced()
            nap = RETRY
        if nap is None or nap > 0:
            await self._sleep(nap)

    async def _seconds_or_fire(self) -> float | None:
        """Return how long to wait, None for any change; what is due is fired, and then there is no need to wait."""
        found = self._next()
        if found is None:
            return None
        key, timeout = found
        seconds = (timeout.due - await self._now()) / _MS
        if seconds > 0:
            return seconds
        await self._fire(key, timeout)
        return RETRY if self._next() == found else 0

    def _next(self) -> tuple[str, Timeout] | None:
        waiting = [found for found in self._state.timeouts.items() if found not in self._failed]
        return min(waiting, key=lambda found: (found[1].due, found[0]), default=None)

    async def _fire(self, key: str, expired: Timeout) -> None:
        try:
            await self._expire(key, expired)
        except TransitionRefusedError:
            logger.debug("%s: somebody else took the timeout %s", self._state.timeouts.name, key)
        except (NotConnectedError, ConnectionFailedError, OverloadError, PreconditionError, SchemaError):
            raise
        except Exception:  # a guard or an action is the user's own, and may raise anything
            self._failed.add((key, expired))
            logger.exception(
                "%s: the timeout %s failed; this agent does not try it again", self._state.timeouts.name, key
            )

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(None if seconds is None else min(seconds, LONGEST_NAP)):
                await self._changed.wait()
        except TimeoutError:
            return
