"""The server as a program that was written for pycrdt-websocket knows it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from logging import Logger, getLogger
from types import TracebackType
from typing import NoReturn, Self

from pycrdt import Channel

from comity.crdt_types.errors import ComityError, RoomError, RoomNotFoundError, StartError

from ..app import App
from ..settings import Settings
from .waiting import finish
from .yroom import ExceptionHandler, ProviderFactory, TaskStatus, YRoom, stopped


class WebsocketServer:
    """Rooms of Comity, served to channels.

    The room that a path names is called like it, without the slash that it begins with: a channel at ``/notes`` and a
    WebSocket of the application at ``/ws/notes`` are in one room.

    Args:
        rooms_ready: whether clients may sync with a room as soon as it is opened.
        auto_clean_rooms: whether a room is closed when its last client leaves. What is in it stays on disk.
        exception_handler: called with errors and the log; tells whether the error is handled.
        log: where errors go that nobody handled.
        provider_factory: makes a provider for each room that is opened.
        app: an application that is open, to share its rooms; by default one of the server's own, with settings from the
            environment.

    Attributes:
        rooms: the rooms by the names that they were asked for.
        started: set while the server runs.
    """

    def __init__(
        self,
        rooms_ready: bool = True,
        auto_clean_rooms: bool = True,
        exception_handler: ExceptionHandler | None = None,
        log: Logger | None = None,
        provider_factory: ProviderFactory | None = None,
        *,
        app: App | None = None,
    ) -> None:
        self.rooms_ready = rooms_ready
        self.auto_clean_rooms = auto_clean_rooms
        self.exception_handler = exception_handler
        self.log = log or getLogger(__name__)
        self.provider_factory = provider_factory
        self.rooms: dict[str, YRoom] = {}
        self.started = asyncio.Event()
        self._app = App(Settings()) if app is None else app
        self._owns_app = app is None
        self._expected: Counter[str] = Counter()  # those who are about to be in a room, by its name
        self._running: dict[YRoom, asyncio.Task[None]] = {}
        self._names: dict[YRoom, str] = {}  # of those
        self._stack: AsyncExitStack | None = None
        self._stopped = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._stack is not None

    async def __aenter__(self) -> Self:
        """Start the server. Raises StartError, StorageError."""
        if self.running:
            raise StartError("already running", subject="WebsocketServer")
        self._stopped.clear()
        self._failure = None
        async with AsyncExitStack() as stack:
            if self._owns_app:
                await stack.enter_async_context(self._app)
            await stack.enter_async_context(self._watching())
            stack.push_async_callback(self._stop_rooms)
            self._stack = stack.pop_all()
        self.started.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server, if it still runs."""
        await finish(self._closed())  # also when uvicorn passes on an interrupt after it has served, which is now

    async def start(self, *, task_status: TaskStatus | None = None) -> None:
        """Start the server, and return when it is stopped. Raises StorageError, when nothing can be stored any more."""
        async with self:
            if task_status is not None:
                task_status.started()
            await self._stopped.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """Send every client away, and return when everything is on disk. Raises StartError."""
        if not self.running:
            raise self._not_running()
        await asyncio.shield(self._closed())  # not to its end: a client's message may have led here, and ends with it

    async def serve(self, websocket: Channel) -> None:
        """Serve a client until its channel ends, in the room that its path names; see ``YRoom.serve``.

        Raises: StartError, when the server does not run.
        """
        if not self.running:
            raise self._not_running()
        try:
            with self._expecting(websocket.path):
                room = await self.get_room(websocket.path)
            try:
                await room.serve(websocket)
            finally:
                await self._clean(room)
        except Exception as error:
            self._handle(error)

    async def get_room(self, name: str) -> YRoom:
        """Return the room of a name, opened if need be.

        Raises: StartError, RoomNotFoundError, DrainingError, StorageError.
        """
        is_new = name not in self.rooms
        room = self.rooms[name] = self.rooms.get(name) or self._new_room(name)
        try:
            await self.start_room(room)
        except BaseException:
            if is_new and room not in self._running and self.rooms.get(name) is room:
                del self.rooms[name]
            raise
        return room

    async def start_room(self, room: YRoom) -> None:
        """Open a room that is among ``rooms``, once however many ask; do nothing if it is open.

        Raises: StartError, RoomNotFoundError, DrainingError, StorageError.
        """
        if not self.running:
            raise self._not_running()
        if room.started.is_set():
            return
        if room not in self._running:
            name = self._names[room] = self.get_room_name(room)
            room.bind(self._app.hub, name.removeprefix("/"))
            self._running[room] = task = asyncio.create_task(room.start())
            task.add_done_callback(partial(self._ended, room))
        await self._opened(room, self._running[room])

    def get_room_name(self, room: YRoom) -> str:
        """Return the name that a room has in ``rooms``. Raises RoomNotFoundError, if it is not there."""
        for name, other in self.rooms.items():
            if other is room:
                return name
        raise RoomNotFoundError("not among the server's rooms", subject="YRoom", remedy="put it into server.rooms")

    def rename_room(self, to_name: str, *, from_name: str | None = None, from_room: YRoom | None = None) -> NoReturn:
        """Raise RoomError: a room is stored under its name."""
        name = from_name if from_room is None else self.get_room_name(from_room)
        raise RoomError(
            "a room is stored under its name and keeps it",
            subject=f"room {name!r}",
            remedy=f"open {to_name!r} and give it the content: other.ydoc.apply_update(room.ydoc.get_update())",
        )

    async def delete_room(self, *, name: str | None = None, room: YRoom | None = None) -> None:
        """Close a room and send its clients away; what is in it stays on disk.

        Raises: RoomNotFoundError, if there is no such room, or not just one of name and room is given.
        """
        if (name is None) == (room is None):
            raise RoomNotFoundError("which one to close is not clear", subject="room", remedy="give a name or a room")
        if name is None:
            assert room is not None
            name = self.get_room_name(room)
        if name not in self.rooms:
            raise RoomNotFoundError("not open", subject=f"room {name!r}", remedy="see server.rooms")
        await self._stop_room(self.rooms.pop(name))

    def _new_room(self, name: str) -> YRoom:
        factory = self.provider_factory
        return YRoom(
            ready=self.rooms_ready,
            exception_handler=self.exception_handler,
            log=self.log,
            provider_factory=None if factory is None else partial(factory, path=name),
        )

    async def _opened(self, room: YRoom, task: asyncio.Task[None]) -> None:
        started = asyncio.create_task(room.started.wait())
        try:
            await asyncio.wait((started, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
        if task.done():
            task.result()
            raise stopped()

    def _ended(self, room: YRoom, task: asyncio.Task[None]) -> None:
        del self._running[room], self._names[room]
        if not task.cancelled() and task.exception() is not None and room.failure is not None:
            self.log.error("a room ended with an error", exc_info=room.failure)

    @contextmanager
    def _expecting(self, name: str) -> Generator[None]:
        """Keep a room that somebody is about to enter from being closed behind another."""
        self._expected[name] += 1
        try:
            yield
        finally:
            self._expected[name] -= 1
            if not self._expected[name]:
                del self._expected[name]

    async def _clean(self, room: YRoom) -> None:
        """Close a room that nobody is in any more."""
        name = self._names.get(room)
        if name is None or self.rooms.get(name) is not room or room.clients or self._expected[name]:
            return
        if self.auto_clean_rooms:
            await self.delete_room(name=name)

    async def _stop_room(self, room: YRoom) -> None:
        task = self._running.get(room)
        if task is not None:
            room.end(stopped())
            await asyncio.wait((task,))
        elif room.started.is_set():  # by somebody else
            await room.stop()

    def _closed(self) -> asyncio.Task[None]:
        if self._stack is not None or self._closing is None:
            self._closing = asyncio.create_task(self._close(self._stack))
            self._stack = None
            self.started.clear()
        return self._closing

    async def _close(self, stack: AsyncExitStack | None) -> None:
        try:
            if stack is not None:
                await stack.aclose()
        finally:
            self._stopped.set()

    async def _stop_rooms(self) -> None:
        rooms = {*self.rooms.values(), *self._running}
        self.rooms.clear()
        await asyncio.gather(*(self._stop_room(room) for room in rooms))

    @asynccontextmanager
    async def _watching(self) -> AsyncGenerator[None]:
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _watch(self) -> None:
        """Send everyone away when nothing can be stored any more."""
        error = await self._app.wait_stopped()
        self._failure = None if self._is_handled(error) else error
        if self._owns_app:
            self._app.dismiss(error)
        for room in tuple(self._running):
            room.end(error)
        self._stopped.set()

    def _not_running(self) -> StartError:
        return StartError("not running", subject="WebsocketServer", remedy="use `async with server:`")

    def _handle(self, error: Exception) -> None:
        if self._is_handled(error):
            return
        if self.exception_handler is not None or not isinstance(error, ComityError):
            raise error
        self.log.warning("a client was sent away: %s", error)

    def _is_handled(self, error: Exception) -> bool:
        return self.exception_handler is not None and self.exception_handler(error, self.log)


def exception_logger(exception: Exception, log: Logger) -> bool:
    """Log an error, and call it handled."""
    log.error("WebsocketServer exception", exc_info=exception)
    return True
