"""Lanes: what a session writes where, and that nothing a peer writes there does harm."""

from typing import Any

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Map

from comity.crdt_types import StateDocument
from comity.crdt_types.document.lanes import SEGMENT_SIZE
from tests.support.hostile import STEPS, Hostile
from tests.support.invariants import check
from tests.support.network import Everything
from tests.support.profiles import examples


def stored(document: StateDocument) -> dict[str, list[list[Any]]]:
    """Return the decoded entries of every lane, as they lie in the Yjs document."""
    lanes = document.ydoc.get("lanes", type=Map).items()
    return {key: [[msgpack.unpackb(bytes(item)) for item in segment] for segment in lane] for key, lane in lanes}


def test_lane_begins_with_a_header_that_names_its_author() -> None:
    document = StateDocument(agent="planner", client_id=7)
    document.set_register("goal", "x")
    (segment,) = stored(document)["7"]
    assert segment[0] == [5, "planner"]
    assert [entry[:2] for entry in segment[1:]] == [[0, "goal"]]


def test_lanes_hold_only_what_is_live() -> None:
    one = StateDocument(client_id=1)
    two = StateDocument(client_id=2)
    for number in range(500):
        writer, reader = (one, two) if number % 2 else (two, one)
        writer.set_cell("steps", f"key {number % 3}", number)
        reader.apply(writer.update_since(reader.state_vector()))
    live = [entry for lane in stored(one).values() for segment in lane for entry in segment if entry[0] != 5]
    assert len(live) == 3


def test_segments_take_no_more_than_their_size() -> None:
    document = StateDocument(client_id=7)
    for number in range(3 * SEGMENT_SIZE):
        document.set_cell("steps", f"key {number}", number)
    assert [len(segment) for segment in stored(document)["7"]] == [SEGMENT_SIZE] * 3 + [1]


def test_segment_is_used_for_as_long_as_few_of_its_entries_live() -> None:
    document = StateDocument(client_id=7)
    for number in range(20 * SEGMENT_SIZE):
        document.set_cell("steps", f"key {number % 50}", number)
    assert [len(segment) for segment in stored(document)["7"]] == [51]
    check(document)


def test_segments_that_are_empty_are_retired_by_their_writer_and_by_nobody_else() -> None:
    writer, other = StateDocument(client_id=1), StateDocument(client_id=2)
    for number in range(4 * SEGMENT_SIZE):
        writer.set_cell("steps", f"key {number}", number)
    other.apply(writer.update_since())
    with other.transaction():
        for number in range(4 * SEGMENT_SIZE):
            other.delete_cell("steps", f"key {number}")
    assert len(stored(other)["1"]) == 5
    writer.apply(other.update_since(writer.state_vector()))
    writer.set_register("goal", "on")
    assert [len(segment) for segment in stored(writer)["1"]] == [1, 1]
    check(writer)


def test_segment_that_empties_in_the_transaction_that_fills_it_again_stays() -> None:
    document = StateDocument(client_id=7)
    with document.transaction():
        for number in range(SEGMENT_SIZE - 1):
            document.set_cell("steps", f"key {number}", number)
    document.set_cell("steps", "in the second segment", 1)
    document.set_cell("steps", "in the second segment", 2)
    document.delete_cell("steps", "in the second segment")
    document.set_cell("steps", "key 0", 2)
    assert [len(segment) for segment in stored(document)["7"]] == [SEGMENT_SIZE - 2, 2]
    check(document)


def test_every_update_holds_an_insert_of_its_author() -> None:
    document = StateDocument(agent="a", client_id=300)
    updates: list[bytes] = []
    document.on_commit(lambda commit: updates.append(commit.update))
    state = Everything(document)
    state.notes.append("abc")
    state.notes.delete(0, 1)
    state.notes.format(0, 1, {"bold": True})
    state.steps["x"] = 1
    del state.steps["x"]
    state.tags.add(1)
    state.tags.discard(1)
    state.spent.add(5)
    state.journal.append("x")
    state.journal.prune(0)
    assert len(updates) == 10
    for update in updates:
        assert update[0] == 1
        assert update[2:4] == b"\xac\x02"


def test_deletions_alone_are_told_with_their_author() -> None:
    one, two = StateDocument(agent="one"), StateDocument(agent="two")
    state = Everything(one)
    state.steps["x"] = 1
    state.tags.add("t")
    state.journal.append("j")
    state.notes.append("text")
    two.apply(one.update_since())
    told: list[Any] = []
    one.on_change(told.append)
    remote = Everything(two)
    for edit in (
        lambda: remote.steps.pop("x"),
        lambda: remote.tags.discard("t"),
        lambda: remote.journal.prune(0),
        lambda: remote.notes.delete(0, 2),
    ):
        edit()
        one.apply(two.update_since(one.state_vector()))
    assert [(change.kind, change.author) for change in told] == [
        ("map", "two"),
        ("set", "two"),
        ("log", "two"),
        ("text", "two"),
    ]


def test_session_that_only_types_text_is_known_by_name() -> None:
    typist, reader = Everything(StateDocument(agent="typist")), Everything(StateDocument())
    told: list[Any] = []
    reader.on_change(told.append)
    typist.notes.append("x")
    reader.document.apply(typist.document.update_since())
    assert [change.author for change in told] == ["typist"]


def test_typing_text_costs_no_lane_entries() -> None:
    state = Everything(StateDocument(agent="typist"))
    for _ in range(2000):
        state.notes.append("x")
    assert len(state.document.update_since()) < 2200


@given(st.lists(st.tuples(st.lists(STEPS, min_size=1, max_size=3), st.integers(0, 6)), max_size=12))
@settings(max_examples=examples(150, 5000))
def test_lanes_written_by_a_hostile_peer_never_raise_and_never_mislead_the_index(
    turns: list[tuple[list[tuple[Any, ...]], int]],
) -> None:
    document = StateDocument(agent="victim")
    state = Everything(document)
    edits: list[Any] = [
        lambda: state.goal.set("mine"),
        lambda: state.steps.update(a=1, b=2),
        lambda: state.tags.add(1),
        lambda: state.journal.append("mine"),
        state.steps.clear,
        lambda: state.journal.prune(1),
        state.goal.clear,
    ]
    hostile = Hostile(document.client_id)
    document.on_change(lambda change: str(change))
    state.steps["kept"] = "mine"
    for steps, edit in turns:
        hostile.ydoc.apply_update(document.update_since(hostile.ydoc.get_state()))
        hostile.run(steps)
        document.apply(hostile.ydoc.get_update(document.state_vector()))
        check(document)
        edits[edit]()
        check(document)
        assert isinstance(state.to_dict(), dict)
        assert isinstance(state.conflicts() + state.violations(), list)
    hostile.ydoc.apply_update(document.update_since(hostile.ydoc.get_state()))
    check(StateDocument(update=hostile.ydoc.get_update()))


def test_lane_that_a_peer_deleted_is_opened_again_with_its_header() -> None:
    document = StateDocument(agent="victim", client_id=7)
    document.set_register("goal", 1)
    root: Map[Any] = document.ydoc.get("lanes", type=Map)
    del root["7"]
    assert not document.index.headers
    document.set_register("goal", 2)
    assert stored(document)["7"][0][0] == [5, "victim"]
    assert document.index.author(7) == "victim"
    check(document)


def test_lane_that_a_peer_replaced_is_continued() -> None:
    document = StateDocument(agent="victim", client_id=7)
    document.set_register("goal", 1)
    root: Map[Any] = document.ydoc.get("lanes", type=Map)
    root["7"] = Array([Array([msgpack.packb([0, "other", 5, "forged"])])])
    document.set_register("goal", 2)
    assert [entry[0] for entry in stored(document)["7"][0]] == [0, 5, 0]
    check(document)
    root["7"] = "no lane at all"
    document.set_register("goal", 3)
    check(document)
    assert Everything(StateDocument(update=document.update_since())).goal.value == 3


def test_session_that_finds_its_client_id_taken_continues_that_lane() -> None:
    first = StateDocument(agent="a", client_id=7)
    first.set_cell("steps", "x", 1)
    again = StateDocument(agent="a", client_id=7, update=first.update_since())
    again.set_cell("steps", "y", 2)
    assert Everything(again).steps.value == {"x": 1, "y": 2}
    check(again)
