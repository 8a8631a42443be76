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

import comity
from comity import Counter, State
from comity.crdt_types.wire import (
    STEP1,
    STEP2,
    UPDATE,
    Notice,
    Presence,
    QueryAwareness,
    encode,
    encode_awareness,
    encode_sync,
)
from comity.persistence import journal
from comity.persistence.errors import StoreFullError
from comity.persistence.memory import MemoryStore
from comity.server.rooms import archive
from comity.server.rooms.document import Document
from tests.support.arena import Arena, arena
from tests.support.bare import BINARY, CLOSE, PING, BareSocket, bare_socket, frame, upgrade
from tests.support.gated import FaultyStore, GatedStore
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server, running_server
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


# A store that fails -------------------------------------------------------------------------------------------------

FULL: Final = StoreFullError("database or disk is full", subject="comity.sqlite3")


async def _recovered(server: ServerHere, store: FaultyStore) -> None:
    store.error = None
    await eventually(lambda: server.app.archive.failed is None)


async def _joins(server: ServerHere, room: str) -> str:
    """Return what somebody who comes in now is given."""
    async with raw_client(server.url, room, answers=False) as client:
        return (await client.sync()).value()


@pytest.mark.parametrize("lands", [False, True])
async def test_faults_of_the_store_end_who_writes_and_nobody_else(tmp_path: Path, lands: bool) -> None:
    store = FaultyStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", answers=False) as writer,
        raw_client(server.url, "x", answers=False) as reader,
    ):
        await asyncio.gather(writer.sync(), reader.sync())
        await writer.edit("kept ")
        await writer.durable()
        store.fail(FULL, lands=lands)
        await writer.edit("refused")
        assert await writer.closed() == 4503
        assert "full" in writer.close_reason
        assert [frame.retry_after for frame in writer.frames if isinstance(frame, Notice)] == [archive.RETRY_SECONDS]
        assert writer.acknowledged == 1
        assert await _joins(server, "x") == "kept "  # what failed is not told of even where it is on disk
        async with raw_client(server.url, "x") as again:
            await again.sync()
            await again.edit("refused too")
            assert await again.closed() == 4503
        assert reader.value() == "kept "
        await _recovered(server, store)
        async with raw_client(server.url, "x", answers=False) as back:
            await back.update(writer.doc.get_update(), STEP2)
            await back.durable()
        assert await _joins(server, "x") == "kept refused"
        await reader.until(lambda: reader.value() == "kept refused")
        loaded = await store.load("x")
        assert loaded is not None
        assert loaded.seq == server.hub.rooms[0].seq == 2


async def test_faults_of_the_store_let_pass_what_brings_nothing(tmp_path: Path) -> None:
    store = FaultyStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", answers=False) as client,
        raw_client(server.url, "y", answers=False) as other,
    ):
        await asyncio.gather(client.sync(), other.sync())
        await client.edit("x" * 100)
        del client.text[10:]
        await client.update(client.doc.get_update())
        await client.durable()
        store.error = FULL
        await other.edit("refused")
        assert await other.closed() == 4503
        for update in (client.doc.get_update(), b"\x00\x00", client.doc.get_update(client.doc.get_state())):
            await client.update(update, STEP2)
        await client.durable()
        del client.text[5:]
        await client.update(client.doc.get_update())
        assert await client.closed() == 4503
        assert client.acknowledged == client.sent - 1
        await _recovered(server, store)


async def test_faults_of_the_store_are_noticed_by_a_room_that_it_cannot_create(tmp_path: Path) -> None:
    store = FaultyStore()
    store.error = FULL
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, "new") as client:
            await client.sync()
            await client.edit("refused")
            assert await client.closed() == 4503
        await eventually(lambda: server.app.archive.failed)
        assert await _joins(server, "new") == ""
        await _recovered(server, store)
        async with raw_client(server.url, "new") as back:
            await back.edit("kept")
            await back.durable()


async def test_faults_of_the_store_keep_from_readers_what_was_on_its_way(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", answers=False) as writer,
        raw_client(server.url, "x", answers=False) as reader,
    ):
        await asyncio.gather(writer.sync(), reader.sync())
        await writer.edit("kept ")
        await writer.durable()
        async with store.held():
            await writer.edit("lost")
            await eventually(lambda: not server.hub.rooms[0].is_committed)
            reader.is_synced = False
            await reader.send(encode_sync(STEP1, b"\x00"))  # its answer waits for the commit, which fails
            await eventually(lambda: server.hub.tallies.of("x").syncs == 3)
            store.error = FULL
        assert await writer.closed() == 4503
        await reader.until(lambda: reader.is_synced)
        assert reader.value() == "kept "
        assert await _joins(server, "x") == "kept "


async def test_faults_of_the_store_drop_what_came_of_somebody_who_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x", answers=False) as reader:
        await reader.sync()
        await reader.edit("kept ")
        await reader.durable()
        room = server.hub.rooms[0]
        async with store.held():
            await reader.edit("refused")
            await eventually(lambda: not room.is_committed)
            async with raw_client(server.url, "x", answers=False) as leaver:
                await leaver.edit("lost")
                await eventually(lambda: room.arriving)
            await eventually(lambda: room.connections == 1)
            store.error = FULL
        assert await reader.closed() == 4503
        assert await _joins(server, "x") == "kept "
        store.error = None
        await eventually(lambda: server.app.archive.failed is None)
        assert await _joins(server, "x") == "kept "
        assert room.seq == 1
    assert "a turn of room" not in caplog.text  # nothing is tried that cannot be


async def test_faults_of_the_store_let_nobody_have_what_was_loaded_before_them(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "y", answers=False) as writer:
        await writer.edit("kept")
        await writer.durable()
        store.loads.clear()
        store.door.clear()
        loading = asyncio.create_task(_joins(server, "x"))
        await eventually(lambda: store.loads == ["x"])
        store.error = FULL
        await writer.edit("refused")
        assert await writer.closed() == 4503
        store.door.set()
        assert await loading == ""
        assert store.loads.count("x") >= 2


async def test_faults_that_end_with_another_store_send_everyone_away(tmp_path: Path) -> None:
    store = FaultyStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x", answers=False) as client,
        raw_client(server.url, "y", answers=False) as other,
    ):
        await asyncio.gather(client.sync(), other.sync())
        await client.edit("kept")
        await client.durable()
        store.fail(FULL, once=True)
        store.is_other = True
        await other.edit("refused")
        assert await other.closed() == 4503
        assert await client.closed() == 4503
        assert await _joins(server, "x") == "kept"


async def test_faults_of_the_store_do_not_hold_up_the_end(tmp_path: Path) -> None:
    store = FaultyStore()
    async with asyncio.timeout(10), in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await client.edit("kept")
        await client.durable()
        store.error = FULL
        await client.edit("refused")
        await client.closed()


class Tally(State):
    done: Counter


async def _add(state: Tally, count: int) -> None:
    for _ in range(count):
        state.done.add(1)
        await asyncio.sleep(0.002)  # so that there are many turns, and faults between them


async def _stumble(server: ServerHere, store: FaultyStore, working: asyncio.Future[Any]) -> int:
    """Fail in every way, again and again, while there is work; return how often that was noticed."""
    for lands, once in cycle([(False, False), (True, False), (False, True), (True, True)]):
        if working.done():
            break
        store.fail(FULL, lands=lands, once=once)
        await asyncio.sleep(0.02)  # nothing is waited for: it is the fault itself
        await _recovered(server, store)
        await asyncio.sleep(0.02)
    return server.app.archive.faults


async def test_faults_of_the_store_lose_no_edit_and_double_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FIRST_PROBE", 0.005)
    monkeypatch.setattr(archive, "RETRY_SECONDS", 0.01)
    store = FaultyStore()
    async with in_process_server(tmp_path, store) as server, AsyncExitStack() as stack:
        clients = [comity.connect(server.url, agent=f"agent-{number}") for number in range(4)]
        states = [await stack.enter_async_context(client.open("shared/tally", Tally)) for client in clients]
        await asyncio.gather(*(state.durable() for state in states))
        working = asyncio.ensure_future(asyncio.gather(*(_add(state, 500) for state in states)))
        assert await _stumble(server, store, working) > 2
        await asyncio.gather(*(state.durable() for state in states))
        async with comity.connect(server.url).open("shared/tally", Tally) as reader:
            await reader.synced()
            assert reader.done.value == 2000
    async with (
        in_process_server(tmp_path, store) as server,
        comity.connect(server.url).open("shared/tally", Tally) as reader,
    ):
        await reader.synced()
        assert reader.done.value == 2000
