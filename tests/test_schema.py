"""State classes: what may be declared, and what an opened state can do."""

from typing import Any

import pytest

from comity.crdt_types import Counter, Log, Map, ORSet, Register, State, StateDocument, Text
from comity.crdt_types.errors import NotConnectedError, SchemaError, StateError


class Mission(State):
    goal: Register[str] = Register(default="none")
    steps: Map[str]
    tags: ORSet[str]
    spent: Counter
    log: Log[str]
    notes: Text


class Expedition(Mission):
    crew: ORSet[str]


def test_state_has_its_fields_and_those_of_its_bases() -> None:
    state = Expedition()
    assert state.to_dict() == {
        "goal": "none", "steps": {}, "tags": [], "spent": 0, "log": [], "notes": "", "crew": [],
    }  # fmt: skip
    assert repr(Mission()) == "Mission(goal='none', steps={}, tags=[], spent=0, log=[], notes='')"


def test_states_of_several_classes_may_share_a_document() -> None:
    class Goal(State):
        goal: Register[str]

    document = StateDocument()
    Mission(document).goal.set("shared")
    assert Goal(document).goal.value == "shared"


def test_state_without_types_takes_anything_that_can_be_stored() -> None:
    class Loose(State):
        any: Register  # type: ignore[type-arg]
        things: Map  # type: ignore[type-arg]

    loose = Loose()
    loose.any.set({"a": [1]})
    loose.things["x"] = b"1"
    assert loose.to_dict() == {"any": {"a": [1]}, "things": {"x": b"1"}}


@pytest.mark.parametrize("name", ["transaction", "document", "to_dict", "lanes", "_private", "on_change"])
def test_state_refuses_fields_of_names_it_needs(name: str) -> None:
    with pytest.raises(SchemaError, match="name"):
        type("Broken", (State,), {"__annotations__": {name: Counter}})


@pytest.mark.parametrize("annotation", [int, "Unknown", "Register[Unknown]", list[int], State, Any])
def test_state_refuses_annotations_that_are_no_fields(annotation: Any) -> None:
    broken = type("Broken", (State,), {"__annotations__": {"field": annotation}})
    with pytest.raises(SchemaError):
        broken()


def test_state_refuses_a_declaration_of_another_kind() -> None:
    broken = type("Broken", (State,), {"__annotations__": {"field": Counter}, "field": Register(default=1)})
    with pytest.raises(SchemaError):
        broken()


def test_state_refuses_assignment_to_fields_and_to_anything_else() -> None:
    mission = Mission()
    with pytest.raises(StateError, match="assigned"):
        mission.goal = Register(default="x")
    with pytest.raises(StateError):
        mission.other = 1
    mission.tags |= {"a"}
    assert "a" in mission.tags


def test_states_of_one_class_hold_their_own() -> None:
    one, two = Mission(), Mission()
    one.goal.set("one")
    assert two.goal.value == "none"
    assert one.document is not two.document


async def test_state_without_a_client_says_so_when_asked_for_one() -> None:
    mission = Mission()
    with pytest.raises(NotConnectedError):
        _ = mission.replica
    with pytest.raises(NotConnectedError):
        await mission.durable()
    with pytest.raises(NotConnectedError):
        await mission.synced()


def test_schema_refuses_a_field_without_an_annotation_and_one_of_two_types() -> None:
    with pytest.raises(SchemaError, match="annotation"):
        type("Bare", (State,), {"status": Register(default="idle")})

    class Two(State):
        steps: Map[str, int]  # type: ignore[type-arg]  # pyright: ignore[reportInvalidTypeArguments]

    with pytest.raises(SchemaError, match="one type"):
        Two()
