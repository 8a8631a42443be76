"""The whole path, client to disk to client: durable edits a second, and how soon others see an edit.

Usage: python -m benchmarks.path [--quick]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles

import comity
from comity import Counter, Map, Register, State
from tests.support.server import running_server


class Board(State):
    """What the benchmark edits."""

    status: Register[int]
    cells: Map[int]
    total: Counter


def percentiles(seconds: list[float]) -> str:
    """Return the median and the 99th percentile, in milliseconds."""
    cuts = quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1e3:7.2f} ms   p99 {cuts[98] * 1e3:7.2f} ms"


async def one_at_a_time(url: str, edits: int) -> str:
    """One client, one edit, wait until it is on disk, the next."""
    took: list[float] = []
    async with comity.connect(url, agent="writer").open("shared/single", Board) as board:
        await board.synced()
        for number in range(edits):
            started = time.perf_counter()
            board.status.set(number)
            await board.durable()
            took.append(time.perf_counter() - started)
    return f"{len(took) / sum(took):9,.0f} /s   {percentiles(took)}"


async def _write(board: Board, edits: int) -> None:
    for number in range(edits):
        board.cells[f"k{number % 50}"] = number
        if number % 100 == 99:
            await asyncio.sleep(0)  # a turn of the loop, as an agent has between its steps
    await board.durable()


async def in_bulk(url: str, clients: int, edits: int) -> str:
    """Clients that each edit as fast as they can and then wait until all of it is on disk."""
    async with AsyncExitStack() as stack:
        boards = [
            await stack.enter_async_context(comity.connect(url, agent=f"w{n}").open(f"shared/bulk-{clients}", Board))
            for n in range(clients)
        ]
        await asyncio.gather(*(board.synced() for board in boards))
        started = time.perf_counter()
        await asyncio.gather(*(_write(board, edits // clients) for board in boards))
        seconds = time.perf_counter() - started
    return f"{edits / seconds:9,.0f} /s   {edits:,} edits in {seconds:.2f} s"


async def each_waiting(url: str, clients: int, edits: int) -> str:
    """Clients that each wait until an edit is on disk before the next; they share commits."""
    took: list[float] = []

    async def write(board: Board) -> None:
        for number in range(edits // clients):
            started = time.perf_counter()
            board.status.set(number)
            await board.durable()
            took.append(time.perf_counter() - started)

    async with AsyncExitStack() as stack:
        boards = [
            await stack.enter_async_context(comity.connect(url, agent=f"w{n}").open(f"shared/each-{n}", Board))
            for n in range(clients)
        ]
        await asyncio.gather(*(board.synced() for board in boards))
        started = time.perf_counter()
        await asyncio.gather(*(write(board) for board in boards))
        seconds = time.perf_counter() - started
    return f"{len(took) / seconds:9,.0f} /s   {percentiles(took)}"


async def until_seen(url: str, edits: int, pause: float) -> str:
    """One client edits, another one's change listener is called."""
    took: list[float] = []
    writer = comity.connect(url, agent="writer").open("shared/seen", Board)
    reader = comity.connect(url, agent="reader").open("shared/seen", Board)
    async with writer as writing, reader as reading:
        await asyncio.gather(writing.synced(), reading.synced())
        seen = asyncio.Event()
        reading.on_change(lambda _change: seen.set())
        for number in range(edits):
            seen.clear()
            started = time.perf_counter()
            writing.status.set(number)
            await seen.wait()
            took.append(time.perf_counter() - started)
            await asyncio.sleep(pause)
    return percentiles(took)


async def main(quick: bool) -> None:
    """Run every measurement against one server and print a line for each."""
    scale = 10 if quick else 1
    runs: list[tuple[str, Callable[[str], Awaitable[str]]]] = [
        ("durable, one at a time, 1 client", lambda url: one_at_a_time(url, 2_000 // scale)),
        ("durable, one at a time, 20 clients", lambda url: each_waiting(url, 20, 10_000 // scale)),
        ("durable, in bulk, 1 client", lambda url: in_bulk(url, 1, 50_000 // scale)),
        ("durable, in bulk, 20 clients, one room", lambda url: in_bulk(url, 20, 50_000 // scale)),
        ("edit to the other client's change", lambda url: until_seen(url, 1_000 // scale, 0.005)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder)) as server:
            for name, run in runs:
                print(f"{name:42s}{await run(server.url)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the edits")
    asyncio.run(main(parser.parse_args().quick))
