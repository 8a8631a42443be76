"""A room's way to persistence: one store, one journal, and their failures as Comity's own errors."""

import logging
import time
from collections.abc import Callable, Collection, Generator
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from comity.crdt_types.errors import StorageError
from comity.persistence.errors import StoreError
from comity.persistence.journal import Journal
from comity.persistence.records import Append, Loaded, RoomRow, Tombstone
from comity.persistence.store import Store

from ..monitoring.tally import SECONDS, SIZES, Histogram

logger = logging.getLogger(__name__)

# After which whoever could not write may try again: soon enough that nobody waits long for a fault that is over, and
# so that a thousand who come back meanwhile are no burden.
RETRY_SECONDS: Final = 2.0


class Archive:
    """An open store and its journal; an async context manager that owns both.

    Every method raises StorageError where the store fails.

    Attributes:
        on_fault: called when nothing can be stored any more, with the error.
        on_recovery: called when it can be again, with whether it is another store than before, and the rooms whose
        last updates were dropped, and may be in it or not.
    """

    def __init__(self, store: Store) -> None:
        self.store: Final = store
        self.commit_seconds: Final = Histogram(SECONDS)
        self.commit_updates: Final = Histogram(SIZES)
        self.on_fault: Callable[[StorageError], None] = lambda _error: None
        self.on_recovery: Callable[[bool, Collection[str]], None] = lambda _is_other, _rooms: None
        self._ends: dict[
            str, int
        ] = {}  # while the store fails: the last update of these rooms that is known to be there
        self._journal = Journal(store, on_commit=self._count_commit, on_fault=self._fail, on_recovery=self._recover)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store, then the journal."""
        async with AsyncExitStack() as stack:
            with translated():
                await stack.enter_async_context(self.store)
                await stack.enter_async_context(self._journal)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is pending, then close."""
        with translated():
            await self._stack.aclose()

    @property
    def full(self) -> bool:
        """Whether so much is waiting for the disk, or the disk has failed, that nothing more should come in."""
        return self._journal.full

    @property
    def pending_bytes(self) -> int:
        """What is waiting for the disk."""
        return self._journal.pending_bytes

    @property
    def failed(self) -> StorageError | None:
        """What keeps everything from being stored now, if anything."""
        error = self._journal.failed
        return None if error is None else refusal(error)

    @property
    def has_stopped(self) -> bool:
        """Whether nothing can be stored for good."""
        return self._journal.has_stopped

    @property
    def faults(self) -> int:
        """How often the store has failed."""
        return self._journal.faults

    @property
    def epoch(self) -> int:
        """How often the store has failed or recovered: what was loaded before may not be what is there."""
        return self._journal.epoch

    def soon(self, turn: Callable[[], None]) -> None:
        """Call a turn of a room right before the next commit, which holds what it appends."""
        self._journal.soon(turn)

    def expect(self, size: int) -> None:
        """Count an update that a turn which was announced will append, for ``full``."""
        self._journal.expect(size)

    def append(self, room: str, seq: int, update: bytes, author: str, done: Callable[[], None]) -> None:
        """Queue an update; ``done`` is called once it is on disk."""
        self._journal.append(Append(room, seq, update, author, now()), done)

    def barrier(self, done: Callable[[], None]) -> None:
        """Call ``done`` once everything appended so far is on disk."""
        self._journal.barrier(done)

    async def committed(self, then: Callable[[], None]) -> bool:
        """Call ``then`` once everything appended so far is on disk, in order with what else waits for that.

        Returns after the call: without waiting when nothing is pending. Returns False, without a call, when the store
        failed before: what was appended may be gone.

        Raises: StorageError, when the journal has stopped.
        """
        try:
            await self._journal.flush(then)
        except StoreError as error:
            if self.has_stopped:
                raise storage_error(error) from error
            return False
        return True

    async def ready(self) -> None:
        """Wait until there is room for more."""
        with translated(RETRY_SECONDS):
            await self._journal.ready()

    async def flush(self) -> None:
        """Wait until everything appended so far is on disk."""
        with translated(RETRY_SECONDS):
            await self._journal.flush()

    async def wait_stopped(self) -> StorageError:
        """Wait for the failure that stops the journal for good."""
        return storage_error(await self._journal.wait_stopped())

    async def create(self, room: str, lineage: str) -> None:
        """Give a room its place in the store."""
        try:
            await self.store.create(room, lineage, now())
        except StoreError as error:
            self._journal.doubt(error)
            raise refusal(error) from error

    async def load(self, room: str) -> Loaded | None:
        """Return what the store has of a room; while it fails, without what failed and may be gone later."""
        with translated():
            loaded = await self.store.load(room)
        return loaded if loaded is None or room not in self._ends else _up_to(loaded, self._ends[room])

    async def snapshot(self, room: str, seq: int, state: bytes) -> None:
        """Store a room's state as of an update that is on disk."""
        with translated():
            await self.store.snapshot(room, seq, state, now())

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete updates that snapshots have folded; see ``Store.retire``."""
        with translated():
            return await self.store.retire(room, before, at_before)

    async def tombstones(self, room: str) -> list[Tombstone]:
        """Return what is left of rooms of a name that were erased."""
        with translated():
            return await self.store.tombstones(room)

    async def rooms(self) -> list[RoomRow]:
        """Return every room that was ever written to."""
        with translated():
            return await self.store.rooms()

    def _fail(self, error: StoreError, ends: dict[str, int]) -> None:
        logger.error("nothing can be stored: %s", error)
        self._ends = ends
        self.on_fault(refusal(error))

    def _recover(self, is_other: bool) -> None:
        logger.warning("everything can be stored again%s", ", in another database than before" if is_other else "")
        ends, self._ends = self._ends, {}
        self.on_recovery(is_other, ends)

    def _count_commit(self, updates: int, seconds: float) -> None:
        self.commit_updates.observe(updates)
        self.commit_seconds.observe(seconds)


def _up_to(loaded: Loaded, seq: int) -> Loaded:
    """Return what was loaded without the updates after one."""
    tail = loaded.tail[: len(loaded.tail) - max(loaded.seq - seq, 0)]
    return loaded._replace(tail=tail, seq=min(loaded.seq, seq), tail_bytes=sum(map(len, tail)))


def now() -> int:
    """Return the time in ms since the Unix epoch: for people to read, never for ordering."""
    return time.time_ns() // 1_000_000


def refusal(error: StoreError) -> StorageError:
    """Return a store's error as what those are told who cannot write now, and may try again."""
    return storage_error(error, RETRY_SECONDS)


def storage_error(error: StoreError, retry_after: float | None = None) -> StorageError:
    """Return a store's error as the server's."""
    told = StorageError(error.what, subject=error.subject, remedy=error.remedy, retry_after=retry_after)
    told.__cause__ = error
    return told


@contextmanager
def translated(retry_after: float | None = None) -> Generator[None]:
    """Raise a store's errors as the server's."""
    try:
        yield
    except StoreError as error:
        raise storage_error(error, retry_after) from error
