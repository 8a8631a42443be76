"""How large a room's document is, as closely as its limit needs to know."""

import time
from collections.abc import Callable
from math import inf
from typing import Final

# Measuring encodes the document: a tenth of a second for one of 64 MiB, which is then at most a hundredth of the time.
MEASURE_SECONDS: Final = 10.0


class Volume:
    """An upper bound of a document's size: what it was when it was measured, and every update that came since.

    It is measured anew only when the bound passes the limit, since updates that bring nothing, or delete, count too.

    Args:
        limit: bytes that the document may have; 0 is without limit.
        bound: bytes that it has, at most.
        clock: seconds.
    """

    __slots__ = ("_clock", "_measured", "bound", "limit")

    def __init__(self, limit: int = 0, bound: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit: Final[float] = limit or inf
        self.bound = bound
        self._clock = clock
        self._measured = -inf

    def fits(self, size: int) -> bool:
        """Tell whether an update of a size can be taken without passing the limit."""
        return self.bound + size <= self.limit

    def measure(self, size: Callable[[], int]) -> None:
        """Take the size as it is, unless that was done a moment ago."""
        now = self._clock()
        if now - self._measured >= MEASURE_SECONDS:
            self._measured = now
            self.bound = size()
