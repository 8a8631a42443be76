"""A stock Yjs server of another make, for what a client does with one that knows no comity.v1."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from pycrdt.websocket import ASGIServer, WebsocketServer

from .waiting import eventually


@asynccontextmanager
async def stock_server() -> AsyncGenerator[str]:
    """Run pycrdt-websocket's own server in this loop, and yield its address."""
    async with WebsocketServer(auto_clean_rooms=False) as rooms:
        config = uvicorn.Config(ASGIServer(rooms), ws="websockets-sansio", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await eventually(lambda: server.started)
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            await serving
