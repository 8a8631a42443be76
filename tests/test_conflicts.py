"""Conflicts: which cells are in dispute, what their values come from, and what becomes of them."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import (
    ABSENT,
    List,
    Map,
    Register,
    State,
    StateDocument,
    first_writer,
    last_writer,
    manual,
    merge,
)
from comity.crdt_types.document.clock import EPOCH_MS, HybridClock
from comity.crdt_types.errors import InvalidValueError, StateError
from comity.crdt_types.types.resolution import TICKETS, Strategy
from tests.support.invariants import check
from tests.support.profiles import examples


class Mission(State):
    goal: Register[Any]
    steps: Map[Any]
    plan: List[Any]
    size: Register[int]


def mission(agent: str, minute: int = 0, of: State | None = None, like: type[Any] = Mission) -> Any:
    """Return a replica whose clock stands still."""
    clock = HybridClock(lambda: EPOCH_MS + 60_000 * (minute + 1))
    update = of.document.update_since() if of else None
    return like(StateDocument(agent=agent, update=update, clock=clock))


def pull(one: State, *others: State) -> None:
    """Bring a replica what others have, one after the other."""
    for other in others:
        one.document.apply(other.document.update_since(one.document.state_vector()))


def meet(*missions: State) -> None:
    """Bring every replica what it lacks."""
    for one in missions:
        pull(one, *(other for other in missions if other is not one))
        check(one.document)


def forked(write: Callable[[Any], object], like: type[Any] = Mission) -> tuple[Any, Any]:
    """Return two replicas that hold what somebody wrote; the second one's clock is later."""
    one = mission("one", 1, like=like)
    write(one)
    return one, mission("two", 2, one, like=like)


CELLS: dict[str, tuple[Callable[[Any, Any], None], Callable[[Any], None]]] = {
    "register": (lambda state, value: state.goal.set(value), lambda state: state.goal.clear()),
    "map": (lambda state, value: state.steps.__setitem__("k", value), lambda state: state.steps.pop("k")),
    "list": (
        lambda state, value: state.plan.__setitem__(slice(0, 1), [value]),
        lambda state: state.plan.__delitem__(0),
    ),
}
every_cell = pytest.mark.parametrize(("write", "delete"), CELLS.values(), ids=CELLS.keys())
Writer = Callable[[Any, Any], None]
Deleter = Callable[[Any], None]


# What is in conflict ------------------------------------------------------------------------------------------------


@every_cell
def test_conflict_names_every_value_with_its_author_and_the_ancestor(write: Writer, delete: Deleter) -> None:
    one, two = forked(lambda state: write(state, "base"))
    write(one, "x")
    write(two, "y")
    meet(one, two)
    for state in (one, two):
        (conflict,) = state.conflicts()
        assert (conflict.kind, conflict.values, conflict.ancestor) == ("concurrent_modification", ["y", "x"], "base")
        assert [(rival.author, rival.deleted) for rival in conflict.rivals] == [("two", False), ("one", False)]
        assert conflict.rivals[0].client == two.document.client_id
        assert conflict.rivals[0].stamp > conflict.rivals[1].stamp
    write(one, "settled")
    meet(one, two)
    assert one.conflicts() == two.conflicts() == []


@every_cell
def test_conflict_of_many_versions_has_the_youngest_common_ancestor_where_all_were_seen(
    write: Writer, delete: Deleter
) -> None:
    one, two = forked(lambda state: write(state, "old"))
    write(one, "base")
    meet(one, two)
    sent: list[tuple[Any, bytes]] = []
    for state, other in ((one, two), (two, one)):
        state.document.on_commit(lambda commit, to=other: sent.append((to, commit.update)) if commit.local else None)
    for number in range(3):
        write(one, f"x{number}")
        write(two, f"y{number}")
    for to, update in sent:
        to.document.apply(update)
    assert [state.conflicts()[0].ancestor for state in (one, two)] == ["base", "base"]


@every_cell
def test_conflict_of_versions_that_came_in_one_update_has_no_ancestor_that_is_known(
    write: Writer, delete: Deleter
) -> None:
    one, two = forked(lambda state: write(state, "base"))
    for number in range(2):
        write(one, f"x{number}")
        write(two, f"y{number}")
    meet(one, two)
    assert [state.conflicts()[0].ancestor for state in (one, two)] == [ABSENT, ABSENT]


def test_conflict_whose_base_was_overwritten_twice_in_a_transaction_knows_its_ancestor() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    with one.transaction():
        one.goal.set("x")
        one.goal.set("xx")
    with two.transaction():
        two.goal.clear()
        two.goal.set("yy")
    meet(one, two)
    assert [state.conflicts()[0].ancestor for state in (one, two)] == ["base", "base"]


def test_conflict_of_values_without_a_past_has_no_ancestor() -> None:
    one, two = mission("one"), mission("two", 1)
    one.goal.set("x")
    two.goal.set("y")
    meet(one, two)
    assert one.conflicts()[0].ancestor is ABSENT
    assert not one.conflicts()[0].ancestor


def test_conflict_in_a_document_that_is_read_anew_has_no_ancestor_that_is_known() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.goal.set("x")
    two.goal.set("y")
    meet(one, two)
    late = mission("late", of=one)
    assert late.conflicts() == [one.conflicts()[0]._replace(ancestor=ABSENT)]


def test_conflict_is_none_where_all_wrote_the_same() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.goal.set({"a": 1, "b": 2})
    two.goal.set({"b": 2, "a": 1})
    meet(one, two)
    assert one.conflicts() == two.conflicts() == []


VALUES = [None, True, 5, 5.5, "x", b"x", [1], {"a": 1}]
TYPES = {bool: "boolean", int: "number", float: "number", str: "string", bytes: "bytes", list: "array", dict: "object"}


@pytest.mark.parametrize(("x", "y"), [*combinations(VALUES, 2)], ids=repr)
def test_conflict_of_values_of_two_json_types_is_a_type_mismatch(x: Any, y: Any) -> None:
    one, two = mission("one"), mission("two", 1)
    one.goal.set(x)
    two.goal.set(y)
    meet(one, two)
    types = {TYPES[type(value)] for value in (x, y) if value is not None}
    expected = "type_mismatch" if len(types) > 1 else "concurrent_modification"
    assert [state.conflicts()[0].kind for state in (one, two)] == [expected, expected]


# Deleted, then modified ---------------------------------------------------------------------------------------------


@every_cell
def test_write_of_what_somebody_deleted_is_deleted_modified_for_those_who_saw_it(
    write: Writer, delete: Deleter
) -> None:
    one, two = forked(lambda state: write(state, "base"))
    witness = mission("witness", 3, one)
    delete(one)
    pull(witness, one)
    write(two, "y")
    pull(one, two)
    pull(witness, two)
    for state in (one, witness):
        (conflict,) = state.conflicts()
        assert (conflict.kind, conflict.values, conflict.ancestor) == ("deleted_modified", ["y"], "base")
        written, gone = conflict.rivals
        assert (written.author, written.deleted) == ("two", False)
        assert (gone.value, gone.deleted, gone.author, gone.client) == (ABSENT, True, "one", one.document.client_id)
    pull(two, one)
    assert two.conflicts() == []
    assert mission("late", of=one).conflicts() == []


@every_cell
def test_write_that_knew_of_the_deletion_is_no_conflict(write: Writer, delete: Deleter) -> None:
    one, two = forked(lambda state: write(state, "base"))
    delete(one)
    pull(two, one)
    write(two, "y")
    pull(one, two)
    assert one.conflicts() == two.conflicts() == []


@every_cell
def test_write_that_knew_of_the_deletion_is_no_conflict_when_it_comes_with_its_next_version(
    write: Writer, delete: Deleter
) -> None:
    one, two = forked(lambda state: write(state, "base"))
    delete(one)
    pull(two, one)
    write(two, "y")
    write(two, "z")
    pull(one, two)
    assert one.conflicts() == []


@every_cell
@pytest.mark.parametrize("then", ["write", "delete"])
def test_deleted_modified_is_kept_until_the_cell_is_written_again(write: Writer, delete: Deleter, then: str) -> None:
    one, two = forked(lambda state: write(state, "base"))
    delete(one)
    write(two, "y")
    pull(one, two)
    one.goal.set("elsewhere") if write is not CELLS["register"][0] else one.steps.update(elsewhere=1)
    assert len(one.conflicts()) == 1
    if then == "write":
        write(two, "z")
    else:
        delete(two)
    pull(one, two)
    assert one.conflicts() == []


@every_cell
def test_deleted_modified_outlives_a_transaction_that_fails(write: Writer, delete: Deleter) -> None:
    one, two = forked(lambda state: write(state, "base"))
    delete(one)
    write(two, "y")
    pull(one, two)
    before = one.conflicts()

    def fail() -> None:
        with one.transaction():
            write(one, "z")
            assert one.conflicts() == []
            delete(one)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert one.conflicts() == before
    assert before[0].kind == "deleted_modified"


def test_write_of_a_cell_that_was_written_twice_in_a_transaction_is_deleted_modified() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.goal.clear()
    with two.transaction():
        two.goal.set("x")
        two.goal.set("y")
    pull(one, two)
    assert [conflict.kind for conflict in one.conflicts()] == ["deleted_modified"]


def test_value_that_comes_back_by_another_way_is_no_conflict() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.goal.clear()
    three = mission("three", 3)
    three.goal.set("of its own")
    pull(one, three)
    assert one.conflicts() == []
    assert two.goal == "base"


# Resolving ----------------------------------------------------------------------------------------------------------


STRATEGIES: list[tuple[Strategy, str]] = [
    (last_writer, "late"),
    (first_writer, "early"),
    (merge(lambda conflict: "+".join(sorted(conflict.values))), "early+late"),
    (merge(lambda conflict: f"{conflict.ancestor}: {len(conflict.rivals)}"), "base: 2"),
]


@every_cell
@pytest.mark.parametrize(("strategy", "expected"), STRATEGIES, ids=lambda value: repr(value)[:12])
def test_resolve_writes_what_the_strategy_decides(
    write: Writer, delete: Deleter, strategy: Strategy, expected: str
) -> None:
    one, two = forked(lambda state: write(state, "base"))
    write(one, "early")
    write(two, "late")
    meet(one, two)
    commits: list[object] = []
    one.document.on_commit(commits.append)
    (resolved,) = one.resolve(strategy)
    assert resolved.values == ["late", "early"]
    assert len(commits) == 1
    meet(one, two)
    assert one.conflicts() == two.conflicts() == []
    assert expected in (one.goal.value, one.steps.get("k"), *one.plan)
    assert one.to_dict() == two.to_dict()


@every_cell
def test_resolve_with_absent_deletes_the_cell(write: Writer, delete: Deleter) -> None:
    one, two = forked(lambda state: write(state, "base"))
    write(one, "early")
    write(two, "late")
    meet(one, two)
    one.resolve(merge(lambda _conflict: ABSENT))
    meet(one, two)
    assert (one.goal.value, one.steps.value, one.plan.value) == (None, {}, [])
    assert one.conflicts() == two.conflicts() == []


@every_cell
@pytest.mark.parametrize(("strategy", "stays"), [(last_writer, True), (first_writer, False)], ids=repr)
def test_resolve_weighs_a_deletion_by_the_moment_it_was_seen(
    write: Writer, delete: Deleter, strategy: Strategy, stays: bool
) -> None:
    one, two = forked(lambda state: write(state, "base"))
    delete(one)  # a minute before the write
    write(two, "late")
    pull(one, two)
    (resolved,) = one.resolve(strategy)
    assert resolved.kind == "deleted_modified"
    meet(one, two)
    assert one.conflicts() == two.conflicts() == []
    assert ("late" in (one.goal.value, one.steps.get("k"), *one.plan)) == stays


def test_resolve_of_one_key_leaves_the_others() -> None:
    one, two = forked(lambda state: state.steps.update(a=0, b=0))
    one.steps.update(a=1, b=1)
    two.steps.update(a=2, b=2)
    meet(one, two)
    assert [conflict.key for conflict in one.steps.resolve(first_writer, "a")] == ["a"]
    assert (one.steps.value, [conflict.key for conflict in one.conflicts()]) == ({"a": 1, "b": 2}, ["b"])


def test_resolve_with_a_value_that_does_not_fit_writes_nothing() -> None:
    one, two = forked(lambda state: (state.size.set(1), state.goal.set(1)))
    for number, state in enumerate((one, two), 2):
        state.goal.set(number)
        state.size.set(number)
    meet(one, two)
    before = one.document.update_since(), one.conflicts()
    with pytest.raises(InvalidValueError):
        one.resolve(merge(lambda _conflict: "not a number"))
    assert (one.document.update_since(), one.conflicts()) == before


# Policies -----------------------------------------------------------------------------------------------------------


class Ruled(State):
    first: Register[Any] = Register(on_conflict=first_writer)
    total: Map[int] = Map(on_conflict=merge(lambda conflict: sum(conflict.values)))
    union: List[list[int]] = List(on_conflict=merge(lambda conflict: sorted(set().union(*conflict.values))))


@given(st.permutations(range(3)), st.data())
@settings(max_examples=examples(30, 1000))
def test_policies_decide_what_is_read_on_every_replica_alike_and_write_nothing(order: list[int], data: Any) -> None:
    start = mission("start", 0, like=Ruled)
    start.first.set("base")
    start.total["k"] = 100
    start.union.append([0])
    replicas = [mission(f"agent {number}", number + 1, start, like=Ruled) for number in range(3)]
    for number, state in enumerate(replicas):
        state.first.set(number)
        state.total["k"] = 10**number
        state.union[0] = [number, number + 1]
    before = [state.document.update_since() for state in replicas]
    for state in replicas:
        for number in order:
            state.document.apply(before[number])
    vectors = {tuple(sorted(state.document.state_vector())) for state in replicas}
    assert len(vectors) == 1
    for state in replicas:
        assert state.to_dict() == {"first": 0, "total": {"k": 111}, "union": [[0, 1, 2, 3]]}
        assert len(state.conflicts()) == 3


def test_policy_whose_value_changes_tells_so() -> None:
    one, two = forked(lambda state: state.total.update(k=1), like=Ruled)
    told: list[Any] = []
    one.on_change(lambda change: told.append((change.field, change.old, change.new)))
    one.total["k"] = 2
    two.total["k"] = 3
    pull(one, two)
    assert told == [("total", 1, 2), ("total", 2, 5)]


# Tickets ------------------------------------------------------------------------------------------------------------


@every_cell
def test_ticket_stays_open_for_everybody_until_somebody_resolves_it(write: Writer, delete: Deleter) -> None:
    one, two = forked(lambda state: write(state, "base"))
    write(one, "early")
    write(two, "late")
    meet(one, two)
    one.resolve(manual("which one?"))
    meet(one, two)
    for state in (one, two, mission("late", of=one)):
        (ticket,) = state.tickets()
        assert (ticket.note, ticket.by) == ("which one?", "one")
        assert [(rival.value, rival.author) for rival in ticket.rivals] == [("late", "two"), ("early", "one")]
        assert "late" in (state.goal.value, state.steps.get("k"), *state.plan)
    commits: list[object] = []
    two.document.on_commit(commits.append)
    two.tickets()[0].resolve("both")
    assert len(commits) == 1
    meet(one, two)
    assert one.tickets() == two.tickets() == one.conflicts() == two.conflicts() == []
    assert "both" in (one.goal.value, one.steps.get("k"), *one.plan)


def test_ticket_is_opened_once_for_the_same_rivals() -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.goal.set("x")
    two.goal.set("y")
    meet(one, two)
    one.resolve(manual("first"))
    before = one.document.state_vector()
    one.resolve(manual("second"))
    assert one.document.state_vector() == before
    two.resolve(manual("at once"))
    meet(one, two)
    assert len(one.tickets()) == len(two.tickets()) == 1
    one.tickets()[0].resolve(ABSENT)
    meet(one, two)
    assert one.tickets() == two.tickets() == []
    assert one.goal.value is None


def test_ticket_that_is_resolved_with_what_does_not_fit_stays_open() -> None:
    one, two = forked(lambda state: state.size.set(0))
    one.size.set(1)
    two.size.set(2)
    meet(one, two)
    one.resolve(manual())
    with pytest.raises(InvalidValueError):
        one.tickets()[0].resolve("x")
    assert (len(one.tickets()), one.size.value) == (1, 2)


def test_ticket_of_a_deletion_says_so() -> None:
    one, two = forked(lambda state: state.steps.update({"a/b": "base"}))
    del one.steps["a/b"]
    two.steps["a/b"] = "late"
    pull(one, two)
    one.resolve(manual())
    meet(one, two)
    (ticket,) = two.tickets()
    assert (ticket.field, ticket.key) == ("steps", "a/b")
    assert [(rival.value, rival.deleted) for rival in ticket.rivals] == [("late", False), (ABSENT, True)]
    ticket.resolve(ABSENT)
    assert two.steps == {}


STRANGE_TICKETS: list[Any] = [
    None,
    5,
    [],
    {},
    {"field": "goal"},
    {"field": "goal", "key": None, "note": "", "by": "", "rivals": []},
    {"field": "goal", "key": None, "note": "", "by": "", "rivals": [5]},
    {"field": "goal", "key": None, "note": "", "by": "", "rivals": [{"author": "a", "client": 1.0, "stamp": 1}]},
    {"field": 5, "key": None, "note": "", "by": "", "rivals": [{"author": "a", "client": 1, "stamp": 1}]},
]


@pytest.mark.parametrize("stored", STRANGE_TICKETS, ids=repr)
def test_ticket_of_another_program_that_is_none_is_passed_over(stored: Any) -> None:
    one, two = forked(lambda state: state.goal.set("base"))
    one.document.set_cell(TICKETS, "goal", stored)
    assert one.tickets() == []
    one.goal.set("x")
    two.goal.set("y")
    meet(one, two)
    one.resolve(manual("asked"))
    assert [ticket.note for ticket in one.tickets()] == ["asked"]


class Asked(State):
    goal: Register[Any] = Register(on_conflict=manual("please decide"))


def test_policy_that_asks_somebody_opens_a_ticket_and_reads_the_last_write_until_then() -> None:
    one, two = forked(lambda state: state.goal.set("base"), like=Asked)
    witness = mission("witness", 3, one, like=Asked)
    one.goal.set("early")
    two.goal.set("late")
    pull(witness, one, two)
    assert witness.tickets() == []  # it wrote none of the rivals
    meet(one, two, witness)
    meet(one, two, witness)
    for state in (one, two, witness):
        assert state.goal.value == "late"
        (ticket,) = state.tickets()
        assert (ticket.note, ticket.field) == ("please decide", "goal")
    witness.tickets()[0].resolve("decided")
    meet(one, two, witness)
    assert [state.goal.value for state in (one, two, witness)] == ["decided"] * 3
    assert [state.tickets() for state in (one, two, witness)] == [[], [], []]


# Bounds -------------------------------------------------------------------------------------------------------------


def test_deletions_are_remembered_within_bounds_the_oldest_forgotten() -> None:
    one = mission("one")
    one.steps.update({str(number): number for number in range(5000)})
    two = mission("two", 1, one)
    one.steps.clear()
    two.steps.update({str(number): -1 for number in range(5000)})
    pull(one, two)
    found = [conflict.key for conflict in one.conflicts()]
    assert 0 < len(found) < 5000
    assert {conflict.kind for conflict in one.conflicts()} == {"deleted_modified"}


# What others' values and functions must not do -------------------------------------------------------------------


def _fails(conflict: Any) -> Any:
    raise RuntimeError(conflict.field)


class Poll(State):
    most: Register[int] = Register(on_conflict=merge(_fails))
    least: Register[int] = Register(on_conflict=merge(lambda conflict: "no number"))


@pytest.mark.parametrize("field", ["most", "least"])
def test_policies_that_fail_leave_the_last_write_to_be_read(field: str) -> None:
    a, b = mission("a", like=Poll), mission("b", 1, like=Poll)
    told: list[Any] = []
    commits: list[Any] = []
    a.on_change(told.append)
    a.document.on_commit(commits.append)
    getattr(a, field).set(1)
    getattr(b, field).set(2)
    a.document.apply(b.document.update_since())
    assert getattr(a, field).value == 2
    getattr(a, field).set(3)
    assert [change.new for change in told] == [1, 2, 3]
    assert len(commits) == 3


def test_resolve_passes_over_rivals_that_do_not_fit() -> None:
    a, b = mission("a"), mission("b", 1)
    a.size.set(1)
    b.document.set_register("size", "large")
    a.document.apply(b.document.update_since())
    assert len(a.resolve(last_writer)) == 1
    assert a.size.value == 1
    assert a.conflicts() == []


def test_stand_in_is_the_last_value_that_fitted_also_when_a_rival_went() -> None:
    a = mission("a")
    a.size.set(1)
    b = mission("b", 1, of=a)
    b.document.set_register("size", "bad")
    a.document.apply(b.document.update_since())
    a.size.set(2)
    c = mission("c", 2, of=a)
    d = mission("d", 3, of=a)
    c.document.set_register("size", "worse")
    a.document.apply(c.document.update_since())
    d.size.clear()
    a.document.apply(d.document.update_since())
    assert a.size.value == 2


class Outer(State):
    title: Register[str]
    inner: Mission


def test_tickets_of_a_nested_state_are_its_own() -> None:
    a, b = mission("a", like=Outer), mission("b", 1, like=Outer)
    a.title.set("x")
    b.title.set("y")
    a.document.apply(b.document.update_since())
    a.title.resolve(manual())
    assert a.inner.tickets() == []
    assert [ticket.field for ticket in a.tickets()] == ["title"]


def test_tickets_that_somebody_resolved_are_closed() -> None:
    a, b = mission("a"), mission("b", 1)
    a.goal.set("x")
    b.goal.set("y")
    a.document.apply(b.document.update_since())
    a.goal.resolve(manual())
    first, second = a.tickets(), a.tickets()
    first[0].resolve("x")
    with pytest.raises(StateError, match="closed"):
        second[0].resolve("y")
    assert a.goal.value == "x"


def test_ancestor_is_known_also_where_several_rivals_were_superseded() -> None:
    a, b, c = mission("a"), mission("b", 1), mission("c", 2)
    a.goal.set("first")
    b.goal.set("second")
    c.goal.set("third")
    a.document.apply(b.document.update_since())
    a.document.apply(c.document.update_since())
    d, e = mission("d", 3, of=a), mission("e", 4, of=a)
    d.goal.set("x")
    e.goal.set("y")
    a.document.apply(d.document.update_since())
    a.document.apply(e.document.update_since())
    (conflict,) = a.conflicts()
    assert (set(conflict.values), conflict.ancestor) == ({"x", "y"}, "third")
