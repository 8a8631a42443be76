"""How long a room takes to open from a cold file: one of a million updates, and one of ten megabytes.

Run ``scripts/bench opening``. A room is opened when its document can be read; the time is that of the store and of the
engine, on one thread each, without a server around them.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

from comity import StateDocument
from comity.persistence.compaction import due
from comity.persistence.records import Append, Loaded
from comity.persistence.sqlite import SqliteStore
from comity.server.rooms.document import restore

ROOM: Final = "shared/room"
BATCH: Final = 2_000
KEYS: Final = 50
ROUNDS: Final = 5
VALUE: Final = "x" * 60
TEN_MB: Final = 10_000_000


def overwrites(count: int) -> Iterator[bytes]:
    """Yield the updates of a writer who overwrites some cells in turn."""
    document = StateDocument(agent="writer")
    made: list[bytes] = []
    document.on_commit(lambda commit: made.append(commit.update))
    for number in range(count):
        document.set_cell("cells", f"key{number % KEYS}", number)
        yield made.pop()


def large() -> Iterator[bytes]:
    """Yield the updates of a writer who fills ten megabytes of cells."""
    document = StateDocument(agent="writer")
    made: list[bytes] = []
    document.on_commit(lambda commit: made.append(commit.update))
    size = number = 0
    while size < TEN_MB:
        with document.transaction():
            for _ in range(100):
                document.set_cell("cells", f"key{number}", VALUE)
                number += 1
        size += len(made[-1])
        yield made.pop()


async def fill(path: Path, updates: Iterator[bytes], *, folds: bool) -> int:
    """Store updates one by one, with snapshots when the server would take them, or none; return how many there were."""
    async with SqliteStore(path, durability="os") as store:
        await store.create(ROOM, "lineage", 1)
        document, seq, tail, snapshot = restore(ROOM, _loaded(await store.load(ROOM))), 0, 0, 0
        batch: list[Append] = []
        for seq, update in enumerate(updates, 1):
            batch.append(Append(ROOM, seq, update, "writer", seq))
            tail += len(update)
            if folds:
                document.apply(update)
            if len(batch) == BATCH:
                await store.append(batch)
                batch.clear()
                if folds and due(tail, snapshot):
                    state = document.state()
                    await store.snapshot(ROOM, seq, state, seq)
                    tail, snapshot = 0, len(state)
        if batch:
            await store.append(batch)
        return seq


def _loaded(loaded: Loaded | None) -> Loaded:
    assert loaded is not None
    return loaded


async def opened(path: Path) -> tuple[float, int]:
    """Open the room some times; return the median time in seconds, and the bytes of its state."""
    took, size = [], 0
    for _ in range(ROUNDS):
        async with SqliteStore(path) as store:
            began = time.perf_counter()
            document = restore(ROOM, _loaded(await store.load(ROOM)))
            took.append(time.perf_counter() - began)
            size = len(document.state())
    return median(took), size


async def measure(name: str, updates: Iterator[bytes], *, folds: bool) -> None:
    """Fill a room, open it, and print what that took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "room.sqlite3"
        count = await fill(path, updates, folds=folds)
        seconds, size = await opened(path)
        print(f"{name:44} {seconds * 1e3:9.1f} ms   {count:,} updates, {size:,} bytes of state", flush=True)


async def run(count: int) -> None:
    """Measure each kind of room."""
    await measure("overwrites, folded as the server does", overwrites(count), folds=True)
    await measure("overwrites, never folded", overwrites(count), folds=False)
    await measure("ten megabytes, folded as the server does", large(), folds=True)
    await measure("ten megabytes, never folded", large(), folds=False)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=1_000_000)
    asyncio.run(run(parser.parse_args().updates))


if __name__ == "__main__":
    main()
