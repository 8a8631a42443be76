"""The process: it says what is in its way, drains when asked to, and comes back with everything."""

import ast
import asyncio
import os
import re
import signal
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from comity.crdt_types.wire import Notice
from comity.server.app import DATABASE
from comity.server.cli import REFUSED
from tests.support.raw import raw_client
from tests.support.server import Ended, end_of, refused_start, running_server, spawn


def _assert_refused(ended: Ended, *named: str) -> None:
    """Assert that a server did not start, and said why in so many words, without a trace of its insides."""
    assert ended.exit_code == REFUSED, ended
    assert "Traceback" not in ended.errors
    for name in named:
        assert name in ended.errors


async def test_process_says_where_it_listens_and_what_to_try(tmp_path: Path) -> None:
    process = await spawn("--port", "0", "--data", str(tmp_path))
    assert process.stdout is not None
    banner = (await process.stdout.readuntil(b"Ctrl-C")).decode()
    assert str(tmp_path) in banner
    assert re.search(r"live page +http://127\.0\.0\.1:\d+/", banner)
    program = banner.partition(" -m asyncio:\n\n")[2].splitlines()[:3]
    assert program[0].startswith("import comity")
    names: dict[str, Any] = {"__name__": "__main__"}
    for line in program:  # as the prompt of `python -m asyncio` runs them
        code = compile(line, "prompt", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, names)
        if result is not None:
            await result
    assert names["demo"].goal.value == "hello"
    process.send_signal(signal.SIGINT)
    assert (await end_of(process)).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_process_drains_and_returns_with_everything(tmp_path: Path, number: signal.Signals) -> None:
    async with running_server(tmp_path) as server:
        async with raw_client(server.url, "x") as client, raw_client(server.url, "x", v1=False) as stock:
            await client.sync()
            await stock.sync()
            for n in range(50):
                await client.edit(f"{n} ")
            os.kill(server.pid, number)
            assert await client.closed() == 4503
            assert await stock.closed() == 4503
            assert any(isinstance(frame, Notice) and frame.code == 4503 for frame in client.frames)
            acknowledged = client.acknowledged
            assert await server.wait() == 0
        assert server.errors == ""
        await server.start()
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value().startswith("".join(f"{n} " for n in range(acknowledged - 1)))
            await late.update(client.doc.get_update())
            await late.durable()
            await late.sync()
            assert late.value() == client.value()


async def test_process_ends_at_once_when_interrupted_twice(tmp_path: Path) -> None:
    async with running_server(tmp_path, outbox_limit=1024) as server, raw_client(server.url, "x") as client:
        await client.sync()
        client.hold()
        await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGINT)
        os.kill(server.pid, signal.SIGINT)
        assert await server.wait() in (0, 130)
        client.read_on()


async def test_process_names_the_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        _assert_refused(await refused_start("--port", str(port), "--data", str(tmp_path)), str(port), "--port")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_process_does_not_listen_to_the_world_unasked(tmp_path: Path, host: str) -> None:
    ended = await refused_start("--host", host, "--port", "0", "--data", str(tmp_path))
    _assert_refused(ended, host, "--insecure")


async def test_process_listens_to_the_world_when_told_to(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, host="0.0.0.0", insecure=True) as server,
        raw_client(server.url, "x") as client,
    ):
        await client.sync()


async def test_process_names_an_address_that_is_none_of_its_own(tmp_path: Path) -> None:
    ended = await refused_start("--host", "192.0.2.1", "--insecure", "--port", "0", "--data", str(tmp_path))
    _assert_refused(ended, "192.0.2.1")


async def test_process_names_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a directory")
    ended = await refused_start("--port", "0", "--data", str(in_the_way))
    _assert_refused(ended, str(in_the_way))
    assert in_the_way.read_text() == "not a directory"


async def test_process_names_a_database_that_is_newer_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 4711")
        database.execute("CREATE TABLE later (x)")
    database.close()
    before = path.read_bytes()
    _assert_refused(await refused_start("--port", "0", "--data", str(tmp_path)), DATABASE)
    assert path.read_bytes() == before


async def test_process_names_a_data_directory_that_is_in_use(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        _assert_refused(await refused_start("--port", "0", "--data", str(tmp_path)), str(tmp_path))
        async with raw_client(server.url, "x") as client:
            await client.sync()


async def test_process_names_settings_that_cannot_be(tmp_path: Path) -> None:
    _assert_refused(await refused_start("--port", "70000", "--data", str(tmp_path)), "port")
    _assert_refused(await refused_start("--port", "0", "--data", str(tmp_path), max_message="many"), "max_message")


async def test_process_that_cannot_write_any_more_says_so_to_who_writes(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        async with raw_client(server.url, "x") as client, raw_client(server.url, "y") as other:
            await client.sync()
            await other.sync()
            await client.edit("kept")
            await client.durable()
            with sqlite3.connect(tmp_path / DATABASE) as database:
                database.execute("DROP TABLE updates")  # the disk plays false
            database.close()
            await client.edit("lost")
            assert await client.closed() == 4503
            assert client.acknowledged == client.sent - 1
            await other.sync()
        assert await server.stop() == 0
        assert re.search("ERROR .+ nothing can be stored: .+ no such table", server.errors.replace("\n", " "))
        assert "Traceback" not in server.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_process_that_is_interrupted_as_soon_as_it_listens_ends_in_good_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    for _ in range(3):
        async with running_server(tmp_path) as server:
            os.kill(server.pid, number)
            assert await server.wait() == 0
