"""``pycrdt.websocket.ASGIServer`` serves rooms of Comity, with none of the faults that it has on its own rooms."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest
from pycrdt.websocket import ASGIServer
from websockets.exceptions import ConnectionClosed, InvalidStatus

from comity.crdt_types.errors import (
    ConnectionFailedError,
    ForbiddenError,
    ProtocolError,
    RoomError,
    RoomNotFoundError,
    StartError,
    StorageError,
)
from comity.crdt_types.wire import UPDATE, Update, encode_sync
from comity.persistence.errors import StoreFullError
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append
from comity.server.app import App
from comity.server.dropin import WebsocketServer, YRoom, exception_logger, websocketserver
from comity.server.settings import Settings
from tests.support.asgi import opened, provided_at, raw, served
from tests.support.channels import Line
from tests.support.gated import FaultyStore
from tests.support.optional import ROOT
from tests.support.raw import raw_client
from tests.support.server import START_SECONDS, in_process_server
from tests.support.waiting import eventually

CORRUPT = encode_sync(UPDATE, b"\x05\x05\x05\xff\xff")


@asynccontextmanager
async def dropin(
    data: Path, *, settings: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[tuple[WebsocketServer, str]]:
    """Run a server on data of its own, behind ASGIServer; gives it and its address."""
    async with (
        App(Settings(data=data, **(settings or {}))) as app,
        WebsocketServer(app=app, **options) as server,
        served(asgi(server)) as url,
    ):
        yield server, url


def asgi(server: WebsocketServer, **options: Any) -> ASGIServer:
    """Return what serves a server, which its annotations do not know of."""
    return ASGIServer(server, **options)  # type: ignore[arg-type]


class BreakingStore(MemoryStore):
    """A store that can break in a way that nobody expects."""

    is_broken = False

    async def append(self, batch: Sequence[Append]) -> None:
        if self.is_broken:
            raise RuntimeError("a store that broke")
        await super().append(batch)


def update_of(text: str) -> bytes:
    """Return the update that a fresh document with a text consists of."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    write(doc, text)
    return doc.get_update()


def text_of(doc: "pycrdt.Doc[Any]") -> str:
    return str(doc.get("t", type=pycrdt.Text))


def write(doc: "pycrdt.Doc[Any]", text: str) -> None:
    shared = doc.get("t", type=pycrdt.Text)
    shared.insert(len(shared), text)


async def read(url: str, until: str = "") -> str:
    """Return what somebody who comes in now is given, at once or later."""
    async with raw(url) as client:
        await client.sync()
        await client.until(lambda: client.value().startswith(until))
        return client.value()


async def test_two_providers_share_a_room_that_outlives_the_server(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (_, url), provided_at(f"{url}/notes") as one, provided_at(f"{url}/notes") as other:
        write(one, "hällo")
        await eventually(lambda: text_of(other) == "hällo")
        write(other, "!")
        await eventually(lambda: text_of(one) == "hällo!")
    async with dropin(tmp_path) as (_, url):
        assert await read(f"{url}/notes") == "hällo!"
        assert await read(f"{url}/elsewhere") == ""


async def test_two_clients_that_open_a_cold_room_together_both_sync(tmp_path: Path) -> None:
    async def join(url: str) -> None:
        async with provided_at(url):
            pass

    async with dropin(tmp_path) as (server, url):
        for room in range(20):
            await asyncio.gather(join(f"{url}/{room}"), join(f"{url}/{room}"))
        await eventually(lambda: not server.rooms)


async def test_an_update_followed_at_once_by_a_disconnect_is_kept(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (_, url):
        for room in range(10):
            async with opened(f"{url}/{room}") as link:
                await link.send(encode_sync(UPDATE, update_of(f"room {room}")))
            assert await read(f"{url}/{room}", f"room {room}") == f"room {room}"
    async with dropin(tmp_path) as (_, url):
        assert [await read(f"{url}/{room}") for room in range(10)] == [f"room {room}" for room in range(10)]


async def test_an_update_right_before_the_end_of_the_server_is_kept(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (_, url), opened(f"{url}/notes") as link:
        await link.send(encode_sync(UPDATE, update_of("last words")))
        await link.close()
    async with dropin(tmp_path) as (_, url):
        assert await read(f"{url}/notes") == "last words"


async def test_updates_arrive_in_their_order(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (_, url), raw(f"{url}/notes") as writer, raw(f"{url}/notes") as reader:
        await reader.sync()
        for n in range(200):
            await writer.edit(f"{n},")
        await reader.until(lambda: reader.value() == writer.value())
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        lengths = [0]
        for frame in reader.frames:
            if isinstance(frame, Update):
                doc.apply_update(frame.update)
                lengths.append(len(text_of(doc)))
        assert all(before < after for before, after in pairwise(lengths))
        assert text_of(doc) == writer.value()


async def test_channels_share_rooms_with_the_application(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as comity,
        WebsocketServer(app=comity.app) as server,
        served(asgi(server)) as url,
        raw_client(comity.url, "team/notes") as ours,
        raw(f"{url}/team/notes") as theirs,
    ):
        await ours.edit("a")
        await theirs.until(lambda: theirs.value() == "a")
        await theirs.edit("b")
        await ours.until(lambda: ours.value() == "ab")
        assert [room.name for room in comity.hub.rooms] == ["team/notes"]


async def test_a_server_without_an_application_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMITY_DATA", str(tmp_path))
    for said in ("", "one", "one"):
        async with WebsocketServer() as server:
            room = await server.get_room("/notes")
            assert text_of(room.ydoc) == said
            if not said:
                write(room.ydoc, "one")


async def test_a_corrupt_update_ends_its_own_connection_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with dropin(tmp_path) as (_, url), raw(f"{url}/notes") as good:
        async with raw(f"{url}/notes") as bad:
            await bad.send(CORRUPT)
            await bad.closed()
        await good.edit("still here")
        assert await read(f"{url}/notes", "still here") == "still here"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a client at /notes was sent away" in caplog.text


@pytest.mark.parametrize("is_forgiven", [True, False])
async def test_an_error_of_a_message_is_told_to_on_message_error(tmp_path: Path, is_forgiven: bool) -> None:
    told: list[tuple[Exception, bytes, str]] = []

    async def forgive(error: Exception, message: bytes, channel: Any) -> bool:
        told.append((error, message, channel.path))
        return is_forgiven

    async with dropin(tmp_path, auto_clean_rooms=False) as (server, url):
        (await server.get_room("/notes")).on_message_error = forgive
        async with raw(f"{url}/notes") as client:
            await client.send(CORRUPT)
            if is_forgiven:
                await client.edit("on we go")
                await eventually(lambda: text_of(server.rooms["/notes"].ydoc) == "on we go")
            else:
                await client.closed()
    assert [(type(error), message, path) for error, message, path in told] == [(ProtocolError, CORRUPT, "/notes")]


async def test_an_error_that_ends_a_client_is_told_to_the_exception_handler(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, log: logging.Logger) -> bool:
        told.append(error)
        return exception_logger(error, log)

    async with dropin(tmp_path, exception_handler=handle) as (_, url):
        async with raw(f"{url}/notes") as client:
            await client.send("text")
            await client.closed()
        async with raw(f"{url}/notes") as client:
            await client.send(b"\xff")
            await client.closed()
        async with raw(f"{url}/") as client:
            await client.closed()
    assert [type(error) for error in told] == [ConnectionFailedError, ProtocolError, RoomNotFoundError]


async def test_a_message_that_is_not_bytes_ends_the_conversation(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path)) as app, WebsocketServer(app=app) as server:
        await server.serve(Line("/notes", None))
        assert dict(app.hub.closes) == {4400: 1}


async def test_an_error_that_nobody_handles_is_raised(tmp_path: Path) -> None:
    def broken(message: bytes) -> bool:
        raise ZeroDivisionError(message)

    async with App(Settings(data=tmp_path)) as app, WebsocketServer(app=app) as server:
        (await server.get_room("/notes")).on_message = broken
        with pytest.raises(ZeroDivisionError):
            await server.serve(Line("/notes", b"\x00\x00\x01\x00"))


async def test_messages_that_on_message_skips_are_not_taken(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def is_unwanted(message: bytes) -> bool:
        seen.append(message)
        return b"spam" in message

    async def is_unwanted_later(message: bytes) -> bool:
        await asyncio.sleep(0)
        return b"junk" in message

    async with dropin(tmp_path) as (server, url), raw(f"{url}/notes") as client:
        room = await server.get_room("/notes")
        room.on_message = is_unwanted
        await client.send(encode_sync(UPDATE, update_of("spam")))
        await client.edit("ham")
        await eventually(lambda: text_of(room.ydoc) == "ham")
        room.on_message = is_unwanted_later
        await client.send(encode_sync(UPDATE, update_of("junk")))
        await client.edit(" and eggs")
        await eventually(lambda: text_of(room.ydoc) == "ham and eggs")
        assert any(b"spam" in message for message in seen)


@pytest.mark.parametrize("what", ["the room", "its name", "the server"])
async def test_a_message_may_stop_what_it_came_to(tmp_path: Path, what: str) -> None:
    async with App(Settings(data=tmp_path)) as app, WebsocketServer(app=app) as server:
        room = await server.get_room("/notes")

        async def stop(_message: bytes) -> bool:
            if what == "the room":
                await room.stop()
            elif what == "its name":
                await server.delete_room(name="/notes")
            else:
                await server.stop()
            return True

        room.on_message = stop
        channel = Line("/notes", b"stop")
        await server.serve(channel)
        await eventually(lambda: not room.started.is_set())
        await eventually(lambda: not any(each.members for each in app.hub.rooms))
        assert server.running == (what != "the server")


async def test_on_connect_refuses_and_on_disconnect_is_told(tmp_path: Path) -> None:
    gone: list[Any] = []

    async def is_refused(_message: dict[str, Any], scope: dict[str, Any]) -> bool:
        return bool(scope["path"] == "/secret")

    async with (
        App(Settings(data=tmp_path)) as app,
        WebsocketServer(app=app) as server,
        served(asgi(server, on_connect=is_refused, on_disconnect=gone.append)) as url,
    ):
        with pytest.raises(InvalidStatus):
            await read(f"{url}/secret")
        assert await read(f"{url}/notes") == ""
        await eventually(lambda: gone and not server.rooms)


async def test_a_room_is_closed_when_its_last_client_leaves(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (server, url):
        async with raw(f"{url}/notes") as one:
            await one.edit("kept")
            async with raw(f"{url}/notes") as other:
                await other.sync()
                room = server.rooms["/notes"]
                assert len(room.clients) == 2
            await eventually(lambda: len(room.clients) == 1)
            assert server.rooms == {"/notes": room}
        await eventually(lambda: not server.rooms and not room.started.is_set())
        assert await read(f"{url}/notes") == "kept"


async def test_a_room_stays_open_if_it_is_not_to_be_cleaned(tmp_path: Path) -> None:
    async with dropin(tmp_path, auto_clean_rooms=False) as (server, url):
        assert await read(f"{url}/notes") == ""
        room = server.rooms["/notes"]
        await eventually(lambda: not room.clients)
        assert server.rooms == {"/notes": room}
        assert room.started.is_set()


async def test_clients_that_come_while_others_leave_find_an_open_room(tmp_path: Path) -> None:
    async def visit(url: str) -> None:
        for _ in range(10):
            assert await read(url) == "here"

    async with dropin(tmp_path) as (server, url):
        async with raw(f"{url}/notes") as client:
            await client.edit("here")
            await eventually(lambda: text_of(server.rooms["/notes"].ydoc) == "here")
        await asyncio.gather(*(visit(f"{url}/notes") for _ in range(4)))
        await eventually(lambda: not server.rooms)


async def test_a_room_that_somebody_is_about_to_enter_stays_open(tmp_path: Path) -> None:
    gate = asyncio.Event()

    class Slow(WebsocketServer):
        async def get_room(self, name: str) -> YRoom:
            room = await super().get_room(name)
            await gate.wait()
            return room

    async with App(Settings(data=tmp_path)) as app, Slow(app=app) as server:
        gate.set()
        first, second = Line("/notes"), Line("/notes")
        serving = [asyncio.create_task(server.serve(first))]
        await eventually(lambda: first.sent)
        gate.clear()
        serving.append(asyncio.create_task(server.serve(second)))
        await asyncio.sleep(0)
        first.end()
        await serving[0]
        gate.set()
        await eventually(lambda: second.sent)
        second.end()
        await serving[1]
        assert not server.rooms


async def test_deleting_a_room_sends_its_clients_away_and_keeps_its_content(tmp_path: Path) -> None:
    async with dropin(tmp_path) as (server, url), raw(f"{url}/notes") as client, raw(f"{url}/other") as bystander:
        await client.edit("kept")
        await bystander.sync()
        room = await server.get_room("/notes")
        assert server.get_room_name(room) == "/notes"
        await eventually(lambda: text_of(room.ydoc) == "kept")
        await server.delete_room(name="/notes")
        await client.closed()
        assert set(server.rooms) == {"/other"}
        assert not room.started.is_set()
        assert text_of((await server.get_room("/notes")).ydoc) == "kept"
        await server.delete_room(room=server.rooms["/notes"])
        await bystander.edit("still here")
        await eventually(lambda: text_of(server.rooms["/other"].ydoc) == "still here")


async def test_rooms_that_are_not_there_cannot_be_deleted_and_none_can_be_renamed(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path)) as app, WebsocketServer(app=app) as server:
        room = await server.get_room("/notes")
        with pytest.raises(RoomNotFoundError, match="'/lost': not open"):
            await server.delete_room(name="/lost")
        for call in (server.delete_room(), server.delete_room(name="/notes", room=room)):
            with pytest.raises(RoomNotFoundError, match="not clear"):
                await call
        with pytest.raises(RoomError, match="'/notes': a room is stored under its name"):
            server.rename_room("/new", from_name="/notes")
        with pytest.raises(RoomError, match="'/notes': a room is stored under its name"):
            server.rename_room("/new", from_room=room)
        assert server.rooms == {"/notes": room}
        await server.delete_room(room=room)
        with pytest.raises(RoomNotFoundError, match="not among"):
            server.get_room_name(room)


async def test_a_room_that_cannot_be_opened_is_not_kept(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path)) as app, WebsocketServer(app=app) as server:
        for name in ("", "/", "/\x00"):
            with pytest.raises(RoomNotFoundError, match="not a room name"):
                await server.get_room(name)
        assert not server.rooms


async def test_whoever_may_not_read_and_takes_no_answer_is_told_of_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_message: bytes) -> None:
        raise ZeroDivisionError

    async with App(Settings(data=tmp_path, anyone="nothing")) as app, WebsocketServer(app=app) as server:
        channel = Line("/notes")
        monkeypatch.setattr(channel, "send", broken)
        await server.serve(channel)
    assert "room 'notes': not for you" in caplog.text


async def test_whoever_may_not_write_or_read_is_told_so(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    reading = {"anyone": "read"}
    async with (
        dropin(tmp_path, settings=reading, exception_handler=handle) as (server, url),
        raw(f"{url}/notes") as client,
    ):
        write((await server.get_room("/notes")).ydoc, "for all to read")
        await client.until(lambda: client.value() == "for all to read")
        await client.edit("and write")
        await client.closed()
    async with dropin(tmp_path, settings={"anyone": "nothing"}, exception_handler=handle) as (server, url):
        async with raw(f"{url}/notes") as client:
            await client.closed()
        assert text_of((await server.get_room("/notes")).ydoc) == "for all to read"
    assert [str(error) for error in told] == ["room 'notes': read only", "room 'notes': not for you"]
    assert {type(error) for error in told} == {ForbiddenError}


async def test_a_server_is_started_and_stopped_in_either_way(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path)) as app:
        server = WebsocketServer(app=app)
        for _ in range(2):
            running = asyncio.create_task(server.start())
            await server.started.wait()
            assert server.running
            with pytest.raises(StartError, match="already running"):
                await server.start()
            room = await server.get_room("/notes")
            await server.stop()
            await running
            assert (server.running, server.started.is_set(), room.started.is_set()) == (False, False, False)
        for call in (server.stop(), server.serve(Line("/notes")), server.get_room("/notes")):
            with pytest.raises(StartError, match="not running"):
                await call
        async with anyio.create_task_group() as group:
            await group.start(server.start)
            assert server.running
            await server.stop()


async def test_an_interrupt_at_the_end_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMITY_DATA", str(tmp_path))

    async def program() -> None:
        async with WebsocketServer() as server:
            write((await server.get_room("/notes")).ydoc, "last words")
            asyncio.get_running_loop().call_soon(running.cancel)

    running = asyncio.create_task(program())
    with pytest.raises(asyncio.CancelledError):
        await running
    async with WebsocketServer() as server:
        assert text_of((await server.get_room("/notes")).ydoc) == "last words"


async def test_stopping_sends_clients_away(tmp_path: Path) -> None:
    async with App(Settings(data=tmp_path)) as app:
        server = WebsocketServer(app=app)
        async with server, served(asgi(server)) as url, raw(f"{url}/notes") as client:
            await client.sync()
            await server.stop()
            await client.closed()


@pytest.mark.parametrize("is_handled", [True, False])
@pytest.mark.parametrize("owns", [True, False])
async def test_when_storing_stops_for_good_everyone_is_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owns: bool, is_handled: bool
) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return is_handled

    store = BreakingStore()
    app = App(Settings(data=tmp_path), store)
    monkeypatch.setattr(websocketserver, "App", lambda _settings: app)
    if not owns:
        await app.__aenter__()
    server = WebsocketServer(app=None if owns else app, exception_handler=handle)
    await server.__aenter__()
    async with served(asgi(server)) as url, raw(f"{url}/notes") as client:
        await client.sync()
        store.is_broken = True
        await client.edit("lost")
        await client.closed()
        assert app.hub.is_draining == owns
    with pytest.raises(StorageError, match="a store that broke") if owns else nullcontext():
        await server.__aexit__(None, None, None)
    if not owns:
        with pytest.raises(StorageError, match="a store that broke"):
            await app.__aexit__(None, None, None)
    assert [type(error) for error in told] == [StorageError]


@pytest.mark.parametrize("is_handled", [True, False])
async def test_starting_ends_when_storing_stops_for_good(tmp_path: Path, is_handled: bool) -> None:
    store = BreakingStore()
    app = App(Settings(data=tmp_path), store)
    await app.__aenter__()
    server = WebsocketServer(app=app, exception_handler=lambda *_: is_handled)
    running = asyncio.create_task(server.start())
    await server.started.wait()
    store.is_broken = True
    write((await server.get_room("/notes")).ydoc, "lost")
    with nullcontext() if is_handled else pytest.raises(StorageError, match="a store that broke"):
        await running
    assert not server.running
    with pytest.raises(StorageError, match="a store that broke"):
        await app.__aexit__(None, None, None)


async def test_edits_made_in_this_process_outlive_a_fault_of_the_disk(tmp_path: Path) -> None:
    store = FaultyStore()
    async with App(Settings(data=tmp_path), store) as app:
        server = WebsocketServer(app=app, exception_handler=exception_logger)
        async with server, served(asgi(server)) as url:
            room = await server.get_room("/notes")
            write(room.ydoc, "kept ")
            assert await read(f"{url}/notes", "kept ") == "kept "
            store.error = StoreFullError("the disk is full", subject="memory store")
            write(room.ydoc, "too")
            await eventually(lambda: app.archive.failed)
            assert await read(f"{url}/notes") == "kept "
            store.error = None
            assert await read(f"{url}/notes", "kept too") == "kept too"
        assert server.rooms == {}


async def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    example = (ROOT / "docs" / "pycrdt-websocket.md").read_text().split("```python\n")[1].split("```")[0]
    program = tmp_path / "program.py"
    program.write_text(example.replace("port=8000", f"port={port}"))
    environment = os.environ | {"COMITY_DATA": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            while b"Uvicorn running" not in await process.stdout.readline():
                assert process.returncode is None
        async with raw(f"ws://127.0.0.1:{port}/notes") as client:
            await client.edit("kept")
        assert await read(f"ws://127.0.0.1:{port}/notes", "kept") == "kept"
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()
    async with dropin(tmp_path / "data") as (_, url):
        assert await read(f"{url}/notes") == "kept"


async def test_a_channel_may_send_no_faster_than_one_connection_may(tmp_path: Path) -> None:
    settings = {"connection_messages": 10, "burst_seconds": 1}
    async with dropin(tmp_path, settings=settings) as (server, url), raw(f"{url}/notes") as client:
        room = await server.get_room("/notes")
        room.on_message_error = lambda *_: True
        with suppress(ConnectionClosed):
            for _ in range(200):
                await client.edit("x")
        await client.closed()
        assert len(text_of(room.ydoc)) < 100
