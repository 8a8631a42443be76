"""Definitions as data: what they may say, and what is said of those that cannot work."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from comity.clients.agents.machines.chart import Chart
from comity.clients.agents.machines.definition import MachineDefinition
from comity.clients.agents.machines.expression import MAX_EXPRESSION, Expression
from comity.clients.agents.machines.functions import Functions, Guard, Step
from comity.crdt_types.errors import InvalidValueError, SchemaError
from tests.support.charts import definitions
from tests.support.optional import ROOT
from tests.test_docs import blocks


def machine(states: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "m", "initial": next(iter(states)), "states": states, **more}


@settings(max_examples=25)
@given(definitions())
def test_definition_is_the_same_after_it_was_plain_data(data: dict[str, Any]) -> None:
    definition = MachineDefinition.load(data)
    assert MachineDefinition.load(json.loads(json.dumps(definition.dump()))) == definition


def test_definition_may_be_written_short() -> None:
    short = machine({"a": {"on": {"go": "b"}, "entry": "greet"}, "b": {"always": {"target": "c"}}, "c": {}})
    long = machine(
        {
            "a": {"on": {"go": [{"target": "b"}]}, "entry": ["greet"]},
            "b": {"always": [{"target": "c"}]},
            "c": {},
        }
    )
    assert MachineDefinition.load(short) == MachineDefinition.load(long)


LOST: dict[str, Any] = {"a": {}, "b": {}}
TWICE: dict[str, Any] = {"a": {"on": {"go": "b"}}, "b": {"initial": "a", "states": {"a": {}}}}
IN_PARALLEL: dict[str, Any] = {"p": {"type": "parallel", "states": {"a": {}, "b": {"type": "final"}}}}
PAST: dict[str, Any] = {"p": {"initial": "a", "states": {"a": {}, "h": {"type": "history"}}, "on": {"back": "h"}}}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": "m"}, "initial: no definition: Field required"),
        (machine({"a": {"no": 1}}), "states.a.no: no definition: Extra inputs"),
        (machine({"a b": {}}), "String should match pattern"),
        ({**machine({"a": {}}), "initial": "b"}, "no state 'b' to begin in"),
        (machine({"a": {"on": {"go": "b"}}}), "state 'a', go: no state 'b'"),
        (machine(LOST), "state 'b': no way leads there"),
        (machine(TWICE), "state 'a': two states of one name"),
        (machine({"a": {"states": {"b": {}}}}), "state 'a': no initial state in it"),
        (machine({"a": {"initial": "c", "states": {"b": {}}}}), "no state 'c' in it"),
        (machine({"a": {"type": "final", "on": {"go": "a"}}}), "a final state with"),
        (machine({"p": {"type": "parallel", "states": {"a": {}}}}), "fewer than two"),
        (machine(IN_PARALLEL), "state 'b': a final state right below a parallel one"),
        (machine(PAST), "state 'h': a history state without a target"),
        (machine({"a": {"target": "a"}}), "a target, but it is no history state"),
        (machine({"a": {"on": {"go": ["a", "a"]}}}), "state 'a', go: a transition that is never taken"),
        (machine({"a": {"on": {"go": [{"guard": "x"}, {"guard": "x"}]}}}, context={"x": 1}), "never taken"),
        (machine({"a": {"on": {"go": {"target": "b", "internal": True}}}, "b": {}}), "internal, but 'b'"),
        (machine({"a": {"always": "b"}, "b": {"always": "a"}}), "in a circle, without an event"),
        (machine({"a": {"on": {"done.state.a": "a"}}}), "no state 'a' with states in it"),
        (machine({"a": {"timeouts": [{"after": 1, "event": "late"}]}}), "no state takes the event 'late'"),
        (machine({"a": {"timeouts": [{"after": 0, "event": "late"}], "on": {"late": "a"}}}), "greater than 0"),
        (machine({"a": {"entry": {"assign": {"n": "1"}}}}), "no context field 'n'"),
        (machine({"a": {"on": {"go": {"guard": "In('b')"}}}}), "In('b'), but there is no such state"),
        (machine({"a": {"on": {"go": {"guard": "open('x')"}}}}), "a call that is not In"),
    ],
)
def test_definition_that_cannot_work_is_refused(data: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        MachineDefinition.load(data)
    assert said in str(caught.value)


def yes(_step: Step) -> bool:
    return True


async def later(_step: Step) -> bool:
    return True


@pytest.mark.parametrize(
    ("state", "functions", "said"),
    [
        ({"on": {"go": {"guard": "ready"}}}, Functions(), "no guard 'ready'; give it as guards={...}"),
        ({"entry": "greet"}, Functions(), "no action 'greet'; give it as actions={...}"),
        ({"exit": {"assign": "count"}}, Functions(), "no assigner 'count'; give it as assigners={...}"),
        ({"on": {"go": {"guard": "n"}}}, Functions(guards={"n": yes}), "'n' is a guard and a context field"),
    ],
)
def test_definition_whose_names_stand_for_nothing_is_refused_before_any_event(
    state: dict[str, Any], functions: Functions, said: str
) -> None:
    definition = MachineDefinition.load(machine({"a": state}, context={"n": 1}))
    with pytest.raises(SchemaError) as caught:
        Chart(definition, functions)
    assert said in str(caught.value)


def test_definition_whose_guard_is_a_coroutine_is_refused() -> None:
    guards: dict[str, Any] = {"later": later}
    named: dict[str, Guard] = guards
    definition = MachineDefinition.load(machine({"a": {"on": {"go": {"guard": "later"}}}}))
    with pytest.raises(SchemaError, match="a coroutine cannot decide"):
        Chart(definition, Functions(guards=named))


class Scope:
    def __init__(self) -> None:
        self.data = {"amount": 5}

    def named(self, name: str) -> Any:
        return {"total": 7, "none": None, "yes": True, "word": "v"}[name]

    def is_in(self, state: str) -> bool:
        return state == "here"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("total > 3 and In('here')", True),
        ("not In('there')", True),
        ("In('there') or yes", True),
        ("data.amount + 1 - total", -1),
        ("data.missing == None", True),
        ("1 < total < 9", True),
        ("1 < total < 7", False),
        ("word == 'v'", True),
        ("-data.amount == -5", True),
        ("'a' < 'b'", True),
    ],
)
def test_expression_has_the_value_that_it_has_in_python(text: str, value: object) -> None:
    assert Expression(text, "a guard").evaluate(Scope()) == value


@pytest.mark.parametrize("text", ["total < none", "word + 1", "yes + 1", "-word"])
def test_expression_of_values_that_do_not_go_together_says_so(text: str) -> None:
    with pytest.raises(InvalidValueError, match="cannot be evaluated"):
        Expression(text, "a guard").evaluate(Scope())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "total.__class__",
        "data.a.b",
        "data['a']",
        "lambda: 1",
        "2 ** 9",
        "'a' * 9",
        "[1]",
        "b'a'",
        "yes if yes else yes",
        "total in word",
        "(",
        "",
        "In(total)",
        "~total",
        "-" * MAX_EXPRESSION,
        " " * MAX_EXPRESSION + "1",
    ],
)
def test_expression_can_do_no_more_than_look_and_compare(text: str) -> None:
    with pytest.raises(SchemaError):
        Expression(text, "a guard")


def test_examples_of_the_page_that_need_no_server_run() -> None:
    found = [source for _line, source in blocks(ROOT / "docs/agents-machines.md") if "127.0.0.1" not in source]
    assert found
    for source in found:
        exec(source, {"__name__": "page"})
