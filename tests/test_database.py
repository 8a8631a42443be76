"""A database file that was taken away, locked or replaced is written again once it can be, and not before."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from comity.persistence import database
from comity.persistence.errors import StoreError, StoreInUseError, StoreUnwritableError
from comity.persistence.sqlite import SqliteStore
from tests.support.stores import appends, fill, tail

BESIDE = ("-wal", "-shm", ".lock")


@asynccontextmanager
async def filled(path: Path) -> AsyncGenerator[SqliteStore]:
    """Hold a store with one update in a room, none of it moved into the database yet."""
    async with SqliteStore(path) as store:
        await fill(store, "room", b"one")
        yield store


def beside(path: Path, suffix: str) -> Path:
    """Return a file that lies beside a database."""
    return path.with_name(f"{path.name}{suffix}")


async def read_elsewhere(path: Path) -> int:
    """Return how many updates another process would find."""
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute("SELECT count(*) FROM updates").fetchone()[0])


async def test_database_that_is_whole_is_no_other_after_recovery(tmp_path: Path) -> None:
    async with filled(tmp_path / "comity.db") as store:
        assert not await store.recover()
        await store.append(appends("room", 2, b"two"))
        assert await tail(store, "room") == (b"one", b"two")
        with pytest.raises(StoreInUseError):
            await SqliteStore(tmp_path / "comity.db").__aenter__()


@pytest.mark.parametrize("suffix", BESIDE)
async def test_database_whose_file_beside_it_was_deleted_loses_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "comity.db"
    async with filled(path) as store:
        beside(path, suffix).unlink()
        with pytest.raises(StoreUnwritableError, match="not complete"):
            await store.append(appends("room", 2, b"two"))
        assert not await store.recover()
        stored = await tail(store, "room")
        assert stored in ((b"one",), (b"one", b"two"))  # what failed may be there
        await store.append(appends("room", len(stored) + 1, b"three"))
        assert await read_elsewhere(path) == len(stored) + 1
        with pytest.raises(StoreInUseError):
            await SqliteStore(path).__aenter__()
    async with SqliteStore(path) as store:
        assert await tail(store, "room") == (*stored, b"three")


async def test_database_that_is_moved_away_is_read_meanwhile_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    path, away = tmp_path / "data" / "comity.db", tmp_path / "away"
    async with filled(path) as store:
        path.parent.rename(away)
        with pytest.raises(StoreUnwritableError, match="gone"):
            await store.append(appends("room", 2, b"two"))
        for _ in range(2):
            with pytest.raises(StoreUnwritableError, match="gone"):
                await store.recover()
        assert not path.parent.exists()
        assert (await tail(store, "room"))[0] == b"one"
        away.rename(path.parent)
        assert not await store.recover()
        stored = await tail(store, "room")
        await store.append(appends("room", len(stored) + 1, b"three"))
        assert await read_elsewhere(path) == len(stored) + 1


async def test_database_in_place_of_which_lies_another_is_another_one(tmp_path: Path) -> None:
    path, other = tmp_path / "data" / "comity.db", tmp_path / "other"
    async with SqliteStore(other / "comity.db") as store:
        await fill(store, "another", b"other")
    async with filled(path) as store:
        path.parent.rename(tmp_path / "away")
        other.rename(path.parent)
        with pytest.raises(StoreUnwritableError):
            await store.append(appends("room", 2, b"two"))
        assert await store.recover()
        assert await store.load("room") is None
        await store.append(appends("another", 2, b"two"))
        with pytest.raises(StoreInUseError):
            await SqliteStore(path).__aenter__()
    async with SqliteStore(tmp_path / "away" / "comity.db") as store:
        assert (await tail(store, "room"))[0] == b"one"


async def test_database_is_not_taken_for_that_of_a_log_that_belongs_to_another(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with SqliteStore(tmp_path / "other.db") as store:
        await fill(store, "another", b"other")
    async with filled(path) as store:
        path.rename(tmp_path / "away.db")
        shutil.copyfile(tmp_path / "other.db", path)
        with pytest.raises(StoreUnwritableError):
            await store.append(appends("room", 2, b"two"))
        with pytest.raises(StoreUnwritableError, match="another one"):
            await store.recover()
        assert (await tail(store, "room"))[0] == b"one"
        (tmp_path / "away.db").rename(path)
        assert not await store.recover()
        assert (await tail(store, "room"))[0] == b"one"


async def test_database_that_is_locked_is_written_again_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    path = tmp_path / "comity.db"
    async with filled(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreInUseError, match="locked"):
                await store.append(appends("room", 2, b"two"))
            with pytest.raises(StoreInUseError, match="locked"):
                await store.recover()
            assert await tail(store, "room") == (b"one",)
        assert not await store.recover()
        await store.append(appends("room", 2, b"two"))
        assert await tail(store, "room") == (b"one", b"two")


async def test_database_that_is_gone_is_not_made_anew_and_keeps_no_threads(tmp_path: Path) -> None:
    path = tmp_path / "comity.db"
    async with filled(path) as store:
        path.unlink()
        threads = threading.active_count()
        for _ in range(10):
            with pytest.raises(StoreError):
                await store.recover()
        assert threading.active_count() == threads
        assert not path.exists()
        assert await tail(store, "room") == (b"one",)


async def test_database_is_read_while_it_is_recovered(tmp_path: Path) -> None:
    async with filled(tmp_path / "comity.db") as store:
        for _ in range(20):
            recovering = asyncio.create_task(store.recover())
            while not recovering.done():
                assert await tail(store, "room") == (b"one",)
            assert not await recovering
