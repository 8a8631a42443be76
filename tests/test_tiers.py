"""The facade: state by key, subscriptions, transactions, and what survives restarts and partitions."""

import asyncio
import gc
import logging
import weakref
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import comity
from comity import Change, StateDocument, errors
from comity.clients.tiers.keys import joined, parted
from comity.clients.tiers.pattern import matcher
from comity.clients.tiers.reading import keys_of
from comity.clients.tiers.subscription import MAX_BACKLOG
from comity.clients.tiers.typedkeys import TypedKeys
from comity.clients.tiers.untyped import Untyped
from comity.clients.tiers.updates import Updates
from comity.crdt_types.document.values import canonical
from tests.support.boards import NOBODY, Board, Task, tier
from tests.support.profiles import examples
from tests.support.world import EDITS, GROWING, Edit, World, make

# By key ----------------------------------------------------------------------------------------------------------


async def test_values_are_read_and_written_by_key() -> None:
    board = tier()
    board["goal"] = "map the reef"
    board["steps.survey"] = "doing"
    board["tasks.t1.title"] = "Dive"
    board["lead.name"] = "Ada"
    board["tags"] = ["urgent"]
    board["spent"] = 12
    board.state.notes.append("started")
    assert dict(board) == {
        "goal": "map the reef",
        "mood": "calm",
        "steps.survey": "doing",
        "tasks.t1.title": "Dive",
        "tasks.t1.done": False,
        "tags": ["urgent"],
        "spent": 12,
        "notes": ["started"],
        "draft": "",
        "lead.name": "Ada",
    }
    assert board.state.tasks["t1"].title.value == "Dive"
    assert board["tasks.t1"] == {"title": "Dive", "done": False}
    assert (len(board), "goal" in board, "tasks.t2.title" in board, board.get("steps.dive", "?")) == (
        10,
        True,
        False,
        "?",
    )
    del board["goal"], board["steps.survey"], board["tasks.t1"]
    assert board.get_many(["goal", "steps.survey", "tasks.t1.title", "mood"]) == {"mood": "calm"}
    board.clear()
    assert dict(board) == {"mood": "calm", "tags": [], "spent": 0, "notes": [], "draft": ""}


async def test_tier_without_a_class_is_a_mapping_of_whatever_can_be_stored() -> None:
    memory = tier(Untyped)
    memory["tasks.t1"] = {"title": "Dive"}
    memory.update({"tasks.t2": None, "a\\b": [1, b"x"]})
    assert dict(memory) == {"a\\b": [1, b"x"], "tasks.t1": {"title": "Dive"}, "tasks.t2": None}
    assert memory.match("tasks.*") == {"tasks.t1": {"title": "Dive"}, "tasks.t2": None}
    assert memory.state.values["tasks.t2"] is None
    del memory["tasks.t2"]
    assert "tasks.t2" not in memory
    with pytest.raises(errors.InvalidValueError):
        memory["x"] = object()


@pytest.mark.parametrize(
    "key", ["", "gaol", "goal.x", "steps.a.b", "tasks.t1.tilte", "_fields", "lead.", "a\\", "lead.name.x"]
)
async def test_key_that_cannot_be_is_refused_and_nothing_is_written(key: str) -> None:
    board = tier()
    before = board.state.document.state_vector()
    with pytest.raises(errors.InvalidValueError):
        board[key] = "x"
    assert key not in board
    with pytest.raises(KeyError):
        del board[key]
    assert board.state.document.state_vector() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", "x"), ("tasks", ["x"]), ("notes", "abc"), ("tags", "abc"), ("tags", 5), ("lead", 5), (5, "x")],
)
async def test_value_of_another_shape_is_refused_and_nothing_is_written(key: Any, value: Any) -> None:
    board = tier()
    board.update({"steps.survey": "doing", "tasks.t1.title": "Dive", "tags": ["urgent"]})
    held = dict(board)
    with pytest.raises(errors.InvalidValueError):
        board[key] = value
    assert dict(board) == held


async def test_arguments_that_would_do_nothing_are_refused() -> None:
    board, client = tier(), comity.connect(NOBODY)
    for refused in (
        lambda: board.get_many("goal"),
        lambda: board.subscribe(print, kind="maps"),  # type: ignore[arg-type]
        lambda: board.subscribe(None),  # type: ignore[arg-type]
        lambda: board.on_update("print"),  # type: ignore[arg-type]
        lambda: client.subscribe(print, tier="sharde"),
        lambda: client.subscribe(None),  # type: ignore[arg-type]
    ):
        with pytest.raises(errors.InvalidValueError):
            refused()
    with pytest.raises(errors.InvalidValueError):
        await board.decide(lambda state: state.goal.set("x"), reads="goal")
    with pytest.raises(errors.InvalidValueError):
        await board.get_with_history("goal", limit=-1)
    with pytest.raises(errors.InvalidValueError):
        client.session("call", ttl=30)  # type: ignore[call-overload]


async def test_keys_are_read_by_pattern_and_predicate() -> None:
    board = tier()
    board.update({"tasks.t1.title": "Dive", "tasks.t2.title": "Survey", "steps.t1": "doing", "goal": "reef"})
    assert board.match("tasks.*") == {}
    assert board.match("tasks.*.title") == {"tasks.t1.title": "Dive", "tasks.t2.title": "Survey"}
    assert board.match("*.t1") == {"steps.t1": "doing"}
    assert board.match("tasks.t1.**") == {"tasks.t1.title": "Dive", "tasks.t1.done": False}
    assert board.match("tasks.t1.title") == {"tasks.t1.title": "Dive"}
    assert board.match("tasks.t3.*") == board.match("gaol.**") == board.match("goal.*") == {}
    assert board.match("g??l") == {"goal": "reef"}
    assert board.where(lambda key, value: value == "Dive" or key == "goal") == {
        "tasks.t1.title": "Dive",
        "goal": "reef",
    }


NAMES = st.text(st.sampled_from("ab.\\*?/~"), max_size=6)


@given(st.lists(NAMES, min_size=1, max_size=4).map(tuple))
def test_keys_are_taken_apart_into_the_names_they_were_made_of(names: tuple[str, ...]) -> None:
    assert parted(joined(names)) == names


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True))
def test_every_key_of_a_state_leads_back_to_its_value(names: list[str]) -> None:
    board = Board()
    keys = TypedKeys(board)
    for number, name in enumerate(names):
        board.steps[name] = str(number)
        board.tasks[name] = Task(title=name)
    for key, value in keys.items():
        assert keys.read(key) == value
    assert {keys.read(joined(("steps", name))) for name in names} == {str(number) for number in range(len(names))}


@given(st.text(st.sampled_from("ab.*?"), max_size=8), st.text(st.sampled_from("ab."), max_size=8))
def test_pattern_without_double_stars_matches_part_by_part(pattern: str, key: str) -> None:
    parts, names = pattern.replace("**", "*").split("."), key.split(".")
    expected = len(parts) == len(names) and all(map(fnmatchcase, names, parts))
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    assert bool(matcher(pattern, escaped=False)(key)) == expected
    assert bool(matcher(pattern, escaped=True)(key)) == expected


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), NAMES, NAMES)
@settings(max_examples=examples(60, 1_000))
def test_what_matches_is_what_the_pattern_says_of_each_key(names: list[str], row: str, name: str) -> None:
    board = Board()
    keys = TypedKeys(board)
    for each in names:
        board.steps[each] = each
        board.tasks[each] = Task(title=each)
    for pattern in (
        f"tasks.{row}.*",
        f"tasks.*.{name}",
        f"{name}.**",
        f"steps.{row}",
        f"**{name}",
        joined((row, name)),
    ):
        matches = matcher(pattern, escaped=True)
        assert dict(keys.matching(pattern)) == {key: value for key, value in keys.items() if matches(key)}


# Transactions ----------------------------------------------------------------------------------------------------


async def test_transaction_is_all_or_nothing() -> None:
    board = tier()
    board["goal"] = "before"
    commits: list[object] = []
    board.state.document.on_commit(commits.append)
    with pytest.raises(errors.InvalidValueError):
        board.update({"goal": "after", "steps.a": "x", "mood": 5})
    assert (board["goal"], "steps.a" in board, commits) == ("before", False, [])
    with board.transaction():
        board["goal"] = "after"
        board["tasks.t1.title"] = "Dive"
        assert board["goal"] == "after"
    assert len(commits) == 1


# Subscriptions ---------------------------------------------------------------------------------------------------


async def test_subscriptions_are_filtered_by_name_kind_and_author() -> None:
    board = tier()
    other = StateDocument(agent="ana")
    heard: dict[str, list[str]] = {"name": [], "kind": [], "author": []}
    board.subscribe(lambda change: heard["name"].append(change.field), name="tasks.*.title")
    board.subscribe(lambda change: heard["kind"].append(change.field), kind="map")
    stop = board.subscribe(lambda change: heard["author"].append(change.field), author="ana")
    board["tasks.t1.title"] = "Dive"
    board["steps.a"] = "x"
    Board(other).goal.set("hers")
    board.state.document.apply(other.update_since())
    stop()
    Board(other).goal.set("again")
    board.state.document.apply(other.update_since())
    assert heard == {"name": ["tasks/t1/title"], "kind": ["steps"], "author": ["goal"]}


async def test_callback_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    board = tier()
    heard: list[Any] = []

    async def fail_later(_change: Change) -> None:
        raise RuntimeError("later")

    def fail(*_arguments: object) -> None:
        raise RuntimeError("at once")

    async with board.opened():
        board.subscribe(fail)
        board.subscribe(fail_later)
        board.on_update(fail)
        board.subscribe(heard.append)
        board["goal"] = "a"
        board["goal"] = "b"
    assert [change.new for change in heard] == ["a", "b"]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 6


async def test_coroutines_are_called_in_order_and_hold_up_nobody() -> None:
    board = tier()
    heard: list[Any] = []
    gate = asyncio.Event()

    async def slow(change: Change) -> None:
        await gate.wait()
        heard.append(change.new)

    async with board.opened():
        board.subscribe(slow)
        for number in range(5):
            board["goal"] = f"{number}"
        assert heard == []
        gate.set()
    assert heard == ["0", "1", "2", "3", "4"]


async def test_coroutine_that_falls_too_far_behind_is_told_so() -> None:
    board = tier()
    told: list[errors.TooSlowError] = []
    gate = asyncio.Event()

    async def slow(_change: Change) -> None:
        await gate.wait()

    async with board.opened():
        board.subscribe(slow, on_error=told.append)
        for number in range(MAX_BACKLOG + 5):
            board["goal"] = f"{number}"
        assert len(told) == 1
        gate.set()


async def test_nothing_is_left_of_a_tier_that_ended() -> None:
    board = tier()

    async def wait_for_ever(_change: Change) -> None:
        await asyncio.Event().wait()

    async with board.opened():
        board.subscribe(wait_for_ever)
        board["goal"] = "a"
        assert len(asyncio.all_tasks()) == 2
    assert len(asyncio.all_tasks()) == 1
    gone = weakref.ref(board)
    del board
    gc.collect()
    assert gone() is None


# Who edits, what, and whether it is part of a transaction with the edit before.
STEPS = st.lists(st.tuples(st.integers(0, 1), st.one_of(EDITS, GROWING), st.booleans()), max_size=20)


@given(STEPS)
@settings(max_examples=examples(60, 1_000))
def test_updates_folded_one_after_the_other_are_what_the_state_holds(steps: list[tuple[int, Edit, bool]]) -> None:
    """Both are told exactly what was there before, whoever edits, also where edits of others come late and together."""
    worlds = World(StateDocument(agent="me")), World(StateDocument(agent="they"))
    held = [dict(keys_of(world).items()) for world in worlds]

    def fold(who: int, old: dict[str, Any], new: dict[str, Any]) -> None:
        assert old or new
        for key, value in old.items():
            assert same(held[who].pop(key), value)
        assert not held[who].keys() & new.keys()
        held[who].update(new)

    for who, world in enumerate(worlds):
        Updates(world, keys_of(world), partial(fold, who), None)
    for who, edit, alone in steps:
        with worlds[who].transaction():
            make(worlds[who], edit)
            make(worlds[who], ("put", "a", 1))
        if alone:
            other = worlds[1 - who]
            other.document.apply(worlds[who].document.update_since(other.document.state_vector()))
    for who, world in enumerate(worlds):
        assert same(held[who], dict(keys_of(world).items()))


def same(one: object, other: object) -> bool:
    """Tell whether values are equal, and of the same types: 1, 1.0 and True are not."""
    return repr(one) == repr(other) if not isinstance(one, dict) else canonical(one) == canonical(other)


async def test_update_of_one_row_tells_of_that_row_alone() -> None:
    board = tier()
    board.update({"tasks.t1.title": "Dive", "tasks.t2.title": "Survey"})
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []
    board.on_update(lambda old, new: told.append((old, new)))
    board["tasks.t1.title"] = "Dive deeper"
    del board["tasks.t2"]
    assert told == [
        ({"tasks.t1.title": "Dive"}, {"tasks.t1.title": "Dive deeper"}),
        ({"tasks.t2.title": "Survey", "tasks.t2.done": False}, {}),
    ]


async def test_what_a_callback_does_to_what_it_is_told_changes_nothing() -> None:
    board = tier()
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def spoil(_old: dict[str, Any], new: dict[str, Any]) -> None:
        new["tags"].append("spoiled")

    board.on_update(spoil)
    board.on_update(lambda old, new: told.append((old, new)))
    board.state.tags.add("a")
    board.state.tags.add("b")
    assert told == [({"tags": []}, {"tags": ["a"]}), ({"tags": ["a"]}, {"tags": ["a", "b"]})]


async def test_update_is_told_of_values_that_differ_in_type_alone() -> None:
    memory = tier(Untyped)
    memory["a"] = [1, {"b": 1}]
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []
    memory.on_update(lambda old, new: told.append((old, new)))
    memory["a"] = [1, {"b": 1}]
    memory["a"] = [1, {"b": True}]
    memory["a"] = [1.0, {"b": True}]
    assert [repr(new) for _old, new in told] == ["{'a': [1, {'b': True}]}", "{'a': [1.0, {'b': True}]}"]


async def test_subscription_that_was_stopped_is_called_no_more() -> None:
    board = tier()
    heard: list[Any] = []
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slow(change: Change) -> None:
        begun.set()
        await gate.wait()
        heard.append(change.new)

    async with board.opened():
        stop = board.subscribe(slow)
        for goal in ("a", "b", "c"):
            board["goal"] = goal
        await begun.wait()
        stop()
        board["goal"] = "d"
        gate.set()
        board.subscribe(slow)()  # before its task has begun
    assert heard == ["a"]


async def test_pattern_of_rows_hears_which_come_and_go() -> None:
    board = tier()
    heard: list[tuple[str, str]] = []
    board.subscribe(lambda change: heard.append((board.key_of(change), change.action)), name="tasks.*")
    board["tasks.a\\.b.title"] = "Dive"
    del board["tasks.a\\.b"]
    assert heard == [("tasks.a\\.b", "added"), ("tasks.a\\.b", "removed")]


def test_updates_are_told_of_keys_that_match_alone() -> None:
    world = World()
    keys = keys_of(world)
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []
    Updates(world, keys, lambda old, new: told.append((old, new)), matcher("t*", escaped=True))
    with world.transaction():
        world.tags.add("x")
        world.goal.set("not told")
    assert told == [({"tags": []}, {"tags": ["x"]})]


async def test_client_that_listens_to_its_tiers_keeps_none_that_ended() -> None:
    client = comity.connect(NOBODY)
    client.subscribe(lambda change, of: None)
    async with client.shared("one") as one:
        one["a"] = 1
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


async def test_client_hears_of_all_its_tiers_or_of_one_kind() -> None:
    client = comity.connect(NOBODY, agent="ana")
    heard: list[tuple[str, str]] = []
    async with client.shared("one") as one:
        stop = client.subscribe(lambda change, of: heard.append((of.tier, change.key)), name="a*")
        client.subscribe(lambda change, of: heard.append((of.room, change.key)), tier="persistent")
        async with client.persistent() as own:
            one["a1"] = own["a2"] = own["b"] = 1
            stop()
            one["a3"] = 1
    assert heard == [
        ("shared", "a1"),
        ("persistent", "a2"),
        ("persistent/ana", "a2"),
        ("persistent/ana", "b"),
    ]


async def test_agent_without_a_name_has_no_persistent_state() -> None:
    with pytest.raises(errors.StateError, match="no agent's name"):
        comity.connect(NOBODY).persistent()


async def test_transaction_is_one_update_to_callbacks() -> None:
    board = tier()
    told: list[tuple[dict[str, Any], dict[str, Any]]] = []
    board.on_update(lambda old, new: told.append((old, new)))
    with board.transaction():
        board.update({"goal": "reef", "steps.a": "x"})
        board["goal"] = "lagoon"
    with pytest.raises(errors.InvalidValueError):
        board.update({"goal": "never", "spent": "many"})
    assert told == [({}, {"goal": "lagoon", "steps.a": "x"})]


async def test_whole_name_of_a_room_is_taken_as_it_is() -> None:
    async with comity.connect(NOBODY).shared("shared/board") as board:
        assert board.room == "shared/board"


async def test_changes_of_a_tier_that_ended_are_none() -> None:
    async with comity.connect(NOBODY).shared("board") as board:
        pass
    assert [change async for change in board.changes()] == []
