"""A reserve: what an agent was granted beforehand, to be spent without asking."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

# For how long it may lie: what is spent a moment after it was granted is, for a provider, above the quota of that
# moment by as much. A second of a quota per minute is within what every provider lets pass.
HOLD_SECONDS: Final = 1.0

Key = tuple[str, str]  # a provider and a quota


class Reserves:
    """What is left of batches, by quota; what is not spent in time is given back.

    Args:
        give_back: called with a provider, a quota, and how much of it was not spent.
    """

    def __init__(self, give_back: Callable[[str, str, int], None]) -> None:
        self._give_back = give_back
        self._left: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def spend(self, provider: str, amounts: Mapping[str, int]) -> bool:
        """Take all the amounts, if there are so many; tell whether there were."""
        if not amounts or any(self._left.get((provider, name), 0) < amount for name, amount in amounts.items()):
            return False
        for name, amount in amounts.items():
            self._left[provider, name] -= amount
        return True

    def add(self, provider: str, name: str, amount: int) -> None:
        """Put what was granted beforehand here, for a while."""
        key = provider, name
        self._left[key] = self._left.get(key, 0) + amount
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(HOLD_SECONDS, self._end, key)

    def left(self, provider: str, name: str) -> int:
        """Return how much of a quota can be spent without asking."""
        return self._left.get((provider, name), 0)

    def close(self) -> None:
        """Give everything back."""
        for key in list(self._timers):
            self._end(key)

    def _end(self, key: Key) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if rest := self._left.pop(key, 0):
            self._give_back(*key, rest)
