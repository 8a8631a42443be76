"""A replica: one room's document in this process, usable at once, kept in step with a server whenever there is one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pycrdt

from comity.crdt_types import Change, Commit, StateDocument
from comity.crdt_types.awareness import Awareness
from comity.crdt_types.edits import REPLAYABLE, Edit, EditLog
from comity.crdt_types.errors import ComityError, ConnectionFailedError, ForbiddenError, is_permanent
from comity.crdt_types.replication import Status
from comity.crdt_types.wire import Welcome

from .backoff import delays
from .changestream import ChangeStream
from .connection import Connection, dial, room_url
from .journal import Journal
from .localfile import LocalFile
from .milestone import Milestone

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
        self.number = 0
        self.unmerged: list[Edit] = []
        self.document = StateDocument(agent=agent)
        self.awareness = Awareness(self.document.client_id, {"agent": agent, "kind": "agent"})
        self._url = room_url(url, room, agent)
        self._directory = directory
        self._status: Status = "offline"
        self._status_listeners: list[Callable[[Status], object]] = []
        self._live = asyncio.Event()
        self._online = asyncio.Event()
        self._online.set()
        self._durable = Milestone()
        self._acknowledges = True
        self._met = False  # whether the document has had anything in common with the room of its lineage
        self._other_lineage: str | None = None
        self._rebase = False
        self._may_write = True
        self._refusal: tuple[int, ComityError] | None = None
        self._unreachable = asyncio.Event()  # the last attempt to connect failed
        self._edits = EditLog()
        self._connection: Connection | None = None
        self._file: LocalFile | None = None
        self._journal: Journal | None = None
        self._streams: list[ChangeStream] = []
        self._stack = AsyncExitStack()

    # Lifetime ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self._directory is not None:
                await self._restore(stack, self._directory)
            self.document.on_commit(self._committed)
            self._own(stack, self._stay_connected())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self._finish()
        finally:
            await self._stack.aclose()
            for stream in self._streams:
                stream.end()
            self._set_status("offline")

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
        for number, edit in kept.edits:
            self._edits.add(number, edit, unsent=True)
        self.number, self.lineage = kept.number, kept.lineage
        self._met = kept.lineage is not None
        self._durable.advance(kept.acknowledged)
        size = sum(map(len, kept.updates))
        self._journal = Journal(file, self.document_state, self._edits.in_order, size)
        self._own(stack, self._journal.run())

    async def _finish(self) -> None:
        """Give what is under way a moment to arrive, and say so if it did not."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.saved()
                if self._online.is_set() and self._acknowledges:
                    await self._durable_if_reachable()
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
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        return self.number - self._durable.value

    def document_state(self) -> bytes:
        """Return the whole document as one Yjs update."""
        return self.document.update_since()

    def on_status(self, listener: Callable[[Status], object]) -> Callable[[], None]:
        """Call a listener whenever the status changes; returns how to stop it."""
        self._status_listeners.append(listener)
        return lambda: self._status_listeners.remove(listener)

    def _set_status(self, status: Status) -> None:
        if status == self._status:
            return
        self._status = status
        if status == "live":
            self._live.set()
        else:
            self._live.clear()
        for listener in tuple(self._status_listeners):
            listener(status)

    async def synced(self) -> None:
        """Return once the replica is live: everything that the server had is here.

        Raises: ComityError, if the server refused the replica for good.
        """
        while self._status != "live":
            self._raise_error()
            await self._live.wait()
        self._raise_error()

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk; offline it waits for the server.

        Raises: ComityError, if the server refused the replica for good, or one of the edits; ConnectionFailedError,
            if the server is one that acknowledges nothing.
        """
        if self._refusal is not None and self.number <= self._refusal[0]:
            raise self._refusal[1]
        if self.pending:
            self._raise_error()
            if not self._acknowledges:
                raise self._no_acknowledgements()
            await self._durable.reached(self.number)

    async def saved(self) -> None:
        """Return once every edit so far is in the local file; at once if there is none.

        Raises: StorageError, if it cannot be written.
        """
        if self._journal is not None:
            await self._journal.flush()

    def changes(self, convert: Callable[[Change], Change]) -> AsyncIterator[Change]:
        """Iterate over the typed changes from this call on, each converted; it ends when the replica is closed."""
        stream = ChangeStream(self.document, convert)
        self._streams = [known for known in self._streams if not known.ended]
        self._streams.append(stream)
        return stream

    @contextmanager
    def offline(self) -> Generator[None]:
        """Work without the server inside the block, and come back after it."""
        self._online.clear()
        self._set_status("offline")
        if self._connection is not None:
            self._connection.drop()
        try:
            yield
        finally:
            self._online.set()

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _fail(self, error: ComityError) -> None:
        self.error = error
        self._durable.fail(error)
        self._live.set()  # wakes those who wait in synced(), who find the error

    def _no_acknowledgements(self) -> ConnectionFailedError:
        return ConnectionFailedError(
            "the server acknowledges no edits", subject=self._url, remedy="durable() needs a Comity server"
        )

    # Local edits ------------------------------------------------------------------------------------------------

    def _committed(self, commit: Commit) -> None:
        if commit.local:
            self.number += 1
            for edit in commit.edits:
                self._edits.add(self.number, edit, unsent=self._connection is None)
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
            try:
                await self._converse()
            except ComityError as error:
                was_live = self._status == "live"
                self._set_status("offline")
                if is_permanent(error.close_code):
                    logger.error("room %s: the server refused: %s", self.room, error)
                    raise
                logger.info("room %s: offline: %s", self.room, error)
                waits = delays() if was_live else waits
                await asyncio.sleep(next(waits))

    async def _converse(self) -> None:
        try:
            socket = await dial(self._url)
        except ComityError:
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

    async def welcomed(self, welcome: Welcome) -> bool:
        """Take note of a welcome; return whether the document must be replaced by the server's."""
        if self.lineage is None or not self._met:
            self.lineage = welcome.lineage
        self._other_lineage = welcome.lineage if welcome.lineage != self.lineage else None
        self._may_write = "write" in welcome.access
        if self.pending and not self._may_write:
            self._refuse_all()
        return self._rebase or self._other_lineage is not None

    async def meet(self) -> None:
        """Remember the room's lineage: from now on this document and the room's have something in common.

        Not before, since a room that nobody has written to has another lineage whenever the server loads it.
        """
        if self._met:
            return
        self._met = True
        if self._file is not None and self.lineage is not None:
            await self._file.adopt(self.lineage)

    async def reset(self, update: bytes) -> None:
        """Take the server's document in place of this one, and make the unacknowledged typed edits again on it.

        What cannot be made again is kept in `unmerged`; a local file of another lineage is set aside first.
        """
        if self._file is None or self._journal is None:
            self._start_over(update)
            return
        async with self._journal.lock:
            if self._other_lineage is not None:
                kept = await self._file.copy_aside()
                logger.warning("room %s: its history is another one now; the old replica is in %s", self.room, kept)
            self._start_over(update)
            await self._journal.rewrite(self.number, self.lineage)

    def _start_over(self, update: bytes) -> None:
        edits = self._edits.in_order()
        self._edits.clear()
        self.document.reset(update)
        self.awareness.move(self.document.client_id)
        with self.document.transaction():
            for _number, edit in edits:
                self._replay(edit)
        self.lineage = self._other_lineage or self.lineage
        self._met = True
        self._rebase = False

    def _replay(self, edit: Edit) -> None:
        if edit.operation in REPLAYABLE:
            self.document.replay(edit)
        else:
            self.unmerged.append(edit)
            logger.warning("room %s: an edit of %s could not be made again and is kept", self.room, edit.field)

    def went_live(self, acknowledges: bool) -> None:
        """Both sides have what the other had."""
        if not self._online.is_set():
            return  # the connection was cut, what it still says is late
        self._acknowledges = acknowledges
        if not acknowledges:
            self._durable.fail(self._no_acknowledgements())
        self._set_status("live")

    def acknowledged(self, number: int) -> None:
        """The local updates up to a number are on the server's disk."""
        self._edits.forget(number)
        self._durable.advance(number)
        if self._journal is not None:
            self._journal.acknowledge(number)

    def rejected(self, after: int, number: int, error: ComityError) -> None:
        """The local updates after one number, up to another, were refused: take them back."""
        logger.error("room %s: the server refused an edit: %s", self.room, error)
        self.unmerged.extend(self._edits.take(after, number))
        self._refusal = (number, error)
        self._rebase = True
        self._durable.fail(error, number)
        if self._connection is not None:
            self._connection.drop()

    def _refuse_all(self) -> None:
        """Take back every edit that is not on the server: it lets this agent only read."""
        error = ForbiddenError("read only", subject=f"room {self.room!r}", remedy="ask for the right to write")
        self.rejected(0, self.number, error)
        self._durable.advance(self.number)
