"""What an operator meets: a disk that is full or fails, a database that is locked or gone, while the server runs."""

import asyncio
import errno
import json
import sqlite3
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

import comity
from comity import Counter, Map, State
from comity.crdt_types.errors import StorageError
from comity.server.app import DATABASE
from tests.support.disks import resize, small_disk
from tests.support.faulty import Action, Call, Faults
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import DEADLINE, POLL, until

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


async def test_a_disk_that_is_full_refuses_edits_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
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
                assert "full" in client.close_reason
                agent.contents["last"] = EDIT
                resize(disk, LARGE)
                await agent.durable()
            await assert_all_there(server, acknowledged)
            assert await server.stop() == 0
            assert "Traceback" not in server.errors


async def assert_all_there(server: ServerProcess, acknowledged: str) -> None:
    async with (
        comity.connect(server.url).open("shared/files", Files) as reader,
        raw_client(server.url, "plain") as client,
    ):
        await asyncio.gather(reader.synced(), client.sync())
        assert set(reader.contents) == {"first", "last"}
        assert client.value().startswith(acknowledged)


# Faults of the disk, while the server runs --------------------------------------------------------------------------


class Tally(State):
    done: Counter


@contextmanager
def _full(data: Path) -> Generator[None]:
    """Leave no byte free on the disk."""
    filler = data.parent / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    yield
    filler.unlink()


@contextmanager
def _locked(data: Path) -> Generator[None]:
    """Write to the database in this process, and do not come to an end."""
    with closing(sqlite3.connect(data / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _moved(data: Path) -> Generator[None]:
    """Move everything away, and back."""
    data.rename(data.with_name("away"))
    yield
    data.with_name("away").rename(data)


@contextmanager
def _without_log(data: Path) -> Generator[None]:
    """Delete the write-ahead log."""
    data.joinpath(f"{DATABASE}-wal").unlink()
    yield


@contextmanager
def _failing(calls: Call, error: int, faults: Faults) -> Generator[None]:
    """Let the system refuse."""
    faults.begin(Action.FAIL, calls=calls, files=f"*{DATABASE}*", error=error)
    yield
    faults.end()


async def _readiness(server: ServerProcess) -> dict[str, Any]:
    """Return what the server says of its own readiness."""

    def ask() -> Any:
        connection = HTTPConnection("127.0.0.1", server.port)
        with closing(connection):
            connection.request("GET", "/readyz")
            return json.loads(connection.getresponse().read())

    answer: dict[str, Any] = await asyncio.to_thread(ask)
    return answer


async def _until_ready(server: ServerProcess, *, ready: bool) -> dict[str, Any]:
    """Wait until the server is ready, or until it is not, and return what it says."""
    async with asyncio.timeout(DEADLINE):
        while (answer := await _readiness(server))["ready"] != ready:  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(POLL)
    return answer


async def _read(server: ServerProcess) -> int:
    """Return what somebody who comes in now reads."""
    async with comity.connect(server.url).open("shared/tally", Tally) as newcomer:
        await newcomer.synced()
        return newcomer.done.value


async def _live_through(server: ServerProcess, fault: AbstractContextManager[None]) -> None:
    """Write before, during and after a fault, and see that reading goes on and nothing is lost or doubled."""
    async with (
        comity.connect(server.url, agent="writer").open("shared/tally", Tally) as writer,
        comity.connect(server.url, agent="reader").open("shared/tally", Tally) as reader,
        raw_client(server.url, "shared/tally", v1=False) as stock,
    ):
        writer.done.add(1)
        await writer.durable()
        await until(reader, lambda: reader.done.value == 1)
        with fault:
            writer.done.add(10)
            answer = await _until_ready(server, ready=False)
            assert answer["checks"] == {"started": True, "accepting": True, "storage": False}
            assert answer["error"]
            assert await _read(server) == reader.done.value == 1
            await stock.sync()
            assert stock.close_code is None
        await writer.durable()
        await _until_ready(server, ready=True)
        await until(reader, lambda: reader.done.value == 11)
        writer.done.add(100)
        await writer.durable()
    await server.restart()
    assert await _read(server) == 111


async def test_a_disk_that_is_full_stops_edits_alone_until_there_is_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", SMALL):
        data = tmp_path / "disk" / "data"
        async with running_server(data) as server:
            await _live_through(server, _full(data))
            assert await server.stop() == 0


@pytest.mark.parametrize(
    "fault",
    [_locked, _moved, _without_log],
    ids=["locked", "moved away and back", "log gone"],
)
async def test_a_database_that_is_in_the_way_of_somebody_stops_edits_alone_until_it_is_there_again(
    tmp_path: Path, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    data = tmp_path / "data"
    async with running_server(data) as server:
        await _live_through(server, fault(data))
        assert await server.stop() == 0
        assert "Traceback" not in server.errors


@pytest.mark.parametrize(
    ("calls", "error"),
    [(Call.WRITE, errno.EROFS), (Call.SYNC, errno.EIO)],
    ids=["read-only", "syncing fails"],
)
async def test_a_disk_that_fails_stops_edits_alone_until_it_works_again(
    tmp_path: Path, calls: Call, error: int
) -> None:
    faults, data = Faults(tmp_path), tmp_path / "data"
    with faults.preloaded():
        async with running_server(data) as server:
            await _live_through(server, _failing(calls, error, faults))
            assert faults.hits
            assert await server.stop() == 0
            assert "Traceback" not in server.errors


# Faults of an agent's own disk --------------------------------------------------------------------------------------


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
