"""The verdict of a soak: what rises is told from what only jitters."""

import random

import pytest

from benchmarks.slope import slope
from benchmarks.soak import Pulse, StalledError

MINUTES = [number / 6 for number in range(120)]


def test_soak_tells_a_slow_leak_from_noise() -> None:
    chance = random.Random(1)
    noise = [100 + chance.gauss(0, 3) for _ in MINUTES]
    leak = [value + at * 2 for value, at in zip(noise, MINUTES, strict=True)]
    assert slope(MINUTES, noise).is_flat
    assert not slope(MINUTES, leak).is_flat
    assert abs(slope(MINUTES, leak).value - 2) < 3 * slope(MINUTES, leak).error


def test_soak_lets_a_figure_rise_by_what_does_not_matter() -> None:
    assert slope(MINUTES, [100 + at * 0.1 for at in MINUTES]).is_flat
    assert slope(MINUTES, [100 - at for at in MINUTES]).is_flat


def test_soak_fits_a_line_exactly() -> None:
    found = slope([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    assert (found.mean, found.value, found.minutes) == (3.0, 2.0, 2.0)
    assert found.error < 1e-9


def test_soak_takes_a_server_that_stands_still_for_no_fast_one() -> None:
    pulse = Pulse()
    pulse.acks, pulse.seen = [1.0, 1.0], [2.0, 2.0]
    assert pulse.take() == (1.0, 1.0, 2.0, 2.0)
    with pytest.raises(StalledError):
        pulse.take()
