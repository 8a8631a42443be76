"""Lists: items that are inserted, overwritten, moved and removed one by one."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import Change, List, State, StateDocument
from comity.crdt_types.errors import InvalidValueError
from tests.support.invariants import check
from tests.support.profiles import examples


class Plan(State):
    steps: List[str]
    counts: List[int]
    anything: List[Any]


def plan(*steps: str) -> Plan:
    """Return a plan with steps."""
    made = Plan(StateDocument(agent="one"))
    made.steps.extend(steps)
    return made


def copy(of: Plan, agent: str = "two") -> Plan:
    """Return a replica."""
    return Plan(StateDocument(agent=agent, update=of.document.update_since()))


def meet(*plans: Plan) -> list[str]:
    """Bring every replica what it lacks, and return the steps that all of them read."""
    for one in plans:
        for other in plans:
            one.document.apply(other.document.update_since(one.document.state_vector()))
    first = plans[0].steps.value
    for one in plans:
        assert one.steps.value == first
        check(one.document)
    return first


def test_list_is_a_mutable_sequence() -> None:
    steps = plan("a", "b", "c").steps
    assert (len(steps), steps[0], steps[-1], steps[1:], "b" in steps) == (3, "a", "c", ["b", "c"], True)
    assert (steps.index("c"), steps.count("a"), list(reversed(steps))) == (2, 1, ["c", "b", "a"])
    steps.insert(1, "x")
    steps[2] = "B"
    steps += ["d"]
    assert steps.pop(0) == "a"
    steps.remove("c")
    steps.reverse()
    assert steps == ["d", "B", "x"]
    del steps[-1]
    assert steps.value == ["d", "B"]
    steps.clear()
    assert not steps
    with pytest.raises(IndexError):
        steps[0]
    with pytest.raises(IndexError):
        steps.pop()


@pytest.mark.parametrize("index", [-9, -2, -1, 0, 1, 3, 9])
def test_list_inserts_where_a_list_of_python_does(index: int) -> None:
    steps, expected = plan("a", "b", "c").steps, ["a", "b", "c"]
    steps.insert(index, "x")
    expected.insert(index, "x")
    assert steps == expected


@given(
    st.lists(st.sampled_from("abcd"), max_size=6),
    st.slices(7).filter(lambda part: part.step in (None, 1)),
    st.lists(st.sampled_from("xyz"), max_size=5),
)
@settings(max_examples=examples(60, 3000))
def test_list_takes_slices_as_a_list_of_python_does(held: list[str], part: slice, values: list[str]) -> None:
    steps = plan(*held).steps
    assert steps[part] == held[part]
    steps[part] = values
    held[part] = values
    assert steps == held
    del steps[part]
    del held[part]
    assert steps == held
    check(steps.document)


def test_list_refuses_to_overwrite_a_slice_with_a_step() -> None:
    steps = plan("a", "b", "c").steps
    with pytest.raises(InvalidValueError):
        steps[::2] = ["x", "y"]
    assert steps == ["a", "b", "c"]
    del steps[::2]
    assert steps == ["b"]


@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=examples(40, 1000))
def test_list_moves_an_item_to_stand_at_an_index(size: int, index: int, to: int) -> None:
    index, to = index % size, to % size
    steps, expected = plan(*map(str, range(size))).steps, list(map(str, range(size)))
    ids = {steps[at]: steps.id_of(at) for at in range(size)}
    steps.move(index, to)
    expected.insert(to, expected.pop(index))
    assert steps == expected
    assert {steps[at]: steps.id_of(at) for at in range(size)} == ids
    steps.move(index - size, to - size)
    expected.insert(to, expected.pop(index))
    assert steps == expected
    check(steps.document)


@pytest.mark.parametrize(("index", "to"), [(3, 0), (-4, 0), (0, 3), (0, -4)])
def test_list_raises_where_there_is_nothing_to_move_or_no_place(index: int, to: int) -> None:
    steps = plan("a", "b", "c").steps
    before = steps.document.update_since()
    with pytest.raises(IndexError):
        steps.move(index, to)
    assert steps.document.update_since() == before


def test_list_that_moves_an_item_to_its_own_place_writes_nothing() -> None:
    steps = plan("a", "b").steps
    before = steps.document.update_since()
    steps.move(1, 1)
    assert steps.document.update_since() == before


def test_list_items_keep_their_ids() -> None:
    steps = plan("a", "b").steps
    first, second = steps.id_of(0), steps.id_of(-1)
    steps[0] = "A"
    steps.move(0, 1)
    steps.insert(0, "x")
    assert (steps.index_of(first), steps.index_of(second)) == (2, 1)
    del steps[2]
    with pytest.raises(ValueError, match="is not the id"):
        steps.index_of(first)


def test_list_values_that_do_not_fit_are_refused_and_nothing_is_written() -> None:
    counts = Plan().counts
    counts.append(1)
    before = counts.document.update_since()
    edits: list[Any] = [
        lambda: counts.append("x"),  # type: ignore[arg-type]
        lambda: counts.insert(0, None),  # type: ignore[arg-type]
        lambda: counts.extend([2, "x"]),  # type: ignore[list-item]
        lambda: counts.__setitem__(0, cast("Any", "x")),
        lambda: counts.__setitem__(slice(0, 0), [2, "x"]),  # type: ignore[list-item]
        lambda: counts.assign(["x"]),  # type: ignore[list-item]
    ]
    for edit in edits:
        with pytest.raises(InvalidValueError):
            edit()
    assert counts.document.update_since() == before
    assert counts == [1]
    check(counts.document)


def test_list_is_assigned_with_few_edits() -> None:
    steps = plan("a", "b", "c", "d").steps
    ids = [steps.id_of(at) for at in range(4)]
    told: list[Change] = []
    steps.on_change(told.append)
    steps.assign(["a", "x", "y", "d"])
    assert steps == ["a", "x", "y", "d"]
    assert [(change.action, change.old, change.new) for change in told] == [
        ("changed", "b", "x"),
        ("changed", "c", "y"),
    ]
    told.clear()
    steps.assign(["a", "x", "z", "y", "d"])
    steps.assign(["x", "z", "y", "d"])
    assert [(change.action, change.old, change.new) for change in told] == [
        ("added", None, "z"),
        ("removed", "a", None),
    ]
    assert [steps.id_of(at) for at in (0, 2, 3)] == ids[1:]


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
@settings(max_examples=examples(60, 3000))
def test_list_holds_what_it_was_assigned(held: list[str], wanted: list[str]) -> None:
    steps = plan(*held).steps
    steps.assign(wanted)
    assert steps == wanted
    before = steps.document.update_since()
    steps.assign(wanted)
    assert steps.document.update_since() == before


# Together -----------------------------------------------------------------------------------------------------------


def test_list_item_that_two_move_at_once_stands_in_one_place() -> None:
    one = plan("a", "b", "c", "d")
    two = copy(one)
    one.steps.move(0, 3)
    two.steps.move(0, 1)
    assert meet(one, two) in (["b", "c", "d", "a"], ["b", "a", "c", "d"])
    one.steps.move(one.steps.index("a"), 0)
    assert meet(one, two) == ["a", "b", "c", "d"]


def test_list_item_that_is_moved_and_overwritten_at_once_keeps_both() -> None:
    one = plan("a", "b", "c")
    two = copy(one)
    one.steps.move(0, 2)
    two.steps[0] = "A"
    assert meet(one, two) == ["b", "c", "A"]


def test_list_item_that_is_moved_and_removed_at_once_is_gone() -> None:
    one = plan("a", "b", "c")
    two = copy(one)
    one.steps.move(0, 2)
    del two.steps[0]
    assert meet(one, two) == ["b", "c"]
    assert len(one.steps) == len(two.steps) == 2


def test_list_item_that_is_overwritten_and_removed_at_once_stays() -> None:
    one = plan("a", "b", "c")
    two = copy(one)
    one.steps.move(1, 0)
    meet(one, two)
    one.steps[0] = "B"
    del two.steps[0]
    assert sorted(meet(one, two)) == ["B", "a", "c"]


def test_list_items_that_are_overwritten_at_once_are_in_conflict() -> None:
    one = plan("a", "b")
    two = copy(one)
    one.steps[1] = "one"
    two.steps[1] = "two"
    meet(one, two)
    (conflict,) = one.steps.conflicts()
    assert (conflict.field, conflict.key, conflict.ancestor) == ("steps", one.steps.id_of(1), "b")
    assert sorted(conflict.values) == ["one", "two"]
    one.steps.resolve()
    assert meet(one, two)[1] == conflict.values[0]
    assert one.conflicts() == two.conflicts() == []


@given(st.integers(0, 3), st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=2, max_size=4))
@settings(max_examples=examples(50, 3000))
def test_list_runs_that_are_inserted_at_one_place_at_once_do_not_interleave(
    at: int, runs: list[tuple[int, bool]]
) -> None:
    start = plan("a", "b", "c")
    replicas = [copy(start, f"agent {number}") for number in range(len(runs))]
    for number, (length, forward) in enumerate(runs):
        steps = replicas[number].steps
        for turn in range(length):
            steps.insert(at + (turn if forward else 0), f"{number}/{turn}")
    steps_of_all = meet(*replicas)
    for number, (length, forward) in enumerate(runs):
        run = [f"{number}/{turn}" for turn in range(length)]
        first = steps_of_all.index(run[0] if forward else run[-1])
        assert steps_of_all[first : first + length] == (run if forward else run[::-1])
    assert [step for step in steps_of_all if step in "abc"] == ["a", "b", "c"]


def test_list_changes_say_what_became_of_each_item() -> None:
    one = plan("a", "b")
    two = copy(one)
    ids = [one.steps.id_of(0), one.steps.id_of(1)]
    told: list[Change] = []
    two.on_change(told.append)
    edits: list[Callable[[List[str]], None]] = [
        lambda steps: steps.append("c"),
        lambda steps: steps.move(0, 1),
        lambda steps: steps.__setitem__(1, "A"),
        lambda steps: steps.__delitem__(1),
    ]
    for edit in edits:
        edit(one.steps)
        two.document.apply(one.document.update_since(two.document.state_vector()))
    assert [(c.kind, c.field, c.old, c.new, c.action, c.author, c.local) for c in told] == [
        ("list", "steps", None, "c", "added", "one", False),
        ("list", "steps", "a", "a", "moved", "one", False),
        ("list", "steps", "a", "A", "changed", "one", False),
        ("list", "steps", "A", None, "removed", "one", False),
    ]
    assert [change.key for change in told] == [one.steps.id_of(1), ids[0], ids[0], ids[0]]


def test_list_item_that_is_moved_and_overwritten_in_one_transaction_is_told_once() -> None:
    one = plan("a", "b")
    told: list[Change] = []
    one.on_change(told.append)
    with one.transaction():
        one.steps.move(0, 1)
        one.steps[1] = "A"
    assert [(change.action, change.old, change.new) for change in told] == [("changed", "a", "A")]
    told.clear()
    with one.transaction():
        one.steps.append("brief")
        one.steps.move(2, 0)
        del one.steps[0]
    assert told == []


def test_list_whose_transaction_fails_is_as_it_was() -> None:
    one = plan("a", "b", "c")
    ids = [one.steps.id_of(at) for at in range(3)]

    def fail() -> None:
        with one.transaction():
            one.steps.move(0, 2)
            one.steps.insert(1, "x")
            one.steps[0] = "B"
            del one.steps[-1]
            assert one.steps == ["B", "x", "c"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert one.steps == ["a", "b", "c"]
    assert [one.steps.id_of(at) for at in range(3)] == ids
    check(one.document)


def test_list_items_that_do_not_fit_are_read_as_stored_and_listed() -> None:
    stranger = StateDocument(agent="stranger")
    stranger.put_item("counts", "a", "seven")
    stranger.put_item("counts", "b", 8)
    mine = Plan(StateDocument(update=stranger.update_since()))
    assert mine.counts == ["seven", 8]
    (violation,) = mine.violations()
    assert (violation.field, violation.key, violation.value, violation.author) == ("counts", "a", "seven", "stranger")


def test_list_places_of_items_that_are_not_there_show_nothing() -> None:
    document = StateDocument()
    document.place_item("steps", "ghost", "m")
    state = Plan(document)
    assert (state.steps.value, len(state.steps)) == ([], 0)
    document.put_item("steps", "a", "first")
    document.put_item("steps", "ghost", "second")
    assert state.steps == ["first", "second"]
    check(document)


def test_list_that_is_iterated_goes_over_what_there_was_when_it_began() -> None:
    steps = plan("a", "b", "c").steps
    for step in steps:
        steps.remove(step)
    assert not steps


def test_moves_are_told_beside_a_write_that_is_not_read() -> None:
    a = plan("one", "two", "three")
    b = copy(a)
    b.steps[0] = "earlier"
    b.steps.move(0, 2)
    a.document.clock.observe(b.document.clock.last)
    a.steps[0] = "later"
    told: list[Change] = []
    a.steps.on_change(told.append)
    a.document.apply(b.document.update_since())
    assert a.steps.value == ["two", "three", "later"]
    assert [(change.action, change.new) for change in told] == [("moved", "later")]


def test_assigning_replaces_items_that_do_not_fit() -> None:
    a = plan()
    a.counts.extend([1, 2])
    b = copy(a)
    b.document.put_item("counts", b.counts.id_of(0), "many")
    a.document.apply(b.document.update_since())
    a.counts.assign([1, 2])
    assert list(a.violations()) == []
    assert a.counts.value == [1, 2]
