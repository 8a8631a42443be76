"""A program that appends through a journal until it is killed: `python -m tests.support.appender DATABASE`.

It prints a line "room seq" for every update that the journal reports done.
"""

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

from comity.persistence.journal import Journal
from comity.persistence.records import Append
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store

ROOMS = ("a", "b", "c")


def update(room: str, seq: int) -> bytes:
    """Return the one update that this room has under this number."""
    return f"{room}:{seq};".encode() * (seq % 7 + 1)


def log(room: str, first: int, last: int) -> tuple[bytes, ...]:
    """Return the updates of a room from ``first`` to ``last``."""
    return tuple(update(room, seq) for seq in range(first, last + 1))


def report(room: str, seq: int) -> None:
    """Say that an update is stored, past every buffer of this process."""
    os.write(sys.stdout.fileno(), f"{room} {seq}\n".encode())


async def resume(store: Store, room: str) -> int:
    """Create a room when needed and return its last sequence number."""
    await store.create(room, f"lineage of {room}", 1)
    loaded = await store.load(room)
    return loaded.seq if loaded else 0


async def fold(store: Store, journal: Journal, room: str, seq: int) -> None:
    """Snapshot a room at ``seq`` and retire what that allows."""
    await journal.flush()
    await store.snapshot(room, seq, b"".join(log(room, 1, seq)), 1)
    await store.retire(room, seq, 100)


async def run(path: Path) -> None:
    """Append for ever."""
    async with SqliteStore(path) as store, Journal(store) as journal:
        last = {room: await resume(store, room) for room in ROOMS}
        while True:
            room = random.choice(ROOMS)
            last[room] += 1
            seq = last[room]
            journal.append(Append(room, seq, update(room, seq), "appender", 1), partial(report, room, seq))
            if seq % 50 == 0:
                await fold(store, journal, room, seq)
            elif random.random() < 0.3:
                await asyncio.sleep(0)
            await journal.ready()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
