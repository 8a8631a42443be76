"""The history of a local tier, without a server: what its versions were, and going back."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comity import Counter, Log, Map, Register, State, Text
from comity.clients.local.history import LocalHistory
from comity.clients.local.replica import LocalReplica
from comity.crdt_types.errors import (
    ConnectionFailedError,
    InvalidValueError,
    NameTakenError,
    StaleVersionError,
    StorageError,
    TransactionError,
)
from tests.support.disks import file_size_limit
from tests.support.local import NOWHERE, ROOM, replica_in, told


class Memory(State):
    goal: Register[str]
    facts: Map[str]
    seen: Counter
    notes: Log[str]
    body: Text


async def test_local_history_tells_every_version_with_its_author_and_time(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        memory.facts["boat"] = "leaks"
        memory.body.append("It rained.")
        await memory.durable()
        versions = [version async for version in history.versions(newest_first=True)]
        entries = [entry async for entry in history.log(field="facts")]
        blame = await history.blame()
        then = await history.at(1, Memory)
    assert [(version.number, version.author) for version in versions] == [(2, "ana"), (1, "ana")]
    assert before <= versions[1].at <= versions[0].at <= datetime.now(UTC)
    assert [(entry.version, entry.changes[0].new) for entry in entries] == [(2, "leaks")]
    assert {cell.field: cell.credit.version for cell in blame.cells} == {"goal": 1, "facts": 2}
    assert blame.texts["body"][0].credit.version == 2
    assert then.to_dict() == {"goal": "map the reef", "facts": {}, "seen": 0, "notes": [], "body": ""}


async def test_local_history_outlives_the_process_with_its_checkpoints(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await history.checkpoint("first", kind="milestone", note="all is well")
        memory.goal.set("sell the boat")
        await memory.durable()
        expected = await told(history)
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        assert Memory(replica.document, replica).goal.value == "sell the boat"
        assert await told(history) == expected
        assert (await history.at("first", Memory)).goal.value == "map the reef"
        assert (await history.diff("first")).changes[0].new == "sell the boat"


async def test_local_restore_is_a_version_that_can_be_undone(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        memory.seen.add(2)
        await history.checkpoint("first")
        memory.goal.set("sell the boat")
        memory.seen.add(5)
        memory.body.append("a bad idea")
        done = await history.restore("first")
        restored = memory.to_dict()
        undone = await history.undo(done.version or 0)
        assert (done.version, undone.version) == (3, 4)
        assert restored == {"goal": "map the reef", "facts": {}, "seen": 2, "notes": [], "body": ""}
        assert memory.to_dict() == restored | {"goal": "sell the boat", "seen": 7, "body": "a bad idea"}
        assert [version.author async for version in history.versions()] == ["ana"] * 4


async def test_local_rollback_takes_back_one_field_and_keeps_the_rest(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        memory.goal.set("sell the boat")
        memory.facts["boat"] = "leaks"
        await memory.durable()
        await history.rollback(since=1, fields=["goal"])
        assert (memory.goal.value, dict(memory.facts)) == ("map the reef", {"boat": "leaks"})


async def test_local_checkpoint_has_one_name_and_a_version_that_is_there(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        with pytest.raises(StaleVersionError, match="never written"):
            await history.checkpoint("early")
        Memory(replica.document, replica).goal.set("map the reef")
        await history.checkpoint("first")
        with pytest.raises(NameTakenError):
            await history.checkpoint("first")
        with pytest.raises(StaleVersionError):
            await history.checkpoint("late", at=7)
        for name, note in (("", ""), ("x" * 201, ""), ("two\nlines", ""), ("fine", "n" * 4097)):
            with pytest.raises(InvalidValueError):
                await history.checkpoint(name, note=note)
        assert [each.name for each in await history.checkpoints()] == ["first"]
        assert await history.delete_checkpoint("first")
        assert not await history.delete_checkpoint("first")


async def test_local_versions_that_are_too_old_are_gone_but_for_those_with_names(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        for number in range(6):
            memory.goal.set(f"goal {number}")
            await memory.durable()
        await history.checkpoint("second", at=2)
    forgetful = LocalReplica(NOWHERE, ROOM, agent="ana", directory=tmp_path, history=timedelta(0))
    async with forgetful as replica, LocalHistory(replica) as history:
        assert Memory(replica.document, replica).goal.value == "goal 5"
        assert [version async for version in history.versions()] == []
        assert (await history.at("second", Memory)).goal.value == "goal 1"
        with pytest.raises(StaleVersionError):
            await history.at(3)


async def test_local_history_knows_nothing_of_a_time_before_the_state_that_is_left(
    tmp_path: Path,
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with replica_in(tmp_path) as replica:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        memory.goal.set("mend the boat")
        await memory.durable()
    forgetful = LocalReplica(NOWHERE, ROOM, agent="ana", directory=tmp_path, history=timedelta(0))
    async with forgetful as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        assert (await history.at(datetime.now(UTC), Memory)).goal.value == "mend the boat"
        assert [version async for version in history.versions(since=before)] == []
        for ask in (history.at, history.diff, history.restore):
            with pytest.raises(StaleVersionError, match="is not kept"):
                await ask(before)
        assert memory.goal.value == "mend the boat"


async def test_local_disk_that_fails_is_logged_though_nobody_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with replica_in(tmp_path) as replica:
        memory = Memory(replica.document, replica)
        memory.body.append("x" * 400_000)
        with file_size_limit(200_000), pytest.raises(StorageError):
            await replica.saved()
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert str(tmp_path) in logged.getMessage()


async def test_local_edits_that_closing_did_not_wait_for_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("comity.clients.replica.CLOSE_TIMEOUT", 0.01)
    async with replica_in(tmp_path) as replica, replica.versions():
        Memory(replica.document, replica).goal.set("map the reef")
        await replica.__aexit__(None, None, None)
    assert "before its edits were on this machine's disk" in caplog.text


async def test_local_states_are_kept_whole_in_between_so_that_opening_reads_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.clients.local.versionjournal.FOLD_FLOOR", 2_000)
    async with replica_in(tmp_path) as replica:
        memory = Memory(replica.document, replica)
        for number in range(60):
            memory.goal.set(f"{number}" * 100)
            await memory.durable()
        async with replica.versions() as file:
            assert await file.span() == (0, 60)
            kept = await file.restore()
            assert sum(map(len, kept.updates)) < 6_000
            assert 1 <= (await file.base(40)).version <= 40
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        assert (await history.at(7, Memory)).goal.value == "6" * 100


async def test_local_edits_that_wait_for_the_disk_for_too_long_become_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("local.versionjournal", "journal"):
        monkeypatch.setattr(f"comity.clients.{module}.MAX_PENDING", 2_000)
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        for number in range(50):
            memory.notes.append(f"note {number}" * 20)
        await memory.durable()
        assert [version.number async for version in history.versions()] == [1, 2]
        assert len((await history.at(2, Memory)).notes) == 50


async def test_local_tier_needs_no_server_to_be_live_and_durable(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        assert replica.pending == 1
        await asyncio.gather(memory.synced(), memory.durable())
        assert (replica.status, replica.pending) == ("live", 0)
        with replica.offline():
            assert replica.status == "live"


async def test_local_history_ends_with_its_tier(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        Memory(replica.document, replica).goal.set("map the reef")
    with pytest.raises(ConnectionFailedError, match="closed"):
        await history.at(1)


async def test_local_restore_waits_for_no_transaction(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica, LocalHistory(replica) as history:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        memory.goal.set("sell the boat")
        with memory.transaction(), pytest.raises(TransactionError):
            await history.restore(1)
        assert memory.goal.value == "sell the boat"


async def test_local_disk_that_is_full_is_a_storage_error_and_loses_nothing_that_was_durable(tmp_path: Path) -> None:
    async with replica_in(tmp_path) as replica:
        memory = Memory(replica.document, replica)
        memory.goal.set("map the reef")
        await memory.durable()
        memory.body.append("x" * 400_000)
        with file_size_limit(200_000), pytest.raises(StorageError, match=str(tmp_path)):
            await memory.durable()
        with pytest.raises(StorageError):
            await memory.durable()
    async with replica_in(tmp_path) as replica:
        assert Memory(replica.document, replica).to_dict()["goal"] == "map the reef"
