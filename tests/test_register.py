"""Registers: one value, the last write wins, concurrent writes stay visible until the next."""

from typing import Any

import pytest

from comity.crdt_types import Register, State, StateDocument
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.errors import SchemaError, StateError
from tests.support.invariants import check


class Mission(State):
    goal: Register[str] = Register(default="none yet")
    speed: Register[int]


def at(minute: int) -> HybridClock:
    """Return a clock that stands still."""
    return HybridClock(lambda: EPOCH_MS + 60_000 * minute)


def exchange(*documents: StateDocument) -> None:
    """Bring every document what it lacks."""
    for one in documents:
        for other in documents:
            if one is not other:
                one.apply(other.update_since(one.state_vector()))


def test_register_reads_its_default_until_it_is_written_and_after_it_is_cleared() -> None:
    mission = Mission()
    unset: Any = mission.speed.value
    assert (mission.goal.value, mission.goal.is_set, unset) == ("none yet", False, None)
    mission.goal.set("reef")
    assert (mission.goal.value, mission.goal.is_set) == ("reef", True)
    mission.goal.clear()
    mission.goal.clear()
    assert (mission.goal.value, mission.goal.is_set) == ("none yet", False)


def test_register_reads_the_later_of_two_concurrent_writes_everywhere() -> None:
    early, late = StateDocument(agent="early", clock=at(1)), StateDocument(agent="late", clock=at(2))
    Mission(late).goal.set("late")
    Mission(early).goal.set("early")
    exchange(early, late)
    for document in (early, late):
        state = Mission(document)
        assert state.goal.value == "late"
        (conflict,) = state.conflicts()
        assert [(rival.value, rival.author) for rival in conflict.rivals] == [("late", "late"), ("early", "early")]
        assert conflict.field == "goal"
        assert conflict.key is None


def test_register_of_writers_at_one_moment_reads_the_greater_client_id() -> None:
    one = StateDocument(client_id=1, clock=at(1))
    two = StateDocument(client_id=2, clock=at(1))
    Mission(one).goal.set("one")
    Mission(two).goal.set("two")
    exchange(one, two)
    assert Mission(one).goal.value == Mission(two).goal.value == "two"


def test_register_conflict_is_settled_by_the_next_write() -> None:
    one, two = StateDocument(clock=at(1)), StateDocument(clock=at(2))
    Mission(one).goal.set("one")
    Mission(two).goal.set("two")
    exchange(one, two)
    Mission(one).goal.set("settled")
    exchange(one, two)
    for document in (one, two):
        assert Mission(document).goal.value == "settled"
        assert Mission(document).conflicts() == document.conflicts() == []
        check(document)


def test_register_write_beats_what_its_author_had_read_though_that_clock_was_ahead() -> None:
    ahead, behind = StateDocument(clock=at(4)), StateDocument(clock=at(1))
    Mission(ahead).goal.set("read by behind")
    before = StateDocument(update=ahead.update_since())
    behind.apply(ahead.update_since())
    Mission(behind).goal.set("after")
    assert behind.clock.last > ahead.clock.last
    before.apply(behind.update_since())
    assert Mission(before).goal.value == "after"


def test_register_write_supersedes_one_from_a_clock_years_ahead() -> None:
    broken, sane = StateDocument(clock=at(60 * 24 * 3650)), StateDocument(clock=at(1))
    Mission(broken).goal.set("from the future")
    exchange(broken, sane)
    Mission(sane).goal.set("now")
    assert sane.clock.last < broken.clock.last
    exchange(broken, sane)
    assert Mission(broken).goal.value == Mission(sane).goal.value == "now"


def test_register_write_that_a_deletion_had_not_seen_survives_it() -> None:
    one, two = StateDocument(), StateDocument()
    Mission(one).goal.set("first")
    exchange(one, two)
    Mission(one).goal.clear()
    Mission(two).goal.set("survives")
    exchange(one, two)
    assert Mission(one).goal.value == Mission(two).goal.value == "survives"


def test_register_default_that_does_not_fit_is_refused() -> None:
    default: Any = "fast"

    class Broken(State):
        speed: Register[int] = Register(default=default)

    with pytest.raises(SchemaError):
        Broken()


def test_register_that_is_a_mere_declaration_says_so() -> None:
    with pytest.raises(StateError, match="declaration"):
        _ = Mission.goal.value
    assert repr(Mission.goal) == "Register()"
    assert "none yet" in repr(Mission().goal)
