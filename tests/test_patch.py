"""JSON Patch: the difference of two views, what a transaction did, and operations as typed edits."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonpatch import apply_patch

from comity.crdt_types import Map, Register, State, StateDocument
from comity.crdt_types.errors import InvalidValueError
from comity.crdt_types.views.jsondiff import diff
from comity.crdt_types.views.patchstream import PatchStream
from tests.support.profiles import examples
from tests.support.world import EDITS, GROWING, Task, World, make

JSON = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, 0.0, -0.0, "", "a", {"$bytes": "AA=="}]),
    lambda values: (
        st.lists(values, max_size=5) | st.dictionaries(st.sampled_from(["a", "b/~", "", "0"]), values, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c/~d"]), JSON, max_size=3)


def text(data: Any) -> str:
    return json.dumps(data, sort_keys=True)


def applied(patch: Any, view: Any) -> Any:
    """Apply a patch as everybody else does."""
    return apply_patch(view, patch)


# Out ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(200, 20000))
@given(OBJECTS, OBJECTS)
def test_diff_turns_one_view_into_the_other(before: Any, after: Any) -> None:
    copies = deepcopy((before, after))
    patch = diff(before, after)
    assert text(applied(patch, before)) == text(after)
    assert (before, after) == copies
    assert bool(patch) == (text(before) != text(after))


@settings(max_examples=examples(100, 5000))
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_diff_of_lists_touches_no_more_than_differs(before: list[int], after: list[int]) -> None:
    patch = diff({"a": before}, {"a": after})
    assert applied(patch, {"a": before}) == {"a": after}
    assert len(patch) <= max(len(before), len(after))


@pytest.mark.parametrize("pair", [(1, 1.0), (1, True), (0, False), (0.0, -0.0), (None, 0), ({"$bytes": ""}, {})])
def test_diff_tells_types_apart_at_any_depth(pair: tuple[Any, Any]) -> None:
    for wrap in (lambda x: x, lambda x: [x], lambda x: [[x]], lambda x: {"k": [x]}):
        before, after = ({"a": wrap(value)} for value in pair)
        assert text(applied(diff(before, after), before)) == text(after)


def test_diff_moves_an_item_that_changed_its_place() -> None:
    assert diff({"a": [1, 2, 3, 4]}, {"a": [1, 3, 4, 2]}) == [{"op": "move", "from": "/a/1", "path": "/a/3"}]
    assert diff({"a": [1, 2, 3, 4]}, {"a": [4, 1, 2, 3]}) == [{"op": "move", "from": "/a/3", "path": "/a/0"}]


def test_diff_of_long_lists_is_found_in_no_time() -> None:
    before = ["x"] * 3000
    after = ["y", *["x"] * 2998, "y"]
    assert len(diff({"a": before}, {"a": after})) == 2
    assert len(diff({"a": before}, {"a": [f"{at}" for at in range(3000)]})) == 3000


@settings(max_examples=examples(100, 5000))
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.lists(st.one_of(EDITS, GROWING), min_size=1, max_size=4), st.booleans()),
        max_size=15,
    )
)
def test_patches_applied_in_turn_always_give_the_view(steps: list[tuple[int, list[Any], bool]]) -> None:
    worlds = [World(StateDocument(agent=name)) for name in "ab"]
    watched = worlds[0]
    views = [watched.to_json(), watched.profile.to_json()]
    patches: list[Any] = []
    watched.on_patch(lambda patch: views.__setitem__(0, applied(patch, views[0])))
    watched.on_patch(patches.append)
    watched.profile.on_patch(lambda patch: views.__setitem__(1, applied(patch, views[1])))
    for at, edits, merges in steps:
        with worlds[at].transaction():
            for edit in edits:
                make(worlds[at], edit)
        if merges:
            for one, other in (worlds, worlds[::-1]):
                one.document.apply(other.document.update_since(one.document.state_vector()))
        assert text(views) == text([watched.to_json(), watched.profile.to_json()])
    assert all(patches)


@settings(max_examples=examples(60, 4000))
@given(st.lists(st.lists(st.one_of(EDITS, GROWING), min_size=1, max_size=3), max_size=8), st.randoms())
def test_patches_follow_updates_that_come_in_any_order(transactions: list[list[Any]], random: Any) -> None:
    writer, watched = World(), World()
    updates: list[bytes] = []
    writer.document.on_commit(lambda commit: updates.append(commit.update))
    for edits in transactions:
        with writer.transaction():
            for edit in edits:
                make(writer, edit)
    views = [watched.to_json()]
    watched.on_patch(lambda patch: views.append(applied(patch, views[-1])))
    random.shuffle(updates)
    for update in updates:
        watched.document.apply(update)
        assert text(views[-1]) == text(watched.to_json())
    assert text(watched.to_json()) == text(writer.to_json())


def test_patch_says_what_changed_and_no_more() -> None:
    state = World(items=[1, 2, 3], steps={"a": {"x": 1, "y": 2}, "b": 1})
    state.tasks["t/1"] = Task(title="x")
    state.tags.update(["b", "d"])
    state.log.extend([1, 2])
    patches: list[Any] = []
    state.on_patch(patches.append)

    def patch() -> Any:
        (found,) = patches
        patches.clear()
        return found

    state.steps["a"] = {"x": 1, "y": 3}
    assert patch() == [{"op": "replace", "path": "/steps/a/y", "value": 3}]
    for _ in range(2):
        state.tags.add("c")
        assert patch() == [{"op": "add", "path": "/tags/1", "value": "c"}]
        state.items.move(2, 0)
        assert patch() == [{"op": "move", "from": "/items/2", "path": "/items/0"}]
        state.log.append(3)
        assert patch() == [{"op": "add", "path": "/log/2", "value": 3}]
        state.log.prune(2)
        assert patch() == [{"op": "remove", "path": "/log/0"}]
        state.tags.remove("c")
        assert patch() == [{"op": "remove", "path": "/tags/1"}]
    state.tasks["t/1"].spent.add(2)
    assert patch() == [{"op": "replace", "path": "/tasks/t~11/spent", "value": 2}]
    del state.tasks["t/1"]
    assert patch() == [{"op": "remove", "path": "/tasks/t~11"}]
    state.goal.set("none")
    assert patch() == [{"op": "add", "path": "/goal", "value": "none"}]
    state.goal.clear()
    assert patch() == [{"op": "remove", "path": "/goal"}]
    state.document.set_register("unknown", 1)
    assert not patches


def test_patch_stream_has_the_view_that_the_next_patch_is_for() -> None:
    state = World(items=[1])
    patches: list[Any] = []
    stream = PatchStream(state, patches.append)
    view = stream.snapshot
    state.items.append([2])
    patches[0][0]["value"].append("spoilt")
    view = applied([{"op": "add", "path": "/items/1", "value": [2]}], view)
    assert stream.snapshot == view == state.to_json()
    stream.close()
    state.items.append(3)
    assert len(patches) == 1
    assert not state.document.listeners.want_steps


def test_patch_tells_of_what_a_wrong_value_stands_in_for() -> None:
    class Typed(State):
        count: Register[int]
        sizes: Map[int]

    state = Typed(count=1, sizes={"a": 1})
    view = state.to_json()
    state.on_patch(lambda patch: view.update(applied(patch, view)))
    other = StateDocument(update=state.document.update_since())
    other.set_register("count", "x")
    other.set_cell("sizes", "a", "y")
    other.set_cell("sizes", "b", "z")
    state.document.apply(other.update_since(state.document.state_vector()))
    assert state.count.value == 1
    assert view == state.to_json() == {"count": 1, "sizes": {"a": 1}}


def test_patch_follows_a_reset() -> None:
    state, other = World(items=[1, 2], notes="a"), World(items=[3], notes="b", goal="x")
    views = [state.to_json()]
    state.on_patch(lambda patch: views.append(applied(patch, views[-1])))
    state.items.append(5)
    state.document.reset(other.document.update_since())
    assert views[-1] == state.to_json() == other.to_json()


# In -----------------------------------------------------------------------------------------------------------------


def rewritten(before: list[Any], after: list[Any]) -> bool:
    """Tell whether nothing of a log is left, and others are in its place: no log is assigned to so."""
    kept = any(after[: len(before) - at] == before[at:] for at in range(len(before)))
    return bool(before and after) and not kept


def fork(state: World) -> World:
    return World(StateDocument(update=state.document.update_since()))


@settings(max_examples=examples(100, 5000))
@given(st.lists(EDITS, max_size=15), st.lists(st.one_of(EDITS, GROWING), max_size=15))
def test_patch_of_the_difference_makes_one_state_the_other(earlier: list[Any], later: list[Any]) -> None:
    state = World()
    for edit in earlier:
        make(state, edit)
    goal = fork(state)
    for edit in later:
        make(goal, edit)
    commits: list[Any] = []
    before = state.to_json()
    assume(not rewritten(before["log"], goal.to_json()["log"]))
    state.document.on_commit(commits.append)
    patch = json.loads(json.dumps(diff(before, goal.to_json())))
    state.apply_patch(patch)
    assert text(state.to_json()) == text(goal.to_json())
    assert len(commits) == bool(patch)


@settings(max_examples=examples(60, 3000))
@given(st.lists(EDITS, max_size=12), st.lists(st.one_of(EDITS, GROWING), max_size=12))
def test_patch_between_unrelated_states_is_made_or_refused_whole(one: list[Any], other: list[Any]) -> None:
    state, goal = World(), World()
    for edit in one:
        make(state, edit)
    for edit in other:
        make(goal, edit)
    before = state.to_json()
    refusal = ""
    try:
        state.apply_patch(diff(before, goal.to_json()))
    except InvalidValueError as error:
        refusal = error.what
    assert refusal in ("", "items in the middle would change")
    assert text(state.to_json()) == text(before if refusal else goal.to_json())


class Free(State):
    """A state that holds any JSON."""

    doc: Register[Any]
    other: Map[Any]


# The examples of RFC 6902, appendix A, on the value of a register, and more of the kind: before, patch, after or None.
CASES: list[tuple[Any, list[dict[str, Any]], Any]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": [1, 2]}, [{"op": "add", "path": "/foo/1", "value": 3}], {"foo": [1, 3, 2]}),
    ({"baz": 1, "foo": 2}, [{"op": "remove", "path": "/baz"}], {"foo": 2}),
    ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/1"}], {"foo": [1, 3]}),
    ({"baz": 1, "foo": 2}, [{"op": "replace", "path": "/baz", "value": 3}], {"baz": 3, "foo": 2}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    ({"foo": [1, 2, 3, 4]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}], {"foo": [1, 3, 4, 2]}),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], None),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"x": {}}}], {"foo": "bar", "child": {"x": {}}}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": 1, "xyz": 123}], {"foo": "bar", "baz": 1}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], None),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], None),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
    ({"foo": 1}, [{"op": "copy", "from": "/foo", "path": "/bar"}], {"foo": 1, "bar": 1}),
    ({"foo": None}, [{"op": "replace", "path": "/foo", "value": 1}], {"foo": 1}),
    ({"foo": 1}, [{"op": "test", "path": "/foo", "value": 1.0}], {"foo": 1}),
    ({"foo": 1}, [{"op": "test", "path": "/foo", "value": True}], None),
    (
        {"foo": {"a": 1, "b": [2]}},
        [{"op": "test", "path": "/foo", "value": {"b": [2], "a": 1}}],
        {"foo": {"a": 1, "b": [2]}},
    ),
    ({"foo": [1]}, [{"op": "test", "path": "/foo", "value": [1, 2]}], None),
    ([1, 2], [{"op": "add", "path": "/3", "value": 1}], None),
    ([1, 2], [{"op": "add", "path": "/01", "value": 1}], None),
    ([1, 2], [{"op": "add", "path": "/-1", "value": 1}], None),
    ([1, 2], [{"op": "add", "path": "/2", "value": 3}], [1, 2, 3]),
    ([1, 2], [{"op": "remove", "path": "/2"}], None),
    ([1, 2], [{"op": "remove", "path": "/-"}], None),
    ([1, 2], [{"op": "replace", "path": "/-", "value": 1}], None),
    ([1, 2], [{"op": "test", "path": "/-", "value": 1}], None),
    ([1, 2], [{"op": "copy", "from": "/-", "path": "/0"}], None),
    ({"a": 1}, [{"op": "remove", "path": "/b"}], None),
    ({"a": 1}, [{"op": "replace", "path": "/b", "value": 1}], None),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a", "path": "/a/b"}], None),
    ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    ({"a": 1, "ab": {}}, [{"op": "move", "from": "/a", "path": "/ab/c"}], {"ab": {"c": 1}}),
    ("text", [{"op": "add", "path": "/0", "value": "x"}], None),
    ("text", [{"op": "remove", "path": "/0"}], None),
    (5, [{"op": "test", "path": "/0", "value": 5}], None),
    ("text", [{"op": "replace", "path": "", "value": [1]}], [1]),
    ({"a": 1}, [{"op": "add", "path": "", "value": None}], None),
    ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
    (
        {"a": [1]},
        [{"op": "add", "path": "/b", "value": [1]}, {"op": "add", "path": "/b/-", "value": 2}],
        {"a": [1], "b": [1, 2]},
    ),
]


@pytest.mark.parametrize("at", range(len(CASES)))
@pytest.mark.parametrize("root", ["/doc", "/other/key", "/other/a~1b"])
def test_operations_inside_a_value_are_those_of_the_standard(at: int, root: str) -> None:
    before, patch, after = deepcopy(CASES[at])
    state = Free(doc=before, other={"key": before, "a/b": before})
    moved = [
        {key: f"{root}{value}" if key in ("path", "from") else value for key, value in operation.items()}
        for operation in patch
    ]
    given = deepcopy(moved)
    view = state.to_json()
    if after is None and before != {"a": 1}:
        with pytest.raises(InvalidValueError, match="operation 0, "):
            state.apply_patch(moved)
        assert state.to_json() == view
    elif after is None and patch[0]["path"]:
        with pytest.raises(InvalidValueError, match="operation 0, "):
            state.apply_patch(moved)
    else:
        state.apply_patch(moved)
        found = {"/doc": state.doc.value, "/other/key": state.other["key"], "/other/a~1b": state.other["a/b"]}
        assert text(found[root]) == text(after)
        assert sum(text(value) != text(before) for value in found.values()) == (text(after) != text(before))
    assert moved == given


@pytest.mark.parametrize(
    "operation",
    [
        5,
        {},
        {"op": "add"},
        {"op": "add", "path": "/goal"},
        {"op": "add", "path": 5, "value": 1},
        {"op": "add", "path": "goal", "value": 1},
        {"op": "add", "path": "/goal~2", "value": 1},
        {"op": "put", "path": "/goal", "value": 1},
        {"op": ["add"], "path": "/goal", "value": 1},
        {"op": "move", "path": "/goal"},
        {"op": "add", "path": "/nothing", "value": 1},
        {"op": "add", "path": "/_document", "value": 1},
        {"op": "add", "path": "/document", "value": 1},
        {"op": "remove", "path": "/goal"},
        {"op": "replace", "path": "/goal", "value": 1},
        {"op": "test", "path": "/goal", "value": "none"},
        {"op": "replace", "path": "/spent", "value": "1"},
        {"op": "replace", "path": "/spent", "value": 1.0},
        {"op": "add", "path": "/spent/0", "value": 1},
        {"op": "add", "path": "/notes/0", "value": "x"},
        {"op": "replace", "path": "/notes", "value": 5},
        {"op": "replace", "path": "/steps", "value": []},
        {"op": "add", "path": "/steps/$a", "value": 1},
        {"op": "add", "path": "/steps/z/z", "value": 1},
        {"op": "replace", "path": "/items", "value": {}},
        {"op": "add", "path": "/items/9", "value": 1},
        {"op": "add", "path": "/items/x", "value": 1},
        {"op": "remove", "path": "/items/-"},
        {"op": "move", "from": "/items/9", "path": "/items/0"},
        {"op": "move", "from": "/items/0", "path": "/items/9"},
        {"op": "replace", "path": "/tags", "value": "ab"},
        {"op": "remove", "path": "/tags/9"},
        {"op": "remove", "path": "/known/0"},
        {"op": "remove", "path": "/known"},
        {"op": "remove", "path": "/views"},
        {"op": "replace", "path": "/views", "value": 0},
        {"op": "remove", "path": "/log/1"},
        {"op": "add", "path": "/log/0", "value": 1},
        {"op": "replace", "path": "/log/0", "value": 1},
        {"op": "move", "from": "/log/0", "path": "/log/1"},
        {"op": "add", "path": "/profile", "value": 5},
        {"op": "add", "path": "/profile/age", "value": 5},
        {"op": "add", "path": "/tasks/x/title", "value": "x"},
        {"op": "remove", "path": "/tasks/x"},
        {"op": "replace", "path": "/tasks/x", "value": {}},
        {"op": "add", "path": "/tasks/a", "value": {"nothing": 1}},
        {"op": "add", "path": "/tasks/a", "value": 5},
        {"op": "move", "from": "/tasks/a", "path": "/tasks/a/title"},
        {"op": "add", "path": "", "value": 5},
        {"op": "add", "path": "", "value": {"nothing": 5}},
        {"op": "add", "path": "/goal", "value": {"$bytes": 5}},
    ],
)
def test_operation_that_cannot_be_made_changes_nothing(operation: Any) -> None:
    state = World(items=[1, 2], steps={"a": 1}, tags=["t"], known=["k"], views=1, log=["a", "b", "c"], notes="n")
    state.tasks["a"] = Task(title="x")
    before = state.to_json()
    commits: list[Any] = []
    state.document.on_commit(commits.append)
    with pytest.raises(InvalidValueError):
        state.apply_patch([{"op": "replace", "path": "/notes", "value": "other"}, operation])
    assert state.to_json() == before
    assert not commits
    with pytest.raises(InvalidValueError):
        state.apply_patch(operation)


def test_patch_is_made_of_typed_edits() -> None:
    state = World(items=["a", "b", "c"], spent=5, notes="hello", log=[1, 2], tags=["x", "y"])
    state.tasks["t"] = Task(title="x")
    other = fork(state)
    ids = [state.items.id_of(at) for at in range(3)]
    state.apply_patch(
        [
            {"op": "move", "from": "/items/0", "path": "/items/2"},
            {"op": "replace", "path": "/items/0", "value": "B"},
            {"op": "replace", "path": "/spent", "value": 7},
            {"op": "replace", "path": "/notes", "value": "hello you"},
            {"op": "add", "path": "/log/-", "value": 3},
            {"op": "remove", "path": "/log/0"},
            {"op": "remove", "path": "/tags/0"},
            {"op": "add", "path": "/tags/-", "value": "a"},
            {"op": "replace", "path": "/tasks/t/spent", "value": 4},
            {"op": "add", "path": "/tasks/$$u", "value": {"title": "new", "notes": "n"}},
            {"op": "add", "path": "/profile/name", "value": "ann"},
            {"op": "copy", "from": "/profile/name", "path": "/goal"},
            {"op": "test", "path": "/tasks/t", "value": {**Task(title="x", spent=4).to_json()}},
            {"op": "test", "path": "/tags", "value": ["y", "a"]},
        ]
    )
    assert [state.items.id_of(at) for at in range(3)] == [ids[1], ids[2], ids[0]]
    other.items[0] = "A"
    other.spent.add(10)
    other.notes.insert(0, "> ")
    other.tasks["t"].spent.add(1)
    other.tags.add("z")
    state.document.apply(other.document.update_since())
    assert list(state.items) == ["B", "c", "A"]
    assert (state.spent.value, str(state.notes), list(state.log)) == (17, "> hello you", [2, 3])
    assert (list(state.tags), state.tasks["t"].spent.value) == (["a", "y", "z"], 5)
    assert (state.tasks["$u"].title.value, state.goal.value) == ("new", "ann")


def test_patch_empties_and_replaces_whole_fields_and_states() -> None:
    state = World(items=[1], spent=5, notes="hello", steps={"a": 1}, tags=["t"], log=[1], goal="x")
    state.profile.name.set("ann")
    state.tasks["t"] = Task(title="x", notes="n")
    names = ["items", "spent", "notes", "steps", "tags", "log", "goal", "profile", "tasks"]
    state.apply_patch([{"op": "remove", "path": f"/{name}"} for name in names])
    assert state.to_json() == World().to_json()
    state.apply_patch([{"op": "add", "path": "", "value": {"spent": 3, "profile": {"visits": 2}, "items": [1]}}])
    state.apply_patch([{"op": "replace", "path": "/profile", "value": {"name": "bob"}}])
    assert state.to_json() == World(spent=3, items=[1], profile={"name": "bob"}).to_json()
    state.apply_patch([{"op": "remove", "path": ""}])
    assert state.to_json() == World().to_json()


def test_patch_carries_rows_and_values_between_fields() -> None:
    state = World(steps={"a": [1, {"k": 2}]}, items=["i"])
    state.tasks["t"] = Task(title="x", spent=2, notes="n", log=[1])
    row = state.tasks["t"].to_json()
    state.apply_patch(
        [
            {"op": "move", "from": "/tasks/t", "path": "/tasks/u"},
            {"op": "copy", "from": "/tasks/u", "path": "/tasks/v"},
            {"op": "move", "from": "/steps/a/1/k", "path": "/items/0"},
            {"op": "move", "from": "/items/1", "path": "/tags/-"},
            {"op": "copy", "from": "/tags", "path": "/steps/b"},
        ]
    )
    assert state.to_json()["tasks"] == {"u": row, "v": row}
    assert (dict(state.steps), list(state.items), list(state.tags)) == ({"a": [1, {}], "b": ["i"]}, [2], ["i"])


def test_patch_sees_what_it_did_before_in_rows_and_shares_nothing_with_its_operations() -> None:
    state = World()
    state.tasks["a"] = Task(marks={"x"}, log=[1])
    value = ["z"]
    state.apply_patch(
        [
            {"op": "add", "path": "/log/-", "value": value},
            {"op": "add", "path": "/log/0/-", "value": "y"},
            {"op": "add", "path": "/tasks/a/marks/-", "value": "y"},
            {"op": "add", "path": "/tasks/a/log/-", "value": 2},
            {"op": "copy", "from": "/tasks/a", "path": "/tasks/b"},
        ]
    )
    assert value == ["z"]
    assert list(state.log) == [["z", "y"]]
    assert (list(state.tasks["b"].marks), list(state.tasks["b"].log)) == (["x", "y"], [1, 2])


def test_diff_replaces_a_value_that_stands_for_another_as_a_whole() -> None:
    before, after = {"a": {"$bytes": "AA=="}, "b": {"$$a": 1}}, {"a": {"$bytes": "AQ=="}, "b": {"$$a": 2}}
    assert diff(before, after) == [
        {"op": "replace", "path": "/a", "value": {"$bytes": "AQ=="}},
        {"op": "replace", "path": "/b/$$a", "value": 2},
    ]


def test_patch_follows_a_row_that_is_made_again() -> None:
    state = World()
    views = [state.to_json()]
    state.on_patch(lambda patch: views.append(applied(patch, views[-1])))
    for items in ([5, 6, 7], [8]):
        state.tasks["a"] = Task(points=items)
        state.tasks["a"].points.append(1)
        state.tasks["a"].points.insert(0, 2)
        assert views[-1] == state.to_json()
        del state.tasks["a"]
        assert views[-1] == state.to_json()


def test_patch_of_a_set_counts_its_places_as_the_standard_does() -> None:
    state = World(tags=["b", "c"])
    state.apply_patch(
        [
            {"op": "replace", "path": "/tags/0", "value": "z"},
            {"op": "test", "path": "/tags/0", "value": "z"},
            {"op": "remove", "path": "/tags/0"},
            {"op": "add", "path": "/tags/0", "value": "c"},
        ]
    )
    assert list(state.tags) == ["c"]
