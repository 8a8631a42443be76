"""One server process: listens, serves, and comes down in good order."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from errno import EADDRINUSE
from functools import partial
from typing import Any, Final

import uvicorn

from comity.crdt_types.errors import StartError, StorageError

from .app import App
from .settings import Settings
from .transport.admission import raise_open_files
from .transport.admitted import Admitted
from .transport.door import Door
from .transport.origins import is_loopback

# Connections that the system accepts before the loop gets to them: a thousand agents starting at once.
BACKLOG: Final = 1024
# Above its own limit the transport ends a message while it arrives, with code 1009 and no words of ours. What lies
# between the two limits is refused with 4413 and the limit.
TRANSPORT_SLACK: Final = 2
# For connections that did not go when they were sent away; uvicorn counts in whole seconds.
LAST_SECONDS: Final = 1
# What shells report of a process that an interrupt ended.
INTERRUPTED: Final = 128 + signal.SIGINT


async def serve(settings: Settings, on_started: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        settings: the server's settings.
        on_started: called with the port once connections are taken.

    Raises:
        StartError: the address cannot be listened on.
        StorageError: the data cannot be opened, or could not be written any more.
    """
    raise_open_files()
    gc.collect()
    gc.freeze()  # what is there from the start stays, and need not be looked through ever again
    with listener(settings) as listening:
        async with App(settings) as app, running(app, listening):
            asked = _catch_signals()  # before anybody learns that there is something to interrupt
            on_started(listening.getsockname()[1])
            failure = await _end(app, asked)
            await _send_away(app, failure)
            if failure is not None:
                raise failure


@asynccontextmanager
async def running(app: App, listening: socket.socket) -> AsyncGenerator[None]:
    """Serve an application that was entered, on a socket that listens, while the context lasts."""
    server = _Server(_config(app.settings, app))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await server.is_up.wait()
        yield
    finally:
        server.should_exit = True
        await serving


@contextmanager
def listener(settings: Settings) -> Generator[socket.socket]:
    """Hold the socket that the server listens on.

    Raises: StartError, if the address is taken, is none of this machine's, or would let in people nobody knows.
    """
    host, port = settings.host, settings.port
    if not is_loopback(host) and not settings.insecure:
        raise StartError(
            f"refusing to listen on {host}: anybody who reaches it could read and write every room",
            remedy="listen on 127.0.0.1, or add --insecure where only people you trust can reach it",
        )
    with _bind(host, port) as listening:
        listening.listen(BACKLOG)
        yield listening


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise StartError(str(error.strerror), subject=host, remedy="give an address of this machine") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _bind_error(host, port, error) from error
    return bound


def _bind_error(host: str, port: int, error: OSError) -> StartError:
    if error.errno == EADDRINUSE:
        return StartError(
            f"port {port} is taken by another program",
            subject=host,
            remedy="stop that one, or choose another with --port (0 takes any free one)",
        )
    return StartError(f"cannot listen on port {port}: {error.strerror}", subject=host, remedy="choose another address")


def _config(settings: Settings, app: App) -> uvicorn.Config:
    door: Any = partial(Door, app.gate)
    return uvicorn.Config(
        app,
        http=door,
        ws=Admitted,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        ws_max_size=settings.max_message * TRANSPORT_SLACK,
        ws_ping_interval=settings.ping_interval,
        ws_ping_timeout=settings.ping_timeout,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_SECONDS,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: who runs it decides when it ends."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _catch_signals() -> asyncio.Event:
    """Return the event that a signal to end sets from now on."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _on_signal, asked)
    return asked


async def _end(app: App, asked: asyncio.Event) -> StorageError | None:
    """Wait for the end: a signal, or the failure that is returned."""
    waiting = asyncio.create_task(asked.wait())
    failing = asyncio.create_task(app.wait_stopped())
    try:
        await asyncio.wait((waiting, failing), return_when=asyncio.FIRST_COMPLETED)
        return failing.result() if failing.done() else None
    finally:
        waiting.cancel()
        failing.cancel()


def _on_signal(asked: asyncio.Event) -> None:
    if asked.is_set():
        # The second time means now: whatever holds up the drain would hold up an orderly exit as well. What was
        # acknowledged is on disk.
        os._exit(INTERRUPTED)
    asked.set()


async def _send_away(app: App, failure: StorageError | None) -> None:
    """Drain within the time there is; who is still there afterwards is cut off."""
    with suppress(TimeoutError):
        async with asyncio.timeout(app.settings.drain_seconds):
            if failure is None:
                await app.drain()
            else:
                app.dismiss(failure)
            await app.empty()
