"""Work without the server survives the agent's death, merges exactly, and doubles nothing if the room was lost."""

import asyncio
import random
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import comity
from comity.clients.localfile import LocalFile
from comity.crdt_types.errors import LineageError
from tests.support.agent_process import ROOM, Ledger, agent_process, notes, spend
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import eventually, until

ROUNDS = 5
NOBODY = "ws://127.0.0.1:9"  # the port of "discard", which nothing listens on


@asynccontextmanager
async def opened(url: str, agent: str = "", directory: Path | None = None) -> AsyncGenerator[Ledger]:
    async with comity.connect(url, agent=agent, directory=directory).open(ROOM, Ledger) as ledger:
        yield ledger


@pytest.mark.timeout(180)
async def test_work_of_an_agent_that_is_killed_again_and_again_merges_exactly(tmp_path: Path) -> None:
    chance = random.Random(2)
    saved: dict[str, int] = {}
    kills = 0

    async def work(url: str, *, is_server_there: bool) -> None:
        nonlocal kills
        async with agent_process(url, "builder", tmp_path / "builder") as builder:
            if is_server_there:
                await builder.until_told("live")
            await builder.until_saved(chance.randrange(1, 60))
            await builder.kill()
        saved.update(builder.saved)
        kills += 1

    async with running_server(tmp_path / "data") as server, opened(server.url, "planner") as planner:
        await planner.synced()
        for number in range(ROUNDS):
            await (server.kill() if chance.random() < 0.5 else server.stop())
            for _ in range(chance.randrange(1, 3)):
                await work(server.url, is_server_there=False)
            expense, saved[expense] = f"planner/offline/{number}", number
            spend(planner, expense, number)
            await server.restart()
            await work(server.url, is_server_there=True)
            expense, saved[expense] = f"planner/online/{number}", 1
            spend(planner, expense, 1)
        async with agent_process(server.url, "builder", tmp_path / "builder") as builder:
            await builder.until_told("durable")
        await planner.durable()
        async with opened(server.url) as reader:
            await reader.synced()
            assert_exact(reader, saved | builder.saved, kills + 1)
            await until(planner, lambda: planner.to_dict() == reader.to_dict())


def assert_exact(ledger: Ledger, saved: dict[str, int], kills: int) -> None:
    """Check that all that was saved is there, once, and nothing else but what each kill left unreported."""
    found = dict(ledger.expenses.value)
    assert len(found) == len(ledger.expenses)
    assert found.items() >= saved.items()
    assert len(found) - len(saved) <= kills
    assert ledger.spent.value == sum(found.values())
    assert ledger.violations() == []


async def work_before(ledger: Ledger) -> None:
    """Work that the server has, and then loses."""
    spend(ledger, "before", 100)
    ledger.agents.add("old")
    ledger.remarks.append("long ago")
    await ledger.durable()


def work_offline(ledger: Ledger) -> None:
    """Work that no server has seen."""
    spend(ledger, "offline", 5)
    ledger.agents.add("offline")
    ledger.remarks.append(", and later")


async def lose_and_build_anew(server: ServerProcess, data: Path) -> None:
    """Take away all that the server has, and let somebody who knows nothing of it start again in the same room."""
    await server.stop()
    shutil.rmtree(data)
    await server.restart()
    async with opened(server.url, "new") as new:
        spend(new, "anew", 7)
        new.agents.add("new")
        new.remarks.append("anew")
        await new.durable()


async def durable_but_for_texts(old: Ledger) -> None:
    """Wait until all that could be made again is durable, and check that whoever waits is told of the rest, once."""
    with pytest.raises(LineageError):
        await old.durable()
    await old.durable()


async def assert_not_doubled(old: Ledger, url: str, directory: Path) -> None:
    """Check that an old replica brought what no server had seen, exactly once, and nothing else; and kept all of it."""
    await old.synced()
    await durable_but_for_texts(old)
    expected = {
        "spent": 12,
        "expenses": [("anew", 7), ("offline", 5)],
        "agents": ["new", "offline"],
        "latest": "offline",
        "remarks": "anew",
    }
    assert old.to_dict() == expected
    assert [(edit.operation, edit.field) for edit in old.replica.unmerged] == [("text", "remarks")]
    async with opened(url) as newcomer:
        await newcomer.synced()
        assert newcomer.to_dict() == expected
    await assert_kept_aside(directory)


def open_again(directory: Path) -> Path:
    """Return a directory in which the replica that was kept aside is the replica of its room again."""
    (kept,) = directory.glob("*.aside")
    again = directory / "again"
    again.mkdir()
    shutil.copy(kept, LocalFile(again, ROOM).path)
    return again


async def assert_kept_aside(directory: Path) -> None:
    """Check that the old replica was kept as it was."""
    async with opened(NOBODY, directory=open_again(directory)) as old:
        assert old.to_dict() == {
            "spent": 105,
            "expenses": [("before", 100), ("offline", 5)],
            "agents": ["old", "offline"],
            "latest": "offline",
            "remarks": "long ago, and later",
        }


async def test_a_room_that_was_lost_is_not_doubled_by_an_agent_that_goes_on(tmp_path: Path) -> None:
    data, directory = tmp_path / "data", tmp_path / "replica"
    async with running_server(data) as server, opened(server.url, "old", directory) as old:
        await work_before(old)
        with old.replica.offline():
            work_offline(old)
            await lose_and_build_anew(server, data)
        await assert_not_doubled(old, server.url, directory)


async def test_a_room_that_was_lost_is_not_doubled_by_an_agent_that_starts_again(tmp_path: Path) -> None:
    data, directory = tmp_path / "data", tmp_path / "replica"
    async with running_server(data) as server:
        async with opened(server.url, "old", directory) as old:
            await work_before(old)
        async with opened(NOBODY, "old", directory) as old:
            work_offline(old)
        await lose_and_build_anew(server, data)
        async with opened(server.url, "old", directory) as old:
            await assert_not_doubled(old, server.url, directory)


async def test_offline_on_purpose_holds_whenever_it_begins(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as server, opened(server.url, "reader") as reader:
        await reader.synced()
        for moment in range(8):
            async with opened(server.url, "writer") as writer:
                await asyncio.sleep(moment / 2000)  # the connection is being made meanwhile
                with writer.replica.offline():
                    await assert_apart(writer, reader, f"offline/{moment}")
                await until(reader, lambda: reader.spent.value == writer.spent.value)


async def assert_apart(writer: Ledger, reader: Ledger, note: str) -> None:
    """Check that neither sees what the other does now."""
    before = notes(writer)
    spend(writer, note, 1)
    for _ in range(10):
        spend(reader, "online", 1)
        await reader.durable()
    assert writer.replica.status == "offline"
    assert notes(writer) == [*before, note]
    assert note not in notes(reader)


async def test_an_acknowledgement_noted_before_its_edit_is_not_taken_for_a_later_one(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:  # as left by an agent that was killed between the two
        await file.append([], [], number=1)
        await file.acknowledge(3)
    async with opened(NOBODY, "old", tmp_path) as old:
        assert old.replica.pending == 0
        spend(old, "later", 1)
        assert old.replica.pending == 1


async def test_several_agents_of_a_lost_room_bring_back_only_what_no_server_took(tmp_path: Path) -> None:
    data, agents = tmp_path / "data", ("one", "two", "three")
    async with running_server(data) as server, AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(opened(server.url, agent, tmp_path / agent)) for agent in agents]
        for agent, ledger in zip(agents, ledgers, strict=True):
            spend(ledger, f"{agent}/before", 100)
            await ledger.durable()
        await server.stop()
        shutil.rmtree(data)
        for agent, ledger in zip(agents, ledgers, strict=True):
            spend(ledger, f"{agent}/offline", 1)
        await server.restart()
        for ledger in ledgers:
            await until(ledger, lambda ledger=ledger: ledger.spent.value == len(agents))  # type: ignore[misc]
            assert sorted(notes(ledger)) == sorted(f"{agent}/offline" for agent in agents)


async def test_a_room_from_an_old_backup_gets_back_what_its_agents_still_have(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with running_server(data) as server, opened(server.url, "old", tmp_path / "replica") as old:
        spend(old, "before", 1)
        await old.durable()
        await server.stop()
        shutil.copytree(data, backup)
        await server.restart()
        spend(old, "after", 10)
        old.remarks.append("after the backup")
        await old.durable()
        await server.stop()
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        spend(old, "offline", 100)
        await server.restart()
        await old.durable()
        async with opened(server.url, "newcomer") as newcomer:
            await until(newcomer, lambda: newcomer.to_dict() == old.to_dict())
            assert notes(newcomer) == ["before", "after", "offline"]
            assert newcomer.spent.value == 111
            assert newcomer.remarks.value == "after the backup"


async def test_what_no_server_took_is_made_again_once_however_often_the_agent_starts(tmp_path: Path) -> None:
    data, directory = tmp_path / "data", tmp_path / "replica"
    async with running_server(data) as server:
        async with opened(server.url, "old", directory) as old:
            await work_before(old)
        async with opened(NOBODY, "old", directory) as old:
            work_offline(old)
        await lose_and_build_anew(server, data)
        for start in range(3):
            async with opened(server.url, "old", directory) as old:
                await old.synced()
                await (old.durable() if start else durable_but_for_texts(old))
                assert old.spent.value == 12
                assert notes(old) == ["anew", "offline"]


async def test_work_on_a_room_that_nobody_had_written_to_is_not_taken_for_another_rooms(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path / "data") as server,
        opened(server.url, "first", tmp_path / "replica") as first,
    ):
        await first.synced()
        await server.stop()
        spend(first, "offline", 5)
        first.remarks.append("written before the server had anything of this room")
        await server.restart()
        await eventually(lambda: not first.replica.pending)
        await first.durable()
        assert first.replica.unmerged == []
        async with opened(server.url) as newcomer:
            await newcomer.synced()
            assert newcomer.to_dict() == first.to_dict()
            assert newcomer.spent.value == 5
            assert newcomer.remarks.value == "written before the server had anything of this room"
