"""Changes and conflicts as listeners and people see them."""

from datetime import UTC, datetime
from typing import Any

from comity.crdt_types import Change, Log, Map, ORSet, Register, State, StateDocument
from tests.support.network import Everything


def test_changes_are_told_once_per_transaction_with_what_was_before_it() -> None:
    state = Everything(StateDocument(agent="a"))
    state.steps["x"] = 0
    told: list[Change] = []
    state.on_change(told.append)
    with state.transaction():
        for number in range(1, 5):
            state.steps["x"] = number
            state.spent.add(number)
            state.goal.set(number)
    assert [(c.kind, c.key, c.old, c.new, c.author, c.local) for c in told] == [
        ("map", "x", 0, 4, "a", True),
        ("counter", None, 0, 10, "a", True),
        ("register", None, None, 4, "a", True),
    ]


def test_changes_from_elsewhere_bear_their_author_and_client() -> None:
    here, there = Everything(StateDocument(agent="here")), Everything(StateDocument(agent="there"))
    told: list[Change] = []
    here.on_change(told.append)
    with there.transaction():
        there.goal.set(1)
        there.journal.append("x")
        there.tags.add("t")
    here.document.apply(there.document.update_since())
    assert {(c.author, c.client, c.local) for c in told} == {("there", there.document.client_id, False)}
    assert [c.kind for c in told] == ["register", "log", "set"]


def test_changes_that_bring_a_value_that_loses_are_no_changes() -> None:
    here, there = Everything(StateDocument()), Everything(StateDocument())
    there.goal.set("older")
    here.document.clock.observe(there.document.clock.last)
    here.goal.set("newer")
    told: list[Change] = []
    here.on_change(told.append)
    here.document.apply(there.document.update_since())
    assert told == []
    assert len(here.conflicts()) == 1
    here.goal.set("settled")
    assert [(c.old, c.new) for c in told] == [("newer", "settled")]


def test_changes_are_typed_as_their_fields_are() -> None:
    class Typed(State):
        when: Register[datetime]
        log: Log[tuple[int, int]]
        points: ORSet[tuple[int, int]]
        plan: Map[list[datetime]]

    state = Typed(StateDocument())
    told: list[Any] = []
    state.on_change(lambda change: told.append((change.kind, change.key, change.new)))
    moment = datetime(2025, 5, 1, tzinfo=UTC)
    state.when.set(moment)
    state.log.append((1, 2))
    state.points.add((3, 4))
    state.plan["x"] = [moment]
    state.document.set_register("when", "no moment")
    state.document.set_register("undeclared", 5)
    assert told == [
        ("register", None, moment),
        ("log", None, (1, 2)),
        ("set", (3, 4), True),
        ("map", "x", [moment]),
        ("register", None, "no moment"),
        ("register", None, 5),
    ]


def test_changes_read_as_a_line_of_text() -> None:
    state = Everything(StateDocument(agent="planner"))
    lines: list[str] = []
    state.on_change(lambda change: lines.append(str(change)))
    state.steps["x"] = 1
    state.steps["x"] = 2
    del state.steps["x"]
    state.tags.add("t")
    state.tags.discard("t")
    state.journal.append("l")
    state.journal.prune(0)
    state.notes.append("n")
    state.spent.add(2)
    assert lines == [
        "steps['x']: None -> 1 by planner",
        "steps['x']: 1 -> 2 by planner",
        "steps['x']: deleted, was 2 by planner",
        "tags['t']: added by planner",
        "tags['t']: removed by planner",
        "journal: appended 'l' by planner",
        "journal: pruned 'l' by planner",
        "notes: edited [{'insert': 'n'}] by planner",
        "spent: 0 -> 2 by planner",
    ]


def test_conflicts_name_every_rival_and_agree_everywhere() -> None:
    states = [Everything(StateDocument(agent=f"agent-{number}")) for number in range(3)]
    for number, state in enumerate(states):
        state.goal.set(number)
        state.steps["b"] = number
        state.steps["a"] = number
        state.tags.add("same")
        state.spent.add(1)
    for one in states:
        for other in states:
            one.document.apply(other.document.update_since())
    first = states[0].conflicts()
    assert [(conflict.field, conflict.key) for conflict in first] == [("goal", None), ("steps", "a"), ("steps", "b")]
    for conflict in first:
        assert {rival.author for rival in conflict.rivals} == {"agent-0", "agent-1", "agent-2"}
        assert [rival.stamp for rival in conflict.rivals] == sorted((r.stamp for r in conflict.rivals), reverse=True)
    assert all(state.conflicts() == first == state.document.conflicts() for state in states)
    assert states[0].steps.conflicts() == first[1:]
    assert states[0].spent.conflicts() == []
    del states[0].steps["a"]
    states[0].goal.clear()
    assert [conflict.key for conflict in states[0].conflicts()] == ["b"]


def test_changes_name_who_deleted_what_was_read_though_a_rival_comes_up() -> None:
    first, second, reader = (StateDocument(agent=name) for name in ("first", "second", "reader"))
    first.set_register("goal", "one")
    second.set_register("goal", "two")
    reader.apply(first.update_since())
    reader.apply(second.update_since())
    read = reader.index.cells(0, "goal")[None][0].client
    seen, kept = (first, second) if read == first.client_id else (second, first)
    deleter = StateDocument(agent="deleter")
    deleter.apply(seen.update_since())
    deleter.clear_register("goal")
    changes: list[Change] = []
    reader.on_change(changes.append)
    reader.apply(deleter.update_since(reader.state_vector()))
    (change,) = changes
    assert change.new == kept.index.cells(0, "goal")[None][0].value
    assert change.author == "deleter"


def test_conflicts_are_none_where_all_wrote_the_same() -> None:
    states = [Everything(StateDocument(agent=name)) for name in ("a", "b", "c")]
    for state, goal in zip(states, (1, 1, 2), strict=True):
        state.goal.set(goal)
    first, second, third = states
    first.document.apply(second.document.update_since())
    assert first.conflicts() == []
    first.document.apply(third.document.update_since())
    (conflict,) = first.conflicts()
    assert sorted(rival.value for rival in conflict.rivals) == [1, 2]
