"""Logs: every item once, in one order everywhere."""

import time

import pytest

from comity.crdt_types import Change, Log, State, StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.errors import InvalidValueError
from tests.support.invariants import check


class Journal(State):
    lines: Log[str]


def at(minute: int) -> HybridClock:
    """Return a clock that stands still."""
    return HybridClock(lambda: EPOCH_MS + 60_000 * minute)


def test_log_is_a_sequence() -> None:
    lines = Journal().lines
    lines.append("a")
    lines.extend(["b", "c"])
    assert (len(lines), lines[0], lines[-1], lines[1:]) == (3, "a", "c", ["b", "c"])
    assert ("b" in lines, lines.index("c"), lines.count("a")) == (True, 2, 1)
    assert list(lines) == lines.value == list(reversed(list(reversed(lines))))
    with pytest.raises(IndexError):
        lines[3]


def test_log_items_appended_elsewhere_earlier_take_their_place() -> None:
    late, early = Journal(StateDocument(clock=at(2))), Journal(StateDocument(clock=at(1)))
    late.lines.extend(["late 1", "late 2"])
    early.lines.extend(["early 1", "early 2"])
    late.document.apply(early.document.update_since())
    assert late.lines.value == ["early 1", "early 2", "late 1", "late 2"]
    check(late.document)


def test_log_of_many_writers_at_once_is_read_in_one_order() -> None:
    journals = [Journal(StateDocument(clock=at(number % 3))) for number in range(4)]
    for turn in range(100):
        for number, journal in enumerate(journals):
            journal.lines.append(f"{number}/{turn}")
    for one in journals:
        for other in journals:
            one.document.apply(other.document.update_since())
    orders = [journal.lines.value for journal in journals]
    assert orders[0] == orders[1] == orders[2] == orders[3]
    assert len(set(orders[0])) == 400
    assert [line for line in orders[0] if line.startswith("2/")] == [f"2/{turn}" for turn in range(100)]
    check(journals[0].document)


def test_log_keeps_the_newest_when_it_is_pruned() -> None:
    one, two = Journal(StateDocument(agent="one")), Journal(StateDocument(agent="two"))
    one.lines.extend(map(str, range(10)))
    two.document.apply(one.document.update_since())
    told: list[Change] = []
    two.on_change(told.append)
    assert (one.lines.prune(3), one.lines.prune(5)) == (7, 0)
    two.document.apply(one.document.update_since())
    assert one.lines.value == two.lines.value == ["7", "8", "9"]
    assert [(change.old, change.new, change.author) for change in told] == [(str(n), None, "one") for n in range(7)]
    with pytest.raises(InvalidValueError):
        one.lines.prune(-1)


def test_log_pruned_by_two_at_once_loses_nothing_more() -> None:
    one, two = Journal(), Journal()
    one.lines.extend(map(str, range(10)))
    two.document.apply(one.document.update_since())
    one.lines.prune(5)
    two.lines.append("new")
    two.lines.prune(6)
    one.document.apply(two.document.update_since())
    two.document.apply(one.document.update_since())
    assert one.lines.value == two.lines.value == ["5", "6", "7", "8", "9", "new"]


def test_log_of_many_items_is_loaded_and_pruned_in_reasonable_time() -> None:
    journal = Journal()
    journal.lines.extend(str(number) for number in range(20_000))
    began = time.perf_counter()
    other = Journal(StateDocument(update=journal.document.update_since()))
    other.lines.prune(100)
    journal.document.apply(other.document.update_since())
    assert time.perf_counter() - began < 10
    assert journal.lines.value == other.lines.value
    assert len(journal.lines) == 100
