"""Databases of every format that was ever released open as they are, and lose nothing."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from comity.persistence.records import Append, Checkpoint, RoomRow
from comity.persistence.schema import migrations
from comity.persistence.sqlite import SqliteStore
from tests.support.optional import ROOT

DATABASES = ROOT / "tests" / "databases"

# Of every file: rooms with what their log ends at, and the first update that is still there.
ROOMS = {
    "session/ü 房间": ("lineage of session/ü 房间", 20, 1),
    "shared/empty": ("lineage-empty", 0, 1),
    "shared/folded": ("lineage of shared/folded", 20, 1),
    "shared/plain": ("lineage-plain", 5, 1),
    "shared/retired in between": ("l4", 20, 13),  # it began at 6, which no snapshot led to
    "shared/retired to a snapshot": ("l3", 20, 13),
}


def released() -> list[int]:
    """Return the formats that there is a file of."""
    return sorted(int(file.stem.removeprefix("format-")) for file in DATABASES.glob("format-*.sqlite3"))


def update(room: str, seq: int) -> bytes:
    return b"update %d of %s;" % (seq, room.encode())


@pytest.fixture(params=released())
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of a database of a released format."""
    return Path(shutil.copy(DATABASES / f"format-{request.param}.sqlite3", tmp_path / "comity.db"))


def test_there_is_a_file_of_every_format_before_the_newest() -> None:
    assert released() == list(range(1, len(migrations())))


async def test_a_released_database_opens_with_all_that_was_in_it(path: Path) -> None:
    async with SqliteStore(path) as store:
        rows = {row.room: row for row in await store.rooms()}
        assert rows.keys() == ROOMS.keys()
        for room, (lineage, last, first) in ROOMS.items():
            updated = None if not last else 1000 + last
            assert rows[room] == RoomRow(room, lineage, rows[room].created, last, updated)
            loaded = await store.load(room)
            assert loaded is not None
            assert (loaded.lineage, loaded.seq, loaded.damage) == (lineage, last, None)
            whole = (loaded.snapshot or b"") + b"".join(loaded.tail)
            assert whole == b"".join(update(room, seq) for seq in range(1, last + 1))
            records = await store.records(room)
            assert [record.seq for record in records] == list(range(first, last + 1))
            assert all(record.update == update(room, record.seq) for record in records)
            for seq in range(first - 1, last + 1):
                base = await store.base(room, seq)
                tail = [record.update for record in records if base.seq < record.seq <= seq]
                assert (base.state or b"") + b"".join(tail) == b"".join(update(room, n) for n in range(1, seq + 1))


async def test_a_released_database_takes_all_that_is_new(path: Path) -> None:
    for _ in range(2):
        async with SqliteStore(path) as store:
            for room, (_, last, _) in ROOMS.items():
                versions = await store.versions(room, limit=100)
                after = versions[-1].seq if versions else last
                await store.append([Append(room, after + 1, b"new", "cy", 1)])
                await store.add_checkpoint(room, Checkpoint(f"at {after}", after, "manual", "cy", 1, ""))
                await store.note(room, "ttl", b"1")
    async with SqliteStore(path) as store:
        assert all([len(await store.checkpoints(room)) == 2 for room in ROOMS])
        assert await store.erase("shared/plain", b"", 1)


def test_a_released_database_is_not_touched_before_it_is_opened(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        ((version,),) = database.execute("PRAGMA user_version").fetchall()
    assert version < len(migrations())
