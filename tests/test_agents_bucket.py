"""The arithmetic of quotas: never more is granted than flowed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity import errors
from comity.clients.agents.coordination.bucket import Limit, Mark, available, full, moved, wait_ms
from comity.clients.agents.coordination.health import backoff, retry_after
from comity.clients.agents.coordination.quotas import Lacking, Share

LIMITS = st.builds(Limit, st.integers(1, 10_000), st.integers(1, 100_000))


@given(LIMITS, st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 20)), max_size=60))
def test_bucket_grants_at_most_its_capacity_and_what_flowed_in(limit: Limit, asked: list[tuple[int, int]]) -> None:
    at, granted, mark = 1_000, 0, full(limit, 1_000, 0)
    taken: list[tuple[int, int]] = []
    for pause, amount in asked:
        at += pause
        mark = moved(mark, limit, at, granted)
        if amount <= limit.capacity and not wait_ms(mark, limit, amount):
            mark, granted = mark.less(amount), granted + amount
            taken.append((at, amount))
    for first, (begin, _) in enumerate(taken):
        total = 0
        for end, amount in taken[first:]:
            total += amount
            assert total * limit.per_ms <= limit.capacity * (limit.per_ms + end - begin)


@given(LIMITS, st.integers(1, 100))
def test_bucket_has_enough_after_the_wait_and_not_before(limit: Limit, amount: int) -> None:
    amount = min(amount, limit.capacity)
    empty = Mark(0, 0, limit.per_ms, 0)
    wait = wait_ms(empty, limit, amount)
    assert available(moved(empty, limit, wait, 0)) >= amount
    assert available(moved(empty, limit, wait - 1, 0)) < amount


def test_bucket_shows_what_was_granted_elsewhere_as_missing() -> None:
    limit = Limit(10, 1_000)
    mark = moved(full(limit, 0, 0), limit, 0, 25)
    assert available(mark) == -15
    assert available(moved(mark, limit, 2_000, 25)) == 5


def test_bucket_is_never_fuller_than_full_by_what_is_given_back() -> None:
    limit = Limit(10, 1_000)
    assert available(moved(full(limit, 0, 5), limit, 0, 0)) == 10


def test_bucket_keeps_its_level_when_its_time_changes() -> None:
    half = Mark(0, 5 * 1_000, 1_000, 0)
    assert available(moved(half, Limit(10, 60_000), 0, 0)) == 5


@given(LIMITS, st.integers(1, 9), st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 20)), max_size=30))
def test_shares_of_all_agents_together_are_at_most_the_quota(
    limit: Limit, agents: int, asked: list[tuple[int, int]]
) -> None:
    shares = [Share(limit, limit.capacity, agents, 0) for _ in range(agents)]
    now = taken = 0
    for pause, amount in asked:
        now += pause
        for share in shares:
            try:
                share.mark = share.less("tokens", amount, now)
            except (Lacking, errors.NotConnectedError):
                continue
            taken += amount
    assert taken * limit.per_ms <= limit.capacity * (limit.per_ms + now)


@pytest.mark.parametrize(
    ("capacity", "per_ms", "batch"), [(0, 1, 1), (2**40, 1, 1), (1, -1, 1), (1, 2**50, 1), (5, 1, 6), (5, 1, 0)]
)
def test_limit_that_makes_no_sense_is_refused(capacity: int, per_ms: int, batch: int) -> None:
    with pytest.raises(errors.InvalidValueError):
        Limit(capacity, per_ms, batch)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 60_000) == seconds


def test_backoff_doubles_up_to_the_longest_pause() -> None:
    assert all(0.5 <= backoff(0) <= 1 for _ in range(50))
    assert all(4 <= backoff(3) <= 8 for _ in range(50))
    assert all(150 <= backoff(1_000) <= 300 for _ in range(50))
