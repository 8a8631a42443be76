"""Faults: what clients and machines do to a server is bounded, is counted, and is over when it is over."""

import asyncio
import gc
import json
import os
import signal
import time
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import psutil
import pycrdt
import pytest

from comity.crdt_types.wire import STEP1, UPDATE, Presence, QueryAwareness, encode, encode_awareness, encode_sync
from comity.persistence.memory import MemoryStore
from comity.server.rooms.document import Document
from tests.support.arena import Arena, arena
from tests.support.bare import BINARY, CLOSE, PING, BareSocket, bare_socket, frame, upgrade
from tests.support.raw import RawClient, raw_client
from tests.support.server import in_process_server, running_server
from tests.support.waiting import eventually

MIB: Final = 1024 * 1024
# Left of a client that sends and reads nothing: outbox_limit, and what the transport holds. Its messages, if all were
# answered and the answers kept, would come to twice as much.
MOST: Final = 8 * MIB
FLOOD: Final = 20_000
PINGS: Final = 120_000
REST_SECONDS: Final = 0.2  # in which a server that has something to do does some of it


@pytest.fixture(name="arena")
async def _arena(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncGenerator[Arena]:
    async with arena(tmp_path, caplog) as opened:
        yield opened


# Clients that send and never read ----------------------------------------------------------------------------------


def _edits() -> bytes:
    """Return an edit that changes nothing after the first time: each is acknowledged."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("t", type=pycrdt.Text).insert(0, "x")
    return frame(BINARY, encode_sync(UPDATE, doc.get_update()))


FLOODS: Final[dict[str, bytes]] = {
    "pings": frame(PING, bytes(125)),
    "edits": _edits(),
    "requests for everything": frame(BINARY, encode_sync(STEP1, b"\x00")),
    "requests for presence": frame(BINARY, encode(QueryAwareness())),
    "presence": frame(BINARY, encode_awareness([Presence(5, 1, "{}")])),
    "empty edits": frame(BINARY, encode_sync(UPDATE, b"\x00\x00")),
    "frames that are cut up": frame(BINARY, encode(QueryAwareness())[:0], final=False)
    + frame(0, encode(QueryAwareness())),
}


async def _flood(socket: BareSocket, unit: bytes, server: psutil.Process) -> None:
    """Send the same again and again, until it was so much or the server rests and takes no more."""
    piece = unit * (64 * 1024 // len(unit))
    for _ in range((PINGS if unit[0] & 0xF == PING else FLOOD) * len(unit) // len(piece)):
        sending = asyncio.create_task(socket.send(piece))
        worked = -1.0
        while not sending.done() and worked != (worked := sum(server.cpu_times()[:2])):
            await asyncio.wait((sending,), timeout=REST_SECONDS)
        if not sending.done():
            sending.cancel()
            return


async def test_faults_of_clients_that_send_and_never_read_cost_bounded_memory(tmp_path: Path) -> None:
    rates = {"connection_messages": 0, "connection_bytes": 0, "principal_messages": 0, "principal_bytes": 0}
    grown: dict[str, int] = {}
    async with (
        running_server(tmp_path, durability="os", **rates) as server,
        raw_client(server.url, "x") as other,
    ):
        await other.sync()
        await other.edit("x" * 1000)
        await other.announce([Presence(7, 1, json.dumps({"about": "x" * 1000}))])
        await other.durable()
        process = psutil.Process(server.pid)
        for name, unit in FLOODS.items():
            before = process.memory_info().rss
            async with bare_socket(server.port, window=4096) as socket:
                await socket.shake_hands()
                await _flood(socket, unit, process)
                await other.edit("undisturbed")
                await other.durable()
                grown[name] = process.memory_info().rss - before
    assert max(grown.values()) < MOST, grown


# Clients that come and go ------------------------------------------------------------------------------------------


async def _stay_silent(socket: BareSocket) -> None:
    """Send nothing at all."""


async def _break_off(socket: BareSocket) -> None:
    await socket.send(upgrade()[:60])
    socket.reset()


async def _hurry(socket: BareSocket) -> None:
    await socket.send(upgrade())
    socket.reset()


async def _come_and_reset(socket: BareSocket) -> None:
    await socket.shake_hands()
    socket.reset()


async def _come_and_go(socket: BareSocket) -> None:
    await socket.shake_hands()
    await socket.send(frame(BINARY, encode_sync(STEP1, b"\x00")), frame(CLOSE, b"\x03\xe8"))
    await socket.read_all()


async def _be_present(socket: BareSocket) -> None:
    await socket.shake_hands(upgrade(f"/ws/{os.urandom(4).hex()}"))
    await socket.send(frame(BINARY, encode_awareness([Presence(int.from_bytes(os.urandom(4)), 1, "{}")])))


VISITS: Final = (_stay_silent, _break_off, _hurry, _come_and_reset, _come_and_go, _be_present)


async def _visit(arena: Arena, count: int) -> None:
    """Come and leave so many times, some at the same moment."""
    gate = asyncio.Semaphore(20)

    async def one(visit: Callable[[BareSocket], Any]) -> None:
        async with gate, bare_socket(arena.server.port) as socket:
            await visit(socket)

    async with asyncio.TaskGroup() as group:
        for visit in islice(cycle(VISITS), count):
            group.create_task(one(visit))


async def test_faults_of_a_thousand_who_come_and_leave_at_once_leave_nothing_behind(arena: Arena) -> None:
    async with arena.undisturbed():
        await _visit(arena, 100)  # what is made once, such as caches
    gc.collect()
    before = len(gc.get_objects())
    async with arena.undisturbed():
        started = time.monotonic()
        await _visit(arena, 1000)
        assert time.monotonic() - started < 60  # the machine decides how fast; this is not for ever
    gc.collect()
    assert len(gc.get_objects()) - before < 500  # not one for each of them
    await arena.witness.edit("undisturbed")
    await arena.witness.durable()


def _watched(document: Any) -> list[weakref.ref[Any]]:
    """Return references to a document, and to the engine's own, which do not keep them."""
    return [weakref.ref(document), weakref.ref(document._doc)]


async def test_faults_leave_no_document_of_a_room_that_nobody_is_in(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_seconds=0) as server:
        async with raw_client(server.url, "x") as client:
            await client.edit("kept")
            await client.durable()
            room = server.hub.rooms[0]
            gone = _watched(room.contents.document)
            room.contents.document = Document([room.contents.document.state()])  # as when it is loaded anew
            gone += _watched(room.contents.document)
            del room
        await eventually(lambda: not server.hub.rooms)
        gc.collect()
        assert [each() for each in gone] == [None] * 4


# Updates whose past never comes -------------------------------------------------------------------------------------


def _late(number: int) -> bytes:
    """Return an update whose past is kept from everybody."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    text = doc.get("late", type=pycrdt.Text)
    text.insert(0, "the past")
    state = doc.get_state()
    text.insert(0, f"{number}")
    return doc.get_update(state)


async def test_faults_of_updates_whose_past_never_comes_are_gone_with_their_clients(arena: Arena) -> None:
    room = arena.room
    async with arena.undisturbed(), AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(raw_client(arena.server.url, room.name, answers=False)) for _ in range(30)
        ]
        for client in clients:
            for number in range(20):
                await client.update(_late(number))
        await asyncio.gather(*(client.sync() for client in clients))
        assert sum(len(member.held()) for member in room.members) == 30 * 20
        assert arena.server.hub.tallies.of(room.name).held == 30 * 20
        assert not any(client.acknowledged for client in clients)
        await arena.witness.edit("nobody waits for them")
        await arena.witness.durable()
    await eventually(lambda: not any(member.held() for member in room.members))
    state, whole = room.contents.document.state(), pycrdt.Doc[Any]()
    whole.apply_update(state)
    assert str(whole.get("late", type=pycrdt.Text)) == ""


# A server that is held up --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _stopped(pid: int, seconds: float) -> AsyncGenerator[None]:
    """Stop a process for some time, as an overcommitted machine does; the context is what happens meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
        await asyncio.sleep(seconds)  # nothing is waited for: it is the fault itself
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_faults_that_hold_up_the_server_end_no_connection(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, ping_interval=0.2, ping_timeout=0.7) as server,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(raw_client(server.url, "x")) for _ in range(10)]
        await asyncio.gather(*(client.sync() for client in clients))
        for number in range(2):
            for client in clients:
                client.hold()
            await asyncio.sleep(0.25)  # each was sent a ping, which it has not answered
            async with _stopped(server.pid, 0.8):  # when this is over, the answers have come and the time is up
                for client in clients:
                    client.read_on()
                    await client.edit(f"{number} ")
            await asyncio.gather(*(client.durable() for client in clients))
        await asyncio.gather(*(client.sync() for client in clients))
        assert len({client.value() for client in clients}) == 1
        assert all(client.close_code is None for client in clients)


async def test_faults_that_hold_up_the_loop_end_no_connection(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, MemoryStore(), ping_interval=0.1, ping_timeout=0.2) as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x") as other,
    ):
        await asyncio.gather(client.sync(), other.sync())
        for number in range(2):
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)
            await client.edit(f"{number} ")
            await client.durable()
            await _pinged(other)
        await other.until(lambda: other.value() == client.value())
        assert (client.close_code, other.close_code) == (None, None)


async def _pinged(client: RawClient) -> None:
    """Return when the server has had time to ping, and to miss an answer."""
    await asyncio.sleep(0.4)
    assert client.close_code is None
