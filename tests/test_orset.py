"""Sets: an addition wins over a removal that had not seen it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from comity.crdt_types import Change, ORSet, State, StateDocument
from comity.crdt_types.document.values import canonical


class Tags(State):
    tags: ORSet[str]
    anything: ORSet[Any]


@given(st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.sampled_from("abcd"))))
def test_set_behaves_as_a_set(edits: list[tuple[str, str]]) -> None:
    tags: Any = Tags().tags
    model: set[str] = set()
    for name, element in edits:
        getattr(tags, name)(element)
        getattr(model, name)(element)
        assert tags == model
        assert (len(tags), element in tags, sorted(tags)) == (len(model), element in model, sorted(model))


def test_set_operators_give_plain_sets_and_work_in_place() -> None:
    state = Tags()
    state.tags |= {"a", "b", "c"}
    assert state.tags & {"a", "x"} == {"a"}
    assert type(state.tags | {"x"}) is set
    state.tags -= {"a"}
    state.tags ^= {"b", "d"}
    state.tags &= {"c", "d"}
    assert sorted(state.tags) == ["c", "d"]
    assert state.tags.value == ["c", "d"]
    state.tags.remove("c")
    assert state.tags.pop() == "d"


def test_set_operators_in_place_are_one_transaction() -> None:
    state = Tags()
    commits: list[object] = []
    state.document.on_commit(commits.append)
    state.tags |= {"a", "b"}
    state.tags.update(["c", "d"])
    state.tags -= {"a", "b"}
    state.tags.clear()
    assert len(commits) == 4


def test_set_elements_are_told_apart_by_type_and_may_be_unhashable() -> None:
    state = Tags()
    elements: list[Any] = [1, 1.0, True, "1", [1], {"a": 1, "b": 2}]
    for element in elements:
        state.anything.add(element)
    state.anything.add({"b": 2, "a": 1})
    assert len(state.anything) == len(elements)
    assert {"b": 2, "a": 1} in state.anything
    state.anything.discard(1.0)
    assert 1 in state.anything
    assert canonical(1.0) not in [canonical(element) for element in state.anything]


def test_set_addition_wins_over_a_concurrent_removal() -> None:
    one, two = Tags(), Tags()
    one.tags.add("x")
    two.document.apply(one.document.update_since())
    one.tags.discard("x")
    two.tags.add("x")
    one.document.apply(two.document.update_since())
    two.document.apply(one.document.update_since())
    assert "x" in one.tags
    assert "x" in two.tags
    assert one.conflicts() == two.conflicts() == []
    one.tags.discard("x")
    two.document.apply(one.document.update_since())
    assert "x" not in two.tags


def test_set_tells_of_elements_that_come_and_go_and_of_nothing_else() -> None:
    one, two = Tags(), Tags(StateDocument(agent="two"))
    told: list[Change] = []
    one.on_change(told.append)
    one.tags.add("x")
    one.tags.add("x")
    two.tags.add("x")
    one.document.apply(two.document.update_since())
    one.tags.discard("x")
    one.tags.discard("x")
    assert [(change.key, change.old, change.new) for change in told] == [("x", None, True), ("x", True, None)]


def test_set_takes_no_part_in_what_does_not_fit() -> None:
    state = Tags()
    number: Any = 5
    state.tags.add("x")
    assert number not in state.tags
    state.tags.discard(number)
    assert state.tags.value == ["x"]
    assert "ORSet tags" in repr(state.tags)
