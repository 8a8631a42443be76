"""The states of a room that can be had, from the oldest one kept to the newest on disk."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from comity.crdt_types.errors import StaleVersionError, StorageError
from comity.crdt_types.update import EMPTY_UPDATE
from comity.persistence.records import Base, Loaded, Record, Version
from comity.persistence.store import RECORDS_LIMIT

from ..rooms.archive import Archive, translated
from ..rooms.document import restored
from ..rooms.room import Room

# Of updates in one answer: far below what one message may have, and reading more at once is no faster.
PAGE_BYTES: Final = 4 * 1024 * 1024


async def newest(archive: Archive, room: Room) -> int:
    """Return the last update of a room that is on disk, which covers all that came in until now and could be stored.

    Raises: StorageError, while that is not known.
    """
    try:
        await archive.flush()  # a turn that was due has been taken then
        seq = room.seq
        await archive.flush()
    except StorageError:
        await room.sound()  # what could not be stored is forgotten then
        if not room.is_committed:
            raise
        return room.seq
    return seq


async def oldest(archive: Archive, name: str, last: int) -> int:
    """Return the oldest state that can be had of a room with a last update: 0 if nothing was retired.

    Raises: StorageError.
    """
    with translated():
        kept = await archive.store.versions(name, limit=1)
    return kept[0].seq - 1 if kept else last


async def reached(archive: Archive, room: Room, seq: int | None) -> int:
    """Return an update of a room whose state can be had, the newest for None.

    Raises: StaleVersionError, if it cannot; StorageError.
    """
    last = await newest(archive, room)
    if not room.contents.is_stored:
        raise never_written(room.name)
    if seq is None:
        return last
    if seq > last or (seq < await oldest(archive, room.name, last) and not await _is_kept(archive, room.name, seq)):
        raise _out_of_reach(room.name, seq)
    return seq


async def state_at(archive: Archive, name: str, seq: int) -> bytes:
    """Return the state that a room had after an update, in a time that grows with its distance from a keyframe.

    Raises: StaleVersionError, if that cannot be had; StorageError.
    """
    base, records = await _made_of(archive, name, seq)
    if not records:
        return base.state or EMPTY_UPDATE
    document = await restored(name, _loaded(base, records))
    return await asyncio.to_thread(document.state)


async def parts_at(archive: Archive, name: str, seq: int) -> list[bytes]:
    """Return the updates that the state of a room after an update consists of. Raises as ``state_at``."""
    base, records = await _made_of(archive, name, seq)
    return [base.state or EMPTY_UPDATE, *(record.update for record in records)]


async def _made_of(archive: Archive, name: str, seq: int) -> tuple[Base, list[Record]]:
    with translated():
        base = await archive.store.base(name, seq)
    records = [record async for record in _records(archive, name, base.seq, seq)]
    if len(records) != seq - base.seq:
        raise _out_of_reach(name, seq)
    return base, records


async def preserve(archive: Archive, name: str, before: int, at_before: int) -> None:
    """Give each checkpoint a snapshot of its own whose log may be retired; see ``Store.retire`` for the arguments.

    Raises: StorageError; StaleVersionError, if the state of one is lost already.
    """
    with translated():
        checkpoints = await archive.store.checkpoints(name)
        if not checkpoints:
            return
        end = min(before - 1, await archive.store.version_at(name, at_before - 1))
        kept = {snapshot.seq for snapshot in await archive.store.snapshots(name) if snapshot.sound}
    for seq in sorted({checkpoint.seq for checkpoint in checkpoints} - kept):
        if seq <= end:
            await archive.snapshot(name, seq, await state_at(archive, name, seq))


async def page(archive: Archive, name: str, after: int, limit: int = RECORDS_LIMIT) -> list[Record]:
    """Return at most so many updates of a room after one, of at most PAGE_BYTES unless the first alone has more.

    Raises: StorageError.
    """
    with translated():
        versions = await archive.store.versions(name, after, min(limit, RECORDS_LIMIT))
        return await archive.store.records(name, after, _fitting(versions))


def _fitting(versions: list[Version]) -> int:
    """Return how many of the first versions go into one page."""
    size = 0
    for count, version in enumerate(versions):
        size += version.size
        if count and size > PAGE_BYTES:
            return count
    return len(versions)


async def _is_kept(archive: Archive, name: str, seq: int) -> bool:
    """Tell whether a state is kept whole, though the log does not reach back that far."""
    with translated():
        base = await archive.store.base(name, seq)
    return base.seq == seq and base.state is not None


async def _records(archive: Archive, name: str, after: int, until: int) -> AsyncGenerator[Record]:
    while after < until:
        with translated():
            page = await archive.store.records(name, after, min(until - after, RECORDS_LIMIT))
        if not page or page[0].seq != after + 1:
            return
        for record in page:
            yield record
        after = page[-1].seq


def _loaded(base: Base, records: list[Record]) -> Loaded:
    tail = tuple(record.update for record in records)
    return Loaded("", base.state, base.seq, tail, base.seq + len(tail), sum(map(len, tail)))


def never_written(name: str) -> StaleVersionError:
    """Return the error of asking for something of a room that there is not yet."""
    return StaleVersionError("it was never written to", subject=f"room {name!r}", remedy="write to it first")


def _out_of_reach(name: str, seq: int) -> StaleVersionError:
    return StaleVersionError(
        f"version {seq} cannot be had", subject=f"room {name!r}", remedy="choose one that its history still has"
    )
