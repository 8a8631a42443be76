"""Counters: exact, whoever counts and whenever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types import Change, Counter, State, StateDocument
from comity.crdt_types.document.entry import MAX_COUNT
from comity.crdt_types.errors import InvalidValueError
from tests.support.invariants import check


class Budget(State):
    spent: Counter


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-(10**12), 10**12)), max_size=30))
def test_counter_is_the_sum_of_what_everybody_counted(counts: list[tuple[int, int]]) -> None:
    budgets = [Budget(StateDocument()) for _ in range(3)]
    for number, amount in counts:
        budgets[number].spent.add(amount)
    for one in budgets:
        for other in budgets:
            one.document.apply(other.document.update_since())
        assert one.spent.value == int(one.spent) == sum(amount for _number, amount in counts)
        check(one.document)


def test_counter_stays_small_however_often_it_counts() -> None:
    budget = Budget()
    for _ in range(20_000):
        budget.spent.add(1)
    assert budget.spent.value == 20_000
    assert len(budget.document.update_since()) < 150


def test_counter_tells_what_each_session_counted() -> None:
    here = Budget(StateDocument(agent="here"))
    others = [Budget(StateDocument(agent=agent)) for agent in ("a", "b")]
    told: list[Change] = []
    here.spent.add(1)
    here.on_change(told.append)
    merged = StateDocument()
    for number, other in enumerate(others):
        other.spent.add(10 * (number + 1))
        merged.apply(other.document.update_since())
    here.document.apply(merged.update_since())
    with here.transaction():
        here.spent.add(4)
        here.spent.subtract(1)
    steps = [(change.old, change.new) for change in told]
    assert steps[0][0] == 1
    assert [old for old, _new in steps[1:]] == [new for _old, new in steps[:-1]]
    assert steps[-1] == (31, 34)
    assert {change.author for change in told} == {"a", "b", "here"}


@pytest.mark.parametrize("amount", [1.5, 1.0, "1", None, True, 10**3 + 0j])
def test_counter_takes_whole_numbers_only(amount: Any) -> None:
    budget = Budget()
    with pytest.raises(InvalidValueError):
        budget.spent.add(amount)
    with pytest.raises(InvalidValueError):
        budget.spent.subtract(amount)
    assert budget.document.update_since() == b"\x00\x00"


def test_counter_refuses_to_pass_what_javascript_counts_exactly() -> None:
    budget = Budget()
    budget.spent.add(MAX_COUNT)
    before = budget.document.state_vector()
    with pytest.raises(InvalidValueError):
        budget.spent.add(1)
    assert budget.document.state_vector() == before
    budget.spent.subtract(MAX_COUNT)
    assert budget.spent.value == 0


def test_counter_of_nothing_writes_nothing() -> None:
    budget = Budget()
    budget.spent.add(0)
    assert budget.document.update_since() == b"\x00\x00"
