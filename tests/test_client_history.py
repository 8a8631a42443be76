"""A room's history as a client reads it: every version as it was, over a connection that any number of tasks share."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import comity
from comity import Counter, History, List, Log, Map, Register, State, StateDocument, Text, Version
from comity.clients.calls import MAX_CALLS
from comity.clients.history import source as source_module
from comity.clients.history.line import Line
from comity.clients.history.moments import Moment
from comity.clients.history.source import PAGE, RoomSource
from comity.crdt_types.errors import (
    ConnectionFailedError,
    ErasedError,
    ForbiddenError,
    InvalidValueError,
    NameTakenError,
    NotConnectedError,
    OverloadError,
    RoomNotFoundError,
    StaleVersionError,
    StateError,
    TooLargeError,
)
from comity.persistence.errors import StoreError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Checkpoint
from comity.server.history.past import preserve, state_at
from tests.support.authors import ROOM, watch
from tests.support.calls import server_on
from tests.support.gated import GatedStore
from tests.support.history import Turn, turns
from tests.support.peer import stock_server
from tests.support.profiles import examples
from tests.support.readings import reading
from tests.support.server import ServerHere, in_process_server, running_server
from tests.support.waiting import eventually


class Task(State):
    title: Register[str]
    notes: Text


class Plan(State):
    goal: Register[str]
    spent: Counter
    steps: Map[int]
    days: List[str]
    body: Text
    tasks: Map[Task]


class Diary(State):
    lines: Log[str]


async def goals(url: str, *values: str, agent: str = "ana") -> None:
    """Write goals, each a version of its own."""
    async with comity.connect(url, agent=agent).open(ROOM, Plan) as plan:
        await plan.synced()
        for value in values:
            plan.goal.set(value)
            await plan.durable()


def history_of(server: Any, agent: str = "ana") -> History:
    return comity.connect(server.url, agent=agent).history(ROOM)


async def listed(history: History, **matching: Any) -> list[Version]:
    return [version async for version in history.versions(**matching)]


class Counting(Line):
    """A line that counts what is asked over it."""

    calls = 0

    async def call(self, method: str, **params: Any) -> Any:
        self.calls += 1
        return await super().call(method, **params)


# Versions as they were -------------------------------------------------------------------------------------------


@settings(max_examples=examples(20, 400))
@given(turns())
async def test_history_gives_each_version_as_somebody_who_watched_saw_it(script: list[Turn]) -> None:
    async with server_on("memory") as server:
        seen = await watch(server.url, script)
        async with history_of(server) as history:
            for version, expected in enumerate(seen):
                assert reading((await history.at(version)).update_since()) == expected


async def test_history_reads_a_version_as_a_state_that_cannot_be_edited() -> None:
    async with server_on("memory") as server:
        async with comity.connect(server.url, agent="ana").open(ROOM, Plan) as plan:
            plan.goal.set("ship it")
            plan.body.append("héllo")
            plan.tasks["a"] = Task(title="first", notes="at noon")
            await plan.durable()
            plan.goal.set("rest")
            plan.body.append(" again")
            plan.tasks["a"].notes.append(", or later")
            await plan.durable()
        async with history_of(server) as history:
            then = await history.at(1, Plan)
            assert (then.goal.value, str(then.body), str(then.tasks["a"].notes)) == ("ship it", "héllo", "at noon")
            assert (await history.at(2, Plan)).goal.value == "rest"
            with pytest.raises(NotConnectedError):
                then.goal.set("otherwise")
            with pytest.raises(NotConnectedError):
                (await history.at(1)).set_register("goal", "otherwise")


async def test_history_finds_versions_by_number_name_and_time() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two", "three")
        await history.checkpoint("half", at=2)
        first, _, third = await listed(history)
        meant: list[tuple[Moment, str]] = [
            (1, "one"),
            ("half", "two"),
            (third.at, "three"),
            (datetime.now(UTC), "three"),
        ]
        for when, goal in meant:
            assert (await history.at(when, Plan)).goal.value == goal
        assert (await history.at(first.at - timedelta(milliseconds=1), Plan)).goal.value is None


async def test_history_says_which_versions_there_are() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        assert await listed(history) == []
        await goals(server.url, "one", "two")
        await goals(server.url, "three", agent="bo")
        found = await listed(history)
        assert [(each.number, each.author, each.parent) for each in found] == [
            (1, "ana", None),
            (2, "ana", 1),
            (3, "bo", 2),
        ]
        assert await listed(history, newest_first=True) == found[::-1]
        assert await listed(history, since=1, until=2) == found[1:2]
        assert await listed(history, since=found[2].at) == [each for each in found if each.at >= found[2].at]
        assert await listed(history, until=found[0].at - timedelta(seconds=1)) == []
        assert [each.size > 0 for each in found] == [True] * 3


async def test_history_of_thousands_of_versions_comes_in_pages(tmp_path: Path) -> None:
    document, updates = StateDocument(agent="ana"), []
    document.on_commit(lambda commit: updates.append(commit.update))
    for number in range(2 * PAGE + 10):
        document.set_register("goal", str(number))
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        await store.create(ROOM, "lineage", 1)
        await store.append([Append(ROOM, seq, update, "ana", seq) for seq, update in enumerate(updates, 1)])
        async with history_of(server) as history:
            forwards, backwards = await listed(history), await listed(history, newest_first=True)
            assert [each.number for each in forwards] == list(range(1, len(updates) + 1))
            assert backwards == forwards[::-1]
            assert (await history.at(PAGE + 5, Plan)).goal.value == str(PAGE + 4)
            entries = [entry.version async for entry in history.log(since=PAGE - 1, until=PAGE + 1)]
            assert entries == [PAGE, PAGE + 1]


async def test_history_tells_what_changed_who_did_it_and_what_lies_between() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two")
        await goals(server.url, "three", agent="bo")
        await history.checkpoint("half", at=2)
        (change,) = (await history.diff(1, "half")).changes
        assert (change.field, change.old, change.new, change.author) == ("goal", "one", "two", "ana")
        (change,) = (await history.diff("half")).changes
        assert (change.old, change.new) == ("two", "three")
        assert [change.new for change in (await history.diff(3, 1)).changes] == ["one"]
        assert not await history.diff(2, 2)
        found = [(entry.version, entry.author) async for entry in history.log(field="goal", since=1)]
        assert found == [(2, "ana"), (3, "bo")]
        assert [entry.version async for entry in history.log(author="bo")] == [3]
        (cell,) = (await history.blame()).cells
        assert (cell.value, cell.credit.author, cell.credit.version) == ("three", "bo", 3)
        (cell,) = (await history.blame("half")).cells
        assert (cell.value, cell.credit.author, cell.credit.version) == ("two", "ana", 2)


# What is not kept ------------------------------------------------------------------------------------------------


async def _retire(server: ServerHere) -> None:
    """Retire all of the room that can be, as the keeper does."""
    archive = server.app.archive
    (room,) = server.hub.rooms
    for seq in (room.seq - 1, room.seq):
        await archive.snapshot(ROOM, seq, await state_at(archive, ROOM, seq))
    await preserve(archive, ROOM, room.seq, 2**52)
    await archive.retire(ROOM, room.seq, 2**52)


async def test_history_keeps_what_a_checkpoint_names_when_the_rest_is_gone() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two", "three", "four", "five", "six")
        await history.checkpoint("kept", at=2)
        start = (await listed(history))[0].at
        await _retire(server)
        kept = [version.number for version in await listed(history)]
        assert kept == [6]
        assert (await history.at("kept", Plan)).goal.value == "two"
        assert [(change.old, change.new) for change in (await history.diff("kept")).changes] == [("two", "six")]
        assert [(change.old, change.new) for change in (await history.diff(6, "kept")).changes] == [("six", "two")]
        assert (await history.restore("kept")).version == 7
        assert (await history.at(7, Plan)).goal.value == "two"
        assert [version.number for version in await listed(history, since=start)] == [6, 7]
        (cell,) = (await history.blame(6)).cells
        assert (cell.value, cell.credit.version) == ("six", 6)
        for gone in (1, 3):
            with pytest.raises(StaleVersionError):
                await history.at(gone)
        with pytest.raises(StaleVersionError):
            await history.undo(3)


async def test_history_refuses_versions_that_never_were() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        with pytest.raises(StateError):
            await history.checkpoint("of nothing")
        await goals(server.url, "one", "two")
        for when in (3, -1, 2**60, "no such name"):
            with pytest.raises(StaleVersionError):
                await history.at(when)
            with pytest.raises(StaleVersionError):
                await history.restore(when)
            with pytest.raises(StaleVersionError):
                await listed(history, since=when)
            with pytest.raises(StaleVersionError):
                await history.rollback(until=when)
        for bad, why in ((0, "no version"), (3, "no version 3;")):
            with pytest.raises(StaleVersionError, match=why):
                await history.undo(bad)
        with pytest.raises(InvalidValueError, match="time zone"):
            await history.at(datetime(2026, 1, 1))  # noqa: DTZ001
        with pytest.raises(InvalidValueError, match="nothing says"):
            await history.rollback(fields=["goal"])
        assert len(await listed(history)) == 2


# Checkpoints, branches, the end ----------------------------------------------------------------------------------


async def test_history_names_versions_and_forgets_the_names() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two")
        made = await history.checkpoint("before", at=1, kind="milestone", note="all is well")
        assert made[:4] + made[5:] == ("before", 1, "milestone", "ana", "all is well")
        assert abs(datetime.now(UTC) - made.at) < timedelta(minutes=5)
        newest = await history.checkpoint("after")
        assert (newest.version, newest.kind) == (2, "manual")
        assert await history.checkpoints() == [made, newest]
        with pytest.raises(NameTakenError):
            await history.checkpoint("before")
        with pytest.raises(StateError):
            await history.checkpoint("")
        assert [await history.delete_checkpoint("before") for _ in range(2)] == [True, False]
        assert await history.checkpoints() == [newest]


async def test_history_makes_branches_that_are_rooms_and_erases_them() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two")
        branch = await history.branch("draft", at=1)
        assert branch[:4] == ("draft", f"{ROOM}@draft", 1, "ana")
        assert await history.branches() == [branch]
        with pytest.raises(NameTakenError):
            await history.branch("draft")
        client = comity.connect(server.url)
        async with client.open(branch.room, Plan) as draft:
            await draft.synced()
            assert draft.goal.value == "one"
        (change,) = (await history.diff_branch("draft")).changes
        assert (change.old, change.new) == ("two", "one")
        async with client.history(branch.room) as of_branch:
            (first,) = await listed(of_branch)
            assert (first.author, first.parent) == ("ana", None)
        assert [await history.delete_branch("draft") for _ in range(2)] == [True, False]
        assert await history.branches() == []
        for asked in (history.diff_branch, history.merge):
            with pytest.raises(RoomNotFoundError):
                await asked("draft")


async def test_history_that_is_erased_is_reported_and_gone() -> None:
    async with server_on("memory") as server:
        async with history_of(server) as history:
            await goals(server.url, "one", "two")
            await history.checkpoint("kept")
            await history.branch("draft")
            branch, room = await history.erase()
            assert (branch.room, branch.versions) == (f"{ROOM}@draft", 1)
            assert (room.room, room.versions, room.checkpoints, room.backups) == (ROOM, 2, 1, False)
            assert room.size > 0
            with pytest.raises(ErasedError):
                await history.checkpoints()
        async with history_of(server) as history:
            assert not await listed(history)
            assert not await history.checkpoints()
            assert not await history.branches()
            assert await history.erase() == []


async def test_history_says_when_a_room_shall_end(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, history_of(server) as history:
        await goals(server.url, "one")
        await history.expire_after(timedelta(hours=1, milliseconds=1))
        assert (await store.attributes(ROOM))["ttl"] == b"3601000"
        for bad in (timedelta(), timedelta(seconds=-1)):
            with pytest.raises(InvalidValueError):
                await history.expire_after(bad)
        with pytest.raises(StateError):
            await history.expire_after(timedelta(days=999_999_999))
        await history.expire_after(None)
        assert "ttl" not in await store.attributes(ROOM)


# The connection --------------------------------------------------------------------------------------------------


async def test_history_is_read_and_not_written_by_those_who_only_read(tmp_path: Path) -> None:
    store, document = MemoryStore(), StateDocument(agent="ana")
    document.set_register("goal", "one")
    async with in_process_server(tmp_path, store, anyone="read") as server, AsyncExitStack() as stack:
        await store.create(ROOM, "lineage", 1)
        await store.append([Append(ROOM, 1, document.update_since(), "ana", 1)])
        await store.add_checkpoint(ROOM, Checkpoint("here", 1, "manual", "ana", 1, ""))
        history = await stack.enter_async_context(history_of(server))
        assert (await history.at("here", Plan)).goal.value == "one"
        for refused in (
            history.restore(0),
            history.undo(1),
            history.checkpoint("x"),
            history.branch("x"),
            history.delete_checkpoint("here"),
            history.erase(),
            history.expire_after(None),
        ):
            with pytest.raises(ForbiddenError):
                await refused
        assert [version.number for version in await listed(history)] == [1]


async def test_history_answers_any_number_of_tasks_at_once() -> None:
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, "one", "two", "three")
        asked = [history.at(number % 4, Plan) for number in range(3 * MAX_CALLS)]
        found = [plan.goal.value for plan in await asyncio.gather(*asked)]
        assert found == [(None, "one", "two", "three")[number % 4] for number in range(3 * MAX_CALLS)]
        made = await asyncio.gather(*(history.checkpoint(str(number)) for number in range(3 * MAX_CALLS)))
        assert set(await history.checkpoints()) == set(made)
        assert [each.name for each in made] == [str(number) for number in range(3 * MAX_CALLS)]


async def test_history_longer_than_what_may_be_read_at_once_is_read_all_the_same(tmp_path: Path) -> None:
    store, document = MemoryStore(), StateDocument(agent="ana")
    updates: list[bytes] = []
    document.on_commit(lambda commit: updates.append(commit.update))
    for number in range(6):
        document.append_item("lines", str(number) * 15_000)
    limits = {"connection_bytes": 200_000, "burst_seconds": 0.1, "max_message": 20_000}
    async with in_process_server(tmp_path, store, **limits) as server:
        await store.create(ROOM, "lineage", 1)
        await store.append([Append(ROOM, seq, update, "ana", seq) for seq, update in enumerate(updates, 1)])
        async with history_of(server) as history:
            for version in range(7):
                assert len((await history.at(version, Diary)).lines) == version


async def test_history_asks_for_no_record_twice() -> None:
    async with server_on("memory") as server, Counting(server.url, ROOM, "ana") as line:
        await goals(server.url, "one", "two", "three")
        source = RoomSource(line)
        first = await source.records(0, 3), await source.base(3)
        assert line.calls == 2
        assert (await source.records(0, 3), await source.base(3)) == first
        assert list(await source.records(0, 2)) == list(first[0])[:2]
        assert line.calls == 2


async def test_history_that_was_forgotten_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "KEPT_BYTES", 100)
    async with server_on("memory") as server, history_of(server) as history:
        await goals(server.url, *"abcdef")
        for _ in range(2):
            assert [(await history.at(version, Plan)).goal.value for version in range(1, 7)] == list("abcdef")


async def test_history_of_a_server_that_goes_away_says_so(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with history_of(server) as history:
            await goals(server.url, "one")
            await server.kill()
            for _ in range(2):
                with pytest.raises(ConnectionFailedError):
                    await history.restore(0)
        with pytest.raises(ConnectionFailedError):
            async with history_of(server):
                pass
        await server.start()
        async with history_of(server) as history:
            assert (await history.at(1, Plan)).goal.value == "one"


async def test_history_lets_nobody_wait_who_asks_when_it_is_closed(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server:
        await goals(server.url, "one")
        async with history_of(server) as history, comity.connect(server.url).open(ROOM, Plan) as plan:
            await plan.synced()
            async with store.held():
                plan.goal.set("two")
                await eventually(lambda: not server.hub.rooms[0].is_committed)
                asked = asyncio.create_task(history.at(1))
                await asyncio.sleep(0)
                await history.__aexit__(None, None, None)
                with pytest.raises(ConnectionFailedError):
                    await asked
            with pytest.raises(ConnectionFailedError):
                await history.at(1)


async def test_history_survives_a_call_that_nobody_waits_for_any_more(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, history_of(server) as history:
        await goals(server.url, "one")
        async with comity.connect(server.url).open(ROOM, Plan) as plan:
            await plan.synced()
            async with store.held():
                plan.goal.set("two")
                await eventually(lambda: not server.hub.rooms[0].is_committed)
                asked = asyncio.create_task(history.at(1))
                await asyncio.sleep(0)
                asked.cancel()
            await plan.durable()
        assert (await history.at(2, Plan)).goal.value == "two"


async def test_history_needs_a_server_that_knows_of_it() -> None:
    async with stock_server() as url:
        with pytest.raises(ConnectionFailedError, match="Comity server"):
            async with comity.connect(url).history(ROOM):
                pass


async def test_history_of_what_is_no_room_is_refused() -> None:
    client = comity.connect("ws://127.0.0.1:1")
    for bad in ("", None):
        with pytest.raises(RoomNotFoundError):
            client.history(bad)  # type: ignore[arg-type]
    async with server_on("memory") as server:
        with pytest.raises(RoomNotFoundError):
            async with comity.connect(server.url).history("a\nb"):
                pass


async def test_history_refuses_an_edit_that_the_server_would_not_take(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, MemoryStore(), max_message=5_000) as server:
        async with comity.connect(server.url).open(ROOM, Diary) as diary:
            for number in range(4):
                diary.lines.append(str(number) * 2_000)
                await diary.durable()
            diary.lines.prune(0)
            await diary.durable()
        async with history_of(server) as history:
            with pytest.raises(TooLargeError, match="max-message"):
                await history.restore(4)
            assert len(await listed(history)) == 5
            assert (await history.restore(1)).version == 6


class _Failing(MemoryStore):
    """A store that cannot tell of checkpoints."""

    async def checkpoints(self, room: str) -> list[Checkpoint]:
        raise StoreError("it is on fire")


async def test_history_that_the_server_cannot_read_is_an_error_that_ends_nothing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, _Failing()) as server, history_of(server) as history:
        await goals(server.url, "one")
        with pytest.raises(OverloadError, match="on fire"):
            await history.checkpoints()
        assert (await history.at(1, Plan)).goal.value == "one"
