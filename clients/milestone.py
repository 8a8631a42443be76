"""A milestone: a number that rises, and those who wait for it."""

import asyncio

from comity.crdt_types.errors import ComityError


class Milestone:
    """A count that only rises; coroutines wait until it reaches what they need.

    Args:
        value: where it starts.
    """

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    async def reached(self, value: int) -> None:
        """Return once the count is at least a value; raises what `fail` was called with meanwhile."""
        if self.value >= value:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (value, future)
        self._waiters.append(waiter)
        try:
            await future
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def advance(self, value: int) -> None:
        """Raise the count to a value, if it is below, and wake those who waited for it."""
        if value <= self.value:
            return
        self.value = value
        for waiter in [waiter for waiter in self._waiters if waiter[0] <= value]:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)

    def fail(self, error: ComityError, after: int = 0) -> int:
        """Raise an error in those who wait for more than a value, and return how many they were."""
        failed = [waiter for waiter in self._waiters if waiter[0] > after]
        for waiter in failed:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_exception(error)
        return len(failed)
