"""What the SQLite store refuses to open, and what it leaves as it was."""

import asyncio
import os
import sqlite3
import sys
from asyncio.subprocess import PIPE
from contextlib import closing, suppress
from pathlib import Path

import pytest

from comity.persistence.errors import (
    NewerDatabaseError,
    SequenceError,
    StoreError,
    StoreFullError,
    StoreInUseError,
    StoreUnwritableError,
)
from comity.persistence.records import Checkpoint
from comity.persistence.schema import APPLICATION_ID, migrations
from comity.persistence.sqlite import SqliteStore
from comity.persistence.verify import verify
from tests.support.disks import read_only, small_disk
from tests.support.optional import ROOT
from tests.support.stores import appends, fill, tail

# Opens the store named by its argument, says so, and holds it until its input ends.
HOLDER = """
import asyncio, sys
from pathlib import Path
from comity.persistence.sqlite import SqliteStore

async def hold():
    async with SqliteStore(Path(sys.argv[1])):
        print("open", flush=True)
        sys.stdin.read()

asyncio.run(hold())
"""


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


async def refuses(path: Path, error: type[StoreError], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        async with SqliteStore(path):
            pytest.fail("it opened")
    assert raised.value.remedy


async def test_a_new_database_carries_format_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "comity.db"
    async with SqliteStore(path):
        pass
    assert pragma(path, "user_version") == len(migrations())
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "journal_mode") == "wal"


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    path.touch()
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
    assert pragma(path, "user_version") == len(migrations())


async def test_a_newer_database_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
    execute(path, f"PRAGMA user_version = {len(migrations()) + 1}; CREATE TABLE of_the_future (x)")
    before = path.read_bytes()
    await refuses(path, NewerDatabaseError, "newer version")
    assert path.read_bytes() == before


async def test_a_text_file_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    path.write_text("Dear diary,\n" * 1000)
    before = path.read_bytes()
    await refuses(path, StoreUnwritableError, "not a database")
    assert path.read_bytes() == before


async def test_a_database_of_another_program_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    execute(path, "CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    await refuses(path, StoreUnwritableError, "another program")
    assert path.read_bytes() == before


async def test_a_directory_in_place_of_the_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    path.mkdir()
    await refuses(path, StoreUnwritableError, "comity.db")


async def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    await refuses(tmp_path / "data" / "comity.db", StoreUnwritableError, "data")


async def test_an_unwritable_directory_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with read_only(folder):
        await refuses(folder / "comity.db", StoreUnwritableError, "data")
        await refuses(folder / "below" / "comity.db", StoreUnwritableError, "below")
    assert list(folder.iterdir()) == []


async def test_an_unwritable_database_is_refused_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "data" / "comity.db"
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
    before = path.read_bytes()
    with read_only(path.parent):
        await refuses(path, StoreUnwritableError, "data")
    assert path.read_bytes() == before


async def test_a_disk_without_space_for_a_database_is_refused(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 1024 * 1024):
        filler = disk / "filler"
        with pytest.raises(OSError, match="space"):
            filler.write_bytes(b"x" * 2 * 1024 * 1024)
        await refuses(disk / "comity.db", StoreFullError, "comity.db")
        filler.unlink()
        async with SqliteStore(disk / "comity.db") as store:
            await fill(store, "room", b"one")


async def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
        await refuses(path, StoreInUseError, f"process {os.getpid()}")
        assert await tail(store, "room") == (b"one",)
    async with SqliteStore(path) as store:
        assert await tail(store, "room") == (b"one",)


async def test_another_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    command = [sys.executable, "-c", HOLDER, str(path)]
    holder = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"open\n"
    await refuses(path, StoreInUseError, f"process {holder.pid}")
    holder.kill()
    await holder.communicate()
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")


async def test_other_processes_may_read_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
            count = "SELECT count(*) FROM updates"
            assert reader.execute(count).fetchone() == (1,)
            await store.append(appends("room", 2, b"two"))
            assert reader.execute(count).fetchone() == (2,)


async def test_an_uncommitted_migration_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    execute(path, f"PRAGMA application_id = {APPLICATION_ID}; CREATE TABLE snapshots (in_the_way)")
    await refuses(path, StoreError, "snapshots")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("snapshots",)]
    assert pragma(path, "user_version") == 0


async def test_a_batch_that_cannot_be_stored_does_not_count(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db") as store:
        await fill(store, "room", b"one")
        with pytest.raises(UnicodeEncodeError):  # after the first of the two was looked at
            await store.append([*appends("room", 2, b"lost"), *appends("\ud800", 1, b"of no room")])
        await store.append(appends("room", 2, b"two"))
        assert await tail(store, "room") == (b"one", b"two")


# At the second of some portions.
HALT = """
    CREATE TRIGGER halt AFTER DELETE ON updates WHEN old.seq = 8000 BEGIN SELECT raise(ABORT, 'halt'); END"""


async def _folded(store: SqliteStore) -> None:
    await fill(store, "room", *([b"x"] * 12_000))
    for seq in (11_999, 12_000):
        await store.snapshot("room", seq, b"state", 1)


async def test_a_log_that_is_being_retired_can_be_read_and_keeps_its_checkpoints(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await _folded(store)
        retiring = asyncio.create_task(store.retire("room", 20_000, 100))
        seq = 1
        while not retiring.done():
            assert len(await store.records("room", limit=1)) == 1
            with suppress(SequenceError):
                await store.add_checkpoint("room", Checkpoint(str(seq), seq, "manual", "", 1, ""))
            seq += 500
        begins = (await store.versions("room", limit=1))[0].seq - 1
        assert begins + await retiring in (begins, 2 * begins)
        assert all(each.seq >= begins for each in await store.checkpoints("room"))


async def test_a_log_whose_retiring_was_interrupted_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(path, durability="os") as store:
        await _folded(store)
        execute(path, HALT)
        with pytest.raises(StoreError, match="halt"):
            await store.retire("room", 20_000, 100)
    report = verify(path)
    assert report.is_sound
    assert report.rooms[0].records == 1
    assert _rows(path) > 1
    async with SqliteStore(path, durability="os") as store:
        assert [record.seq for record in await store.records("room")] == [12_000]
        assert await store.version_at("room", 1) == 12_000
        execute(path, "DROP TRIGGER halt")
        await store.scrub()
        assert _rows(path) == 1


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM updates").fetchone()[0])


async def test_a_large_log_is_retired_in_steps(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await fill(store, "room", *([b"x"] * 12_000))
        await store.snapshot("room", 11_999, b"state", 1)
        await store.snapshot("room", 12_000, b"state", 1)
        assert await store.retire("room", 20_000, 100) == 11_999
        assert [record.seq for record in await store.records("room")] == [12_000]


async def test_a_room_erased_while_others_are_written_begins_anew(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db", durability="os") as store:
        await fill(store, "erased", b"1")
        await fill(store, "other")
        erasing = asyncio.create_task(store.erase("erased", b"", 1))
        seq = 0
        while not erasing.done():
            seq += 1
            await store.append(appends("other", seq, b"x"))
        await erasing
        await fill(store, "erased", b"anew")
        assert await tail(store, "erased") == (b"anew",)
