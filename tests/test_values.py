"""Values: what fields accept, how it is stored, and how it is read back, be it sound or not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, Field, field_validator
from pydantic_core import core_schema

from comity.crdt_types import Log, Map, ORSet, Register, State, StateDocument
from comity.crdt_types.document.values import Codec, canonical, pack, unpack
from comity.crdt_types.errors import InvalidValueError, SchemaError
from tests.support.invariants import check

NAMES = st.text().filter(lambda name: name != "__proto__")  # which is refused
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=10,
)


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Task(BaseModel):
    title: str
    done: bool = False
    due: datetime | None = None
    tags: set[str] = set()
    level: Level = Level.LOW
    price: Decimal = Decimal("1.10")

    @field_validator("title")
    @classmethod
    def not_empty(cls, title: str) -> str:
        if not title:
            raise ValueError("a task needs a title")
        return title


class Typed(State):
    task: Register[Task]
    tasks: Map[Task]
    number: Register[Annotated[int, Field(ge=0, le=10)]]
    color: Register[Color]
    mode: Register[Literal["fast", "slow"]]
    when: Register[datetime]
    anything: Register[Any]
    codes: ORSet[UUID]
    points: Log[tuple[int, int]]
    lowered: Register[Annotated[str, BeforeValidator(lambda text: text.lower())]]


@given(PLAIN)
def test_plain_values_are_read_as_they_were_written_here_and_elsewhere(value: Any) -> None:
    state = Typed(StateDocument())
    state.anything.set(value)
    assert state.anything.value == value
    other = Typed(StateDocument(update=state.document.update_since()))
    assert other.anything.value == value
    assert type(other.anything.value) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Task, Task(title="dive", due=datetime(2025, 5, 1, tzinfo=UTC), tags={"b", "a"}, level=Level.HIGH)),
        (Color, Color.BLUE),
        (Level, Level.HIGH),
        (datetime, datetime(2025, 5, 1, 12, 30, 1, 5, tzinfo=UTC)),
        (date, date(2025, 5, 1)),
        (timedelta, timedelta(days=2, microseconds=3)),
        (UUID, UUID(int=7)),
        (Decimal, Decimal("3.140")),
        (PurePosixPath, PurePosixPath("/tmp/x")),
        (set[int], {3, 1, 2}),
        (frozenset[str], frozenset("ab")),
        (tuple[int, str], (1, "x")),
        (dict[str, list[Task]], {"a": [Task(title="x")]}),
        (dict[int, str], {1: "x"}),
        (int | None, None),
        (bytes, b"\x00\xff"),
        (float, 5),
    ],
    ids=lambda case: str(sorted(case) if isinstance(case, frozenset) else case)[:30],
)
def test_values_of_a_declared_type_round_trip(annotation: Any, value: Any) -> None:
    codec = Codec(annotation, "field")
    assert codec.read(unpack(pack(codec.checked(value)))) == value


def test_values_are_read_the_same_here_and_elsewhere() -> None:
    state = Typed(StateDocument())
    state.anything.set((1, (2, datetime(2025, 5, 1, tzinfo=UTC))))
    state.color.set(Color.RED)
    state.points.append((1, 2))
    other = Typed(StateDocument(update=state.document.update_since()))
    assert state.anything.value == other.anything.value == [1, [2, "2025-05-01T00:00:00+00:00"]]
    assert state.color.value is other.color.value is Color.RED
    assert state.points.value == other.points.value == [(1, 2)]


@pytest.mark.parametrize(
    "edit",
    [
        lambda state: state.number.set(11),
        lambda state: state.number.set("many"),
        lambda state: state.task.set({"title": ""}),
        lambda state: state.task.set({"done": True}),
        lambda state: state.tasks.update(good={"title": "x"}, bad={"title": ""}),
        lambda state: state.color.set("green"),
        lambda state: state.mode.set("medium"),
        lambda state: state.when.set("soon"),
        lambda state: state.codes.add("no uuid"),
        lambda state: state.points.append((1, 2, 3)),
        lambda state: state.anything.set(object()),
        lambda state: state.anything.set(2**64),
        lambda state: state.anything.set([{(1, 2): 3}]),
        lambda state: state.anything.set("\ud800"),
        lambda state: state.anything.set({"\ud800": 1}),
        lambda state: state.anything.set(nested(2000)),
        lambda state: state.tasks.__setitem__(5, {"title": "x"}),
        lambda state: state.tasks.__setitem__("\ud800", {"title": "x"}),
    ],
)
def test_value_that_does_not_fit_raises_before_anything_is_written(edit: Callable[[Any], None]) -> None:
    state = Typed(StateDocument())
    state.tasks["old"] = Task(title="old")
    before = state.document.state_vector(), state.to_dict()
    with pytest.raises(InvalidValueError) as caught:
        edit(state)
    assert caught.value.what
    assert (state.document.state_vector(), state.to_dict()) == before
    check(state.document)


def nested(depth: int) -> list[Any]:
    """Return lists within lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_values_that_fit_after_conversion_are_stored_converted() -> None:
    state = Typed(StateDocument())
    state.number.set("7")  # type: ignore[arg-type]  # what a caller without a type checker may pass
    state.tasks["x"] = {"title": "as a dict"}  # type: ignore[assignment]
    assert state.number.value == 7
    assert state.tasks["x"] == Task(title="as a dict")


def test_values_that_readers_change_change_nothing_in_the_document() -> None:
    state = Typed(StateDocument())
    given_value = {"list": [1], "inner": {"a": 1}}
    state.anything.set(given_value)
    state.tasks["x"] = Task(title="x", tags={"a"})
    heard: list[Any] = []
    state.on_change(lambda change: heard.append(change.new))
    given_value["list"].append(2)  # type: ignore[attr-defined]
    for _ in range(2):
        read: Any = state.anything.value
        assert read == {"list": [1], "inner": {"a": 1}}
        read["list"].append(3)
        read["inner"].clear()
        state.tasks["x"].tags.clear()
        assert state.tasks["x"].tags == {"a"}
    state.anything.set([1])
    heard[0].append(2)
    assert state.anything.value == [1]
    check(state.document)


def test_defaults_that_readers_change_stay_as_declared() -> None:
    class Defaults(State):
        names: Register[list[str]] = Register(default=["a"])

    state = Defaults()
    state.names.get([]).append("b")
    assert state.names.value == ["a"] == Defaults().names.value


def remote(write: Callable[[StateDocument], None]) -> Typed:
    """Return a typed state over a document that was written without any types."""
    document = StateDocument(agent="careless")
    write(document)
    return Typed(StateDocument(agent="reader", update=document.update_since()))


def test_stored_values_that_do_not_fit_are_passed_over_and_listed() -> None:
    def write(document: StateDocument) -> None:
        document.set_register("number", 99)
        document.set_cell("tasks", "bad", {"title": ""})
        document.set_cell("tasks", "good", {"title": "x"})
        document.add_element("codes", "no uuid")
        document.append_item("points", [1])
        document.append_item("points", [1, 2])
        document.set_register("lowered", 5)

    state = remote(write)
    unread: list[Any] = [state.number.value, state.lowered.value]
    assert unread == [None, None]
    assert state.tasks.value == {"good": Task(title="x")}
    assert (len(state.tasks), list(state.tasks), "bad" in state.tasks) == (1, ["good"], False)
    assert (state.codes.value, len(state.codes)) == ([], 0)
    assert state.points.value == [[1], (1, 2)]
    found = state.violations()
    assert {(violation.field, violation.key) for violation in found} == {
        ("number", None),
        ("tasks", "bad"),
        ("codes", canonical("no uuid")),
        ("points", None),
        ("lowered", None),
    }
    assert {violation.author for violation in found} == {"careless"}
    assert all(violation.problem for violation in found)
    with pytest.raises(KeyError):
        state.tasks["bad"]


def test_rival_that_fits_is_read_where_the_winner_does_not() -> None:
    start = StateDocument()
    good, bad = (StateDocument(update=start.update_since()) for _ in range(2))
    good.set_register("number", 5)
    good.set_cell("tasks", "x", {"title": "good"})
    bad.clock.observe(good.clock.last + 5)
    bad.set_register("number", 99)
    bad.set_cell("tasks", "x", "bad")
    bad.apply(good.update_since())
    state = Typed(bad)
    assert state.number.value == 5
    assert state.tasks["x"] == Task(title="good")
    assert [conflict.rivals[0].value for conflict in state.conflicts()] == ["bad", 99]


def test_canonical_bytes_tell_types_apart_and_key_orders_not() -> None:
    assert len({canonical(value) for value in (1, 1.0, True, "1", b"1", None, [1])}) == 7
    assert canonical({"a": 1, "b": {"c": 1, "d": 2}}) == canonical({"b": {"d": 2, "c": 1}, "a": 1})


def test_type_that_cannot_be_validated_is_refused_when_the_state_is_opened() -> None:
    class Opaque:
        pass

    class Broken(State):
        field: Register[Opaque]

    with pytest.raises(SchemaError):
        Broken()


def test_values_that_javascript_could_not_read_are_refused_before_anything_is_written() -> None:
    class Anything(State):
        anything: Register[Any]

    state = Anything()
    deep: Any = 0
    for _ in range(100):
        deep = [deep]
    state.anything.set(deep)
    before = state.document.state_vector()
    for bad in ([deep], {"a": {"__proto__": 1}}):
        with pytest.raises(InvalidValueError):
            state.anything.set(bad)
    assert state.document.state_vector() == before


class Phase(StrEnum):
    """An enum of strings, whose members are told apart without a validator."""

    DAWN = "dawn"
    DUSK = "dusk"


class Shouted(StrEnum):
    """One that makes its members in its own way."""

    LOUD = "LOUD"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: cls(str(value).upper()))


@pytest.mark.parametrize("given", [Phase.DUSK, "dusk"])
def test_enum_of_strings_is_stored_as_text_and_read_as_its_member(given: Any) -> None:
    codec = Codec(Phase, "phase")
    stored = codec.checked(given)
    assert (type(stored), stored) == (str, "dusk")
    assert codec.read(stored) is Phase.DUSK


@pytest.mark.parametrize("stored", ["noon", "DUSK", "", 1, None, ["dusk"], Color.RED])
def test_enum_of_strings_takes_nothing_that_is_not_one_of_its_members(stored: Any) -> None:
    codec = Codec(Phase, "phase")
    for convert in (codec.checked, codec.read):
        with pytest.raises(InvalidValueError):
            convert(stored)


def test_enum_of_strings_with_a_validator_of_its_own_is_validated_by_it() -> None:
    assert Codec(Shouted, "shouted").read("loud") is Shouted.LOUD


@dataclass(frozen=True)
class Point:
    x: int


class Points(State):
    points: Map[Point]
    task: Register[Task]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x", ["far", None, 1.5])
def test_object_whose_fields_do_not_fit_is_refused_and_what_was_there_stays(x: Any) -> None:
    held = Points(StateDocument())
    held.points["a"] = Point(1)
    held.task.set(Task(title="Dive"))
    with pytest.raises(InvalidValueError):
        held.points["a"] = Point(x)
    with pytest.raises(InvalidValueError):
        held.task.set(Task.model_construct(title=None))
    assert held.points["a"] == Point(1)
    assert held.task.value == Task(title="Dive")
