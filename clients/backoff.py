"""How long to wait before the next attempt."""

import random
from collections.abc import Iterator
from typing import Final

FIRST_DELAY: Final = 0.1  # seconds; a server that restarts is back within a few of these
LONGEST_DELAY: Final = 15.0  # seconds; a person who restarts a server by hand expects its clients within this
LONGEST_REQUEST: Final = 3600.0  # seconds; a server that asks for more is asked again sooner: it may be mistaken
GROWTH: Final = 2.0


def requested(seconds: float | None) -> float:
    """Return how long to wait at least, when a server asked for so many seconds."""
    if seconds is None or not seconds > 0:
        return 0.0
    return min(seconds, LONGEST_REQUEST)


def delays(rng: random.Random | None = None) -> Iterator[float]:
    """Yield the seconds to wait before each attempt: they grow, and are spread so that clients do not come in step.

    Source: "full jitter" of M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), with a floor
    of half, since a herd of one gains nothing from a delay of zero.
    """
    rng = rng or random.Random()
    delay = FIRST_DELAY
    while True:
        yield delay * rng.uniform(0.5, 1.0)
        delay = min(delay * GROWTH, LONGEST_DELAY)
