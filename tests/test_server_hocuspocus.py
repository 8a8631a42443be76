"""The route of Hocuspocus, frame by frame: what it syncs, acknowledges, refuses and bounds."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgpack
import pycrdt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from comity.crdt_types.document.entry import REGISTER
from comity.crdt_types.errors import StorageError
from comity.crdt_types.hocuspocus import (
    PING,
    PONG,
    Authenticated,
    Close,
    Credentials,
    PermissionDenied,
    Stateless,
    SyncStatus,
    encode,
)
from comity.crdt_types.varint import write_string
from comity.crdt_types.wire import (
    STEP1,
    STEP2,
    UPDATE,
    Awareness,
    Presence,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    encode_awareness,
    encode_sync,
)
from comity.crdt_types.wire import encode as encode_frame
from comity.persistence.errors import StoreFullError
from comity.persistence.memory import MemoryStore
from comity.server.app import App
from comity.server.hocuspocus import connection as route
from comity.server.hocuspocus.channel import Channel
from comity.server.settings import Settings
from comity.server.transport import sockets
from tests.support.asgi import served
from tests.support.gated import FaultyStore, GatedStore, SlowCreation
from tests.support.hocuspocus import RawDocument, RawHocuspocus, connections, raw_hocuspocus
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

BROKEN: Final = encode_sync(UPDATE, b"\x01\x01\x05")


async def opened(client: RawHocuspocus, address: str) -> RawDocument:
    """Open a document as a provider does, and wait until it is synced and that is saved."""
    document = RawDocument(client, address)
    await client.open(address)
    await document.ask()
    await document.answer()
    await client.until(lambda: client.statuses(address) == [True])
    return document


def _has_text(client: RawHocuspocus, part: str) -> bool:
    return part in client.text("x")


def _has_statuses(client: RawHocuspocus, address: str, count: int) -> bool:
    return len(client.statuses(address)) == count


def _is_answered(client: RawHocuspocus) -> bool:
    return PONG in client.single or client.close_code is not None


def _is_here(client: RawClient, clock: int) -> bool:
    return 1 in client.presence and client.presence[1].clock == clock


async def _text_of(server: ServerHere, name: str) -> str:
    async with raw_client(server.url, name) as client:
        await client.sync()
        return client.value()


def _deletion(doc: "pycrdt.Doc[Any]", count: int) -> bytes:
    """Delete from the end of the root text "t" and return the update that this makes."""
    text = doc.get("t", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    del text[len(text) - count : len(text)]
    doc.unobserve(subscription)
    return updates[0]


def _channels(server: ServerHere) -> list[Channel]:
    connections = server.app._connections  # pyright: ignore[reportPrivateUsage]
    found = [each for each in connections if isinstance(each, route.HocuspocusConnection)]
    return [channel for each in found for channel in each._channels.values()]  # pyright: ignore[reportPrivateUsage]


def _early_bytes(server: ServerHere) -> int:
    """Return how much is kept of what came for documents whose rooms are not there yet."""
    return sum(channel._early_bytes for channel in _channels(server))  # pyright: ignore[reportPrivateUsage]


async def _all_told(server: ServerHere, client: RawHocuspocus) -> None:
    """Wait until everything sent so far is taken and committed, and what that is worth has come."""
    await _round_trip(client)
    await server.app.archive.flush()
    await _round_trip(client)


async def _round_trip(client: RawHocuspocus) -> None:
    before = client.single.count(PONG)
    await client.send_raw(PING)
    await client.until(lambda: client.single.count(PONG) > before)


async def _status_of_sync(document: RawDocument) -> bool:
    """Return what a provider is told of the answer to its sync."""
    client, address = document.client, document.address
    client.messages.pop(address)
    await document.ask()
    await document.answer()
    await client.until_message(address, SyncStatus)
    (status,) = client.statuses(address)
    client.messages.pop(address)
    return status


# On the wire.


async def test_hocuspocus_opens_a_document_and_syncs_both_ways(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as other:
        await other.sync()
        await other.edit("theirs ")
        await other.durable()
        async with raw_hocuspocus(server.url) as client:
            document = await opened(client, "x")
            assert client.seen("x", Authenticated) == [Authenticated("read-write")]
            assert document.value() == "theirs "
            await document.send(document.write("ours "))
            await other.until(lambda: "ours" in other.value())
            await other.edit("later")
            await client.until(lambda: document.value() == "theirs ours later")
            assert client.single == [PING]


async def test_hocuspocus_says_saved_once_for_each_update_and_after_its_commit(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        async with store.held():
            for number in range(5):
                await document.send(document.write(f"{number} "))
            await eventually(lambda: server.hub.rooms[0].seq > 0)
            await _round_trip(client)
            assert client.statuses("x") == [True]  # its sync's
        await _all_told(server, client)
        assert client.statuses("x") == [True] * 6
        await document.send(document.write("last"))
        await client.until(lambda: len(client.statuses("x")) == 7)
        loaded = await store.load("x")
        assert loaded is not None
        assert b"last" in b"".join(loaded.tail)


async def test_hocuspocus_owes_nothing_for_what_the_sync_brings_as_well(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        document = RawDocument(client, "x")
        waiting = [document.write("written "), document.write("offline"), document.erase(3)]
        await client.open("x")
        await client.until_message("x", Authenticated)
        await document.ask()
        for update in waiting:
            await document.send(update)
        await document.answer()
        await document.send(document.write("and online"))
        await _all_told(server, client)
        assert client.statuses("x") == [True] * 2  # for the sync and what followed it
        await document.send(document.erase(1))
        await _all_told(server, client)
        assert client.statuses("x") == [True] * 3
        assert await _text_of(server, "x") == "written offland onlin"


async def test_hocuspocus_forgets_what_is_owed_when_a_provider_syncs_anew(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        async with store.held():
            await document.send(document.write("uncounted "))
            await eventually(lambda: server.hub.rooms[0].seq > 0)
            assert _channels(server)[0]._dues.owes(2)  # pyright: ignore[reportPrivateUsage]
            await document.ask()
            await eventually(lambda: not _channels(server)[0]._dues.owes(2))  # pyright: ignore[reportPrivateUsage]
            await document.send(document.write("counted"))
        await client.until(lambda: len(client.seen("x", SyncStep1)) == 2)
        await document.answer()
        await _all_told(server, client)
        assert client.statuses("x") == [True] * 3  # the first sync's, the second's and what followed it


async def test_hocuspocus_documents_of_one_socket_fail_alone(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        await opened(client, "bad")
        good = await opened(client, "good")
        await client.send("bad", BROKEN)
        assert "ends inside" in (await client.until_message("bad", Close)).reason
        await eventually(lambda: connections(server, "bad") == 0)
        assert server.hub.closes == {4400: 1}
        await good.send(good.write("undisturbed"))
        await client.until(lambda: len(client.statuses("good")) == 2)
        await client.send("bad", encode_sync(STEP1, b"\0"))  # what it still sends is dropped, until it asks again
        client.messages.clear()
        await opened(client, "bad")


NONSENSE: Final = (
    (b"\x04\x00\x00", "unknown message type 4"),
    (b"\x06\x02hi", "unknown message type 6"),  # stateless to everyone is between servers
    (b"\x64\x04\x80", "unknown message type 100"),
    (b"\x00\x80\x00\x01\x00", "not a sync message"),
    (b"\x00", "not a sync message"),
    (b"\x00\x00\x05\x01", "ends inside"),
    (b"\x01\x05", "ends inside"),
    (b"\x02\x01\x02no", "PermissionDenied is not for clients to send"),
    (b"\x08\x01", "SyncStatus is not for clients to send"),
    (b"\x05\x09hi", "ends inside"),
)


async def test_hocuspocus_takes_leave_of_a_document_whose_frames_mean_nothing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        for frame, said in NONSENSE:
            await opened(client, "x")
            await client.send("x", frame)
            assert said in (await client.until_message("x", Close)).reason
            client.messages.clear()


async def test_hocuspocus_closes_a_socket_whose_envelope_is_malformed(tmp_path: Path) -> None:
    messages = (b"", b"\x01", b"\x05ab", b"\x01\xff\x00", b"\xff" * 9, "text", b"\x01x\x02\x00\x05")
    async with in_process_server(tmp_path) as server:
        for message in messages:
            async with raw_hocuspocus(server.url) as client:
                await client.send_raw(message)
                assert await client.closed() == 4400
                assert client.close_reason
        assert server.hub.closes == {4400: len(messages)}


async def test_hocuspocus_refuses_an_update_out_of_bounds_with_its_document(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_value=1000) as server, raw_hocuspocus(server.url) as client:
        await opened(client, "x")
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        doc.get("a", type=pycrdt.Array).append(msgpack.packb([REGISTER, "goal", 1, "x" * 2000]))
        await client.send("x", encode_sync(UPDATE, doc.get_update()))
        assert "over the server's limit of 1,000" in (await client.until_message("x", Close)).reason
        assert client.statuses("x") == [True, False]


async def test_hocuspocus_asks_again_for_what_an_update_builds_on(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        document.write("missing ")
        await document.send(document.write("builds on it"))
        await client.until_message("x", SyncStep1, 2)
        assert client.statuses("x") == [True]
        await document.answer()
        await _all_told(server, client)
        assert client.statuses("x") == [True] * 2  # the update's; the answer was not counted
        assert await _text_of(server, "x") == "missing builds on it"


async def test_hocuspocus_opens_one_document_twice_by_session_ids(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        first = await opened(client, "x\0one")
        await opened(client, "x\0two")
        assert connections(server, "x") == 2
        await first.send(first.write("to the other"))
        await client.until(lambda: client.text("x\0two") == "to the other")
        await client.until(lambda: len(client.statuses("x\0one")) == 2)
        assert client.statuses("x\0two") == [True]
        assert client.text("x\0one") == ""  # nobody is sent their own


async def test_hocuspocus_leaves_a_document_that_is_closed_and_opens_it_again(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        await document.send(document.write("before it left"))
        await client.send("x", encode(Close()))
        await eventually(lambda: connections(server, "x") == 0)
        assert not client.seen("x", Close)
        client.messages.clear()
        await opened(client, "x")
        assert client.text("x") == "before it left"
        await client.send("x", encode(Close()))  # and at once again
        await client.open("x")
        await client.until(lambda: len(client.seen("x", Authenticated)) == 2)
        await client.send("x", encode_sync(STEP1, b"\0"))
        await client.until(lambda: len(client.seen("x", SyncStep2)) == 2)
        await eventually(lambda: connections(server, "x") == 1)


async def test_hocuspocus_has_what_was_sent_before_the_socket_went(tmp_path: Path) -> None:
    store = SlowCreation()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_hocuspocus(server.url) as client,
        raw_client(server.url, "x") as other,
    ):
        document = await opened(client, "x")
        await document.send(document.write("goodbye"))  # takes its time: the room is new
        await store.asked.wait()
        await client.vanish()
        for clock in range(1, 7):  # which nobody reads there any more, so that sending fails
            await other.announce([Presence(1, clock, '{"name":"other"}')])
            await other.until(partial(_is_here, other, clock))
        store.go_on.set()
        await eventually(lambda: connections(server, "x") == 1)
        assert await _text_of(server, "x") == "goodbye"


# Who may.


async def test_hocuspocus_denies_what_the_policy_does(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, anyone="nothing") as server, raw_hocuspocus(server.url) as client:
        await client.open("x", token="let me in")
        denied = await client.until_message("x", PermissionDenied)
        assert "not for you" in denied.reason
        assert not server.hub.rooms
        await client.send("x", encode_sync(STEP1, b"\0"))
        await client.open("y")
        await client.until_message("y", PermissionDenied)
        assert client.messages["x"] == [denied]


async def test_hocuspocus_denies_a_name_that_cannot_be(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        for address in ("", "x" * 201, "two\nlines", "x\0" + "s" * 64):
            await client.open(address)
            assert "use at most" in (await client.until_message(address, PermissionDenied)).reason
        await opened(client, "another")


async def test_hocuspocus_readers_are_told_what_is_not_saved(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path / "1", store) as server, raw_client(server.url, "x") as author:
        await author.sync()
        await author.edit("abcdef")
        await author.update(_deletion(author.doc, 2))
        await author.durable()
    async with in_process_server(tmp_path / "2", store, anyone="read") as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        assert client.seen("x", Authenticated) == [Authenticated("readonly")]
        assert client.text("x") == "abcd"
        document.doc.apply_update(client.seen("x", SyncStep2)[0].update)
        assert await _status_of_sync(document) is True
        await document.send(_deletion(document.doc, 1))
        await client.until_message("x", SyncStatus)
        assert client.statuses("x") == [False]
        assert await _status_of_sync(document) is False
        assert await _text_of(server, "x") == "abcd"


async def test_hocuspocus_readers_are_told_that_their_insertions_are_not_saved(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, anyone="read") as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        document.write("mine")
        assert await _status_of_sync(document) is False
        assert await _text_of(server, "x") == ""


async def test_hocuspocus_takes_its_name_from_the_address_and_never_from_a_token(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_hocuspocus(server.url, "?agent=editor") as client:
        await client.open("x", token="secret")
        document = RawDocument(client, "x")
        await document.ask()
        await document.answer()
        await document.send(document.write("signed"))
        await client.until(lambda: len(client.statuses("x")) == 2)
        assert [record.author for record in await store.records("x")] == ["editor"]
        await client.open("x", token="fresh")  # changes nothing
        await document.send(document.write("!"))
        await client.until(lambda: len(client.statuses("x")) == 3)
        assert len(client.seen("x", Authenticated)) == 1


# Its bounds.


async def test_hocuspocus_keeps_nothing_for_documents_that_are_not_open(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        document = RawDocument(client, "x")
        for number in range(30):
            await document.send(document.write("dropped"))
            await client.send(f"room {number}", encode(Close()))
        await client.send_raw(PING)
        await client.until(lambda: PONG in client.single)
        assert not server.hub.rooms
        assert not client.messages
        await client.open("x")
        await document.ask()
        await document.answer()  # brings what was dropped
        await client.until(lambda: client.statuses("x") == [True])
        assert await _text_of(server, "x") == "dropped" * 30


async def test_hocuspocus_bounds_how_long_nothing_is_opened(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, hocuspocus_open_seconds=0.05) as server,
        raw_hocuspocus(server.url) as client,
    ):
        assert await client.closed() == 4401
        assert "no document was opened" in client.close_reason
        assert server.hub.refusals == {"hocuspocus_open_seconds": 1}


async def test_hocuspocus_bounds_how_long_nothing_is_sent(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, idle_timeout=0.2, ping_interval=0.02) as server,
        raw_hocuspocus(server.url) as client,
    ):
        document = await opened(client, "x")
        with suppress(ConnectionClosed):
            while True:  # a pong is no word
                await document.client.send_raw(PONG)
                await asyncio.sleep(0.02)
        assert await client.closed() == 4503
        assert server.hub.refusals == {"idle_timeout": 1}


async def test_hocuspocus_spends_what_its_connection_may_send(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, connection_messages=5, burst_seconds=4) as server,
        raw_hocuspocus(server.url) as client,
    ):
        for number in range(25):
            await client.send(f"room {number}", encode(Close()))
        assert await client.closed() == 4529
        assert server.hub.refusals == {"connection_messages": 1}


async def test_hocuspocus_bounds_the_documents_of_a_socket(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, hocuspocus_documents=2) as server, raw_hocuspocus(server.url) as client:
        await opened(client, "a")
        await opened(client, "b")
        await client.open("c")
        assert "2 documents are open" in (await client.until_message("c", PermissionDenied)).reason
        await client.send("a", encode(Close()))
        await eventually(lambda: connections(server, "a") == 0)
        await opened(client, "c")


async def test_hocuspocus_bounds_an_address(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        await client.open("x" * (route.MAX_ADDRESS + 1))
        assert await client.closed() == 4400


async def test_hocuspocus_bounds_a_message(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, max_message=2000) as server, raw_hocuspocus(server.url) as client:
        await opened(client, "x")
        await client.send("x", bytes(2001))
        assert await client.closed() == 4413


async def test_hocuspocus_waits_for_a_room_without_taking_in_more_than_a_little(tmp_path: Path) -> None:
    store = GatedStore()
    store.door.clear()
    async with in_process_server(tmp_path, store) as server, raw_hocuspocus(server.url) as client:
        document = RawDocument(client, "x")
        await client.open("x")
        await document.ask()
        for _ in range(20):
            await document.send(document.write("0123456789" * 1000))
        sending = asyncio.create_task(client.send_raw(PING))
        await eventually(lambda: _early_bytes(server) > 64 * 1024)
        async with raw_hocuspocus(server.url) as other:  # a way there and back for whatever else would come
            await other.send_raw(PING)
            await other.until(lambda: PONG in other.single)
        assert _early_bytes(server) < 128 * 1024
        assert PONG not in client.single
        store.door.set()
        await sending
        await client.until(lambda: PONG in client.single)
        await document.answer()
        await client.until(lambda: len(client.statuses("x")) == 21)
        assert len(await _text_of(server, "x")) == 200_000


# Beside the document.


async def test_hocuspocus_answers_pings_and_sends_them_to_those_who_know_them(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, ping_interval=0.05) as server,
        raw_hocuspocus(server.url) as new,
        raw_hocuspocus(server.url) as old,
    ):
        await old.open("x", version=None)
        await old.until_message("x", Authenticated)
        await new.open("x")
        await new.until(lambda: new.single.count(PING) >= 4)
        assert old.single == []
        await new.send_raw(PONG)
        await old.send_raw(PING)
        await old.until(lambda: old.single == [PONG])


async def test_hocuspocus_shows_awareness_both_ways(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as other:
        await other.announce([Presence(1, 1, '{"name":"other"}')])
        await other.until(lambda: 1 in other.presence)
        async with raw_hocuspocus(server.url) as client:
            await opened(client, "x")
            assert client.seen("x", Awareness)[0].entries == (Presence(1, 1, '{"name":"other"}'),)
            await client.send("x", encode_awareness([Presence(2, 1, '{"name":"ours"}')]))
            await other.until(lambda: 2 in other.presence)
            await client.until(lambda: Presence(2, 1, '{"name":"ours"}') in client.seen("x", Awareness)[-1].entries)
            await client.send("x", encode_frame(QueryAwareness()))
            await client.until(lambda: len(client.seen("x", Awareness)[-1].entries) == 2)
        await other.until(lambda: other.presence[2].state is None)


async def test_hocuspocus_keeps_the_presence_of_a_document_that_is_opened_again_at_once(tmp_path: Path) -> None:
    ours = encode_awareness([Presence(2, 1, '{"name":"ours"}')])
    async with (
        in_process_server(tmp_path) as server,
        raw_hocuspocus(server.url) as client,
        raw_client(server.url, "x") as other,
    ):
        document = await opened(client, "x")
        await client.send("x", ours)
        await other.until(lambda: 2 in other.presence)
        await client.send("x", encode(Close()))  # as by provider.detach(); provider.attach()
        await client.open("x")
        await document.ask()
        await client.send("x", ours)
        await client.until(lambda: len(client.seen("x", SyncStep2)) == 2)
        await client.send("x", encode_frame(QueryAwareness()))
        await client.until_message("x", Awareness, 3)
        await eventually(lambda: connections(server, "x") == 2)
        assert server.hub.rooms[0].roster.count == 1


async def test_hocuspocus_passes_no_stateless_message_on(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_hocuspocus(server.url) as client,
        raw_hocuspocus(server.url) as other,
    ):
        document = await opened(client, "x")
        await opened(other, "x")
        await client.send("x", encode(Stateless("hi")))
        await document.send(document.write("behind it"))
        await other.until(lambda: other.text("x") == "behind it")
        await client.until(lambda: len(client.statuses("x")) == 2)
        assert not client.seen("x", Stateless)
        assert not other.seen("x", Stateless)


async def test_hocuspocus_closes_the_socket_when_coming_back_would_mend_it(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        await opened(client, "x")
        server.hub.rooms[0].fail(StorageError("the disk is full"))
        assert await client.closed() == 4503


async def test_hocuspocus_reads_on_while_nothing_can_be_stored(tmp_path: Path) -> None:
    store = FaultyStore()
    async with in_process_server(tmp_path, store) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        await document.send(document.write("kept"))
        await _all_told(server, client)
        store.error = StoreFullError("full")
        async with raw_hocuspocus(server.url) as writer:
            refused = await opened(writer, "y")
            await refused.send(refused.write("refused"))
            assert await writer.closed() == 4503
        assert await _status_of_sync(document)  # its answer brings nothing
        async with raw_hocuspocus(server.url) as reader:
            assert (await opened(reader, "x")).value() == "kept"
        await document.send(document.write("refused"))
        assert await client.closed() == 4503


async def test_hocuspocus_is_sent_away_when_the_server_drains(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_hocuspocus(server.url) as client:
        document = await opened(client, "x")
        await document.send(document.write("in time"))
        await eventually(lambda: server.hub.rooms[0].seq == 1)
        await server.app.drain()
        assert await client.closed() == 4503
        assert client.statuses("x") == [True, True]


async def test_hocuspocus_encodes_an_update_once_however_many_it_goes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    framed: list[int] = []
    header = sockets._header  # pyright: ignore[reportPrivateUsage]

    def counted(length: int) -> bytes:
        framed.append(length)
        return header(length)

    monkeypatch.setattr(sockets, "_header", counted)
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as author:
        await author.sync()
        async with raw_hocuspocus(server.url) as a, raw_hocuspocus(server.url) as b, raw_hocuspocus(server.url) as c:
            for client in (a, b, c):
                await opened(client, "x")
            framed.clear()
            await author.edit("z" * 5000)
            for client in (a, b, c):
                await client.until(partial(_has_text, client, "z"))
            assert len([length for length in framed if length > 5000]) == 1


async def test_hocuspocus_is_served_by_any_asgi_server(tmp_path: Path) -> None:
    store = GatedStore()
    app = App(Settings(data=tmp_path, ping_interval=0.05), store)
    async with served(app) as url, raw_hocuspocus(url) as client, raw_hocuspocus(url) as other:
        ours = [await opened(client, address) for address in ("x", "y")]
        theirs = await opened(other, "x")
        async with store.held():
            for number in range(20):
                for document in ours:
                    await document.send(document.write(f"{number} "))
            await eventually(lambda: sum(room.seq for room in app.hub.rooms) > 0)
            assert client.statuses("x") == client.statuses("y") == [True]
        for document in ours:
            await client.until(partial(_has_statuses, client, document.address, 21))
        await other.until(lambda: theirs.value() == ours[0].value())
        await theirs.send(theirs.write("theirs"))
        await client.until(lambda: ours[0].value().endswith("theirs"))
        await client.until(lambda: PING in client.single)
        assert client.statuses("x") == client.statuses("y") == [True] * 21
        await client.send("y", BROKEN)
        await client.until_message("y", Close)


async def test_hocuspocus_ends_a_socket_that_takes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "END_SECONDS", 0.1)
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)
        if event["type"] == "websocket.send":
            await asyncio.Event().wait()  # as on a server that waits for its reader, and has no pings

    scope = {
        "type": "websocket",
        "path": "/hocuspocus",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "subprotocols": [],
        "client": ("127.0.0.1", 5),
    }
    events.put_nowait({"type": "websocket.connect"})
    for name in ("", " \n"):  # which no room can have: the answer is that it is denied
        message = write_string(name) + encode(Credentials("", None))
        events.put_nowait({"type": "websocket.receive", "bytes": message})
    async with App(Settings(data=tmp_path, hocuspocus_open_seconds=0.05), MemoryStore()) as app:
        async with asyncio.timeout(10):
            await app(scope, events.get, send)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[-1]["code"] == 4401


# What a mutation of a few bytes makes of what is well formed, or any bytes, for one of two documents.
bad_frames: st.SearchStrategy[bytes] = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.tuples(st.sampled_from([0, 1, 2, 3, 5, 7, 8]), st.integers(0, 3), st.binary(max_size=20)).map(
        lambda parts: bytes(parts[:2]) + parts[2]
    ),
    st.binary(max_size=30).map(lambda update: encode_sync(UPDATE, update)),
    st.binary(max_size=30).map(lambda update: encode_sync(STEP2, update)),
    st.binary(max_size=10).map(lambda state: encode_sync(STEP1, state)),
    st.sampled_from([encode(Close()), encode(Stateless("s")), b"\x02\x00\x00", b"\x02\x00\x00\x05", b"\x03"]),
)
bad_messages: st.SearchStrategy[bytes] = st.one_of(
    st.builds(lambda name, frame: write_string(name) + frame, st.sampled_from(["x", "x\0id", "", "new"]), bad_frames),
    st.binary(max_size=40),
)


@settings(
    max_examples=5,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.lists(bad_messages, min_size=1, max_size=8), min_size=10, max_size=20))
async def test_hocuspocus_bad_input_ends_its_own_socket_at_most(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[list[bytes]]
) -> None:
    async with in_process_server(tmp_path_factory.mktemp("data")) as server, raw_hocuspocus(server.url) as other:
        document = await opened(other, "x")
        await document.send(document.write("undisturbed"))
        for burst in bursts:
            async with raw_hocuspocus(server.url) as client:
                await opened(client, "x")
                for message in burst:
                    await client.send_raw(message)
                await client.send_raw(PING)
                await eventually(partial(_is_answered, client))
                assert PONG in client.single or client.close_code in (4400, 4401)
        await eventually(lambda: connections(server, "x") == 1)
        other.messages.clear()
        await document.send(document.write(" to the end"))
        await other.until(lambda: other.statuses("x") == [True])
        assert 4500 not in server.hub.closes
        assert "undisturbed to the end" in await _text_of(server, "x")
