"""Slow readers among many: what is kept for one that holds still is bounded, and nobody else has anything of it."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from comity.crdt_types.wire import Update
from comity.persistence.memory import MemoryStore
from comity.server.rooms.member import Member
from tests.support.raw import RawClient, narrow_socket, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

READERS: Final = 100
LIMIT: Final = 32 * 1024
EDIT: Final = "x" * 4 * 1024
EDITS: Final = 100  # some twelve times what may be kept
# What the transport takes before it says that it is full, and one message more.
TRANSPORT: Final = 64 * 1024 + 2 * len(EDIT)
STILL: Final = "still"


def _narrowed(server: ServerHere, author: str) -> list[Member]:
    """Return the members of that name, after their sockets on the server's side were made small, too."""
    members = [member for member in server.hub.rooms[0].members if member.author == author]
    for member in members:
        _transport(member).get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return members


def _kept(member: Member) -> int:
    """Return the bytes that the server's process holds for a reader."""
    return member.outbox.queued_bytes + _transport(member).get_write_buffer_size()


def _transport(member: Member) -> asyncio.WriteTransport:
    outbox: Any = member.outbox
    transport: asyncio.WriteTransport = outbox._socket._protocol.transport
    return transport


async def _readers(server: ServerHere, stack: AsyncExitStack, count: int) -> list[RawClient]:
    readers = [await stack.enter_async_context(raw_client(server.url, "x")) for _ in range(count)]
    await asyncio.gather(*(reader.sync() for reader in readers))
    return readers


async def _catch_up(reader: RawClient, writer: RawClient) -> None:
    await reader.until(lambda: reader.value() == writer.value())


def _received(client: RawClient) -> int:
    return sum(len(frame.update) for frame in client.frames if isinstance(frame, Update))


async def test_readers_have_nothing_of_one_among_them_that_holds_still(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT, connection_bytes=0, principal_bytes=0) as server,
        AsyncExitStack() as stack,
        raw_client(server.url, "x", agent=STILL, sock=narrow_socket(server.port)) as still,
        raw_client(server.url, "x", agent="writer") as writer,
    ):
        others = await _readers(server, stack, READERS - 1)
        await asyncio.gather(still.sync(), writer.sync())
        (held,), most, before = _narrowed(server, STILL), 0, len(still.frames)
        still.hold()
        for _ in range(EDITS):
            await writer.edit(EDIT)
            await writer.durable()
            most = max(most, _kept(held))
        await asyncio.gather(*(_catch_up(other, writer) for other in others))
        tally = server.hub.tallies.of("x")
        assert held.outbox.is_behind
        assert most <= LIMIT + TRANSPORT
        assert (tally.lags, tally.catch_ups) == (1, 0)
        still.read_on()
        await still.until(lambda: still.value() == writer.value())
        await eventually(lambda: not held.outbox.is_behind)
        assert tally.catch_ups == 1
        assert len(still.frames) - before < EDITS
        assert _received(still) < _received(others[0]) + 2 * len(EDIT)
        await writer.edit("live again")
        await still.until(lambda: still.value().endswith("live again"))
        assert not server.hub.closes


async def test_readers_that_read_little_at_a_time_are_not_sent_away(tmp_path: Path) -> None:
    async with (
        # In memory, since a disk may take as long for one commit as anybody may take who takes nothing.
        in_process_server(
            tmp_path, MemoryStore(), outbox_limit=LIMIT, stall_seconds=0.8, connection_bytes=0, principal_bytes=0
        ) as server,
        raw_client(server.url, "x", agent=STILL, sock=narrow_socket(server.port)) as slow,
        raw_client(server.url, "x", agent="writer") as writer,
    ):
        await asyncio.gather(slow.sync(), writer.sync())
        (member,) = _narrowed(server, STILL)
        slow.hold()
        loop = asyncio.get_running_loop()
        until = loop.time() + 2.4  # three times what somebody may take who takes nothing
        while loop.time() < until:
            for _ in range(8):
                await writer.edit(EDIT)
            await writer.durable()
            slow.read_on()
            await asyncio.sleep(0)  # one turn of the loop reads what the system has, some kilobytes
            await asyncio.sleep(0)
            slow.hold()
            await asyncio.sleep(0.1)
            assert member.outbox.queued_bytes <= LIMIT + 9 * len(EDIT)
        slow.read_on()
        await slow.until(lambda: slow.value() == writer.value())
        assert server.hub.tallies.of("x").lags
        assert not server.hub.closes


async def test_readers_that_all_hold_still_keep_the_writer_from_nothing(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, outbox_limit=LIMIT, connection_bytes=0, principal_bytes=0) as server,
        AsyncExitStack() as stack,
        raw_client(server.url, "x", agent="writer") as writer,
    ):
        await writer.sync()
        readers = [
            await stack.enter_async_context(raw_client(server.url, "x", agent=STILL, sock=narrow_socket(server.port)))
            for _ in range(20)
        ]
        await asyncio.gather(*(reader.sync() for reader in readers))
        members = _narrowed(server, STILL)
        for reader in readers:
            reader.hold()
        for _ in range(EDITS):
            await writer.edit(EDIT)
            await writer.durable()
        assert max(map(_kept, members)) <= LIMIT + TRANSPORT
        for reader in readers:
            reader.read_on()
        await asyncio.gather(*(_catch_up(reader, writer) for reader in readers))
        assert server.hub.tallies.of("x").catch_ups == 20
