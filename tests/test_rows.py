"""Rows and nested states: fields that merge one by one, below a key or a name."""

from typing import Any, cast

import pytest

from comity.crdt_types import (
    Change,
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
)
from comity.crdt_types.errors import InvalidValueError, SchemaError
from tests.support.invariants import check


class Part(State):
    title: Register[str]
    notes: Text


class Profile(State):
    name: Register[str]
    visits: Counter


class Task(State):
    title: Register[str] = Register(default="untitled")
    spent: Counter
    labels: ORSet[str]
    steps: List[str]
    journal: Log[str]
    notes: Text
    profile: Profile
    parts: Map[Part]


class Board(State):
    profile: Profile
    tasks: Map[Task]


EMPTY: dict[str, Any] = {
    "title": "untitled",
    "spent": 0,
    "labels": [],
    "steps": [],
    "journal": [],
    "notes": "",
    "profile": {"name": None, "visits": 0},
    "parts": {},
}
FULL: dict[str, Any] = {
    "title": "reef",
    "spent": 3,
    "labels": ["x", "y"],
    "steps": ["one", "two"],
    "journal": ["began"],
    "notes": "h\u00e9llo",
    "profile": {"name": "ann", "visits": 1},
    "parts": {"p": {"title": "part", "notes": "of it"}},
}


def board(agent: str = "one", of: Board | None = None) -> Board:
    """Return a board, or a replica of one."""
    return Board(StateDocument(agent=agent, update=of.document.update_since() if of else None))


def meet(*boards: Board) -> dict[str, Any]:
    """Bring every replica what it lacks, and return the tasks that all of them read."""
    for one in boards:
        for other in boards:
            one.document.apply(other.document.update_since(one.document.state_vector()))
    first = boards[0].tasks.value
    for one in boards:
        assert one.tasks.value == first
        check(one.document)
    return first


def test_rows_are_a_mutable_mapping() -> None:
    tasks = board().tasks
    tasks["b"] = Task(title="second")
    tasks.update({"a": {"title": "first"}})
    assert (len(tasks), list(tasks), "a" in tasks, "c" in tasks, cast("Any", 5) in tasks) == (
        2,
        ["a", "b"],
        True,
        False,
        False,
    )
    assert tasks["a"].title == "first"
    assert tasks.get("c") is None
    assert tasks.pop("b").title.value == "second"
    assert tasks.value == {"a": {**EMPTY, "title": "first"}}
    tasks.update({"c": {}, "d": {"spent": 2}})
    assert list(tasks) == ["a", "c", "d"]
    tasks.clear()
    assert not tasks
    with pytest.raises(KeyError):
        tasks["a"]
    with pytest.raises(KeyError):
        del tasks["a"]


@pytest.mark.parametrize("key", ["", "a/b", "~", "~1", "/", "\u00e9\U0001f600", "$x", " "])
def test_rows_may_have_any_text_for_a_key(key: str) -> None:
    one = board()
    one.tasks[key] = Task(**FULL)
    assert one.tasks.value == {key: FULL}
    assert board(of=one).tasks.value == {key: FULL}
    one.tasks[key].parts[key] = Part(title="inner")
    assert board(of=one).tasks[key].parts[key].title == "inner"
    del one.tasks[key]
    assert one.tasks.value == board(of=one).tasks.value == {}


def test_rows_with_keys_that_look_like_paths_do_not_meet() -> None:
    tasks = board().tasks
    tasks["a"] = Task(parts={"b": {"title": "row in a row"}})
    tasks["a/parts/b"] = Task(title="a key with slashes")
    tasks["a~1parts~1b"] = Task(title="escapes")
    assert tasks["a"].parts["b"].title == "row in a row"
    del tasks["a/parts/b"]
    assert list(tasks) == ["a", "a~1parts~1b"]
    assert tasks["a"].parts["b"].title == "row in a row"


def test_row_fields_merge_one_by_one() -> None:
    one = board()
    one.tasks["t"] = Task(title="reef")
    two = board("two", one)
    one.tasks["t"].title.set("atoll")
    one.tasks["t"].spent.add(2)
    two.tasks["t"].labels.add("x")
    two.tasks["t"].spent.add(3)
    two.tasks["t"].profile.name.set("ann")
    assert meet(one, two) == {
        "t": {**EMPTY, "title": "atoll", "spent": 5, "labels": ["x"], "profile": {"name": "ann", "visits": 0}}
    }


def test_row_is_written_whole_with_few_edits_and_without_what_it_had() -> None:
    one = board()
    one.tasks["t"] = Task(**FULL)
    before = one.document.update_since()
    told: list[Change] = []
    one.tasks.on_change(told.append)
    one.tasks["t"] = Task(**{**FULL, "title": "atoll"})
    assert [change.field for change in told] == ["tasks/t/title"]
    one.tasks["t"] = Task(title="atoll")
    assert one.tasks.value == {"t": {**EMPTY, "title": "atoll"}}
    assert one.document.update_since() != before
    one.tasks["t"] = Task()
    assert one.tasks.value == {"t": EMPTY}
    check(one.document)


def test_row_that_does_not_fit_is_refused_whole() -> None:
    one = board()
    one.tasks["t"] = Task(**FULL)
    before = one.document.update_since()
    wrong: list[Any] = [{"title": 5}, {"nothing": 1}, 5, None, {"profile": {"visits": "x"}}, {"parts": {"p": 5}}]
    for row in wrong:
        for key in ("t", "new"):
            with pytest.raises(InvalidValueError):
                one.tasks[key] = row
    with pytest.raises(InvalidValueError):
        one.tasks[cast("Any", 5)] = Task()
    assert one.tasks.value == {"t": FULL}
    assert one.document.update_since() == before


def test_row_that_is_deleted_leaves_nothing() -> None:
    one = board("one")
    two = board("two", one)
    one.tasks["t"] = Task(**FULL)
    meet(one, two)
    del two.tasks["t"]
    assert meet(one, two) == {}
    assert one.tasks.value == {}
    live = [entry for cells in one.document.index.fields.values() for entries in cells.values() for entry in entries]
    assert {entry.field for entry in live} == {""}  # the headers
    assert one.document.text("tasks/t/notes").value == ""
    one.tasks["t"] = Task()
    assert meet(one, two) == {"t": EMPTY}


EDITS = {
    "title": lambda task: task.title.set("kept"),
    "spent": lambda task: task.spent.add(1),
    "labels": lambda task: task.labels.add("kept"),
    "steps": lambda task: task.steps.append("kept"),
    "journal": lambda task: task.journal.append("kept"),
    "notes": lambda task: task.notes.append("kept"),
    "nested": lambda task: task.profile.name.set("kept"),
    "row": lambda task: task.parts.update(q={"title": "kept"}),
    "text of a row": lambda task: task.parts["p"].notes.append("kept"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_row_that_is_edited_while_somebody_deletes_it_survives_with_the_edit(edit: Any) -> None:
    one = board("one")
    one.tasks["t"] = Task(**FULL)
    two = board("two", one)
    del one.tasks["t"]
    edit(two.tasks["t"])
    tasks = meet(one, two)
    assert list(tasks) == ["t"]
    assert "kept" in str(tasks["t"]) or tasks["t"]["spent"] == 1
    assert "reef" not in str(tasks["t"])


def test_row_that_is_deleted_by_two_at_once_is_gone() -> None:
    one = board("one")
    one.tasks["t"] = Task(**FULL)
    two = board("two", one)
    del one.tasks["t"]
    del two.tasks["t"]
    assert meet(one, two) == {}


def test_row_whose_list_item_only_was_moved_while_it_was_deleted_is_gone() -> None:
    one = board("one")
    one.tasks["t"] = Task(**FULL)
    two = board("two", one)
    del one.tasks["t"]
    two.tasks["t"].steps.move(0, 1)
    assert meet(one, two) == {}


def test_row_that_is_held_is_live_and_comes_back_when_it_is_edited() -> None:
    one = board()
    one.tasks["t"] = Task(title="reef")
    task = one.tasks["t"]
    one.tasks["t"].title.set("atoll")
    assert task.title == "atoll"
    del one.tasks["t"]
    assert task.title == "untitled"
    task.notes.append("again")
    assert one.tasks.value == {"t": {**EMPTY, "notes": "again"}}


def test_row_whose_deletion_fails_is_as_it_was() -> None:
    one = board()
    one.tasks["t"] = Task(**FULL)

    def fail() -> None:
        with one.transaction():
            del one.tasks["t"]
            assert "t" not in one.tasks
            one.tasks["u"] = Task(**FULL)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert one.tasks.value == {"t": FULL}
    check(one.document)


def test_row_may_be_looked_up_by_those_who_are_told_of_its_deletion() -> None:
    one = board()
    one.tasks["t"] = Task(**FULL)
    found: list[Any] = []
    one.on_change(lambda _change: found.append(one.tasks.get("t")))
    del one.tasks["t"]
    assert found
    assert set(found) == {None}


def test_rows_tell_changes_with_their_path_and_type() -> None:
    one = board("one")
    two = board("two", one)
    told: list[Change] = []
    below: list[Change] = []
    two.on_change(told.append)
    two.tasks.on_change(below.append)
    one.tasks["x/y"] = Task(title="reef", spent=2, parts={"p": {"title": "part"}})
    one.profile.name.set("outside")
    two.document.apply(one.document.update_since())
    assert [(change.kind, change.field, change.key, change.new) for change in below] == [
        ("set", "tasks", "x/y", True),
        ("register", "tasks/x~1y/title", None, "reef"),
        ("counter", "tasks/x~1y/spent", None, 2),
        ("set", "tasks/x~1y/parts", "p", True),
        ("register", "tasks/x~1y/parts/p/title", None, "part"),
    ]
    assert told[:-1] == below
    assert told[-1].field == "profile/name"


def test_rows_tell_conflicts_and_violations_and_resolve_them() -> None:
    one = board("one")
    one.tasks["t"] = Task(title="reef", parts={"p": {"title": "part"}})
    two = board("two", one)
    one.tasks["t"].title.set("one")
    two.tasks["t"].title.set("two")
    one.tasks["t"].parts["p"].title.set("one")
    two.tasks["t"].parts["p"].title.set("two")
    two.document.set_register("tasks/t/profile/name", 5)
    meet(one, two)
    assert [(conflict.field, conflict.ancestor) for conflict in one.conflicts()] == [
        ("tasks/t/title", "reef"),
        ("tasks/t/parts/p/title", "part"),
    ]
    assert [(found.field, found.value, found.author) for found in one.violations()] == [
        ("tasks/t/profile/name", 5, "two")
    ]
    one.tasks.resolve()
    meet(one, two)
    assert one.conflicts() == two.conflicts() == []


def test_row_that_another_program_wrote_without_its_key_is_there() -> None:
    document = StateDocument()
    document.set_register("tasks/t/title", "reef")
    document.set_cell("tasks/u/unknown", "k", 1)
    document.place_item("tasks/v/steps", "ghost", "m")
    found = Board(document)
    assert found.tasks.value == {"t": {**EMPTY, "title": "reef"}, "u": EMPTY}
    found.tasks.clear()
    assert found.tasks.value == {}
    check(document)


def test_rows_of_one_transaction_go_out_as_one_update() -> None:
    one = board()
    commits: list[object] = []
    one.document.on_commit(commits.append)
    one.tasks["t"] = Task(**FULL)
    del one.tasks["t"]
    assert len(commits) == 2


# Nested states ------------------------------------------------------------------------------------------------------


def test_nested_state_is_read_and_assigned_below_its_name() -> None:
    one = Board(profile={"name": "ann", "visits": 2})
    assert one.profile.to_dict() == {"name": "ann", "visits": 2}
    assert one.document.index.cells(0, "profile/name")[None][0].value == "ann"
    one.assign({"profile": {"visits": 5}})
    assert one.profile.to_dict() == {"name": "ann", "visits": 5}
    assert one.profile.conflicts() == []


def test_nested_state_hears_of_its_own_changes_only() -> None:
    one = board()
    told: list[str] = []
    one.profile.on_change(lambda change: told.append(change.field))
    one.profile.name.set("ann")
    one.tasks["t"] = Task(profile={"name": "bob"})
    one.tasks["t"].profile.name.set("cid")
    assert told == ["profile/name"]
    inner: list[str] = []
    one.tasks["t"].profile.on_change(lambda change: inner.append(change.new))
    one.tasks["t"].profile.name.set("dan")
    one.profile.name.set("eve")
    assert inner == ["dan"]


def test_nested_state_cannot_be_assigned_over() -> None:
    one = board()
    with pytest.raises(Exception, match="cannot be assigned"):
        one.profile = Profile()


def test_state_that_holds_itself_is_refused() -> None:
    with pytest.raises(SchemaError):
        Endless()


class Endless(State):
    again: "Endless"


def test_rows_that_are_taken_out_keep_what_they_held() -> None:
    state = Board()
    state.tasks["a"] = Task(title="first", notes="n", spent=2)
    state.tasks["b"] = state.tasks.pop("a")
    assert state.tasks["b"].to_dict() == {**EMPTY, "title": "first", "notes": "n", "spent": 2}
    key, row = state.tasks.popitem()
    assert (key, row.spent.value, len(state.tasks)) == ("b", 2, 0)


def test_rows_that_are_set_by_default_are_live() -> None:
    state = Board()
    state.tasks.setdefault("a", Task(title="first")).spent.add(3)
    assert state.tasks["a"].spent.value == 3
    assert state.tasks.setdefault("a", Task(title="second")).title.value == "first"


def test_edits_of_texts_in_rows_that_nobody_opened_are_told() -> None:
    one = board()
    one.tasks["a"] = Task(title="first")
    two = Board(StateDocument(agent="two", update=one.document.update_since()))
    told: list[Change] = []
    two.on_change(told.append)
    one.tasks["a"].notes.append("hello")
    one.tasks["b"] = Task(title="second")
    two.document.apply(one.document.update_since(two.document.state_vector()))
    one.tasks["b"].notes.append("world")
    two.document.apply(one.document.update_since(two.document.state_vector()))
    texts = [(change.field, change.new) for change in told if change.kind == "text"]
    assert texts == [("tasks/a/notes", [{"insert": "hello"}]), ("tasks/b/notes", [{"insert": "world"}])]


class Grown(State):
    title: Register[str]
    seen: GSet[int]
    total: GCounter


class Garden(State):
    beds: Map[Grown]
    seen: GSet[int]
    title: Register[str]


def test_rows_that_are_replaced_begin_anew_and_states_keep_what_only_grows() -> None:
    state = Garden(seen=[1])
    state.beds["a"] = Grown(title="x", seen=[1, 2], total=5)
    state.beds["a"] = Grown(title="y", seen=[3])
    assert state.beds["a"].to_dict() == {"title": "y", "seen": [3], "total": 0}
    with pytest.raises(InvalidValueError, match="grows"):
        state.assign({"title": "t"}, others=True)
    assert list(state.seen) == [1]


def test_rows_are_iterated_as_they_were_while_others_write() -> None:
    state = Board()
    state.tasks.update({"a": {}, "b": {}, "c": {}})
    seen: list[tuple[str, Any]] = []
    for key, row in state.tasks.items():
        state.tasks.pop("b", None)
        state.tasks.pop("c", None)
        seen.append((key, row.title.value))
    assert seen == [("a", "untitled"), ("b", "untitled"), ("c", "untitled")]
    assert list(state.tasks) == ["a"]
