"""A summary of observations: how many, how large, and how they are spread."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, exp, log
from typing import Final

from comity.crdt_types.errors import InvalidValueError

UNIT: Final = 1e-6  # of the sum, which is counted in whole numbers so that it adds up exactly: microseconds of seconds
ACCURACY: Final = 0.01  # of a quantile, relative to it: a value of a thousandth to a thousand lies in one of 691 ranges
MAX_OBSERVED: Final = 1e9  # one session counts a sum up to nine times that

_GAMMA: Final = log((1 + ACCURACY) / (1 - ACCURACY))
_LEAST: Final = 1e-9  # what is closer to zero counts as zero
_ZERO: Final = "0"
_BUCKET: Final = re.compile(r"0|[+-]-?\d{1,4}", re.ASCII)


def bucket_of(value: float) -> str:
    """Return the name of the range that a value lies in: its sign and the number of the power that bounds it.

    Source: the sketch of C. Masson et al., "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
    Guarantees" (2019).

    Raises: InvalidValueError, if it is no finite number, or larger than `MAX_OBSERVED`.
    """
    if not abs(value) <= MAX_OBSERVED:
        raise InvalidValueError(
            f"{value!r} cannot be observed", subject="summary", remedy=f"observe numbers up to {MAX_OBSERVED:,.0f}"
        )
    if abs(value) < _LEAST:
        return _ZERO
    return f"{'-' if value < 0 else '+'}{ceil(log(abs(value)) / _GAMMA)}"


def _value_of(bucket: str) -> float:
    """Return the value that stands for all those of a range."""
    if bucket == _ZERO:
        return 0.0
    middle = 2 * exp(int(bucket[1:]) * _GAMMA) / (exp(_GAMMA) + 1)
    return -middle if bucket[0] == "-" else middle


@dataclass(frozen=True, slots=True)
class Summary:
    """What was observed of a quantity.

    Attributes:
        count: how often.
        total: the sum.
        least: the least value; 0 if there is none.
        most: the greatest value; 0 if there is none.
        buckets: how many values lie in each range, by its name.
    """

    count: int
    total: float
    least: float
    most: float
    buckets: Mapping[str, int]

    @property
    def mean(self) -> float:
        """The arithmetic mean; 0 if there is no value."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, q: float) -> float:
        """Return the value below which a share of the values lies, true to `ACCURACY`; 0 if there is no value.

        Args:
            q: the share, from 0 to 1; 0.5 is the median.

        Raises: InvalidValueError, if it is outside.
        """
        if not 0 <= q <= 1:
            raise InvalidValueError(f"a share of {q}", subject="quantile", remedy="give one from 0 to 1")
        rank, seen = q * (self.count - 1), 0
        for value, count in sorted((_value_of(name), count) for name, count in self.buckets.items()):
            seen += count
            if seen > rank:
                return min(max(value, self.least), self.most)
        return 0.0


EMPTY: Final = Summary(0, 0.0, 0.0, 0.0, {})


def is_bucket(name: str) -> bool:
    """Tell whether a name is that of a range; another program may have written anything."""
    return _BUCKET.fullmatch(name) is not None
