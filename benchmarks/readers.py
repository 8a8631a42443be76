"""What a reader that holds still costs the others: their latency with and without it, side by side in one run.

Run ``python -m benchmarks.readers``. One client overwrites a value of 4 KiB 50 times a second, 100 read. For a minute
everybody reads, for the next minute one of them reads nothing. Then it wakes. The server is a process of its own; what
it keeps for the reader is what its metrics say. Exits with 1 if the reader does not converge, is sent away, or was kept
more than the bound. ``--seconds`` makes the minutes shorter; below some 25 the systems between them hold everything.
"""

import argparse
import asyncio
import re
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, NamedTuple

import psutil
import pycrdt

from benchmarks.rows import markdown
from comity.server.settings import OUTBOX_LIMIT
from tests.support.bare import upgrade
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import eventually

ROOM: Final = "shared/readers"
READERS: Final = 100
EDITS_PER_SECOND: Final = 50
SIZE: Final = 4096
# A reader's queue may go over its limit by what is on its way through the journal: here one edit or two.
BOUND: Final = OUTBOX_LIMIT + 4 * SIZE
# The system's own part of what a reader has not taken is kept small, or it would be megabytes.
WINDOW: Final = 64 * 1024
NEVER: Final = 1e6  # seconds

_STAMP: Final = re.compile(rb"@(\d{20})@")
_METRIC: Final = re.compile(r"^(comity_\w+)\{[^}]*\} (\S+)$", re.MULTILINE)


class Listener(asyncio.Protocol):
    """A reader that does nothing but look for the times at which edits were made.

    Attributes:
        seconds: how long each edit took to come.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(upgrade(f"/ws/{ROOM}"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        data = self._rest + data
        end = 0
        for found in _STAMP.finditer(data):
            self.seconds.append((now - int(found[1])) / 1e9)
            end = found.end()
        self._rest = data[max(end, len(data) - 21) :]


class Phase(NamedTuple):
    """What one part of the run came to.

    Attributes:
        edits: how many were made.
        delivered: how many came to the listeners, each counted.
        p50: of their seconds.
        p99: the same.
        cpu: the server's seconds.
        kept: the most bytes that it kept for readers.
        resident: its memory in the end.
    """

    edits: int
    delivered: int
    p50: float
    p99: float
    cpu: float
    kept: float
    resident: int


async def write(client: RawClient, edits: int) -> None:
    """Overwrite one value at a fixed pace; each says when it was made."""
    values: pycrdt.Map[Any] = client.doc.get("values", type=pycrdt.Map)
    began = time.perf_counter()
    for number in range(edits):
        await asyncio.sleep(max(0.0, began + number / EDITS_PER_SECOND - time.perf_counter()))
        before = client.doc.get_state()
        values["latest"] = f"@{time.perf_counter_ns():020}@".ljust(SIZE, "x")
        await client.update(client.doc.get_update(before))
    await client.durable()


async def metrics(server: ServerProcess) -> dict[str, float]:
    """Return the server's metrics, those of all tiers summed up."""
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.http}/metrics").read().decode())
    sums: dict[str, float] = {}
    for name, value in _METRIC.findall(page):
        sums[name] = sums.get(name, 0.0) + float(value)
    return sums


async def _most_kept(server: ServerProcess, writing: asyncio.Task[None]) -> float:
    most = 0.0
    while not writing.done():
        most = max(most, (await metrics(server))["comity_outbox_bytes"])
        await asyncio.wait((writing,), timeout=0.5)
    return most


async def measure(server: ServerProcess, writer: RawClient, listeners: list[Listener], seconds: float) -> Phase:
    """Write for some time, and return what the listeners had of it."""
    process = psutil.Process(server.pid)
    for listener in listeners:
        listener.seconds.clear()
    edits, before = round(seconds * EDITS_PER_SECOND), sum(process.cpu_times()[:2])
    writing = asyncio.create_task(write(writer, edits))
    kept = await _most_kept(server, writing)
    await writing
    # Of edits that came in one turn of the server's loop, overwritten ones are told of only once.
    await eventually(lambda: len({len(listener.seconds) for listener in listeners}) == 1)
    took = [each for listener in listeners for each in listener.seconds]
    cuts = quantiles(took, n=100)
    cpu = sum(process.cpu_times()[:2]) - before
    return Phase(edits, len(took), cuts[49], cuts[98], cpu, kept, process.memory_info().rss)


async def run(seconds: float, data: Path) -> int:
    """Run both parts, wake the reader, print what there is to say, and return the exit code."""
    # The listeners answer no pings.
    async with running_server(data, ping_interval=NEVER, ping_timeout=NEVER) as server, AsyncExitStack() as stack:
        loop = asyncio.get_running_loop()
        listeners = [Listener() for _ in range(READERS - 1)]
        for listener in listeners:
            transport, _ = await loop.create_connection(partial(_same, listener), "127.0.0.1", server.port)
            stack.callback(transport.abort)
        writer = await stack.enter_async_context(raw_client(server.url, ROOM, agent="writer"))
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        small.connect(("127.0.0.1", server.port))
        small.setblocking(False)
        still = await stack.enter_async_context(
            raw_client(server.url, ROOM, agent="still", sock=small, ping_interval=None)
        )
        await asyncio.gather(writer.sync(), still.sync())
        await measure(server, writer, listeners, min(seconds, 3))  # what is slow only once
        awake = await measure(server, writer, listeners, seconds)
        still.hold()
        held = await measure(server, writer, listeners, seconds)
        print(markdown(_HEADINGS, _lines(awake, held)))
        return await _wake(server, still, writer, held)


def _same(listener: Listener) -> Listener:
    return listener


async def _wake(server: ServerProcess, still: RawClient, writer: RawClient, held: Phase) -> int:
    before, messages, began = await metrics(server), len(still.frames), time.perf_counter()
    still.read_on()
    await still.until(lambda: still.doc.get_state() == writer.doc.get_state())
    took, after = time.perf_counter() - began, await metrics(server)
    made_up = after["comity_catch_ups_total"]
    print(
        f"\nIt held still for {held.edits} edits, {held.edits * SIZE:,} bytes. Awake, it had everything within "
        f"{took * 1e3:.0f} ms, from {len(still.frames) - messages} messages; {made_up:.0f} of them made up for what "
        f"was left out ({after['comity_catch_up_bytes_total']:,.0f} bytes)."
    )
    print(f"At most {held.kept:,.0f} bytes waited for it; the bound is {BOUND:,}.")
    is_behind = before["comity_readers_behind"] == 1
    if not is_behind:
        print("It was not behind: the run was too short to say anything of the bound.")
    return 0 if held.kept <= BOUND and after["comity_readers_behind"] == 0 else 1


_HEADINGS: Final = (f"{READERS} readers", "p50", "p99", "delivered", "server's CPU", "kept for readers", "memory")


def _lines(awake: Phase, held: Phase) -> Iterator[tuple[str, ...]]:
    for name, phase in (("all read", awake), ("one holds still", held)):
        yield (
            name,
            *(f"{seconds * 1e3:.2f} ms" for seconds in (phase.p50, phase.p99)),
            f"{phase.delivered:,}",
            f"{phase.cpu:.2f} s",
            f"{phase.kept:,.0f} bytes",
            f"{phase.resident / 2**20:.1f} MiB",
        )


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two parts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(options.seconds, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
