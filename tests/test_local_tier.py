"""The local tier as an agent's author has it: one line, on this disk, and a server as a backup if wanted."""

import logging
from datetime import timedelta
from pathlib import Path

import pytest

import comity
from comity import Counter, Log, Map, Register, State, StateDocument
from comity.clients.local.replica import LocalReplica
from comity.clients.local.versionfile import VersionFile
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import (
    InvalidValueError,
    NameTakenError,
    PreconditionError,
    RoomNotFoundError,
    StaleVersionError,
    StateError,
    StorageError,
    TransactionError,
)
from tests.support.calls import server_on
from tests.support.local_process import Diary, local_process
from tests.support.waiting import eventually

NOWHERE = "ws://127.0.0.1:1"


class Memory(State):
    goal: Register[str]
    facts: Map[str]
    seen: Counter
    notes: Log[str]


def client_in(directory: Path, url: str = NOWHERE, agent: str = "ana") -> comity.Client:
    """Return an agent's client that keeps its files in a directory."""
    return comity.connect(url, agent=agent, directory=directory)


def seen_twice(memory: Memory) -> int:
    """Count two, and return how many that are now."""
    memory.seen.add(2)
    return memory.seen.value


def contents_of(directory: Path) -> str:
    """Return all that the files of a directory hold."""
    return "".join(path.read_bytes().decode("latin-1") for path in directory.iterdir())


def only_copy_in(directory: Path) -> Path:
    """Return the one file that was kept aside."""
    (kept,) = directory.glob("*.aside")
    return kept


async def test_local_state_is_there_again_with_types_and_history(tmp_path: Path) -> None:
    client = client_in(tmp_path)
    async with client.local("memory", Memory) as memory:
        memory.state.goal.set("map the reef")
        memory["facts.boat"] = "leaks"
        await memory.durable()
        assert (memory.room, memory.tier, memory.status, memory.pending) == ("local/ana/memory", "local", "live", 0)
    async with client.local("local/ana/memory", Memory) as memory, memory.history() as history:
        assert memory.state.goal.value == "map the reef"
        assert memory.get_many(["goal", "facts.boat"]) == {"goal": "map the reef", "facts.boat": "leaks"}
        memory.state.goal.set("sell the boat")
        done = await history.restore(1)
        assert (done.version, memory["goal"]) == (3, "map the reef")
        found = await memory.get_with_history("goal")
        assert (found.value, len(found.entries)) == ("map the reef", 3)


async def test_local_state_without_a_class_is_a_mapping(tmp_path: Path) -> None:
    client = client_in(tmp_path)
    async with client.local("memory") as memory:
        memory["tasks.t1"] = {"title": "dive"}
        await memory.durable()
    async with client.local("memory") as memory:
        assert memory.match("tasks.*") == {"tasks.t1": {"title": "dive"}}


async def test_local_states_of_several_agents_and_names_are_apart(tmp_path: Path) -> None:
    for agent in ("ana", "bo"):
        for name in ("memory", "drafts"):
            async with client_in(tmp_path, agent=agent).local(name, Memory) as memory:
                assert not memory.state.goal.is_set
                memory.state.goal.set(f"{agent} {name}")
                await memory.durable()
    async with client_in(tmp_path, agent="bo").local("memory", Memory) as memory:
        assert memory.state.goal.value == "bo memory"


async def test_local_state_needs_an_agent_a_directory_and_a_name(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="agent's name"):
        comity.connect(NOWHERE, directory=tmp_path).local("memory", Memory)
    with pytest.raises(StateError, match="directory"):
        comity.connect(NOWHERE, agent="ana").local("memory", Memory)
    with pytest.raises(InvalidValueError):
        client_in(tmp_path).local("memory", Memory, history=timedelta(-1))
    with pytest.raises(RoomNotFoundError):
        client_in(tmp_path).local("", Memory)
    with pytest.raises(StateError, match="directory"):
        await comity.connect(NOWHERE, agent="ana").demote("shared/plan", "memory")


async def test_local_state_is_open_once(tmp_path: Path) -> None:
    client = client_in(tmp_path)
    async with client.local("memory", Memory):
        with pytest.raises(StorageError, match="another process"):
            await client.local("memory", Memory).__aenter__()
        with pytest.raises(StorageError):
            await client.open("local/ana/memory", Memory).__aenter__()


async def test_local_state_that_a_plain_replica_opens_is_left_alone(tmp_path: Path) -> None:
    client = client_in(tmp_path)
    async with client.local("memory", Memory) as memory:
        memory.state.goal.set("map the reef")
        await memory.durable()
    with pytest.raises(StorageError, match=r"client\.local"):
        await client.open("local/ana/memory", Memory).__aenter__()
    async with client.local("memory", Memory) as memory:
        assert memory.state.goal.value == "map the reef"


async def test_local_decisions_need_no_server(tmp_path: Path) -> None:
    async with client_in(tmp_path).local("memory", Memory) as memory:
        version = memory.version("goal")
        await memory.compare_and_set("goal", "map the reef", expected_version=version)
        with pytest.raises(PreconditionError):
            await memory.compare_and_set("goal", "sell the boat", expected_version=version)
        with pytest.raises(PreconditionError) as raised:
            await memory.decide(lambda state: state.seen.add(1), not_before=wall_ms() + 60_000)
        assert 50 < (raised.value.retry_after or 0) <= 60
        with pytest.raises(PreconditionError):
            await memory.replica.decide(Memory, seen_twice, not_before=lambda: wall_ms() + 60_000)
        assert await memory.decide(seen_twice, not_before=await memory.replica.server_time()) == 2
        with memory.transaction(), pytest.raises(TransactionError):
            await memory.decide(lambda state: state.seen.add(1))
        assert (memory["goal"], memory.state.seen.value, memory.pending) == ("map the reef", 2, 0)


async def test_local_decision_that_fails_writes_nothing(tmp_path: Path) -> None:
    def edit(state: Memory) -> None:
        state.goal.set("sell the boat")
        raise KeyError("no buyer")

    async with client_in(tmp_path).local("memory", Memory) as memory:
        with pytest.raises(KeyError):
            await memory.decide(edit)
        assert not memory.state.goal.is_set


async def test_local_tier_that_is_killed_has_every_version_that_was_durable(tmp_path: Path) -> None:
    async with local_process(tmp_path) as process:
        await process.until_saved(40)
        await process.kill()
    client = client_in(tmp_path)
    async with client.local("diary", Diary) as diary, diary.history() as history:
        numbers = list(diary.state.numbers)
        assert numbers == list(range(len(numbers)))
        assert diary.state.written.value == len(numbers) >= process.saved + 1
        assert [version.number async for version in history.versions()] == [n + 1 for n in numbers]
        assert list((await history.at(17, Diary)).numbers) == list(range(17))
        diary.state.numbers.append(-1)
        await diary.durable()


async def test_local_state_that_is_erased_leaves_no_byte_and_goes_on_empty(tmp_path: Path) -> None:
    client = client_in(tmp_path)
    async with client.local("memory", Memory) as memory, memory.history() as history:
        memory.state.facts["secret"] = "correct horse battery staple"
        await history.checkpoint("then")
        assert (await history.at(1, Memory)).facts
        with memory.transaction(), pytest.raises(TransactionError):
            await memory.erase()
        await memory.erase()
        assert memory.get("facts.secret") is None
        assert contents_of(tmp_path).count("battery staple") == 0
        memory.state.goal.set("begin anew")
        await memory.durable()
        assert [version.number async for version in history.versions()] == [3]
        assert not (await history.at(3, Memory)).facts
        with pytest.raises(StaleVersionError):
            await history.at(1)
    async with client.local("memory", Memory) as memory:
        assert (memory["goal"], dict(memory.state.facts)) == ("begin anew", {})


# With a server -------------------------------------------------------------------------------------------------


async def test_local_state_is_sent_nowhere_unless_it_is_to_be_backed_up(tmp_path: Path) -> None:
    async with server_on("memory") as server:
        async with client_in(tmp_path, server.url).local("memory", Memory) as memory:
            memory.state.goal.set("a secret")
            await memory.durable()
        assert await server.hub.archive.rooms() == []
        assert server.hub.rooms == ()


async def test_local_state_that_is_backed_up_is_restored_on_another_machine(tmp_path: Path) -> None:
    async with server_on("memory") as server:
        async with client_in(tmp_path / "old", server.url).local("memory", Memory) as memory:
            memory.state.goal.set("map the reef")  # before anybody thought of a backup
            await memory.durable()
        async with client_in(tmp_path / "old", server.url).local("memory", Memory, backup=True) as memory:
            assert memory.pending == 1
            memory.state.seen.add(3)
            await memory.durable()
            assert memory.pending == 0
            async with memory.history() as history:
                assert [version.number async for version in history.versions()] == [1, 2]
                done = await history.restore(1)
            await memory.durable()
            assert (done.version, memory.state.seen.value) == (3, 0)
            with pytest.raises(StateError, match="backed up"):
                await memory.erase()
        async with client_in(tmp_path / "new", server.url).local("memory", Memory, backup=True) as memory:
            await memory.synced()
            assert memory.state.goal.value == "map the reef"
            assert memory.state.seen.value == 0
            memory.state.notes.append("from the new machine")
            await memory.durable()
        async with client_in(tmp_path / "old", server.url).local("memory", Memory, backup=True) as memory:
            await memory.synced()
            assert list(memory.state.notes) == ["from the new machine"]


async def test_local_state_that_the_server_refuses_stays_in_a_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_in(tmp_path).local("memory", Memory) as memory:
        memory.state.goal.set("x" * 5_000)
        await memory.durable()
    async with server_on("memory", max_value=1_000) as server:
        with caplog.at_level(logging.WARNING, "comity"):
            async with client_in(tmp_path, server.url).local("memory", Memory, backup=True) as memory:
                await eventually(lambda: not memory.state.goal.is_set)
    kept = only_copy_in(tmp_path)
    assert b"x" * 4_000 in kept.read_bytes()
    assert str(kept) in caplog.text


async def test_local_versions_stay_in_a_copy_when_the_server_has_another_history(tmp_path: Path) -> None:
    async with server_on("memory") as server:
        client = client_in(tmp_path, server.url)
        async with client.local("memory", Memory, backup=True) as memory, memory.history() as history:
            memory.state.goal.set("map the reef")
            await memory.durable()
            await history.checkpoint("mapped")
            memory.state.goal.set("mend the boat")
            await memory.durable()
    async with server_on("memory") as server:
        async with comity.connect(server.url, agent="bob").open("local/ana/memory", Memory) as other:
            other.goal.set("another one")
            await other.durable()
        async with client_in(tmp_path, server.url).local("memory", Memory, backup=True) as memory:
            await memory.synced()
            assert memory["goal"] == "another one"
    kept = only_copy_in(tmp_path)
    assert kept.stat().st_mode & 0o777 == 0o600
    file = VersionFile(tmp_path, "")
    file.path = kept
    async with file:
        assert [each.version for each in await file.records(0)] == [1, 2]
        assert [each.name for each in await file.checkpoints()] == ["mapped"]
        assert Memory(StateDocument(update=await file.state(2))).goal.value == "mend the boat"


async def test_local_state_is_promoted_and_comes_back(tmp_path: Path) -> None:
    async with server_on("memory") as server:
        client = client_in(tmp_path, server.url)
        async with client.local("memory", Memory) as memory, memory.history() as history:
            memory.state.goal.set("map the reef")
            await history.checkpoint("first")
            memory.state.notes.append("began")
            moved = await memory.promote("team-7")
            for room in ("local/ana/other", "session/call"):
                with pytest.raises(InvalidValueError):
                    await memory.promote(room)
        assert (moved.room, moved.versions, moved.checkpoints) == ("shared/team-7", 2, 1)
        async with client.shared("team-7", Memory) as team:
            await team.synced()
            assert (team["goal"], team["notes"]) == ("map the reef", ["began"])
            team.state.seen.add(5)
            await team.durable()
        with pytest.raises(NameTakenError):
            await client.demote("shared/team-7", "memory")
        async with client.local("emptied", Memory) as memory:
            memory.state.goal.set("sell the boat")
            await memory.erase()
            with pytest.raises(InvalidValueError, match="nothing was written"):
                await memory.promote("team-8")
        assert (await client.demote("shared/team-7", "emptied")).versions == 3
        assert (await client.demote("shared/team-7", "copy")).versions == 3
        assert (await client.demote("shared/team-7", "memory", merge=True)).merged
        async with client.local("copy", Memory) as copy, copy.history() as history:
            assert copy.state.seen.value == 5
            assert (await history.at("first", Memory)).goal.value == "map the reef"
        async with client.local("memory", Memory) as memory:
            assert memory.state.seen.value == 5


async def test_local_promotion_takes_what_was_written_until_then(tmp_path: Path) -> None:
    async with server_on("memory") as server:
        async with client_in(tmp_path, server.url).local("memory", Memory) as memory:
            with pytest.raises(InvalidValueError, match="nothing was written"):
                await memory.promote("team-7")
            memory.state.goal.set("map the reef")
            assert (await memory.promote("persistent/ana")).versions == 1
            memory.state.goal.set("sell the boat")
        async with client_in(tmp_path, server.url).persistent(Memory) as profile:
            await profile.synced()
            assert profile.state.goal.value == "map the reef"


def test_local_replica_keeps_a_month_unless_told_otherwise(tmp_path: Path) -> None:
    replica = LocalReplica(NOWHERE, "local/ana/memory", agent="ana", directory=tmp_path)
    assert replica.history == timedelta(days=30)
