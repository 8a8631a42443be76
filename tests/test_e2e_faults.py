"""What an operator meets: a disk that is full while the server runs."""

import asyncio
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

import comity
from comity import Map, State
from comity.crdt_types.errors import StorageError
from tests.support.disks import resize, small_disk
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server

SMALL = 3_000_000  # bytes
LARGE = 30_000_000
EDIT = "x" * 20_000
DRAINING = 4503


class Files(State):
    contents: Map[str]


async def fill(client: RawClient) -> str:
    """Write until the server closes the connection, and return what it had acknowledged."""
    edits: dict[int, str] = {}
    with suppress(ConnectionClosed, AssertionError):
        while True:
            edit = f"[{len(edits)}]{EDIT}"
            edits[await client.edit(edit)] = edit
            await client.durable()
    await client.closed()
    return "".join(edit for n, edit in edits.items() if n <= client.acknowledged)


async def test_a_disk_that_is_full_ends_the_server_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, SMALL):
        async with running_server(disk / "data") as server:
            async with (
                comity.connect(server.url, agent="writer").open("shared/files", Files) as agent,
                raw_client(server.url, "plain") as client,
            ):
                agent.contents["first"] = EDIT
                await agent.durable()
                acknowledged = await fill(client)
                assert acknowledged
                assert client.close_code == DRAINING
                await assert_ended_clearly(server, disk)
                agent.contents["last"] = EDIT
                resize(disk, LARGE)
                await server.start()
                await agent.durable()
            await assert_all_there(server, acknowledged)
            assert await server.stop() == 0


async def assert_ended_clearly(server: ServerProcess, disk: Path) -> None:
    assert await server.wait() == 1
    assert "full" in server.errors
    assert str(disk) in server.errors.replace("\n", "")
    assert "Traceback" not in server.errors


async def assert_all_there(server: ServerProcess, acknowledged: str) -> None:
    async with (
        comity.connect(server.url).open("shared/files", Files) as reader,
        raw_client(server.url, "plain") as client,
    ):
        await asyncio.gather(reader.synced(), client.sync())
        assert set(reader.contents) == {"first", "last"}
        assert client.value().startswith(acknowledged)


async def save_until_refused(files: Files) -> tuple[list[str], StorageError]:
    """Edit until an edit cannot be saved; return the keys that were, and the refusal."""
    saved: list[str] = []
    for number in count():
        files.contents[f"{number:04}"] = EDIT
        try:
            await files.replica.saved()
        except StorageError as error:
            return saved, error
        saved.append(f"{number:04}")
    raise AssertionError


async def test_an_agent_whose_own_disk_is_full_is_told_so_and_loses_nothing_saved(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, SMALL):
        offline = comity.connect("ws://127.0.0.1:9", directory=disk / "replicas")
        async with asyncio.timeout(30), offline.open("shared/files", Files) as files:
            saved, error = await save_until_refused(files)
            assert saved
            assert "full" in str(error)
            assert str(disk) in str(error)
            with pytest.raises(StorageError):
                await files.replica.saved()
        resize(disk, LARGE)
        async with offline.open("shared/files", Files) as files:
            assert set(saved) <= set(files.contents)
            files.contents["last"] = EDIT
            await files.replica.saved()
