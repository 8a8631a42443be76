"""A hybrid logical clock in one integer.

Source: S. Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
Databases" (2014). Wall time and logical counter share one integer below 2^53, so that JavaScript keeps it exact.
"""

import time
from collections.abc import Callable
from typing import Final

EPOCH_MS: Final = 1_577_836_800_000  # 2020-01-01T00:00:00Z, in milliseconds since the Unix epoch
TICKS_PER_MS: Final = 4096  # more edits a millisecond than one writer makes; leaves 41 bits of time, until 2089
MAX_STAMP: Final = 2**53 - 1
MAX_AHEAD_MS: Final = 5 * 60 * 1000  # clocks without time synchronisation drift minutes, not hours


def wall_ms() -> int:
    """Return the wall clock in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def stamp_ms(stamp: int) -> int:
    """Return the wall time of a stamp, in milliseconds since the Unix epoch."""
    return stamp // TICKS_PER_MS + EPOCH_MS


class HybridClock:
    """Makes stamps that rise strictly, follow the wall clock and pass every stamp seen.

    Args:
        now: the wall clock, in milliseconds since the Unix epoch.
        offset: where the counter of each millisecond begins, from 0 to 4,095. With one of its own a session rarely
            makes a stamp that another one makes, too.
    """

    __slots__ = ("_now", "_offset", "_trusted", "last")

    def __init__(self, now: Callable[[], int] = wall_ms, offset: int = 0) -> None:
        self._now = now
        self._offset = offset
        self.last = 0
        self._trusted = 0  # stamps up to here need no look at the wall clock: it only moves on

    def tick(self) -> int:
        """Return a stamp greater than every stamp made or seen."""
        stamp = (self._now() - EPOCH_MS) * TICKS_PER_MS + self._offset
        self.last = stamp if stamp > self.last else self.last + 1
        return self.last

    def observe(self, stamp: int) -> None:
        """Move past a stamp that somebody else made.

        One that lies more than `MAX_AHEAD_MS` ahead of the wall clock is not followed: a single broken clock would
        otherwise drag everybody's along, up to the greatest stamp there is.
        """
        if stamp > self.last:
            if stamp > self._trusted:
                self._trusted = (self._now() - EPOCH_MS + MAX_AHEAD_MS + 1) * TICKS_PER_MS - 1
            if stamp <= self._trusted:
                self.last = stamp
