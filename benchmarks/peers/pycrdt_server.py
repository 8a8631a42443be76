"""pycrdt-websocket with its SQLite store: ``python -m benchmarks.peers.pycrdt_server PORT DATABASE``."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvicorn
from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Store(SQLiteYStore):
    """All rooms' updates in one database."""

    db_path = sys.argv[2] if len(sys.argv) > 2 else ":memory:"


class Rooms(WebsocketServer):
    """Rooms that keep their updates, and begin with what was kept."""

    async def get_room(self, name: str) -> YRoom:
        """Return a room that has started and is loaded."""
        if name not in self.rooms:
            store = Store(name)
            room = self.rooms[name] = YRoom(ready=False, ystore=store)
            await self.start_room(room)
            await store.started.wait()
            with suppress(YDocNotFound):
                await store.apply_updates(room.ydoc)
            room.ready = True
        room = self.rooms[name]
        await self.start_room(room)
        await room.ydoc_observed.wait()
        return room


async def application(scope: Any, receive: Receive, send: Send) -> None:
    """Serve rooms over WebSocket, from the start of the server to its end."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    else:
        await _asgi(scope, receive, send)


_rooms = Rooms()
_asgi = ASGIServer(_rooms)


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    async with _rooms:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(application, port=int(sys.argv[1]), loop="uvloop", log_level="error", access_log=False)
