"""The hybrid clock rises, follows the wall clock and passes what it has seen, within reason."""

from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types.document.clock import EPOCH_MS, MAX_AHEAD_MS, MAX_STAMP, TICKS_PER_MS, HybridClock, stamp_ms

WALL = st.integers(EPOCH_MS, EPOCH_MS + 2**40)


@given(st.lists(st.one_of(WALL, st.none()), max_size=30))
def test_clock_rises_strictly_even_when_the_wall_clock_steps_back(readings: list[int | None]) -> None:
    now = [EPOCH_MS]
    clock = HybridClock(lambda: now[0])
    stamps = [clock.tick()]
    for reading in readings:
        now[0] = now[0] if reading is None else reading
        stamps.append(clock.tick())
    assert stamps == sorted(set(stamps))


def test_clock_stamps_are_milliseconds_since_2020_with_a_counter() -> None:
    clock = HybridClock(lambda: EPOCH_MS + 1000)
    assert [clock.tick(), clock.tick()] == [1000 * TICKS_PER_MS, 1000 * TICKS_PER_MS + 1]
    assert stamp_ms(clock.last) == EPOCH_MS + 1000


@given(st.integers(0, MAX_AHEAD_MS * TICKS_PER_MS))
def test_clock_passes_every_stamp_seen_that_is_not_far_ahead(ahead: int) -> None:
    clock = HybridClock(lambda: EPOCH_MS + 1000)
    seen = 1000 * TICKS_PER_MS + ahead
    clock.observe(seen)
    assert clock.tick() > seen


def test_clock_does_not_follow_one_that_is_far_ahead() -> None:
    clock = HybridClock(lambda: EPOCH_MS + 1000)
    clock.observe(MAX_STAMP)
    clock.observe((1001 + MAX_AHEAD_MS) * TICKS_PER_MS)
    assert clock.tick() == 1000 * TICKS_PER_MS


def test_clock_lasts_past_2080() -> None:
    assert MAX_STAMP // TICKS_PER_MS // (1000 * 60 * 60 * 24 * 365) > 60
