"""The door: nobody holds a connection open for nothing, and nobody has too many of them."""

import asyncio
import itertools
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from websockets.exceptions import InvalidStatus

from comity.crdt_types.wire import STEP1, encode_sync
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Loaded
from comity.server.settings import Settings
from comity.server.transport import admission, admitted, door
from comity.server.transport.admission import Gate, raise_open_files
from comity.server.transport.admitted import Admitted
from tests.support.bare import BINARY, CLOSE, CONTINUATION, PING, PONG, bare_socket, frame, upgrade
from tests.support.raw import raw_client
from tests.support.server import in_process_server, running_server
from tests.support.waiting import DEADLINE, eventually

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
ASK = frame(BINARY, encode_sync(STEP1, b"\x00"))


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (GET, b"HTTP/1.1 408 "),
        (GET + b"Content-Length: 5\r\n\r\n12", b"HTTP/1.1 200 "),
        (upgrade()[:-2], b"HTTP/1.1 408 "),
        (GET + b"\r\n" + GET, b"HTTP/1.1 200 "),
    ],
)
async def test_door_does_not_wait_for_a_request_for_ever(tmp_path: Path, sent: bytes, answer: bytes) -> None:
    async with in_process_server(tmp_path, request_seconds=0.2) as server, bare_socket(server.port) as client:
        await client.send(sent)
        received = await client.read_all()
        assert received.startswith(answer)
        assert bool(received) == bool(answer)
        assert server.hub.refusals == {"request_seconds": 1}


@pytest.mark.parametrize("rest", [b"", b"no chunk\r\n"])
async def test_door_answers_a_request_once(tmp_path: Path, rest: bytes) -> None:
    async with in_process_server(tmp_path, request_seconds=0.2) as server, bare_socket(server.port) as client:
        await client.send(GET + b"Transfer-Encoding: chunked\r\n\r\n")
        assert (await client.read_some()).startswith(b"HTTP/1.1 200 ")
        await client.send(rest)
        assert (await client.read_all()).count(b"HTTP/1.1 ") == 1


async def test_door_leaves_whoever_asks_in_time_alone(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, request_seconds=0.6) as server:
        async with raw_client(server.url, "x") as client, bare_socket(server.port) as other:
            for _ in range(5):
                await other.send(GET + b"\r\n")
                assert (await other.read_some()).startswith(b"HTTP/1.1 200 ")
                await asyncio.sleep(0.15)
            await client.edit("still here")
            await client.durable()
        assert not server.hub.refusals


async def test_door_gives_every_request_on_a_connection_the_same_time(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, request_seconds=0.2) as server, bare_socket(server.port) as client:
        await client.send(GET + b"\r\n")
        assert (await client.read_some()).startswith(b"HTTP/1.1 200 ")
        await client.send(GET)
        assert b"HTTP/1.1 408 " in await client.read_all()


async def test_door_ends_a_connection_whose_answer_nobody_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "RESPONSE_SECONDS", 0.2)
    gone = asyncio.Event()
    connection_lost = door.Door.connection_lost

    def lost(each: door.Door, error: Exception | None) -> None:
        gone.set()
        connection_lost(each, error)

    monkeypatch.setattr(door.Door, "connection_lost", lost)
    async with (
        in_process_server(tmp_path, request_seconds=2 * DEADLINE) as server,
        bare_socket(server.port, window=4096) as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1_500)
        async with asyncio.timeout(DEADLINE):
            await gone.wait()


@pytest.mark.parametrize("begin", [GET, upgrade()[:-2]])
async def test_door_takes_no_head_without_end(tmp_path: Path, begin: bytes) -> None:
    async with in_process_server(tmp_path, request_bytes=2048) as server, bare_socket(server.port) as client:
        await client.send(begin, *(b"x-more: " + b"x" * 500 + b"\r\n" for _ in range(10)))
        assert (await client.read_all()).startswith(b"HTTP/1.1 431 ")
        assert server.hub.refusals == {"request_bytes": 1}


async def test_door_takes_the_largest_head_that_it_says(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, request_bytes=2048) as server, bare_socket(server.port) as client:
        room = 2048 - len(GET) - len(b"x-more: \r\n\r\n")
        await client.send(GET + b"x-more: " + b"x" * room + b"\r\n\r\n")
        assert (await client.read_some()).startswith(b"HTTP/1.1 200 ")
        await client.send(GET + b"x-more: " + b"x" * (room + 1) + b"\r\n\r\n")
        assert b"HTTP/1.1 431 " in await client.read_all()


async def test_door_answers_what_is_not_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with in_process_server(tmp_path) as server, bare_socket(server.port) as client:
        await client.send(b"hello?\r\n\r\n")
        assert (await client.read_all()).startswith(b"HTTP/1.1 400 ")
    assert not caplog.records


@pytest.mark.parametrize("process", [False, True])
async def test_door_loses_nothing_of_a_client_that_does_not_wait_for_its_answer(tmp_path: Path, process: bool) -> None:
    # The server's process runs on uvloop, a test on asyncio's own loop.
    serving = running_server(tmp_path) if process else in_process_server(tmp_path)
    async with serving as server, bare_socket(server.port) as client:
        await client.shake_hands(upgrade() + ASK[:3])
        await client.send(ASK[3:] + ASK)
        while client.received.count(b"\x00\x01\x02\x00\x00") < 2:
            assert await client.read_some()


async def test_door_survives_what_breaks_the_rules_before_the_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_process_server(tmp_path) as server, bare_socket(server.port) as client:
        await client.send(upgrade() + upgrade())
        await client.read_all()
    assert not caplog.records


@pytest.mark.parametrize("opcode", [PING, PONG, CONTINUATION])
async def test_door_counts_frames_that_are_no_messages(tmp_path: Path, opcode: int) -> None:
    async with (
        in_process_server(tmp_path, connection_messages=50, burst_seconds=1) as server,
        bare_socket(server.port) as client,
    ):
        await client.shake_hands()
        begin, end = (frame(BINARY, final=False), frame(CONTINUATION)) if opcode == CONTINUATION else (b"", b"")
        await client.send(begin, frame(opcode, final=opcode != CONTINUATION) * 60, end, frame(CLOSE))
        assert (4529).to_bytes(2, "big") + b"more than 50 frames a second" in await client.read_all()
        assert server.hub.refusals == {"connection_messages": 1}
        assert server.hub.closes == {4529: 1}


async def test_door_takes_no_message_in_pieces_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitted, "MAX_FRAGMENTS", 20)
    async with in_process_server(tmp_path) as server, bare_socket(server.port) as client:
        await client.shake_hands()
        await client.send(frame(BINARY, final=False), frame(CONTINUATION, final=False) * 30)
        await client.send(frame(CONTINUATION), frame(CLOSE))
        assert (1009).to_bytes(2, "big") + b"a message in more than 20 fragments" in await client.read_all()
        assert server.hub.refusals == {"max_message": 1}
        assert server.hub.closes == {1009: 1}


@pytest.mark.parametrize(("sent", "code"), [(b"\xf2\x80\0\0\0\0", 1002), (b"\x82\xff" + bytes((1,) * 12), 1009)])
async def test_door_counts_whom_it_closes_for_a_frame(tmp_path: Path, sent: bytes, code: int) -> None:
    async with in_process_server(tmp_path) as server, bare_socket(server.port) as client:
        await client.shake_hands()
        await client.send(sent, frame(CLOSE))
        await client.read_all()
        assert server.hub.closes == {code: 1}


class _SlowStore(MemoryStore):
    """A store that loads a room when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_load = asyncio.Event()

    async def load(self, room: str) -> Loaded | None:
        await self.may_load.wait()
        return await super().load(room)


async def test_door_holds_little_of_a_client_whose_room_is_being_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _SlowStore()
    sockets: list[Admitted] = []
    admit = Admitted.admit

    def note(socket: Admitted, gate: Gate, on_lost: Callable[[], None]) -> None:
        sockets.append(socket)
        admit(socket, gate, on_lost)

    monkeypatch.setattr(Admitted, "admit", note)
    async with in_process_server(tmp_path, store) as server, bare_socket(server.port) as client:
        await client.shake_hands()
        sending = asyncio.create_task(client.send(*itertools.repeat(ASK * 1000, 5_000)))
        await eventually(lambda: sockets and not sockets[0].transport.is_reading())
        assert sum(len(piece.data) for piece in sockets[0]._pieces) < 300_000  # pyright: ignore[reportPrivateUsage]
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        store.may_load.set()


# How many -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count this machine's connections as those of any other."""
    monkeypatch.setattr(admission, "address_of", lambda host: host)


@pytest.mark.usefixtures("counting")
async def test_door_lets_an_address_have_so_many_connections(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, address_connections=2) as server:
        async with raw_client(server.url, "x") as client, bare_socket(server.port) as idle:
            await client.sync()
            await idle.send(GET)
            async with bare_socket(server.port) as third:
                answer = await third.read_all()
                assert answer.startswith(b"HTTP/1.1 429 ")
                assert b"retry-after: 5\r\n" in answer
        assert server.hub.refusals == {"address_connections": 1}
        for _ in range(5):  # each has left when the next comes
            async with raw_client(server.url, "x") as client, raw_client(server.url, "x") as other:
                await client.sync()
                await other.sync()
            await eventually(lambda: not server.app.gate.addresses)
        assert server.hub.refusals == {"address_connections": 1}


async def test_door_counts_whom_a_trusted_proxy_speaks_for(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, address_connections=1, trusted_proxies="127.0.0.1") as server:
        one: dict[str, Any] = {"additional_headers": {"X-Forwarded-For": "10.0.0.1"}}
        other: dict[str, Any] = {"additional_headers": {"X-Forwarded-For": "10.0.0.2"}}
        async with raw_client(server.url, "x", **one) as client, raw_client(server.url, "x", **other):
            await client.sync()
            with pytest.raises(InvalidStatus) as raised:
                async with raw_client(server.url, "x", **one):
                    pass
            assert raised.value.response.status_code == 429
        assert server.hub.refusals == {"address_connections": 1}
        await eventually(lambda: not server.app.gate.addresses)
        async with raw_client(server.url, "x", **one) as client:
            await client.sync()


@pytest.mark.parametrize("trusted", ["", "10.9.9.9"])
async def test_door_does_not_listen_to_a_proxy_that_is_not_trusted(tmp_path: Path, trusted: str) -> None:
    async with in_process_server(tmp_path, address_connections=1, trusted_proxies=trusted) as server:
        victim: dict[str, Any] = {"additional_headers": {"X-Forwarded-For": "10.0.0.1"}}
        async with raw_client(server.url, "x", **victim) as one, raw_client(server.url, "x", **victim) as two:
            await one.sync()
            await two.sync()
        assert not server.hub.refusals


async def test_door_lets_in_as_many_connections_as_there_may_be(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_connections=2) as server:
        async with raw_client(server.url, "x") as client, raw_client(server.url, "x"):
            with pytest.raises(InvalidStatus) as raised:
                async with raw_client(server.url, "x"):
                    pass
            assert raised.value.response.status_code == 503
            await client.edit("still here")
            await client.durable()
        assert server.hub.refusals == {"max_connections": 1}


def test_door_leaves_files_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 4000))
    gate = Gate(Settings(data=tmp_path), Counter(), Counter())
    most = 1000 - admission.SPARE_FILES
    assert gate.has_space(most)
    assert not gate.has_space(most + 1)


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((1024, 4096), [(4096, 4096)]),
        ((1024, resource.RLIM_INFINITY), [(admission.MOST_FILES, resource.RLIM_INFINITY)]),
        ((4096, 4096), []),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), []),
    ],
)
def test_door_asks_the_system_for_as_many_files_as_it_grants(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], wanted: list[tuple[int, int]]
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: asked.append(pair))
    raise_open_files()
    assert asked == wanted


@pytest.mark.parametrize("proxies", ["*", "0.0.0.0/0", "::/0", "proxy.example"])
def test_door_trusts_no_proxy_that_could_be_anybody(proxies: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings(trusted_proxies=proxies)


def test_door_counts_a_proxys_own_connections_for_nobody(tmp_path: Path) -> None:
    gate = Gate(Settings(data=tmp_path, trusted_proxies="10.1.0.0/16, 10.2.0.1"), Counter(), Counter())
    assert [gate.address_of(host) for host in ("10.1.2.3", "10.2.0.1")] == [None, None]
    assert gate.address_of("10.2.0.2") == "10.2.0.2"
