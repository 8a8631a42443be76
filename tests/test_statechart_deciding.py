"""What one decision about a machine writes, and when there is none to make."""

from collections import ChainMap
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import StateDocument
from comity.clients.agents.machines import deciding
from comity.clients.agents.machines.chart import Chart
from comity.clients.agents.machines.definition import MachineDefinition
from comity.clients.agents.machines.functions import Functions
from comity.clients.agents.machines.record import BEGINNING, UPGRADE, Entered, Timeout, Transition, Unfinished
from comity.clients.agents.machines.run import Cause
from comity.clients.agents.machines.state import MachineState
from comity.crdt_types.errors import SchemaError, StateError, TransitionRefusedError
from tests.support.charts import EndlessError, definitions, journeys, oracle

ROUND: dict[str, Any] = {"a": {"on": {"next": "b"}}, "b": {"on": {"next": "a"}}}


def nothing(_transition: Transition) -> None:
    """Be an action."""


class Decided:
    """A machine in memory, every decision of which is granted."""

    def __init__(self, states: dict[str, Any], *actions: str, **context: Any) -> None:
        self._functions = Functions(actions=dict.fromkeys(actions, nothing))
        self.chart = self._chart(states, context)
        self.state = MachineState(StateDocument(agent="ana"))
        self.now = 1000
        self.upgrade(states, None, **context)

    def _chart(self, states: dict[str, Any], context: dict[str, Any]) -> Chart:
        data = {"name": "m", "initial": next(iter(states)), "states": states, "context": context}
        return Chart(MachineDefinition.load(data), self._functions)

    def upgrade(self, states: dict[str, Any], names: Mapping[str, str] | None, **context: Any) -> Transition | None:
        chart = self._chart(states, context)
        with self.state.transaction():
            made = deciding.begin(self.state, chart, Cause("", {}, "ana", "", self.now), names)
        self.chart = chart
        return made

    def fire(self, event: str, seen: Mapping[str, int] | None = None, **data: Any) -> Transition:
        cause = Cause(event, data, "bob", "because", self.now)
        with self.state.transaction():
            return deciding.fire(self.state, self.chart, cause, self.seen if seen is None else seen)

    def expire(self, key: str, timeout: Timeout) -> Transition | None:
        with self.state.transaction():
            return deciding.expire(self.state, self.chart, Cause(timeout.event, {}, "bob", "", self.now), key, timeout)

    @property
    def seen(self) -> dict[str, int]:
        return self.state.occupancy()

    @property
    def active(self) -> list[str]:
        return self.state.configuration.get([])


@settings(max_examples=40)
@given(definitions(), st.data())
def test_decisions_go_where_the_library_goes_with_a_machine_that_lives_all_along(
    definition: dict[str, Any], data: st.DataObject
) -> None:
    machine, expected = Decided(definition["states"], **definition["context"]), oracle(definition)
    for event in data.draw(journeys(definition)):
        expected.model.steps = 0
        try:
            expected.send(event)
        except EndlessError:
            with pytest.raises(StateError, match="circle"):
                machine.fire(event)
            return
        with suppress(TransitionRefusedError):  # of an event that no state takes; the library says nothing then
            machine.fire(event)
        assert set(machine.active) == set(machine.seen) == set(expected.configuration_values)
        assert machine.state.context == {"n": expected.model.n}
        assert machine.state.finished == expected.is_terminated
    journal = list(machine.state.journal)
    assert [made.number for made in journal] == list(range(1, len(journal) + 1))
    assert all(before.target == made.source for before, made in pairwise(journal))
    assert ChainMap(*(made.context for made in reversed(journal))) == machine.state.context


def test_decision_is_recorded_with_who_and_why() -> None:
    machine = Decided(
        {
            "a": {"on": {"go": {"target": "b", "actions": ["tell", {"assign": {"n": "data.to"}}]}}},
            "b": {"type": "final"},
        },
        "tell",
        n=0,
        m=0,
    )
    machine.now = 2000
    made = machine.fire("go", to=5)
    assert made == Transition(2, "go", ["a"], ["b"], "bob", "because", 2000, {"to": 5}, {"n": 5}, ["tell"])
    first = Transition(1, BEGINNING, [], ["a"], "ana", "", 1000, {}, {"n": 0, "m": 0})
    assert list(machine.state.journal) == [first, made]
    assert machine.state.to_dict() | {"definition": None, "journal": None} == {
        "definition": None,
        "configuration": ["b"],
        "finished": True,
        "number": 2,
        "context": {"m": 0, "n": 5},
        "entered": {"b": Entered(2, 2000)},
        "history": {},
        "timeouts": {},
        "unfinished": {"2": Unfinished("bob", ["tell"])},
        "journal": None,
    }


def test_decision_that_is_refused_says_where_the_machine_is_and_who_brought_it_there() -> None:
    machine = Decided({"a": {"on": {"go": "b"}}, "b": {"on": {"back": "a"}}})
    machine.fire("go")
    with pytest.raises(TransitionRefusedError) as caught:
        machine.fire("go")
    assert (caught.value.configuration, caught.value.by) == (("b",), "bob")
    assert "it is in b, where bob brought it by 'go'" in str(caught.value)
    assert machine.state.number.value == 2


def test_decision_means_the_stay_in_a_state_that_was_seen_and_not_a_later_one() -> None:
    machine = Decided(ROUND)
    seen = machine.seen
    machine.fire("next", seen)
    with pytest.raises(TransitionRefusedError, match="another agent was first"):
        machine.fire("next", seen)
    machine.fire("next")
    assert machine.active == ["a"]
    with pytest.raises(TransitionRefusedError, match="another agent was first"):
        machine.fire("next", seen)


def test_decision_to_leave_a_state_holds_whatever_goes_on_inside_of_it() -> None:
    inside: dict[str, Any] = {"c": {"on": {"next": "d"}}, "d": {}}
    machine = Decided({"a": {"initial": "c", "states": inside, "on": {"cancel": "b"}}, "b": {}})
    seen = machine.seen
    machine.fire("next", seen)
    machine.fire("cancel", seen)
    assert machine.active == ["b"]


def test_decision_to_move_what_is_inside_of_a_state_is_made_once() -> None:
    reset = {"target": "c", "internal": True}
    machine = Decided({"a": {"initial": "c", "states": {"c": {"on": {"next": "d"}}, "d": {}}, "on": {"reset": reset}}})
    machine.fire("next")
    seen = machine.seen
    machine.fire("reset", seen)
    with pytest.raises(TransitionRefusedError, match="another agent was first"):
        machine.fire("reset", seen)


def test_decisions_that_leave_no_state_are_all_made() -> None:
    machine = Decided({"a": {"on": {"vote": {"actions": {"assign": {"votes": "votes + 1"}}}}}}, votes=0)
    seen = machine.seen
    for _ in range(3):
        machine.fire("vote", seen)
    assert machine.state.context["votes"] == 3


def test_decisions_in_two_regions_of_a_parallel_state_do_not_stand_in_each_others_way() -> None:
    left = {"initial": "a", "states": {"a": {"on": {"l": "b"}}, "b": {}}}
    right = {"initial": "c", "states": {"c": {"on": {"r": "d"}}, "d": {}}}
    machine = Decided({"p": {"type": "parallel", "states": {"left": left, "right": right}}})
    seen = machine.seen
    machine.fire("l", seen)
    machine.fire("r", seen)
    assert set(machine.active) == {"p", "left", "right", "b", "d"}


LATE: dict[str, Any] = {
    "a": {
        "timeouts": [{"after": 2.5, "event": "late"}, {"after": 1, "event": "remind"}],
        "on": {"late": "b", "remind": {"actions": "tell"}, "again": "a"},
    },
    "b": {},
}


def test_timeouts_are_set_when_a_state_is_entered_and_gone_when_it_is_left() -> None:
    machine = Decided(LATE, "tell")
    assert machine.state.timeouts == {"a/0": Timeout("a", "late", 3500), "a/1": Timeout("a", "remind", 2000)}
    machine.now = 1700
    machine.fire("again")
    assert machine.state.timeouts == {"a/0": Timeout("a", "late", 4200), "a/1": Timeout("a", "remind", 2700)}
    machine.fire("late")
    assert machine.state.timeouts == {}


def test_timeout_comes_once_while_its_state_is_active() -> None:
    machine = Decided(LATE, "tell")
    remind = machine.state.timeouts["a/1"]
    made = machine.expire("a/1", remind)
    assert made is not None
    assert (made.event, made.is_timeout, made.actions) == ("remind", True, ["tell"])
    assert list(machine.state.timeouts) == ["a/0"]
    with pytest.raises(TransitionRefusedError, match="another agent was first"):
        machine.expire("a/1", remind)


def test_timeout_that_no_state_takes_is_over_without_a_transition() -> None:
    guarded = {"timeouts": [{"after": 1, "event": "late"}], "on": {"late": {"target": "b", "guard": "n > 0"}}}
    machine = Decided({"a": guarded, "b": {}}, n=0)
    assert machine.expire("a/0", machine.state.timeouts["a/0"]) is None
    assert (machine.active, machine.state.timeouts.value, machine.state.number.value) == (["a"], {}, 1)


def test_upgrade_takes_states_and_context_along() -> None:
    machine = Decided(LATE, "tell", kept=1, gone=2)
    machine.fire("again")
    machine.expire("a/1", machine.state.timeouts["a/1"])
    machine.now = 9000
    first = {**LATE["a"], "on": {**LATE["a"]["on"], "again": "first"}}
    newer: dict[str, Any] = {"waiting": {"initial": "first", "states": {"first": first}}, "b": {}}
    with pytest.raises(SchemaError, match="holds another definition"):
        machine.upgrade(newer, None, kept=0, new=3)
    with pytest.raises(SchemaError, match="the machine is in 'a', which has no place"):
        machine.upgrade(newer, {}, kept=0, new=3)
    made = machine.upgrade(newer, {"a": "first"}, kept=0, new=3)
    assert made is not None
    assert (made.event, made.source, made.target) == (UPGRADE, ["a"], ["waiting", "first"])
    assert machine.state.context == {"kept": 1, "new": 3}
    assert machine.state.entered == {"first": Entered(2, 1000), "waiting": Entered(4, 9000)}
    assert machine.state.timeouts == {"first/0": Timeout("first", "late", 3500)}, "the reminder came already"
    machine.fire("late")
    assert machine.active == ["b"]


def test_upgrade_keeps_what_history_states_remember_that_still_are() -> None:
    inside: dict[str, Any] = {"c": {"on": {"next": "d"}}, "d": {}, "h": {"type": "history", "target": "c"}}
    older = {"a": {"initial": "c", "states": inside, "on": {"pause": "p"}}, "p": {"on": {"resume": "h"}}}
    machine = Decided(older)
    machine.fire("next")
    machine.fire("pause")
    machine.upgrade({**older, "q": {"on": {"x": "p"}}, "p": {"on": {"resume": "h", "q": "q"}}}, {})
    machine.fire("resume")
    assert machine.active == ["a", "d"]


def test_decisions_by_another_definition_than_the_document_holds_are_refused() -> None:
    machine = Decided(ROUND)
    older = machine.chart
    machine.upgrade({**ROUND, "b": {"on": {"next": "a", "stay": "b"}}}, {})
    machine.chart = older
    with pytest.raises(SchemaError, match="holds another definition"):
        machine.fire("next")
