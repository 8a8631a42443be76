"""Deltas made against an earlier version of a text: they land where they were meant."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import Change, State, StateDocument, Text
from comity.crdt_types.document.delta import Delta, apply_to, compose, length_of, normalized, transform
from comity.crdt_types.document.texthistory import MAX_CHARACTERS, MAX_OPERATIONS
from comity.crdt_types.errors import InvalidValueError, StaleVersionError, TransactionError
from tests.support.invariants import check_text
from tests.support.profiles import examples

START = "ab\u00e9\U0001f420c\n"
TOKEN = "[new]"  # what a delta inserts, to be found again

Edit = tuple[Any, ...]


class Note(State):
    body: Text
    other: Text


def note(start: str = "") -> Note:
    made = Note(StateDocument(agent="one"))
    made.body.append(start)
    return made


def fork(of: Note) -> Note:
    return Note(StateDocument(agent="two", update=of.document.update_since()))


def merge(into: Note, source: Note) -> None:
    into.document.apply(source.document.update_since(into.document.state_vector()))


@st.composite
def deltas(draw: st.DrawFn, length: int) -> Delta:
    """Draw a delta on a text of some length, in no special order."""
    delta: Delta = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["insert", "retain", "retain", "delete", "format"]))
        if kind == "insert":
            delta.append({"insert": TOKEN, **draw(st.sampled_from([{}, {"attributes": {"b": True}}]))})
            continue
        taken = draw(st.integers(0, min(length, 3)))
        length -= taken
        if kind == "format":
            delta.append({"retain": taken, "attributes": draw(st.sampled_from([{"b": True}, {"b": None}]))})
        else:
            delta.append({kind: taken})
    return delta


CHANGES = st.tuples(
    st.sampled_from(["here", "there", "editor"]),
    st.floats(0, 1),
    st.integers(0, 4),
    st.text(alphabet="xy\u4e2d\U0001f600", max_size=3),
    st.sampled_from([None, None, {"b": True}, {"b": None}]),
    st.booleans(),
)


def play(edits: list[Edit], here: Note, there: Note) -> None:
    """Edit a text at two replicas, of which one hears of the other at once, and the other late."""
    for who, place, gone, come, attributes, sync in edits:
        on = there if who == "there" else here
        at = round(place * len(on.body))
        gone = min(gone, len(on.body) - at)
        if who == "editor":
            edit_as_editor(on, at, gone, come)
        else:
            with on.transaction():
                on.body.delete(at, gone)
                on.body.insert(at, come, attributes)
                if attributes:
                    on.body.format(0, at, attributes)
        if sync:
            merge(here, there)
            merge(there, here)
    merge(here, there)


def edit_as_editor(on: Note, at: int, gone: int, come: str) -> None:
    """Edit the Yjs text itself, which counts in bytes."""
    value = on.body.value
    ytext = on.document.text("body").ytext
    start = len(value[:at].encode())
    with on.document.ydoc.transaction():
        ytext.insert(start, come)
        start += len(come.encode())
        if gone:
            del ytext[start : start + len(value[at : at + gone].encode())]


def heard(on: Note) -> list[Delta]:
    """Return the list that the deltas of a text are added to from now on."""
    steps: list[Delta] = []

    def listen(change: Change) -> None:
        steps.append(change.new)

    on.on_change(listen)
    return steps


def moved(delta: Delta, steps: list[Delta], priority: bool) -> Delta:
    for step in steps:
        delta = transform(step, delta, priority)
    return delta


@given(st.data(), st.lists(CHANGES, max_size=3), st.lists(CHANGES, max_size=6))
@settings(max_examples=examples(100, 5000))
def test_apply_delta_at_a_version_is_as_if_done_then_and_merged(
    data: st.DataObject, before: list[Edit], since: list[Edit]
) -> None:
    here = note(START)
    there = fork(here)
    play(before, here, there)
    delta = data.draw(deltas(len(here.body)))
    version, then = here.body.version, fork(here)
    steps = heard(here)
    play(since, here, there)
    present, merged = here.body.value, fork(here)
    first, last = (apply_to(present, moved(normalized(delta), steps, priority)) for priority in (True, False))

    then.body.apply_delta(delta)
    merge(merged, then)
    here.body.apply_delta(delta, version)

    assert here.body.value == first
    check_text(here.document, "body")
    if first == last:
        assert here.body.value == merged.body.value
    else:  # both inserted at one place: all is there and whole, in whatever order
        assert here.body.value.count(TOKEN) == merged.body.value.count(TOKEN) == str(delta).count(TOKEN)
        assert here.body.value.replace(TOKEN, "") == merged.body.value.replace(TOKEN, "")


@given(st.data(), st.lists(CHANGES, max_size=4))
@settings(max_examples=examples(75, 3000))
def test_apply_delta_formats_as_the_delta_says(data: st.DataObject, edits: list[Edit]) -> None:
    here = note(START)
    play(edits, here, fork(here))
    content = here.body.delta()
    delta = data.draw(deltas(len(here.body)))
    here.body.apply_delta(delta)
    assert here.body.delta() == compose(content, delta)


@given(st.data(), st.lists(CHANGES, min_size=1, max_size=3), st.lists(CHANGES, min_size=1, max_size=3))
@settings(max_examples=examples(75, 3000))
def test_apply_delta_at_a_version_keeps_the_formatting_since(
    data: st.DataObject, before: list[Edit], since: list[Edit]
) -> None:
    here = note(START)
    there = fork(here)
    play(before, here, there)
    delta = data.draw(deltas(len(here.body)))
    version, steps = here.body.version, heard(here)
    play(since, here, there)
    expected = compose(here.body.delta(), moved(normalized(delta), steps, True))
    here.body.apply_delta(delta, version)
    assert here.body.delta() == expected


def test_apply_delta_is_one_transaction() -> None:
    here = note("the reef at night")
    version = here.body.version
    here.body.insert(0, "Over ")
    commits: list[object] = []
    here.document.on_commit(commits.append)
    delta: Delta = [
        {"retain": 4, "attributes": {"bold": True}},
        {"insert": "far "},
        {"retain": 4},
        {"delete": 9},
        {"insert": {"image": "reef.png"}},
    ]
    here.body.apply_delta(delta, version)
    assert len(commits) == 1
    assert here.body.delta() == [
        {"insert": "Over "},
        {"insert": "the ", "attributes": {"bold": True}},
        {"insert": "far reef"},
        {"insert": {"image": "reef.png"}},
    ]


def test_apply_delta_replaces_a_range_at_its_beginning() -> None:
    here = note("the reef")
    version = here.body.version
    here.body.append(" at night")
    here.body.apply_delta([{"retain": 4}, {"delete": 4}, {"insert": "wall"}], version)
    assert here.body == "the wall at night"


def test_apply_delta_that_does_nothing_writes_nothing() -> None:
    here = note("ab")
    state = here.document.state_vector()
    version = here.body.version
    nothing: list[Delta] = [[], [{"retain": 2}], [{"insert": ""}, {"delete": 0}], [{"retain": 1, "attributes": {}}]]
    for delta in nothing:
        here.body.apply_delta(delta, version)
    assert here.document.state_vector() == state
    here.body.delete(0, 2)
    state = here.document.state_vector()
    here.body.apply_delta([{"delete": 1}, {"retain": 1, "attributes": {"bold": True}}], version)
    assert here.document.state_vector() == state


@pytest.mark.parametrize(
    "delta",
    [
        [{"retain": 2}, {"delete": 1}],
        [{"insert": "x"}, {"retain": 3, "attributes": {"bold": True}}],
        [{"insert": "x"}, {"insert": "\ud800"}],
        [{"insert": "x"}, {"insert": 5}],
        [{"insert": "x"}, {"insert": {"a": 2**60}}],
        [{"insert": "x"}, {"insert": None}],
        [{"insert": "x"}, {"retain": 1, "attributes": {"a": b"x"}}],
        [{"insert": "x"}, {"retain": -1}],
        {"insert": "x"},
    ],
    ids=repr,
)
def test_apply_delta_that_cannot_be_raises_and_writes_nothing(delta: Any) -> None:
    here = note("ab")
    version = here.body.version
    here.body.append("cdef")
    state = here.document.state_vector()
    with here.transaction(), pytest.raises(InvalidValueError, match=r"^body: "):
        here.body.apply_delta(delta, version)
    assert (here.document.state_vector(), here.body.value) == (state, "abcdef")


def test_apply_delta_in_a_transaction_sees_what_it_did() -> None:
    here = note("reef")
    version = here.body.version
    with here.transaction():
        here.body.insert(0, "the ")
        here.body.apply_delta([{"retain": 4}, {"insert": "s"}], version)
        here.body.apply_delta([{"retain": 9}, {"insert": "!"}])
        assert here.body.value == "the reefs!"
    assert here.body.value == "the reefs!"
    here.body.apply_delta([{"delete": 1}, {"insert": "R"}], version)
    assert here.body.value == "the Reefs!"


def test_a_version_is_none_in_the_middle_of_a_transaction() -> None:
    here = note("reef")
    with here.transaction():
        version = here.body.version
        here.body.append("s")
        with pytest.raises(TransactionError, match=r"^body: "):
            _ = here.body.version
    assert here.body.version != version


def test_a_version_outlives_a_transaction_that_is_taken_back() -> None:
    here = note("reef")
    version = here.body.version

    def fail() -> None:
        with here.transaction():
            here.body.insert(0, "coral ")
            here.body.delete(99, 1)

    with pytest.raises(InvalidValueError):
        fail()
    assert here.body.version == version
    here.body.apply_delta([{"retain": 4}, {"insert": "s"}], version)
    assert here.body.value == "reefs"


def stale_after_reset(here: Note) -> None:
    here.document.reset(here.document.update_since())


def stale_after_many_edits(here: Note) -> None:
    for _ in range(MAX_OPERATIONS // 2 + 1):
        here.body.insert(1, "x")


def stale_after_a_long_text(here: Note) -> None:
    here.body.append("x" * (MAX_CHARACTERS + 1))


def stale_after_a_gap(here: Note) -> None:
    there = fork(here)
    there.body.insert(0, "one")
    early = there.document.state_vector()
    there.body.append("two")
    here.document.apply(there.document.update_since(early))
    merge(here, there)
    assert here.body.value == there.body.value


@pytest.mark.parametrize(
    "pass_time", [stale_after_reset, stale_after_many_edits, stale_after_a_long_text, stale_after_a_gap]
)
def test_a_version_becomes_stale(pass_time: Callable[[Note], None]) -> None:
    here = note("reef")
    version = here.body.version
    pass_time(here)
    state = here.document.state_vector()
    with pytest.raises(StaleVersionError, match=r"^body: ") as caught:
        here.body.apply_delta([{"insert": "x"}], version)
    assert caught.value.http_status == 409
    assert here.document.state_vector() == state
    here.body.apply_delta([{"delete": 1}], here.body.version)


def test_a_version_is_known_up_to_the_bounds() -> None:
    here = note("reef")
    version = here.body.version
    for _ in range(MAX_OPERATIONS // 2 - 1):
        here.body.insert(1, "x")
    here.body.apply_delta([{"retain": 4}, {"insert": "s"}], version)
    assert here.body.value.endswith("xxreefs"[3:])
    version = here.body.version
    here.body.insert(0, "x" * (MAX_CHARACTERS // 2))
    here.body.apply_delta([{"delete": 1}], version)
    assert here.body.value.endswith("efs")


def test_versions_of_others_are_stale() -> None:
    here = note("reef")
    there = fork(here)
    here.other.append("reef")
    mine = here.body.version
    strange: list[Any] = ["", "7", "x.y", f"{mine}9", f"{mine}\u0660", f"{mine}.0", mine + "9" * 5000, 7, mine.encode()]
    for version in (there.body.version, here.other.version, *strange):
        with pytest.raises(StaleVersionError):
            here.body.apply_delta([{"insert": "x"}], version)
    assert here.body.value == "reef"


def test_a_listener_that_changes_its_change_hurts_no_version() -> None:
    here = note("reef")
    version = here.body.version
    here.on_change(lambda change: change.new.insert(0, change.new[0].update(insert="long")))
    here.body.insert(0, "a ")
    here.body.apply_delta([{"retain": 4}, {"insert": "s"}], version)
    assert here.body.value == "a reefs"
    assert length_of(here.body.delta()) == 7
    assert normalized(here.body.delta()) == here.body.delta()
