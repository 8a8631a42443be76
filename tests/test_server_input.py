"""Bad input: whatever a connection sends, the worst it can end is itself."""

import asyncio
import operator
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pycrdt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from comity.crdt_types.errors import EngineError
from comity.crdt_types.varint import write_uint
from comity.crdt_types.wire import (
    STEP1,
    STEP2,
    UPDATE,
    Ack,
    Denied,
    Notice,
    Presence,
    QueryAwareness,
    Token,
    encode,
    encode_awareness,
    encode_sync,
)
from comity.persistence.errors import StoreError
from comity.persistence.records import Loaded
from comity.server.rooms.document import Document
from comity.server.rooms.upkeep import Keeper
from comity.server.rooms.vetting import vet
from tests.support.gated import GatedStore, SlowCreation
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

LIMIT: Final = 4096  # largest message of the servers here
# The second is well formed, and has a letter of the first as its parent: the engine finds out half-way.
BEFORE: Final = bytes.fromhex("0101070004010174076265666f72652000")
PANIC: Final = bytes.fromhex("0101070708070701017800")


def _valid_messages() -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=77)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    doc.get("t", type=pycrdt.Text).insert(0, "hällo 😀")
    doc.get("a", type=pycrdt.Array).append({"deep": [1, 2.5, None, {"x": b"bytes"}]})
    doc.get("m", type=pycrdt.Map)["k"] = pycrdt.Array([1, "two"])
    del doc.get("t", type=pycrdt.Text)[0:2]
    return [
        *(encode_sync(UPDATE, update) for update in updates),
        encode_sync(STEP2, doc.get_update()),
        encode_sync(STEP1, doc.get_state()),
        encode_awareness([Presence(77, 1, '{"agent":"x"}'), Presence(78, 2, None)]),
        encode(QueryAwareness()),
        encode(Token("fresh")),
    ]


VALID: Final = _valid_messages()
# What no mutation of few bytes finds: each of these once ended, or would end, more than its own connection.
NASTY: Final = [
    b"",
    encode_sync(UPDATE, b"\x01\x01\x07\x00\x08\x01\x01a\x01" + b"\x75\x01" * 1000 + b"\x7e\x00"),
    encode_sync(UPDATE, b"\x01\x01\x05\xff\xff\xff\xff\x0f\x88\x05\x12\x01w\x03two\x00"),
    encode_sync(UPDATE, b"\x01\x01\x4d\x1a\x01\x7c\x40\x40\x00\x00\x00\x01\x05\x01\x1a\x02"),
    encode_sync(UPDATE, b"\x00\x01\x07\x01" + write_uint(2**53 - 1) * 2),
    encode_sync(STEP1, b"\xff\xff\xff\xff\x0f\x05\x01"),
    encode_sync(STEP1, write_uint(500_000_000)),
    encode_sync(STEP1, b"\x01\x05" + b"\xff" * 30),
    encode_awareness([Presence(1, 1, "[" * 2000)]),
    b"\x01\x05\xff\xff\xff\xff\x0f",
    b"\x64\x01\xdf\xff\xff\xff\xff",
    encode(Ack(5)),
    encode(Notice(4503, "bye")),
    encode(Denied("no")),
    b"\x63",
]
mutations = st.lists(
    st.tuples(st.sampled_from(["flip", "drop", "insert", "cut"]), st.integers(0, 4000), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def _mutated(message: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    mutable = bytearray(message)
    for how, place, byte in changes:
        at = place % (len(mutable) + 1)
        match how:
            case "flip":
                mutable[at : at + 1] = bytes((byte,))
            case "drop":
                del mutable[at : at + 1 + byte % 4]
            case "insert":
                mutable[at:at] = bytes((byte,)) * (1 + byte % 5)
            case _:
                del mutable[at:]
    return bytes(mutable)


bad_messages: st.SearchStrategy[bytes | str] = st.one_of(
    st.builds(_mutated, st.sampled_from(VALID), mutations),
    st.builds(_mutated, st.sampled_from(VALID), mutations),
    st.sampled_from(NASTY),
    st.binary(max_size=60),
    st.text(max_size=20),
    st.integers(LIMIT + 1, 2 * LIMIT).map(bytes),
    st.integers(3, 2**53).filter(lambda kind: kind not in (3, 100)).map(lambda kind: write_uint(kind) + b"\x00"),
)


async def _try(server: ServerHere, message: bytes | str, *, v1: bool) -> None:
    """Send one message on its own connection, and assert what may come of it."""
    room = next(room for room in server.hub.rooms if room.name == "x")
    await eventually(lambda: room.connections == 1)
    before = room.contents.document.state(), room.seq, room.roster.full_frame()
    async with raw_client(server.url, "x", v1=v1, answers=False) as client:
        await client.until(lambda: client.frames)
        await client.send(message)
        await client.send(encode_sync(STEP1, b"\x00"))
        await eventually(lambda: client.is_synced or client.close_code is not None)
        if client.is_synced:
            return
        assert client.close_code in (4400, 4413), client.close_reason
        assert client.close_reason
    await eventually(lambda: room.connections == 1)
    await room.sound()
    assert (room.contents.document.state(), room.seq, room.roster.full_frame()) == before


# Not shrunk: an example takes seconds, and its messages are independent of each other.
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(bad_messages, st.booleans()), min_size=30, max_size=40))
async def test_input_that_is_bad_ends_its_own_connection_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, messages: list[tuple[bytes | str, bool]]
) -> None:
    data = tmp_path_factory.mktemp("data")
    async with in_process_server(data, max_message=LIMIT) as server, raw_client(server.url, "x") as other:
        await other.sync()
        await other.edit("undisturbed ")
        await other.durable()
        for message, v1 in messages:
            await _try(server, message, v1=v1)
        await other.edit("still")
        await other.durable()
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value() == other.value()


@pytest.mark.parametrize("message", NASTY)
async def test_input_known_to_be_nasty_is_refused(tmp_path: Path, message: bytes) -> None:
    async with in_process_server(tmp_path, max_message=LIMIT) as server, raw_client(server.url, "x") as other:
        await other.sync()
        async with raw_client(server.url, "x", answers=False) as client:
            await client.send(message)
            assert await client.closed() == 4400
            assert client.close_reason
        assert server.hub.closes == {4400: 1}
        await other.edit("undisturbed")
        await other.durable()


async def test_input_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_message=LIMIT) as server:
        for size, code in ((LIMIT + 1, 4413), (10 * LIMIT, 1009)):
            async with raw_client(server.url, "x") as client:
                await client.sync()
                await client.send(bytes(size))
                assert await client.closed() == code


async def test_input_that_the_engine_fails_on_leaves_the_room_as_it_was(tmp_path: Path) -> None:
    vet(PANIC)
    with pytest.raises(EngineError):
        Document([BEFORE]).apply(PANIC)
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as other,
        raw_client(server.url, "x", answers=False) as client,
    ):
        await other.sync()
        other.doc.apply_update(BEFORE)
        await other.update(BEFORE)
        await other.durable()
        await client.sync()
        await asyncio.gather(client.send(encode_sync(UPDATE, PANIC)), other.edit("meanwhile "))
        assert await client.closed() == 4400
        await other.edit("after")
        await other.durable()
        await other.sync()
        assert other.value() == "before meanwhile after"
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value() == other.value()


class _UnreadableStore(GatedStore):
    """A store of which nothing can be read once it is told so, and which still writes."""

    is_unreadable = False

    async def load(self, room: str) -> Loaded | None:
        loaded = await super().load(room)
        if self.is_unreadable:
            raise StoreError("a bad sector", subject=room, remedy="try again")
        return loaded


async def test_input_that_costs_a_room_its_document_leaves_nothing_in_its_place(tmp_path: Path) -> None:
    store = _UnreadableStore()
    async with in_process_server(tmp_path, store=store) as server:
        async with raw_client(server.url, "x", answers=False) as client:
            await client.update(BEFORE)
            await client.durable()
            room = server.hub.rooms[0]
            store.door.clear()
            await client.send(encode_sync(UPDATE, PANIC))
            assert await client.closed() == 4400
        async with raw_client(server.url, "x") as late:  # has to wait for the document
            snapshot = asyncio.create_task(Keeper(server.hub.archive, {}).snapshot(room))
            await eventually(lambda: server.hub.opened["comity"] == 2)
            store.is_unreadable = True
            store.door.set()
            assert await late.closed() == 4503
            await snapshot
        store.is_unreadable = False
        async with raw_client(server.url, "x") as later:
            await later.sync()
            assert later.value() == "before "
        assert room.connections == 0
        stored = await store.load("x")
        assert stored is not None
        assert stored.snapshot is None


async def test_input_that_fails_twice_leaves_nobody_with_an_empty_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store=store) as server,
        raw_client(server.url, "x", agent="client", answers=False) as client,
    ):
        await client.update(BEFORE)
        await client.durable()
        room = server.hub.rooms[0]
        (member,) = room.members
        archive = server.hub.archive

        def begin_a_commit(turn: Callable[[], None]) -> None:
            monkeypatch.undo()
            turn()  # before those wake who waited for the document

        async with raw_client(server.url, "x", answers=False) as other:
            await eventually(lambda: room.connections == 2)
            loads = len(store.loads)
            store.door.clear()
            for update in (client.change("after"), PANIC):  # fails together, and then the second by itself
                room.receive(member, update, vet(update))
            await eventually(lambda: len(store.loads) > loads)
            before = room.roster.count
            await other.announce([Presence(5, 1, "{}")])
            await other.ask()
            await eventually(lambda: room.roster.count > before)
            monkeypatch.setattr(archive, "soon", begin_a_commit)
            store.door.set()
            await other.until(lambda: other.is_synced)
            async with raw_client(server.url, "x") as late:
                await late.sync()
                assert late.value() == other.value() == "before after"


async def test_input_that_a_turn_fails_on_is_never_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter((False, True))  # together, and then when what they changed one by one is merged for the log

    def fail(*_updates: bytes) -> bytes:
        if next(failures):
            monkeypatch.undo()
        raise MemoryError

    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as other:
        await other.sync()  # has joined, so that the client is the last of the members
        async with raw_client(server.url, "x", answers=False) as client:
            await client.sync()
            await client.edit("kept ")
            await client.durable()
            await other.until(lambda: other.value() == "kept ")
            room = server.hub.rooms[0]
            member = room.members[-1]
            monkeypatch.setattr(pycrdt, "merge_updates", fail)
            for text in ("lost ", "as well "):  # in one turn, whose changes are merged
                update = client.change(text)
                room.receive(member, update, vet(update))
            await client.edit("after")
            assert await client.closed() == 4500
            assert client.acknowledged == 1
        await other.edit("others go on")
        await other.durable()
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value() == other.value() == "kept others go on"


@pytest.mark.parametrize("error", [MemoryError, ValueError], ids=["engine", "undecodable"])
async def test_input_that_fails_as_a_batch_is_applied_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(*_updates: bytes) -> bytes:
        monkeypatch.undo()
        raise error

    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as other,
        raw_client(server.url, "x", agent="client", answers=False) as client,
    ):
        await client.sync()
        await other.sync()
        await client.edit("one ")
        await client.durable()
        room = server.hub.rooms[0]
        member = next(each for each in room.members if each.author == "client")
        monkeypatch.setattr(pycrdt, "merge_updates", fail)
        updates = [client.change(text) for text in ("two ", "three ", "four ")]
        for update in updates:
            room.receive(member, update, vet(update))
        await other.until(lambda: other.value() == "one two three four ")
        await client.edit("five")
        await client.durable()
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value() == "one two three four five"


async def test_input_of_one_client_that_is_bad_does_not_undo_what_it_sent_before(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server:
        async with raw_client(server.url, "x", answers=False) as client:
            for n in range(5):
                await client.edit(f"{n} ")
            await client.send(b"\x05")
            assert await client.closed() == 4400
        async with raw_client(server.url, "x") as late:
            await late.sync()
            assert late.value() == "0 1 2 3 4 "


async def test_input_of_a_client_that_vanished_is_taken_although_nothing_can_be_sent_to_it(tmp_path: Path) -> None:
    store = SlowCreation()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as other:
        async with raw_client(server.url, "x") as client:
            await client.sync()
            await client.edit("goodbye")  # takes its time: the room is new
            await store.asked.wait()
            client.abort()
        for clock in range(1, 7):  # which nobody reads there any more, so that sending fails
            entry = Presence(1, clock, "{}")
            await other.announce([entry])
            await other.until(partial(operator.contains, other.presence.values(), entry))
        store.go_on.set()
        await other.until(lambda: other.value() == "goodbye")
