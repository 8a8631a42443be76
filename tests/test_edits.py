"""Typed edits as data: kept, forgotten when safe, and made again on another document."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import Commit, StateDocument
from comity.crdt_types.document.edits import REPLAYABLE, Edit, EditLog
from tests.support.network import Everything
from tests.support.profiles import examples

EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(-9, 9)),
        st.tuples(st.just("clear")),
        st.tuples(st.just("put"), st.sampled_from("ab"), st.lists(st.integers(-9, 9), max_size=2)),
        st.tuples(st.just("delete"), st.sampled_from("ab")),
        st.tuples(st.just("add"), st.sampled_from([1, "1", True])),
        st.tuples(st.just("discard"), st.sampled_from([1, "1", True])),
        st.tuples(st.just("count"), st.integers(-9, 9)),
        st.tuples(st.just("append"), st.text(max_size=2)),
    ),
    max_size=40,
)


def make(state: Everything, edit: tuple[Any, ...]) -> None:
    """Make an edit on a state."""
    match edit:
        case ("set", value):
            state.goal.set(value)
        case ("clear",):
            state.goal.clear()
        case ("put", key, value):
            state.steps[key] = value
        case ("delete", key):
            state.steps.pop(key, None)
        case ("add", value):
            state.tags.add(value)
        case ("discard", value):
            state.tags.discard(value)
        case ("count", value):
            state.spent.add(value)
        case _:
            state.journal.append(edit[1])


class Numbered:
    """A document whose edits go into an edit log, as a replica's do."""

    def __init__(self) -> None:
        self.log = EditLog()
        self.number = 0
        self.state = Everything(StateDocument())
        self.state.document.on_commit(self._committed)

    def _committed(self, commit: Commit) -> None:
        self.number += 1
        for edit in commit.edits:
            self.log.add(self.number, edit)


@given(EDITS)
@settings(max_examples=examples(100, 2000))
def test_edit_log_made_again_on_another_document_gives_the_same_state(edits: list[tuple[Any, ...]]) -> None:
    source = Numbered()
    for edit in edits:
        make(source.state, edit)
    other = StateDocument()
    for _number, edit in source.log.in_order():
        other.replay(edit)
    assert Everything(other).to_dict() == source.state.to_dict()


@given(EDITS, st.integers(0, 40), st.booleans())
@settings(max_examples=examples(100, 2000))
def test_edit_log_holds_after_an_acknowledgement_what_is_not_safe(
    edits: list[tuple[Any, ...]], safe: int, take: bool
) -> None:
    source = Numbered()
    server, acknowledged = b"\x00\x00", 0
    for at, edit in enumerate(edits):
        make(source.state, edit)
        if at < safe:
            server = source.state.document.update_since()
            acknowledged = source.number
    if take:
        source.log.take(0, acknowledged)
    else:
        source.log.forget(acknowledged)
    other = StateDocument(update=server)
    for _number, left in source.log.in_order():
        other.replay(left)
    assert Everything(other).to_dict() == source.state.to_dict()


def test_edit_log_grows_with_the_cells_and_not_with_the_edits() -> None:
    source = Numbered()
    for number in range(1000):
        source.state.steps[f"key {number % 5}"] = number
        source.state.goal.set(number)
    assert len(source.log) == 6
    assert [number for number, _edit in source.log.in_order()] == [1991, 1993, 1995, 1997, 1999, 2000]
    source.log.clear()
    assert len(source.log) == 0


def test_edit_log_takes_out_a_range_of_updates() -> None:
    log = EditLog()
    for number in range(1, 6):
        log.add(number, Edit("append", "journal", None, number))
    assert [edit.value for edit in log.take(1, 3)] == [2, 3]
    assert [number for number, _edit in log.in_order()] == [1, 4, 5]
    log.forget(4)
    assert [number for number, _edit in log.in_order()] == [5]


def test_edits_keep_the_value_as_it_was_when_it_was_written() -> None:
    source = Numbered()
    value = {"a": [1]}
    source.state.goal.set(value)
    source.state.steps["x"] = value
    source.state.tags.add(value)
    value["a"].append(2)
    assert [edit.value for _number, edit in source.log.in_order()] == [{"a": [1]}] * 3


@pytest.mark.parametrize("operation", ["prune", "text"])
def test_edits_that_mean_nothing_elsewhere_cannot_be_made_again(operation: Any) -> None:
    assert operation not in REPLAYABLE
    with pytest.raises(ValueError, match="cannot be replayed"):
        StateDocument().replay(Edit(operation, "field", None, 1))


def test_edit_log_sums_what_is_counted_while_nothing_is_on_its_way() -> None:
    log = EditLog()
    for number in range(1, 1001):
        log.add(number, Edit("count", "spent", None, 2), unsent=True)
    log.add(1001, Edit("count", "spent", None, 5))
    assert log.in_order() == [(1000, Edit("count", "spent", None, 2000)), (1001, Edit("count", "spent", None, 5))]
    log.forget(1000)
    assert log.in_order() == [(1001, Edit("count", "spent", None, 5))]


def test_edit_log_forgets_a_count_from_before_a_reset_when_it_is_safe() -> None:
    log = EditLog()
    log.add(1, Edit("count", "spent", None, 5), unsent=True)
    log.add(2, Edit("reset", "spent", 1, None))
    log.add(3, Edit("count", "spent", None, 2), unsent=True)
    log.forget(2)
    assert [edit for _number, edit in log.in_order()] == [Edit("count", "spent", None, 2)]
