"""A room as a program that was written for pycrdt-websocket knows it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from logging import Logger, getLogger
from types import TracebackType
from typing import Any, Protocol, Self

import pycrdt
from pycrdt import Channel

from comity.crdt_types.errors import ComityError, DrainingError, StartError

from ..rooms.hub import Hub
from .conversation import Conversation, Hooks, OnMessage, OnMessageError
from .replica import Replica
from .waiting import finish

ExceptionHandler = Callable[[Exception, Logger], bool]


class ProviderFactory(Protocol):
    """Makes a provider that keeps a room's document in sync with one elsewhere."""

    def __call__(
        self, doc: pycrdt.Doc[Any] | None = None, log: Logger | None = None, path: str | None = None
    ) -> pycrdt.Provider:
        """Return a provider for a document."""
        ...


class TaskStatus(Protocol):
    """What anyio's ``TaskGroup.start`` hands to what it starts."""

    def started(self) -> None:
        """Note that it has started."""
        ...


class YRoom:
    """A room of Comity, with a document in this process that is in step with it while the room is started.

    A room is opened by a ``WebsocketServer``: by ``get_room``, or by ``start_room`` after it was put into ``rooms``.

    Args:
        ready: whether clients may sync right away.
        ystore: must be None, since Comity stores every room itself.
        exception_handler: called with errors and the log; tells whether the error is handled.
        log: where errors go that nobody handled.
        ydoc: the document; a new one by default. What it holds is merged with what the room holds.
        provider_factory: makes a provider that runs while the room is started.

    Attributes:
        ydoc: the document. Edits of it reach the clients and the disk, and those of the clients reach it.
        awareness: the presence of the document, and of the clients.
        clients: the channels that are served.
        on_message: called with every message of a channel; tells whether to skip it.
        on_message_error: called with an error, the message that led to it and its channel; tells whether to go on.
        started: set while the room is started.
        ready_event: set once clients may sync.
        failure: what ended the room, if nobody handled it.

    Raises: StartError, if a store is given.
    """

    def __init__(
        self,
        ready: bool = True,
        ystore: object | None = None,
        exception_handler: ExceptionHandler | None = None,
        log: Logger | None = None,
        ydoc: pycrdt.Doc[Any] | None = None,
        provider_factory: ProviderFactory | None = None,
    ) -> None:
        if ystore is not None:
            raise StartError(
                "Comity stores every room itself",
                subject="ystore",
                remedy="leave it out; bring its content over once by ystore.apply_updates(room.ydoc)",
            )
        self.ydoc: pycrdt.Doc[Any] = pycrdt.Doc() if ydoc is None else ydoc
        self.ystore: None = None
        self.awareness = pycrdt.Awareness(self.ydoc)
        self.exception_handler = exception_handler
        self.provider_factory = provider_factory
        self.log = log or getLogger(__name__)
        self.clients: set[Channel] = set()
        self.on_message: OnMessage | None = None
        self.on_message_error: OnMessageError | None = None
        self.started = asyncio.Event()
        self.ready_event = asyncio.Event()
        self.ready = ready
        self.failure: Exception | None = None
        self._home: tuple[Hub, str] | None = None
        self._changing = asyncio.Lock()
        self._stack: AsyncExitStack | None = None
        self._stopped = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._ending: Exception | None = None  # what the clients are sent away with
        self._conversations: set[Conversation] = set()
        self._left = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether clients may sync; once they may, setting it changes nothing."""
        return self.ready_event.is_set()

    @ready.setter
    def ready(self, value: bool) -> None:
        if value:
            self.ready_event.set()

    def bind(self, hub: Hub, name: str) -> None:
        """Say which room of which hub it is, before it is started."""
        self._home = hub, name

    async def __aenter__(self) -> Self:
        """Start the room. Raises StartError, RoomNotFoundError, DrainingError, StorageError."""
        async with self._changing:
            if self._stack is not None:
                raise StartError("already started", subject="YRoom")
            await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the room, if it still runs."""
        await finish(self._closed())

    async def start(self, *, task_status: TaskStatus | None = None) -> None:
        """Start the room, and return when it is stopped. Raises what ended it, unless that was handled."""
        try:
            async with self:
                if task_status is not None:
                    task_status.started()
                await self._stopped.wait()
        finally:
            self._stopped.clear()
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """Send the room's clients away, and return when all edits of the document are on disk. Raises StartError."""
        if self._stack is None:
            raise StartError("not started", subject="YRoom")
        await asyncio.shield(self._closed())  # not to its end: a client's message may have led here, and ends with it

    async def serve(self, channel: Channel) -> None:
        """Serve a client until its channel ends.

        An error that ends it sooner goes to the exception handler; without one, an error of Comity's own is logged.
        Other errors, and those that the handler leaves, are raised.
        """
        hub, name = self._place()
        if not self.started.is_set():
            raise StartError("not started", subject="YRoom", remedy="await server.start_room(room) before")
        conversation = Conversation(hub, name, channel, lambda: Hooks(self.on_message, self.on_message_error))
        self._conversations.add(conversation)
        self.clients.add(channel)
        try:
            await conversation.run(self.ready_event)
        except Exception as error:
            if error is not self._ending:
                self._answer_for(error, channel)
        finally:
            self.clients.discard(channel)
            self._conversations.discard(conversation)
            self._left.set()

    def end(self, error: Exception) -> None:
        """Send the room's clients away with an error, and let ``start`` stop the room and return."""
        self._dismiss(error)
        self._stopped.set()

    def _place(self) -> tuple[Hub, str]:
        if self._home is None:
            remedy = "put it into server.rooms and await server.start_room(room)"
            raise StartError("a room of no server", subject="YRoom", remedy=remedy)
        return self._home

    def _replica(self) -> Replica:
        hub, name = self._place()
        return Replica(hub, name, self.ydoc, self.awareness, ready=self.ready_event, tell=self._tell, on_end=self._fail)

    async def _open(self) -> None:
        self.failure = self._ending = None
        replica = self._replica()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._renewing())
            await stack.enter_async_context(replica)
            await stack.enter_async_context(self._providing(self.provider_factory))
            self._stack = stack.pop_all()
        self.started.set()

    def _closed(self) -> asyncio.Task[None]:
        self._closing = asyncio.create_task(self._close())
        return self._closing

    async def _close(self) -> None:
        async with self._changing:
            stack, self._stack = self._stack, None
            if stack is None:
                return
            self.started.clear()
            self._dismiss(stopped())
            await self._emptied()
            await stack.aclose()
            self._stopped.set()
            self._stopped.clear()  # those who wait for it are on their way

    def _fail(self, error: Exception) -> None:
        self.failure = None if self._is_handled(error) else error
        self.end(error)

    def _dismiss(self, error: Exception) -> None:
        self._ending = self._ending or error
        for conversation in tuple(self._conversations):
            conversation.fail(self._ending)

    async def _emptied(self) -> None:
        while self._conversations:
            self._left.clear()
            await self._left.wait()

    @asynccontextmanager
    async def _renewing(self) -> AsyncGenerator[None]:
        """Tell the room every now and then that the document's presence is still there."""
        running = asyncio.Event()
        status = _Started(running)
        task = asyncio.create_task(self.awareness.start(task_status=status))
        task.add_done_callback(self._note)
        await running.wait()
        try:
            yield
        finally:
            await self.awareness.stop()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def _providing(self, factory: ProviderFactory | None) -> AsyncGenerator[None]:
        if factory is None:
            yield
            return
        task = asyncio.create_task(self._provide(factory))
        task.add_done_callback(self._note)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _provide(self, factory: ProviderFactory) -> None:
        async with factory(doc=self.ydoc, log=self.log):
            await asyncio.Event().wait()

    def _note(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._tell(error)

    def _answer_for(self, error: Exception, channel: Channel) -> None:
        if self._is_handled(error):
            return
        if self.exception_handler is not None or not isinstance(error, ComityError):
            raise error
        self.log.warning("a client at %s was sent away: %s", channel.path, error)

    def _tell(self, error: Exception) -> None:
        if not self._is_handled(error):
            name = None if self._home is None else self._home[1]
            self.log.error("an error in room %r", name, exc_info=error)

    def _is_handled(self, error: Exception) -> bool:
        return self.exception_handler is not None and self.exception_handler(error, self.log)


class _Started:
    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    def started(self, value: None = None) -> None:
        del value
        self._event.set()


def stopped() -> DrainingError:
    """Return the error that the clients of a room which is stopped are sent away with."""
    return DrainingError("the room was stopped", remedy="come back in a moment")
