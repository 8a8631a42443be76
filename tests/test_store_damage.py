"""What was damaged on disk is never taken for what was written."""

import asyncio
import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.persistence.checksum import checksum
from comity.persistence.errors import CorruptRecordError
from comity.persistence.records import Loaded, Record
from comity.persistence.sqlite import SqliteStore
from comity.persistence.verify import verify
from comity.server.maintenance.repair import Plan, repair
from tests.support import flips
from tests.support.damage import allow_null, alter
from tests.support.profiles import examples
from tests.support.stores import appends, fill

Parts = tuple[bytes, int, bytes, int, bytes]


class Whole(NamedTuple):
    """A sound database: its bytes, and what is read of it."""

    data: bytes
    truth: dict[str, Any]


SHORT = st.binary(max_size=3)
PARTS = st.tuples(SHORT, st.integers(0, 9), SHORT, st.integers(0, 9), SHORT)
UPDATES = tuple(b"update %d " % n * n for n in range(1, 9))


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


async def damage(path: Path) -> tuple[int, tuple[bytes, ...]]:
    """Return which record of the room "room" is damaged, and the updates that are there before it."""
    loaded = await load(path)
    assert loaded is not None
    assert loaded.damage is not None
    assert loaded.damage.room == "room"
    assert loaded.seq == loaded.damage.seq - 1
    return loaded.damage.seq, loaded.tail


async def undamaged(path: Path) -> tuple[bytes, ...]:
    """Return the updates of the room "room", none of which is damaged."""
    loaded = await load(path)
    assert loaded is not None
    assert loaded.damage is None
    return loaded.tail


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
    alter(path, change, flips.flip(original, bit % (len(original) * 8)), seq)
    assert await damage(path) == (seq, UPDATES[: seq - 1])
    async with SqliteStore(path, durability="os") as store:
        for reading in (store.records("room"), store.versions("room")):
            with pytest.raises(CorruptRecordError, match="checksum") as raised:
                await reading
            assert (raised.value.room, raised.value.seq) == ("room", seq)
        assert len(await store.records("room", limit=seq - 1)) == seq - 1
    alter(path, change, original, seq)


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("UPDATE updates SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE updates SET at = NULL WHERE seq = 3", 3),
        ("UPDATE updates SET author = NULL WHERE seq = 3", 3),
        ('UPDATE updates SET "update" = NULL WHERE seq = 3', 3),
        ('UPDATE updates SET "update" = 17 WHERE seq = 3', 3),
        ("UPDATE updates SET seq = 9 WHERE seq = 3", 3),
        ("UPDATE updates SET room = 2 WHERE seq = 3", 3),
        ("DELETE FROM updates WHERE seq = 3", 3),
        ("DELETE FROM updates WHERE seq = 8", 8),
    ],
)
async def test_a_record_that_changed_or_vanished_ends_what_is_loaded(tmp_path: Path, change: str, seq: int) -> None:
    path = await written(tmp_path)
    allow_null(path)
    alter(path, change)
    assert await damage(path) == (seq, UPDATES[: seq - 1])


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("UPDATE updates SET seq = 'three' WHERE seq = 3", 1),
        ("DELETE FROM updates WHERE seq = 1", 1),
        ("UPDATE rooms SET lineage = 'forged'", 0),
        ("UPDATE rooms SET lineage = CAST(x'ff' AS TEXT)", 0),
        ("UPDATE rooms SET created = 2", 0),
    ],
)
async def test_a_room_of_which_nothing_can_be_trusted_is_refused(tmp_path: Path, change: str, seq: int) -> None:
    path = await written(tmp_path)
    alter(path, change)
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
        loaded = await store.load("other")
    assert loaded is not None
    assert "record 8: the record does not fit its checksum" in str(loaded.damage)
    assert loaded.tail == UPDATES[:7]


@pytest.mark.parametrize("change", ["state = x'00'", "seq = 5", "at = 2", "checksum = x''", "state = NULL"])
async def test_a_damaged_snapshot_is_passed_over(tmp_path: Path, change: str) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    allow_null(path)
    alter(path, f"UPDATE snapshots SET {change} WHERE seq = 6")
    loaded = await load(path)
    assert loaded is not None
    assert (loaded.snapshot, loaded.snapshot_seq) == (b"".join(UPDATES[:4]), 4)
    assert (loaded.tail, loaded.seq, loaded.passed) == (UPDATES[4:], 8, 1)


async def test_the_log_alone_is_enough_when_all_snapshots_are_damaged(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(4, 6))
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 4")
    alter(path, "UPDATE snapshots SET state = x'00' WHERE seq = 6")
    assert await load(path) == Loaded("lineage of room", None, 0, UPDATES, 8, sum(map(len, UPDATES)), None, 2)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM updates WHERE seq = 4",  # so that what is left begins where a later snapshot is
        "DELETE FROM beginnings",
        "UPDATE beginnings SET seq = 6",
        "UPDATE beginnings SET room = 9",
    ],
)
async def test_a_retired_log_that_begins_elsewhere_is_found(tmp_path: Path, change: str) -> None:
    path = await written(tmp_path, snapshots=(3, 4, 8))
    async with SqliteStore(path) as store:
        assert await store.retire("room", 4, 100) == 3
        assert [record.seq for record in await store.records("room")] == [4, 5, 6, 7, 8]
    alter(path, change)
    assert not verify(path).is_sound
    assert await undamaged(path) == ()
    async with SqliteStore(path) as store:
        for reading in (store.records("room"), store.versions("room", 2)):
            with pytest.raises(CorruptRecordError, match="missing"):
                await reading
    repair(path, Plan("rollback"))
    assert verify(path).is_sound
    async with SqliteStore(path) as store:
        assert (await store.records("room"))[-1:] in ([], [Record(8, UPDATES[7], "planner", 1)])


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


async def test_a_log_that_lacks_what_its_snapshot_holds_loads_from_that(tmp_path: Path) -> None:
    path = await written(tmp_path, snapshots=(8,))
    alter(path, "DELETE FROM updates WHERE seq = 8")
    assert await undamaged(path) == ()
    async with SqliteStore(path) as store:
        with pytest.raises(CorruptRecordError, match="record 8: the record is missing"):
            await store.records("room")


async def test_damage_in_one_room_leaves_the_others(tmp_path: Path) -> None:
    path = await written(tmp_path)
    async with SqliteStore(path) as store:
        await fill(store, "other", b"one")
    alter(path, "UPDATE updates SET at = 99 WHERE room = 1 AND seq = 3")
    assert await damage(path) == (3, UPDATES[:2])
    async with SqliteStore(path) as store:
        await store.append(appends("other", 2, b"two"))
        assert [row.room for row in await store.rooms()] == ["other", "room"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return a database that has something of everything in it, and what is read of it."""
    path = tmp_path_factory.mktemp("whole") / "comity.sqlite3"
    asyncio.run(flips.write(path))
    return Whole(path.read_bytes(), asyncio.run(flips.read(path)))


async def flipped_outcome(folder: Path, whole: Whole, bit: int) -> flips.Outcome:
    """Return what becomes of a database in which a bit was flipped."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "comity.sqlite3"
        path.write_bytes(flips.flip(whole.data, bit))
        return await flips.outcome(path, whole.truth)


@settings(max_examples=examples(30, 3_000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_a_flipped_bit_anywhere_in_the_file_is_never_served_and_always_reported(
    tmp_path: Path, whole: Whole, data: st.DataObject
) -> None:
    bit = data.draw(st.integers(0, len(whole.data) * 8 - 1))
    outcome = await flipped_outcome(tmp_path, whole, bit)
    assert not outcome.served
    assert outcome.is_harmless or outcome.is_reported


async def test_flipped_bits_all_over_the_file_are_never_served_and_always_reported(
    tmp_path: Path, whole: Whole
) -> None:
    chance, harmful = random.Random(20), 0
    for _ in range(examples(100, 3_000)):
        outcome = await flipped_outcome(tmp_path, whole, chance.randrange(len(whole.data) * 8))
        assert not outcome.served
        assert outcome.is_harmless or outcome.is_reported
        harmful += not outcome.is_harmless
    assert harmful


@pytest.mark.parametrize("byte", range(0, 100, 2))
async def test_a_flipped_bit_of_the_header_is_never_served_and_always_reported(
    tmp_path: Path, whole: Whole, byte: int
) -> None:
    outcome = await flipped_outcome(tmp_path, whole, byte * 8 + byte % 8)
    assert not outcome.served
    assert outcome.is_harmless or outcome.is_reported


async def test_no_flipped_bit_of_a_name_has_its_room_purged(tmp_path: Path) -> None:
    path = await written(tmp_path)
    alter(path, "UPDATE rooms SET name = CAST(name AS BLOB)")
    async with SqliteStore(path) as store:
        assert await store.rooms() == []
    alter(path, "UPDATE rooms SET name = CAST(name AS TEXT)")
    assert len(await undamaged(path)) == len(UPDATES)


@given(first=PARTS, second=PARTS)
def test_checksum_keeps_all_its_parts_apart(first: Parts, second: Parts) -> None:
    assert (checksum(*first) == checksum(*second)) is (first == second)
