"""Many sessions on one server: how soon reads and writes are answered, and what each costs the server's memory.

Run ``scripts/bench sessions``. Each session is a room of its own with a client of its own that edits it at a steady
pace and waits until each edit is on the server's disk. A write is timed from the edit to its acknowledgement; a read
is the whole state asked of the server over an open connection; what a replica holds is read from memory and timed as
well. The clients share one process, which takes more of a core than the server does: what it adds is in the times.
Before that, ten agents make a thousand updates of one room at once.
"""

import argparse
import asyncio
import gc
import random
import tempfile
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from typing import Final, NamedTuple

import psutil

import comity
from benchmarks.peers.bench import allow_many_files
from comity import Counter, Log, Map, Register, SessionState, State, Tier
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server

AGENTS: Final = 10
UPDATES: Final = 1_000
SESSIONS: Final = 1_000
SECONDS: Final = 30.0
PAUSE: Final = 1.0  # seconds between two edits of a session
READERS: Final = 20  # sessions that are also read from the server, all the time, by a process of its own
READ_PAUSE: Final = 0.2  # seconds
AT_ONCE: Final = 50  # connections that are made at the same moment


class Call(State):
    """What a session holds."""

    status: Register[str]
    turn: Register[int]
    messages: Log[str]
    facts: Map[str]
    tokens: Counter


class Outcome(NamedTuple):
    """The times that were taken, in seconds, and the server's bytes per session."""

    writes: list[float]
    reads: list[float]
    local_reads: list[float]
    bytes_each: float
    cpu: float


async def together(url: str) -> float:
    """Let agents make updates of one room all at once; return the seconds until all of them are on disk."""
    async with AsyncExitStack() as stack:
        calls = [
            await stack.enter_async_context(comity.connect(url, agent=f"agent-{n}").shared("together", Call))
            for n in range(AGENTS)
        ]
        await asyncio.gather(*(call.synced() for call in calls))
        began = time.perf_counter()
        await asyncio.gather(*(_burst(call, UPDATES // AGENTS) for call in calls))
        return time.perf_counter() - began


async def _burst(call: Tier[Call], updates: int) -> None:
    for number in range(updates):
        call.state.facts[f"fact {number % 10}"] = f"{number}"
        await asyncio.sleep(0)  # an update each, not one of them all
    await call.durable()


class Load:
    """The sessions, and what was measured of them.

    Args:
        seconds: how long to measure.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self.writes: list[float] = []
        self.local_reads: list[float] = []

    async def talk(self, call: Tier[Call], number: int) -> None:
        """Edit a session at its pace, and wait for each edit."""
        await asyncio.sleep(random.random() * PAUSE)
        turn = 0
        while time.perf_counter() < self._end:
            began = time.perf_counter()
            with call.transaction():
                call.state.turn.set(turn)
                call.state.status.set("listening" if turn % 2 else "responding")
                call.state.facts[f"fact {turn % 5}"] = f"said in turn {turn} of {number}"
            await call.durable()
            ended = time.perf_counter()
            call.state.status.get("idle")
            self.local_reads.append(time.perf_counter() - ended)
            self.writes.append(ended - began)
            turn += 1
            await asyncio.sleep(max(0.0, PAUSE - (ended - began)))


async def read(url: str, seconds: float) -> list[float]:
    """Ask the server for all of some sessions, again and again; return how long each answer took."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(client: RawClient) -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            await client.sync()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(READ_PAUSE)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(url, f"session/call-{n}")) for n in range(READERS)]
        await asyncio.gather(*map(ask, clients))
    return took


def read_elsewhere(url: str, seconds: float) -> list[float]:
    """Return what `read` does, in a process of its own."""
    return asyncio.run(read(url, seconds))


@asynccontextmanager
async def opened(url: str, sessions: int) -> AsyncGenerator[list[SessionState[Call]]]:
    """Open sessions, some at once."""
    async with AsyncExitStack() as stack:
        calls: list[SessionState[Call]] = []
        for first in range(0, sessions, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, sessions))
            batch = [comity.connect(url, agent=f"agent-{n}").session(f"call-{n}", Call) for n in numbers]
            calls += await asyncio.gather(*(stack.enter_async_context(each) for each in batch))
            await asyncio.gather(*(call.synced() for call in calls[first:]))
        yield calls


async def measure(server: ServerProcess, sessions: int, seconds: float) -> Outcome:
    """Run so many sessions for some time."""
    process = psutil.Process(server.pid)
    before = process.memory_info().rss
    loop = asyncio.get_running_loop()
    async with opened(server.url, sessions) as calls:
        for call in calls:
            call.state.messages.append("hello, what can I do for you?")
        await asyncio.gather(*(call.durable() for call in calls))
        gc.collect()
        gc.freeze()  # a thousand clients in one process: going over all of them takes it a quarter of a second
        cpu = sum(process.cpu_times()[:2])
        load = Load(seconds)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            reading = loop.run_in_executor(pool, read_elsewhere, server.url, seconds)
            await asyncio.gather(*(load.talk(call, number) for number, call in enumerate(calls)))
            reads = await reading
        cpu = sum(process.cpu_times()[:2]) - cpu
        each = (process.memory_info().rss - before) / sessions
        return Outcome(load.writes, reads, load.local_reads, each, cpu / seconds)


def percentiles(seconds: list[float]) -> str:
    """Return the median, the 99th percentile and the greatest, in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1e3:9.4f} ms   p99 {cuts[98] * 1e3:9.4f} ms   max {max(seconds) * 1e3:9.3f} ms"


async def run(sessions: int, seconds: float) -> None:
    """Measure both, each on a server of its own, and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder)) as server:
            await together(server.url)  # what is slow only once
            took = await together(server.url)
            print(f"{UPDATES:,} updates of {AGENTS} agents in one room, all durable: {took * 1e3:.0f} ms", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder)) as server:
            found = await measure(server, sessions, seconds)
    print(f"{sessions:,} sessions, {len(found.writes) / seconds:,.0f} writes a second for {seconds:g} s")
    print(f"  write acknowledged   {percentiles(found.writes)}")
    print(f"  read from the server {percentiles(found.reads)}")
    print(f"  read from memory     {percentiles(found.local_reads)}")
    print(f"  server: {found.bytes_each / 1024:.1f} KB of memory each, {found.cpu:.2f} of a core")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="scripts/bench sessions", description=__doc__)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    allow_many_files()
    asyncio.run(run(options.sessions, options.seconds))


if __name__ == "__main__":
    main()
