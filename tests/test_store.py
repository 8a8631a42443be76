"""Every store passes one acceptance suite."""

from pathlib import Path

import pytest

from comity.persistence.compaction import TAIL_FLOOR, due
from comity.persistence.errors import CorruptRecordError, StoreError
from comity.persistence.memory import MemoryStore
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store
from tests.support.store_history import HistoryAcceptance
from tests.support.stores import StoreAcceptance


class TestMemoryStore(StoreAcceptance, HistoryAcceptance):
    def make(self, directory: Path) -> Store:
        return MemoryStore()


class TestSqliteStore(StoreAcceptance, HistoryAcceptance):
    def make(self, directory: Path) -> Store:
        return SqliteStore(directory / "comity.db")


class TestSqliteStoreWithoutFsync(StoreAcceptance, HistoryAcceptance):
    def make(self, directory: Path) -> Store:
        return SqliteStore(directory / "comity.db", durability="os")


def test_store_error_says_what_to_what_and_what_to_do() -> None:
    error = StoreError("it is full", subject="/data", remedy="free space")
    assert (error.what, error.subject, error.remedy) == ("it is full", "/data", "free space")
    assert str(error) == "/data: it is full; free space"
    assert str(StoreError("it is full")) == "it is full"


def test_corrupt_record_error_names_room_and_record() -> None:
    error = CorruptRecordError("the record is missing", room="shared/a", seq=7)
    assert (error.room, error.seq) == ("shared/a", 7)
    assert str(error).startswith("room 'shared/a', record 7: the record is missing; ")


@pytest.mark.parametrize(
    ("tail", "snapshot", "is_due"),
    [
        (0, 0, False),
        (TAIL_FLOOR - 1, 0, False),
        (TAIL_FLOOR, 0, True),
        (TAIL_FLOOR, TAIL_FLOOR + 1, False),
        (10**9, 10**9, True),
        (10**9 - 1, 10**9, False),
    ],
)
def test_snapshot_is_due_when_the_tail_is_as_large(tail: int, snapshot: int, is_due: bool) -> None:
    assert due(tail, snapshot) is is_due


def test_snapshots_at_most_double_what_is_written() -> None:
    appended = written = snapshot = tail = 0
    for _ in range(20_000):
        appended, tail = appended + 1000, tail + 1000
        if due(tail, snapshot):
            snapshot, tail = appended, 0
            written += snapshot
    assert written <= 2 * appended
