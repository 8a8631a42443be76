"""Databases with a bit flipped: what a store serves of them, and what verify says."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, NamedTuple

from comity.persistence.errors import StoreError
from comity.persistence.records import Checkpoint, Loaded, Tombstone
from comity.persistence.sqlite import SqliteStore
from comity.persistence.verify import verify

from .stores import appends, fill

# Short updates, some that fill most of a page, and one that overflows into several.
UPDATES: Final = tuple(b"%d;" % n * size for n, size in enumerate((1, 2, 9, 40, 300, 1, 2500, 3, 7, 20), 1))
ROOMS: Final = ("@a", "b", "checkpointed", "local/ü", "retired")


class Outcome(NamedTuple):
    """What became of a database with a flipped bit.

    ``served`` is what was read that is neither the truth nor said to be damaged, ``is_harmless`` tells whether all that
    was read is the truth, and ``is_reported`` whether verify found it.
    """

    served: tuple[str, ...]
    is_harmless: bool
    is_reported: bool


async def write(path: Path) -> None:
    """Write a database that has something of everything in it."""
    async with SqliteStore(path, durability="os") as store:
        await fill(store, "erased", *UPDATES)
        for room in ROOMS:
            await fill(store, room, *UPDATES)
        for seq in (4, 6, 8):
            await store.snapshot("checkpointed", seq, b"".join(UPDATES[:seq]), seq)
            await store.add_checkpoint("checkpointed", Checkpoint(f"at {seq}", seq, "manual", "planner", seq, "a note"))
            await store.snapshot("retired", seq, b"".join(UPDATES[:seq]), seq)
        await store.retire("retired", 100, 100)
        await store.append(appends("b", len(UPDATES) + 1, b"x" * 9000, author="writer", at=2))
        await store.note("b", "key", b"value")
        await store.note("local/ü", "other", b"x" * 5000)
        await store.erase("erased", b"a state vector", 9)
        await store.bury(Tombstone("elsewhere", "lineage", 10, b"another"))
        await store.create("empty", "lineage of empty", 3)


async def read(path: Path) -> dict[str, Any]:
    """Return all that a store says of a database, errors by their class."""
    found: dict[str, Any] = {}
    try:
        async with SqliteStore(path, durability="os") as store:
            found["rooms"] = await _told(store.rooms())
            found["tombstones"] = await _told(store.tombstones())
            found["attributed"] = await _told(store.attributed("key"))
            for room in (*ROOMS, "empty", "erased"):
                found[f"load {room}"] = await _told(store.load(room))
                found[f"records {room}"] = await _told(store.records(room))
                found[f"versions {room}"] = await _told(store.versions(room))
                found[f"snapshots {room}"] = await _told(store.snapshots(room))
                found[f"base {room}"] = await _told(store.base(room, 9))
                found[f"checkpoints {room}"] = await _told(store.checkpoints(room))
                found[f"attributes {room}"] = await _told(store.attributes(room))
    except StoreError as error:
        found["open"] = type(error)
    return found


async def outcome(path: Path, truth: dict[str, Any]) -> Outcome:
    """Return what becomes of a database, judged by what was read of it when it was sound."""
    is_reported = not _is_sound(path)  # first: opening a store may change the file
    found = await read(path)
    served = tuple(what for what, value in found.items() if not _is_truth(what, value, truth))
    return Outcome(served, found == truth, is_reported)


def flip(data: bytes, bit: int) -> bytes:
    """Return bytes with one bit flipped."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


async def _told(reading: Awaitable[Any]) -> Any:
    try:
        return await reading
    except StoreError as error:
        return type(error)


def _is_sound(path: Path) -> bool:
    try:
        return verify(path).is_sound
    except StoreError:
        return False


def _is_truth(what: str, value: Any, truth: dict[str, Any]) -> bool:
    """Tell whether what was read is right, as far as it goes where it says that it does not go on."""
    if isinstance(value, type):
        return True
    expected = truth[what]
    if value == expected:
        return True
    match what.partition(" ")[0]:
        case "load":
            return value is not None and _is_loaded(value, expected)
        case "base":  # an older one where the newest is damaged
            return bool((value.state or b"") == b"".join(UPDATES[: value.seq]))
        case "snapshots":
            return all(each in expected or not each.sound for each in value)
        case "attributed":
            return bool(value.items() <= expected.items())
        case "checkpoints" | "tombstones" | "rooms":  # which leave out what is damaged
            return all(each in expected for each in value)
        case _:
            return False


def _is_loaded(value: Loaded, expected: Loaded) -> bool:
    state = (value.snapshot or b"") + b"".join(value.tail)
    whole = (expected.snapshot or b"") + b"".join(expected.tail)
    if value.lineage != expected.lineage:
        return False
    if value.damage is None:
        return state == whole and value.seq == expected.seq
    return whole.startswith(state) and value.seq < expected.seq
