"""Repair: afterwards all is sound, what was sound is kept, and what was there before lies beside it."""

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

import pycrdt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from comity.__main__ import app
from comity.crdt_types.errors import EngineError, ProtocolError
from comity.crdt_types.update import EMPTY_UPDATE
from comity.persistence.backup import back_up
from comity.persistence.errors import StoreError, StoreInUseError, StoreUnwritableError
from comity.persistence.records import Checkpoint, Record
from comity.persistence.sqlite import SqliteStore
from comity.persistence.verify import verify
from comity.server.app import DATABASE
from comity.server.maintenance.repair import Mended, Plan, Repaired, Strategy, repair
from tests.support import flips
from tests.support.damage import alter, spoil
from tests.support.profiles import examples
from tests.support.stores import appends, fill

AUTHORS: Final = ("ann", "ben", "cleo")


class Written:
    """A database with the rooms "damaged" and "other", each of edits that several authors made on their own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / DATABASE
        self.records: list[Record] = []

    async def write(self, turns: list[int], *, snapshots: Collection[int] = (), keys: int = 0) -> None:
        """Write edits of the authors with these numbers, in order; each of them builds on that author's before.

        If a number of keys is given, each author has so many, and writes over what is there.
        """
        docs: list[pycrdt.Doc[Any]] = [pycrdt.Doc(client_id=n + 1) for n in range(len(AUTHORS))]
        for seq, turn in enumerate(turns, 1):
            before = docs[turn].get_state()
            docs[turn].get("m", type=pycrdt.Map)[f"{turn}/{seq % keys}" if keys else f"{seq}"] = seq
            self.records.append(Record(seq, docs[turn].get_update(before), AUTHORS[turn], 1_000 + seq))
        async with SqliteStore(self.path, durability="os") as store:
            for room in ("damaged", "other"):
                await fill(store, room)
                for record in self.records:
                    await store.append(appends(room, record.seq, record.update, author=record.author, at=record.at))
                for seq in snapshots:
                    await store.snapshot(room, seq, self.state(seq), seq)

    def state(self, seq: int) -> bytes:
        """Return the state as of a record."""
        return self.of(range(1, seq + 1)).get_update()

    def of(self, numbers: Iterable[int]) -> pycrdt.Doc[Any]:
        """Return a document of some of the records."""
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        for number in numbers:
            doc.apply_update(self.records[number - 1].update)
        return doc


async def _read(path: Path, room: str) -> tuple[set[str], list[Record], str]:
    """Return the keys in a room's document, its log, and its lineage; all must be sound."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with SqliteStore(path) as store:
        loaded = await store.load(room)
        assert loaded is not None
        assert loaded.damage is None
        for update in (loaded.snapshot, *loaded.tail):
            if update is not None:
                doc.apply_update(update)
        first = loaded.snapshot_seq if loaded.snapshot else 0
        return set(doc.get("m", type=pycrdt.Map).keys()), await store.records(room, after=first), loaded.lineage


async def _values(path: Path, room: str) -> dict[str, int]:
    """Return what a room's document holds."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    async with SqliteStore(path) as store:
        loaded = await store.load(room)
        assert loaded is not None
        for update in (loaded.snapshot, *loaded.tail):
            doc.apply_update(update or EMPTY_UPDATE)
    return doc.get("m", type=pycrdt.Map).to_py() or {}


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _sound(path: Path, strategy: Strategy, **options: Any) -> Repaired:
    """Repair a database, and check that all of it is sound then."""
    done = repair(path, Plan(strategy, **options))
    assert verify(path).is_sound
    return done


def _only(done: Repaired) -> Mended:
    (mended,) = done.rooms
    assert mended.before.room == "damaged"
    return mended


async def test_repair_rolls_a_room_back_to_the_last_sound_point(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 1, 0, 1])
    other = await _read(written.path, "other")
    spoil(written.path, "damaged", 4)
    mended = _only(await asyncio.to_thread(_sound, written.path, "rollback"))
    assert (mended.end, mended.gathered, mended.lineage) == (3, None, "")
    assert (mended.removed.records, mended.removed.authors) == (3, ("ann", "ben"))
    assert (mended.removed.since, mended.removed.until) == (1_004, 1_006)
    assert await _read(written.path, "damaged") == ({"1", "2", "3"}, written.records[:3], "lineage of damaged")
    assert await _read(written.path, "other") == other


async def test_repair_merges_what_is_sound_after_the_damage(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 1, 0, 1, 2])
    spoil(written.path, "damaged", 4)
    mended = _only(await asyncio.to_thread(_sound, written.path, "merge"))
    assert mended.gathered == (2, 1)  # ben's second builds on his first, which is lost
    keys, log, lineage = await _read(written.path, "damaged")
    assert (keys, lineage) == ({"1", "2", "3", "5", "7"}, "lineage of damaged")
    kept = [written.records[number - 1] for number in (1, 2, 3, 5, 7)]
    assert log == [record._replace(seq=seq) for seq, record in enumerate(kept, 1)]


async def test_repair_merges_no_deletion_of_what_gets_no_new_value(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 0, 0, 0, 0], keys=2)
    spoil(written.path, "damaged", 3)
    mended = _only(await asyncio.to_thread(_sound, written.path, "merge"))
    assert mended.gathered == (0, 2)
    assert mended.end == 2
    assert await _values(written.path, "damaged") == {"0/0": 2, "0/1": 1}


async def test_repair_merges_the_inserts_of_a_record_that_waits_in_part(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 0, 0, 2], keys=2)
    async with SqliteStore(written.path) as store:
        both = pycrdt.merge_updates(*(record.update for record in written.records[2:]))
        await store.append(appends("damaged", 5, both))
    for seq in (2, 3, 4):
        spoil(written.path, "damaged", seq)
    mended = _only(await asyncio.to_thread(_sound, written.path, "merge"))
    assert (mended.gathered, mended.end) == ((0, 1), 2)
    assert await _values(written.path, "damaged") == {"0/1": 1, "2/0": 4}


async def test_repair_resets_a_room_to_what_it_was_in_a_backup(tmp_path: Path) -> None:
    written = Written(tmp_path / "data")
    await written.write([0, 1, 0, 1])
    await asyncio.to_thread(back_up, written.path, tmp_path / "backups", 5_000)
    async with SqliteStore(written.path) as store:
        await store.append(appends("damaged", 5, b"\x00\x00"))
        await store.append(appends("other", 5, b"\x00\x00"))
    spoil(written.path, "damaged", 2)
    arguments = ["repair", str(written.path.parent), "--strategy", "reset", "--from", str(tmp_path / "backups")]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    assert verify(written.path).is_sound
    expected = {"1", "2", "3", "4"}, written.records, "lineage of damaged"
    assert await _read(written.path, "damaged") == expected
    assert len((await _read(written.path, "other"))[1]) == 5


async def test_repair_resets_nothing_that_the_backup_has_not_got(tmp_path: Path) -> None:
    written = Written(tmp_path / "data")
    async with SqliteStore(written.path) as store:
        await fill(store, "another", b"\x00\x00")
    await asyncio.to_thread(back_up, written.path, tmp_path / "backups", 5_000)
    await written.write([0, 1])
    spoil(written.path, "damaged", 2)
    before = written.path.read_bytes()
    arguments = ["repair", str(written.path.parent), "--strategy", "reset", "--from", str(tmp_path / "backups")]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 2
    assert "nothing of damaged" in result.output
    assert written.path.read_bytes() == before


@pytest.mark.parametrize("strategy", ["rollback", "merge"])
async def test_repair_loses_nothing_of_a_room_that_is_recoverable(tmp_path: Path, strategy: Strategy) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 1, 0, 1], snapshots=(2, 4))
    alter(written.path, "UPDATE snapshots SET state = x'00' WHERE seq = 4 AND room = 1")
    mended = _only(await asyncio.to_thread(_sound, written.path, strategy))
    assert (mended.removed.snapshots, mended.removed.records, mended.end) == (1, 0, 6)
    async with SqliteStore(written.path) as store:
        assert await store.records("damaged") == written.records
        assert [each.seq for each in await store.snapshots("damaged")] == [2]


async def test_repair_gives_up_history_below_a_snapshot_that_no_log_leads_to(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 1, 0, 1], snapshots=(4,))
    async with SqliteStore(written.path) as store:
        for seq in (2, 4, 5):
            await store.add_checkpoint("damaged", Checkpoint(f"at {seq}", seq, "manual", "ann", 1, ""))
    spoil(written.path, "damaged", 3)
    mended = _only(await asyncio.to_thread(_sound, written.path, "rollback"))
    assert (mended.end, mended.removed.records, mended.removed.checkpoints) == (6, 4, 1)
    assert (await _read(written.path, "damaged"))[0] == set("123456")
    async with SqliteStore(written.path) as store:
        assert [each.seq for each in await store.checkpoints("damaged")] == [4, 5]


async def test_repair_gives_a_room_another_lineage_whose_own_row_is_damaged(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1])
    alter(written.path, "UPDATE rooms SET lineage = 'forged' WHERE id = 1")
    mended = _only(await asyncio.to_thread(_sound, written.path, "merge"))
    keys, _, lineage = await _read(written.path, "damaged")
    assert (keys, lineage) == ({"1", "2"}, mended.lineage)
    assert lineage not in ("forged", "lineage of damaged", "")


async def test_repair_leaves_a_copy_of_what_was_there(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0])
    spoil(written.path, "damaged", 2)
    before = written.path.read_bytes()
    done = await asyncio.to_thread(_sound, written.path, "rollback")
    assert done.copy is not None
    assert done.copy.name.startswith(f"{DATABASE}.before-repair-")
    assert done.copy.read_bytes() == before
    assert not verify(done.copy).is_sound


async def test_repair_leaves_a_sound_database_alone(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0])
    before = written.path.read_bytes()
    done = _sound(written.path, "merge")
    assert (done.copy, done.rooms, done.dropped) == (None, (), 0)
    assert written.path.read_bytes() == before


async def test_repair_changes_nothing_in_a_dry_run_and_says_what_it_would_do(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 2])
    spoil(written.path, "damaged", 2)
    before = written.path.read_bytes(), _names(tmp_path)
    rehearsed = repair(written.path, Plan("merge"), dry_run=True)
    assert (written.path.read_bytes(), _names(tmp_path)) == before
    done = repair(written.path, Plan("merge"))
    assert (rehearsed.rooms, rehearsed.copy) == (done.rooms, None)


async def test_repair_mends_the_rooms_that_are_named_and_no_others(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0])
    spoil(written.path, "damaged", 2)
    spoil(written.path, "other", 3)
    _only(repair(written.path, Plan("rollback", ["damaged"])))
    assert [room.verdict for room in verify(written.path).rooms] == ["sound", "lost"]


@pytest.mark.parametrize("is_sound", [True, False])
async def test_repair_refuses_a_room_that_is_not_there(tmp_path: Path, is_sound: bool) -> None:
    written = Written(tmp_path)
    await written.write([0, 1])
    if not is_sound:
        spoil(written.path, "damaged", 1)
    names = _names(tmp_path)
    arguments = ["repair", str(tmp_path), "--strategy", "merge", "--room", "damagd"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 2
    assert "room 'damagd': there is no such room" in result.stderr
    assert _names(tmp_path) == names


async def test_repair_refuses_while_a_server_has_the_database_open(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0])
    async with SqliteStore(written.path):
        with pytest.raises(StoreInUseError):
            repair(written.path, Plan("rollback"))
    with pytest.raises(StoreUnwritableError, match="no database"):
        repair(tmp_path / "nowhere", Plan("rollback"))


async def test_repair_changes_nothing_when_it_fails_half_way(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0])
    async with SqliteStore(written.path) as store:
        await fill(store, "unreadable", b"\x00\x00", b"\x00\x00", b"no update of a document")
    for room in ("damaged", "unreadable"):
        spoil(written.path, room, 2)
    before = verify(written.path)
    with pytest.raises((ProtocolError, EngineError)):
        repair(written.path, Plan("merge"))
    assert verify(written.path) == before


async def test_repair_makes_a_new_file_of_one_that_sqlite_cannot_read(tmp_path: Path) -> None:
    written = Written(tmp_path)
    await written.write([0, 1, 0, 1], snapshots=(2,))
    data = bytearray(written.path.read_bytes())
    data[:100] = bytes(100)
    written.path.write_bytes(data)
    written.path.chmod(0o640)
    done = await asyncio.to_thread(_sound, written.path, "rollback")
    assert done.before.structure
    assert written.path.stat().st_mode & 0o777 == 0o640
    for room in ("damaged", "other"):
        assert (await _read(written.path, room))[0] == set("1234")
        async with SqliteStore(written.path) as store:
            assert await store.records(room) == written.records


async def test_repair_takes_in_what_is_in_the_log_of_a_server_that_was_killed(tmp_path: Path) -> None:
    written = Written(tmp_path / "killed")
    copy = tmp_path / "copy" / DATABASE
    copy.parent.mkdir()
    await written.write([0, 1, 0])
    async with SqliteStore(written.path) as store:
        await store.append(appends("other", 4, b"\x00\x00"))
        for name in (DATABASE, f"{DATABASE}-wal"):
            (copy.parent / name).write_bytes(written.path.with_name(name).read_bytes())
    spoil(copy, "damaged", 2)
    await asyncio.to_thread(_sound, copy, "rollback")
    assert len((await _read(copy, "other"))[1]) == 4


@settings(
    max_examples=examples(25, 400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    turns=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    data=st.data(),
    strategy=st.sampled_from(["rollback", "merge"]),
)
async def test_repair_keeps_a_prefix_or_all_that_can_be_applied(
    tmp_path_factory: pytest.TempPathFactory, turns: list[int], data: st.DataObject, strategy: Strategy
) -> None:
    written = Written(tmp_path_factory.mktemp("repair"))
    snapshots = sorted(data.draw(st.sets(st.integers(1, len(turns)), max_size=2)))
    keys = data.draw(st.integers(1, 4))
    await written.write(turns, snapshots=snapshots, keys=keys)
    bad = sorted(data.draw(st.sets(st.integers(1, len(turns)), min_size=1, max_size=3)))
    for seq in bad:
        spoil(written.path, "damaged", seq)
    _sound(written.path, strategy)
    _, log, lineage = await _read(written.path, "damaged")
    end = max(_end(seq, bad, len(turns)) for seq in (0, *snapshots))
    kept = set(range(1, end + 1))
    if strategy == "merge":
        lost = {turns[seq - 1]: seq for seq in reversed(bad) if seq > end}
        kept |= {seq for seq in range(end + 1, len(turns) + 1) if seq < lost.get(turns[seq - 1], 99)}
    expected = written.of(sorted(kept)).get("m", type=pycrdt.Map).to_py()
    assert (await _values(written.path, "damaged"), lineage) == (expected or {}, "lineage of damaged")
    for record in log:
        untouched = 1 if record.seq <= end else 2  # beyond it an update is what the engine said that it changed
        assert written.records[record.at - 1_001][untouched:] == record[untouched:]


def _end(seq: int, bad: list[int], last: int) -> int:
    """Return how far a log goes on after a snapshot, or its beginning, without a damaged record."""
    return min((each - 1 for each in bad if each > seq), default=last)


async def test_repair_makes_every_flipped_bit_good(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    await flips.write(path)
    data = path.read_bytes()
    bits, refused = range(7, len(data) * 8, len(data) * 8 // examples(60, 2_000)), 0
    for bit in bits:
        folder = tmp_path / str(bit)
        folder.mkdir()
        damaged = folder / DATABASE
        damaged.write_bytes(flips.flip(data, bit))
        try:
            repair(damaged, Plan("rollback"))
        except StoreError:  # of a flip in the number of the format
            refused += 1
            continue
        assert verify(damaged).is_sound
        async with SqliteStore(damaged) as store:
            for room in flips.ROOMS:
                loaded = await store.load(room)
                assert loaded is not None
                assert loaded.damage is None
    assert refused <= len(bits) // 30
