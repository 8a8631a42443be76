"""A network between one client and a server that holds back what the server tells of the document."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from comity.crdt_types.wire import SUBPROTOCOL, SYNC, UPDATE

HELD = bytes((SYNC, UPDATE))


class Gate:
    """Lets everything by at once, except updates to the client: these wait, in order, until they are let by one by one.

    Real networks delay the whole connection. Here the acknowledgements of the client's own edits overtake the edits of
    others, which makes no difference to the client, and lets a test decide how concurrent two clients are.

    Attributes:
        url: where the client connects to.
    """

    def __init__(self, server: str) -> None:
        self.url = ""
        self._server = server
        self._held: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._client: ServerConnection

    async def let_by(self) -> None:
        """Let the next update by, once there is one."""
        await self._client.send(await self._held.get())

    async def handle(self, client: ServerConnection) -> None:
        """Carry one connection."""
        assert client.request is not None
        url = self._server + client.request.path
        async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None, max_size=None) as server:
            self._client = client
            down = asyncio.create_task(self._down(server))
            try:
                async for message in client:
                    await server.send(message)
            finally:
                down.cancel()
                await asyncio.wait([down])

    async def _down(self, server: ClientConnection) -> None:
        async for message in server:
            if message[:2] == HELD:
                self._held.put_nowait(message)
            else:
                await self._client.send(message)
        await self._client.close(server.close_code or 1001, server.close_reason or "")


@asynccontextmanager
async def gate(server: str) -> AsyncGenerator[Gate]:
    """Open a gate before a server, given by its ``ws://`` address, for one client."""
    each = Gate(server)

    async def handle(client: ServerConnection) -> None:
        try:
            await each.handle(client)
        except ConnectionClosed:
            return  # the client has gone

    subprotocols = [Subprotocol(SUBPROTOCOL)]
    async with serve(handle, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, max_size=None) as listener:
        port = next(iter(listener.sockets)).getsockname()[1]
        each.url = f"ws://127.0.0.1:{port}"
        yield each
