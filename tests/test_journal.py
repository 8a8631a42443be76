"""The journal reports in order, after the commit, and nothing that the store failed to take."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.persistence import journal as journal_module
from comity.persistence import pace
from comity.persistence.errors import SequenceError, StoreError, StoreFullError, StoreUnwritableError
from comity.persistence.journal import ENTRY_BYTES, Journal
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store
from tests.support.gated import FaultyStore
from tests.support.stores import fill, tail
from tests.support.waiting import eventually

# Far above what any step takes; a test that waits so long has failed.
PATIENCE = 10


class GatedStore(MemoryStore):
    """A memory store whose commits wait at a gate, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()

    async def append(self, batch: Sequence[Append]) -> None:
        self.arrived.set()
        await asyncio.wait_for(self.gate.wait(), PATIENCE)
        await super().append(batch)
        self.commits.append(len(batch))


class Watch:
    """What the owner of a journal is told."""

    def __init__(self) -> None:
        self.faults: list[tuple[StoreError, dict[str, int]]] = []
        self.recoveries: list[bool] = []

    def journal(self, store: Store) -> Journal:
        """Return a journal that tells this."""
        return Journal(
            store,
            on_fault=lambda error, ends: self.faults.append((error, ends)),
            on_recovery=self.recoveries.append,
        )


def entry(seq: int, update: bytes = b"x") -> Append:
    return Append("room", seq, update, "planner", 1)


def nothing() -> None:
    """Be told, and do nothing."""


async def fill_open(store: GatedStore) -> None:
    store.gate.set()
    await fill(store, "room")
    store.commits.clear()
    store.arrived.clear()
    store.gate.clear()


@asynccontextmanager
async def gated() -> AsyncGenerator[GatedStore]:
    """Hold a gated store with an empty room."""
    async with GatedStore() as store:
        await fill_open(store)
        yield store


def set_all(events: list[asyncio.Event]) -> None:
    for event in events:
        event.set()


async def test_journal_stores_and_then_reports(tmp_path: Path) -> None:
    reported: list[int] = []
    async with SqliteStore(tmp_path / "comity.db") as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            for seq in range(1, 101):
                journal.append(entry(seq, b"%d" % seq), partial(reported.append, seq))
            assert reported == []
            await journal.flush()
            assert reported == list(range(1, 101))
            assert await tail(store, "room") == tuple(b"%d" % seq for seq in range(1, 101))


async def test_journal_commits_what_arrives_meanwhile_at_once() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store) as journal:
            journal.append(entry(1), nothing)
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            for seq in range(2, 102):
                journal.append(entry(seq), nothing)
                await asyncio.sleep(0)
            store.gate.set()
            await journal.flush()
            assert store.commits == [1, 100]


async def test_journal_commits_one_turn_at_once() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        store.gate.set()
        async with Journal(store) as journal:
            for seq in range(1, 11):
                journal.append(entry(seq), nothing)
            await journal.flush()
        assert store.commits == [10]


async def test_journal_tells_of_each_commit_and_of_what_waits_for_one() -> None:
    told: list[tuple[int, float]] = []
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store, on_commit=lambda updates, seconds: told.append((updates, seconds))) as journal:
            journal.append(entry(1, b"x" * 10), nothing)
            journal.append(entry(2, b"x" * 20), nothing)
            assert journal.pending_bytes == 30 + 2 * ENTRY_BYTES
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            journal.append(entry(3), nothing)
            assert told == []
            store.gate.set()
            await journal.flush()
            await journal.flush()  # with nothing to commit
            assert journal.pending_bytes == 0
    assert [updates for updates, _ in told] == [2, 1]
    assert all(seconds > 0 for _, seconds in told)


async def test_journal_counts_small_updates_that_are_expected_by_what_they_take_in_memory() -> None:
    async with MemoryStore() as store, Journal(store) as journal:
        journal.soon(nothing)
        for _ in range(3):
            journal.expect(10)
        assert journal.pending_bytes == 30 + 3 * ENTRY_BYTES
        await journal.flush()
        assert journal.pending_bytes == 0


async def test_barrier_is_passed_at_once_when_nothing_is_pending() -> None:
    passed: list[str] = []
    async with MemoryStore() as store, Journal(store) as journal:
        await fill(store, "room")
        journal.barrier(partial(passed.append, "empty"))
        assert passed == ["empty"]
        journal.append(entry(1), nothing)
        await journal.flush()
        journal.barrier(partial(passed.append, "flushed"))
        assert passed == ["empty", "flushed"]


async def test_barrier_waits_for_all_before_it() -> None:
    passed: list[str] = []
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store) as journal:
            journal.append(entry(1), partial(passed.append, "one"))
            journal.barrier(partial(passed.append, "after one"))
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            journal.barrier(partial(passed.append, "in flight"))
            journal.append(entry(2), partial(passed.append, "two"))
            journal.barrier(partial(passed.append, "after two"))
            assert passed == []
            store.gate.set()
            await journal.flush()
        assert passed == ["one", "after one", "in flight", "two", "after two"]


async def test_barrier_from_a_callback_keeps_its_place() -> None:
    passed: list[str] = []
    async with MemoryStore() as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            journal.append(entry(1), lambda: journal.barrier(partial(passed.append, "barrier")))
            journal.append(entry(2), partial(passed.append, "two"))
        assert passed == ["two", "barrier"]


async def test_leaving_commits_everything_also_what_callbacks_append(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db") as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            journal.append(entry(1, b"1"), lambda: journal.append(entry(2, b"2"), nothing))
        assert await tail(store, "room") == (b"1", b"2")


async def test_leaving_with_an_error_commits_everything_too(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path / "comity.db") as store:
        await fill(store, "room")

        async def fail() -> None:
            async with Journal(store) as journal:
                journal.append(entry(1, b"1"), nothing)
                raise KeyError("the server's")

        with pytest.raises(KeyError, match="the server's"):
            await fail()
        assert await tail(store, "room") == (b"1",)


async def append_past_a_failure(journal: Journal, store: FaultyStore, error: Exception, reported: list[int]) -> None:
    """Append two updates that are stored and others that are not, in every way that there is."""
    for seq in (1, 2):
        journal.append(entry(seq), partial(reported.append, seq))
        await journal.flush()
    store.error = error
    for seq in (3, 4):
        journal.append(entry(seq), partial(reported.append, seq))
    journal.barrier(partial(reported.append, -1))
    with pytest.raises(StoreError):
        await journal.flush()
    assert journal.full
    with pytest.raises(StoreError):
        await journal.ready()
    with pytest.raises(StoreError):
        journal.append(entry(5), partial(reported.append, 5))


async def test_nothing_is_reported_after_a_failure_that_is_not_the_store_s() -> None:
    reported: list[int] = []
    error = RuntimeError("out of order")
    async with FaultyStore() as store:
        await fill(store, "room")
        journal = Journal(store)

        async def use() -> None:
            async with journal:
                await append_past_a_failure(journal, store, error, reported)
                journal.barrier(partial(reported.append, -2))
                with pytest.raises(StoreError):
                    await journal.flush()

        with pytest.raises(StoreError) as raised:
            await use()
        assert reported == [1, 2]
        assert raised.value is journal.failed is await journal.wait_stopped()
        assert raised.value.__cause__ is error
        assert await tail(store, "room") == (b"x", b"x")


async def test_a_fault_drops_what_waits_until_the_store_recovers() -> None:
    reported: list[int] = []
    error = StoreFullError("disk full")
    watch = Watch()
    async with FaultyStore() as store:
        await fill(store, "room")
        async with watch.journal(store) as journal:
            await append_past_a_failure(journal, store, error, reported)
            assert (journal.failed, journal.faults, watch.faults) == (error, 1, [(error, {"room": 2})])
            journal.barrier(partial(reported.append, -2))  # of what can be read everything is committed
            store.error = None
            await eventually(lambda: journal.failed is None)
            assert (watch.recoveries, journal.epoch, journal.pending_bytes) == ([False], 2, 0)
            journal.append(entry(3), partial(reported.append, 3))
            await journal.ready()
            await journal.flush()
        assert reported == [1, 2, -2, 3]
        assert await tail(store, "room") == (b"x",) * 3


async def test_a_fault_is_told_before_anybody_learns_of_it() -> None:
    told: list[str] = []
    async with FaultyStore() as store:
        await fill(store, "room")
        async with Journal(store, on_fault=lambda _error, _ends: told.append("owner")) as journal:

            async def wait(work: Awaitable[None]) -> None:
                with pytest.raises(StoreFullError):
                    await work
                told.append("waiting")

            store.error = StoreFullError("disk full")
            journal.append(entry(1), nothing)
            await wait(journal.flush())
    assert told == ["owner", "waiting"]


async def test_a_fault_that_is_over_at_once_reaches_those_who_wait() -> None:
    async with FaultyStore() as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            store.fail(StoreFullError("disk full"), once=True)
            journal.append(entry(1), nothing)
            with pytest.raises(StoreFullError):
                await asyncio.wait_for(journal.flush(), PATIENCE)
            await eventually(lambda: journal.failed is None)
            await asyncio.wait_for(journal.ready(), PATIENCE)
            journal.append(entry(1), nothing)
        assert await tail(store, "room") == (b"x",)


async def test_a_fault_takes_what_came_during_the_commit_with_it() -> None:
    reported: list[int] = []
    watch = Watch()
    async with GatedStore() as store:
        await fill_open(store)
        async with watch.journal(store) as journal:
            journal.append(entry(7), partial(reported.append, 7))
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            journal.append(Append("other", 1, b"x", "planner", 1), partial(reported.append, 1))
            journal.barrier(partial(reported.append, -1))
            journal.soon(partial(reported.append, 0))  # a turn is taken whatever happens: it has something to clear up
            store.gate.set()
            await eventually(lambda: watch.recoveries)
        assert reported == [0]
        assert [ends for _, ends in watch.faults] == [{"room": 6, "other": 0}]


async def test_a_fault_is_tried_again_and_again_and_tells_the_last_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "FIRST_PROBE", 0.001)
    monkeypatch.setattr(journal_module, "LONGEST_PROBE", 0.002)
    async with FaultyStore() as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            store.error = StoreFullError("disk full")
            journal.append(entry(1), nothing)
            await eventually(lambda: store.probes >= 3)
            store.error = StoreUnwritableError("gone")
            await eventually(lambda: journal.failed is store.error)
            assert journal.faults == 1
            store.error = None
            await eventually(lambda: journal.failed is None)


async def test_a_fault_of_another_write_is_one_of_the_journal_if_it_has_nothing_to_commit() -> None:
    doubt = StoreFullError("disk full")
    watch = Watch()
    async with FaultyStore() as store:
        await fill(store, "room")
        async with watch.journal(store) as journal:
            journal.append(entry(1), nothing)
            journal.doubt(doubt)  # which the commit refutes
            await journal.flush()
            assert journal.failed is None
            journal.doubt(doubt)
            await eventually(lambda: watch.faults == [(doubt, {})])
            await eventually(lambda: watch.recoveries == [False])


async def test_leaving_during_a_fault_waits_for_nothing() -> None:
    async with FaultyStore() as store:
        await fill(store, "room")
        async with asyncio.timeout(PATIENCE), Journal(store) as journal:
            store.error = StoreFullError("disk full")
            journal.append(entry(1), nothing)
            await eventually(lambda: journal.failed)


async def test_leaving_that_cannot_commit_raises_why() -> None:
    async with FaultyStore() as store:
        await fill(store, "room")

        async def leave() -> None:
            async with Journal(store) as journal:
                journal.append(entry(1), nothing)
                store.error = StoreFullError("disk full")

        with pytest.raises(StoreFullError):
            await asyncio.wait_for(leave(), PATIENCE)


async def test_a_failure_reaches_those_who_wait() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store, max_pending_bytes=0) as journal:
            journal.append(entry(7), nothing)
            waiting = [asyncio.create_task(wait) for wait in (journal.flush(), journal.ready())]
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            assert not any(task.done() for task in waiting)
            store.gate.set()
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [SequenceError] * 2


async def test_ready_holds_back_until_there_is_room() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store, max_pending_bytes=2 * (ENTRY_BYTES + 10)) as journal:
            await journal.ready()
            for seq in (1, 2):
                journal.append(entry(seq, b"x" * 10), nothing)
                assert not journal.full
                await journal.ready()
            journal.append(entry(3, b"x"), nothing)
            assert journal.full
            waiting = asyncio.create_task(journal.ready())
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            assert not waiting.done()
            store.gate.set()
            await asyncio.wait_for(waiting, PATIENCE)
            assert not journal.full


async def test_what_arrives_during_a_commit_is_pending_after_it() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        committed = asyncio.Event()

        def close_again() -> None:
            store.gate.clear()
            store.arrived.clear()
            committed.set()

        async with Journal(store, max_pending_bytes=ENTRY_BYTES) as journal:
            journal.append(entry(1), close_again)
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            journal.append(entry(2), nothing)
            store.gate.set()
            await asyncio.wait_for(committed.wait(), PATIENCE)
            assert store.commits == [1]
            await asyncio.wait_for(store.arrived.wait(), PATIENCE)
            assert journal.full
            store.gate.set()
            await asyncio.wait_for(journal.ready(), PATIENCE)
            assert store.commits == [1, 1]


async def test_a_cancelled_wait_leaves_the_journal_running() -> None:
    async with GatedStore() as store:
        await fill_open(store)
        async with Journal(store) as journal:
            journal.append(entry(1), nothing)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(journal.flush(), 0.01)
            store.gate.set()
            await asyncio.wait_for(journal.flush(), PATIENCE)
        assert store.commits == [1]


async def test_leaving_that_is_cancelled_reports_nothing_more() -> None:
    reported: list[int] = []
    async with GatedStore() as store:
        await fill_open(store)
        journal = Journal(store)

        async def leave() -> None:
            async with journal:
                journal.append(entry(1), partial(reported.append, 1))

        leaving = asyncio.create_task(leave())
        await asyncio.wait_for(store.arrived.wait(), PATIENCE)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert reported == []
        assert isinstance(await journal.wait_stopped(), StoreError)


async def test_a_callback_that_fails_takes_nothing_from_the_others() -> None:
    reported: list[int] = []
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with MemoryStore() as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            journal.append(entry(1), lambda: reported.remove(99))
            journal.append(entry(2), partial(reported.append, 2))
            await journal.flush()
            assert journal.failed is None
    assert reported == [2]
    assert [type(context["exception"]) for context in complaints] == [ValueError]


async def test_a_callback_that_fails_like_an_engine_leaves_nobody_waiting() -> None:
    class Panic(BaseException):
        """What no handler of exceptions catches."""

    def fail() -> None:
        raise Panic

    async def use(journal: Journal) -> None:
        async with journal:
            journal.append(entry(1), fail)
            await asyncio.wait_for(journal.wait_stopped(), PATIENCE)

    async with MemoryStore() as store:
        await fill(store, "room")
        journal = Journal(store)
        with pytest.raises(Panic):
            await use(journal)
        assert journal.failed is not None


async def test_journal_is_used_only_while_open() -> None:
    async with MemoryStore() as store:
        await fill(store, "room")
        journal = Journal(store)
        with pytest.raises(StoreError, match="not open"):
            journal.append(entry(1), nothing)
        with pytest.raises(StoreError, match="not open"):
            journal.barrier(nothing)
        async with journal:
            journal.append(entry(1), nothing)
        with pytest.raises(StoreError, match="not open"):
            journal.append(entry(2), nothing)
        assert await tail(store, "room") == (b"x",)


@given(steps=st.lists(st.sampled_from(["append", "barrier", "turn", "flush", "ready"]), max_size=40))
async def test_everything_is_reported_once_in_order_after_its_commit(steps: list[str]) -> None:
    stored: list[bool] = []
    reported: list[int] = []
    async with MemoryStore() as store:
        await fill(store, "room")

        async def look(seq: int) -> None:
            stored.append(len(await tail(store, "room")) >= seq)

        def look_at_once(seq: int) -> None:
            checks.append(asyncio.create_task(look(seq)))

        checks: list[asyncio.Task[None]] = []
        async with Journal(store, max_pending_bytes=3 * ENTRY_BYTES) as journal:
            seq = 0
            for step in steps:
                if step == "append":
                    seq += 1
                    journal.append(entry(seq), partial(reported.append, seq))
                elif step == "barrier":
                    journal.barrier(partial(look_at_once, seq))
                elif step == "turn":
                    await asyncio.sleep(0)
                else:
                    await (journal.flush() if step == "flush" else journal.ready())
        await asyncio.gather(*checks)
    assert reported == list(range(1, seq + 1))
    assert all(stored)


class Room:
    """What appends in turns of its own, as rooms do."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._coming: list[asyncio.Event] = []
        self._seq = 0
        self.turns = 0

    async def edit(self) -> None:
        """Bring an update, and wait until it is committed."""
        durable = asyncio.Event()
        self._coming.append(durable)
        self._journal.expect(1)
        if len(self._coming) == 1:
            self._journal.soon(self._take_turn)
        await durable.wait()

    def _take_turn(self) -> None:
        coming, self._coming = self._coming, []
        self._seq += 1
        self.turns += 1
        self._journal.append(entry(self._seq, b"x" * len(coming)), partial(set_all, coming))


async def test_journal_takes_turns_only_when_it_commits() -> None:
    async with gated() as store:
        async with Journal(store) as journal, asyncio.TaskGroup() as tasks:
            room = Room(journal)
            tasks.create_task(room.edit())
            await store.arrived.wait()
            for _ in range(5):
                tasks.create_task(room.edit())
            await asyncio.sleep(0)
            assert room.turns == 1  # what comes while a commit runs is for the next, as one
            store.gate.set()
        assert await tail(store, "room") == (b"x", b"xxxxx")


@pytest.mark.parametrize("clients", [1, 3, 20])
async def test_journal_gathers_no_longer_than_until_all_have_come_who_wait(
    clients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "INTERVAL", 1000.0)
    monkeypatch.setattr(pace, "MAX_INTERVAL", 1000.0)
    async with gated() as store:
        async with asyncio.timeout(PATIENCE), Journal(store) as journal:
            room = Room(journal)

            async def work() -> None:
                for _ in range(30):
                    await room.edit()

            async with asyncio.TaskGroup() as tasks:
                for _ in range(clients):
                    tasks.create_task(work())
                await store.arrived.wait()
                store.gate.set()
        assert sum(map(len, await tail(store, "room"))) == 30 * clients


async def test_journal_gathers_while_fewer_come_than_lately_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "INTERVAL", 1000.0)
    monkeypatch.setattr(pace, "MAX_INTERVAL", 1000.0)
    async with gated() as store:
        async with Journal(store) as journal, asyncio.TaskGroup() as tasks:
            room = Room(journal)
            for _ in range(5):
                tasks.create_task(room.edit())
            await store.arrived.wait()
            tasks.create_task(room.edit())  # while the commit runs
            await asyncio.sleep(0)
            store.gate.set()
            await eventually(lambda: len(store.commits) == 1)
            for _ in range(4):
                assert room.turns == 1
                tasks.create_task(room.edit())
                await asyncio.sleep(0)
            await eventually(lambda: len(store.commits) == 2)
        assert await tail(store, "room") == (b"x" * 5, b"x" * 5)


async def test_journal_counts_what_turns_will_append_as_pending() -> None:
    async with gated() as store, Journal(store, max_pending_bytes=1000) as journal, asyncio.TaskGroup() as tasks:
        room = Room(journal)
        tasks.create_task(room.edit())
        await store.arrived.wait()
        while not journal.full:
            tasks.create_task(room.edit())
            await asyncio.sleep(0)
        assert room.turns == 1
        store.gate.set()
        await asyncio.wait_for(journal.ready(), PATIENCE)


async def test_journal_that_failed_still_takes_turns() -> None:
    async with FaultyStore() as store:
        await fill(store, "room")
        async with Journal(store) as journal:
            taken = asyncio.Event()
            store.error = StoreFullError("no space", subject="disk")
            journal.soon(lambda: journal.append(entry(1), nothing))
            await eventually(lambda: journal.failed)
            journal.soon(taken.set)  # or rooms would wait for their turn for good
            await asyncio.wait_for(taken.wait(), PATIENCE)


class Writer:
    """What appends to a room, and looks at the store where it was dropped."""

    def __init__(self, store: FaultyStore) -> None:
        self._store = store
        self.seq = 0
        self.reported: list[int] = []
        self.journal = Journal(store, on_fault=self._forget, on_recovery=self._look)

    def append(self) -> None:
        if self.journal.failed is None:
            self.seq += 1
            self.journal.append(entry(self.seq, b"%d" % self.seq), partial(self.reported.append, self.seq))

    def _forget(self, _error: StoreError, _ends: dict[str, int]) -> None:
        self.seq = self._store.last("room")

    def _look(self, is_other: bool) -> None:
        assert not is_other
        self.seq = self._store.last("room")


@given(
    steps=st.lists(st.sampled_from(["append", "barrier", "turn", "fault", "late fault", "blink", "mend"]), max_size=40)
)
async def test_everything_reported_is_stored_whatever_fails(steps: list[str]) -> None:
    async with FaultyStore() as store:
        await fill(store, "room")
        writer = Writer(store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal_module, "FIRST_PROBE", 0)
            async with writer.journal as journal:
                for step in steps:
                    if step == "append":
                        writer.append()
                    elif step == "barrier":
                        journal.barrier(nothing)
                    elif step == "mend":
                        store.error = None
                    elif step != "turn":
                        store.fail(StoreFullError("full"), lands=step == "late fault", once=step == "blink")
                    await asyncio.sleep(0)
                store.error = None
                await eventually(lambda: journal.failed is None)
                await asyncio.gather(journal.flush(), return_exceptions=True)  # a fault may have been left to come
                await eventually(lambda: journal.failed is None)
                writer.append()
                await journal.flush()
            assert writer.reported == sorted(set(writer.reported))
            assert writer.reported[-1] == writer.seq
            stored = await tail(store, "room")
            assert stored == tuple(b"%d" % seq for seq in range(1, writer.seq + 1))
