"""The server as one ASGI application: WebSockets on raw ASGI, everything else by Starlette."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from comity.crdt_types.errors import ComityError, DrainingError, StartError, StorageError
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

from .auth import Policy
from .backups import Backups
from .hocuspocus.connection import ROUTE as HOCUSPOCUS_ROUTE
from .hocuspocus.connection import HocuspocusConnection
from .monitoring.metrics import Metrics
from .monitoring.pulse import Pulse
from .pages import Pages, refuse
from .rooms.archive import Archive
from .rooms.hub import Hub
from .sessions.connection import ROUTE, Connection
from .settings import Settings
from .transport.admission import Gate
from .transport.origins import doorkeeper
from .transport.sockets import Receive, Scope, Send

DATABASE: Final = "comity.sqlite3"


class App:
    """Comity as an ASGI application, and an async context manager that owns the store and the rooms.

    A server that speaks ASGI's lifespan enters and leaves it by that; others enter it themselves.

    Args:
        settings: the server's settings.
        store: where rooms are kept; by default a SQLite file in the settings' data directory.

    Raises: StartError, for a store and ``backup_dir`` at once.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings: Final = settings
        database = settings.data / DATABASE
        if store is not None and settings.backup_dir is not None:
            raise StartError(
                "backups are taken of the server's own database file, and this server has another store",
                remedy="set no backup_dir",
            )
        self.archive: Final = Archive(store or SqliteStore(database, durability=settings.durability))
        self.hub: Final = Hub(self.archive, settings)
        self.gate: Final = Gate(settings, self.hub.refusals, self.hub.closes)
        self._policy = Policy(settings.anyone)
        self._doorkeeper = doorkeeper(settings.host, settings.origins, insecure=settings.insecure)
        self._pulse = Pulse()
        self._connections: set[Connection | HocuspocusConnection] = set()
        self.backups: Final = Backups(self.archive, database, settings)
        metrics = Metrics(self.hub, self._pulse, self._connections, self.backups)
        self._pages = Pages(self.hub, self._policy, metrics)
        self._left = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store and take connections. Raises StorageError."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.archive)
            await stack.enter_async_context(self.hub)
            await stack.enter_async_context(self._pulse)
            await stack.enter_async_context(self.backups)
            self._stack = stack.pop_all()
        self._pages.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring every room to rest and close the store; connections should be gone, see ``drain``."""
        self._pages.is_open = False
        await self._stack.__aexit__(kind, error, trace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        objection = self._doorkeeper.objection(scope["headers"], tells=Pages.tells(scope))
        if objection is not None and not Pages.is_open_to_all(scope):
            await refuse(scope, receive, send, 403, objection)
        elif scope["type"] == "http":
            await self._pages(scope, receive, send)
        elif scope["path"].startswith(ROUTE):
            await self._connect(Connection, scope, receive, send)
        elif scope["path"].rstrip("/") == HOCUSPOCUS_ROUTE:
            await self._connect(HocuspocusConnection, scope, receive, send)
        else:
            said = f"WebSockets are served at {ROUTE}<room>, those of Hocuspocus at {HOCUSPOCUS_ROUTE}"
            await refuse(scope, receive, send, 404, said)

    async def drain(self) -> None:
        """Send everyone away, in peace: what came in so far is committed and acknowledged first."""
        self.hub.drain()
        error = DrainingError("the server is shutting down", remedy="come back in a moment")
        for connection in self._connections:
            connection.notify(error)
        try:
            if self.archive.failed is None:  # else nothing is on its way to the disk
                await self.archive.flush()
        except StorageError as failure:
            self.dismiss(failure)
            raise
        self.dismiss(error)

    def dismiss(self, error: ComityError) -> None:
        """End every connection with an error."""
        self.hub.drain()
        for connection in self._connections:
            connection.fail(error)

    async def wait_stopped(self) -> StorageError:
        """Wait for a failure that the server cannot go on after."""
        return await self.archive.wait_stopped()

    async def empty(self) -> None:
        """Wait until no WebSocket is being served."""
        while self._connections:
            self._left.clear()
            await self._left.wait()

    async def _connect(
        self, kind: type[Connection | HocuspocusConnection], scope: Scope, receive: Receive, send: Send
    ) -> None:
        address = self.gate.forwarded(scope)
        if not self.gate.enter(address):
            await refuse(scope, receive, send, 429, "there are too many connections from your address")
            return
        await receive()  # websocket.connect
        connection = kind(self.hub, self._policy, scope, receive, send)
        self._connections.add(connection)
        self.hub.opened[connection.kind] += 1
        try:
            await connection.run()
        finally:
            self.gate.leave(address)
            self._connections.discard(connection)
            self._left.set()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            await self.__aenter__()
        except ComityError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        await self.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})
