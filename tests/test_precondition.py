"""Preconditions: an update breaks one exactly if it changes what is live in a cell that is watched."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import List, Map, ORSet, Register, State, StateDocument
from comity.clients.draft import Draft, Proposal
from comity.crdt_types.errors import PreconditionError, ProtocolError
from comity.crdt_types.precondition import Cell, Precondition, entries_of
from comity.crdt_types.structs import Deletion, deletions_of
from comity.crdt_types.update import read_state_vector
from comity.server.history.decisions import needs_of
from comity.server.rooms.document import Document
from comity.server.rooms.vetting import vet
from tests.support.profiles import examples
from tests.support.world import CELL_EDITS, LIST_EDITS, ROW_EDITS, World, make, picture

TYPED = st.one_of(CELL_EDITS, LIST_EDITS, ROW_EDITS)
READS = st.lists(
    st.sampled_from(
        ["goal", "steps", "tags", "spent", "log", "items", "profile", "tasks", ("steps", "a"), ("tasks", "b")]
    ),
    max_size=2,
)


def all_ids(document: StateDocument) -> set[tuple[int, int]]:
    """Return the ids of everything that is live, as the lanes have it."""
    lanes = document.lanes.mirrors.values()
    return set(document.ids(entry for lane in lanes for segment in lane.segments for entry in segment.entries))


def live_in(document: StateDocument, cells: frozenset[Cell]) -> set[tuple[int, int]]:
    """Return the ids of what is live in cells, looked up entry by entry."""
    found = []
    for lane in document.lanes.mirrors.values():
        for entry in (entry for segment in lane.segments for entry in segment.entries):
            for field, key in cells:
                below = entry.field == field or entry.field.startswith(f"{field}/")
                if below if key is None else entry.field == field and entry.key == key:
                    found.append(entry)
                    break
    return set(document.ids(found))


def propose(draft: Draft, edits: list[Any], reads: list[Any]) -> Proposal | None:
    """Make edits of a draft."""

    def edit(world: World) -> None:
        for each in edits:
            make(world, each)

    return draft.propose(draft.state(World), edit, reads)[1]


def holds(precondition: Precondition, document: StateDocument, now: int = 0) -> bool:
    """Tell whether a precondition holds of a document."""
    try:
        precondition.check(document.update_since(precondition.state_vector), now)
    except PreconditionError:
        return False
    return True


@settings(max_examples=examples(150, 3000), deadline=None)
@given(st.lists(TYPED, max_size=8), st.lists(TYPED, max_size=4), st.lists(TYPED, min_size=1, max_size=4), READS)
def test_precondition_holds_exactly_if_what_is_watched_is_as_it_was(
    before: list[Any], meanwhile: list[Any], decided: list[Any], reads: list[Any]
) -> None:
    source, other = World(StateDocument(agent="ana")), World(StateDocument(agent="ben"))
    for edit in before:
        make(source, edit)
    other.document.apply(source.document.update_since())
    proposal = propose(Draft(source.document), decided, reads)
    for edit in meanwhile:
        make(other, edit)
    if proposal is None:
        return
    update, precondition = proposal
    watched = live_in(source.document, precondition.cells)
    relied = {(client, clock + n) for client, clock, length in precondition.live for n in range(length)}
    entries = relied & all_ids(source.document)
    gone = {
        (each.client, each.clock + n)
        for each in deletions_of(other.document.update_since())
        for n in range(each.length)
    }
    unchanged = live_in(other.document, precondition.cells) == watched and entries <= all_ids(other.document)
    assert holds(precondition, other.document) == (unchanged and not (relied - entries) & gone)  # those are of texts
    if holds(precondition, other.document):
        other.document.apply(update)
        source.document.apply(other.document.update_since())
        assert picture(source) == picture(other)


@settings(max_examples=examples(60, 1000), deadline=None)
@given(st.lists(TYPED, max_size=6), st.lists(st.lists(TYPED, min_size=1, max_size=3), min_size=2, max_size=4))
def test_precondition_lets_one_of_those_who_write_a_cell_at_once_through(
    before: list[Any], racing: list[list[Any]]
) -> None:
    server = World(StateDocument(agent="server"))
    for edit in before:
        make(server, edit)
    proposals = []
    for n, edits in enumerate(racing):
        source = StateDocument(agent=f"agent {n}", update=server.document.update_since())
        draft = Draft(source)
        proposals.append(propose(draft, [*edits, ("set", f"won by {n}")], []))
    made = []
    for n, proposal in enumerate(proposals):
        assert proposal is not None
        if holds(proposal.precondition, server.document):
            server.document.apply(proposal.update)
            made.append(n)
    assert made == [0]
    assert server.goal.value == "won by 0"
    assert server.goal.conflicts() == []


class Board(State):
    goal: Register[str]
    tags: ORSet[str]
    jobs: Map["Job"]
    queue: List[str]


class Job(State):
    title: Register[str]
    steps: Map[str]


def board() -> Board:
    state = Board(StateDocument(agent="ana"))
    state.jobs["a"] = Job(title="dive", steps={"pack": "done"})
    return state


def copied(state: Board) -> Board:
    return Board(StateDocument(agent="ben", update=state.document.update_since()))


def decided(state: Board, edit: Any, *reads: Any) -> Precondition:
    draft = Draft(state.document)
    proposal = draft.propose(draft.state(Board), edit, reads)[1]
    assert proposal is not None
    return proposal.precondition


def test_precondition_of_a_row_covers_its_mark_and_all_its_fields() -> None:
    state = board()
    precondition = decided(state, lambda draft: draft.goal.set("x"), ("jobs", "a"))
    edits: list[Any] = [
        lambda other: other.jobs["a"].title.set("rest"),
        lambda other: other.jobs["a"].steps.update(pack="undone"),
        lambda other: other.jobs["a"].steps.update(fly="new"),
        lambda other: other.jobs.pop("a"),
    ]
    for edit in edits:
        other = copied(state)
        edit(other)
        assert not holds(precondition, other.document)
    other = copied(state)
    other.jobs["b"] = Job(title="dive")
    other.tags.add("a")
    assert holds(precondition, other.document)


def test_precondition_of_a_set_element_is_broken_by_the_same_element_only() -> None:
    state = board()
    precondition = decided(state, lambda draft: draft.tags.add("x"))
    other = copied(state)
    other.tags.add("y")
    assert holds(precondition, other.document)
    other.tags.add("x")
    assert not holds(precondition, other.document)


def test_precondition_holds_again_once_what_came_is_gone() -> None:
    state = board()
    precondition = decided(state, lambda draft: draft.goal.set("x"))
    other = copied(state)
    other.goal.set("y")
    assert not holds(precondition, other.document)
    other.goal.clear()
    assert holds(precondition, other.document)


def test_precondition_has_its_time() -> None:
    precondition = Precondition(b"\x00", frozenset(), (), not_before=1000)
    with pytest.raises(PreconditionError) as raised:
        precondition.check(b"\x00\x00", 400)
    assert raised.value.retry_after == 0.6
    precondition.check(b"\x00\x00", 1000)


def test_precondition_survives_the_wire() -> None:
    precondition = decided(board(), lambda draft: draft.jobs["a"].title.set("x"), ("jobs", "a"), "tags")
    assert Precondition.from_params(precondition.to_params()) == precondition


@pytest.mark.parametrize(
    "params",
    [
        {"cells": [["a"]]},
        {"cells": [["a", 1]]},
        {"cells": ["ab"]},
        {"cells": [[b"a", "b"]]},
        {"ids": [[1, 2]]},
        {"ids": [[1, 2, 0]]},
        {"ids": [[1, -2, 1]]},
        {"ids": [[1, True, 1]]},
        {"ids": [3]},
    ],
    ids=repr,
)
def test_precondition_that_is_malformed_is_refused(params: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"state_vector": b"\x00", "cells": [], "ids": [], "not_before": None}
    with pytest.raises(ProtocolError):
        Precondition.from_params(whole | params)


@settings(max_examples=examples(50, 1000))
@given(st.lists(TYPED, max_size=12))
def test_precondition_reads_the_entries_and_deletions_of_an_update(edits: list[Any]) -> None:
    world = World(StateDocument(agent="ana"))
    for edit in edits:
        make(world, edit)
    update = world.document.update_since()
    lanes = world.document.lanes.mirrors.values()
    live = [entry.raw for lane in lanes for segment in lane.segments for entry in segment.entries if entry.field]
    assert sorted(entry.raw for entry in entries_of(update)) == sorted(live)
    gone = {(client, clock + n) for client, clock, length in deletions_of(update) for n in range(length)}
    assert not gone & all_ids(world.document)


@settings(max_examples=examples(50, 1000))
@given(st.lists(TYPED, max_size=8), st.lists(TYPED, min_size=1, max_size=3), st.booleans())
def test_update_finds_its_place_exactly_where_all_is_that_it_builds_on(
    before: list[Any], edits: list[Any], is_there: bool
) -> None:
    first = World(StateDocument(agent="ana"))
    for edit in before:
        make(first, edit)
    second = World(StateDocument(agent="ben", update=first.document.update_since()))
    updates: list[bytes] = []
    second.document.on_commit(lambda commit: updates.append(commit.update))
    with second.document.transaction():
        for edit in edits:
            make(second, edit)
    document = Document([first.document.update_since()] if is_there else [])
    for update in updates:
        sections = vet(update)
        admitted = document.admits((*sections, *needs_of(update, sections)))
        document.apply(update)
        assert admitted is not document.lacks(update)
        assert admitted or not is_there


@pytest.mark.parametrize("update", [b"", b"\x01", b"\x00", b"\x00\x01\x05"], ids=repr)
def test_deletions_of_what_is_no_update_are_refused(update: bytes) -> None:
    with pytest.raises(ProtocolError):
        deletions_of(update)


def test_deletions_of_an_update_are_ranges() -> None:
    assert deletions_of(b"\x00\x01\x05\x02\x00\x02\x07\x01") == [Deletion(5, 0, 2), Deletion(5, 7, 1)]


# Drafts ---------------------------------------------------------------------------------------------------------


def proposed(draft: Draft, *values: str) -> bytes:
    """Return an update that puts values into the middle of the queue."""

    def edit(state: Board) -> None:
        for value in values:
            state.queue.insert(len(state.queue) // 2, value)

    proposal = draft.propose(draft.state(Board), edit, ())[1]
    assert proposal is not None
    return proposal.update


def test_draft_after_a_refusal_goes_on_as_the_same_session() -> None:
    state = Board(StateDocument(agent="ana"))
    draft = Draft(state.document)
    for turn in range(10):
        state.document.apply(proposed(draft, f"{turn}a", f"{turn}b"))
        draft.catch_up()
        proposed(draft, "refused")
        draft.close()
        draft = Draft(state.document, draft.session)
    assert len(state.queue) == len(set(state.queue)) == 20
    assert len(read_state_vector(state.document.state_vector())) == 1
    names = [entry for lane in state.document.index.headers.values() for entry in lane]
    assert len(names) == 1


def test_draft_begins_a_session_where_what_the_last_one_wrote_is_not_there() -> None:
    state = Board(StateDocument(agent="ana"))
    draft = Draft(state.document)
    late = proposed(draft, "late")
    proposed(draft, "refused")
    draft.close()
    state.document.apply(proposed(Draft(state.document, draft.session), "x"))
    state.document.apply(late)
    assert sorted(state.queue) == ["late", "x"]
