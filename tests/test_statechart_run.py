"""What events make of a machine, step by step from what a document holds."""

from typing import Any

import pytest
from pydantic import JsonValue

from comity.clients.agents.machines.chart import Chart
from comity.clients.agents.machines.definition import MachineDefinition
from comity.clients.agents.machines.functions import Functions, Step
from comity.clients.agents.machines.record import Transition
from comity.clients.agents.machines.run import Cause, Outcome, Position
from comity.crdt_types.errors import InvalidValueError, StateError


def cause(event: str, **data: Any) -> Cause:
    return Cause(event, data, "ana", "", 0)


def charted(states: dict[str, Any], functions: Functions | None = None, **context: Any) -> Chart:
    data = {"name": "m", "initial": next(iter(states)), "states": states, "context": context}
    return Chart(MachineDefinition.load(data), functions or Functions())


def after(chart: Chart, *events: str) -> Outcome:
    outcome = chart.begin(cause(""))
    for event in events:
        outcome = chart.advance(outcome.position, cause(event))
    return outcome


def nothing(_transition: Transition) -> None:
    """Be an action."""


def test_statechart_does_actions_in_the_order_of_leaving_moving_and_entering() -> None:
    actions = dict.fromkeys(["left", "moved", "entered", "inside"], nothing)
    chart = charted(
        {
            "a": {"exit": "left", "on": {"go": {"target": "b", "actions": "moved"}}},
            "b": {"entry": "entered", "initial": "c", "states": {"c": {"entry": "inside"}}},
        },
        Functions(actions=actions),
    )
    assert after(chart, "go").actions == ("left", "moved", "entered", "inside")


def test_statechart_does_an_action_on_the_way_to_a_history_state_once() -> None:
    count = {"target": "h", "actions": {"assign": {"n": "n + 1"}}}
    inside = {"c": {"on": {"on": "d"}}, "d": {}, "h": {"type": "history", "target": "c"}}
    chart = charted({"a": {"on": {"in": count}}, "b": {"initial": "c", "states": inside, "on": {"out": "a"}}}, n=0)
    assert after(chart, "in").position.context == {"n": 1}
    assert after(chart, "in", "on", "out", "in").position.context == {"n": 2}
    assert after(chart, "in", "on", "out", "in").position.configuration == ("b", "d")


def test_statechart_sees_a_change_of_the_context_in_the_same_step() -> None:
    rich = [{"target": "rich", "guard": "n > 1"}, "poor"]
    counted = {"target": "check", "actions": {"assign": {"n": "n + data.more"}}}
    chart = charted({"a": {"on": {"go": counted}}, "check": {"always": rich}, "rich": {}, "poor": {}}, n=0)
    begun = chart.begin(cause(""))
    assert chart.advance(begun.position, cause("go", more=2)).position.configuration == ("rich",)
    assert chart.advance(begun.position, cause("go", more=1)).position.configuration == ("poor",)


def test_statechart_asks_functions_and_tells_them_what_it_is_about() -> None:
    told: list[Step] = []

    def enough(step: Step) -> bool:
        told.append(step)
        return step.context["n"] == 0

    def doubled(step: Step) -> dict[str, JsonValue]:
        return {"n": step.data["by"]}

    go = {"target": "b", "guard": "enough and not In('b')", "actions": {"assign": "doubled"}}
    functions = Functions(guards={"enough": enough}, assigners={"doubled": doubled})
    chart = charted({"a": {"on": {"go": go}}, "b": {}}, functions, n=0)
    outcome = chart.advance(chart.begin(cause("")).position, Cause("go", {"by": 3}, "ana", "it is time", 7))
    assert outcome.position.context == {"n": 3}
    assert told == [Step("go", {"by": 3}, {"n": 0}, frozenset({"a"}), "ana", "it is time", 7)]


def test_statechart_refuses_a_context_field_that_is_not_declared() -> None:
    def wild(_step: Step) -> dict[str, JsonValue]:
        return {"m": 1}

    chart = charted({"a": {"on": {"go": {"actions": {"assign": "wild"}}}}}, Functions(assigners={"wild": wild}), n=0)
    with pytest.raises(InvalidValueError, match="no context field 'm'"):
        after(chart, "go")


def test_statechart_that_goes_in_a_circle_says_so() -> None:
    chart = charted(
        {"a": {"on": {"go": "b"}}, "b": {"always": {"target": "c", "guard": "n == 0"}}, "c": {"always": "b"}}, n=0
    )
    with pytest.raises(StateError, match="lead in a circle"):
        after(chart, "go")


def test_statechart_that_has_ended_takes_nothing_more() -> None:
    chart = charted({"a": {"on": {"go": "b"}}, "b": {"type": "final"}})
    assert after(chart, "go").position.is_finished
    assert after(chart, "go", "go").sources == ()


def test_statechart_takes_names_that_the_library_uses_itself() -> None:
    chart = charted(
        {"send": {"on": {"model": "states"}}, "states": {"on": {"send": "send", "start": "name"}}, "name": {}}
    )
    assert after(chart, "model", "send", "model", "start").position.configuration == ("name",)


def test_statechart_that_is_asked_by_its_own_guard_answers_both() -> None:
    def sure(step: Step) -> bool:
        return step.event != "go" or bool(chart.advance(chart.begin(cause("")).position, cause("ask")).sources)

    go = {"target": "b", "guard": "sure"}
    chart = charted({"a": {"on": {"go": go, "ask": {"guard": "sure"}}}, "b": {}}, Functions(guards={"sure": sure}))
    assert after(chart, "go").position.configuration == ("b",)
    assert after(chart, "ask", "go", "go").position.configuration == ("b",)


def test_statechart_whose_guard_failed_goes_on() -> None:
    fails = [True]

    def shaky(_step: Step) -> bool:
        if fails.pop():
            raise ZeroDivisionError
        return True

    go = {"target": "b", "guard": "shaky"}
    chart = charted({"a": {"on": {"go": go}}, "b": {}}, Functions(guards={"shaky": shaky}))
    with pytest.raises(ZeroDivisionError):
        after(chart, "go")
    fails.append(False)
    assert after(chart, "go").position.configuration == ("b",)


def test_statechart_refuses_a_position_that_is_of_another_one() -> None:
    chart = charted({"a": {"on": {"go": "a"}}})
    with pytest.raises(StateError, match="is in 'z', which its definition has not"):
        chart.advance(Position(("z",), {}, {}), cause("go"))
