"""The servers, each as a child process on a core of its own, with an empty directory to store into."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.peers.dialects import COMITY_V1, HOCUSPOCUS, PLAIN, Dialect
from benchmarks.peers.failures import LoadError

ROOT: Final = Path(__file__).resolve().parents[2]
JS: Final = Path(__file__).resolve().parent / "js"
NODE: Final = JS / "node_modules" / "node" / "bin" / "node"

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0
_POLL: Final = 0.02

# One program on one machine is everybody here. Raised, not switched off: what a limit costs is part of the figures.
COMITY_SETTINGS: Final = {
    "address_connections": "10000",
    "connection_messages": "1000000",
    "principal_messages": "1000000",
}


class Server(NamedTuple):
    """A server that can be started: its name, how it is spoken to, its command and environment for a port and a folder.

    versions names what it consists of; note is for the reader of the table.
    """

    name: str
    dialect: Dialect
    command: Callable[[int, Path], list[str]]
    environment: Callable[[int, Path], Mapping[str, str]]
    versions: Callable[[], str]


def _package(name: str) -> str:
    return json.loads((JS / "node_modules" / name / "package.json").read_text())["version"]  # type: ignore[no-any-return]


def _told_by_node(*arguments: str | Path) -> str:
    return subprocess.run([NODE, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _node() -> str:
    return f"Node {_told_by_node('--version').lstrip('v')}"


def _hocuspocus() -> str:
    storage = _told_by_node(JS / "hocuspocus.mjs")
    return f"Hocuspocus {_package('@hocuspocus/server')} by {storage}, Yjs {_package('yjs')}, {_node()}"


def _comity(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "comity", "serve", "--port", str(port), "--data", str(folder)]


SERVERS: Final[dict[str, Server]] = {
    server.name: server
    for server in (
        Server(
            "Comity",
            COMITY_V1,
            _comity,
            lambda _port, _folder: {f"COMITY_{name.upper()}": value for name, value in COMITY_SETTINGS.items()},
            lambda: f"Comity {version('comity')}, pycrdt {version('pycrdt')}, uvicorn {version('uvicorn')}",
        ),
        Server(
            "Hocuspocus",
            HOCUSPOCUS,
            lambda port, folder: [str(NODE), str(JS / "hocuspocus.mjs"), str(port), str(folder / "hocuspocus.sqlite")],
            lambda _port, _folder: {},
            _hocuspocus,
        ),
        Server(
            "y-websocket",
            PLAIN,
            lambda _port, _folder: [str(NODE), str(JS / "node_modules" / "y-websocket" / "bin" / "server.cjs")],
            lambda port, folder: {"HOST": "127.0.0.1", "PORT": str(port), "YPERSISTENCE": str(folder)},
            lambda: f"y-websocket {_package('y-websocket')}, y-leveldb {_package('y-leveldb')}, {_node()}",
        ),
        Server(
            "pycrdt-websocket",
            PLAIN,
            lambda port, folder: [
                sys.executable,
                "-m",
                "benchmarks.peers.pycrdt_server",
                str(port),
                str(folder / "ystore.db"),
            ],
            lambda _port, _folder: {},
            lambda: f"pycrdt-websocket {version('pycrdt-websocket')}, uvicorn {version('uvicorn')}",
        ),
    )
}


class Running:
    """A server that runs.

    Args:
        server: which one.
        folder: where it stores.
        core: the processor that it has to itself; None leaves that to the system.
    """

    def __init__(self, server: Server, folder: Path, core: int | None) -> None:
        self.server = server
        self.port = 0
        self._folder = folder
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it takes connections. Raises LoadError."""
        self.port = _free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
        environment |= self.server.environment(self.port, self._folder)
        command = self.server.command(self.port, self._folder)
        with (self._folder / "errors.txt").open("ab") as errors, _on_core(self._core):
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        end = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                raise LoadError(f"{self.server.name} did not start: {self.errors()}")
            time.sleep(_POLL)

    def stop(self) -> None:
        """End it so that it can store what it has to."""
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def restart(self) -> None:
        """Stop it and start it again on what it has stored."""
        self.stop()
        self.start()

    def cpu(self) -> float:
        """Return the processor seconds that it and its children have used."""
        total = 0.0
        for process in self._tree():
            used = process.cpu_times()
            total += used.user + used.system
        return total

    def taken(self) -> float:
        """Return the processor seconds that anybody has used of its core, or, where it has none, what it used itself.

        What the system does for the network on behalf of nobody is not among them.
        """
        if self._core is None:
            return self.cpu()
        used = psutil.cpu_times(percpu=True)[self._core]
        return used.user + used.nice + used.system + used.steal

    def memory(self) -> int:
        """Return the bytes that are resident."""
        return sum(process.memory_info().rss for process in self._tree())

    def reset_peak(self) -> None:
        """Forget what `peak` was."""
        for process in self._tree():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the most bytes that were resident since `reset_peak`."""
        return sum(_high_water(process.pid) for process in self._tree())

    def check(self) -> None:
        """Raise LoadError if it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise LoadError(f"{self.server.name} ended: {self.errors()}")

    def _tree(self) -> list[psutil.Process]:
        self.check()
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def errors(self) -> str:
        """Return the end of what it has written of errors."""
        return (self._folder / "errors.txt").read_text(errors="replace")[-2000:]


@contextmanager
def running(server: Server, folder: Path, core: int | None = None) -> Generator[Running]:
    """Run a server while the context lasts. Raises LoadError."""
    process = Running(server, folder, core)
    try:
        process.start()
        yield process
    finally:
        process.stop()


@contextmanager
def _on_core(core: int | None) -> Generator[None]:
    """Let children that are started inherit a processor, from their first thread on."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]  # type: ignore[no-any-return]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _high_water(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LoadError(f"the system does not tell how much memory process {pid} had at most")
