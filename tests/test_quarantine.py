"""Quarantine: a room whose log is damaged can be read up to the damage, and says so; no other room is touched."""

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import Notice
from comity.persistence.sqlite import SqliteStore
from comity.server.app import DATABASE
from comity.server.maintenance.repair import Plan, repair
from comity.server.rooms.upkeep import RESTING_TAIL
from tests.support.damage import alter, spoil
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually


async def _write(server: ServerHere, room: str, *texts: str) -> None:
    async with raw_client(server.url, room) as client:
        await client.sync()
        for text in texts:
            await client.edit(text)
            await client.durable()


async def _damaged(data: Path, *, at: int = 3) -> None:
    """Write the rooms "damaged" and "sound" of five updates, and spoil one of the first."""
    async with in_process_server(data) as server:
        for room in ("damaged", "sound"):
            await _write(server, room, "a", "b", "c", "d", "e")
    spoil(data / DATABASE, "damaged", at)


def _notices(client: RawClient) -> list[Notice]:
    return [frame for frame in client.frames if isinstance(frame, Notice)]


async def _get(server: ServerHere, path: str) -> str:
    def ask() -> str:
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    return await asyncio.to_thread(ask)


async def test_quarantine_lets_a_damaged_room_be_read_up_to_the_damage_and_says_so(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "damaged") as client:
        await client.sync()
        assert client.value() == "ab"
        (notice,) = _notices(client)
        assert notice.code == 4503
        assert "'damaged', record 3" in notice.text
        assert "comity repair" in notice.text
        rooms = {room["name"]: room for room in json.loads(await _get(server, "/api/rooms"))["rooms"]}
        assert "record 3" in rooms["damaged"]["damage"]
        assert "damage" not in rooms["sound"]
        assert 'comity_rooms_damaged{tier="other"} 1.0' in await _get(server, "/metrics")


async def test_quarantine_ends_whoever_writes_something_new_and_nobody_else(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "damaged") as reader,
        raw_client(server.url, "damaged") as writer,
        raw_client(server.url, "damaged", v1=False) as plain,
    ):
        for client in (reader, writer, plain):
            await client.sync()
        for client in (writer, plain):
            await client.edit("new")
            assert await client.closed() == 4503
            assert "record 3" in client.close_reason
            assert client.acknowledged <= 1  # the answer to the server's step 1, which brought nothing
        assert _notices(writer)[-1].retry_after
        await reader.sync()
        assert reader.value() == "ab"


async def test_quarantine_acknowledges_what_brings_nothing_new(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "damaged") as client:
        await client.sync()
        await client.update(client.doc.get_update())
        await client.update(EMPTY_UPDATE)
        await client.durable()


async def test_quarantine_touches_no_other_room_and_changes_nothing_on_disk(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    async with in_process_server(tmp_path, idle_seconds=0.0) as server:
        async with raw_client(server.url, "damaged") as client:
            await client.sync()
        await eventually(lambda: not server.hub.rooms)
        await _write(server, "sound", "f")
        async with raw_client(server.url, "sound") as client:
            await client.sync()
            assert client.value() == "abcdef"
            assert not _notices(client)
    async with SqliteStore(tmp_path / DATABASE) as store:
        loaded = await store.load("damaged")
        assert loaded is not None
        assert (loaded.seq, len(loaded.tail), loaded.snapshot) == (2, 2, None)
        assert len(await store.records("damaged", after=3)) == 2


async def test_quarantine_takes_no_snapshot_however_long_the_log(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        await _write(server, "long", *("x" for _ in range(RESTING_TAIL + 2)))
    alter(tmp_path / DATABASE, "DELETE FROM snapshots")
    spoil(tmp_path / DATABASE, "long", RESTING_TAIL + 1)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "long") as client:
        await client.sync()
        assert client.value() == "x" * RESTING_TAIL
    async with SqliteStore(tmp_path / DATABASE) as store:
        assert await store.snapshots("long") == []


async def test_quarantine_ends_with_a_repair_and_a_restart(tmp_path: Path) -> None:
    await _damaged(tmp_path)
    repair(tmp_path / DATABASE, Plan("rollback"))
    async with in_process_server(tmp_path) as server:
        await _write(server, "damaged", "!")
        async with raw_client(server.url, "damaged") as reader:
            await reader.sync()
            assert reader.value() == "ab!"
            assert not _notices(reader)


async def test_quarantine_loses_no_edit_of_a_replica_that_has_what_was_lost(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "damaged") as replica:
        await replica.sync()
        for text in "abcde":
            await replica.edit(text)
            await replica.durable()
        whole = replica.doc.get_update()
    spoil(tmp_path / DATABASE, "damaged", 3)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "damaged", answers=False) as replica:
        await replica.update(whole)
        assert await replica.closed() == 4503
    repair(tmp_path / DATABASE, Plan("merge"))
    async with in_process_server(tmp_path) as server, raw_client(server.url, "damaged") as replica:
        await replica.sync()
        assert replica.value() == "ab"
        await replica.update(whole)
        await replica.durable()
        await replica.sync()
        assert replica.value() == "abcde"


async def test_quarantine_counts_and_logs_a_snapshot_that_was_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_process_server(tmp_path) as server:
        await _write(server, "x", *("x" for _ in range(RESTING_TAIL)))
    alter(tmp_path / DATABASE, "UPDATE snapshots SET state = x'00'")
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await client.sync()
        assert client.value() == "x" * RESTING_TAIL
        assert 'comity_snapshots_passed_over_total{tier="other"} 1.0' in await _get(server, "/metrics")
        await client.edit("y")
        await client.durable()
    assert "1 damaged snapshots were passed over" in caplog.text
