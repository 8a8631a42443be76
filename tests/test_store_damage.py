"""What was damaged on disk is never taken for what was written."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.persistence.checksum import checksum
from comity.persistence.errors import CorruptRecordError, StoreError
from comity.persistence.records import Loaded
from comity.persistence.sqlite import SqliteStore
from tests.support.stores import appends, fill

Parts = tuple[bytes, int, bytes, int, bytes]

SHORT = st.binary(max_size=3)
PARTS = st.tuples(SHORT, st.integers(0, 9), SHORT, st.integers(0, 9), SHORT)
UPDATES = tuple(b"update %d " % n * n for n in range(1, 9))


def alter(path: Path, statement: str, *values: bytes | int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def allow_null(path: Path) -> None:
    """Make the schema take what only a damaged file can hold."""
    script = "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '');"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def fetch(path: Path, query: str) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        (value,) = connection.execute(query).fetchone()
        return bytes(value)


async def written(folder: Path, *, snapshots: tuple[int, ...] = ()) -> Path:
    """Return a closed database whose room "room" has ``UPDATES`` and snapshots of them joined."""
    path = folder / "comity.db"
    async with SqliteStore(path, durability="os") as store:
        await fill(store, "room", *UPDATES)
        for seq in snapshots:
            await store.snapshot("room", seq, b"".join(UPDATES[:seq]), 1)
    return path


async def load(path: Path) -> Loaded | None:
    async with SqliteStore(path, durability="os") as store:
        return await store.load("room")


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seq=st.integers(1, len(UPDATES)),
    column=st.sampled_from(["update", "author", "checksum"]),
    bit=st.integers(0, 511),
)
async def test_a_flipped_bit_of_an_update_is_found(tmp_path: Path, seq: int, column: str, bit: int) -> None:
    path = tmp_path / "comity.db"
    if not path.exists():
        await written(tmp_path)
    original = fetch(path, f'SELECT CAST("{column}" AS BLOB) FROM updates WHERE seq = {seq}')
    kind = "TEXT" if column == "author" else "BLOB"
    change = f'UPDATE updates SET "{column}" = CAST(? AS {kind}) WHERE seq = ?'
    alter(path, change, flipped(original, bit), seq)
    async with SqliteStore(path, durability="os") as store:
        for reading in (store.load("room"), store.records("room")):
            with pytest.raises(CorruptRecordError, match="checksum") as raised:
                await reading
            assert (raised.value.room, raised.value.seq) == ("room", seq)
        assert len(await store.records("room", limit=seq - 1)) == seq - 1
    alter(path, change, original, seq)


@pytest.mark.parametrize(
    ("damage", "seq"),
    [
        ("UPDATE updates SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE updates SET at = NULL WHERE seq = 3", 3),
        ("UPDATE updates SET author = NULL WHERE seq = 3", 3),
        ('UPDATE updates SET "update" = NULL WHERE seq = 3', 3),
        ('UPDATE updates SET "update" = 17 WHERE seq = 3', 3),
        ("UPDATE updates SET seq = 9 WHERE seq = 3", 3),
        ("UPDATE updates SET seq = 'three' WHERE seq = 3", 1),
        ("UPDATE updates SET room = 2 WHERE seq = 3", 3),
        ("DELETE FROM updates WHERE seq = 3", 3),
        ("DELETE FROM updates WHERE seq = 1", 1),
        ("UPDATE rooms SET lineage = 'forged'", 0),
        ("UPDATE rooms SET lineage = CAST(x'ff' AS TEXT)", 0),
        ("UPDATE rooms SET created = 2", 0),
    ],
)
async def test_a_record_that_changed_or_vanished_is_found(tmp_path: Path, damage: str, seq: int) -> None:
    path = await written(tmp_path)
    allow_null(path)
    alter(path, damage)
    with pytest.raises(CorruptRecordError) as raised:
        await load(path)
    assert (raised.value.room, raised.value.seq) == ("room", seq)


async def test_an_update_moved_to_another_room_is_found(tmp_path: Path) -> None:
    path = await written(tmp_path)
    async with SqliteStore(path) as store:
        await fill(store, "other", *UPDATES)
    alter(path, "DELETE FROM updates WHERE room = 2 AND seq = 8")
    alter(path, "UPDATE updates SET room = 2 WHERE room = 1 AND seq = 8")
    async with SqliteStore(path) as store:
        with pytest.raises(CorruptRecordError, match="record 8: the record does not fit its checksum"):
            await store.load("other")


@pytest.mark.parametrize("damage", ["state = x'00'", "seq = 5", "at = 2", "checksum = x''", "state = NULL"])
async def test_a_damaged_snapshot_is_passed_over(tmp_path: Path, damage: str) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    allow_null(path)
    alter(path, f"UPDATE snapshots SET {damage} WHERE seq = 6")
    loaded = await load(path)
    assert loaded is not None
    assert (loaded.snapshot, loaded.snapshot_seq) == (b"".join(UPDATES[:4]), 4)
    assert (loaded.tail, loaded.seq) == (UPDATES[4:], 8)


async def test_the_log_alone_is_enough_when_all_snapshots_are_damaged(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 4")
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 6")
    assert await load(path) == Loaded("lineage of room", None, 0, UPDATES, 8, sum(map(len, UPDATES)))


async def test_a_retired_log_still_covers_a_damaged_newest_snapshot(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    async with SqliteStore(path) as store:
        assert await store.retire("room", 100, 100) == 4
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 6")
    loaded = await load(path)
    assert loaded is not None
    assert (loaded.snapshot, loaded.tail) == (b"".join(UPDATES[:4]), UPDATES[4:])
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 4")
    with pytest.raises(CorruptRecordError, match="snapshot is damaged"):
        await load(path)


async def test_nothing_is_retired_or_replaced_on_the_word_of_a_damaged_snapshot(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(2, 4))
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 4")
    async with SqliteStore(path) as store:
        assert await store.retire("room", 100, 100) == 0
        await store.snapshot("room", 6, b"".join(UPDATES[:6]), 1)
        assert await store.retire("room", 100, 100) == 2
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 6")
    loaded = await load(path)
    assert loaded is not None
    assert (loaded.snapshot, loaded.tail) == (b"".join(UPDATES[:2]), UPDATES[2:])


async def test_a_log_cut_behind_its_snapshot_is_found(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(8,))
    alter(path, "DELETE FROM updates WHERE seq = 8")
    with pytest.raises(CorruptRecordError, match="the log ends before the snapshot"):
        await load(path)


async def test_damage_in_one_room_leaves_the_others(tmp_path: Path) -> None:
    path = await written(tmp_path)
    async with SqliteStore(path) as store:
        await fill(store, "other", b"one")
    alter(path, "UPDATE updates SET at = 99 WHERE room = 1 AND seq = 3")
    async with SqliteStore(path) as store:
        with pytest.raises(CorruptRecordError):
            await store.load("room")
        await store.append(appends("other", 2, b"two"))
        assert [row.room for row in await store.rooms()] == ["other", "room"]


async def test_flipped_bits_anywhere_in_the_file_never_change_what_is_read(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    sound, whole = path.read_bytes(), b"".join(UPDATES)
    chance = random.Random(20)
    refused = 0
    for number in range(250):
        folder = tmp_path / str(number)
        folder.mkdir()
        damaged = folder / "comity.db"
        damaged.write_bytes(flipped(sound, chance.randrange(len(sound) * 8)))
        try:
            loaded = await load(damaged)
        except StoreError:
            refused += 1
        else:
            assert loaded is None or whole.startswith((loaded.snapshot or b"") + b"".join(loaded.tail))
        shutil.rmtree(folder)
    assert refused


@given(first=PARTS, second=PARTS)
def test_checksum_keeps_all_its_parts_apart(first: Parts, second: Parts) -> None:
    assert (checksum(*first) == checksum(*second)) is (first == second)
