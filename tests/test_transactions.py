"""Transactions: seen at once inside, all or nothing outside."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Map as YMap

from comity.crdt_types import Change, Commit, StateDocument
from comity.crdt_types.errors import InvalidValueError, ProtocolError, TransactionError
from tests.support.edits import Part, Task
from tests.support.invariants import check, check_text
from tests.support.network import Everything, FailedError


def filled() -> Everything:
    """Return a state with something in every field."""
    state = Everything(StateDocument(agent="a"))
    state.goal.set("before")
    state.steps.update({"x": 1, "y": 2})
    state.tags.update(["t", "u"])
    state.spent.add(5)
    state.journal.extend(["1", "2", "3"])
    state.notes.append("h\u00e9llo")
    state.seen.add("before")
    state.earned.add(1)
    state.plan.extend(["one", "two", "three"])
    state.profile.name.set("a")
    state.tasks["kept"] = Task(title="kept", notes="h\u00e9llo", steps=["one"])
    state.tasks["gone"] = Task(title="gone", notes="h\u00e9llo", parts={"p": {"title": "part"}})
    return state


def change_everything(state: Everything) -> None:
    """Make every kind of edit, some of them twice."""
    state.goal.set("after")
    state.goal.clear()
    state.goal.set(["later"])
    state.steps["x"] = 3
    state.steps["z"] = 4
    del state.steps["z"]
    del state.steps["y"]
    state.tags.add("v")
    state.tags.discard("t")
    state.tags.discard("v")
    state.spent.add(7)
    state.spent.subtract(20)
    state.errors.add(1)
    state.journal.append("4")
    state.journal.prune(2)
    state.journal.append("5")
    state.notes.insert(1, "\U0001f600")
    state.notes.delete(0, 1)
    state.notes.append("!")
    state.seen.update(["after", "before"])
    state.earned.add(2)
    state.plan.insert(1, "new")
    state.plan.move(0, 3)
    state.plan[1] = "TWO"
    del state.plan[2]
    state.profile.name.set("b")
    state.profile.visits.add(1)
    state.tasks["kept"].spent.add(3)
    state.tasks["kept"].notes.append("!")
    state.tasks["kept"].parts["q"] = Part(title="new")
    del state.tasks["gone"]
    state.tasks["new"] = Task(labels=["x"])
    state.tasks["brief"] = Task(title="brief")
    del state.tasks["brief"]


def fail(state: Everything, edit: Callable[[Everything], None]) -> None:
    """Edit in a transaction that fails."""
    with state.transaction():
        edit(state)
        raise FailedError


def task(**values: Any) -> dict[str, Any]:
    """Return what a row reads that holds these values."""
    sequences: dict[str, Any] = {name: [] for name in ("labels", "steps", "journal")}
    return {"title": None, "spent": 0, "notes": "", "parts": {}, **sequences, **values}


EXPECTED = {
    "goal": ["later"],
    "steps": {"x": 3},
    "tags": ["u"],
    "spent": -8,
    "errors": 1,
    "journal": ["3", "4", "5"],
    "notes": "\U0001f600\u00e9llo!",
    "seen": ["after", "before"],
    "earned": 3,
    "plan": ["new", "TWO", "one"],
    "profile": {"name": "b", "visits": 1},
    "tasks": {
        "kept": task(
            title="kept", spent=3, steps=["one"], notes="h\u00e9llo!", parts={"q": {"title": "new", "notes": ""}}
        ),
        "new": task(labels=["x"]),
    },
}


def test_transaction_reads_its_own_writes() -> None:
    state = filled()
    with state.transaction():
        change_everything(state)
        assert state.to_dict() == EXPECTED
    assert state.to_dict() == EXPECTED
    check(state.document)
    assert Everything(StateDocument(update=state.document.update_since())).to_dict() == EXPECTED


def test_transaction_goes_out_as_one_update_with_its_edits() -> None:
    state = filled()
    commits: list[Commit] = []
    state.document.on_commit(commits.append)
    before = state.document.state_vector()
    with state.transaction():
        change_everything(state)
    (commit,) = commits
    assert commit.local
    assert commit.update == state.document.update_since(before)
    assert {edit.operation for edit in commit.edits} == {
        "set", "clear", "put", "delete", "add", "discard", "count", "append", "prune", "text",
        "item", "place", "remove",
    }  # fmt: skip


def test_transaction_that_fails_restores_every_read_and_writes_nothing() -> None:
    state = filled()
    told: list[object] = []
    state.document.on_commit(told.append)
    state.on_change(told.append)
    before = state.to_dict(), state.document.state_vector(), state.document.update_since()
    with pytest.raises(FailedError):
        fail(state, change_everything)
    assert (state.to_dict(), state.document.state_vector(), state.document.update_since()) == before
    assert told == []
    check(state.document)
    change_everything(state)
    assert state.to_dict() == EXPECTED


def test_transaction_that_an_invalid_value_ends_writes_nothing() -> None:
    state = filled()
    before = state.document.state_vector()
    with pytest.raises(InvalidValueError):
        state.journal.extend(["good", object()])  # type: ignore[list-item]
    assert state.document.state_vector() == before
    assert list(state.journal) == ["1", "2", "3"]


def test_transaction_inside_another_joins_it() -> None:
    state = filled()
    commits: list[Commit] = []
    state.document.on_commit(commits.append)
    with state.transaction():
        with state.transaction():
            state.goal.set(1)
        assert state.document.in_transaction
        assert commits == []
    assert len(commits) == 1

    def edit_inside_another(_state: Everything) -> None:
        with state.transaction():
            state.goal.set(2)

    with pytest.raises(FailedError):
        fail(state, edit_inside_another)
    assert state.goal.value == 1


def test_transaction_without_edits_writes_nothing() -> None:
    state = filled()
    before = state.document.state_vector()
    with state.transaction():
        state.steps.pop("absent", None)
        state.tags.discard("absent")
        state.errors.add(0)
        state.notes.insert(0, "")
    assert state.document.state_vector() == before


def test_edits_that_undo_each_other_in_a_transaction_are_not_told() -> None:
    state = filled()
    told: list[Change] = []
    state.on_change(told.append)
    with state.transaction():
        state.journal.append("never was")
        state.journal.prune(0)
        state.tags.add("new")
        state.tags.discard("new")
        state.steps["new"] = 1
        del state.steps["new"]
        state.spent.add(3)
        state.spent.subtract(3)
    assert sorted((change.kind, change.old) for change in told) == [("log", "1"), ("log", "2"), ("log", "3")]


def test_updates_that_arrive_during_a_transaction_wait_for_its_end() -> None:
    state, other = filled(), StateDocument(agent="b")
    other.apply(state.document.update_since())
    Everything(other).steps["remote"] = 1
    with state.transaction():
        state.steps["local"] = 2
        state.document.apply(other.update_since())
        assert "remote" not in state.steps
    assert state.steps.value == {"x": 1, "y": 2, "local": 2, "remote": 1}
    Everything(other).steps["late"] = 1
    with pytest.raises(FailedError):
        fail(state, lambda state: state.document.apply(other.update_since()))
    assert "late" in state.steps
    check(state.document)


def test_update_that_is_none_is_refused_at_once_during_a_transaction() -> None:
    state = filled()
    with state.transaction():
        with pytest.raises(ProtocolError):
            state.document.apply(b"no update")
        state.goal.set("fine")
    assert state.goal.value == "fine"


def test_update_that_is_none_is_refused_and_leaves_the_document_as_it_was() -> None:
    state = filled()
    before = state.to_dict(), state.document.update_since()
    for junk in (b"", b"\x00", b"\x01\x01", b"no update at all"):
        with pytest.raises(ProtocolError):
            state.document.apply(junk)
    assert (state.to_dict(), state.document.update_since()) == before


def test_listener_may_edit_and_others_hear_of_it_in_order() -> None:
    state = filled()
    heard: list[str] = []

    def answer(change: Change) -> None:
        if change.field == "goal":
            state.steps["answer"] = change.new
            with state.transaction():
                state.spent.add(1)
                state.tags.add("answered")

    state.on_change(answer)
    state.on_change(lambda change: heard.append(change.field))
    state.goal.set("question")
    assert heard == ["goal", "steps", "spent", "tags"]
    other = StateDocument(agent="b", update=state.document.update_since())
    Everything(other).goal.set("from elsewhere")
    state.document.apply(other.update_since())
    assert state.steps["answer"] == "from elsewhere"
    check(state.document)


def test_listener_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    state = filled()
    heard: list[object] = []

    def fail(_what: object) -> None:
        raise FailedError

    state.on_change(fail)
    state.document.on_commit(fail)
    state.on_change(heard.append)
    state.document.on_commit(heard.append)
    with caplog.at_level(logging.CRITICAL, logger="comity"):
        state.goal.set("told")
    assert len(heard) == 2
    check(state.document)


def test_listener_that_stopped_hears_nothing_and_may_stop_again() -> None:
    state = filled()
    heard: list[Change] = []
    stops: list[Callable[[], None]] = [state.on_change(heard.append) for _ in range(2)]
    state.goal.set(1)
    stops[0]()
    stops[0]()
    state.goal.set(2)
    stops[1]()
    state.goal.set(3)
    assert len(heard) == 3


def test_observer_of_an_editor_that_fails_hurts_no_typed_edit(caplog: pytest.LogCaptureFixture) -> None:
    state = filled()
    commits: list[Commit] = []
    state.document.on_commit(commits.append)

    def fail(_event: object) -> None:
        raise FailedError

    state.document.ydoc.observe(fail)
    with caplog.at_level(logging.CRITICAL, logger="comity"):
        state.goal.set("written")
        state.document.apply(StateDocument().update_since())
    assert len(commits) == 1
    state.document.state_vector()


def test_edit_inside_a_yjs_transaction_raises_and_writes_nothing() -> None:
    state = filled()
    before = state.to_dict()
    with state.document.ydoc.transaction():
        with pytest.raises(TransactionError):
            state.goal.set("no")
        with pytest.raises(TransactionError), state.transaction():
            state.goal.set("no")
        with pytest.raises(TransactionError):
            state.document.apply(StateDocument().update_since())
    assert state.to_dict() == before
    state.goal.set("yes")
    check(state.document)


def test_edit_inside_a_yjs_observer_raises() -> None:
    state = filled()
    seen: list[str] = []

    def edit(_event: object) -> None:
        with pytest.raises(TransactionError):
            state.spent.add(1)
        seen.append("raised")

    state.document.ydoc.observe(edit)
    state.goal.set("x")
    state.document.ydoc.get("other", type=YMap)["a"] = 1
    assert seen == ["raised", "raised"]
    assert state.spent.value == 5


def test_yjs_written_to_inside_a_transaction_ends_it_with_an_error_and_is_followed() -> None:
    state = filled()
    told: list[Change] = []
    state.on_change(told.append)

    def write_both_ways() -> None:
        with state.transaction():
            state.goal.set("lost")
            state.notes.insert(0, "lost")
            state.document.text("notes").ytext.insert(0, "kept ")

    with pytest.raises(TransactionError):
        write_both_ways()
    assert state.goal.value == "before"
    assert state.notes.value == "kept h\u00e9llo"
    assert [(change.kind, change.new) for change in told] == [("text", [{"insert": "kept "}])]
    check(state.document)
    check_text(state.document, "notes")
    state.notes.insert(0, "on ")
    assert state.notes.value == "on kept h\u00e9llo"
