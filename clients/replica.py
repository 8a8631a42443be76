"""A replica: one room's document in this process, usable at once, kept in step with a server whenever there is one."""

import asyncio
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Self

import pycrdt

from comity.crdt_types import Change, Commit, StateDocument
from comity.crdt_types.awareness import Awareness
from comity.crdt_types.document.edits import REPLAYABLE, Edit
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ErasedError,
    ForbiddenError,
    LineageError,
    StateError,
    TransactionError,
    is_permanent,
)
from comity.crdt_types.replication import Status
from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import Welcome

from .backoff import delays, requested
from .changestream import ChangeStream
from .connection import Connection, dial, room_url
from .journal import Journal
from .localfile import LocalFile, Origin
from .outstanding import Outstanding

logger = logging.getLogger("comity")

CLOSE_TIMEOUT: Final = 5.0  # seconds that closing waits for the server to acknowledge what is still under way


class Replica:
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
        self.room = room
        self.agent = agent
        self.error: ComityError | None = None
        self.lineage: str | None = None
        self.document = StateDocument(agent=agent)
        self.awareness = Awareness(self.document.client_id, {"agent": agent, "kind": "agent"})
        self._url = room_url(url, room, agent)
        self._directory = directory
        self._status: Status = "offline"
        self._status_listeners = Callbacks()
        self._live = asyncio.Event()
        self._was_live = False  # since the last time that the server could not be reached
        self._offline_blocks = 0
        self._online = asyncio.Event()
        self._online.set()
        self._unreachable = asyncio.Event()  # the last attempt to connect failed
        self._outstanding = Outstanding()
        self._acknowledges = True
        self._may_write = True
        self._met = False  # whether the lineage is one that this document has something in common with
        self._other_lineage: str | None = None
        self._is_erased = False  # whether the room that this document has something in common with was erased
        self._redactions = 0  # how often something was taken out of the room's history
        self._must_reset = False  # the document holds what the server refused
        self._connection: Connection | None = None
        self._file: LocalFile | None = None
        self._journal: Journal | None = None
        self._streams: weakref.WeakSet[ChangeStream] = weakref.WeakSet()
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
            self._fail(error)
        elif error is not None:
            logger.error("room %s: a task of the replica failed", self.room, exc_info=error)
            self._fail(ConnectionFailedError(f"a fault in the client: {error!r}", subject=self.room))

    async def _restore(self, stack: AsyncExitStack, directory: Path) -> None:
        self._file = file = await stack.enter_async_context(LocalFile(directory, self.room))
        kept = await file.restore()
        if kept.updates:
            self.document.apply(pycrdt.merge_updates(*kept.updates))
        self._outstanding.restore(kept.edits, kept.number, kept.acknowledged)
        self.lineage = kept.lineage
        self._met = kept.lineage is not None
        self._must_reset = kept.refused
        size = sum(map(len, kept.updates))
        self._journal = Journal(file, self.document.update_since, self._outstanding.edits, size, kept.redactions)
        self._own(stack, self._journal.run())

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

    @property
    def status(self) -> Status:
        """``offline`` without a connection, ``syncing`` until both sides have what the other had, then ``live``."""
        return self._status

    @property
    def number(self) -> int:
        """The number of the last local update."""
        return self._outstanding.number

    @property
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        return self._outstanding.pending

    @property
    def unmerged(self) -> list[Edit]:
        """Edits that the server refused, or that could not be made again on another history."""
        return self._outstanding.unmerged

    def on_status(self, listener: Callable[[Status], object]) -> Callable[[], None]:
        """Call a listener whenever the status changes; returns how to stop it."""
        return self._status_listeners.add(listener)

    def _set_status(self, status: Status) -> None:
        if status == self._status:
            return
        self._status = status
        if status == "live":
            self._live.set()
        else:
            self._live.clear()
        self._status_listeners.call(status)

    async def synced(self) -> None:
        """Return once the replica is live: everything that the server had is here.

        Raises: ComityError, if the server refused the replica for good, or the replica was closed; TransactionError,
            while a transaction is under way, since what the server had waits for its end.
        """
        while self._status != "live":
            self._raise_error()
            await self._live.wait()
        self._raise_error()
        self._check_no_transaction()

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
        """
        stream = ChangeStream(self.document, convert)
        self._streams.add(stream)
        return stream

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

    def _check_no_transaction(self) -> None:
        if self.document.in_transaction:
            raise TransactionError(
                "a transaction is under way", subject=f"room {self.room!r}", remedy="await outside of it"
            )

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _fail(self, error: ComityError) -> None:
        self.error = error
        self._outstanding.fail(error)
        self._live.set()  # wakes those who wait in synced(), who find the error

    def _no_acknowledgements(self) -> ConnectionFailedError:
        return ConnectionFailedError(
            "the server acknowledges no edits", subject=self._url, remedy="durable() needs a Comity server"
        )

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
                asked = requested(error.retry_after)
                if self._is_final(error):
                    logger.error("room %s: the server refused: %s", self.room, error)
                    if isinstance(error, ErasedError):
                        await self._forget(error)
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

    async def meet(self) -> None:
        """Remember the room's lineage: from now on this document and the room's have something in common.

        Not before, since a room that nobody has written to has another lineage whenever the server loads it.
        """
        if self._met:
            return
        self._met = True
        if self._file is not None and self._journal is not None and self.lineage is not None:
            async with self._journal.lock:
                await self._file.adopt(self.lineage)

    async def reset(self, update: bytes) -> None:
        """Take the server's document in place of this one, and make the unacknowledged typed edits again on it.

        What cannot be made again is kept in `unmerged`; what a local file held of another lineage is kept beside it. Of
        a room that was erased nothing is kept or made again.

        Raises: TransactionError, while a transaction is under way; nothing is changed then.
        """
        if self._is_erased:
            error = ErasedError("the room was erased, and what was here of it", subject=f"room {self.room!r}")
            await self._forget(error, update, self._origin())
            return
        if self._file is None or self._journal is None:
            if self._other_lineage is not None:
                logger.warning("room %s: its history is another one now; the old one is gone from here", self.room)
            self._start_over(update)
            return
        async with self._journal.lock:
            is_other = self._other_lineage is not None
            before, edits = self.document.update_since(), self._outstanding.edits()
            self._start_over(update)
            if is_other:
                kept = await self._file.keep_aside(before, edits)
                logger.warning("room %s: its history is another one now; the old replica is in %s", self.room, kept)
            await self._journal.rewrite(self.number, self._origin() if is_other else None)

    def _origin(self) -> Origin | None:
        lineage = self._other_lineage or self.lineage
        return None if lineage is None else Origin(lineage, self._redactions)

    async def _forget(self, error: ErasedError, update: bytes = EMPTY_UPDATE, origin: Origin | None = None) -> None:
        """Take another document in place of this one, of which nothing is kept here or in the local file.

        Raises: TransactionError, while a transaction is under way; StorageError. Nothing is changed on disk then.
        """
        logger.warning("room %s: it was erased, and is gone from here", self.room)
        async with nullcontext() if self._journal is None else self._journal.lock:
            self.document.reset(update)
            self._outstanding.erase(error)
            self.awareness.move(self.document.client_id)
            self.lineage = None if origin is None else origin.lineage
            self._met = origin is not None
            self._must_reset = False
            if self._journal is not None:
                await self._journal.erase(self.number, origin)

    def _start_over(self, update: bytes) -> None:
        self.document.reset(update)
        edits = self._outstanding.start_over()
        self.awareness.move(self.document.client_id)
        lost = self._make_again(edits)
        self._outstanding.give_up(lost, LineageError("some edits could not be made again", subject=self.room))
        self.lineage = self._other_lineage or self.lineage
        self._met = True
        self._must_reset = False

    def _make_again(self, edits: list[Edit]) -> list[Edit]:
        """Make edits again in one transaction, and return those that could not be; all, if the schema says no to it."""
        try:
            with self.document.transaction():
                return [edit for edit in edits if not self._made_again(edit)]
        except StateError as error:
            logger.warning("room %s: the edits could not be made again: %s", self.room, error)
            return edits

    def _made_again(self, edit: Edit) -> bool:
        if edit.operation in REPLAYABLE:
            try:
                self.document.replay(edit)
            except ComityError as error:
                logger.warning("room %s: an edit of %s could not be made again: %s", self.room, edit.field, error)
            else:
                return True
        return False

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
        if self._connection is not None:
            self._connection.drop()

    def _refuse_all(self) -> None:
        """Take back every edit that is not on the server: it lets this agent only read."""
        error = ForbiddenError("read only", subject=f"room {self.room!r}", remedy="ask for the right to write")
        self.rejected(0, self.number, error)
        self._outstanding.settle()
