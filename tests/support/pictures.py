"""What a store holds, as a value that can be compared: for tests that copy stores."""

from typing import NamedTuple

from comity.persistence.records import Checkpoint, Record, RoomRow
from comity.persistence.store import Store


class Picture(NamedTuple):
    """All that a store says of a room.

    ``first`` is the number of the oldest record, one above the last if there is none; ``state`` is that of the newest
    record, and ``states`` that of every checkpoint, where a state is what was joined from the updates.
    """

    row: RoomRow
    first: int
    records: list[Record]
    state: bytes
    checkpoints: list[Checkpoint]
    states: list[bytes]
    attributes: dict[str, bytes]


async def pictures(store: Store) -> dict[str, Picture]:
    """Return a picture of each room."""
    return {row.room: await picture(store, row) for row in await store.rooms()}


async def picture(store: Store, row: RoomRow) -> Picture:
    """Return a picture of a room in which snapshots are the updates joined."""
    room = row.room
    first = await first_record(store, row)
    checkpoints = await store.checkpoints(room)
    return Picture(
        row,
        first,
        await store.records(room, first - 1),
        await state_at(store, room, row.seq),
        checkpoints,
        [await state_at(store, room, each.seq) for each in checkpoints],
        await store.attributes(room),
    )


async def first_record(store: Store, row: RoomRow) -> int:
    """Return the number of a room's oldest record; its log begins there or after one of its snapshots."""
    for after in (0, *(snapshot.seq for snapshot in await store.snapshots(row.room))):
        page = await store.versions(row.room, after, 1)
        if page and page[0].seq == after + 1:
            return page[0].seq
    return row.seq + 1


async def state_at(store: Store, room: str, seq: int) -> bytes:
    """Return the state as of a record: a snapshot and the updates after it, joined."""
    base = await store.base(room, seq)
    updates = await store.records(room, base.seq, seq - base.seq)
    assert len(updates) == seq - base.seq
    return (base.state or b"") + b"".join(record.update for record in updates)
