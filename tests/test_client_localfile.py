"""A replica's local file, on real files."""

import asyncio
import sqlite3
from pathlib import Path

import pycrdt
import pytest

from comity.clients.journal import FOLD_FLOOR, Journal
from comity.clients.localfile import LocalFile, Origin
from comity.crdt_types import Commit, StateDocument
from comity.crdt_types.document.edits import Edit, EditLog
from comity.crdt_types.errors import StorageError

ROOM = "shared/a room/with ünïcode"


async def test_localfile_gives_back_what_was_appended(tmp_path: Path) -> None:
    document = StateDocument(agent="a")
    commits: list[Commit] = []
    document.on_commit(commits.append)
    document.set_register("goal", {"deep": [1, 2.5, None, b"raw"]})
    document.add_element("tags", "urgent")
    async with LocalFile(tmp_path, ROOM) as file:
        for number, commit in enumerate(commits, 1):
            await file.append([commit.update], [(number, edit) for edit in commit.edits], number)
        await file.adopt("lineage-1")
    async with LocalFile(tmp_path, ROOM) as file:
        kept = await file.restore()
    again = StateDocument(update=pycrdt.merge_updates(*kept.updates))
    assert again.index.cells(0, "goal")[None][0].value == {"deep": [1, 2.5, None, b"raw"]}
    assert [edit.operation for _number, edit in kept.edits] == ["set", "add"]
    assert (kept.number, kept.acknowledged, kept.lineage) == (2, 0, "lineage-1")


async def test_localfile_forgets_acknowledged_edits_and_keeps_the_rest(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:
        await file.append([b"u"], [(1, Edit("set", "a", None, 1)), (2, Edit("set", "b", None, 2))], 2)
        await file.acknowledge(1)
        kept = await file.restore()
    assert [number for number, _edit in kept.edits] == [2]
    assert kept.acknowledged == 1


async def test_localfile_is_open_in_one_place_only(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM):
        with pytest.raises(StorageError, match="another process"):
            await LocalFile(tmp_path, ROOM).__aenter__()
    async with LocalFile(tmp_path, ROOM) as file:
        assert (await file.restore()).updates == []


async def test_localfile_of_a_newer_version_is_refused_and_unchanged(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:
        await file.append([b"u"], [], 1)
        path = file.path
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageError, match="newer version"):
        await LocalFile(tmp_path, ROOM).__aenter__()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM updates").fetchone() == (1,)
    db.close()


async def test_localfile_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = LocalFile(tmp_path, ROOM).path
    path.write_text("these are not the bytes of a database, and there are more than a few of them" * 100)
    with pytest.raises(StorageError, match="not a database"):
        await LocalFile(tmp_path, ROOM).__aenter__()
    assert path.read_text().startswith("these are not")


async def test_localfile_keeps_another_document_beside_itself(tmp_path: Path) -> None:
    async with LocalFile(tmp_path, ROOM) as file:
        kept = await file.keep_aside(b"old", [(1, Edit("count", "spent", None, 2))])
        await file.start_over(b"new", [], 2, Origin("lineage-2", 0))
        now = await file.restore()
    with sqlite3.connect(kept) as db:
        assert db.execute("SELECT body FROM updates").fetchall() == [(b"old",)]
        assert db.execute("SELECT number FROM edits").fetchall() == [(1,)]
    db.close()
    assert (now.updates, now.lineage) == ([b"new"], "lineage-2")


async def test_journal_saves_in_batches_and_folds_what_has_grown(tmp_path: Path) -> None:
    document = StateDocument(agent="a")
    edits = EditLog()
    async with LocalFile(tmp_path, ROOM) as file:
        journal = Journal(file, document.update_since, edits.in_order, 0)
        document.on_commit(lambda commit: journal.append(commit, 1))
        writing = asyncio.create_task(journal.run())
        blob = "x" * 10_000
        for _ in range(2 * FOLD_FLOOR // len(blob)):
            document.set_register("big", blob)
            await journal.flush()
        size = sum(map(len, (await file.restore()).updates))
        writing.cancel()
    assert size < FOLD_FLOOR + 2 * len(blob)
    async with LocalFile(tmp_path, ROOM) as file:
        again = StateDocument(update=pycrdt.merge_updates(*(await file.restore()).updates))
    assert again.index.cells(0, "big")[None][0].value == blob


async def test_journal_that_folds_remembers_what_was_refused_until_the_document_is_another_one(tmp_path: Path) -> None:
    document = StateDocument(agent="a")
    async with LocalFile(tmp_path, ROOM) as file:
        journal = Journal(file, document.update_since, list, 0)
        document.on_commit(lambda commit: journal.append(commit, 1))
        writing = asyncio.create_task(journal.run())
        document.set_register("goal", "refused")
        journal.refuse(0, 1)
        await journal.flush()
        document.set_register("big", "x" * 2 * FOLD_FLOOR)
        await journal.flush()
        kept = await file.restore()
        assert len(kept.updates) == 1
        assert kept.refused
        async with journal.lock:
            await journal.rewrite(1, None)
        assert not (await file.restore()).refused
        writing.cancel()
