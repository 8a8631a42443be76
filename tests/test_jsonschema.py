"""JSON Schema: out of State classes and into them again, and documents that both sides read."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from comity.crdt_types import (
    Counter,
    GCounter,
    GSet,
    List,
    Log,
    Map,
    ORSet,
    Register,
    State,
    StateDocument,
    Text,
    first_writer,
    last_writer,
    merge,
)
from comity.crdt_types.errors import InvalidValueError, SchemaError
from comity.crdt_types.schema.jsonschema import state_class
from comity.crdt_types.schema.migration import migration
from tests.support.profiles import examples


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    y: float = 0.5
    label: str | None = None
    children: list["Point"] = []


class Person(State):
    name: Register[str]
    friends: Map["Person"]
    about: Text


class Whole(State, name="whole", version=3):
    text: Register[str] = Register(default="none", on_conflict=first_writer)
    number: Register[Annotated[int, Field(ge=1, le=5)]] = Register(on_conflict=last_writer)
    ratio: Register[float] = Register(default=0.5)
    flag: Register[bool] = Register(default=False)
    raw: Register[bytes] = Register(default=b"\x00")
    anything: Register[Any]
    color: Register[Color] = Register(default=Color.RED)
    either: Register[int | str | None]
    word: Register[Literal["a", "b"]]
    day: Register[date]
    moment: Register[datetime]
    hour: Register[time]
    took: Register[timedelta] = Register(default=timedelta(seconds=90))
    price: Register[Decimal]
    id: Register[UUID]
    point: Register[Point] = Register(default=Point(x=1))
    pair: Register[tuple[int, str]]
    choices: Register[set[int]]
    points: Map[Point]
    table: Map[dict[str, list[int]]] = Map(on_conflict=merge(lambda conflict: conflict.values[0]))
    tags: ORSet[str]
    seen: GSet[int]
    spent: Counter
    steps: GCounter
    journal: Log[Point]
    order: List[Color]
    notes: Text
    owner: Person
    people: Map[Person]


def imported(cls: type[State]) -> type[State]:
    """Return the class that comes of a class by way of JSON text."""
    return state_class(json.loads(json.dumps(cls.json_schema())))


Again = imported(Whole)
SCHEMA = Whole.json_schema()


def test_json_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert (SCHEMA["title"], SCHEMA["x-comity-version"], SCHEMA["type"]) == ("whole", 3, "object")
    assert list(SCHEMA["properties"]) == list(Whole().to_dict())
    assert SCHEMA["properties"]["number"] == {
        "type": "integer", "minimum": 1, "maximum": 5, "x-comity": {"type": "register", "on_conflict": "last_writer"},
    }  # fmt: skip
    assert SCHEMA["properties"]["text"]["x-comity"]["default"] == "none"
    assert SCHEMA["properties"]["tags"] == {
        "type": "array", "items": {"type": "string"}, "uniqueItems": True, "x-comity": {"type": "orset"},
    }  # fmt: skip
    assert SCHEMA["properties"]["owner"] == {"$ref": "#/$defs/Person", "x-comity": {"type": "state"}}
    assert SCHEMA["properties"]["people"]["additionalProperties"] == {"$ref": "#/$defs/Person"}
    assert set(SCHEMA["$defs"]) == {"Point", "Person"}


def test_class_from_a_schema_exports_the_same_schema() -> None:
    assert Again.json_schema() == SCHEMA


def test_json_schema_describes_plain_values() -> None:
    class Simple(State):
        title: Register[str]
        points: Map[Point]
        tags: ORSet[str]
        owner: Person
        people: Map[Person]
        spent: Counter

    validator: Any = Draft202012Validator(Simple.json_schema())
    good = {"title": "x", "points": {"a": {"x": 1}}, "tags": ["t"], "owner": {"name": "n", "friends": {}}, "spent": 3}
    validator.validate(good)
    bads: list[dict[str, Any]] = [
        {"title": 1},
        {"points": {"a": {}}},
        {"tags": [1]},
        {"people": {"a": {"name": 1}}},
        {"spent": "x"},
    ]
    for bad in bads:
        assert not validator.is_valid({**good, **bad})


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=4),
    "number": st.integers(1, 5),
    "ratio": st.floats(allow_nan=False, allow_infinity=False),
    "flag": st.booleans(),
    "raw": st.binary(max_size=4),
    "anything": st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.binary(max_size=2), st.lists),
    "color": st.sampled_from(Color),
    "either": st.none() | st.integers(-9, 9) | st.text(max_size=2),
    "word": st.sampled_from(["a", "b"]),
    "day": st.dates(),
    "moment": st.datetimes(timezones=st.just(UTC)),
    "hour": st.times(),
    "took": st.timedeltas(timedelta(0), timedelta(days=9)),
    "price": st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=99),
    "id": st.uuids(),
    "point": st.builds(Point, x=st.integers(-9, 9), label=st.none() | st.text(max_size=2)),
    "pair": st.tuples(st.integers(-9, 9), st.text(max_size=2)),
    "choices": st.sets(st.integers(-9, 9), max_size=3),
    "points": st.dictionaries(st.text(max_size=2), st.builds(Point, x=st.integers(-9, 9)), max_size=2),
    "table": st.dictionaries(st.text(max_size=2), st.just({"k": [1, 2]}), max_size=2),
    "tags": st.sets(st.text(max_size=2), max_size=3),
    "seen": st.sets(st.integers(-9, 9), max_size=3),
    "spent": st.integers(-9, 9),
    "steps": st.integers(0, 9),
    "journal": st.lists(st.builds(Point, x=st.integers(-9, 9)), max_size=2),
    "order": st.lists(st.sampled_from(Color), max_size=3),
    "notes": st.text(alphabet="abc", max_size=5),
    "owner": st.fixed_dictionaries({"name": st.text(max_size=3), "about": st.text(alphabet="ab", max_size=3)}),
    "people": st.dictionaries(
        st.text(max_size=2),
        st.fixed_dictionaries({"name": st.text(max_size=3), "friends": st.just({"f": {"name": "F"}})}),
        max_size=2,
    ),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
@settings(max_examples=examples(25, 1500), deadline=None)
def test_class_from_a_schema_reads_and_writes_documents_of_the_exporting_one(values: dict[str, Any]) -> None:
    state = Whole(StateDocument(agent="whole"), None, **values)
    again = Again(StateDocument(update=state.document.update_since()))
    assert not again.violations()
    copy = Again(StateDocument(agent="again"), None, **again.to_dict())
    back = Whole(StateDocument(update=copy.document.update_since()))
    assert not back.violations()
    assert back.to_dict() == state.to_dict()
    assert copy.to_dict() == again.to_dict()


def test_class_from_a_schema_refuses_what_the_exporting_one_does() -> None:
    again: Any = Again()
    for name, value in (
        ("text", 1), ("number", 6), ("number", 1.5), ("ratio", "x"), ("flag", 1), ("color", "green"), ("word", "c"),
        ("day", "tomorrow"), ("took", "x"), ("point", {"y": 1.0}), ("pair", [1]), ("choices", ["x"]), ("raw", 1),
    ):  # fmt: skip
        with pytest.raises(InvalidValueError, match=f"^{name}: "):
            getattr(again, name).set(value)
    with pytest.raises(InvalidValueError, match="'x' is a required property"):
        again.points["a"] = {}
    with pytest.raises(InvalidValueError):
        again.people["a"] = {"name": 1}
    with pytest.raises(InvalidValueError):
        again.tags.add(1)
    with pytest.raises(InvalidValueError):
        again.steps.add(-1)
    assert again.to_dict() == Again().to_dict()


def test_class_from_a_schema_reports_what_others_wrote_amiss() -> None:
    again: Any = Again(StateDocument(agent="me"))
    again.number.set(3)
    rude = StateDocument(agent="rude", update=again.document.update_since())
    rude.set_register("number", 9)
    again.document.apply(rude.update_since())
    assert again.number.value == 3
    (violation,) = again.violations()
    assert (violation.field, violation.author) == ("number", "rude")
    assert "maximum" in violation.problem


def test_class_from_a_schema_has_the_name_and_version_and_knows_who_can_read_it() -> None:
    step = migration(2, 3, backward=False)(lambda old, new: None)

    class Third(State, name="thing", version=3, migrations=[step]):
        goal: Register[str]

    class Second(State, name="thing", version=2):
        goal: Register[str]

    state: Any = imported(Third)(StateDocument())
    state.goal.set("x")
    with pytest.raises(SchemaError, match="version 3 or later"):
        Second(StateDocument(update=state.document.update_since()))
    assert Third(StateDocument(update=state.document.update_since())).goal.value == "x"

    class Plain(State):
        goal: Register[str]

    plain: Any = imported(Plain)()
    plain.goal.set("x")
    assert type(plain).__name__ == "Plain"
    assert not plain.document.index.cells(1, "$schema")


FOREIGN = {
    "title": "Ticket",
    "type": "object",
    "required": ["title"],
    "$defs": {
        "address": {"type": "object", "properties": {"street": {"type": "string"}, "no/~%ü": {"type": "integer"}}},
        "short": {"type": "string", "maxLength": 3},
    },
    "properties": {
        "title": {"type": "string", "default": "untitled"},
        "code": {"$ref": "#/$defs/short"},
        "home": {"$ref": "#/$defs/address"},
        "others": {"type": "object", "additionalProperties": {"$ref": "#/$defs/address"}},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
        "open": {"type": "object"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/short"}},
        "loose": {"type": "array"},
        "kind": {"enum": ["bug", "wish"]},
        "votes": {"type": "integer", "x-comity": {"type": "counter"}},
        "any": {},
    },
}


def test_properties_that_do_not_say_what_they_are_get_the_obvious_type() -> None:
    state: Any = state_class(FOREIGN)()
    fields = {name: type(field).__name__ for name, field in state._fields.items()}
    assert fields == {
        "title": "Register", "code": "Register", "home": "address", "others": "RowMap", "scores": "Map", "open": "Map",
        "tags": "List", "loose": "List", "kind": "Register", "votes": "Counter", "any": "Register",
    } | {"home": "home"}  # fmt: skip
    assert state.title.value == "untitled"
    state.assign({"code": "abc", "home": {"street": "s", "no/~%ü": 4}, "others": {"a": {"no/~%ü": 5}}, "tags": ["x"]})
    assert state.others["a"].to_dict() == {"street": None, "no/~%ü": 5}
    with pytest.raises(InvalidValueError, match="too long"):
        state.code.set("abcd")
    with pytest.raises(InvalidValueError, match="too long"):
        state.tags.append("abcd")
    with pytest.raises(InvalidValueError):
        state.home.assign({"no/~%ü": "x"})
    with pytest.raises(InvalidValueError):
        state.scores["a"] = "x"
    with pytest.raises(InvalidValueError, match="'bug'"):
        state.kind.set("other")
    state.loose.append({"anything": [1]})
    state.open["x"] = None


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "nothing"}, "no JSON Schema"),
        ({"type": "object"}, "without properties"),
        ({"properties": {"a": {"$ref": "#/$defs/missing"}}}, "nothing is there"),
        ({"properties": {"a": {"$ref": "https://example.org/other"}}}, "a reference to"),
        ({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}}, "a reference to"),
        ({"properties": {"transaction": {}}}, "may not bear this name"),
        ({"properties": {"_hidden": {}}}, "may not bear this name"),
        ({"properties": {"a": {"x-comity": {"type": "tree"}}}}, "no type 'tree'"),
        ({"properties": {"a": {"x-comity": {"type": "state"}}}}, "without properties"),
        ({"properties": {"a": {}}, "x-comity-version": "x"}, "is no version"),
        ([], "no JSON Schema"),
    ],
)
def test_schemas_that_make_no_state_are_refused(schema: Any, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        state_class(schema)


def test_default_that_does_not_match_is_refused() -> None:
    cls = state_class({"properties": {"a": {"type": "integer", "default": "x"}}})
    with pytest.raises(SchemaError, match="default"):
        cls()


def test_type_without_a_json_schema_is_refused() -> None:
    class Odd(State):
        call: Register[type]

    with pytest.raises(SchemaError, match="call: its type has no JSON Schema"):
        Odd.json_schema()


def test_definitions_of_one_name_are_kept_apart() -> None:
    def model(kind: Any) -> Any:
        return type("Thing", (BaseModel,), {"__annotations__": {"value": kind}, "__module__": __name__})

    class Thing(State):
        other: Register[bool]

    number, text = model(int), model(str)
    annotations = {"numbers": Map[list[number]], "texts": Map[list[text]], "state": Thing}  # type: ignore[valid-type]  # pyright: ignore[reportInvalidTypeForm]
    Named: type[State] = type("Named", (State,), {"__annotations__": annotations})  # noqa: N806

    schema = Named.json_schema()
    assert set(schema["$defs"]) == {"Thing", "Thing-2", "Thing-3"}
    state: Any = state_class(schema)()
    state.numbers["a"] = [{"value": 1}]
    state.texts["a"] = [{"value": "x"}]
    state.state.other.set(True)
    with pytest.raises(InvalidValueError):
        state.texts["a"] = [{"value": 1}]
    with pytest.raises(InvalidValueError):
        state.numbers["a"] = [{"value": "x"}]
