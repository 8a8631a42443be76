"""A replica: one room's document in this process, usable at once, kept in step with a server whenever there is one."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pycrdt

from comity.crdt_types import Change, Commit
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ErasedError,
    ForbiddenError,
    StorageError,
    is_permanent,
)
from comity.crdt_types.wire import Welcome

from .backoff import delays, requested
from .changestream import ChangeStream
from .connection import Connection, dial, room_url
from .descent import Descent
from .journal import Journal
from .localfile import LocalFile, Restored

logger = logging.getLogger("comity")

CLOSE_TIMEOUT: Final = 5.0  # seconds that closing waits for the server to acknowledge what is still under way


class Replica(Descent):
    """Holds a room's document, tells the server of local edits, and merges those of others.

    It is an asynchronous context manager. Leaving it waits a moment for the acknowledgement of what is under way.

    Args:
        url: the server's address, ``ws://host:port``.
        room: the room's name.
        agent: the name that this session's edits bear.
        directory: where to keep the document and the unacknowledged edits; nothing outlives the process if None.

    Raises: StorageError, on entering, if the local file cannot be opened; ConnectionFailedError, if the address is
        not one. An absent server is no error: the replica is offline until it is there.
    """

    def __init__(self, url: str, room: str, *, agent: str = "", directory: Path | None = None) -> None:
        super().__init__(room, agent)
        self._url = room_url(url, room, agent)
        self._directory = directory
        self._was_live = False  # since the last time that the server could not be reached
        self._offline_blocks = 0
        self._online = asyncio.Event()
        self._online.set()
        self._unreachable = asyncio.Event()  # the last attempt to connect failed
        self._may_write = True
        self._streams: weakref.WeakSet[ChangeStream] = weakref.WeakSet()
        self._refused: ComityError | None = None  # why the server will not have this replica any more
        self._refusals = Callbacks()
        self._stack = AsyncExitStack()

    # Lifetime ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._directory is not None:
                await self._restore(stack, self._directory)
            stack.callback(self.document.on_commit(self._committed))
            self._own(stack, self._stay_connected())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self._finish()
        finally:
            await self._stack.aclose()
            self._decisions.forget()
            self.document.close()
            for stream in self._streams:
                stream.end()
            self._set_status("offline")
            self._fail(self.error or ConnectionFailedError("the replica was closed", subject=f"room {self.room!r}"))

    def _own(self, stack: AsyncExitStack, work: Any) -> None:
        """Run a task for as long as the replica is open."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._task_ended)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task])

        stack.push_async_callback(stop)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ComityError):
            if isinstance(error, StorageError):  # the one error that nobody is told of who does not ask
                logger.error("room %s: edits are written to this machine's disk no more: %s", self.room, error)
            self._fail(error)
        elif error is not None:
            logger.error("room %s: a task of the replica failed", self.room, exc_info=error)
            self._fail(ConnectionFailedError(f"a fault in the client: {error!r}", subject=self.room))

    async def _restore(self, stack: AsyncExitStack, directory: Path) -> None:
        self._file = file = await stack.enter_async_context(self._file_in(directory))
        kept = await file.restore()
        if kept.updates:
            self.document.apply(pycrdt.merge_updates(*kept.updates))
        self._outstanding.restore(kept.edits, kept.number, kept.acknowledged)
        self.lineage = kept.lineage
        self._met = kept.lineage is not None
        self._must_reset = kept.refused
        self._journal = self._journal_of(file, kept)
        self._own(stack, self._journal.run())

    def _file_in(self, directory: Path) -> LocalFile:
        return LocalFile(directory, self.room)

    def _journal_of(self, file: LocalFile, kept: Restored) -> Journal:
        size = sum(map(len, kept.updates))
        return Journal(file, self.document.update_since, self._outstanding.edits, size, kept.redactions)

    async def _finish(self) -> None:
        """Give what is under way a moment to arrive, and say so if it did not."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.saved()
                if self._online.is_set() and self._acknowledges:
                    await self._durable_if_reachable()
                    await self.saved()  # what was acknowledged meanwhile
        except (TimeoutError, ComityError) as error:
            logger.debug("room %s: closed before everything had arrived: %r", self.room, error)
            if isinstance(error, TimeoutError) and self._journal is not None and not self._journal.is_saved:
                logger.error("room %s: closed before its edits were on this machine's disk", self.room)
        if self.pending and self._acknowledges and self._file is None:
            logger.warning(
                "room %s: closed with %d local updates that the server has not acknowledged; "
                "give connect() a directory to keep such edits",
                self.room,
                self.pending,
            )

    async def _durable_if_reachable(self) -> None:
        durable = asyncio.create_task(self.durable())
        unreachable = asyncio.create_task(self._unreachable.wait())
        try:
            await asyncio.wait((durable, unreachable), return_when=asyncio.FIRST_COMPLETED)
        finally:
            durable.cancel()
            unreachable.cancel()
            await asyncio.gather(durable, unreachable, return_exceptions=True)

    # State ------------------------------------------------------------------------------------------------------

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk; offline it waits for the server.

        Raises: ComityError, if the server refused the replica for good, or one of the edits (once for each refusal),
            or the replica was closed; ConnectionFailedError, if the server is one that acknowledges nothing;
            TransactionError, while a transaction is under way, whose edits nobody has yet.
        """
        self._check_no_transaction()
        if self.pending:
            self._raise_error()
            if not self._acknowledges:
                raise self._no_acknowledgements()
        await self._outstanding.durable()

    async def saved(self) -> None:
        """Return once every edit so far is in the local file; at once if there is none.

        Raises: StorageError, if it cannot be written; TransactionError, while a transaction is under way.
        """
        self._check_no_transaction()
        if self._journal is not None:
            await self._journal.flush()

    def changes(self, convert: Callable[[Change], Change | None]) -> AsyncIterator[Change]:
        """Iterate over the typed changes from this call on, each converted, or left out as None.

        It ends when the replica is closed.

        Raises: ComityError, in the iteration, if the server refused the replica for good, or the room was erased.
        """
        stream = ChangeStream(self.document, convert)
        if self._refused is not None or self.document.is_closed:
            stream.end(self._refused)
        self._streams.add(stream)
        return stream

    def on_refused(self, listener: Callable[[ComityError], object]) -> Callable[[], None]:
        """Call a listener if the server will not have this replica any more, at once if so; returns how to stop it."""
        if self._refused is not None:
            listener(self._refused)
        return self._refusals.add(listener)

    def _end_changes(self, error: ComityError) -> None:
        self._refused = error
        for stream in list(self._streams):
            stream.end(error)
        self._refusals.call(error)

    @contextmanager
    def offline(self) -> Generator[None]:
        """Work without the server inside the block, and come back after it, or after the last of several."""
        self._offline_blocks += 1
        try:
            self._online.clear()
            self._cut()
            yield
        finally:
            self._offline_blocks -= 1
            if not self._offline_blocks:
                self._online.set()

    # Local edits ------------------------------------------------------------------------------------------------

    def _committed(self, commit: Commit) -> None:
        if commit.local:
            self._outstanding.take_in(commit, unsent=self._connection is None, replayable=self._acknowledges)
            if not self._may_write:
                self._refuse_all()
            elif self._connection is not None:
                self._connection.send_update(commit.update)
        if self._journal is not None:
            self._journal.append(commit, self.number)

    # The connection's owner -------------------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        waits = delays()
        while True:
            await self._online.wait()
            asked = 0.0
            try:
                await self._converse()
            except ComityError as error:
                self._set_status("offline")
                self._attempted.set()
                asked = requested(error.retry_after)
                if self._is_final(error):
                    if isinstance(error, ErasedError):
                        await self._forget(error)
                    else:
                        logger.error("room %s: the server refused: %s", self.room, error)
                    self._end_changes(error)
                    raise
                logger.info("room %s: offline: %s", self.room, error)
            if self._was_live:
                self._was_live = False
                waits = delays()
            await asyncio.sleep(asked + (next(waits) if self._online.is_set() else 0.0))

    def _is_final(self, error: ComityError) -> bool:
        """Tell whether it is of no use to come back.

        It is after an erasure too, while a transaction holds on to the document: the next welcome tells of it again.
        """
        is_held = isinstance(error, ErasedError) and self.document.in_transaction
        return is_permanent(error.close_code) and not is_held

    async def _converse(self) -> None:
        self._attempted.clear()
        try:
            socket = await dial(self._url)
        except ComityError as error:
            if not self._unreachable.is_set():
                logger.warning("%s; edits wait here, and the replica goes on trying", error)
            self._unreachable.set()
            raise
        self._unreachable.clear()
        if not self._online.is_set():
            socket.transport.abort()
            return
        self._set_status("syncing")
        self._connection = Connection(self, socket)
        try:
            async with socket:
                await self._connection.run()
        finally:
            self._connection = None
            self._may_write = True  # until the next welcome says otherwise

    def welcomed(self, welcome: Welcome) -> bool:
        """Take note of a welcome; return whether the document must be replaced by the server's."""
        if self.lineage is None or not self._met:
            self.lineage = welcome.lineage
        self._other_lineage = welcome.lineage if welcome.lineage != self.lineage else None
        self._is_erased = self.lineage in welcome.erased
        self._redactions = welcome.redactions
        self._may_write = "write" in welcome.access
        self.awareness.limit = welcome.limits.get("presence", self.awareness.limit)
        self._keep_to(welcome.limits)
        if self.pending and not self._may_write:
            self._refuse_all()
        return self._must_reset or self._other_lineage is not None

    def _keep_to(self, limits: dict[str, int]) -> None:
        """Refuse at once what the server would refuse later, together with whatever was sent with it."""
        mine = self.document.limits
        self.document.limits = mine._replace(
            value_bytes=min(mine.value_bytes, limits.get("value", mine.value_bytes)),
            name_bytes=min(mine.name_bytes, limits.get("name", mine.name_bytes)),
        )

    def went_live(self, acknowledges: bool) -> None:
        """Both sides have what the other had."""
        if not self._online.is_set():
            return  # the connection was cut, what it still says is late
        self._acknowledges = acknowledges
        if not acknowledges:
            self._outstanding.fail(self._no_acknowledgements())
        self._was_live = True
        if self._journal is not None:
            self._journal.redact(self._redactions, self.number)
        self._set_status("live")

    def acknowledged(self, number: int) -> None:
        """The local updates up to a number are on the server's disk."""
        self._outstanding.acknowledge(number)
        if self._journal is not None:
            self._journal.acknowledge(number)

    def rejected(self, after: int, number: int, error: ComityError) -> None:
        """The local updates after one number, up to another, were refused: take them back."""
        logger.error("room %s: the server refused an edit: %s", self.room, error)
        self._outstanding.refuse(after, number, error)
        self._must_reset = True
        if self._journal is not None:
            self._journal.refuse(after, number)
        self._cut()

    def _cut(self) -> None:
        self._set_status("offline")
        self._attempted.set()
        if self._connection is not None:
            self._connection.drop()

    def _refuse_all(self) -> None:
        """Take back every edit that is not on the server: it lets this agent only read."""
        error = ForbiddenError("read only", subject=f"room {self.room!r}", remedy="ask for the right to write")
        self.rejected(0, self.number, error)
        self._outstanding.settle()
