"""State classes: what may be declared, and what an opened state can do."""

from typing import Any

import pytest

from comity.crdt_types import (
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


# What others wrote ----------------------------------------------------------------------------------------------


class Row(State):
    count: Register[int]


class Typed(State):
    plain: Register[int]
    default: Register[int] = Register(default=7)
    by_key: Map[int]
    items: List[int]
    elements: ORSet[int]
    journal: Log[int]
    rows: Map[Row]


def typed_and_rude() -> tuple[Typed, StateDocument]:
    """Return a state, and a document of what it holds in the hands of somebody who knows nothing of its class."""
    state = Typed(StateDocument(agent="me"))
    state.assign(
        {
            "plain": 1, "default": 2, "by_key": {"k": 3}, "items": [4, 5], "elements": [6], "journal": [7],
            "rows": {"r": {"count": 8}},
        }
    )  # fmt: skip
    return state, StateDocument(agent="rude", update=state.document.update_since())


def spoil(document: StateDocument, state: Typed, value: Any) -> None:
    with document.transaction():
        document.set_register("plain", value)
        document.set_register("default", value)
        document.set_cell("by_key", "k", value)
        document.put_item("items", state.items.id_of(0), value)
        document.add_element("elements", value)
        document.append_item("journal", value)
        document.set_register("rows/r/count", value)


PLACES = [
    ("plain", None), ("default", None), ("by_key", "k"), ("items", "?"), ("elements", "?"), ("journal", None),
    ("rows/r/count", None),
]  # fmt: skip


def test_last_sound_value_stands_in_for_what_does_not_fit() -> None:
    state, rude = typed_and_rude()
    before = state.to_dict()
    spoil(rude, state, "unsound")
    state.document.apply(rude.update_since())
    assert state.to_dict() == {**before, "journal": [7, "unsound"]}
    spoil(rude, state, ["worse"])
    state.document.apply(rude.update_since())
    assert state.to_dict() == {**before, "journal": [7, "unsound", ["worse"]]}
    assert state.rows["r"].count.value == 8
    assert len(state.by_key) == len(state.elements) == 1


def test_violations_tell_place_value_and_author_and_are_told_as_they_come() -> None:
    state, rude = typed_and_rude()
    told: list[Violation] = []
    state.on_violation(told.append)
    stop = state.on_violation(lambda _violation: 1 / 0)
    spoil(rude, state, "unsound")
    state.document.apply(rude.update_since())
    stop()
    found = state.violations()
    assert sorted(found) == sorted(told)
    assert [(each.value, each.author) for each in found] == [("unsound", "rude")] * len(PLACES)
    assert [each.field for each in found] == [field for field, _key in PLACES]
    assert [each.key for each in found if each.field in ("by_key", "items")] == ["k", state.items.id_of(0)]
    assert all("integer" in each.problem for each in found)
    state.document.apply(rude.update_since())
    assert len(told) == len(PLACES)


def test_sound_value_ends_what_stood_in_and_a_deletion_takes_it_away() -> None:
    state, rude = typed_and_rude()
    spoil(rude, state, "unsound")
    state.document.apply(rude.update_since())
    rude.set_register("plain", 10)
    rude.set_cell("by_key", "k", 30)
    rude.put_item("items", state.items.id_of(0), 40)
    rude.set_register("rows/r/count", 80)
    state.document.apply(rude.update_since())
    assert (state.plain.value, state.by_key["k"], state.items[0], state.rows["r"].count.value) == (10, 30, 40, 80)
    rude.set_register("plain", "unsound")
    rude.set_cell("by_key", "k", "unsound")
    state.document.apply(rude.update_since())
    assert (state.plain.value, state.by_key.value) == (10, {"k": 30})
    rude.clear_register("plain")
    rude.delete_cell("by_key", "k")
    rude.clear_register("default")
    state.document.apply(rude.update_since())
    assert (state.plain.value, state.by_key.value, state.default.value) == (None, {}, 7)


def test_what_never_was_sound_here_is_read_as_nothing() -> None:
    state, rude = typed_and_rude()
    spoil(rude, state, "unsound")
    late = Typed(StateDocument(update=rude.update_since()))
    assert (late.plain.value, late.default.value, late.by_key.value) == (None, 7, {})
    assert (list(late.elements), list(late.items), late.rows["r"].count.value) == ([6], ["unsound", 5], None)
    assert len(late.violations()) == len(PLACES)
    assert late.to_dict() == Typed(StateDocument(update=rude.update_since())).to_dict()


def test_local_write_ends_a_violation() -> None:
    state, rude = typed_and_rude()
    spoil(rude, state, "unsound")
    state.document.apply(rude.update_since())
    state.assign({"plain": 9, "default": 1, "by_key": {"k": 1}, "items": [1, 5], "rows": {"r": {"count": 1}}})
    assert [each.field for each in state.violations()] == ["elements", "journal"]
