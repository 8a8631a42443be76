"""Backups: any chain of them brings back the store as it was, and nothing damaged is taken for it."""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.persistence.backup import back_up
from comity.persistence.compaction import TAIL_FLOOR
from comity.persistence.errors import ExistsError, StoreError, StoreInUseError
from comity.persistence.manifest import load, locked
from comity.persistence.records import Checkpoint, Snapshot
from comity.persistence.restore import Chain, open_chain, restore
from comity.persistence.sqlite import SqliteStore
from tests.support.backed import ROOMS, STEPS, Backed, Step
from tests.support.pictures import Picture, pictures, state_at
from tests.support.profiles import examples
from tests.support.stores import appends, fill

# What happens between two backups, whether the second one is full, and how many full ones are kept.
EPISODES: Final = st.tuples(
    st.lists(STEPS, max_size=6), st.sampled_from((False, False, False, True)), st.integers(1, 3)
)


@settings(
    max_examples=examples(40, 3000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(begun=st.booleans(), episodes=st.lists(EPISODES, min_size=2, max_size=5))
async def test_backups_bring_back_the_store_as_it_was(
    begun: bool, episodes: list[tuple[list[Step], bool, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        async with SqliteStore(directory / "comity.db", durability="os") as store:
            backed = Backed(directory, store)
            for room in ROOMS:
                await backed.do(Step("begin", room, (3, b"state")) if begun else Step("create", room, ()))
                await backed.do(Step("append", room, ([b"a", b"b", b"c", b"d"], "ana", 4, False)))
            for steps, full, keep in episodes:
                for step in steps:
                    await backed.do(step)
                await backed.back_up(full, keep)
            await backed.check_all()


def alter(path: Path, statement: str, *values: bytes | int | str) -> None:
    """Damage a database."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


async def written(directory: Path, *, snapshots: tuple[int, ...] = (), rooms: tuple[str, ...] = ("room",)) -> Path:
    """Return a closed database whose rooms have ten updates each, and snapshots of them joined."""
    path = directory / "data" / "comity.db"
    async with SqliteStore(path, durability="os") as store:
        for room in rooms:
            await fill(store, room, *(b"%d," % seq for seq in range(1, 11)))
            for seq in snapshots:
                await store.snapshot(room, seq, await state_at(store, room, seq), 1)
    return path


async def grown(path: Path, room: str, *updates: bytes) -> None:
    """Append to a room of a closed database."""
    async with SqliteStore(path, durability="os") as store:
        loaded = await store.load(room)
        assert loaded is not None
        await store.append(appends(room, loaded.seq + 1, *updates))


async def restored(backups: Path, database: Path, until: str = "") -> dict[str, Picture]:
    """Restore a backup, and return what is there then."""
    await restore(open_chain(backups, until), database, 1)
    async with SqliteStore(database, durability="os") as store:
        return await pictures(store)


DAMAGE: Final = 'UPDATE updates SET "update" = ? WHERE seq = ?'


async def test_backup_of_a_damaged_log_ends_before_the_damage_and_says_so(tmp_path: Path) -> None:
    database = await written(tmp_path, rooms=("room", "sound"))
    alter(database, f"{DAMAGE} AND room = 1", b"x", 7)
    for _ in range(2):  # the one that takes everything, and the one that goes on from there
        done = back_up(database, tmp_path / "backups", 1)
        assert list(done.damaged) == ["room"]
        assert "record 7" in done.damaged["room"]
    found = await restored(tmp_path / "backups", tmp_path / "new.db")
    assert [record.seq for record in found["room"].records] == [1, 2, 3, 4, 5, 6]
    assert len(found["sound"].records) == 10


async def test_backup_of_a_damaged_log_goes_on_from_a_snapshot_after_the_damage(tmp_path: Path) -> None:
    database = await written(tmp_path, snapshots=(2, 5, 8))
    alter(database, DAMAGE, b"x", 4)
    done = back_up(database, tmp_path / "backups", 1)
    assert "record 4" in done.damaged["room"]
    assert done.records == 5
    found = (await restored(tmp_path / "backups", tmp_path / "new.db"))["room"]
    assert (found.first, found.row.seq, found.state) == (6, 10, b"1,2,3,4,5,6,7,8,9,10,")


async def test_backup_of_a_damaged_snapshot_takes_the_next(tmp_path: Path) -> None:
    database = await written(tmp_path, snapshots=(2, 5, 8))
    async with SqliteStore(database, durability="os") as store:
        assert await store.retire("room", 3, 100) == 2
    alter(database, "UPDATE snapshots SET state = ? WHERE seq = 2", b"x")
    assert list(back_up(database, tmp_path / "backups", 1).damaged) == ["room"]
    found = (await restored(tmp_path / "backups", tmp_path / "new.db"))["room"]
    assert (found.first, found.row.seq, found.state) == (6, 10, b"1,2,3,4,5,6,7,8,9,10,")


async def test_backup_keeps_what_it_had_of_a_room_that_cannot_be_read(tmp_path: Path) -> None:
    database = await written(tmp_path)
    assert back_up(database, tmp_path / "backups", 1).damaged == {}
    alter(database, "UPDATE rooms SET lineage = ?", "other")
    assert list(back_up(database, tmp_path / "backups", 2).damaged) == ["room"]
    found = (await restored(tmp_path / "backups", tmp_path / "new.db"))["room"]
    assert (found.row.lineage, found.row.seq) == ("lineage of room", 10)


async def test_backup_says_that_a_checkpoint_is_damaged(tmp_path: Path) -> None:
    database = await written(tmp_path)
    async with SqliteStore(database, durability="os") as store:
        for name in ("good", "bad"):
            await store.add_checkpoint("room", Checkpoint(name, 3, "manual", "ana", 1, ""))
    alter(database, "UPDATE checkpoints SET seq = 4 WHERE name = ?", "bad")
    assert "checkpoint" in back_up(database, tmp_path / "backups", 1).damaged["room"]
    found = (await restored(tmp_path / "backups", tmp_path / "new.db"))["room"]
    assert [each.name for each in found.checkpoints] == ["good"]


async def test_backup_leaves_out_rooms_of_a_database_that_was_put_in_place_of_the_other(tmp_path: Path) -> None:
    first = await written(tmp_path / "one", rooms=("a", "b"))
    second = await written(tmp_path / "two", rooms=("b", "c"))
    back_up(first, tmp_path / "backups", 1)
    done = back_up(second, tmp_path / "backups", 2)
    assert done.backup.gone == ("a",)
    assert (await restored(tmp_path / "backups", tmp_path / "new.db")).keys() == {"b", "c"}


async def test_backup_of_unchanged_rooms_holds_nothing(tmp_path: Path) -> None:
    database = await written(tmp_path, rooms=("a", "b"))
    back_up(database, tmp_path / "backups", 1)
    await grown(database, "b", b"more")
    done = back_up(database, tmp_path / "backups", 2)
    assert (list(done.backup.rooms), done.records) == (["b"], 1)
    assert back_up(database, tmp_path / "backups", 3).backup.rooms == {}


async def test_backup_has_a_new_snapshot_once_the_log_has_outgrown_it(tmp_path: Path) -> None:
    database = await written(tmp_path, snapshots=(8, 10))
    back_up(database, tmp_path / "backups", 1)
    await grown(database, "room", b"x" * TAIL_FLOOR, b"y")
    async with SqliteStore(database, durability="os") as store:
        await store.snapshot("room", 12, b"state", 9)
    back_up(database, tmp_path / "backups", 2)
    await restored(tmp_path / "backups", tmp_path / "new.db")
    async with SqliteStore(tmp_path / "new.db", durability="os") as store:
        assert await store.snapshots("room") == [Snapshot(12, 9, 5, True)]


async def test_backup_tells_of_every_record_it_reads(tmp_path: Path) -> None:
    database = await written(tmp_path, rooms=("a", "b"))
    told: list[tuple[int, int]] = []
    back_up(database, tmp_path / "backups", 1, on_progress=lambda *each: told.append(each))
    assert told == [(10, 20), (10, 20)]


async def test_backup_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    database = await written(tmp_path)

    def give_up(_done: int, _of: int) -> None:
        raise StoreError("enough")

    with pytest.raises(StoreError, match="enough"):
        back_up(database, tmp_path / "backups", 1, on_progress=give_up)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["manifest.lock"]


async def test_backup_deletes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    database = await written(tmp_path)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "20200101T000000.000Z.comity.part").write_bytes(b"half")
    back_up(database, tmp_path / "backups", 1)
    assert not list((tmp_path / "backups").glob("*.part"))


async def test_backup_is_taken_by_one_at_a_time(tmp_path: Path) -> None:
    database = await written(tmp_path)
    with locked(tmp_path / "backups"), pytest.raises(StoreInUseError, match="another backup"):
        back_up(database, tmp_path / "backups", 1)


async def test_backup_takes_everything_when_a_file_is_missing(tmp_path: Path) -> None:
    database = await written(tmp_path)
    first = back_up(database, tmp_path / "backups", 1)
    (tmp_path / "backups" / first.backup.file).unlink()
    assert back_up(database, tmp_path / "backups", 2).backup.parent == ""
    with pytest.raises(StoreError, match=first.backup.file):
        open_chain(tmp_path / "backups", first.backup.id)


@pytest.mark.parametrize("what", ["no database", "another program's", "of an older format", "of a newer format"])
async def test_backup_of_what_is_no_database_of_this_version_is_refused(tmp_path: Path, what: str) -> None:
    database = await written(tmp_path)
    with closing(sqlite3.connect(database)) as connection:
        match what:
            case "another program's":
                connection.execute("PRAGMA application_id = 1")
            case "of an older format":
                connection.execute("PRAGMA user_version = 1")
            case "of a newer format":
                connection.execute("PRAGMA user_version = 1000")
            case _:
                database.unlink()
    with pytest.raises(StoreError, match=str(database)):
        back_up(database, tmp_path / "backups", 1)
    assert load(tmp_path / "backups").backups == ()


async def test_restore_leaves_a_database_alone_unless_forced(tmp_path: Path) -> None:
    database = await written(tmp_path)
    back_up(database, tmp_path / "backups", 1)
    await grown(database, "room", b"newer")
    chain = open_chain(tmp_path / "backups")
    with pytest.raises(ExistsError, match="--force"):
        await restore(chain, database, 1)
    done = await restore(chain, database, 1, force=True)
    assert done.aside is not None
    for path, last in ((database, 10), (done.aside, 11)):
        async with SqliteStore(path, durability="os") as store:
            assert [row.seq for row in await store.rooms()] == [last]


async def test_restore_is_refused_while_a_server_has_the_directory(tmp_path: Path) -> None:
    database = await written(tmp_path)
    back_up(database, tmp_path / "backups", 1)
    async with SqliteStore(database, durability="os"):
        with pytest.raises(StoreInUseError):
            await restore(open_chain(tmp_path / "backups"), database, 1, force=True)


async def test_restore_of_some_rooms_leaves_out_the_others(tmp_path: Path) -> None:
    database = await written(tmp_path, rooms=("a", "b", "c"))
    back_up(database, tmp_path / "backups", 1)
    chain = open_chain(tmp_path / "backups")
    with pytest.raises(StoreError, match="nothing of x in backup"):
        await restore(chain, tmp_path / "new.db", 1, rooms=("a", "x"))
    assert (await restore(chain, tmp_path / "new.db", 1, rooms=("c", "a"))).rooms == ("a", "c")


async def test_restore_with_a_new_lineage_gives_each_room_its_own(tmp_path: Path) -> None:
    database = await written(tmp_path, rooms=("a", "b"))
    back_up(database, tmp_path / "backups", 1)
    await grown(database, "a", b"more")
    back_up(database, tmp_path / "backups", 2)
    await restore(open_chain(tmp_path / "backups"), tmp_path / "new.db", 1, anew=True)
    async with SqliteStore(tmp_path / "new.db", durability="os") as store:
        rows = await store.rooms()
    assert [(row.room, row.seq) for row in rows] == [("a", 11), ("b", 10)]
    assert len({row.lineage for row in rows} | {"lineage of a", "lineage of b"}) == 4


async def test_restore_tells_of_every_byte(tmp_path: Path) -> None:
    database = await written(tmp_path)
    size = back_up(database, tmp_path / "backups", 1).backup.size
    told: list[tuple[int, int]] = []
    chain = open_chain(tmp_path / "backups", on_progress=lambda *each: told.append(each))
    await restore(chain, tmp_path / "new.db", 1, on_progress=lambda *each: told.append(each))
    assert told == [(size, size), (size, size)]


async def test_restore_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no backup"):
        open_chain(tmp_path)


async def two_backups(tmp_path: Path) -> Path:
    """Return a directory with a full backup and one that builds on it."""
    database = await written(tmp_path, snapshots=(3,))
    back_up(database, tmp_path / "backups", 1)
    await grown(database, "room", b"more")
    back_up(database, tmp_path / "backups", 2)
    return tmp_path / "backups"


async def test_backup_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    directory = await two_backups(tmp_path)
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(StoreError, match=re.escape(path.name)):
                open_chain(directory)
        path.write_bytes(whole)
    open_chain(directory)


def opened(directory: Path) -> Chain | str:
    """Return the newest backup, or why it is refused."""
    try:
        return open_chain(directory)
    except StoreError as error:
        return str(error)


async def test_backup_with_any_bit_flipped_is_refused(tmp_path: Path) -> None:
    directory = await two_backups(tmp_path)
    before = open_chain(directory)
    for path in sorted(directory.iterdir()):
        whole = path.read_bytes()
        for bit in range(0, len(whole) * 8, examples(13, 1)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            said = opened(directory)
            if isinstance(said, str):
                assert path.name in said
            else:  # a space between two values of the manifest may become another
                assert (path.name, said) == ("manifest.json", before)
        path.write_bytes(whole)


async def test_restore_leaves_out_a_room_that_was_erased_under_a_later_lineage(tmp_path: Path) -> None:
    database = await written(tmp_path)
    backups = tmp_path / "backups"
    first = back_up(database, backups, 1).backup
    async with SqliteStore(database) as store:
        await store.adopt("room", "another")
    second = back_up(database, backups, 2).backup
    async with SqliteStore(database) as store:
        await store.erase("room", b"", 3)
    back_up(database, backups, 3)
    assert "room" in open_chain(backups, first.id).rooms
    done = await restore(open_chain(backups, second.id), tmp_path / "restored" / "comity.db", 1)
    assert "room" not in done.rooms
