"""A whole server without sockets, for fuzzing: one client says what it is told to, and a witness must not suffer.

The first byte says who the client is, the rest is what it says: each message has two bytes of length before it.
"""

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from comity.crdt_types.wire import STEP1, SUBPROTOCOL, UPDATE, encode_sync
from comity.persistence.memory import MemoryStore
from comity.server.app import App
from comity.server.rooms.document import restore
from comity.server.settings import Settings
from tests.support.arena import assert_alike

ROOM: Final = "fuzz"
# An insert of "x" into the root text "w", by a client of its own.
EDIT: Final = b"\x01\x01\xc1\x84\x3d\x00\x04\x01\x01\x77\x01\x78\x00"
CODES: Final = (4400, 4413, 4529)
MAX_UPDATES: Final = 200  # of a room before it is left for a new one


class Client:
    """One connection, as an ASGI server hands it to the application.

    Attributes:
        sent: what the application sent.
    """

    def __init__(self, app: App, room: str, *, is_comity: bool) -> None:
        self.sent: list[dict[str, Any]] = []
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._events.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": f"/ws/{room}",
            "query_string": b"agent=fuzz",
            "headers": [(b"host", b"127.0.0.1")],
            "subprotocols": [SUBPROTOCOL] if is_comity else [],
            "client": ("127.0.0.1", 5),
        }
        self._serving = asyncio.ensure_future(app(scope, self._events.get, self._send))

    def say(self, message: bytes | str) -> None:
        """Send a message."""
        self._events.put_nowait(
            {"type": "websocket.receive", "bytes" if isinstance(message, bytes) else "text": message}
        )

    async def leave(self) -> None:
        """Leave, and wait until the server is done with it."""
        self._events.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(20):
            await self._serving

    @property
    def closed(self) -> int | None:
        """The code that the application closed the connection with, if it did."""
        return next((event["code"] for event in self.sent if event["type"] == "websocket.close"), None)

    async def _send(self, event: Any) -> None:
        self.sent.append(event)


class Arena:
    """A server, and the rooms that are used up one after the other."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._store = MemoryStore()
        self._app = App(Settings(data=Path("unused"), idle_seconds=0), self._store)
        self._number = 0
        self.loop.run_until_complete(self._app.__aenter__())

    async def converse(self, data: bytes) -> None:
        """Let a client say something, and assert that nobody suffers."""
        app, room = self._app, f"{ROOM}/{self._number}"
        witness, client = Client(app, room, is_comity=True), Client(app, room, is_comity=bool(data[:1] and data[0] & 1))
        for message in _said(data):
            client.say(message)
        await client.leave()
        witness.say(encode_sync(UPDATE, EDIT))
        witness.say(encode_sync(STEP1, b"\x00"))
        await witness.leave()
        assert witness.closed is None
        assert client.closed is None or client.closed in CODES, client.closed
        await self._assert_stored(room)

    async def _assert_stored(self, name: str) -> None:
        await self._app.archive.flush()
        loaded = await self._store.load(name)
        assert loaded is not None
        stored = restore(name, loaded)
        room = next((room for room in self._app.hub.rooms if room.name == name), None)
        if room is not None:
            await room.sound()
            assert_alike(room.contents.document, stored)
        if loaded.seq > MAX_UPDATES:
            self._number += 1


def _said(data: bytes) -> list[bytes]:
    messages, at = [], 1
    while at + 2 <= len(data):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        messages.append(data[begin:at])
    return messages


@lru_cache(maxsize=1)
def _arena() -> Arena:
    return Arena()


def converse(data: bytes) -> None:
    """Let a client say something to a server that lasts as long as the process."""
    arena = _arena()
    arena.loop.run_until_complete(arena.converse(data))
