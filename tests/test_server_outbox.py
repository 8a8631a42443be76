"""Outboxes: memory is bounded however slowly a connection reads, and it converges once it reads on."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pycrdt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from comity.crdt_types.wire import UPDATE, Ack, Presence, Update, decode, encode_awareness, encode_sync
from comity.server.monitoring.tally import Tally
from comity.server.rooms.outbox import Outbox
from comity.server.transport.sockets import Packet
from tests.support.raw import narrow_socket, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

LIMIT: Final = 64 * 1024
EDIT: Final = "x" * 32 * 1024


def _outbox(server: ServerHere, author: str) -> Outbox:
    return next(member.outbox for member in server.hub.rooms[0].members if member.author == author)


async def test_outbox_of_a_reader_that_holds_still_is_bounded_and_converges(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT) as server,
        raw_client(server.url, "x") as writer,
        raw_client(server.url, "x", agent="reader", sock=narrow_socket(server.port)) as reader,
    ):
        await writer.sync()
        await reader.sync()
        behind = _outbox(server, "reader")
        reader.hold()
        most = 0
        for _ in range(300):
            await writer.edit(EDIT)
            await writer.durable()
            most = max(most, behind.queued_bytes)
        assert behind.is_behind
        assert most <= LIMIT + 2 * len(EDIT)
        reader.read_on()
        await reader.until(lambda: reader.value() == writer.value())
        await eventually(lambda: not behind.is_behind)
        received = sum(len(frame.update) for frame in reader.frames if isinstance(frame, Update))
        assert received < 2 * len(writer.value())
        await writer.edit("live again")
        await reader.until(lambda: reader.value().endswith("live again"))


async def test_outbox_that_takes_nothing_for_too_long_ends_its_connection_and_no_other(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT, stall_seconds=0.2) as server,
        raw_client(server.url, "x") as writer,
        raw_client(server.url, "x", agent="reader", sock=narrow_socket(server.port)) as reader,
    ):
        await writer.sync()
        await reader.sync()
        reader.hold()
        while server.hub.rooms[0].connections == 2:
            await writer.edit(EDIT)
            await writer.durable()
        reader.read_on()
        assert await reader.closed() in (4508, 1006)  # 1006 if it woke up too late to be told
        assert server.hub.closes[4508] == 1
        await writer.edit("undisturbed")
        await writer.durable()


async def test_outbox_answers_no_more_requests_than_the_reader_takes(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT) as server,
        raw_client(server.url, "x") as writer,
        raw_client(server.url, "x", agent="reader", sock=narrow_socket(server.port)) as reader,
    ):
        await writer.sync()
        await writer.edit(EDIT * 10)
        await writer.durable()
        await reader.sync()
        outbox = _outbox(server, "reader")
        reader.hold()
        request = encode_sync(0, b"\x00")
        for _ in range(100):
            await reader.send(request)
        await eventually(lambda: outbox.queued_bytes > LIMIT)
        await writer.edit("the room goes on")
        await writer.durable()
        assert outbox.queued_bytes < LIMIT + 2 * 10 * len(EDIT)
        reader.read_on()
        await reader.until(lambda: reader.value() == writer.value())


class _Pipe:
    """A socket that takes packets only while it is open, and hands them to a document."""

    def __init__(self) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.updates = 0
        self.acks: list[int] = []
        self.presence: dict[int, Presence] = {}
        self.open = asyncio.Event()
        self.open.set()

    def offer(self, packet: Packet) -> bool:
        if not self.open.is_set():
            return False
        self._take(packet)
        return True

    async def send(self, packet: Packet) -> None:
        await self.open.wait()
        self._take(packet)

    async def drain(self) -> None:
        await self.open.wait()

    def unsent(self) -> int:
        return 0

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError(f"closed with {code} {reason}")

    def _take(self, packet: Packet) -> None:
        match decode(packet.message):
            case Update(update):
                self.doc.apply_update(update)
                self.updates += 1
            case Ack(n):
                self.acks.append(n)
            case frame:
                self.presence |= {entry.client: entry for entry in getattr(frame, "entries", ())}


class _Room:
    """A room whose updates are sent out some turns after they were applied, as the journal makes it."""

    def __init__(self) -> None:
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self.array = self.doc.get("a", type=pycrdt.Array)
        self.pending: list[bytes] = []
        self.seq = 0
        self.sent = 0
        self.clock = 0
        self.tally = Tally()
        self.doc.observe(lambda event: self.pending.append(event.update))

    def edit(self, *, delete: bool) -> None:
        if delete and len(self.array):
            del self.array[0]
        else:
            self.array.append("x" * 20)
        self.seq += 1

    def state_vector(self) -> bytes:
        return self.doc.get_state()

    async def sound(self) -> None:
        pass

    def diff(self, state_vector: bytes) -> bytes:
        return self.doc.get_update(state_vector)

    async def committed(self) -> None:
        pass

    def presence(self, clients: Iterable[int]) -> bytes | None:
        return encode_awareness(Presence(client, self.clock, "{}") for client in sorted(clients))


STEPS: Final = ["edit", "edit", "delete", "tell", "tell", "hold", "read", "ack", "presence", "turn"]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(STEPS), max_size=80))
# It caught up while updates from before it fell behind were still on their way.
@example([*["edit"] * 12, "hold", *["tell"] * 6, "read", "turn", "turn", "turn"])
# It was told of updates from after it fell behind, before it caught up and afterwards.
@example([*["edit"] * 12, "hold", *["tell"] * 12, "edit", "tell", "read"])
@example([*["edit"] * 12, "hold", *["tell"] * 12, "edit", "edit", "read", *["turn"] * 9, "tell", "tell"])
async def test_outbox_tells_everything_in_whatever_order_things_happen(steps: list[str]) -> None:
    room, pipe, n, in_flight = _Room(), _Pipe(), 0, 0
    outbox = Outbox(
        pipe,
        room,
        limit=200,
        stall_seconds=1000,
        on_stall=lambda: pytest.fail("stalled"),
        on_failure=lambda error: pytest.fail(repr(error)),
    )
    for step in [*steps, *["tell"] * len(steps), "read"]:
        match step:
            case "edit" | "delete":
                room.edit(delete=step == "delete")
            case "tell" if room.pending:
                room.sent += 1
                outbox.put_update(Packet(encode_sync(UPDATE, room.pending.pop(0))), room.sent)
            case "hold":
                pipe.open.clear()
            case "read":
                pipe.open.set()
            case "ack":
                n += 1
                outbox.acknowledge(n)
            case "presence":
                room.clock += 1
                outbox.put_presence(Packet(room.presence([7]) or b""), [7])
            case _:
                await asyncio.sleep(0)
        in_flight = max(in_flight, room.seq - room.sent)
        assert outbox.queued_bytes < 200 + 100 * (1 + in_flight)  # no update here has 100 bytes
    await eventually(lambda: pipe.doc.get("a", type=pycrdt.Array).to_py() == room.array.to_py())
    await eventually(lambda: pipe.acks[-1:] == ([n] if n else []))
    await eventually(lambda: room.clock == 0 or (7 in pipe.presence and pipe.presence[7].clock == room.clock))
    await eventually(lambda: pipe.updates == room.sent - room.tally.skips + room.tally.catch_ups)
    assert pipe.acks == sorted(pipe.acks)
    await outbox.close()


async def test_outbox_that_has_caught_up_or_ended_is_watched_no_more() -> None:
    room, pipe, stalls = _Room(), _Pipe(), list[None]()
    outbox = Outbox(
        pipe,
        room,
        limit=10,
        stall_seconds=0.3,
        on_stall=lambda: stalls.append(None),
        on_failure=lambda error: pytest.fail(repr(error)),
    )

    def fall_behind() -> None:
        pipe.open.clear()
        room.edit(delete=False)
        outbox.put_update(Packet(encode_sync(UPDATE, room.pending.pop())), room.seq)
        assert outbox.is_behind

    loop = asyncio.get_running_loop()
    watched_until = loop.time() + 0.4
    while loop.time() < watched_until:
        fall_behind()
        pipe.open.set()
        await eventually(lambda: not outbox.is_behind)
    fall_behind()
    await outbox.close()
    assert not outbox.is_behind
    await asyncio.sleep(0.4)  # nothing comes of the time that was running
    assert not stalls
