"""Rules and checks: what a transaction is held to, in the state, in nested states and in rows."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from comity.crdt_types import (
    Change,
    Counter,
    List,
    Log,
    Map,
    ORSet,
    Register,
    State,
    StateDocument,
    Text,
    Violation,
)
from comity.crdt_types.errors import InvalidValueError, RuleError, SchemaError, StateError
from comity.crdt_types.schema.rules import RuleWarning, allow, deny, warn
from comity.crdt_types.schema.validation import transition, validates


class Task(State, rules=[deny("done is done", when=lambda change, state: state.done.value and change.field != "done")]):
    title: Register[str]
    done: Register[bool] = Register(default=False)

    @validates
    def has_a_title(self) -> None:
        if not self.title.value:
            raise ValueError("a task needs a title")


class Budget(State):
    limit: Register[int] = Register(default=100)
    spent: Counter

    @validates
    def within(self) -> None:
        if self.spent.value > self.limit.get(0):
            raise ValueError("over budget")

    @validates("spent")
    @staticmethod
    def not_negative(spent: int) -> None:
        if spent < 0:
            raise ValueError("less than nothing")


class Mission(
    State,
    rules=[
        deny(
            "closed missions stay closed",
            when=lambda change, state: state.status.value == "closed" and change.field != "status",
            name="closed",
        ),
        allow("notes are always welcome", when=lambda change, _state: change.kind == "text"),
        warn("a lot at once", when=lambda change, _state: change.kind == "counter" and change.new - change.old > 50),
    ],
):
    status: Register[str] = Register(default="open")
    goal: Register[str]
    steps: Map[str]
    tags: ORSet[str]
    journal: Log[str]
    order: List[str]
    spent: Counter
    notes: Text
    budget: Budget
    tasks: Map[Task]

    @transition("status", "steps", "order")
    @staticmethod
    def never_back(old: str | None, new: str | None) -> None:
        if (old, new) in {("closed", "open"), ("done", "todo"), ("done", None)}:
            raise ValueError(f"no way from {old} to {new}")

    @transition("spent")
    @staticmethod
    def only_up(old: int, new: int) -> None:
        if new < old:
            raise ValueError("spent is spent")

    @validates("notes")
    @staticmethod
    def short(notes: str) -> None:
        if len(notes) > 10:
            raise ValueError("too long a note")


def refused(state: State, edit: Callable[[], object], error: type[StateError], match: str) -> None:
    """Assert that an edit is refused, and that nothing of it was done, or of what else its transaction did."""
    before = state.document.update_since(), state.to_dict()
    with pytest.raises(error, match=match):
        edit()
    assert (state.document.update_since(), state.to_dict()) == before


# Rules ----------------------------------------------------------------------------------------------------------


def test_deny_takes_back_the_whole_transaction() -> None:
    mission = Mission()
    mission.status.set("closed")

    def edit() -> None:
        with mission.transaction():
            mission.notes.append("x")
            mission.goal.set("again")

    refused(mission, edit, RuleError, "goal: closed missions stay closed")


def test_allow_exempts_a_change_from_every_deny() -> None:
    mission = Mission()
    mission.status.set("closed")
    mission.notes.append("fine")
    assert mission.notes == "fine"


def test_rules_see_every_typed_change_and_the_new_state() -> None:
    seen: list[tuple[Any, ...]] = []

    def watch(change: Change, state: Any) -> bool:
        seen.append((change.kind, change.field, change.key, change.old, change.new, state.goal.value))
        return False

    class Watched(State, rules=[deny("nothing", when=watch)]):
        goal: Register[str]
        steps: Map[int]
        tags: ORSet[str]

    state = Watched()
    with state.transaction():
        state.goal.set("a")
        state.goal.set("b")
        state.steps["x"] = 1
        state.tags.add("t")
    assert seen == [
        ("register", "goal", None, None, "b", "b"), ("map", "steps", "x", None, 1, "b"),
        ("set", "tags", "t", None, True, "b"),
    ]  # fmt: skip
    state.document.apply(filled().update_since())
    assert len(seen) == 3


def filled() -> StateDocument:
    document = StateDocument(agent="other")
    document.set_register("goal", "x")
    return document


def test_rules_are_switched_off_and_on_for_one_opened_state() -> None:
    mission = Mission()
    mission.status.set("closed")
    with mission.rules.disabled("closed"):
        mission.goal.set("once")
        assert not mission.rules["closed"].enabled
    refused(mission, lambda: mission.goal.set("again"), RuleError, "stay closed")
    mission.rules["closed"].enabled = False
    mission.goal.set("again")
    other = Mission()
    other.status.set("closed")
    refused(other, lambda: other.goal.set("x"), RuleError, "stay closed")
    with mission.rules.disabled():
        assert not any(switch.enabled for switch in mission.rules.values())
    assert [name for name, switch in mission.rules.items() if not switch.enabled] == ["closed"]
    with pytest.raises(StateError, match="no rule 'open'"):
        mission.rules["open"].enabled = True


def test_rules_of_nested_states_and_rows_see_paths_from_where_they_are() -> None:
    mission = Mission()
    mission.tasks["a"] = Task(title="dive")
    mission.tasks["a"].done.set(True)
    refused(mission, lambda: mission.tasks["a"].title.set("x"), RuleError, "tasks/a/title: done is done")
    assert mission.tasks["a"].rules is mission.rules
    with mission.rules.disabled("done is done"):
        mission.tasks["a"].title.set("x")
    del mission.tasks["a"]


def test_warn_lets_pass_and_tells_listeners_each_time_and_the_log_once_a_line(caplog: pytest.LogCaptureFixture) -> None:
    mission = Mission()
    heard: list[RuleWarning] = []
    stop = mission.on_warning(heard.append)
    with caplog.at_level(logging.WARNING, "comity"):
        for _ in range(3):
            mission.spent.add(60)
        mission.spent.add(70)
    assert mission.spent.value == 250
    assert [warning.message for warning in heard] == ["a lot at once"] * 4
    assert heard[3].change.new == 250
    assert len(caplog.records) == 2
    assert all("test_rules.py" in record.getMessage() for record in caplog.records)
    stop()
    mission.spent.add(60)
    assert len(heard) == 4


def test_warning_of_a_transaction_that_is_refused_is_not_told() -> None:
    mission = Mission()
    heard: list[RuleWarning] = []
    mission.on_warning(heard.append)

    def edit() -> None:
        with mission.transaction():
            mission.spent.add(60)
            mission.notes.append("much too long a note")

    refused(mission, edit, InvalidValueError, "notes: too long a note")
    assert not heard


def test_rules_are_inherited() -> None:
    class Special(Mission, rules=[deny("no steps", when=lambda change, _state: change.field == "steps")]):
        extra: Register[str]

    special = Special()
    refused(special, lambda: special.steps.update(a="b"), RuleError, "no steps")
    special.status.set("closed")
    refused(special, lambda: special.extra.set("x"), RuleError, "stay closed")
    Mission().steps["a"] = "b"


def test_error_in_a_rule_reaches_whoever_made_the_change() -> None:
    class Broken(State, rules=[deny("x", when=lambda change, state: state.missing)]):
        goal: Register[str]

    state = Broken()
    with pytest.raises(AttributeError):
        state.goal.set("x")
    assert state.goal.value is None


# Transitions ----------------------------------------------------------------------------------------------------


def test_transition_is_asked_with_what_the_transaction_came_to() -> None:
    mission = Mission()
    mission.status.set("closed")
    refused(mission, lambda: mission.status.set("open"), InvalidValueError, "status: no way from closed to open")
    refused(mission, lambda: mission.status.clear(), InvalidValueError, "status: no way from closed to open")
    with mission.transaction():
        mission.status.set("open")
        mission.status.set("closed")
    assert mission.status.value == "closed"


def test_transitions_are_of_each_key_and_item_and_of_a_counters_sum() -> None:
    mission = Mission()
    mission.steps.update(a="done", b="todo")
    mission.order.extend(["done", "todo"])
    refused(mission, lambda: mission.steps.update(a="todo"), InvalidValueError, "steps: no way from done to todo")
    refused(mission, lambda: mission.steps.pop("a"), InvalidValueError, "no way from done to None")
    refused(mission, lambda: mission.order.__setitem__(0, "todo"), InvalidValueError, "order: no way")
    mission.order.move(0, 1)
    mission.steps["b"] = "done"
    mission.spent.add(5)
    refused(mission, lambda: mission.spent.add(-1), InvalidValueError, "spent is spent")


def test_transition_gets_values_as_they_are_read_and_only_where_they_change() -> None:
    seen: list[tuple[str, Any, Any]] = []

    class Seen(State):
        status: Register[str] = Register(default="open")
        order: List[str]
        spent: Counter
        steps: Map[str]

        @transition("status", "order", "spent", "steps")
        @staticmethod
        def look(old: Any, new: Any) -> None:
            seen.append((type(old).__name__, old, new))

    other = StateDocument()
    other.count("spent", 5)
    state = Seen(StateDocument(update=other.update_since()))
    state.status.set("closed")
    state.status.set("closed")
    state.status.clear()
    state.order.extend(["a", "b"])
    state.order.move(0, 1)
    with state.transaction():
        state.spent.add(2)
        state.document.reset_counter("spent")
        state.spent.add(1)
    del state.order[0]
    state.steps["a"] = "x"
    assert seen == [
        ("str", "open", "closed"), ("str", "closed", "open"), ("NoneType", None, "a"), ("NoneType", None, "b"),
        ("int", 5, 1), ("str", "b", None), ("NoneType", None, "x"),
    ]  # fmt: skip


def test_transition_of_others_is_told_and_never_raised() -> None:
    mission = Mission(StateDocument(agent="me"))
    other = Mission(StateDocument(agent="other"))
    mission.status.set("closed")
    other.document.apply(mission.document.update_since())
    told: list[Violation] = []
    stop = mission.on_violation(told.append)
    other.notes.append("fine")
    mission.document.apply(other.document.update_since())
    assert not told
    raw = StateDocument(agent="rude", update=mission.document.update_since())
    raw.set_register("status", "open")
    mission.document.apply(raw.update_since())
    assert mission.status.value == "open"
    (violation,) = told
    assert (violation.field, violation.value, violation.author) == ("status", "open", "rude")
    assert violation.problem == "no way from closed to open"
    stop()
    raw.set_register("status", "closed")
    raw.set_register("status", "open")
    mission.document.apply(raw.update_since())
    assert len(told) == 1


# The whole state ------------------------------------------------------------------------------------------------


def test_check_of_a_whole_state_takes_the_transaction_back() -> None:
    mission = Mission()
    mission.budget.spent.add(100)
    refused(mission, lambda: mission.budget.spent.add(1), InvalidValueError, "budget: over budget")
    refused(mission, lambda: mission.budget.limit.set(99), InvalidValueError, "over budget")
    with mission.transaction():
        mission.budget.spent.add(50)
        mission.budget.limit.set(150)
    refused(mission, lambda: mission.budget.spent.add(-200), InvalidValueError, "budget/spent: less than nothing")


def test_check_of_rows_is_asked_of_those_that_changed() -> None:
    mission = Mission()
    mission.tasks["a"] = Task(title="dive")
    rows: Any = mission.tasks
    refused(mission, lambda: rows.update(b={"done": True}), InvalidValueError, "tasks/b: a task needs")
    refused(mission, lambda: rows.update(b={}), InvalidValueError, "tasks/b: a task needs")
    refused(mission, lambda: mission.tasks["a"].title.clear(), InvalidValueError, "tasks/a: a task needs")
    with pytest.raises(InvalidValueError, match="Task: a task needs"):
        Task(done=True)
    del mission.tasks["a"]


def test_state_that_others_made_invalid_is_told_and_does_not_stop_other_edits() -> None:
    one, two = Mission(StateDocument(agent="one")), Mission(StateDocument(agent="two"))
    told: list[Violation] = []
    one.on_violation(told.append)
    one.budget.spent.add(60)
    two.budget.spent.add(70)
    one.document.apply(two.document.update_since())
    assert [(each.field, each.author, each.problem) for each in told] == [("budget", "two", "over budget")]
    assert told == [each._replace(author="two") for each in one.violations()]
    one.goal.set("still possible")
    one.budget.spent.add(1)
    one.budget.limit.set(200)
    assert not one.violations()
    refused(one, lambda: one.budget.spent.add(100), InvalidValueError, "over budget")
    again = Mission(StateDocument(update=two.document.update_since()))
    again.document.apply(StateDocument(update=one.document.update_since()).update_since())
    refused(again, lambda: again.budget.spent.add(100), InvalidValueError, "over budget")


def test_state_that_was_invalid_when_it_was_opened_can_be_edited() -> None:
    document = StateDocument()
    document.count("budget/spent", 500)
    mission = Mission(document)
    mission.budget.spent.add(1)
    mission.budget.limit.set(600)
    refused(mission, lambda: mission.budget.spent.add(100), InvalidValueError, "over budget")


def test_checks_of_a_base_hold_and_are_replaced_by_name() -> None:
    class Wide(Budget):
        @validates
        def within(self) -> None:
            if self.spent.value > 1000:
                raise ValueError("over a wide budget")

    wide = Wide()
    wide.spent.add(1000)
    refused(wide, lambda: wide.spent.add(1), InvalidValueError, "over a wide budget")
    refused(wide, lambda: wide.spent.add(-1001), InvalidValueError, "less than nothing")


@pytest.mark.parametrize("field", ["missing", "budget", "tasks"])
def test_checks_of_what_is_no_field_of_values_are_refused(field: str) -> None:
    broken = type("Broken", (Mission,), {"check": validates(field)(print)})
    with pytest.raises(SchemaError, match=f"a check of '{field}'"):
        broken()


@pytest.mark.parametrize("field", ["missing", "budget", "tasks", "tags", "journal", "notes"])
def test_transitions_of_what_has_none_are_refused(field: str) -> None:
    broken = type("Broken", (Mission,), {"check": transition(field)(print)})
    with pytest.raises(SchemaError, match=f"a check of '{field}'"):
        broken()


def test_state_without_checks_asks_for_nothing() -> None:
    class Plain(State):
        goal: Register[str]
        tasks: "Map[Row]"

    class Row(State):
        title: Register[str]

    Plain.__annotations__["tasks"] = Map[Row]
    asked = list[Any]()
    document = StateDocument()
    document.add_guard = asked.append  # type: ignore[method-assign,assignment]  # pyright: ignore[reportAttributeAccessIssue]
    Plain(document)
    assert not asked
    Mission(document)
    assert asked


# Values of one field --------------------------------------------------------------------------------------------


class Checked(State):
    total: Register[int]
    by_key: Map[int]
    items: List[int]
    elements: ORSet[int]
    log: Log[int]
    loose: Register[Any]

    @validates("total", "by_key", "items", "elements", "log")
    @staticmethod
    def not_negative(value: int) -> None:
        if value < 0:
            raise ValueError("negative")

    @validates("loose")
    def not_empty(value: Any) -> None:  # noqa: N805  # pyright: ignore[reportGeneralTypeIssues, reportSelfClsParameterName]
        if not value:
            raise ValueError("empty")


def writes(state: Checked, value: int) -> Iterator[Callable[[], object]]:
    yield lambda: state.total.set(value)
    yield lambda: state.by_key.__setitem__("k", value)
    yield lambda: state.items.append(value)
    yield lambda: state.elements.add(value)
    yield lambda: state.log.append(value)
    yield lambda: state.total.assign(value)
    yield lambda: state.by_key.update(a=1, b=value)
    yield lambda: state.items.insert(0, value)
    yield lambda: Checked(total=value)


def test_check_of_a_field_runs_on_every_write_of_a_value() -> None:
    state = Checked()
    for write in writes(state, -1):
        refused(state, write, InvalidValueError, "negative")
    for write in writes(state, 1):
        write()
    refused(state, lambda: state.loose.set(""), InvalidValueError, "empty")
    state.loose.set("x")
    assert state.to_dict() == {
        "total": 1, "by_key": {"a": 1, "b": 1, "k": 1}, "items": [1, 1], "elements": [1], "log": [1], "loose": "x",
    }  # fmt: skip


def test_check_of_a_field_runs_on_what_others_wrote_and_the_last_sound_value_stands_in() -> None:
    state = Checked(StateDocument(agent="me"))
    for write in writes(state, 1):
        write()
    state.loose.set("x")
    told: list[Violation] = []
    state.on_violation(told.append)
    rude = StateDocument(agent="rude", update=state.document.update_since())
    rude.set_register("total", -1)
    rude.set_cell("by_key", "k", -2)
    rude.put_item("items", state.items.id_of(0), -3)
    rude.add_element("elements", -4)
    rude.append_item("log", -5)
    rude.set_register("loose", 0)
    state.document.apply(rude.update_since())
    assert state.total.value == 1
    assert state.by_key.value == {"a": 1, "b": 1, "k": 1}
    assert list(state.items) == [1, 1]
    assert list(state.elements) == [1]
    assert list(state.log) == [1, -5]
    assert state.loose.value == "x"
    found = {(each.field, each.value, each.author) for each in state.violations()}
    assert found == {
        ("total", -1, "rude"), ("by_key", -2, "rude"), ("items", -3, "rude"), ("elements", -4, "rude"),
        ("log", -5, "rude"), ("loose", 0, "rude"),
    }  # fmt: skip
    assert {(each.field, each.value, each.author) for each in told} == found
