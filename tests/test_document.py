"""The state document as a whole: its size, its reset, gaps in what arrives, and what editors do to it."""

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc
from pycrdt import Map as YMap

from comity.crdt_types import Change, Commit, StateDocument
from comity.crdt_types.errors import ProtocolError, TransactionError
from tests.support.invariants import check, check_text
from tests.support.network import Everything
from tests.support.profiles import examples


def agreeing(documents: list[StateDocument]) -> None:
    """Bring every document what it lacks."""
    for one in documents:
        for other in documents:
            if one is not other:
                one.apply(other.update_since(one.state_vector()))


def test_document_stays_small_beside_a_plain_map_however_often_it_is_overwritten() -> None:
    documents = [StateDocument(agent=f"agent-{number}") for number in range(8)]
    plain = [Doc[Any]() for _ in range(8)]
    for write in range(20_000):
        number = write % 8
        documents[number].set_cell("steps", f"key {write % 50}", write)
        root: YMap[Any] = plain[number].get("steps", type=YMap)
        root[f"key {write % 50}"] = write
        if write % 500 == 0:
            agreeing(documents)
            for one in plain:
                for other in plain:
                    one.apply_update(other.get_update(one.get_state()))
    agreeing(documents)
    for one in plain:
        for other in plain:
            one.apply_update(other.get_update(one.get_state()))
    size, plain_size = len(documents[0].update_since()), len(plain[0].get_update())
    assert size * 10 < plain_size
    check(documents[0])


def test_document_of_one_writer_holds_what_is_live_and_little_more() -> None:
    document = StateDocument()
    for write in range(20_000):
        document.set_cell("steps", f"key {write % 50}", write)
    assert len(document.update_since()) < 2_500


def test_document_under_a_client_id_of_its_own_each_time() -> None:
    assert len({StateDocument().client_id for _ in range(20)}) == 20
    assert StateDocument(client_id=7).client_id == 7


def filled(agent: str, client_id: int | None = None) -> Everything:
    """Return a state with something in every field."""
    state = Everything(StateDocument(agent=agent, client_id=client_id))
    state.goal.set({"a": [1]})
    state.steps.update({"x": 1, "y": 2})
    state.tags.update(["t", "u"])
    state.spent.add(5)
    state.journal.extend(["1", "2"])
    state.notes.append("h\u00e9llo")
    return state


def test_reset_replaces_the_document_and_tells_the_difference() -> None:
    state = filled("old")
    other = Everything(StateDocument(agent="new", update=state.document.update_since()))
    other.steps["y"] = 3
    other.steps["z"] = 4
    del other.steps["x"]
    other.tags.discard("t")
    other.spent.add(10)
    other.journal.append("3")
    other.notes.insert(1, "\U0001f600")
    told: list[Change] = []
    commits: list[Commit] = []
    state.on_change(told.append)
    state.document.on_commit(commits.append)
    client = state.document.client_id
    state.document.reset(other.document.update_since())
    assert state.to_dict() == other.to_dict()
    assert sorted((c.kind, c.key, c.old, c.new) for c in told if c.kind != "text") == [
        ("counter", None, 5, 15),
        ("log", None, None, "3"),
        ("map", "x", 1, None),
        ("map", "y", 2, 3),
        ("map", "z", None, 4),
        ("set", "t", True, None),
    ]
    assert [c.new for c in told if c.kind == "text"] == [[{"retain": 1}, {"insert": "\U0001f600"}]]
    assert state.document.client_id != client
    assert [commit.local for commit in commits] == [False]
    assert StateDocument(update=commits[0].update).update_since() == other.document.update_since()


def test_reset_leaves_fields_valid_and_the_old_document_alone() -> None:
    state = filled("agent")
    old = state.document.ydoc
    old_text = state.document.text("notes").ytext
    state.document.reset(filled("other").document.update_since())
    check(state.document)
    state.goal.set("after")
    state.notes.append("!")
    state.spent.add(1)
    old_text.insert(0, "into the old one")
    assert (state.goal.value, state.notes.value, state.spent.value) == ("after", "h\u00e9llo!", 6)
    assert state.document.index.author(state.document.client_id) == "agent"
    assert state.document.ydoc is not old
    check(state.document)
    check_text(state.document, "notes")


def test_reset_to_what_is_no_update_leaves_everything_as_it_was() -> None:
    state = filled("agent")
    before = state.to_dict(), state.document.client_id, state.document.update_since()
    with pytest.raises(ProtocolError):
        state.document.reset(b"no update")
    with state.transaction(), pytest.raises(TransactionError):
        state.document.reset(b"\x00\x00")
    assert (state.to_dict(), state.document.client_id, state.document.update_since()) == before


@given(st.permutations(range(8)), st.lists(st.booleans(), min_size=8, max_size=8))
@settings(max_examples=examples(60, 2000))
def test_updates_that_come_before_those_they_build_on_are_followed(order: list[int], listens: list[bool]) -> None:
    updates: list[bytes] = []
    writer = Everything(StateDocument(agent="writer"))
    writer.document.on_commit(lambda commit: updates.append(commit.update))
    writer.notes.append("ab")
    writer.steps["x"] = 1
    writer.steps["x"] = 2
    writer.notes.insert(1, "\u00e9")
    writer.tags.add("t")
    writer.spent.add(3)
    writer.spent.add(4)
    writer.journal.append("1")
    reader = Everything(StateDocument(agent="reader"))
    emitted: list[bytes] = []
    reader.document.on_commit(lambda commit: emitted.append(commit.update))
    told: list[Change] = []
    if listens[0]:
        reader.on_change(told.append)
    for at, number in enumerate(order):
        reader.document.apply(updates[number])
        check(reader.document)
        check_text(reader.document, "notes")
        if listens[at]:
            reader.errors.add(1)
            reader.notes.append("\U0001f600")
            check(reader.document)
            check_text(reader.document, "notes")
    assert not reader.document.lacks_updates
    assert (reader.steps.value, reader.spent.value, reader.journal.value) == ({"x": 2}, 7, ["1"])
    follower = StateDocument()
    for update in emitted:
        follower.apply(update)
    assert Everything(follower).to_dict() == reader.to_dict()


def test_document_that_lacks_updates_says_so_until_they_come() -> None:
    writer = StateDocument()
    writer.set_register("goal", 1)
    early = writer.update_since()
    seen = writer.state_vector()
    writer.set_register("goal", 2)
    reader = StateDocument()
    reader.apply(writer.update_since(seen))
    lacked = reader.lacks_updates
    reader.apply(early)
    assert (lacked, reader.lacks_updates) == (True, False)
    assert Everything(reader).goal.value == 2


def test_editor_bound_to_the_yjs_document_is_followed_as_a_local_change() -> None:
    state = filled("agent")
    told: list[Change] = []
    commits: list[Commit] = []
    state.on_change(told.append)
    state.document.on_commit(commits.append)
    ytext = state.document.text("notes").ytext
    with state.document.ydoc.transaction():
        ytext.insert(0, "1. ")
        ytext.format(0, 2, {"bold": True})
    assert state.notes.value == "1. h\u00e9llo"
    assert [(change.kind, change.author, change.local) for change in told] == [("text", "agent", True)]
    assert [(commit.local, commit.edits) for commit in commits] == [(True, ())]
    other = StateDocument(update=state.document.update_since())
    assert Everything(other).notes.value == state.notes.value


def test_plain_yjs_roots_beside_the_lanes_travel_untouched() -> None:
    state = filled("agent")
    commits: list[Commit] = []
    state.document.on_commit(commits.append)
    plain: YMap[Any] = state.document.ydoc.get("plain", type=YMap)
    plain["a"] = 1
    assert len(commits) == 1
    other = StateDocument(update=state.document.update_since())
    assert other.ydoc.get("plain", type=YMap)["a"] == 1
    check(other)


def test_documents_that_nobody_holds_are_freed() -> None:
    document = StateDocument(agent="a")
    document.set_register("goal", "x")
    document.text("notes")
    other = StateDocument(update=document.update_since())
    other.on_change(lambda change: None)
    other.reset(document.update_since())
    gone = [weakref.ref(document), weakref.ref(other)]
    del document, other
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
