"""What every store must do.

Subclass ``StoreAcceptance`` and ``HistoryAcceptance`` under a name that begins with ``Test`` to check a store of your
own with pytest.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from comity.persistence.errors import SequenceError, StoreError, StoreInUseError
from comity.persistence.records import Append, Loaded, Record
from comity.persistence.store import Store


def appends(room: str, first: int, *updates: bytes, author: str = "planner", at: int = 1) -> list[Append]:
    """Return updates of one room, numbered from ``first``."""
    return [Append(room, seq, update, author, at) for seq, update in enumerate(updates, first)]


async def fill(store: Store, room: str, *updates: bytes) -> None:
    """Create a room with these updates."""
    await store.create(room, f"lineage of {room}", 1)
    await store.append(appends(room, 1, *updates))


async def tail(store: Store, room: str) -> tuple[bytes, ...]:
    """Return the updates after a room's snapshot."""
    loaded = await store.load(room)
    assert loaded is not None
    return loaded.tail


class StoreAcceptance(ABC):
    """Each test makes a store in an empty directory and uses nothing but the protocol."""

    @abstractmethod
    def make(self, directory: Path) -> Store:
        """Return a new store, not yet entered, that keeps what it keeps on disk in ``directory``."""

    async def test_load_of_a_room_never_created_is_none(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            assert await store.load("nowhere") is None
            assert await store.records("nowhere") == []
            assert await store.retire("nowhere", 10, 10) == 0

    async def test_create_keeps_the_first_lineage(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await store.create("room", "first", 1)
            await store.create("room", "first", 2)
            await store.create("room", "second", 3)
            assert await store.load("room") == Loaded("first", None, 0, (), 0, 0)
            assert [row.created for row in await store.rooms()] == [1]

    async def test_append_is_read_back_in_order(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one", b"two")
            await store.append(appends("room", 3, b"three"))
            expected = Loaded("lineage of room", None, 0, (b"one", b"two", b"three"), 3, 11)
            assert await store.load("room") == expected

    async def test_append_takes_several_rooms_at_once(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "a")
            await fill(store, "b")
            batch = zip(appends("a", 1, b"a1", b"a2"), appends("b", 1, b"b1", b"b2"), strict=True)
            await store.append([entry for pair in batch for entry in pair])
            assert await tail(store, "a") == (b"a1", b"a2")
            assert await tail(store, "b") == (b"b1", b"b2")

    async def test_append_of_nothing_is_nothing(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await store.append([])
            assert await store.rooms() == []

    @pytest.mark.parametrize("wrong", [-1, 0, 1, 2, 4, 2**40])
    async def test_append_out_of_sequence_is_refused(self, tmp_path: Path, wrong: int) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one", b"two")
            with pytest.raises(SequenceError, match="room"):
                await store.append(appends("room", wrong, b"wrong"))
            assert await tail(store, "room") == (b"one", b"two")

    async def test_append_is_all_or_nothing(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "a", b"a1")
            await fill(store, "b", b"b1")
            with pytest.raises(SequenceError):
                await store.append([*appends("a", 2, b"a2"), *appends("b", 3, b"b3")])
            with pytest.raises(SequenceError, match="never created"):
                await store.append([*appends("a", 2, b"a2"), *appends("c", 1, b"c1")])
            assert await tail(store, "a") == (b"a1",)
            await store.append([*appends("a", 2, b"a2"), *appends("b", 2, b"b2")])
            assert await tail(store, "a") == (b"a1", b"a2")
            assert await tail(store, "b") == (b"b1", b"b2")

    @pytest.mark.parametrize("room", ["", "shared/a b", "Ünïcode/房间/🙂", "nul\0nul", "'; --", "A", "a" * 1000])
    async def test_rooms_have_any_name(self, tmp_path: Path, room: str) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, room, b"one")
            await fill(store, f"{room}a", b"other")
            assert await tail(store, room) == (b"one",)

    async def test_records_are_what_was_appended(self, tmp_path: Path) -> None:
        written = [
            Append("room", 1, b"", "", 0),
            Append("room", 2, bytes(range(256)), "Zoë, 🙂", 2**53),
            Append("room", 3, b"x" * 1_000_000, "nul\0", 5),
        ]
        async with self.make(tmp_path) as store:
            await fill(store, "room")
            await store.append(written)
            assert await store.records("room") == [Record(*entry[1:]) for entry in written]

    async def test_records_are_read_in_pages(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", *(b"%d" % n for n in range(1, 8)))
            assert [record.seq for record in await store.records("room", after=2, limit=3)] == [3, 4, 5]
            assert [record.seq for record in await store.records("room", after=5, limit=3)] == [6, 7]
            assert await store.records("room", after=7) == []
            assert await store.records("room", limit=0) == []

    async def test_snapshot_takes_the_place_of_what_it_folds(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one", b"two", b"three")
            await store.snapshot("room", 2, b"onetwo", 1)
            expected = Loaded("lineage of room", b"onetwo", 2, (b"three",), 3, 5)
            assert await store.load("room") == expected
            await store.snapshot("room", 3, b"onetwothree", 1)
            expected = Loaded("lineage of room", b"onetwothree", 3, (), 3, 0)
            assert await store.load("room") == expected
            assert len(await store.records("room")) == 3

    @pytest.mark.parametrize("seq", [-1, 2, 2**40])
    async def test_snapshot_outside_the_log_is_refused(self, tmp_path: Path, seq: int) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one")
            with pytest.raises(SequenceError):
                await store.snapshot("room", seq, b"state", 1)
            with pytest.raises(SequenceError, match="never created"):
                await store.snapshot("nowhere", 1, b"state", 1)
            assert await tail(store, "room") == (b"one",)

    async def test_snapshot_can_be_written_again(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one")
            await store.snapshot("room", 1, b"first", 1)
            await store.snapshot("room", 1, b"second", 1)
            assert await store.load("room") == Loaded("lineage of room", b"second", 1, (), 1, 0)

    async def test_the_two_newest_snapshots_are_kept(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"1", b"2", b"3", b"4")
            for seq in (1, 2, 3, 4):
                await store.snapshot("room", seq, b"x" * 10**seq, 1)
            assert await store.load("room") == Loaded("lineage of room", b"x" * 10**4, 4, (), 4, 0)
            assert [kept.seq for kept in await store.snapshots("room")] == [3, 4]
            assert await store.retire("room", 100, 100) == 3  # what the older of the two has folded

    async def test_retire_waits_for_a_second_snapshot(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"1", b"2", b"3")
            assert await store.retire("room", 100, 100) == 0
            await store.snapshot("room", 2, b"12", 1)
            assert await store.retire("room", 100, 100) == 0
            await store.snapshot("room", 3, b"123", 1)
            assert await store.retire("room", 100, 100) == 2
            assert await store.records("room") == [Record(3, b"3", "planner", 1)]
            assert await store.retire("room", 100, 100) == 0

    async def test_retire_goes_up_to_a_snapshot_and_keeps_what_is_wanted(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room")
            for seq, at in enumerate((10, 20, 15, 30, 5, 50), 1):
                await store.append(appends("room", seq, b"x", at=at))
            for seq in (1, 3, 5, 6):
                await store.snapshot("room", seq, b"", 1)
            assert await store.retire("room", 100, 10) == 0
            assert await store.retire("room", 1, 100) == 0
            assert await store.retire("room", 2, 100) == 1
            assert await store.retire("room", 100, 20) == 0
            assert await store.retire("room", 100, 21) == 2  # the fourth is younger
            assert [record.seq for record in await store.records("room")] == [4, 5, 6]
            assert [kept.seq for kept in await store.snapshots("room")] == [3, 5, 6]

    async def test_retire_leaves_a_room_that_loads_and_grows(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"1", b"2", b"3", b"4")
            await fill(store, "other", b"1", b"2")
            await store.snapshot("room", 3, b"123", 1)
            await store.snapshot("room", 4, b"1234", 1)
            assert await store.retire("room", 100, 100) == 3
            await store.append(appends("room", 5, b"5"))
            assert await store.load("room") == Loaded("lineage of room", b"1234", 4, (b"5",), 5, 1)
            assert await tail(store, "other") == (b"1", b"2")

    async def test_rooms_are_listed_by_name(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "b", b"one", b"three")
            await fill(store, "a")
            await store.append(appends("b", 3, b"five", at=7))
            await store.snapshot("b", 1, b"state", 1)
            assert await store.rooms() == [
                ("a", "lineage of a", 1, 0, None),
                ("b", "lineage of b", 1, 3, 7),
            ]

    async def test_contents_outlive_leaving(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        async with store:
            await fill(store, "room", b"one", b"two")
            await store.snapshot("room", 1, b"one", 1)
            before = await store.load("room"), await store.records("room"), await store.rooms()
        async with store:
            assert (await store.load("room"), await store.records("room"), await store.rooms()) == before
            await store.append(appends("room", 3, b"three"))

    async def test_store_is_used_only_while_open(self, tmp_path: Path) -> None:
        store = self.make(tmp_path)
        with pytest.raises(StoreError, match="not open"):
            await store.load("room")
        async with store:
            await store.create("room", "lineage", 1)
        with pytest.raises(StoreError, match="not open"):
            await store.append(appends("room", 1, b"one"))

    async def test_store_is_entered_once_at_a_time(self, tmp_path: Path) -> None:
        async with self.make(tmp_path) as store:
            await fill(store, "room", b"one")
            with pytest.raises(StoreInUseError):
                await store.__aenter__()
            assert await tail(store, "room") == (b"one",)
