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
    return await last(store, room)


async def last(store: Store, room: str) -> int:
    """Return a room's last sequence number, 0 if there is no room; all of its content must be what was appended."""
    loaded = await store.load(room)
    if loaded is None:
        return 0
    assert (loaded.snapshot or b"") == b"".join(log(room, 1, loaded.snapshot_seq))
    assert loaded.tail == log(room, loaded.snapshot_seq + 1, loaded.seq)
    records = await store.records(room, loaded.snapshot_seq)
    assert [record.update for record in records] == list(loaded.tail)
    return loaded.seq


async def fold(store: Store, journal: Journal, room: str, seq: int) -> None:
    """Snapshot a room at ``seq`` and retire what that allows."""
    await journal.flush()
    await store.snapshot(room, seq, b"".join(log(room, 1, seq)), 1)
    await store.retire(room, seq, 100)


async def run(path: Path) -> None:
    """Append for ever."""
    async with SqliteStore(path) as store, Journal(store) as journal:
        lasts = {room: await resume(store, room) for room in ROOMS}
        while True:
            room = random.choice(ROOMS)
            lasts[room] += 1
            seq = lasts[room]
            journal.append(Append(room, seq, update(room, seq), "appender", 1), partial(report, room, seq))
            if seq % 50 == 0:
                await fold(store, journal, room, seq)
            elif random.random() < 0.3:
                await asyncio.sleep(0)
            await journal.ready()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
