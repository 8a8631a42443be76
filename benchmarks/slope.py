"""A straight line through what was measured over some minutes, and whether it rises."""

from math import sqrt
from statistics import fmean
from typing import Final, NamedTuple

ERRORS: Final = 3.0  # of a slope, within which it may be none
GROWTH: Final = 0.05  # what a figure may grow by over the run, as a share of its mean, whatever its slope


class Slope(NamedTuple):
    """A figure's slope per minute.

    Attributes:
        mean: of the figure.
        value: the slope.
        error: its standard error.
        minutes: of the run that it was fitted to.
    """

    mean: float
    value: float
    error: float
    minutes: float

    @property
    def is_flat(self) -> bool:
        """Whether the slope is none as far as its error tells, or too small to matter in the run."""
        return self.value <= ERRORS * self.error or self.value * self.minutes <= GROWTH * self.mean


def slope(times: list[float], values: list[float]) -> Slope:
    """Fit a straight line by least squares."""
    middle, mean = fmean(times), fmean(values)
    spread = sum((each - middle) ** 2 for each in times)
    value = sum((at - middle) * (each - mean) for at, each in zip(times, values, strict=True)) / spread
    rest = sum((each - mean - value * (at - middle)) ** 2 for at, each in zip(times, values, strict=True))
    return Slope(mean, value, sqrt(rest / max(1, len(times) - 2) / spread), times[-1] - times[0])
