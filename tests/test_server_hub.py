"""The hub: rooms leave memory when nobody needs them, come back as they were, and fail alone."""

import asyncio
import sqlite3
from pathlib import Path

from comity.persistence.compaction import TAIL_FLOOR
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Loaded
from comity.server.app import DATABASE
from comity.server.rooms.upkeep import RESTING_TAIL
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually


async def _write(server: ServerHere, room: str, text: str, *, times: int = 1) -> None:
    async with raw_client(server.url, room) as client:
        await client.sync()
        for _ in range(times):
            await client.edit(text)
            await client.durable()


async def _read(server: ServerHere, room: str) -> str:
    async with raw_client(server.url, room) as client:
        await client.sync()
        return client.value()


async def test_hub_unloads_rooms_that_nobody_needs_and_loads_them_again(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_seconds=0.05) as server:
        for n in range(3):
            await _write(server, "x", f"{n} ")
            await eventually(lambda: not server.hub.rooms)
        assert await _read(server, "x") == "0 1 2 "


async def test_hub_keeps_a_room_that_somebody_is_in(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_seconds=0.0) as server, raw_client(server.url, "x") as stays:
        await stays.sync()
        room = server.hub.rooms[0]
        for n in range(5):
            await _write(server, "x", f"{n} ")
        assert server.hub.rooms == (room,)
        await stays.until(lambda: stays.value() == "0 1 2 3 4 ")


async def test_hub_loses_nothing_where_rooms_come_and_go_all_the_time(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_seconds=0.0) as server:

        async def visitor(name: int) -> None:
            for n in range(10):
                await _write(server, "x", f"[{name}.{n}]")

        await asyncio.gather(*(visitor(name) for name in range(5)))
        text = await _read(server, "x")
        assert sorted(text[1:-1].split("][")) == sorted(f"{name}.{n}" for name in range(5) for n in range(10))


async def test_hub_takes_a_snapshot_when_the_log_has_grown(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        await _write(server, "x", "y" * TAIL_FLOOR)
        await eventually(lambda: server.hub.rooms[0].contents.snapshot_bytes > 0)
        loaded = await store.load("x")
        assert loaded is not None
        assert loaded.snapshot is not None
        assert loaded.tail_bytes == server.hub.rooms[0].contents.tail_bytes
        await _write(server, "x", "z")
    async with in_process_server(tmp_path, store) as server:
        assert await _read(server, "x") == "y" * TAIL_FLOOR + "z"


async def test_hub_leaves_a_snapshot_of_a_room_that_goes_to_rest_with_many_updates(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        await _write(server, "many", "m", times=RESTING_TAIL)
        await _write(server, "few", "f")
    async with store:
        many, few = await store.load("many"), await store.load("few")
    assert many is not None
    assert (many.snapshot_seq, many.tail) == (RESTING_TAIL, ())
    assert few is not None
    assert few.snapshot is None


async def test_hub_retires_history_only_when_told_to(tmp_path: Path) -> None:
    for days, kept in ((None, True), (1e-9, False)):
        store = MemoryStore()
        async with in_process_server(tmp_path, store, history_days=days) as server:
            for size in (1, 2, 4):  # each as large as what is there, or no snapshot would be due
                await _write(server, "x", "y" * size * TAIL_FLOOR)
                snapshots = server.hub.rooms[0].contents
                await eventually(lambda snapshots=snapshots: snapshots.tail_bytes == 0)  # type: ignore[misc]
            assert await _read(server, "x") == "y" * 7 * TAIL_FLOOR
            assert (len(await store.records("x")) == 3) is kept


async def test_hub_refuses_a_room_of_which_nothing_can_be_trusted_and_serves_the_others(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        await _write(server, "damaged", "hello")
        await _write(server, "sound", "hello")
    with sqlite3.connect(tmp_path / DATABASE) as database:
        database.execute("UPDATE rooms SET lineage = 'another' WHERE name = 'damaged'")
    database.close()
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, "damaged") as client:
            assert await client.closed() == 4503
            assert "damaged" in client.close_reason
        assert await _read(server, "sound") == "hello"


async def test_hub_refuses_names_that_cannot_be(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, room_name_length=10) as server:
        for name in ("", "x" * 11, "a\nb", "ö" * 6):
            async with raw_client(server.url, name) as client:
                assert await client.closed() == 4404
        async with raw_client(server.url, "a/b ö?#%") as client:
            await client.sync()
        assert [room.name for room in server.hub.rooms] == ["a/b ö?#%"]


class _SlowStore(MemoryStore):
    """A store that loads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.loaded = asyncio.Event()

    async def load(self, room: str) -> Loaded | None:
        self.asked.set()
        await self.go_on.wait()
        self.loaded.set()
        return await super().load(room)


async def test_hub_unloads_a_room_that_came_when_everybody_had_gone(tmp_path: Path) -> None:
    store = _SlowStore()
    async with in_process_server(tmp_path, store, idle_seconds=0.0) as server:

        async def look() -> None:
            async with server.hub.visit("x"):
                pass

        impatient = asyncio.create_task(look())
        await store.asked.wait()
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        await asyncio.sleep(0)  # the timer that finds no room runs first
        store.go_on.set()
        await store.loaded.wait()
        await eventually(lambda: not server.hub.rooms)
