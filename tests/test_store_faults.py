"""A disk that fails at any call, and a process that dies in any: what was reported stored is there, nothing by half."""

import asyncio
import errno
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from comity.persistence.errors import StoreError, StoreFullError
from comity.persistence.records import Append
from comity.persistence.store import Store
from tests.support.appender import last, log, update
from tests.support.faulty import ANY, FOR_GOOD, Action, Call, Faults
from tests.support.profiles import examples
from tests.support.remote import EndedError, Remote, remote

T = TypeVar("T")

NAME: Final = "comity.db"
FILES: Final = f"*/{NAME}*"
ROOMS: Final = ("a", "b")
BATCHES: Final = 6
SIZE: Final = 20  # updates of each room in a batch
STRIDE: Final = examples(quick=9, deep=1)  # every so many of all calls are tried


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Faults:
    return Faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def child(faults: Faults) -> Iterator[Remote]:
    with remote(faults.environment) as process:
        yield process


# Every call of a store's life ----------------------------------------------------------------------------------------


def batch(first: int, size: int = SIZE) -> list[Append]:
    """Return the next updates of both rooms."""
    return [Append(room, seq, update(room, seq), "planner", 1) for seq in range(first, first + size) for room in ROOMS]


async def create(store: Store) -> None:
    """Create both rooms."""
    for room in ROOMS:
        await store.create(room, f"lineage of {room}", 1)


async def live(store: Store, reported: list[int]) -> None:
    """Do all that is done to a store; note how far each room's log reaches, as soon as that is reported."""
    for end in range(SIZE, SIZE * BATCHES + 1, SIZE):
        await store.append(batch(end - SIZE + 1))
        reported.append(end)
        if end % (2 * SIZE) == 0:
            await store.snapshot("a", end, b"".join(log("a", 1, end)), 1)
            await store.retire("a", end, 100)


async def live_until_killed(store: Store, reported: list[int]) -> None:
    """Live on a disk on which that cannot end well."""
    try:
        async with store:
            await create(store)
            await live(store, reported)
    except EndedError as end:
        assert end.exit_code == -signal.SIGKILL  # noqa: PT017  # what is raised is not what is tested
        return
    raise AssertionError("it came to a good end")


async def lasts(store: Store) -> int:
    """Return where the logs of both rooms end, which is at the same number, and sound up to there."""
    ends = {await last(store, room) for room in ROOMS}
    assert len(ends) == 1
    return ends.pop()


async def found(store: Store) -> int:
    """Return what a store holds that is opened now, and goes on as if nothing had been."""
    async with store:
        end = await lasts(store)
        await create(store)
        await store.append(batch(end + 1, 1))
        assert await lasts(store) == end + 1
    return end


class Calls(NamedTuple):
    """How many calls a store makes in a life, at its beginning and from then until before its end, and in all."""

    opening: int
    living: int
    total: int


async def calls_of_a_life(faults: Faults, store: Store) -> Calls:
    """Count the calls of a life that nothing goes wrong in."""
    faults.begin(Action.FAIL, files=FILES, count=0)
    async with store:
        opening = faults.seen
        await create(store)
        created = faults.seen
        await live(store, [])
        living = faults.seen - created
    faults.end()
    assert await found(store) == SIZE * BATCHES
    return Calls(opening, living, faults.seen)


@pytest.mark.parametrize("action", [Action.KILL, Action.CUT])
async def test_death_in_any_call_loses_nothing_that_was_reported(
    faults: Faults, child: Remote, tmp_path: Path, action: Action
) -> None:
    calls = await calls_of_a_life(faults, child.store(tmp_path / NAME))
    died_in: set[tuple[Call, str]] = set()
    for number in range(0, calls.total, STRIDE):
        store, reported = child.store(tmp_path / f"{number}" / NAME), [0]
        faults.begin(action, files=FILES, after=number, seed=number)
        await live_until_killed(store, reported)
        faults.end()
        assert 0 <= await found(store) - reported[-1] <= SIZE
        died_in.add((faults.last.call, faults.last.file.name.removeprefix(NAME)))
    assert died_in >= {(Call.WRITE, "-wal"), (Call.SYNC, "-wal"), (Call.WRITE, "")}


async def test_power_cut_takes_what_was_not_synced_and_damages_nothing(
    faults: Faults, child: Remote, tmp_path: Path
) -> None:
    lost = 0
    for seed in range(examples(quick=8, deep=200)):
        store, reported = child.store(tmp_path / f"{seed}" / NAME, durability="os"), [0]
        faults.begin(Action.CUT, calls=Call.WRITE, files=FILES, after=60 + 5 * seed % 40, seed=seed)
        await live_until_killed(store, reported)
        faults.end()
        lost += reported[-1] - await found(store)
    assert lost > 0


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("action", [Action.FAIL, Action.TEAR])
async def test_failure_of_any_call_refuses_writes_until_it_ends(
    faults: Faults, child: Remote, tmp_path: Path, action: Action, error: int
) -> None:
    calls = await calls_of_a_life(faults, child.store(tmp_path / NAME))
    is_full = set()
    for number in range(0, calls.living, 2 * STRIDE):
        store, reported = child.store(tmp_path / f"{number}" / NAME), [0]
        async with store:
            await create(store)
            faults.begin(action, files=FILES, after=number, error=error, seed=number)
            with suppress(StoreError):
                await live(store, reported)
            end = await lasts(store)
            assert end == reported[-1]
            with pytest.raises(StoreError) as refusal:
                await store.append(batch(end + 1))
            assert refusal.value.remedy
            is_full.add(isinstance(refusal.value, StoreFullError))
            assert await lasts(store) == end
            faults.end()
            assert await store.recover() is False
            assert await lasts(store) == end
            await store.append(batch(end + 1))
        assert await found(store) == end + SIZE
    assert is_full == {error == errno.ENOSPC}


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
async def test_failure_of_any_call_while_opening_leaves_a_place_that_can_be_opened(
    faults: Faults, child: Remote, tmp_path: Path, error: int
) -> None:
    calls = await calls_of_a_life(faults, child.store(tmp_path / NAME))
    for number in range(0, calls.opening, STRIDE):
        store = child.store(tmp_path / f"{number}" / NAME)
        faults.begin(Action.TEAR, files=FILES, after=number, error=error, seed=number)
        with pytest.raises(StoreError):
            await store.__aenter__()
        faults.end()
        assert await found(store) == 0


async def test_short_writes_change_nothing(faults: Faults, child: Remote, tmp_path: Path) -> None:
    store, reported = child.store(tmp_path / NAME), [0]
    faults.begin(Action.PART, calls=Call.WRITE, files=FILES)
    async with store:
        await create(store)
        await live(store, reported)
    assert faults.hits > 100
    faults.end()
    assert await found(store) == reported[-1] == SIZE * BATCHES


async def test_what_was_refused_for_a_failed_sync_is_whole_or_absent_after_death(
    faults: Faults, child: Remote, tmp_path: Path
) -> None:
    store = child.store(tmp_path / NAME)
    async with store:
        await create(store)
        await store.append(batch(1))
        faults.begin(Action.FAIL, calls=Call.SYNC, files=FILES)
        with pytest.raises(StoreError):
            await store.append(batch(SIZE + 1))
        assert await lasts(store) == SIZE
        child.kill()
    faults.end()
    assert await found(store) in (SIZE, 2 * SIZE)


async def store_one(store: Store) -> int:
    await store.append(batch(SIZE + 1, size=1))
    return SIZE + 1


async def recover(store: Store) -> int:
    assert await store.recover() is False
    return SIZE


@pytest.mark.parametrize("write", [store_one, recover])
async def test_what_was_refused_for_a_failed_sync_is_gone_once_something_was_written(
    faults: Faults, child: Remote, tmp_path: Path, write: Callable[[Store], Awaitable[int]]
) -> None:
    store = child.store(tmp_path / NAME)
    async with store:
        await create(store)
        await store.append(batch(1))
        faults.begin(Action.FAIL, calls=Call.SYNC, files=FILES)
        with pytest.raises(StoreError):
            await store.append(batch(SIZE + 1))
        faults.end()
        end = await write(store)
        child.kill()
    assert await found(store) == end


# Any life, any fault -------------------------------------------------------------------------------------------------

LOGS = st.dictionaries(st.sampled_from(ROOMS), st.lists(st.integers(1, 5000), min_size=1, max_size=4), min_size=1)


class FaultyLife(RuleBasedStateMachine):
    """A store whose disk fails and whose process dies at any time; the model is the log of what was reported stored.

    What an append that raised was to store is never to be seen, with one exception: once the store is opened anew
    without having been written to since, it may be there, as a whole.
    """

    def __init__(self, faults: Faults, child: Remote, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self.faults = faults
        self.child = child
        self.runner = asyncio.Runner()
        self.store = child.store(folders.mktemp("life") / NAME)
        self.logs: dict[str, list[bytes]] = {room: [] for room in ROOMS}
        self.doubtful: list[dict[str, list[bytes]]] = []  # the logs as they would be with what was refused
        self.made = 0
        self.is_faulty = False
        self.do(self.store.__aenter__())
        for room in ROOMS:
            self.do(self.store.create(room, "lineage", 1))

    def teardown(self) -> None:
        self.faults.end()
        self.do(self.store.__aexit__(None, None, None))
        self.runner.close()

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(act)

    def attempt(self, act: Coroutine[Any, Any, object]) -> bool:
        """Tell whether something was done; when the process died of it, the store is opened anew."""
        try:
            self.do(act)
        except StoreError:
            if not self.faults.hits:
                raise
            return False
        except EndedError:
            self.open_anew()
            return False
        return True

    def end_fault(self) -> None:
        self.faults.end()
        self.is_faulty = False

    def open_anew(self) -> None:
        self.end_fault()
        self.do(self.store.__aenter__())
        found = {room: self.read(room) for room in ROOMS}
        assert found == self.logs or found in self.doubtful
        self.logs, self.doubtful = found, []

    def read(self, room: str) -> list[bytes]:
        """Return a room's whole log, of which snapshots fold nothing but a beginning."""
        loaded = self.do(self.store.load(room))
        assert loaded is not None
        folded = self.logs[room][: loaded.snapshot_seq]
        assert (loaded.snapshot or b"") == b"".join(folded)
        assert len(folded) == loaded.snapshot_seq
        return [*folded, *loaded.tail]

    @rule(sizes=LOGS)
    def append(self, sizes: dict[str, list[int]]) -> None:
        logs = {room: list(log) for room, log in self.logs.items()}
        batch: list[Append] = []
        for room, size in ((room, size) for room, each in sizes.items() for size in each):
            self.made += 1
            logs[room].append(bytes([self.made % 256]) * size)
            batch.append(Append(room, len(logs[room]), logs[room][-1], "planner", 1))
        self.doubtful.append(logs)
        if self.attempt(self.store.append(batch)):
            self.logs, self.doubtful = logs, []

    @rule(room=st.sampled_from(ROOMS), back=st.integers(0, 3))
    def fold(self, room: str, back: int) -> None:
        seq = max(len(self.logs[room]) - back, 0)
        if self.attempt(self.store.snapshot(room, seq, b"".join(self.logs[room][:seq]), 1)):
            self.attempt(self.store.retire(room, seq, 100))

    @rule(
        action=st.sampled_from([Action.FAIL, Action.PART, Action.TEAR, Action.KILL, Action.CUT]),
        calls=st.sampled_from([Call.WRITE, Call.SYNC, ANY]),
        error=st.sampled_from([errno.EIO, errno.ENOSPC, errno.EROFS]),
        after=st.integers(0, 20),
        count=st.sampled_from([1, 2, FOR_GOOD]),
        seed=st.integers(0, 2**32),
    )
    @precondition(lambda self: not self.is_faulty)
    def fault_begins(self, action: Action, calls: Call, error: int, after: int, count: int, seed: int) -> None:
        self.faults.begin(action, calls=calls, files=FILES, error=error, after=after, count=count, seed=seed)
        self.is_faulty = True

    @rule()
    @precondition(lambda self: self.is_faulty)
    def fault_ends(self) -> None:
        self.end_fault()
        assert self.do(self.store.recover()) is False

    @rule(is_clean=st.booleans(), recovers=st.booleans())
    def ends(self, is_clean: bool, recovers: bool) -> None:
        if recovers:
            self.attempt(self.store.recover())
        if is_clean:
            self.attempt(self.store.__aexit__(None, None, None))
        else:
            self.child.kill()
        if not self.child.is_serving:
            self.open_anew()

    @invariant()
    def reported_is_read(self) -> None:
        for room, expected in self.logs.items():
            assert self.read(room) == expected


def test_any_life_keeps_what_was_reported(
    faults: Faults, child: Remote, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new_life: Any = partial(FaultyLife, faults, child, tmp_path_factory)
    run_state_machine_as_test(
        new_life, settings=settings(max_examples=examples(quick=12, deep=2000), stateful_step_count=25, deadline=None)
    )
