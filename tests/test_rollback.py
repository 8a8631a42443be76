"""Rollback: what was taken is taken back, by edits that merge, and nothing of what was followed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.document.entry import CELL, ELEMENT, HEADER, PLACE
from comity.crdt_types.errors import InvalidValueError, ProtocolError, TransactionError
from comity.crdt_types.history.rollback import Reverted, Rollback
from comity.crdt_types.undo.manager import UndoManager
from comity.crdt_types.undo.turn import Kept
from comity.crdt_types.update import EMPTY_UPDATE
from tests.support.profiles import examples
from tests.support.world import EDITS, Task, World, make, picture

AGENTS = "abc"
TURNS = st.lists(
    st.tuples(
        st.sampled_from(range(len(AGENTS))), st.lists(EDITS, min_size=1, max_size=4), st.booleans(), st.booleans()
    ),
    max_size=14,
)


class Record(NamedTuple):
    """An update as a server logged it."""

    author: str
    update: bytes


class Room:
    """A document that logs what it takes in, and the states of agents who edit it."""

    def __init__(self, names: str = AGENTS) -> None:
        self.document = StateDocument()
        self.log: list[Record] = []
        self.states = [EMPTY_UPDATE]
        self._author = ""
        self.document.on_commit(lambda commit: self._note(commit.update))
        self.worlds = [World(StateDocument(agent=name)) for name in names]

    def _note(self, update: bytes) -> None:
        self.log.append(Record(self._author, update))
        self.states.append(pycrdt.merge_updates(self.states[-1], update))

    def push(self, state: World) -> None:
        """Bring what a state has to the room, as one record."""
        self._author = state.document.agent
        self.document.apply(state.document.update_since(self.document.state_vector()))

    def pull(self, state: World) -> None:
        """Bring what the room has to a state."""
        state.document.apply(self.document.update_since(state.document.state_vector()))

    def edit(self, number: int, *changes: Callable[[World], object]) -> None:
        """Make edits of the newest state as one of the agents, as one record."""
        self.pull(self.worlds[number])
        for change in changes:
            change(self.worlds[number])
        self.push(self.worlds[number])

    def at(self, version: int, agent: str = "") -> StateDocument:
        """Return the document as of a version."""
        return StateDocument(agent=agent, update=self.states[version])

    def picture(self, version: int = -1) -> Any:
        """Return what was to be read at a version."""
        return picture(World(self.at(version)))

    def restore(self, version: int, until: int | None = None) -> tuple[Rollback, StateDocument]:
        """Return a rollback of all that came after a version."""
        document = self.at(version, "restorer")
        rollback = Rollback(document, whole=True)
        rollback.take(pycrdt.merge_updates(EMPTY_UPDATE, *(record.update for record in self.log[version:until])))
        return rollback, document

    def without(self, author: str, since: int = 0) -> tuple[Reverted, World]:
        """Take back what an author did since a version, and return the state without it."""
        document = self.at(since, "restorer")
        rollback = Rollback(document)
        for record in self.log[since:]:
            (rollback.take if record.author == author else rollback.follow)(record.update)
        return rollback.revert(), World(document)


def played(turns: list[Any]) -> Room:
    """Return a room in which agents edited, each seeing of the others what it happened to pull."""
    room = Room()
    for number, edits, pulls, pushes in turns:
        state = room.worlds[number]
        if pulls:
            room.pull(state)
        with state.transaction():
            for edit in edits:
                make(state, edit)
        if pushes:
            room.push(state)
    for state in room.worlds:
        room.push(state)
    return room


@settings(max_examples=examples(150, 5000))
@given(TURNS, st.data())
def test_restore_reads_like_the_version(turns: list[Any], data: st.DataObject) -> None:
    room = played(turns)
    version = data.draw(st.integers(0, len(room.log)))
    rollback, document = room.restore(version)
    assert picture(World(document)) == room.picture()
    rollback.revert()
    assert picture(World(document)) == room.picture(version)


@settings(max_examples=examples(100, 4000))
@given(TURNS, st.data())
def test_restore_record_by_record_reads_like_the_version(turns: list[Any], data: st.DataObject) -> None:
    room = played(turns)
    version = data.draw(st.integers(0, len(room.log)))
    document = room.at(version)
    rollback = Rollback(document, whole=True)
    for record in room.log[version:]:
        rollback.take(record.update)
    rollback.revert()
    assert picture(World(document)) == room.picture(version)


def test_items_that_agents_appended_alike_at_one_moment_all_come_back() -> None:
    both = [StateDocument(agent=f"agent {client}", client_id=client) for client in (1, 2)]
    for document in both:
        document.restore_item("log", 5_000, "started")
    both[0].apply(both[1].update_since())
    before = both[0].update_since()
    pruner = StateDocument(agent="pruner", update=before)
    updates: list[bytes] = []
    pruner.on_commit(lambda commit: updates.append(commit.update))
    items = pruner.index.items("log")
    pruner.prune_items(items, items.entries.copy())
    back = StateDocument(agent="dee", update=before)
    rollback = Rollback(back)
    rollback.take(updates[0])
    rollback.revert()
    assert [entry.value for entry in back.index.items("log").entries] == ["started", "started"]


@settings(max_examples=examples(80, 4000))
@given(TURNS, st.booleans(), st.data())
def test_restore_is_undone_by_a_rollback_of_what_it_did(turns: list[Any], whole: bool, data: st.DataObject) -> None:
    room = played(turns)
    newest = len(room.log)
    restored, document = room.restore(data.draw(st.integers(0, newest)))
    update = reverted(restored, document)
    back = room.at(newest)
    rollback = Rollback(back, whole=whole or has_rivals(back))
    rollback.take(update)
    rollback.revert()
    assert picture(World(back)) == room.picture(newest)


def has_rivals(document: StateDocument) -> bool:
    """Tell whether several values of a cell are live, of which one that was withdrawn would not come back."""
    fields = document.index.fields.items()
    return any(
        len(entries) > 1 for field, cells in fields if field[0] not in (ELEMENT, HEADER) for entries in cells.values()
    )


def reverted(rollback: Rollback, document: StateDocument) -> bytes:
    """Revert, and return the update that this made."""
    updates: list[bytes] = []
    stop = document.on_commit(lambda commit: updates.append(commit.update))
    made = rollback.revert()
    stop()
    assert len(updates) <= 1
    assert bool(made.changes) <= bool(updates)
    return updates[0] if updates else EMPTY_UPDATE


OWNERS = (
    ("set", "clear", "type", "erase", "format", "embed"),
    ("insert", "overwrite", "move", "remove", "append", "prune", "name"),
    ("row", "drop", "title", "spend", "mark", "point", "journal", "note", "strike"),
)
MOVES = st.lists(st.tuples(EDITS, st.integers(0, 2), st.booleans(), st.booleans()), max_size=25)


def owned(edit: Any, number: int) -> tuple[int, Any]:
    """Return whose edit one is, and the edit in a cell that nobody else edits; counters are everybody's."""
    operation, *arguments = edit
    owner = next((at for at, operations in enumerate(OWNERS) if operation in operations), None)
    if owner is not None:
        return owner, edit
    if operation in ("put", "delete"):
        return number, (operation, f"{number}{arguments[0]}", *arguments[1:])
    return number, (operation, f"{number}{arguments[0]!r}") if operation in ("tag", "untag") else edit


@settings(max_examples=examples(120, 5000))
@given(MOVES, st.integers(0, 2))
def test_rollback_of_an_author_leaves_what_the_others_would_have_done_alone(moves: list[Any], taken: int) -> None:
    room, alone = Room(), Room()
    for edit, number, pulls, pushes in moves:
        number, edit = owned(edit, number)
        for each in (room, alone) if number != taken else (room,):
            state = each.worlds[number]
            if pulls:
                each.pull(state)
            make(state, edit)
            if pushes:
                each.push(state)
    for each in (room, alone):
        for state in each.worlds:
            each.push(state)
    report, state = room.without(AGENTS[taken])
    assert picture(state) == alone.picture()
    assert report.kept == ()


@settings(max_examples=examples(120, 5000))
@given(TURNS, st.sampled_from(AGENTS), st.data())
def test_rollback_deletes_nothing_that_others_wrote(turns: list[Any], author: str, data: st.DataObject) -> None:
    room = played(turns)
    _report, state = room.without(author, data.draw(st.integers(0, len(room.log))))
    newest = room.at(-1)
    others = {entry for entry in entries_of(newest) if newest.index.author(entry[3]) != author}
    assert others <= entries_of(state.document)


def entries_of(document: StateDocument) -> set[tuple[Any, ...]]:
    """Return what is live in the cells and logs, by kind, path, key, client and bytes.

    Of an element one tag is as good as another, and the place of a list's item goes with the item.
    """
    cells = {
        (*field, key, entry.client, entry.raw)
        for field, cells in document.index.fields.items()
        if field[0] not in (ELEMENT, HEADER, PLACE)
        for key, entries in cells.items()
        for entry in entries
    }
    items = {("log", name, None, e.client, e.raw) for name, log in document.index.logs.items() for e in log.entries}
    return cells | items


@settings(max_examples=examples(100, 4000))
@given(TURNS, TURNS, st.booleans(), st.data())
def test_edits_made_during_a_rollback_survive_it_and_all_converge(
    turns: list[Any], meanwhile: list[Any], whole: bool, data: st.DataObject
) -> None:
    room = played(turns)
    for state in room.worlds:
        room.pull(state)
    before = entries_of(room.document)
    version = data.draw(st.integers(0, len(room.log)))
    if whole:
        rollback, document = room.restore(version)
        rollback.revert()
    else:
        document = room.without("a", version)[1].document
    for number, edits, _pulls, _pushes in meanwhile:
        for edit in edits:
            make(room.worlds[number], edit)
    for state in room.worlds:
        state.notes.append("\N{GREEK CAPITAL LETTER OMEGA}")
    fresh = set[tuple[Any, ...]]().union(*(entries_of(state.document) - before for state in room.worlds))
    room.document.apply(document.update_since(room.document.state_vector()))
    for state in room.worlds:
        room.push(state)
    for state in room.worlds:
        room.pull(state)
    pictures = [picture(state) for state in room.worlds]
    assert pictures[0] == pictures[1] == pictures[2]
    assert fresh <= entries_of(room.worlds[0].document)
    assert str(room.worlds[0].notes).count("\N{GREEK CAPITAL LETTER OMEGA}") == len(AGENTS)


def test_rollback_puts_back_only_what_nobody_wrote_over_and_says_who_did() -> None:
    room = Room()
    room.edit(1, lambda state: state.steps.update(x="old", y="old", z="old"))
    room.edit(0, lambda state: state.steps.update(x="taken", y="taken", z="taken"))
    room.edit(1, lambda state: state.steps.update(y="stays"))
    room.edit(2, lambda state: state.steps.pop("z"))
    report, state = room.without("a")
    assert dict(state.steps) == {"x": "old", "y": "stays"}
    assert set(report.kept) == {Kept("map", "steps", "y", "b"), Kept("map", "steps", "z", None)}
    assert [(change.key, change.old, change.new, change.author) for change in report.changes] == [
        ("x", "taken", "old", "restorer")
    ]


def test_rollback_of_alternating_writes_of_one_cell_puts_the_last_followed_one_back() -> None:
    room = Room()
    for number, value in ((1, "kept first"), (0, "taken"), (1, "kept last"), (0, "taken"), (0, "taken again")):
        room.edit(number, lambda state, value=value: state.goal.set(value))  # type: ignore[misc]
    report, state = room.without("a")
    assert (state.goal.value, report.kept) == ("kept last", ())


def test_rollback_withdraws_what_was_taken_from_beside_a_rival() -> None:
    room = Room()
    room.worlds[0].goal.set("taken")
    room.worlds[1].goal.set("stays")
    room.push(room.worlds[0])
    room.push(room.worlds[1])
    _report, state = room.without("a")
    assert (state.goal.value, state.conflicts()) == ("stays", [])


def rivals_of_which_one_was_overwritten() -> Room:
    """Return a room in which the one of two rivals that was read is overwritten by somebody who saw it alone."""
    room = Room()
    room.worlds[1].goal.set("lost")
    room.worlds[2].document.clock.observe(room.worlds[1].document.clock.last)
    room.worlds[2].goal.set("read")
    room.push(room.worlds[2])
    room.pull(room.worlds[0])
    room.push(room.worlds[1])
    room.worlds[0].goal.set("taken")
    room.push(room.worlds[0])
    return room


def test_rollback_leaves_a_rival_of_what_was_overwritten() -> None:
    room = rivals_of_which_one_was_overwritten()
    _report, state = room.without("a")
    assert (state.goal.value, state.conflicts()) == ("lost", [])


def test_restore_reads_the_rival_that_was_read() -> None:
    room = rivals_of_which_one_was_overwritten()
    rollback, document = room.restore(2)
    rollback.revert()
    assert World(room.at(2)).goal.value == World(document).goal.value == "read"


def test_rollback_withdraws_all_that_those_taken_wrote_at_once() -> None:
    room = Room("aab")
    for state, value in zip(room.worlds, ("taken", "taken too", "stays"), strict=True):
        state.goal.set(value)
    for state in room.worlds:
        room.push(state)
    _report, state = room.without("a")
    assert (state.goal.value, state.conflicts()) == ("stays", [])


def test_restore_brings_a_rival_back_that_was_withdrawn_and_read() -> None:
    room = Room()
    undo = UndoManager(room.worlds[1])
    room.worlds[0].goal.set("stays")
    room.worlds[1].document.clock.observe(room.worlds[0].document.clock.last)
    room.worlds[1].goal.set("withdrawn")
    room.push(room.worlds[0])
    room.push(room.worlds[1])
    room.edit(1, lambda _state: undo.undo())
    assert World(room.document).goal.value == "stays"
    rollback, document = room.restore(2)
    rollback.revert()
    assert World(document).goal.value == "withdrawn"


def test_rollback_takes_an_element_away_that_several_of_those_taken_added() -> None:
    room = Room("aab")
    room.edit(0, lambda state: state.tags.add("x"))
    room.edit(1, lambda state: state.tags.add("x"))
    room.edit(2, lambda state: state.tags.add("y"))
    room.edit(0, lambda state: state.tags.add("y"))
    report, state = room.without("a")
    assert (list(state.tags), report.kept) == (["y"], ())


def test_rollback_keeps_an_element_that_another_added_again() -> None:
    room = Room()
    room.edit(0, lambda state: state.tags.add("x"))
    room.edit(1, lambda state: state.tags.add("x"))
    report, state = room.without("a")
    assert (list(state.tags), report.kept) == (["x"], (Kept("set", "tags", "x", "b"),))


def test_rollback_counts_the_opposite_of_each_session() -> None:
    room = Room("aab")
    for number, amount in ((0, 5), (1, -2), (2, 4), (0, 1)):
        room.edit(number, lambda state, amount=amount: state.spent.add(amount))  # type: ignore[misc]
    _report, state = room.without("a")
    assert state.spent == 4
    room.worlds[0].spent.add(10)
    room.push(room.worlds[0])
    room.document.apply(state.document.update_since())
    assert World(room.document).spent == 14


def test_rollback_of_a_count_that_another_reset_changes_nothing() -> None:
    room = Room()
    room.edit(0, lambda state: state.spent.add(5))
    room.edit(1, lambda state: state.document.reset_counter("spent"))
    room.edit(1, lambda state: state.spent.add(1))
    report, state = room.without("a")
    assert (state.spent.value, report.kept) == (1, (Kept("counter", "spent", None, None),))


def test_rollback_of_a_reset_counts_again_what_it_wiped_out() -> None:
    room = Room()
    room.edit(1, lambda state: state.spent.add(5))
    room.edit(0, lambda state: state.spent.add(2))
    room.edit(0, lambda state: state.document.reset_counter("spent"))
    room.edit(1, lambda state: state.spent.add(1))
    _report, state = room.without("a")
    assert state.spent == 6


def test_rollback_takes_a_row_away_and_all_that_was_counted_in_it() -> None:
    room = Room("aab")
    room.edit(0, lambda state: state.tasks.update(x=Task(title="t", spent=3, notes="abc")))
    room.edit(1, lambda state: state.tasks["x"].spent.add(2))
    room.edit(0, lambda state: state.tasks["x"].spent.subtract(3))
    room.edit(1, lambda state: state.tasks["x"].notes.append("d"))
    _report, state = room.without("a")
    assert len(state.tasks) == 0
    assert state.document.text("tasks/x/notes").value == ""


def test_rollback_of_a_new_row_leaves_what_others_wrote_into_it() -> None:
    room = Room()
    room.edit(0, lambda state: state.tasks.update(x=Task(title="t", spent=3, notes="abc")))
    room.edit(1, lambda state: state.tasks["x"].notes.append("def"))
    room.edit(1, lambda state: state.tasks["x"].spent.add(4))
    _report, state = room.without("a")
    row = state.tasks["x"]
    assert (row.title.value, row.spent.value, str(row.notes)) == (None, 4, "def")


def test_rollback_puts_nothing_into_a_row_that_another_deleted() -> None:
    room = Room()
    room.edit(1, lambda state: state.tasks.update(x=Task(title="t", notes="abc")))
    room.edit(0, lambda state: state.tasks["x"].notes.delete(0, 2))
    room.edit(0, lambda state: state.tasks["x"].title.set("taken"))
    room.edit(1, lambda state: state.tasks.pop("x"))
    report, state = room.without("a")
    assert len(state.tasks) == 0
    assert {each.field for each in report.kept} == {"tasks/x/title", "tasks/x/notes"}
    assert state.document.text("tasks/x/notes").value == ""


def test_rollback_brings_a_deleted_row_back_with_its_text() -> None:
    room = Room()
    room.edit(1, lambda state: state.tasks.update(x=Task(title="t", notes="abc", spent=2)))
    room.edit(0, lambda state: state.tasks["x"].notes.delete(0, 3))
    room.edit(0, lambda state: state.tasks.pop("x"))
    _report, state = room.without("a")
    row = state.tasks["x"]
    assert (row.title.value, row.spent.value, str(row.notes)) == ("t", 2, "abc")


FIRST = ord("\N{CJK UNIFIED IDEOGRAPH-4E2D}")  # each edit of the next test inserts a character of its own


@settings(max_examples=examples(80, 4000))
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.integers(0, 3)), max_size=40))
def test_rollback_of_a_text_keeps_every_character_of_others(edits: list[tuple[str, int, int]]) -> None:
    room = Room()
    stays: set[str] = set()
    for number, (author, at, gone) in enumerate(edits):
        state = room.worlds[AGENTS.index(author)]
        room.pull(state)
        at %= len(state.notes) + 1
        gone = min(gone, len(state.notes) - at)
        if author == "b":
            stays = (stays | {chr(FIRST + number)}) - set(state.notes[at : at + gone])
        state.notes.replace(at, gone, chr(FIRST + number))
        room.push(state)
    _report, state = room.without("a")
    assert sorted(state.notes) == sorted(stays)


def test_rollback_gives_back_formatting_and_objects_and_keeps_what_was_formatted_since() -> None:
    room = Room()
    room.edit(1, lambda state: state.notes.insert(0, "abcdef", {"bold": True}))
    room.edit(1, lambda state: state.notes.insert_embed(3, {"image": "reef.png"}))
    before = room.picture()
    room.edit(0, lambda state: state.notes.format(0, 5, {"bold": None, "link": "x"}))
    room.edit(0, lambda state: state.notes.delete(2, 3))
    _report, state = room.without("a")
    assert picture(state) == before
    room.edit(1, lambda state: state.notes.format(0, 2, {"link": "y"}))
    _report, state = room.without("a")
    assert state.notes.delta()[0] == {"insert": "ab", "attributes": {"link": "y", "bold": True}}


def test_rollback_finds_texts_that_come_up_on_the_way() -> None:
    room = Room()
    room.edit(0, lambda state: state.notes.append("taken"))
    room.edit(1, lambda state: state.notes.append(" stays"))
    room.edit(1, lambda state: state.notes.delete(0, len(state.notes)))
    room.edit(0, lambda state: state.notes.append("taken"))
    room.edit(1, lambda state: state.notes.append(" stays"))
    for since in (0, 3):
        document = room.at(since)
        rollback = Rollback(document)
        for record in room.log[since:]:
            (rollback.take if record.author == "a" else rollback.follow)(record.update)
        rollback.revert()
        assert document.text("notes").value == " stays"


def test_rollback_names_the_roots_that_it_leaves_alone() -> None:
    room = Room()
    shared: pycrdt.Map[Any] = room.worlds[0].document.ydoc.get("editor", type=pycrdt.Map)
    room.edit(0, lambda _state: shared.update({"a": 1}), lambda state: state.goal.set(1))
    room.edit(1, lambda state: state.goal.set(2))
    report, state = room.without("a")
    assert set(report.kept) == {Kept("yjs", "editor", None, None), Kept("register", "goal", None, "b")}
    kept: pycrdt.Map[Any] = state.document.ydoc.get("editor", type=pycrdt.Map)
    assert kept.to_py() == {"a": 1}


def test_restore_brings_pruned_items_back_to_their_places_and_prunes_what_came() -> None:
    room = Room()
    room.edit(0, lambda state: state.log.extend(["a", "b"]))
    room.edit(1, lambda state: state.log.append("c"))
    version, times = len(room.log), room.worlds[1].log.times()
    room.edit(2, lambda state: state.log.prune(1))
    room.edit(0, lambda state: state.log.append("d"))
    rollback, document = room.restore(version)
    rollback.revert()
    state = World(document)
    assert (list(state.log), state.log.times()) == (["a", "b", "c"], times)


def test_rollback_does_not_bring_an_item_back_twice() -> None:
    room = Room()
    room.edit(0, lambda state: state.log.append("x"))
    undo = UndoManager(room.worlds[0])
    room.edit(0, lambda state: state.log.prune(0))
    room.worlds[0].document.agent = "b"
    room.edit(0, lambda _state: undo.undo())
    _report, state = room.without("a", 1)
    assert list(state.log) == ["x"]


def test_rollback_of_a_text_keeps_its_row_from_whoever_deletes_it_meanwhile() -> None:
    room = Room()
    room.edit(1, lambda state: state.tasks.update(x=Task(notes="abc")))
    room.edit(0, lambda state: state.tasks["x"].notes.delete(0, 2))
    _report, state = room.without("a")
    room.edit(1, lambda state: state.tasks.pop("x"))
    room.document.apply(state.document.update_since())
    assert "x" in World(room.document).tasks


def test_restore_takes_back_what_is_kept_about_the_data_and_a_rollback_does_not() -> None:
    room = Room()
    room.edit(0, lambda state: state.document.set_cell("$schema", "x@1", True))
    version = len(room.log)
    room.edit(0, lambda state: state.document.set_cell("$schema", "x@2", True))
    room.edit(0, lambda state: state.goal.set("new"))
    _report, state = room.without("a", version)
    assert set(state.document.index.cells(CELL, "$schema")) == {"x@1", "x@2"}
    rollback, document = room.restore(version)
    rollback.revert()
    assert set(document.index.cells(CELL, "$schema")) == {"x@1"}


def test_rollback_is_about_the_fields_named_and_leaves_alone_what_only_grows() -> None:
    room = Room()
    room.edit(
        0,
        lambda state: state.goal.set("x"),
        lambda state: state.steps.update(a=1),
        lambda state: state.notes.append("abc"),
    )
    room.edit(0, lambda state: state.known.add("x"), lambda state: state.views.add(3))
    state = World(room.at(0))
    rollback = Rollback(state, fields=["goal", "notes", "known", "views"])
    for record in room.log:
        rollback.take(record.update)
    rollback.revert()
    assert (state.goal.is_set, dict(state.steps), str(state.notes)) == (False, {"a": 1}, "")
    assert (list(state.known), state.views.value) == (["x"], 3)
    with pytest.raises(InvalidValueError, match="no field 'nothing'"):
        Rollback(state, fields=["nothing"])


def test_rollback_is_one_transaction_that_can_be_undone() -> None:
    room = Room()
    room.edit(
        0, lambda state: state.goal.set("x"), lambda state: state.spent.add(2), lambda state: state.notes.append("abc")
    )
    room.edit(0, lambda state: state.tasks.update(x=Task(title="t", notes="def", spent=1)))
    newest = room.picture()
    rollback, document = room.restore(0)
    undo = UndoManager(document)
    assert reverted(rollback, document) != EMPTY_UPDATE
    assert picture(World(document)) == room.picture(0)
    assert undo.undo()
    assert picture(World(document)) == newest


def test_rollback_of_nothing_makes_no_transaction() -> None:
    room = Room()
    room.edit(0, lambda state: state.goal.set("x"))
    document = room.at(0)
    rollback = Rollback(document)
    rollback.follow(room.log[0].update)
    assert reverted(rollback, document) == EMPTY_UPDATE


def test_rollback_reports_what_it_changed_also_inside_a_listener() -> None:
    room = Room()
    room.edit(0, lambda state: state.goal.set("x"), lambda state: state.notes.append("abc"))
    document = room.at(0, "restorer")
    told: list[Reverted] = []
    rollback = Rollback(document)
    rollback.take(room.log[0].update)

    def listener(_change: object) -> None:
        stop()
        told.append(rollback.revert())

    stop = document.on_change(listener)
    document.count("spent", 1)
    (report,) = told
    assert {(change.kind, change.field, change.author) for change in report.changes} == {
        ("register", "goal", "restorer"),
        ("text", "notes", "restorer"),
    }
    assert World(document).spent == 1


def test_rollback_says_where_it_cannot_be() -> None:
    room = Room()
    room.edit(0, lambda state: state.goal.set("x"))
    document = room.at(0)
    rollback = Rollback(document)
    with pytest.raises(ProtocolError):
        rollback.take(b"\xff")
    with document.transaction():
        for call in (lambda: Rollback(document), lambda: rollback.take(room.log[0].update), rollback.revert):
            with pytest.raises(TransactionError):
                call()
    rollback.take(room.log[0].update)
    rollback.revert()
    assert not World(document).goal.is_set
    for end in (rollback.revert, lambda: rollback.follow(EMPTY_UPDATE)):
        with pytest.raises(TransactionError, match="ended"):
            end()
    other = Rollback(document)
    document.reset(document.update_since())
    with pytest.raises(TransactionError, match="reset"):
        other.revert()


def test_rollback_that_a_guard_refuses_changes_nothing_and_stays_possible() -> None:
    room = Room()
    room.edit(
        0, lambda state: state.goal.set("x"), lambda state: state.notes.append("abc"), lambda state: state.spent.add(1)
    )
    rollback, document = room.restore(0)
    stop = document.add_guard(_refuse)
    with pytest.raises(InvalidValueError):
        rollback.revert()
    assert picture(World(document)) == room.picture()
    stop()
    assert len(rollback.revert().changes) == 3
    assert picture(World(document)) == room.picture(0)


def _refuse(_changes: object) -> None:
    raise InvalidValueError("no")


def test_rollback_keeps_nothing_of_a_list_item_that_it_removes() -> None:
    room = Room()
    room.edit(0, lambda state: state.items.extend(["x", "y"]))
    room.edit(1, lambda state: state.items.move(0, 1))
    room.edit(0, lambda state: state.items.move(0, 1))
    room.edit(0, lambda state: state.items.move(0, 1), lambda state: state.items.assign(["changed", "too"]))
    report, state = room.without("a")
    assert (list(state.items), report.kept) == ([], ())
