"""The stock provider of y-websocket, in a Node process of its own."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from .optional import ROOT, require_path, require_tool
from .waiting import DEADLINE

FOLDER: Final = ROOT / "tests" / "js"
UNKNOWN: Final = {"connected": False, "synced": False, "agents": [], "text": "", "list": [], "map": {}, "lanes": 0}


class Node:
    """What a Node process tells of its document, and the way to edit it.

    Attributes:
        now: the latest that it told: connected, synced, agents, and the contents text, list, map.
    """

    def __init__(self, process: Process) -> None:
        self.now: dict[str, Any] = {**UNKNOWN}
        self._process = process
        self._changed = asyncio.Condition()

    async def do(self, method: str, *values: Any) -> None:
        """Have it call one of the methods in provider.mjs."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([method, *values]).encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, condition: Callable[[dict[str, Any]], object], within: float = DEADLINE) -> None:
        """Return once what it tells meets a condition."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: condition(self.now))
        except TimeoutError:
            raise AssertionError(f"did not come to hold within {within:.0f} s: {self.now}") from None

    async def listen(self) -> None:
        """Take in what it tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._changed:
                self.now = json.loads(line)
                self._changed.notify_all()


@asynccontextmanager
async def running_node(program: str, needs: str, *arguments: str) -> AsyncGenerator[Node]:
    """Run a program of tests/js while the context lasts; give up the test without Node, or what it needs installed."""
    node = require_tool("node")
    require_path(FOLDER / "node_modules" / needs, "scripts/setup dev installs it")
    process = await asyncio.create_subprocess_exec(node, str(FOLDER / program), *arguments, stdin=PIPE, stdout=PIPE)
    peer = Node(process)
    listener = asyncio.create_task(peer.listen())
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listener


@asynccontextmanager
async def stock_provider(url: str, room: str) -> AsyncGenerator[Node]:
    """Run a `WebsocketProvider` on a room of the server at a ``ws://`` address; give up the test without Node."""
    async with running_node("provider.mjs", "y-websocket", f"{url}/ws", room) as node:
        yield node
