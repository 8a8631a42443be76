"""The history of a room: its versions as they were, what lies between them, and what each of them did."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.crdt_types import StateDocument
from comity.crdt_types.errors import InvalidValueError, ProtocolError, StaleVersionError, StorageError
from comity.crdt_types.history.comparison import differences
from comity.crdt_types.history.differences import Difference, Differences
from comity.crdt_types.history.timeline import LogEntry, Timeline
from comity.crdt_types.update import read_state_vector
from tests.support.history import START_MS, Chronicle, Turn, chronicle_of, turns
from tests.support.machines import PATIENT
from tests.support.profiles import examples
from tests.support.readings import applied, reading

NAMES = ("goal", "goals", "spent")


def told(chronicle: Chronicle) -> Timeline:
    return Timeline(chronicle)


async def entries(timeline: Timeline, **matching: Any) -> list[LogEntry]:
    return [entry async for entry in timeline.log(**matching)]


def kept(chronicle: Chronicle, seed: int) -> int:
    """Keep states at random places, forget the records before one of them perhaps, and return the oldest version."""
    choose = random.Random(seed)
    last = len(chronicle.states) - 1
    for _ in range(choose.randint(0, 3)):
        chronicle.keep(choose.randint(0, last))
    first = choose.choice((0, choose.randint(0, last)))
    if first:
        chronicle.retire(first)
    return first


@settings(max_examples=examples(60, 2000), suppress_health_check=PATIENT)
@given(turns(), st.integers(0, 99), st.integers(1, 4))
async def test_a_version_reads_as_the_room_read_then(script: list[Turn], seed: int, page: int) -> None:
    chronicle = chronicle_of(script, page)
    first = kept(chronicle, seed)
    for version in range(first, len(chronicle.states)):
        document = await told(chronicle).at(version)
        assert reading(document.update_since()) == reading(chronicle.states[version])
        clocks = read_state_vector(pycrdt.get_state(chronicle.states[version]))
        assert read_state_vector(document.state_vector()) == clocks


@settings(max_examples=examples(80, 3000), suppress_health_check=PATIENT)
@given(turns(), st.integers(0, 99), st.data())
async def test_a_diff_makes_one_version_of_another_in_both_directions(
    script: list[Turn], seed: int, data: st.DataObject
) -> None:
    chronicle = chronicle_of(script)
    versions = st.integers(kept(chronicle, seed), len(chronicle.states) - 1)
    a, b = data.draw(versions), data.draw(versions)
    before, after = reading(chronicle.states[a]), reading(chronicle.states[b])
    assert applied(before, await told(chronicle).diff(a, b)) == after
    assert applied(after, await told(chronicle).diff(b, a)) == before


@settings(max_examples=examples(60, 2000), suppress_health_check=PATIENT)
@given(turns(), st.integers(0, 99), st.integers(1, 4), st.data())
async def test_what_the_log_tells_adds_up_version_by_version(
    script: list[Turn], seed: int, page: int, data: st.DataObject
) -> None:
    chronicle = chronicle_of(script, page)
    first = data.draw(st.integers(kept(chronicle, seed), len(chronicle.states) - 1))
    now = reading(chronicle.states[first])
    found = await entries(told(chronicle), since=first)
    assert [entry.version for entry in found] == list(range(first + 1, len(chronicle.states)))
    for entry in found:
        now = applied(now, Differences(entry.changes, entry.texts))
        assert now == reading(chronicle.states[entry.version])


@settings(max_examples=examples(60, 2000), suppress_health_check=PATIENT)
@given(turns(), turns())
def test_differences_make_one_document_of_another_that_went_its_own_way(one: list[Turn], other: list[Turn]) -> None:
    room = chronicle_of(one)
    branch = chronicle_of(other, start=room.states[len(room.states) // 2])
    before, after = room.states[-1], branch.states[-1]
    assert applied(reading(before), differences(before, after)) == reading(after)
    assert applied(reading(after), differences(after, before)) == reading(before)
    assert not differences(before, before)


@settings(max_examples=examples(40, 1000), suppress_health_check=PATIENT)
@given(turns(), st.sampled_from(["ana", "bo", "cy"]), st.sampled_from(["tasks", "tasks/a", "steps", "notes"]))
async def test_a_log_of_a_field_and_an_author_is_what_of_the_whole_log_matches(
    script: list[Turn], author: str, field: str
) -> None:
    timeline = told(chronicle_of(script))
    expected = []
    for entry in await entries(timeline):
        names = [*(change.field for change in entry.changes if change.author == author)]
        names += [name for name in entry.texts if entry.author == author]
        if any(f"{name}/".startswith(f"{field}/") for name in names):
            expected.append(entry.version)
    found = await entries(timeline, author=author, field=field)
    assert [entry.version for entry in found] == expected
    assert all(f"{change.field}/".startswith(f"{field}/") for entry in found for change in entry.changes)
    assert all(change.author == author for entry in found for change in entry.changes)


def three_versions() -> Chronicle:
    """A room in which ana set a goal, then bo goals, and ana spent something."""
    chronicle = Chronicle()
    ana, bo = StateDocument(agent="ana"), StateDocument(agent="bo")
    for document, field in zip((ana, bo, ana), NAMES, strict=True):
        before = document.state_vector()
        document.set_register(field, 1)
        chronicle.receive(document.update_since(before), document.agent)
    return chronicle


async def test_a_log_covers_a_field_and_not_one_whose_name_begins_alike() -> None:
    found = await entries(told(three_versions()), field="goal")
    assert found == [
        LogEntry(
            1,
            "ana",
            datetime.fromtimestamp(START_MS / 1000 + 1, UTC),
            (Difference("register", "goal", None, "added", None, 1, "ana"),),
            {},
        )
    ]


async def test_a_log_covers_a_range_of_versions_or_of_time() -> None:
    timeline = told(three_versions())
    second = datetime.fromtimestamp(START_MS / 1000 + 2, UTC)
    assert [entry.version for entry in await entries(timeline, since=1, until=2)] == [2]
    assert [entry.version for entry in await entries(timeline, since=second)] == [2, 3]
    assert [entry.version for entry in await entries(timeline, until=second)] == [1, 2]
    assert reading((await timeline.at(second)).update_since()) == reading(await timeline.state(2))


async def test_a_log_names_the_author_that_the_server_knew_where_the_lane_names_none() -> None:
    chronicle = Chronicle()
    nameless = StateDocument()
    nameless.set_register("goal", 1)
    chronicle.receive(nameless.update_since(), "ana")
    (entry,) = await entries(told(chronicle))
    assert entry.author == "ana"
    assert entry.changes[0].author == "ana"


async def test_a_diff_reads_no_record_before_the_newest_state_that_is_kept() -> None:
    chronicle = Chronicle()
    document = StateDocument(agent="ana")
    for number in range(40):
        before = document.state_vector()
        document.set_register("goal", number)
        chronicle.receive(document.update_since(before), "ana")
    for version in (10, 20, 30):
        chronicle.keep(version)
    await told(chronicle).diff(12, 33)
    assert set(chronicle.read) == {11, 12, 31, 32, 33}
    chronicle.read.clear()
    await told(chronicle).diff(14, 12)
    assert chronicle.read == [11, 12, 13, 14]


async def test_a_root_that_is_neither_typed_nor_a_text_is_told_of_by_its_name() -> None:
    chronicle = Chronicle()
    editor: pycrdt.Doc[Any] = pycrdt.Doc()
    board, order = editor.get("board", type=pycrdt.Map), editor.get("order", type=pycrdt.Array)
    essay = editor.get("essay", type=pycrdt.Text)
    edits: tuple[Callable[[], object], ...] = (
        lambda: board.update({"a": 1}),
        lambda: order.append(pycrdt.Map({"b": 1})),
        lambda: essay.insert(0, "e\u00e9"),
        lambda: order[0].update({"b": 2}),
        lambda: board.pop("a"),
    )
    for edit in edits:
        before = editor.get_state()
        edit()
        chronicle.receive(editor.get_update(before), "ana")
    found = await entries(told(chronicle))
    roots = [[(change.kind, change.field) for change in entry.changes] for entry in found]
    assert roots == [[("yjs", "board")], [("yjs", "order")], [], [("yjs", "order")], [("yjs", "board")]]
    assert [entry.texts for entry in found if entry.texts] == [{"essay": [{"insert": "e\u00e9"}]}]
    assert [change.field for change in (await told(chronicle).diff(1, 4)).changes] == ["order"]
    later = differences(chronicle.states[1], chronicle.states[4])
    assert [change.field for change in later.changes] == ["order"]


async def test_a_text_that_came_and_went_within_a_page_is_in_the_log() -> None:
    chronicle = Chronicle()
    document = StateDocument(agent="ana")
    text: pycrdt.Text = document.ydoc.get("notes", type=pycrdt.Text)
    edits: tuple[Callable[[], object], ...] = (lambda: text.insert(0, "a"), text.clear)
    for edit in edits:
        before = document.state_vector()
        edit()
        chronicle.receive(document.update_since(before), "ana")
    found = await entries(told(chronicle))
    assert [entry.texts for entry in found] == [{"notes": [{"insert": "a"}]}, {"notes": [{"delete": 1}]}]


@pytest.mark.parametrize("version", [-1, 1, 4])
async def test_a_version_that_is_not_kept_is_refused(version: int) -> None:
    chronicle = three_versions()
    chronicle.retire(2)
    with pytest.raises(StaleVersionError, match="from 2 to 3"):
        await told(chronicle).at(version)
    with pytest.raises(StaleVersionError):
        await told(chronicle).diff(version, 3)
    with pytest.raises(StaleVersionError):
        await entries(told(chronicle), since=version)


async def test_a_record_that_is_missing_is_reported() -> None:
    chronicle = three_versions()
    del chronicle.log[1]
    with pytest.raises(StorageError, match="version 2 is missing"):
        await told(chronicle).at(3)


async def test_a_record_that_is_damaged_is_reported() -> None:
    chronicle = three_versions()
    chronicle.log[1] = chronicle.log[1]._replace(update=b"\xff" * 9)
    for question in (told(chronicle).at(3), told(chronicle).diff(0, 3), told(chronicle).blame()):
        with pytest.raises(ProtocolError, match="not a Yjs update"):
            await question


async def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="time zone"):
        await told(three_versions()).at(datetime(2026, 1, 1))  # noqa: DTZ001  # that is what is refused


async def test_a_room_that_was_never_written_to_has_an_empty_history() -> None:
    timeline = told(Chronicle())
    assert not await timeline.diff(0, 0)
    assert await entries(timeline) == []
    assert (await timeline.at(0)).index.live == 0
    blame = await timeline.blame()
    assert (blame.since, blame.cells, blame.texts) == (0, (), {})
