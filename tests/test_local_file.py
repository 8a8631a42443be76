"""The file of a local tier: every version stays, on real files."""

import sqlite3
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.clients.local.versionfile import Made, Named, VersionFile
from comity.clients.localfile import LocalFile, Origin
from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import NameTakenError, StorageError
from comity.crdt_types.history.record import EMPTY, VersionRecord
from comity.crdt_types.update import EMPTY_UPDATE
from tests.support.history import Turn, chronicle_of, turns
from tests.support.local import ROOM, fill
from tests.support.profiles import examples
from tests.support.readings import reading


def updates_of(count: int) -> list[bytes]:
    """Return the updates of a document whose register is written so often."""
    document = StateDocument(agent="ana")
    updates: list[bytes] = []
    document.on_commit(lambda commit: updates.append(commit.update))
    for number in range(1, count + 1):
        document.set_register("n", number)
    return updates


def contents_of(directory: Path) -> str:
    """Return all that the files of a directory hold."""
    return "".join(path.read_bytes().decode("latin-1") for path in directory.iterdir())


def value_in(*updates: bytes) -> object:
    """Return what that register holds in a document of these updates."""
    document = StateDocument()
    for update in updates:
        document.apply(update)
    cells = document.index.cells(0, "n").get(None, ())
    return cells[0].value if cells else None


@settings(max_examples=examples(20, 300))
@given(turns(), st.data())
async def test_versionfile_gives_every_version_as_it_was(script: list[Turn], data: st.DataObject) -> None:
    chronicle = chronicle_of(script)
    last = len(chronicle.states) - 1
    kept = data.draw(st.sets(st.integers(0, last)))
    with TemporaryDirectory() as directory:
        async with VersionFile(Path(directory), ROOM) as file:
            for number, record in enumerate(chronicle.log, 1):
                state = chronicle.states[number] if number in kept else None
                await file.record([Made(record.update, "ana", record.at)], [], number, state)
        async with VersionFile(Path(directory), ROOM) as file:
            restored = await file.restore()
            document = StateDocument()
            for update in restored.updates:
                document.apply(update)
            assert reading(document.update_since()) == reading(chronicle.states[-1])
            for number in range(1, last + 1):
                assert reading(await file.state(number)) == reading(chronicle.states[number])
            assert await file.span() == (0, last)


async def test_versionfile_folds_versions_whose_time_is_over_into_the_last_state_of_them(tmp_path: Path) -> None:
    updates, now = updates_of(5), wall_ms()
    ages = (timedelta(days=days) // timedelta(milliseconds=1) for days in (50, 40, 35, 2, 1))
    async with VersionFile(tmp_path, ROOM, timedelta(days=30)) as file:
        made = [Made(update, "ana", now - age) for update, age in zip(updates, ages, strict=True)]
        await file.record(made, [], 5)
        await file.add_checkpoint(Named("first", 1, "manual", "ana", now, ""))
        await file.retire()
        assert await file.span() == (3, 5)
        assert [row[0] for row in await file.rows(0)] == [4, 5]
        assert [value_in(await file.state(number)) for number in (1, 3, 4, 5)] == [1, 3, 4, 5]
        assert (await file.base(2)).version == 1
        assert await file.drop_checkpoint("first")
        assert await file.base(2) == EMPTY
        assert value_in(await file.state(5)) == 5


async def test_versionfile_takes_the_document_of_a_plain_replica_as_its_first_version(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as plain:
        await plain.append(updates_of(3), [], 3)
        await plain.adopt("lineage-1")
    async with VersionFile(tmp_path, ROOM) as file:
        restored = await file.restore()
        assert (value_in(*restored.updates), restored.number, restored.lineage) == (3, 3, "lineage-1")
        assert await file.span() == (0, 1)
    with pytest.raises(StorageError, match=r"open it by client\.local"):
        await LocalFile(tmp_path, ROOM).__aenter__()


async def test_versionfile_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with VersionFile(tmp_path, ROOM) as file:
        path = file.path
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="upgrade comity"):
        await VersionFile(tmp_path, ROOM).__aenter__()


async def test_versionfile_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    chronicle = chronicle_of([Turn("ana", [("set", n)], True) for n in range(9)])

    async def broken() -> AsyncGenerator[list[VersionRecord]]:
        yield chronicle.log[:4]
        raise ConnectionResetError("half way")

    async with VersionFile(tmp_path, ROOM) as file:
        with pytest.raises(ConnectionResetError):
            await file.fill(EMPTY, broken(), [])
        assert await file.span() == (0, 0)
    await fill(tmp_path, chronicle)
    async with VersionFile(tmp_path, ROOM) as file:
        assert (await file.span()).last == len(chronicle.log)
        with pytest.raises(NameTakenError):
            await file.fill(EMPTY, broken(), [])
        assert (await file.span()).last == len(chronicle.log)


async def test_versionfile_begins_anew_where_the_document_is_another_one(tmp_path: Path) -> None:
    other = StateDocument(agent="bo")
    other.set_register("n", "other")
    async with VersionFile(tmp_path, ROOM) as file:
        await file.record([Made(update, "ana", 1) for update in updates_of(3)], [], 3)
        await file.start_over(other.update_since(), [], 3, Origin("lineage-2", 0))
        assert await file.span() == (4, 4)
        assert value_in(await file.state(4)) == "other"


async def test_versionfile_keeps_no_byte_of_what_was_erased(tmp_path: Path) -> None:
    document = StateDocument(agent="ana")
    document.set_register("secret", "correct horse battery staple")
    async with VersionFile(tmp_path, ROOM) as file:
        await file.record([Made(document.update_since(), "ana", 1)], [], 1, document.update_since())
        await file.add_checkpoint(Named("then", 1, "manual", "ana", 1, ""))
        await file.erase(EMPTY_UPDATE, 1, None)
        assert await file.span() == (2, 2)
        assert await file.checkpoints() == []
    assert "battery staple" not in contents_of(tmp_path)


async def test_versionfile_pages_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    updates = updates_of(6)
    monkeypatch.setattr("comity.clients.local.versionfile.PAGE_BYTES", len(updates[1]) + len(updates[2]))
    async with VersionFile(tmp_path, ROOM) as file:
        await file.record([Made(update, "ana", 1) for update in updates], [], 6)
        assert [record.version for record in await file.records(1)] == [2, 3]
        assert value_in(await file.state(6)) == 6
