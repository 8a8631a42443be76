"""Servers for tests: a real child process, or one in the test's own loop whose rooms can be looked into."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from comity.persistence.store import Store
from comity.server.app import App
from comity.server.rooms.hub import Hub
from comity.server.serving import listener, running
from comity.server.settings import Settings

from .optional import ROOT

START_SECONDS: Final = 30.0  # two busy cores, and an interpreter that reads everything from a cold disk
STOP_SECONDS: Final = 30.0
_ADDRESS: Final = re.compile(r"ws://\S+:(\d+)")


class Ended(NamedTuple):
    """What a process that ended left behind."""

    exit_code: int
    output: str
    errors: str


class ServerProcess:
    """``comity serve`` as a child process on a free port, which it keeps over restarts.

    Args:
        data: its data directory.
        settings: other settings, by name.
    """

    def __init__(self, data: Path, settings: dict[str, Any]) -> None:
        self._data = data
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.errors = ""

    @property
    def url(self) -> str:
        """Its WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        """Its HTTP address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    async def start(self) -> None:
        """Start it and wait until it listens."""
        arguments = ["--port", str(self.port), "--data", str(self._data)]
        self._process = await spawn(*arguments, **self._settings)
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            async for line in self._process.stdout:
                if found := _ADDRESS.search(line.decode()):
                    self.port = int(found[1])
                    return
        raise AssertionError(f"the server did not start: {await self._end()}")

    async def stop(self) -> int:
        """Interrupt it, wait for its end, and return its exit code."""
        return await self._signal(signal.SIGINT)

    async def kill(self) -> None:
        """Kill it without a chance to do anything."""
        await self._signal(signal.SIGKILL)

    async def restart(self) -> None:
        """Start it again on the port it had, stopping it first if it runs."""
        if self._process is not None:
            await self.stop()
        await self.start()

    async def wait(self) -> int:
        """Wait until it ends by itself, and return its exit code."""
        return (await self._end()).exit_code

    async def close(self) -> None:
        """End it if it still runs."""
        if self._process is not None:
            await self.kill()

    async def _signal(self, number: signal.Signals) -> int:
        self._running().send_signal(number)
        return (await self._end()).exit_code

    async def _end(self) -> Ended:
        process, self._process = self._running(), None
        ended = await end_of(process)
        self.errors = ended.errors
        return ended

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "the server is not running"
        return self._process


async def spawn(*arguments: str, **settings: Any) -> asyncio.subprocess.Process:
    """Start ``comity serve`` with these arguments, and settings in its environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
    environment |= {f"COMITY_{name.upper()}": str(value) for name, value in settings.items()}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comity", "serve", *arguments),
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def end_of(process: asyncio.subprocess.Process) -> Ended:
    """Wait for the end of a process; one that does not end is killed, and fails the test."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        output, errors = await process.communicate()
        raise AssertionError(f"the server did not end: {output.decode()}{errors.decode()}") from None
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), errors.decode())


async def refused_start(*arguments: str, **settings: Any) -> Ended:
    """Run ``comity serve`` with arguments that it should refuse, and return how it ended."""
    return await end_of(await spawn(*arguments, **settings))


@asynccontextmanager
async def running_server(data: Path, *, at: int = 0, **settings: Any) -> AsyncGenerator[ServerProcess]:
    """Run ``comity serve`` on a port, or on a free one, while the context lasts."""
    server = ServerProcess(data, settings)
    server.port = at
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class ServerHere(NamedTuple):
    """A server in the test's own loop."""

    app: App
    port: int

    @property
    def hub(self) -> Hub:
        """Its rooms."""
        return self.app.hub

    @property
    def url(self) -> str:
        """Its WebSocket address."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        """Its HTTP address."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def in_process_server(data: Path, store: Store | None = None, **settings: Any) -> AsyncGenerator[ServerHere]:
    """Serve in the test's own loop while the context lasts, and drain at its end."""
    chosen = Settings(port=0, data=data, **settings)
    with listener(chosen) as listening:
        async with App(chosen, store) as app, running(app, listening):
            yield ServerHere(app, listening.getsockname()[1])
            await app.drain()
            await app.empty()
