"""A token bucket as plain numbers: how much of a quota there is at a moment.

Source: the token bucket of Turner, "New directions in communications (or which way to the information age?)", 1986.
What is counted is kept apart from what flows in: grants that were made where nobody could ask are added by a counter,
and are in the sum once they are known.
"""

from dataclasses import dataclass
from typing import Final

from comity.crdt_types.errors import InvalidValueError

# Tokens times milliseconds stay below 2**63, which is as far as whole numbers are stored: 2**31 for each.
MAX_CAPACITY: Final = 2**31
MAX_PER_MS: Final = 31 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be taken.

    Attributes:
        capacity: how much there is at most, and flows in within ``per_ms``.
        per_ms: milliseconds in which an empty bucket is full; 0 for what is given back when a request ends, such as
            requests at once.
        batch: how much an agent takes at once, to spend it without asking again; for what flows in only.
    """

    capacity: int
    per_ms: int
    batch: int = 1

    def __post_init__(self) -> None:
        if not all(type(number) is int for number in (self.capacity, self.per_ms, self.batch)):
            raise InvalidValueError(
                f"{self.capacity!r} in batches of {self.batch!r}", subject="quota", remedy="give whole numbers"
            )
        if not 0 < self.capacity <= MAX_CAPACITY or not 0 <= self.per_ms <= MAX_PER_MS:
            raise InvalidValueError(
                f"{self.capacity} in {self.per_ms} ms",
                subject="quota",
                remedy=f"give a capacity from 1 to {MAX_CAPACITY:,}, and a time up to a month",
            )
        if not 0 < self.batch <= self.capacity:
            raise InvalidValueError(
                f"batches of {self.batch}", subject="quota", remedy=f"take from 1 to {self.capacity} at once"
            )


@dataclass(frozen=True, slots=True)
class Mark:
    """How much there was at some moment.

    Attributes:
        at: the moment, in milliseconds since the Unix epoch, by the server's clock.
        level: tokens times ``per_ms``; below zero when more was taken than there was.
        per_ms: that of the limit which was in force.
        granted: what all agents together had been granted until then.
    """

    at: int
    level: int
    per_ms: int
    granted: int

    def less(self, amount: int) -> "Mark":
        """Return the mark after so many more tokens were granted."""
        return Mark(self.at, self.level - amount * self.per_ms, self.per_ms, self.granted + amount)


def full(limit: Limit, at: int, granted: int) -> Mark:
    """Return the mark of a full bucket."""
    return Mark(at, limit.capacity * limit.per_ms, limit.per_ms, granted)


def moved(mark: Mark, limit: Limit, at: int, granted: int) -> Mark:
    """Return a bucket at a later moment: what flowed in, and what was granted since.

    Args:
        mark: how it was.
        limit: the limit in force, which may be another one than it was.
        at: the moment; one before the mark's counts as the mark's.
        granted: what all agents together have been granted.
    """
    at = max(at, mark.at)
    level = mark.level if mark.per_ms == limit.per_ms else mark.level * limit.per_ms // mark.per_ms
    most = limit.capacity * limit.per_ms
    level = min(level + limit.capacity * (at - mark.at), most) - (granted - mark.granted) * limit.per_ms
    return Mark(at, min(level, most), limit.per_ms, granted)  # what was given back may be more than what was missing


def available(mark: Mark) -> int:
    """Return how many whole tokens there are; below zero where more was taken than there was."""
    return mark.level // mark.per_ms


def wait_ms(mark: Mark, limit: Limit, amount: int) -> int:
    """Return in how many milliseconds there are so many tokens; 0 if there are."""
    lacking = amount * limit.per_ms - mark.level
    return max(0, -(-lacking // limit.capacity))
