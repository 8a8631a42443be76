"""A room's way to persistence: one store, one journal, and their failures as Comity's own errors."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from comity.crdt_types.errors import StorageError
from comity.persistence.errors import StoreError
from comity.persistence.journal import Journal
from comity.persistence.records import Append, Loaded, RoomRow
from comity.persistence.store import Store

from ..monitoring.tally import SECONDS, SIZES, Histogram


class Archive:
    """An open store and its journal; an async context manager that owns both.

    Every method raises StorageError where the store fails.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commit_seconds: Final = Histogram(SECONDS)
        self.commit_updates: Final = Histogram(SIZES)
        self._journal = Journal(store, on_commit=self._count_commit)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store, then the journal."""
        async with AsyncExitStack() as stack:
            with translated():
                await stack.enter_async_context(self._store)
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
        """The failure that stopped the journal, if any."""
        error = self._journal.failed
        return None if error is None else storage_error(error)

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

    async def committed(self, then: Callable[[], None]) -> None:
        """Call ``then`` once everything appended so far is on disk, in order with what else waits for that.

        Returns after the call: without waiting when nothing is pending, never when the journal has failed.
        """
        called = asyncio.Event()

        def call() -> None:
            then()
            called.set()

        self.barrier(call)
        await called.wait()

    async def ready(self) -> None:
        """Wait until there is room for more."""
        with translated():
            await self._journal.ready()

    async def flush(self) -> None:
        """Wait until everything appended so far is on disk."""
        with translated():
            await self._journal.flush()

    async def wait_failed(self) -> StorageError:
        """Wait for the failure that stops the journal."""
        return storage_error(await self._journal.wait_failed())

    async def create(self, room: str, lineage: str) -> None:
        """Give a room its place in the store."""
        with translated():
            await self._store.create(room, lineage, now())

    async def load(self, room: str) -> Loaded | None:
        """Return what the store has of a room."""
        with translated():
            return await self._store.load(room)

    async def snapshot(self, room: str, seq: int, state: bytes) -> None:
        """Store a room's state as of an update that is on disk."""
        with translated():
            await self._store.snapshot(room, seq, state, now())

    async def retire(self, room: str, before: int, at_before: int) -> int:
        """Delete updates that snapshots have folded; see ``Store.retire``."""
        with translated():
            return await self._store.retire(room, before, at_before)

    async def rooms(self) -> list[RoomRow]:
        """Return every room that was ever written to."""
        with translated():
            return await self._store.rooms()

    def _count_commit(self, updates: int, seconds: float) -> None:
        self.commit_updates.observe(updates)
        self.commit_seconds.observe(seconds)


def now() -> int:
    """Return the time in ms since the Unix epoch: for people to read, never for ordering."""
    return time.time_ns() // 1_000_000


def storage_error(error: StoreError) -> StorageError:
    """Return a store's error as the server's."""
    told = StorageError(error.what, subject=error.subject, remedy=error.remedy)
    told.__cause__ = error
    return told


@contextmanager
def translated() -> Generator[None]:
    """Raise a store's errors as the server's."""
    try:
        yield
    except StoreError as error:
        raise storage_error(error) from error
