"""Group commit: what arrives while one commit runs is the next one."""

import asyncio
import time
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Final, Self

from .errors import StoreError, not_open
from .records import Append
from .store import Store

# 60 to 170 ms of writing, measured with updates of 2,000 and of 60 bytes: enough that no burst waits without
# need, little enough to hold in memory and to write out while shutting down.
MAX_PENDING_BYTES: Final = 8 * 1024 * 1024

# What an update takes in memory besides its own bytes, so that a flood of tiny ones is bounded as well.
ENTRY_BYTES: Final = 256

# From the beginning of one commit to that of the next, in seconds, while more comes in than one client's next edit: as
# long, and longer by this for each room that it was for, and at most. A commit costs a quarter of a millisecond of
# processor time however much it holds, and telling many readers of it costs more. Who waits for each edit before
# making the next does not wait for this.
INTERVAL: Final = 0.0025
INTERVAL_PER_TURN: Final = 0.0005
MAX_INTERVAL: Final = 0.01
# As much is worth a commit of its own at once; and so are as many updates as commits lately held: clients that each
# wait for their edit to be safe have all made their next one then. Of what commits held, this part counts at the next.
GATHER_BYTES: Final = 256 * 1024
GATHER_MEMORY: Final = 0.95
# Rooms in one commit, above which that is no sign of anybody waiting: what many rooms bring varies by itself.
FEW: Final = 4


class Journal:
    """Writes updates in order, one transaction for all that is waiting, and says when they are durable.

    An async context manager that owns its one writer task; leaving commits everything appended. It stops at
    the first failure: nothing is reported done from then on, so that nobody is told what the disk does not
    know.

    Args:
        store: an open store.
        max_pending_bytes: how much may wait before ``ready`` holds back whoever asks it; appending never
        blocks.
        on_commit: called after each commit with how many updates it held and how many seconds it took.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        on_commit: Callable[[int, float], None] = lambda _updates, _seconds: None,
    ) -> None:
        self.failed: StoreError | None = None
        self._store = store
        self._max_pending_bytes = max_pending_bytes
        self._on_commit = on_commit
        self._pending_bytes = 0
        self._entries: list[Append] = []
        self._callbacks: list[Callable[[], None]] = []
        self._turns: list[Callable[[], None]] = []
        self._expected_bytes = 0  # of what those turns will append, at most
        self._expected = 0  # how many updates that is
        self._enough = 0.0  # of them, to wait for no more
        self._wanted = 0.0  # of them, while it waits
        self._gathering: asyncio.Future[None] | None = None
        self._busy = False
        self._closing = False
        self._work = asyncio.Event()
        self._round = asyncio.Event()
        self._failure = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write(), name="journal")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit everything appended and stop the writer; raises the failure that stopped it before."""
        writer, self._closing = self._open(), True
        self._work.set()
        try:
            await writer
        finally:
            self._writer = None
        if self.failed is not None and self.failed is not error:
            raise self.failed

    @property
    def pending_bytes(self) -> int:
        """What waits for the disk, as ``max_pending_bytes`` counts it."""
        return self._pending_bytes + self._expected_bytes

    @property
    def full(self) -> bool:
        """Whether ``ready`` would wait or raise; costs less than awaiting it."""
        return self.pending_bytes > self._max_pending_bytes or self.failed is not None

    def soon(self, turn: Callable[[], None]) -> None:
        """Call something right before the next commit begins: what it appends is part of that commit.

        Whatever comes while one commit runs is only for the next, so that nothing is gained by doing it earlier, and
        work by doing it at once.

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
        self._expected_bytes += size + ENTRY_BYTES
        self._expected += 1
        if self._gathering is not None and self._expected >= self._wanted:
            _wake(self._gathering)

    def append(self, entry: Append, done: Callable[[], None]) -> None:
        """Queue an update; ``done`` runs in the event loop, in order, after the commit that holds it.

        After a failure the update is dropped and ``done`` never runs.

        Raises:
            StoreError: the journal is not open.
        """
        self._queue(done)
        if self.failed is None:
            self._entries.append(entry)
            self._pending_bytes += len(entry.update) + ENTRY_BYTES

    def barrier(self, done: Callable[[], None]) -> None:
        """Run ``done`` once everything appended so far is committed: at once when nothing is pending.

        Raises:
            StoreError: the journal is not open.
        """
        self._open()
        if self._busy or self._callbacks or self._turns or self.failed is not None:
            self._queue(done)
        else:
            done()

    async def flush(self) -> None:
        """Wait until everything appended so far is committed.

        Raises:
            StoreError: the failure that stopped the journal.
        """
        committed = asyncio.Event()
        self.barrier(committed.set)
        while not committed.is_set():
            self._check()
            await self._round.wait()

    async def ready(self) -> None:
        """Wait while more than ``max_pending_bytes`` is pending: for those who bring in more.

        Raises:
            StoreError: the failure that stopped the journal.
        """
        while self.full and self.failed is None:
            await self._round.wait()
        self._check()

    async def wait_failed(self) -> StoreError:
        """Wait for the failure that stops the journal, and return it."""
        while self.failed is None:
            await self._failure.wait()
        return self.failed

    def _queue(self, done: Callable[[], None]) -> None:
        self._open()
        if self.failed is None:
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
            while self._has_work or not self._closing:
                await self._work.wait()
                self._work.clear()
                began = time.perf_counter()
                turns = await self._commit()
                if self._has_work and not self._closing and self.pending_bytes < GATHER_BYTES:
                    interval = min(INTERVAL + INTERVAL_PER_TURN * turns, MAX_INTERVAL)
                    await self._gather(began + interval - time.perf_counter(), self._enough if turns <= FEW else inf)
        except StoreError as error:
            self._fail(error)
        except Exception as error:
            self._fail(_unexpected(error))
        except BaseException:  # nobody may wait for a writer that is gone, whatever ended it
            self._fail(StoreError("it was stopped before its last commit", subject="journal"))
            raise

    async def _gather(self, seconds: float, enough: float) -> None:
        """Wait for more to come, until there is enough."""
        if self._expected >= enough:
            return
        self._wanted = enough
        loop = asyncio.get_running_loop()
        self._gathering = loop.create_future()
        timer = loop.call_later(seconds, _wake, self._gathering)
        try:
            await self._gathering
        finally:
            timer.cancel()
            self._gathering = None

    @property
    def _has_work(self) -> bool:
        return bool(self._callbacks or self._turns)

    async def _commit(self) -> int:
        """Commit what is pending, and return how many turns had a part in it."""
        self._busy = True
        turns = self._take_turns()
        entries, callbacks, size = self._entries, self._callbacks, self._pending_bytes
        self._entries, self._callbacks = [], []
        if entries:
            began = time.perf_counter()
            await self._store.append(entries)
            self._on_commit(len(entries), time.perf_counter() - began)
        for done in callbacks:
            _run(done)
        self._busy = False
        self._pending_bytes -= size
        self._next_round()
        return turns

    def _take_turns(self) -> int:
        turns, self._turns = self._turns, []
        for turn in turns:
            _run(turn)
        self._enough = max(self._enough * GATHER_MEMORY, self._expected)
        self._expected = self._expected_bytes = 0
        return len(turns)

    def _fail(self, error: StoreError) -> None:
        self.failed = error
        self._entries, self._callbacks = [], []
        turns, self._turns = self._turns, []
        for turn in turns:
            asyncio.get_running_loop().call_soon(turn)
        self._failure.set()
        self._next_round()

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


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _unexpected(error: Exception) -> StoreError:
    failure = StoreError(
        f"writing failed unexpectedly: {error!r}",
        subject="journal",
        remedy="start the server again and report this",
    )
    failure.__cause__ = error
    return failure
