"""Group commit: what arrives while one commit runs is the next one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from .errors import StoreError, not_open
from .pace import Pace
from .records import Append
from .store import Store

# 60 to 170 ms of writing, measured with updates of 2,000 and of 60 bytes: enough that no burst waits without
# need, little enough to hold in memory and to write out while shutting down.
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024

# What an update takes in memory besides its own bytes, so that a flood of tiny ones is bounded as well.
ENTRY_BYTES: Final = 256

# As much is worth a commit of its own at once.
GATHER_BYTES: Final = 256 * 1024

# Seconds from a failure of the store to the first attempt at it, doubled up to the longest: a fault that is over at
# once is hardly noticed, and one that lasts costs a small write every few seconds.
FIRST_PROBE: Final = 0.1
LONGEST_PROBE: Final = 5.0

OnFault = Callable[[StoreError, dict[str, int]], None]
OnRecovery = Callable[[bool], None]


class Journal:
    """Writes updates in order, one transaction for all that is waiting, and says when they are durable.

    An async context manager that owns its one writer task; leaving commits everything appended.

    When the store fails, all that waits is dropped, so that nobody is told what the disk does not know, and nothing is
    taken any more. The store is tried again and again, and once it can be written the journal goes on as if it were
    new. What was dropped may be in the store nevertheless, if it failed after writing: whoever appended it must look.
    Any failure that is not the store's stops the journal for good.

    Args:
        store: an open store.
        max_pending_bytes: how much may wait before ``ready`` holds back whoever asks it; appending never
        blocks.
        on_commit: called after each commit with how many updates it held and how many seconds it took.
        on_fault: called when the store fails, before anybody else learns of it, with the error and, for each room
        whose updates were dropped, the number of the last one before those.
        on_recovery: called when it can be written again, with whether it is another store than before.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        on_commit: Callable[[int, float], None] = lambda _updates, _seconds: None,
        on_fault: OnFault = lambda _error, _ends: None,
        on_recovery: OnRecovery = lambda _is_other: None,
    ) -> None:
        self.failed: StoreError | None = None  # what keeps it from writing now
        self.faults = 0  # how often the store has failed
        self.epoch = 0  # how often it has failed or recovered
        self._store = store
        self._max_pending_bytes = max_pending_bytes
        self._on_commit = on_commit
        self._on_fault = on_fault
        self._on_recovery = on_recovery
        self._pending_bytes = 0
        self._entries: list[Append] = []
        self._committing: list[Append] = []
        self._callbacks: list[Callable[[], None]] = []
        self._turns: list[Callable[[], None]] = []
        self._pace = Pace()
        self._fault = not_open("journal")  # the last one
        self._doubt: StoreError | None = None
        self._pause = FIRST_PROBE
        self._busy = False
        self._work = asyncio.Event()
        self._round = asyncio.Event()
        self._closing = asyncio.Event()
        self._stopped = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit everything appended and stop the writer; raises what kept it from that."""
        writer, faults = self._open(), self.faults
        self._closing.set()
        self._work.set()
        try:
            await writer
        finally:
            self._writer = None
        if (self.has_stopped or self.faults > faults) and self._fault is not error:
            raise self._fault

    @property
    def has_stopped(self) -> bool:
        """Whether it was stopped for good by a failure that was not the store's."""
        return self._stopped.is_set()

    @property
    def pending_bytes(self) -> int:
        """What waits for the disk, as ``max_pending_bytes`` counts it."""
        return self._pending_bytes + self._pace.size

    @property
    def full(self) -> bool:
        """Whether ``ready`` would wait or raise; costs less than awaiting it."""
        return self.pending_bytes > self._max_pending_bytes or self.failed is not None

    def soon(self, turn: Callable[[], None]) -> None:
        """Call something right before the next commit begins: what it appends is part of that commit.

        Whatever comes while one commit runs is only for the next, so that nothing is gained by doing it earlier, and
        work by doing it at once. While the store fails there is no commit: it is called soon, and must not append.

        Raises:
            StoreError: the journal is not open.
        """
        self._open()
        if self.failed is None:
            self._turns.append(turn)
            self._work.set()
        else:
            asyncio.get_running_loop().call_soon(turn)

    def expect(self, size: int) -> None:
        """Count an update of some bytes that a turn will append as pending already."""
        if self.failed is None:
            self._pace.expect(size + ENTRY_BYTES)

    def append(self, entry: Append, done: Callable[[], None]) -> None:
        """Queue an update; ``done`` runs in the event loop, in order, after the commit that holds it.

        Raises:
            StoreError: the journal is not open, or the store fails.
        """
        self._open()
        self._check()
        self._queue(done)
        self._entries.append(entry)
        self._pending_bytes += len(entry.update) + ENTRY_BYTES

    def barrier(self, done: Callable[[], None]) -> None:
        """Run ``done`` once everything appended so far is committed: at once when nothing is pending.

        Raises:
            StoreError: the journal is not open.
        """
        self._open()
        if self._busy or self._callbacks or self._turns:
            self._queue(done)
        elif not self.has_stopped:
            done()

    async def flush(self, then: Callable[[], None] = lambda: None) -> None:
        """Wait until everything appended so far is committed; ``then`` runs in order with what else waits for that.

        Raises:
            StoreError: the store fails, or did before that; ``then`` does not run.
        """
        self._check()
        passed: list[bool] = []
        epoch = self.epoch

        def done() -> None:
            passed.append(True)
            then()

        self.barrier(done)
        while not passed:
            if self.epoch > epoch:
                raise self._fault
            await self._round.wait()

    async def ready(self) -> None:
        """Wait while more than ``max_pending_bytes`` is pending: for those who bring in more.

        Raises:
            StoreError: the store fails.
        """
        while self.full and self.failed is None:
            await self._round.wait()
        self._check()

    def doubt(self, error: StoreError) -> None:
        """Take note that something else could not be written: if there is nothing to commit, that is a failure."""
        if self.failed is None:
            self._doubt = error
            self._work.set()

    async def wait_stopped(self) -> StoreError:
        """Wait for the failure that stops the journal for good, and return it."""
        await self._stopped.wait()
        return self._fault

    def _queue(self, done: Callable[[], None]) -> None:
        self._callbacks.append(done)
        self._work.set()

    def _open(self) -> asyncio.Task[None]:
        if self._writer is None:
            raise not_open("journal")
        return self._writer

    def _check(self) -> None:
        if self.failed is not None:
            raise self.failed

    async def _write(self) -> None:
        try:
            while self._has_work or not self._closing.is_set():
                await self._work.wait()
                self._work.clear()
                try:
                    await self._commit_and_gather()
                except StoreError as error:
                    self._fail(error)
                    await self._recover()
        except Exception as error:
            self._stop(_unexpected(error))
        except BaseException:  # nobody may wait for a writer that is gone, whatever ended it
            self._stop(StoreError("it was stopped before its last commit", subject="journal"))
            raise

    @property
    def _has_work(self) -> bool:
        return bool(self._callbacks or self._turns)

    async def _commit_and_gather(self) -> None:
        began = time.perf_counter()
        turns = await self._commit()
        if self._has_work and not self._closing.is_set() and self.pending_bytes < GATHER_BYTES:
            await self._pace.gather(began, turns)

    async def _commit(self) -> int:
        """Commit what is pending, and return how many turns had a part in it."""
        self._busy = True
        turns = self._take_turns()
        self._committing, callbacks, size = self._entries, self._callbacks, self._pending_bytes
        self._entries, self._callbacks = [], []
        await self._store_entries()
        for done in callbacks:
            _run(done)
        self._busy = False
        self._pending_bytes -= size
        self._next_round()
        return turns

    async def _store_entries(self) -> None:
        entries = self._committing
        doubt, self._doubt = self._doubt, None
        if entries:
            began = time.perf_counter()
            await self._store.append(entries)
            self._on_commit(len(entries), time.perf_counter() - began)
            self._pause = FIRST_PROBE  # not before: a store may say that it can be written, and fail again
        elif doubt is not None:
            raise doubt
        self._committing = []

    def _take_turns(self) -> int:
        turns, self._turns = self._turns, []
        for turn in turns:
            _run(turn)
        self._pace.take()
        return len(turns)

    async def _recover(self) -> None:
        """Try the store until it can be written again, or until there is no more need."""
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._pause)
                return
            self._pause = min(2 * self._pause, LONGEST_PROBE)
            try:
                is_other = await self._store.recover()
            except StoreError as error:
                self.failed = error
            else:
                self.failed = None
                self.epoch += 1
                self._on_recovery(is_other)
                return

    def _fail(self, error: StoreError) -> None:
        """Drop everything, and tell those who wait."""
        ends: dict[str, int] = {}
        for entry in (*self._committing, *self._entries):
            ends.setdefault(entry.room, entry.seq - 1)
        turns = self._drop(error)
        self.faults += 1
        self._on_fault(error, ends)
        for turn in turns:
            asyncio.get_running_loop().call_soon(turn)
        self._next_round()

    def _stop(self, error: StoreError) -> None:
        for turn in self._drop(error):
            asyncio.get_running_loop().call_soon(turn)
        self._stopped.set()
        self._next_round()

    def _drop(self, error: StoreError) -> list[Callable[[], None]]:
        """Forget all that waits but for the turns, which are returned: they have something to clear up."""
        self.failed = self._fault = error
        self.epoch += 1
        self._entries, self._committing, self._callbacks = [], [], []
        self._pending_bytes = 0
        self._doubt = None
        self._busy = False
        self._pace.take()
        turns, self._turns = self._turns, []
        return turns

    def _next_round(self) -> None:
        # Each round has its own event, so that setting it wakes those who wait now and nobody who comes later.
        self._round.set()
        self._round = asyncio.Event()


def _run(done: Callable[[], None]) -> None:
    try:
        done()
    except Exception as error:
        # The commit stands, and the other callbacks are owed their call.
        context = {"message": "a callback of the journal failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


def _unexpected(error: Exception) -> StoreError:
    failure = StoreError(
        f"writing failed unexpectedly: {error!r}",
        subject="journal",
        remedy="start the server again and report this",
    )
    failure.__cause__ = error
    return failure
