"""Undo and redo: what one session did is taken back, and nothing of what others did."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Text as YText

from comity.crdt_types import StateDocument
from comity.crdt_types.errors import InvalidValueError, TransactionError
from comity.crdt_types.undo.manager import UndoManager
from tests.support.profiles import examples
from tests.support.world import EDITS, GROWING, Task, World, make, picture

TRANSACTIONS = st.lists(st.lists(EDITS, min_size=1, max_size=4), max_size=12)


def world(agent: str = "", update: bytes | None = None) -> World:
    return World(StateDocument(agent=agent, update=update))


def merge(*worlds: World) -> None:
    for one in worlds:
        for other in worlds:
            if one is not other:
                one.document.apply(other.document.update_since(one.document.state_vector()))


def run(state: World, edits: list[Any]) -> None:
    with state.transaction():
        for edit in edits:
            make(state, edit)


def recorded(state: World, undo: UndoManager, transactions: list[list[Any]]) -> list[Any]:
    """Make transactions, and return what was to be read before each that is a step, and at the end."""
    seen = []
    for edits in transactions:
        before, steps = picture(state), undo.steps
        run(state, edits)
        if undo.steps > steps:
            seen.append(before)
        else:
            assert picture(state) == before
    return [*seen, picture(state)]


@settings(max_examples=examples(120, 5000))
@given(TRANSACTIONS, st.lists(EDITS, max_size=6))
def test_undo_restores_what_was_before_each_transaction_and_redo_what_came(
    transactions: list[list[Any]], earlier: list[Any]
) -> None:
    state = world()
    run(state, earlier)
    undo = UndoManager(state)
    seen = recorded(state, undo, transactions)
    for before in reversed(seen[:-1]):
        assert undo.can_undo
        assert undo.undo()
        assert picture(state) == before
    assert not undo.undo()
    for after in seen[1:]:
        assert undo.can_redo
        assert undo.redo()
        assert picture(state) == after
    assert not undo.redo()


@settings(max_examples=examples(60, 3000))
@given(TRANSACTIONS, st.lists(st.booleans(), max_size=30))
def test_undo_and_redo_in_any_order_lead_along_one_line_of_states(
    transactions: list[list[Any]], moves: list[bool]
) -> None:
    state = world()
    undo = UndoManager(state)
    seen = recorded(state, undo, transactions)
    at = len(seen) - 1
    for back in moves:
        if back:
            assert undo.undo() == (at > 0)
            at = max(at - 1, 0)
        else:
            assert undo.redo() == (at < len(seen) - 1)
            at = min(at + 1, len(seen) - 1)
        assert picture(state) == seen[at]


@settings(max_examples=examples(60, 2000))
@given(TRANSACTIONS)
def test_group_is_undone_as_one_step(transactions: list[list[Any]]) -> None:
    state = world()
    undo = UndoManager(state)
    before = picture(state)
    with undo.grouped():
        for edits in transactions:
            run(state, edits)
    after = picture(state)
    assert undo.steps <= 1
    updates: list[bytes] = []
    state.document.on_commit(lambda commit: updates.append(commit.update))
    undo.undo()
    assert len(updates) <= 1
    assert picture(state) == before
    undo.redo()
    assert picture(state) == after


STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2), st.lists(st.one_of(EDITS, GROWING), min_size=1, max_size=3)),
        st.tuples(st.integers(0, 2), st.sampled_from(["undo", "redo", "merge"])),
    ),
    max_size=25,
)


@settings(max_examples=examples(120, 5000))
@given(STEPS)
def test_replicas_that_undo_converge(steps: list[tuple[int, Any]]) -> None:
    worlds = [world(name) for name in "abc"]
    managers = [UndoManager(each) for each in worlds]
    for at, what in steps:
        if isinstance(what, list):
            run(worlds[at], what)
        elif what == "merge":
            merge(worlds[at], worlds[at - 1])
        else:
            managers[at].undo() if what == "undo" else managers[at].redo()
    merge(*worlds)
    merge(*worlds)
    assert picture(worlds[0]) == picture(worlds[1]) == picture(worlds[2])


@settings(max_examples=examples(100, 4000))
@given(
    st.lists(st.tuples(st.booleans(), EDITS.filter(lambda edit: edit[0] not in {"row", "drop"})), max_size=20),
    st.lists(st.booleans(), max_size=20),
)
def test_undo_of_everything_leaves_a_document_as_if_only_the_other_had_edited(
    edits: list[tuple[bool, Any]], merges: list[bool]
) -> None:
    """Where the two edit other cells: counters are exact, texts hold every character of the other."""
    mine, theirs, alone = world("me"), world("them"), world("alone")
    undo = UndoManager(mine)
    for at, (own, edit) in enumerate(edits):
        if own:
            make(mine, _renamed(edit, "mine"))
        else:
            for each in (theirs, alone):
                make(each, _renamed(edit, "theirs"))
        if at < len(merges) and merges[at]:
            merge(mine, theirs)
    while undo.undo():
        pass
    merge(mine, theirs)
    assert mine.to_dict()["steps"] == theirs.to_dict()["steps"] == alone.to_dict()["steps"]
    assert mine.spent == theirs.spent == alone.spent
    assert mine.profile.visits == theirs.profile.visits == alone.profile.visits
    assert [tag for tag in mine.tags if str(tag).startswith("theirs")] == list(alone.tags)
    assert len(mine.log) == len(alone.log)


def _renamed(edit: Any, prefix: str) -> Any:
    """Return an edit of cells of its own, under a key or of an element with a prefix, or one that adds up."""
    match edit:
        case ("put", key, value):
            return ("put", prefix + key, value)
        case ("delete", key):
            return ("delete", prefix + key)
        case ("tag" | "untag" as kind, value):
            return (kind, f"{prefix}{value!r}")
        case ("count" | "visit" | "append", *_):
            return edit
        case _:
            return ("count", 1)


@settings(max_examples=examples(80, 4000))
@given(st.lists(st.tuples(st.sampled_from("mto"), st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=25))
def test_undo_of_a_text_keeps_every_character_of_others(edits: list[tuple[str, int, int, bool]]) -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    for who, at, gone, sync in edits:
        each = theirs if who == "t" else mine
        at = at % (len(each.notes) + 1)
        if who == "o":
            each.notes.delete(at, min(gone, len(each.notes) - at))
        else:
            each.notes.insert(at, "T" * (gone + 1) if who == "t" else "m" * (gone + 1))
        if sync:
            merge(mine, theirs)
    merge(mine, theirs)
    written = sum(gone + 1 for who, _at, gone, _sync in edits if who == "t")
    while undo.undo():
        pass
    merge(mine, theirs)
    assert str(mine.notes) == str(theirs.notes)
    assert "m" not in str(mine.notes)
    assert str(mine.notes).count("T") == written


def test_undo_leaves_alone_what_others_overwrote() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    with mine.transaction():
        mine.goal.set("mine")
        mine.steps["a"] = "mine"
        mine.items.append("mine")
        mine.tags.add("tag")
    merge(mine, theirs)
    theirs.goal.set("theirs")
    theirs.steps["a"] = "theirs"
    theirs.items[0] = "theirs"
    theirs.tags.discard("tag")
    merge(mine, theirs)
    before = picture(mine)
    assert not undo.can_undo
    assert not undo.undo()
    assert picture(mine) == before


def test_undo_leaves_an_element_that_another_added_again() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    mine.tags.add("x")
    merge(mine, theirs)
    theirs.tags.add("x")
    merge(mine, theirs)
    mine.tags.add("x")
    assert not undo.undo()
    assert list(mine.tags) == ["x"]


def test_undo_withdraws_only_its_own_of_two_rivals() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    theirs.goal.set("theirs")
    mine.goal.set("mine")
    theirs.tags.add("x")
    mine.tags.add("x")
    merge(mine, theirs)
    assert mine.conflicts()
    assert undo.undo()
    assert undo.undo()
    assert (mine.goal.value, mine.conflicts(), list(mine.tags)) == ("theirs", [], ["x"])
    merge(mine, theirs)
    assert picture(mine) == picture(theirs)


def test_undo_writes_a_deleted_cell_again_only_if_it_is_empty() -> None:
    mine, theirs = world("me"), world("them")
    mine.steps.update(a=1, b=2)
    undo = UndoManager(mine)
    mine.steps.clear()
    merge(mine, theirs)
    theirs.steps["a"] = "theirs"
    merge(mine, theirs)
    assert undo.undo()
    assert dict(mine.steps) == {"a": "theirs", "b": 2}
    assert undo.redo()
    assert dict(mine.steps) == {"a": "theirs"}


def test_undo_of_a_count_that_was_reset_changes_nothing() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    mine.spent.add(5)
    merge(mine, theirs)
    theirs.document.reset_counter("spent")
    theirs.spent.add(2)
    merge(mine, theirs)
    mine.spent.add(1)
    assert undo.undo()
    assert mine.spent == 2
    assert not undo.undo()
    assert mine.spent == 2


def test_undo_of_a_reset_counts_what_others_had_counted() -> None:
    mine, theirs = world("me"), world("them")
    theirs.spent.add(4)
    merge(mine, theirs)
    undo = UndoManager(mine)
    mine.spent.add(3)
    mine.document.reset_counter("spent")
    assert mine.spent == 0
    assert undo.undo()
    assert mine.spent == 7
    assert undo.undo()
    assert mine.spent == 4


def test_undo_of_a_prune_brings_items_back_to_their_places() -> None:
    mine, theirs = world("me"), world("them")
    theirs.log.extend(["a", "b"])
    merge(mine, theirs)
    mine.log.append("c")
    merge(mine, theirs)
    times = mine.log.times()
    undo = UndoManager(mine)
    mine.log.prune(1)
    theirs.log.append("d")
    merge(mine, theirs)
    assert undo.undo()
    assert list(mine.log) == ["a", "b", "c", "d"]
    assert mine.log.times()[:3] == times
    merge(mine, theirs)
    assert list(theirs.log) == list(mine.log)


def test_undo_does_not_bring_an_item_back_twice() -> None:
    mine, theirs = world("me"), world("them")
    mine.log.append("a")
    merge(mine, theirs)
    managers = [UndoManager(mine), UndoManager(theirs)]
    mine.log.prune(0)
    theirs.log.prune(0)
    merge(mine, theirs)
    managers[0].undo()
    merge(mine, theirs)
    assert not managers[1].undo()
    assert list(mine.log) == list(theirs.log) == ["a"]


def test_undo_puts_nothing_back_into_a_row_that_is_gone() -> None:
    mine, theirs = world("me"), world("them")
    mine.tasks["a"] = Task(title="x", notes="abc")
    merge(mine, theirs)
    undo = UndoManager(mine)
    mine.tasks["a"].title.clear()
    mine.tasks["a"].notes.delete(0, 2)
    merge(mine, theirs)
    del theirs.tasks["a"]
    merge(mine, theirs)
    assert not undo.undo()
    assert len(mine.tasks) == 0
    assert mine.document.text("tasks/a/notes").value == ""


def test_undo_of_a_row_takes_what_only_grows_with_it_and_leaves_it_alone_elsewhere() -> None:
    state = world()
    undo = UndoManager(state)
    state.known.add("x")
    state.views.add(3)
    assert not undo.can_undo
    state.tasks["a"] = Task(title="x", reads=2, seen=["me"])
    assert undo.undo()
    assert "a" not in state.tasks
    assert (list(state.known), state.views.value) == (["x"], 3)
    assert undo.redo()
    assert (state.tasks["a"].reads.value, list(state.tasks["a"].seen)) == (2, ["me"])


def test_undo_of_a_new_row_leaves_what_others_wrote_into_it() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    mine.tasks["a"] = Task(title="x", spent=2)
    merge(mine, theirs)
    theirs.tasks["a"].spent.add(5)
    merge(mine, theirs)
    undo.undo()
    assert mine.tasks["a"].to_dict()["spent"] == 5
    assert mine.tasks["a"].title.value is None


def test_new_edit_forgets_what_could_be_redone() -> None:
    state = world()
    undo = UndoManager(state)
    state.spent.add(1)
    undo.undo()
    state.spent.add(2)
    assert not undo.can_redo
    assert not undo.redo()
    assert state.spent == 2


def test_undo_is_about_the_fields_named() -> None:
    state = world()
    undo = UndoManager(state, fields=["goal", "profile"])
    with state.transaction():
        state.goal.set("x")
        state.profile.name.set("y")
        state.spent.add(1)
    state.steps["a"] = 1
    assert undo.undo()
    assert (state.goal.is_set, state.profile.name.is_set, state.spent.value, len(state.steps)) == (False, False, 1, 1)
    with pytest.raises(InvalidValueError, match="no field 'nothing'"):
        UndoManager(state, fields=["nothing"])


def test_undo_of_a_nested_state_leaves_the_rest_alone() -> None:
    state = world()
    undo = UndoManager(state.profile)
    state.goal.set("x")
    state.profile.visits.add(2)
    assert undo.undo()
    assert (state.goal.value, state.profile.visits.value) == ("x", 0)
    assert not undo.undo()


def test_undo_keeps_as_many_steps_as_it_is_told_to() -> None:
    state = world()
    undo = UndoManager(state, limit=3)
    for _ in range(5):
        state.spent.add(1)
    assert [undo.undo() for _ in range(4)] == [True, True, True, False]
    assert state.spent == 2
    with pytest.raises(InvalidValueError):
        UndoManager(state, limit=0)


def test_undo_of_a_group_leaves_alone_what_another_wrote_within_it() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    with undo.grouped():
        mine.goal.set("first")
        merge(mine, theirs)
        theirs.goal.set("theirs")
        merge(mine, theirs)
        mine.goal.set("second")
    assert undo.undo()
    assert mine.goal.value == "theirs"


def test_undo_of_a_group_takes_a_row_away_that_nothing_was_counted_in() -> None:
    state = world()
    undo = UndoManager(state)
    state.tasks["a"] = Task(title="x", notes="abc")
    with state.transaction():
        state.tasks["a"].spent.add(2)
        state.tasks["a"].spent.subtract(2)
    assert undo.steps == 1
    assert undo.undo()
    assert len(state.tasks) == 0
    assert state.document.text("tasks/a/notes").value == ""
    assert undo.redo()
    assert (state.tasks["a"].title.value, str(state.tasks["a"].notes)) == ("x", "abc")


def test_undo_leaves_a_text_alone_from_a_step_on_that_could_not_be_taken_back() -> None:
    mine, theirs = world("me"), world("them")
    mine.tasks["a"] = Task(notes="abcdef")
    merge(mine, theirs)
    undo = UndoManager(mine)
    mine.tasks["a"].notes.delete(0, 2)
    mine.spent.add(1)
    mine.tasks["a"].notes.delete(0, 2)
    merge(mine, theirs)
    del theirs.tasks["a"]
    merge(mine, theirs)
    assert undo.undo()
    assert mine.spent == 0
    theirs.tasks["a"] = Task(notes="new")
    merge(mine, theirs)
    assert not undo.undo()
    assert str(mine.tasks["a"].notes) == "new"


def _refuse(changes: list[Any]) -> None:
    raise InvalidValueError("no")


def test_undo_is_refused_inside_transactions_and_groups() -> None:
    state = world()
    undo = UndoManager(state)
    state.spent.add(1)
    with state.transaction(), pytest.raises(TransactionError):
        undo.undo()
    with state.transaction(), pytest.raises(TransactionError):
        UndoManager(state)
    with undo.grouped(), pytest.raises(TransactionError):
        undo.undo()
    assert undo.undo()


def test_undo_that_a_guard_refuses_changes_nothing_and_stays_possible() -> None:
    state = world()
    undo = UndoManager(state)
    with state.transaction():
        state.spent.add(3)
        state.document.reset_counter("spent")
        state.goal.set("x")
        state.notes.append("abc")
    state.document.reset_counter("spent")
    stop = state.document.add_guard(_refuse)
    before = picture(state)
    with pytest.raises(InvalidValueError):
        undo.undo()
    assert picture(state) == before
    stop()
    assert undo.undo()
    assert (state.goal.is_set, str(state.notes)) == (False, "")


def test_reset_of_the_document_forgets_all_steps() -> None:
    state = world()
    undo = UndoManager(state)
    state.notes.append("abc")
    state.document.reset(state.document.update_since())
    assert not undo.can_undo
    state.notes.delete(0, 1)
    assert undo.undo()
    assert str(state.notes) == "abc"


def test_clear_and_close_forget_all_steps() -> None:
    state = world()
    undo = UndoManager(state)
    state.spent.add(1)
    undo.clear()
    assert not undo.undo()
    state.spent.add(1)
    assert undo.can_undo
    undo.close()
    state.spent.add(1)
    assert not undo.undo()
    assert state.spent == 3
    assert not state.document.listeners.want_steps


def test_undo_of_a_document_needs_no_schema() -> None:
    document = StateDocument()
    undo = UndoManager(document)
    document.set_register("goal", 1)
    document.set_cell("$schema", "x@1", True)
    document.count("spent", 2)
    assert undo.undo()
    assert undo.undo()
    assert not undo.undo()
    assert document.index.cells(0, "goal") == {}
    assert document.index.cells(1, "$schema") != {}
    assert document.index.cells(3, "spent").total == 0


def test_undo_of_a_text_that_was_there_before_it_was_asked_for() -> None:
    state, other = world(), world()
    other.tasks["a"] = Task(notes="hello")
    other.tasks["a"].notes.format(0, 2, {"bold": True})
    undo = UndoManager(state)
    merge(state, other)
    state.tasks["a"].notes.delete(1, 3)
    assert undo.undo()
    assert state.tasks["a"].notes.delta() == other.tasks["a"].notes.delta()


def test_undo_follows_an_editor_that_is_bound_to_the_yjs_text() -> None:
    state = world()
    undo = UndoManager(state)
    state.notes.append("abc")
    ytext: YText = state.document.ydoc.get("notes", type=YText)
    ytext.insert(1, "--")
    del ytext[3:4]
    assert [undo.undo() and str(state.notes) for _ in range(3)] == ["a--bc", "abc", ""]


def test_undo_after_a_gap_restores_formatting() -> None:
    mine, theirs = world("me"), world("them")
    undo = UndoManager(mine)
    updates: list[bytes] = []
    theirs.document.on_commit(lambda commit: updates.append(commit.update))
    theirs.notes.append("hello")
    theirs.notes.format(0, 5, {"bold": True})
    theirs.notes.append("!")
    mine.document.apply(updates[0])
    mine.document.apply(updates[2])
    mine.document.apply(updates[1])
    assert not mine.document.lacks_updates
    mine.notes.delete(0, 6)
    undo.undo()
    assert mine.notes.delta() == theirs.notes.delta()


def test_listener_that_edits_during_an_undo_makes_a_step_of_its_own() -> None:
    state = world()
    undo = UndoManager(state)
    state.spent.add(1)
    stop = state.spent.on_change(lambda change: state.steps.update(a=change.new))
    assert undo.undo()
    stop()
    assert dict(state.steps) == {"a": 0}
    assert not undo.can_redo
    assert undo.undo()
    assert dict(state.steps) == {}
