"""Plain JSON: values and whole states as JSON data and back, without a loss."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp
from pydantic import BaseModel

from comity.crdt_types import GSet, List, Log, Map, ORSet, Register, State, StateDocument
from comity.crdt_types.document.values import pack
from comity.crdt_types.errors import InvalidValueError
from comity.crdt_types.views.plain import from_json, to_json
from tests.support.profiles import examples
from tests.support.world import EDITS, GROWING, Task, World, make

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(["$", "$bytes", "$$a", "$map"])
KEYS = TEXTS | st.integers(-3, 3) | st.binary(max_size=2) | st.booleans() | st.floats(allow_nan=False)
FLOATS = st.floats(allow_nan=False) | st.just(math.nan)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), FLOATS, TEXTS, st.binary(max_size=5))
STORED = st.recursive(
    SCALARS | st.builds(ExtType, st.integers(0, 127), st.binary(max_size=3)),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3) | st.dictionaries(KEYS, values)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(300, 20000))
@given(STORED)
def test_json_of_a_value_stands_for_it_without_a_loss(value: Any) -> None:
    data = json.loads(json.dumps(to_json(value), allow_nan=False))
    assert pack(from_json(data)) == pack(value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (5.0, 5.0),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (-math.inf, {"$float": "-inf"}),
        (b"\x00\xff", {"$bytes": "AP8="}),
        ({"$a": 1, "$$": 2}, {"$$a": 1, "$$$": 2}),
        ({1: "x", "a": 2}, {"$map": [[1, "x"], ["a", 2]]}),
        ({}, {}),
        ((1, {2}), [1, [2]]),
        (date(2025, 5, 1), "2025-05-01"),
        (Timestamp(3, 4), {"$ext": [-1, "AAAAEAAAAAM="]}),
    ],
)
def test_json_of_a_value_is_what_it_says(value: Any, data: Any) -> None:
    assert json.dumps(to_json(value)) == json.dumps(data)
    assert pack(from_json(data)) == pack(value)


@pytest.mark.parametrize(
    "data",
    [
        {"$bytes": "?"},
        {"$bytes": 5},
        {"$float": "1"},
        {"$float": []},
        {"$map": [[1]]},
        {"$map": [[[], 1]]},
        {"$map": 1},
        {"$ext": [-1, "AA=="]},
        {"$ext": [900, ""]},
        {"$other": 1},
        {"$bytes": "", "a": 1},
        {1: 2},
        {"a": {1, 2}},
        [object()],
    ],
)
def test_json_that_stands_for_nothing_is_refused(data: Any) -> None:
    with pytest.raises(InvalidValueError):
        from_json(data)


def test_value_that_cannot_be_stored_has_no_json() -> None:
    with pytest.raises(InvalidValueError):
        to_json(object())


def same(one: State, other: State) -> bool:
    return one.to_dict(defaults=False) == other.to_dict(defaults=False) and one.to_json() == other.to_json()


@settings(max_examples=examples(100, 4000))
@given(st.lists(EDITS | GROWING, max_size=25))
def test_json_of_a_state_makes_it_again(edits: list[Any]) -> None:
    state = World()
    for edit in edits:
        make(state, edit)
    data = json.loads(json.dumps(state.to_json(), allow_nan=False))
    again = World.from_json(data)
    assert same(again, state)
    assert json.dumps(again.to_json()) == json.dumps(data)


@settings(max_examples=examples(60, 3000))
@given(st.lists(EDITS, max_size=12), st.lists(EDITS, max_size=12))
def test_assign_json_replaces_one_state_by_another_or_leaves_it_as_it_is(one: list[Any], other: list[Any]) -> None:
    state, goal = World(), World()
    for edit in one:
        make(state, edit)
    for edit in other:
        make(goal, edit)
    before = state.to_json()
    updates: list[bytes] = []
    state.document.on_commit(lambda commit: updates.append(commit.update))
    refusal = ""
    try:
        state.assign_json(goal.to_json(), others=True)
    except InvalidValueError as error:
        refusal = error.what
    if refusal:
        assert refusal == "items in the middle would change"
        assert state.to_json() == before
        assert not updates
    else:
        assert same(state, goal)
        assert len(updates) <= 1
        assert updates or before == goal.to_json()


class Colour(Enum):
    RED = "red"


class Point(BaseModel):
    at: datetime
    cost: Decimal = Decimal("1.50")
    colour: Colour = Colour.RED


class Typed(State):
    at: Register[datetime]
    day: Register[date]
    hour: Register[time]
    length: Register[timedelta]
    price: Register[Decimal]
    id: Register[UUID]
    colour: Register[Colour]
    maybe: Register[int | None]
    raw: Register[bytes]
    real: Register[float]
    point: Register[Point]
    points: Map[Point]
    days: ORSet[date]
    ids: GSet[UUID]
    log: Log[Point]
    items: List[tuple[int, date]]


def test_json_of_a_state_makes_its_types_again() -> None:
    moment = datetime(2025, 5, 1, 12, tzinfo=UTC)
    day, key = moment.date(), UUID(int=5)
    point = Point(at=moment)
    state = Typed(
        at=moment,
        day=day,
        hour=moment.timetz(),
        length=timedelta(seconds=1.5),
        price=Decimal("0.10"),
        id=key,
        colour=Colour.RED,
        maybe=None,
        raw=b"\xff",
        real=math.inf,
        point=point,
        points={"a": point},
        days={day},
        ids={key},
        log=[point],
        items=[(1, day)],
    )
    again = Typed.from_json(json.loads(json.dumps(state.to_json())))
    assert again.to_dict() == state.to_dict()
    assert (again.at.value, again.point.value, again.colour.value) == (moment, point, Colour.RED)
    assert (list(again.days), list(again.log), list(again.items)) == ([day], [point], [(1, day)])
    assert again.maybe.is_set


def test_register_that_is_not_set_is_left_out() -> None:
    state = World()
    assert state.goal.value == "none"
    assert "goal" not in state.to_json()
    state.goal.set(None)
    assert state.to_json()["goal"] is None
    assert World.from_json(state.to_json()).goal.is_set


def test_json_passes_over_what_does_not_fit_as_reading_does() -> None:
    state = World()
    document = state.document
    state.profile.name.set("ann")
    document.apply(_written_by_another(document, "profile/name", 5))
    document.set_cell("steps", "a", 1)
    document.add_element("known", 7)
    document.append_item("tasks/t/log", "x")
    data = state.to_json()
    assert data["profile"] == {"name": "ann", "visits": 0}
    assert data["known"] == state.known.value == []
    assert data["tasks"]["t"]["log"] == ["x"]


def _written_by_another(document: StateDocument, field: str, value: Any) -> bytes:
    other = StateDocument(update=document.update_since())
    other.set_register(field, value)
    return other.update_since(document.state_vector())


@pytest.mark.parametrize(
    "data",
    [
        {"nothing": 1},
        {"steps": 5},
        {"items": "abc"},
        {"tags": {"a": 1}},
        {"spent": 1.5},
        {"notes": 5},
        {"profile": []},
        {"tasks": {"a": 5}},
        {"tasks": {"a": {"points": "12"}}},
        {"goal": {"$bytes": "?"}},
        [],
    ],
)
def test_json_that_does_not_fit_is_refused_whole(data: Any) -> None:
    state = World(goal="x", items=[1])
    before = state.to_json()
    with pytest.raises(InvalidValueError):
        state.assign_json({"goal": "y", **data} if isinstance(data, dict) else data)
    assert state.to_json() == before


def test_assign_json_takes_what_only_grows_no_further_back() -> None:
    state = World(known=["a"], views=2)
    with pytest.raises(InvalidValueError, match="only grows"):
        state.assign_json({}, others=True)
    with pytest.raises(InvalidValueError):
        state.assign_json({"views": 1})
    state.assign_json({"views": 5, "known": ["a", "b"]})
    assert (state.views.value, list(state.known)) == (5, ["a", "b"])


def test_json_of_a_row_is_an_object() -> None:
    state = World()
    state.tasks["$a/b"] = Task(title="x", spent=2)
    row = {"title": "x", "spent": 2, "marks": [], "seen": [], "reads": 0, "log": [], "points": [], "notes": ""}
    assert state.to_json()["tasks"] == {"$$a/b": row}
    assert state.tasks["$a/b"].to_json() == row
