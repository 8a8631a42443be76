"""Going back and bringing together: restores, rollbacks and merges of a real server's rooms, while others edit them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import comity
from comity import Client, Counter, History, Log, Map, ORSet, Register, State, StateDocument, Text
from comity.clients.history.writing import Arrival
from comity.crdt_types.document.entry import CELL
from comity.crdt_types.history.record import VersionRecord
from comity.persistence.memory import MemoryStore
from tests.support.authors import ROOM, authors_of, play
from tests.support.calls import server_on
from tests.support.history import AGENTS, Turn, turns
from tests.support.optional import ROOT
from tests.support.profiles import examples
from tests.support.readings import Reading, reading
from tests.support.server import in_process_server
from tests.support.waiting import until


class Plan(State):
    goal: Register[str]
    spent: Counter
    steps: Map[str]
    tags: ORSet[str]
    log: Log[str]
    body: Text


@asynccontextmanager
async def room_of(url: str, agent: str = "ana") -> AsyncGenerator[tuple[Plan, History]]:
    """Open a room and its history, as the same agent."""
    client: Client = comity.connect(url, agent=agent)
    async with client.open(ROOM, Plan) as plan, client.history(ROOM) as history:
        await plan.synced()
        yield plan, history


async def read(history: History, version: int | None = None) -> Reading:
    """Return what can be read of a version, or of the newest."""
    return reading((await history.at(await newest(history) if version is None else version)).update_since())


async def newest(history: History) -> int:
    return max([version.number async for version in history.versions()], default=0)


async def committed(plan: Plan, **values: Any) -> None:
    """Write values, as a version of its own."""
    plan.assign(values)
    await plan.durable()


# Restoring -------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(20, 400))
@given(turns(), st.data())
async def test_restore_reads_like_the_version_and_is_undone(script: list[Turn], data: st.DataObject) -> None:
    async with server_on("memory") as server, authors_of(server.url) as authors:
        await play(authors, script)
        async with comity.connect(server.url, agent="dee").history(ROOM) as history:
            last = await newest(history)
            wanted = data.draw(st.integers(0, last))
            before, then = await read(history), await read(history, wanted)
            done = await history.restore(wanted)
            assert await read(history) == then
            if done.version is None:
                assert before == then
                return
            assert done.version == last + 1 == await newest(history)
            entries = [entry async for entry in history.log(since=last)]
            assert [entry.author for entry in entries] == ["dee"]
            await history.undo(done.version)
            assert await read(history) == before


async def test_restore_that_others_built_upon_is_undone_but_for_what_they_did() -> None:
    async with server_on("memory") as server, room_of(server.url) as (plan, history):
        await committed(plan, goal="one", spent=1)
        await committed(plan, goal="two", spent=2, body="Two. ")
        done = await history.restore(1)
        assert done.version == 3
        await until(plan, lambda: plan.goal.value == "one")
        await committed(plan, goal="three", log=["new"])
        undone = await history.undo(done.version)
        assert [(kept.field, kept.by) for kept in undone.kept] == [("goal", "ana")]
        await until(plan, lambda: plan.spent == 2)
        assert (plan.goal.value, plan.log.value, str(plan.body)) == ("three", ["new"], "Two. ")


async def test_restore_leaves_what_others_write_at_the_same_moment() -> None:
    async with (
        server_on("memory") as server,
        room_of(server.url) as (plan, history),
        room_of(server.url, "bo") as (other, _),
    ):
        await committed(plan, goal="one", body="first. ", log=["a"])
        await committed(plan, goal="two", body="first. second. ", log=["a", "b"], spent=5)
        await until(other, lambda: other.spent == 5)
        with other.replica.offline():
            other.tags.add("mine")
            other.steps["mine"] = "running"
            other.log.append("mine")
            other.spent.add(100)
            other.body.insert(0, "Mine: ")
            done = await history.restore(1)
        await other.durable()
        await until(plan, lambda: "mine" in plan.tags)
        await until(other, lambda: other.goal.value == "one")
        expected = {
            "goal": "one",
            "spent": 100,
            "steps": {"mine": "running"},
            "tags": ["mine"],
            "log": ["a", "mine"],
            "body": "Mine: first. ",
        }
        assert plan.to_dict() == other.to_dict() == expected
        assert {change.field for change in done.changes} == {"goal", "log", "spent", "body"}
        assert done.kept == ()


async def test_restores_and_edits_of_many_at_once_converge() -> None:
    async with (
        server_on("memory") as server,
        room_of(server.url) as (plan, history),
        room_of(server.url, "bo") as (other, _),
        comity.connect(server.url, agent="cy").history(ROOM) as one,
        comity.connect(server.url, agent="dee").history(ROOM) as two,
    ):

        async def edit(state: Plan, name: str) -> None:
            for number in range(10):
                state.log.append(f"{name} {number}")
                state.body.append(name)
                await state.durable()

        await committed(plan, goal="one")
        await committed(plan, goal="two")
        edits = asyncio.gather(edit(plan, "ana"), edit(other, "bo"))
        restored, rolled = await asyncio.gather(one.restore(1), two.rollback(versions=[2]))
        await edits
        await committed(plan, goal="done")
        await until(other, lambda: other.goal.value == "done")
        assert plan.to_dict() == other.to_dict()
        assert await read(history) == reading(plan.document.update_since())
        authors = {version.number: version.author async for version in history.versions()}
        made = {done.version: agent for done, agent in ((restored, "cy"), (rolled, "dee")) if done.version is not None}
        assert made  # whoever came later may have found nothing to do
        assert {version: authors[version] for version in made} == made


async def test_restore_of_what_is_there_writes_nothing() -> None:
    async with server_on("memory") as server, room_of(server.url) as (plan, history):
        await committed(plan, goal="one")
        assert await history.restore(1) == (None, (), ())
        assert await newest(history) == 1
        await committed(plan, goal="two")
        await committed(plan, goal="one")
        assert not await history.diff(1, 3)
        assert await history.restore(1) == (None, (), ())
        assert await newest(history) == 3


async def test_restore_that_is_done_outlives_the_server(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, room_of(server.url) as (plan, history):
        await committed(plan, goal="one")
        await committed(plan, goal="two")
        done = await history.restore(1)
        assert [record.seq for record in await store.records(ROOM)] == [1, 2, done.version]


# Rolling back ----------------------------------------------------------------------------------------------------


async def test_rollback_takes_back_what_one_agent_did_and_says_what_it_left() -> None:
    async with (
        server_on("memory") as server,
        room_of(server.url) as (plan, history),
        room_of(server.url, "bo") as (other, _),
    ):
        await committed(plan, goal="one", body="Ana. ")
        await until(other, lambda: other.goal.value == "one")
        await committed(other, goal="bo's", spent=7, steps={"bo": "x"}, body="Ana. Bo. ")
        await until(plan, lambda: plan.spent == 7)
        await committed(plan, goal="mine again", log=["kept"])
        done = await history.rollback(author="bo")
        assert done.version == 4
        assert [(kept.field, kept.by) for kept in done.kept] == [("goal", "ana")]
        await until(plan, lambda: plan.spent == 0)
        assert plan.to_dict() == {
            "goal": "mine again",
            "spent": 0,
            "steps": {},
            "tags": [],
            "log": ["kept"],
            "body": "Ana. ",
        }
        assert await history.rollback(author="nobody") == (None, (), ())


@pytest.mark.parametrize(
    ("versions", "left"),
    [([3, 5], True), ([1, 2, 3, 5], True), ([5], False), ([1, 2, 5], False), ([3, 4, 5], False), (range(1, 6), False)],
)
async def test_rollback_is_a_restore_only_if_everything_since_is_taken_back(
    versions: Sequence[int], left: bool
) -> None:
    async with server_on("memory") as server, room_of(server.url) as (plan, history):
        for goal in "abcd":
            await committed(plan, goal=goal)
        plan.document.set_cell("$schema", "x@1", True)
        await plan.durable()
        await history.rollback(since=2, versions=versions)
        now = await history.at(await newest(history))
        assert ("x@1" in now.index.cells(CELL, "$schema")) is left


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"since": 2}, "ab"),
        ({"until": 2}, "cdef"),
        ({"since": 2, "until": 4}, "abef"),
        ({"since": "half"}, "abc"),
        ({"versions": [1, 3]}, "bdef"),
        ({"versions": range(1, 4), "since": 1}, "adef"),
        ({"versions": []}, "abcdef"),
        ({"author": "ana", "versions": [6]}, "abcde"),
        ({"author": "bo", "versions": [6]}, "abcdef"),
        ({"since": 1, "fields": ["goal"]}, "abcdef"),
        ({"since": 1, "fields": ["goal", "steps"]}, "a"),
        ({"since": datetime(2026, 1, 1, tzinfo=UTC)}, ""),
        ({"until": datetime(2026, 1, 1, tzinfo=UTC)}, "abcdef"),
    ],
)
async def test_rollback_takes_back_what_meets_all_that_is_asked(chosen: dict[str, Any], left: str) -> None:
    async with server_on("memory") as server, room_of(server.url) as (plan, history):
        for name in "abcdef":
            plan.steps[name] = name
            await plan.durable()
        await history.checkpoint("half", at=3)
        done = await history.rollback(**chosen)
        assert "".join((await history.at(await newest(history), Plan)).steps) == left
        assert {change.key for change in done.changes} == set("abcdef") - set(left)
        assert (done.version is None) is (left == "abcdef")


@example(
    [
        Turn("ana", [("row", "a", "x", 0)], True),
        Turn("bo", [("clear",)], True),
        Turn("bo", [("mark", "a", "x")], False),
    ]
)
@settings(max_examples=examples(15, 300))
@given(turns())
async def test_rollback_of_everything_one_agent_did_leaves_nothing_live_of_it(script: list[Turn]) -> None:
    async with server_on("memory") as server, authors_of(server.url) as authors:
        await play(authors, script)
        async with comity.connect(server.url, agent="dee").history(ROOM) as history:
            # What somebody else had written, and bo took away and wrote again, is as it was.
            shared = {
                (cell.field, repr(cell.key))
                for version in range(await newest(history) + 1)
                for cell in (await history.blame(version)).cells
                if cell.credit.author != "bo"
            }
            done = await history.rollback(author="bo")
            after = await history.blame()
            kept = {(each.kind, each.field) for each in done.kept}
            shared |= {(cell.field, repr(cell.key)) for cell in after.cells if cell.credit.author != "bo"}
            mine = {
                (cell.kind, cell.field)
                for cell in after.cells
                if cell.credit.author == "bo" and cell.kind != "counter" and (cell.field, repr(cell.key)) not in shared
            }
            assert mine <= kept
            assert not [run for runs in after.texts.values() for run in runs if run.credit.author == "bo"]


# Merging ---------------------------------------------------------------------------------------------------------


def disputes(document: StateDocument) -> dict[Any, Any]:
    """Return the cells in conflict with who wrote what is live in them, and whether somebody deleted it."""
    return {
        (conflict.field, conflict.key): {(rival.deleted or rival.stamp, rival.author) for rival in conflict.rivals}
        for conflict in document.conflicts()
    }


@settings(max_examples=examples(15, 300))
@given(turns(), turns(), turns(), st.data())
async def test_merge_brings_together_what_was_done_on_both_sides(
    before: list[Turn], here: list[Turn], there: list[Turn], data: st.DataObject
) -> None:
    async with server_on("memory") as server, authors_of(server.url) as authors:
        await play(authors, [Turn("ana", [("set", 1)], True), *before])
        async with comity.connect(server.url, agent="dee").history(ROOM) as history:
            branch = await history.branch("draft", at=data.draw(st.integers(0, await newest(history))))
            await play(authors, here)
            async with authors_of(server.url, branch.room) as drafters:
                for drafter in drafters.values():
                    await drafter.meet()
                await play(drafters, there)
                draft = drafters[AGENTS[-1]].world.document.update_since()
            parent = await history.at(await newest(history))
            known = disputes(parent)
            both = StateDocument(update=parent.update_since())
            both.apply(draft)
            planned = await history.merge("draft", dry_run=True)
            assert planned.version is None
            assert await read(history) == reading(parent.update_since())
            merged = await history.merge("draft")
            assert sorted(map(str, merged.changes)) == sorted(map(str, planned.changes))
            assert merged.texts == planned.texts
            assert await read(history) == reading(both.update_since())
            fresh = {(conflict.field, conflict.key) for conflict in merged.conflicts}
            assert fresh == {place for place, rivals in disputes(both).items() if known.get(place) != rivals}
            assert await history.merge("draft") == (None, (), {}, ())


async def test_merge_is_a_version_that_is_taken_back_like_any() -> None:
    async with server_on("memory") as server, room_of(server.url) as (plan, history):
        await committed(plan, goal="one", body="Once. ")
        branch = await history.branch("draft")
        async with comity.connect(server.url, agent="bo").open(branch.room, Plan) as draft:
            await draft.synced()
            await committed(draft, goal="draft's", body="Once. Twice. ", tags={"new"})
        await committed(plan, goal="mine", spent=3)
        merged = await history.merge("draft")
        assert merged.version == 3
        (conflict,) = merged.conflicts
        assert (conflict.field, set(conflict.values)) == ("goal", {"mine", "draft's"})
        assert merged.texts == {"body": [{"retain": 6}, {"insert": "Twice. "}]}
        assert [(change.kind, change.key, change.author) for change in merged.changes] == [("set", "new", "bo")]
        await until(plan, lambda: "new" in plan.tags)
        assert (str(plan.body), len(plan.document.conflicts())) == ("Once. Twice. ", 1)
        await history.undo(merged.version)
        await until(plan, lambda: "new" not in plan.tags)
        assert (plan.goal.value, str(plan.body), plan.spent.value) == ("mine", "Once. ", 3)
        assert plan.document.conflicts() == []


# Which version it is ---------------------------------------------------------------------------------------------


def test_arrival_is_the_version_that_has_all_of_an_update() -> None:
    before = StateDocument(agent="ana")
    before.set_register("goal", "one")
    state = before.update_since()

    def record(version: int, field: str, author: str) -> VersionRecord:
        document, updates = StateDocument(agent=author, update=state), []
        document.on_commit(lambda commit: updates.append(commit.update))
        document.set_register(field, author)
        return VersionRecord(version, updates[0], author, 0)

    records = [record(1, "x", "bo"), record(2, "y", "ana"), record(3, "z", "ana"), record(4, "z", "cy")]
    arrival = Arrival(records[2].update, state, "ana")
    assert [arrival.is_in(each) for each in records] == [False, False, True, False]


# The documentation -----------------------------------------------------------------------------------------------


async def test_program_in_the_documentation_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/history.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    async with server_on("memory") as server:
        names: dict[str, Any] = {"__name__": "program"}
        source = program.replace("ws://127.0.0.1:8765", server.url).replace("asyncio.run(main())", "")
        exec(compile(source, "docs/history.md", "exec"), names)
        await names["main"]()
        async with comity.connect(server.url).history("shared/plan") as history:
            said = [version.author async for version in history.versions()]
    assert said == ["planner"] * 4
    assert capsys.readouterr().out.splitlines() == [
        "map the reef",
        "goal: modified, 'map the reef' -> 'sell the boat' by planner",
        "notes: added 'a bad idea' by planner",
    ]
