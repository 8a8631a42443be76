"""A client and a real server: what is acknowledged, refused, lost and seen."""

import asyncio
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest

import comity
from comity import Counter, Log, Map, Register, State, Text
from comity.crdt_types.errors import (
    ConnectionFailedError,
    ForbiddenError,
    LineageError,
    NotConnectedError,
    RoomNotFoundError,
    SchemaError,
    TooLargeError,
    TransactionError,
)
from tests.support.peer import stock_server
from tests.support.server import in_process_server, running_server
from tests.support.waiting import eventually, until

ROOM = "shared/mission"


class Mission(State):
    goal: Register[str]
    spent: Counter
    steps: Map[int]
    notes: Log[str]
    body: Text


async def test_client_sees_edits_of_another_and_who_made_them(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        comity.connect(server.url, agent="planner").open(ROOM, Mission) as planner,
        comity.connect(server.url, agent="builder").open(ROOM, Mission) as builder,
    ):
        await builder.synced()
        changes = builder.changes()
        planner.goal.set("ship it")
        planner.body.append("héllo 😀")
        first, second = await anext(changes), await anext(changes)
        assert (first.field, first.new, first.author, first.local) == ("goal", "ship it", "planner", False)
        assert (second.kind, second.new, second.author) == ("text", [{"insert": "héllo 😀"}], "planner")
        builder.goal.clear()
        await until(planner, lambda: planner.goal.value is None)
        await builder.durable()
        assert builder.replica.pending == 0


async def test_client_durable_means_that_a_killed_server_still_has_it(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with comity.connect(server.url, agent="planner").open(ROOM, Mission) as mission:
            mission.spent.add(7)
            mission.notes.append("kept")
            await mission.durable()
            await server.kill()
            await eventually(lambda: mission.replica.status == "offline")
        await server.start()
        async with comity.connect(server.url).open(ROOM, Mission) as mission:
            await mission.synced()
            assert (mission.spent.value, mission.notes.value) == (7, ["kept"])


async def test_client_edits_of_one_turn_and_one_transaction_go_out_as_one_update(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, comity.connect(server.url).open(ROOM, Mission) as mission:
        await mission.synced()
        with mission.transaction():
            for number in range(10):
                mission.steps[f"step {number}"] = number
        mission.spent.add(1)
        mission.spent.add(1)
        await mission.durable()
        assert [room.seq for room in server.hub.rooms] == [1]


async def test_client_that_leaves_at_once_has_its_last_edits_kept(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        for number in range(10):
            async with comity.connect(server.url).open(ROOM, Mission) as mission:
                mission.notes.append(f"note {number}")
                mission.spent.add(1)
        async with comity.connect(server.url).open(ROOM, Mission) as mission:
            await mission.synced()
            assert mission.spent.value == 10
            assert mission.notes.value == [f"note {number}" for number in range(10)]


async def test_client_who_may_only_read_has_its_edits_refused_and_taken_back(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with comity.connect(server.url, agent="writer").open(ROOM, Mission) as mission:
            mission.goal.set("theirs")
            await mission.durable()
        await server.stop()
        async with (
            running_server(tmp_path, anyone="read") as readable,
            comity.connect(readable.url, agent="reader").open(ROOM, Mission) as mission,
        ):
            await mission.synced()
            mission.goal.set("mine")
            with pytest.raises(ForbiddenError):
                await mission.durable()
            await until(mission, lambda: mission.goal.value == "theirs")
            assert [edit.value for edit in mission.replica.unmerged] == ["mine"]
            await mission.synced()


async def test_client_of_a_room_that_cannot_be_is_told_so(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, comity.connect(server.url).open("x" * 1000, Mission) as mission:
        with pytest.raises(RoomNotFoundError):
            await mission.synced()
        mission.goal.set("lost")
        with pytest.raises(RoomNotFoundError):
            await mission.durable()
        assert mission.replica.status == "offline"


async def test_client_tells_and_hears_who_is_there(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        comity.connect(server.url, agent="plänner").open(ROOM, Mission) as planner,
    ):
        async with comity.connect(server.url, agent="builder").open(ROOM, Mission) as builder:
            there = builder.replica.awareness
            await eventually(lambda: [state["agent"] for state in there.others.values()] == ["plänner"])
            planner.replica.awareness.set(task="review ✓")
            await eventually(lambda: [state.get("task") for state in there.others.values()] == ["review ✓"])
        await eventually(lambda: not planner.replica.awareness.others)


async def test_client_without_a_directory_warns_of_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "comity"):
        async with comity.connect("ws://127.0.0.1:9").open(ROOM, Mission) as mission:
            mission.spent.add(1)
            assert mission.replica.pending == 1
    assert "1 local updates that the server has not acknowledged" in caplog.text


async def test_client_offline_on_purpose_comes_back_and_merges(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path) as server,
        comity.connect(server.url, agent="a").open(ROOM, Mission) as one,
        comity.connect(server.url, agent="b").open(ROOM, Mission) as two,
    ):
        await asyncio.gather(one.synced(), two.synced())
        with one.replica.offline():
            assert one.replica.status == "offline"
            one.spent.add(5)
            two.spent.add(2)
            await two.durable()
            assert one.spent.value == 5
        await one.durable()
        await until(one, lambda: one.spent.value == 7)
        await until(two, lambda: two.spent.value == 7)


async def test_client_takes_the_document_of_a_room_that_was_made_anew_in_its_absence(tmp_path: Path) -> None:
    async with running_server(tmp_path / "first") as server:
        client = comity.connect(server.url, agent="planner", directory=tmp_path / "replicas")
        async with client.open(ROOM, Mission) as mission:
            mission.spent.add(100)
            mission.goal.set("old")
            await mission.durable()
            await server.kill()
            mission.spent.add(1)
            mission.notes.append("unsent")
            mission.body.append("unsent text")
            await mission.replica.saved()
            async with running_server(tmp_path / "second", at=server.port):
                with pytest.raises(LineageError):
                    await mission.durable()  # the text
                await mission.durable()  # the rest
                assert mission.to_dict() == {"goal": None, "spent": 1, "steps": {}, "notes": ["unsent"], "body": ""}
                assert [edit.operation for edit in mission.replica.unmerged] == ["text"]
                assert list((tmp_path / "replicas").glob("*.aside"))


async def test_client_of_a_server_that_acknowledges_nothing_syncs_and_says_so() -> None:
    async with stock_server() as url, comity.connect(url, agent="a").open("room", Mission) as one:
        await one.synced()
        async with comity.connect(url, agent="b").open("room", Mission) as two:
            await two.synced()
            one.goal.set("seen")
            await until(two, lambda: two.goal.value == "seen")
            with pytest.raises(ConnectionFailedError, match="acknowledges"):
                await one.durable()


async def test_client_waits_for_nothing_inside_a_transaction() -> None:
    async with comity.connect("ws://127.0.0.1:9").open(ROOM, Mission) as mission:
        with mission.transaction():
            mission.spent.add(1)
            for wait in (mission.durable, mission.replica.saved):
                with pytest.raises(TransactionError):
                    await wait()


async def test_client_that_is_closed_lets_nobody_wait_for_ever(tmp_path: Path) -> None:
    async with comity.connect("ws://127.0.0.1:9", directory=tmp_path).open(ROOM, Mission) as mission:
        mission.spent.add(1)
        waiting = [asyncio.create_task(wait()) for wait in (mission.durable, mission.synced)]
        await asyncio.sleep(0)
    for task in waiting:
        with pytest.raises(ConnectionFailedError, match="closed"):
            await task
    with pytest.raises(ConnectionFailedError, match="closed"):
        await mission.durable()


async def test_client_outlives_listeners_that_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("not mine to handle")

    async with running_server(tmp_path) as server, comity.connect(server.url).open(ROOM, Mission) as mission:
        mission.replica.on_status(fail)
        mission.replica.awareness.on_change(fail)
        await mission.synced()
        with mission.replica.offline():
            mission.spent.add(1)
        async with comity.connect(server.url).open(ROOM, Mission) as other:
            await until(other, lambda: other.spent.value == 1)
        await mission.durable()
    assert "a listener failed" in caplog.text


async def test_client_refuses_an_edit_that_the_server_would_not_take_and_goes_on(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, max_message=64 * 1024) as server,
        comity.connect(server.url, agent="a").open(ROOM, Mission) as mission,
    ):
        await mission.synced()
        mission.goal.set("x" * 100_000)
        with pytest.raises(TooLargeError, match="max-message"):
            await mission.durable()
        await mission.synced()
        assert mission.goal.value is None
        mission.spent.add(1)
        await mission.durable()
        assert [edit.operation for edit in mission.replica.unmerged] == ["set"]


async def test_client_offline_blocks_nest(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server, comity.connect(server.url).open(ROOM, Mission) as mission:
        await mission.synced()
        with mission.replica.offline():
            with mission.replica.offline():
                mission.spent.add(1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(mission.durable(), 0.3)
        await mission.durable()


async def test_client_keeps_what_was_refused_refused_over_a_restart(tmp_path: Path) -> None:
    data, replicas = tmp_path / "data", tmp_path / "replicas"
    async with (
        running_server(data, anyone="read") as server,
        comity.connect(server.url, directory=replicas).open(ROOM, Mission) as mission,
    ):
        await mission.synced()
        with mission.replica.offline():
            mission.spent.add(5)
        with pytest.raises(ForbiddenError):
            await mission.durable()
    async with (
        running_server(data) as server,
        comity.connect(server.url, directory=replicas).open(ROOM, Mission) as mission,
    ):
        mission.notes.append("allowed")
        await mission.durable()
        assert (mission.spent.value, mission.notes.value) == (0, ["allowed"])


async def test_client_keeps_rooms_of_long_names_apart_on_disk(tmp_path: Path) -> None:
    client = comity.connect("ws://127.0.0.1:9", directory=tmp_path)
    for number, room in enumerate(("ü" * 99 + "a", "ü" * 99 + "b")):
        async with client.open(room, Mission) as mission:
            mission.spent.add(number + 1)
            await mission.replica.saved()
    for number, room in enumerate(("ü" * 99 + "a", "ü" * 99 + "b")):
        async with client.open(room, Mission) as mission:
            assert mission.spent.value == number + 1


async def test_client_holds_no_iterator_that_was_left(tmp_path: Path) -> None:
    async with comity.connect("ws://127.0.0.1:9", directory=tmp_path).open(ROOM, Mission) as mission:
        left = weakref.ref(mission.changes())
        assert left() is None
        stream = mission.changes()
        mission.goal.set("heard")
        assert (await anext(stream)).new == "heard"


async def test_client_takes_no_edits_once_it_is_closed() -> None:
    async with comity.connect("ws://127.0.0.1:9").open(ROOM, Mission) as mission:
        mission.goal.set("inside")
    with pytest.raises(NotConnectedError, match="closed"):
        mission.goal.set("after")
    assert mission.goal.value == "inside"


async def test_client_refuses_what_is_no_room_and_no_schema() -> None:
    client = comity.connect("ws://127.0.0.1:9")
    bad: list[tuple[Any, Any]] = [("", Mission), (None, Mission), (ROOM, dict), (ROOM, Mission())]
    for room, schema in bad:
        with pytest.raises((RoomNotFoundError, SchemaError)):
            await client.open(room, schema).__aenter__()
