"""What every store must do for history: snapshots of the past, checkpoints, notes, erasure."""

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from comity.persistence.errors import SequenceError
from comity.persistence.records import Base, Checkpoint, Erased, Loaded, Record, Snapshot, Tombstone, Version
from comity.persistence.store import Store
from tests.support.stores import appends, fill

LETTERS = b"a", b"b", b"c", b"d", b"e", b"f"


def checkpoint(name: str, seq: int, *, at: int = 1) -> Checkpoint:
    """Return a checkpoint of a kind, with an author and a note."""
    return Checkpoint(name, seq, "manual", "planner", at, "why\n\0not")


class HistoryAcceptance(ABC):
    """Each test makes a store in an empty directory and uses nothing but the protocol."""

    @abstractmethod
    def make(self, directory: Path) -> Store:
        """Return a new store, not yet entered, that keeps what it keeps on disk in ``directory``."""

    async def test_versions_are_records_without_updates(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one", b"three")
            await store.append(appends("room", 3, b"", author="ü", at=9))
            assert await store.versions("room") == [
                Version(1, "planner", 1, 3),
                Version(2, "planner", 1, 5),
                Version(3, "ü", 9, 0),
            ]
            assert await store.versions("room", 1, 1) == [Version(2, "planner", 1, 5)]
            assert await store.versions("nowhere") == []

    async def test_version_at_is_the_newest_that_is_not_younger(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room")
            for seq, at in enumerate((10, 30, 20), 1):
                await store.append(appends("room", seq, b"x", at=at))
            assert [await store.version_at("room", at) for at in (9, 10, 19, 20, 29, 30, 99)] == [0, 1, 1, 3, 3, 3, 3]
            assert await store.version_at("nowhere", 1) == 0

    async def test_base_is_the_newest_snapshot_up_to_an_update(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            assert await store.base("room", 6) == Base(0, None)
            for seq in (2, 4, 6):
                await store.snapshot("room", seq, b"s", 7)
            assert await store.base("room", 1) == Base(0, None)
            assert await store.base("room", 5) == Base(4, b"s")
            assert await store.base("room", 99) == Base(6, b"s")
            assert await store.base("nowhere", 1) == Base(0, None)
            assert await store.snapshots("room") == [Snapshot(seq, 7, 1, True) for seq in (2, 4, 6)]

    async def test_snapshots_of_the_past_are_kept_while_the_log_is_larger(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            for seq, size in ((1, 1), (2, 2), (3, 1), (4, 1), (5, 1), (6, 1)):
                await store.snapshot("room", seq, b"x" * size, 1)
            assert [kept.seq for kept in await store.snapshots("room")] == [1, 3, 4, 5, 6]

    async def test_a_checkpoint_keeps_its_snapshot(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            assert await store.add_checkpoint("room", checkpoint("first", 1))
            for seq in range(1, 7):
                await store.snapshot("room", seq, b"large " * 9, 1)
            assert [kept.seq for kept in await store.snapshots("room")] == [1, 5, 6]
            assert await store.retire("room", 100, 100) == 5
            assert [kept.seq for kept in await store.snapshots("room")] == [1, 5, 6]

    async def test_a_checkpoint_without_a_snapshot_keeps_its_log(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            assert await store.add_checkpoint("room", checkpoint("middle", 4))
            for seq in (3, 5, 6):
                await store.snapshot("room", seq, b"", 1)
            assert await store.retire("room", 100, 100) == 3
            assert await store.base("room", 4) == Base(3, b"")
            assert await store.records("room", 3, 1) == [Record(4, b"d", "planner", 1)]
            assert await store.drop_checkpoint("room", "middle")
            assert await store.retire("room", 100, 100) == 2

    async def test_checkpoints_are_listed_and_have_one_name_each(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            late, early = checkpoint("late", 5), checkpoint("early ü", 2, at=9)
            assert await store.add_checkpoint("room", late)
            assert await store.add_checkpoint("room", early)
            assert not await store.add_checkpoint("room", checkpoint("late", 3))
            assert await store.checkpoints("room") == [early, late]
            assert await store.drop_checkpoint("room", "late")
            assert not await store.drop_checkpoint("room", "late")
            assert await store.checkpoints("room") == [early]
            assert await store.checkpoints("nowhere") == []
            assert not await store.drop_checkpoint("nowhere", "late")

    async def test_a_checkpoint_is_replaced_by_one_of_its_name(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            assert await store.add_checkpoint("room", checkpoint("one", 5))
            other = Checkpoint("one", 2, "milestone", "erased", 7, "")
            assert await store.replace_checkpoint("room", other)
            assert not await store.replace_checkpoint("room", other._replace(name="two"))
            assert await store.checkpoints("room") == [other]
            with pytest.raises(SequenceError):
                await store.replace_checkpoint("room", other._replace(seq=7))

    @pytest.mark.parametrize("seq", [-1, 7])
    async def test_a_checkpoint_outside_the_log_is_refused(self, tmp_path: Path, seq: int) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            with pytest.raises(SequenceError):
                await store.add_checkpoint("room", checkpoint("name", seq))
            with pytest.raises(SequenceError, match="never created"):
                await store.add_checkpoint("nowhere", checkpoint("name", 0))

    async def test_notes_are_kept_per_room_and_key(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "a")
            await fill(store, "b")
            await store.note("a", "ttl", b"1")
            await store.note("a", "ttl", b"2")
            await store.note("b", "ttl", b"\0")
            await store.note("b", "other", b"")
            assert await store.attributes("a") == {"ttl": b"2"}
            assert await store.attributes("nowhere") == {}
            assert await store.attributed("ttl") == {"a": b"2", "b": b"\0"}
            await store.note("b", "ttl", None)
            assert await store.attributed("ttl") == {"a": b"2"}
            assert await store.attributes("b") == {"other": b""}
            with pytest.raises(SequenceError, match="never created"):
                await store.note("nowhere", "ttl", b"1")

    async def test_begin_gives_a_room_a_past_elsewhere(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await store.begin("room", "lineage", 1, Base(40, b"state"))
            assert await store.load("room") == Loaded("lineage", b"state", 40, (), 40, 0)
            await store.append(appends("room", 41, b"x"))
            assert await store.records("room") == [Record(41, b"x", "planner", 1)]
            with pytest.raises(SequenceError):
                await store.begin("room", "other", 1, Base(0, None))
            assert await store.load("room") == Loaded("lineage", b"state", 40, (b"x",), 41, 1)

    async def test_adopt_changes_the_lineage_alone(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one")
            await store.adopt("room", "another")
            assert await store.load("room") == Loaded("another", None, 0, (b"one",), 1, 3)
            await store.adopt("nowhere", "another")
            assert await store.load("nowhere") is None

    async def test_replace_changes_updates_under_their_numbers(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            await store.replace("room", [Record(2, b"B", "somebody", 5), Record(6, b"F" * 9999, "", 6)])
            records = await store.records("room")
            assert (records[1], records[5]) == (Record(2, b"B", "somebody", 5), Record(6, b"F" * 9999, "", 6))
            assert [row.updated for row in await store.rooms()] == [6]
            for wrong in (0, 7):
                with pytest.raises(SequenceError):
                    await store.replace("room", [Record(1, b"A", "", 1), Record(wrong, b"", "", 1)])
            assert await store.records("room") == records
            with pytest.raises(SequenceError, match="never created"):
                await store.replace("nowhere", [Record(1, b"", "", 1)])

    async def test_cut_ends_a_room_earlier(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            for seq in (2, 5):
                await store.snapshot("room", seq, b"s%d" % seq, 1)
                await store.add_checkpoint("room", checkpoint(f"at {seq}", seq))
            assert await store.cut("room", 3) == 3
            assert await store.load("room") == Loaded("lineage of room", b"s2", 2, (b"c",), 3, 1)
            assert [each.name for each in await store.checkpoints("room")] == ["at 2"]
            await store.append(appends("room", 4, b"new"))
            assert await store.records("room", 3) == [Record(4, b"new", "planner", 1)]
            assert await store.cut("nowhere", 0) == 0

    async def test_erase_leaves_a_tombstone_and_nothing_else(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *LETTERS)
            await fill(store, "other", b"x")
            await store.snapshot("room", 6, b"abcdef", 1)
            await store.add_checkpoint("room", checkpoint("name", 3))
            await store.note("room", "ttl", b"1")
            assert await store.erase("room", b"clocks", 8) == Erased(6, 1, 1, 12)
            assert await store.erase("room", b"clocks", 9) is None
            assert await store.load("room") is None
            assert [row.room for row in await store.rooms()] == ["other"]
            stone = Tombstone("room", "lineage of room", 8, b"clocks")
            assert await store.tombstones() == await store.tombstones("room") == [stone]
            assert await store.tombstones("other") == []
            assert (await store.checkpoints("room"), await store.attributed("ttl")) == ([], {})
            await store.create("room", "a new one", 9)
            assert await store.load("room") == Loaded("a new one", None, 0, (), 0, 0)
            assert await store.attributes("room") == {}
            await store.append(appends("room", 1, b"new"))

    async def test_bury_is_as_good_once_as_twice(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            stone = Tombstone("room", "lineage", 1, b"clocks")
            await store.bury(stone)
            await store.bury(stone._replace(at=2))
            assert await store.tombstones() == [stone]

    async def test_recover_of_a_store_that_works_is_nothing(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one")
            assert await store.recover() is False
            await store.append(appends("room", 2, b"two"))
            assert [record.seq for record in await store.records("room")] == [1, 2]
