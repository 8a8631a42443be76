"""``YRoom`` on rooms of Comity: a document in the server's own process, and what hangs on it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pycrdt
import pytest
from pycrdt.store import FileYStore

from comity.crdt_types.errors import ComityError, RoomNotFoundError, StartError
from comity.crdt_types.wire import UPDATE, Presence, encode_sync
from comity.server.dropin import WebsocketServer, YRoom, conversation
from tests.support.channels import Line, Reaching
from tests.support.gated import GatedStore
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually


@asynccontextmanager
async def sharing(data: Path, **options: Any) -> AsyncGenerator[tuple[ServerHere, WebsocketServer]]:
    """Run Comity, and a server of the drop-in on the same rooms."""
    settings = options.pop("settings", {})
    async with in_process_server(data, **settings) as comity, WebsocketServer(app=comity.app, **options) as server:
        yield comity, server


def text_of(doc: "pycrdt.Doc[Any]") -> str:
    return str(doc.get("t", type=pycrdt.Text))


def write(doc: "pycrdt.Doc[Any]", text: str) -> None:
    shared = doc.get("t", type=pycrdt.Text)
    shared.insert(len(shared), text)


def holding(text: str) -> "pycrdt.Doc[Any]":
    """Return a document with a text."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    write(doc, text)
    return doc


async def test_edits_of_the_document_reach_clients_and_the_disk(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = await server.get_room("/notes")
        for word in ("one", " two", " three"):
            write(room.ydoc, word)
            await asyncio.sleep(0)
        await client.until(lambda: client.value() == "one two three")
    async with sharing(tmp_path) as (_, server):
        assert text_of((await server.get_room("/notes")).ydoc) == "one two three"


async def test_edits_of_clients_reach_observers_of_the_document(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = await server.get_room("/notes")
        told: list[str] = []
        text = room.ydoc.get("t", type=pycrdt.Text)
        text.observe(lambda event: told.append(event.delta[-1]["insert"]))
        await client.edit("one")
        await client.durable()
        await client.edit("two")
        await eventually(lambda: told == ["one", "two"])
        assert str(text) == "onetwo"


async def test_what_clients_write_is_not_sent_back_by_the_document(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        await server.get_room("/notes")
        await client.edit("one")
        await client.durable()
        await client.sync()
        assert comity.hub.tallies.of("notes").received == client.sent


async def test_looking_at_a_room_stores_nothing(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server):
        room = await server.get_room("/notes")
        await server.delete_room(room=room)
        assert not await comity.app.archive.rooms()


async def test_an_edit_followed_at_once_by_the_end_is_kept(tmp_path: Path) -> None:
    for n in range(3):
        async with sharing(tmp_path) as (_, server):
            room = await server.get_room("/notes")
            assert text_of(room.ydoc) == "x" * n
            write(room.ydoc, "x")


async def test_more_edits_than_may_wait_go_in_as_one_difference(tmp_path: Path) -> None:
    async with sharing(tmp_path, settings={"outbox_limit": 1024}) as (comity, server):
        room = await server.get_room("/notes")
        shared: pycrdt.Map[str] = room.ydoc.get("m", type=pycrdt.Map)
        for n in range(200):
            shared["cell"] = f"{n:0500}"
        write(room.ydoc, "end")
        async with raw_client(comity.url, "notes") as client:
            await client.until(lambda: client.value() == "end")
        assert comity.hub.tallies.of("notes").received_bytes < 10 * 500


async def test_a_transaction_that_others_write_into_while_it_is_open_ends_well(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = await server.get_room("/notes")
        async with room.ydoc.new_transaction():
            write(room.ydoc, "a")
            await client.edit("b")
            await client.durable()
        await client.until(lambda: sorted(client.value()) == ["a", "b"])
        assert text_of(room.ydoc) == client.value()


async def test_presence_goes_both_ways(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server):
        room = await server.get_room("/notes")
        me = room.awareness.client_id
        changes: list[dict[str, Any]] = []
        room.awareness.observe(lambda topic, change: changes.append(change[0]) if topic == "change" else None)
        async with raw_client(comity.url, "notes") as client:
            await client.announce([Presence(7, 1, '{"name":"Zoë"}')])
            await eventually(lambda: room.awareness.states.get(7) == {"name": "Zoë"})
            assert me not in client.presence
            room.awareness.set_local_state_field("name", "sërver")
            await client.until(lambda: me in client.presence)
            assert client.presence[me].state == '{"name": "s\\u00ebrver"}'
            async with raw_client(comity.url, "notes") as late:
                await late.until(lambda: set(late.presence) == {7, me})
        await eventually(lambda: 7 not in room.awareness.states)
        async with raw_client(comity.url, "notes") as client:
            await client.until(lambda: me in client.presence)
            room.awareness.set_local_state(None)
            await client.until(lambda: client.presence[me].state is None)
            room.awareness.set_local_state({"name": "back"})
            await client.until(lambda: client.presence[me].state is not None)
            await server.delete_room(room=room)
            await client.until(lambda: client.presence[me].state is None)
    assert [
        (change["added"], change["removed"]) for change in changes if 7 in (*change["added"], *change["removed"])
    ] == [
        ([7], []),
        ([], [7]),
    ]


async def test_presence_that_cannot_be_told_is_told_to_the_handler(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    async with sharing(tmp_path, exception_handler=handle) as (comity, server):
        room = await server.get_room("/notes")
        for state in ({"x": float("nan")}, {"x": "x" * comity.app.settings.presence_bytes}, {"x": object()}):
            room.awareness.set_local_state(state)
    assert [type(error).__name__ for error in told] == ["ValueError", "TooLargeError", "TypeError"]


async def test_clients_wait_until_a_room_is_ready(tmp_path: Path) -> None:
    async with sharing(tmp_path, rooms_ready=False) as (comity, server):
        channel = Line("/notes")
        room = await server.get_room("/notes")
        assert not room.ready
        serving = asyncio.create_task(server.serve(channel))
        async with raw_client(comity.url, "notes") as client:
            write(room.ydoc, "half")
            write(room.ydoc, " and whole")
            await client.edit("ours")
            await eventually(lambda: "ours" in text_of(room.ydoc))
            assert (client.value(), channel.sent) == ("ours", [])
            room.ready = False
            room.ready = True
            await client.until(lambda: "half and whole" in client.value())
            await eventually(lambda: channel.sent)
        channel.end()
        await serving


async def test_a_room_that_is_never_ready_can_be_stopped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with sharing(tmp_path, rooms_ready=False) as (_, server):
        room = await server.get_room("/notes")
        serving = asyncio.create_task(server.serve(Line("/notes")))
        await eventually(lambda: room.clients)
        write(room.ydoc, "never")
        await server.delete_room(room=room)
        await serving
        assert text_of((await server.get_room("/notes")).ydoc) == ""
    assert not caplog.records


async def test_a_room_with_a_document_of_its_own_is_merged_with_what_is_stored(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        await client.edit("stored")
        await client.durable()
        room = YRoom(ydoc=holding("brought"))
        server.rooms["/notes"] = room
        await asyncio.gather(server.start_room(room), server.start_room(room))
        assert await server.get_room("/notes") is room
        assert text_of(room.ydoc) in {"storedbrought", "broughtstored"}
        await client.until(lambda: client.value() == text_of(room.ydoc))


async def test_a_room_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = await server.get_room("/notes")
        await room.stop()
        assert not room.started.is_set()
        with pytest.raises(StartError, match="not started"):
            await room.stop()
        with pytest.raises(StartError, match="not started"):
            await room.serve(Line("/notes"))
        await client.edit("meanwhile")
        await client.durable()
        write(room.ydoc, "offline ")
        async with room:
            assert "meanwhile" in text_of(room.ydoc)
            await client.until(lambda: client.value() == text_of(room.ydoc))
            with pytest.raises(StartError, match="already started"):
                await room.start()
            assert await server.get_room("/notes") is room
            await server.delete_room(room=room)
            assert not room.started.is_set()
        running = asyncio.create_task(room.start())
        await room.started.wait()
        await room.stop()
        await running


async def test_a_room_that_is_stopped_has_no_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "FLUSH_SECONDS", 0.1)
    async with sharing(tmp_path) as (_, server):
        room = await server.get_room("/notes")
        channel = Line("/notes")
        channel.hold()
        serving = asyncio.create_task(server.serve(channel))
        await eventually(lambda: room.clients)
        await room.stop()
        assert not room.clients
        await serving


async def test_a_room_of_no_server_says_what_to_do() -> None:
    with pytest.raises(StartError, match=r"put it into server\.rooms"):
        await YRoom().start()


async def test_a_store_is_refused_and_its_content_can_be_brought_over(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"ystore\.apply_updates\(room\.ydoc\)"):
        YRoom(ystore=object())
    path = tmp_path / "old" / "notes"
    async with FileYStore(str(path)) as store:
        await store.write(holding("from before").get_update())
        for _ in range(2):  # doing it twice changes nothing
            async with sharing(tmp_path / "data") as (comity, server):
                room = await server.get_room("/notes")
                assert room.ystore is None
                await store.apply_updates(room.ydoc)
                async with raw_client(comity.url, "notes") as client:
                    await client.sync()
                    await client.until(lambda: client.value() == "from before")


async def test_a_provider_keeps_a_room_in_step_with_a_document_elsewhere(tmp_path: Path) -> None:
    async with in_process_server(tmp_path / "elsewhere") as elsewhere:
        paths: list[str | None] = []

        def provide(doc: Any = None, log: Any = None, path: str | None = None) -> pycrdt.Provider:
            paths.append(path)
            return Reaching(f"{elsewhere.url}/ws{path}", doc, log)

        async with sharing(tmp_path / "here", provider_factory=provide) as (comity, server):
            await server.get_room("/notes")
            async with raw_client(comity.url, "notes") as here, raw_client(elsewhere.url, "notes") as there:
                await here.edit("to there")
                await there.until(lambda: there.value() == "to there")
                await there.edit(" and back")
                await here.until(lambda: here.value() == "to there and back")
        assert paths == ["/notes"]


async def test_a_provider_that_fails_is_told_to_the_handler(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    def provide(doc: Any = None, log: Any = None, path: str | None = None) -> pycrdt.Provider:
        raise ZeroDivisionError(path)

    async with sharing(tmp_path, provider_factory=provide, exception_handler=handle) as (comity, server):
        room = await server.get_room("/notes")
        await eventually(lambda: told)
        async with raw_client(comity.url, "notes") as client:
            write(room.ydoc, "on we go")
            await client.until(lambda: client.value() == "on we go")
    assert [str(error) for error in told] == ["/notes"]


async def test_an_observer_that_raises_is_told_to_the_handler_and_nothing_is_missed(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    def broken(_event: object) -> None:
        raise ZeroDivisionError

    async with sharing(tmp_path, exception_handler=handle) as (comity, server):
        room = await server.get_room("/notes")
        room.ydoc.observe(broken)
        room.awareness.observe(lambda _topic, _change: broken(None))
        async with raw_client(comity.url, "notes") as client:
            await client.edit("one")
            await client.durable()
            await client.edit("two")
            await client.announce([Presence(7, 1, "{}")])
            await eventually(lambda: text_of(room.ydoc) == "onetwo" and 7 in room.awareness.states)
    assert {type(error) for error in told} == {ExceptionGroup, ZeroDivisionError}


async def test_the_document_outlives_a_fault_of_the_room(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    async with sharing(tmp_path, exception_handler=handle) as (comity, server):
        room = await server.get_room("/notes")
        write(room.ydoc, "before")
        async with raw_client(comity.url, "notes") as client:
            await client.until(lambda: client.value() == "before")
            comity.hub.rooms[0].fail(ComityError("a fault", subject="room 'notes'"))
            await client.closed()
        write(room.ydoc, ", meanwhile")
        room.awareness.set_local_state({"name": "server"})
        async with raw_client(comity.url, "notes") as client:
            await client.sync()
            await client.until(lambda: client.value() == "before, meanwhile")
            await client.until(lambda: room.awareness.client_id in client.presence)
            await client.edit(", after")
            await eventually(lambda: text_of(room.ydoc) == "before, meanwhile, after")
    assert [str(error) for error in told] == ["room 'notes': a fault"]


async def test_a_fault_of_the_room_is_told_for_each_channel_that_it_ends(tmp_path: Path) -> None:
    told: list[Exception] = []

    def handle(error: Exception, _log: logging.Logger) -> bool:
        told.append(error)
        return True

    async with sharing(tmp_path, exception_handler=handle) as (comity, server):
        channel = Line("/notes")
        serving = asyncio.create_task(server.serve(channel))
        await eventually(lambda: channel.sent)
        fault = ComityError("a fault", subject="room 'notes'")
        comity.hub.rooms[0].fail(fault)
        await serving
        assert told == [fault, fault]  # for the document of the process, and for the channel


async def test_an_edit_that_a_room_lost_by_a_fault_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sharing(tmp_path, exception_handler=lambda *_: True) as (comity, server):
        room = await server.get_room("/notes")
        (inner,) = comity.hub.rooms
        lost: list[Any] = []
        monkeypatch.setattr(inner, "receive", lambda *arrived: lost.append(arrived))
        write(room.ydoc, "once")
        await eventually(lambda: lost)
        inner.fail(ComityError("a fault", subject="room 'notes'"))
        async with raw_client(comity.url, "notes") as client:
            await client.sync()
            await client.until(lambda: client.value() == "once")


async def test_an_edit_is_kept_when_the_end_comes_while_the_room_is_loaded_anew(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as comity:
        async with WebsocketServer(app=comity.app, exception_handler=lambda *_: True) as server:
            room = await server.get_room("/notes")
            (inner,) = comity.hub.rooms
            store.door.clear()
            write(room.ydoc, "not yet sent")
            inner.fail(ComityError("a fault", subject="room 'notes'"))
            await eventually(lambda: len(store.loads) == 2)
            stopping = asyncio.create_task(server.stop())
            await eventually(lambda: not room.started.is_set())
            store.door.set()
            await stopping
        async with raw_client(comity.url, "notes") as client:
            await client.sync()
            assert client.value() == "not yet sent"


async def test_a_document_that_the_engine_fails_on_ends_the_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(pycrdt.Doc[Any]):
        is_broken = False

        def apply_update(self, update: bytes) -> None:
            if self.is_broken:
                raise ValueError("no such thing")
            super().apply_update(update)

    doc = Broken()
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = server.rooms["/notes"] = YRoom(ydoc=doc)
        await server.start_room(room)
        doc.is_broken = True
        await client.edit("kept")
        await eventually(lambda: not room.started.is_set())
        await client.durable()
    assert "the engine failed on it: no such thing" in caplog.text


async def test_an_edit_that_no_room_takes_ends_the_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {"max_message": 1024}
    async with sharing(tmp_path, settings=settings) as (comity, server):
        channel = Line("/notes")
        serving = asyncio.create_task(server.serve(channel))
        await eventually(lambda: channel.sent)
        room = server.rooms["/notes"]
        write(room.ydoc, "x" * 2048)
        await serving
        await eventually(lambda: not room.started.is_set())
        assert not server.rooms
        async with raw_client(comity.url, "notes") as client:
            await client.sync()
            assert client.value() == ""
    assert any(
        "a message of more than 1024 bytes" in record.getMessage() + str(record.exc_info) for record in caplog.records
    )


async def test_a_channel_that_takes_nothing_holds_up_nobody_and_loses_nothing(tmp_path: Path) -> None:
    async with sharing(tmp_path, settings={"outbox_limit": 64 * 1024}) as (comity, server):
        channel = Line("/notes")
        channel.hold()
        serving = asyncio.create_task(server.serve(channel))
        await eventually(lambda: server.rooms and server.rooms["/notes"].clients)
        async with raw_client(comity.url, "notes") as writer, raw_client(comity.url, "notes") as reader:
            for _ in range(100):
                await writer.edit("x" * 10_000)
                await writer.durable()
            await reader.until(lambda: reader.value() == writer.value())
            (room,) = comity.hub.rooms
            waiting = max(member.outbox.queued_bytes for member in room.members)
            assert 64 * 1024 < waiting < 100_000
            channel.release()
            await eventually(lambda: len(channel.text()) == len(writer.value()))
        channel.end()
        await serving


async def test_a_channel_that_fails_to_send_is_still_read_and_then_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "LINGER_SECONDS", 0.2)
    async with sharing(tmp_path) as (_, server):
        channel = Line("/notes", encode_sync(UPDATE, holding("still read").get_update()))
        monkeypatch.setattr(channel, "send", broken_pipe)
        await server.serve(channel)
        room = await server.get_room("/notes")
        await eventually(lambda: text_of(room.ydoc) == "still read")


async def broken_pipe(_message: bytes) -> None:
    raise ZeroDivisionError


async def test_presence_is_renewed_while_the_room_is_started(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (comity, server), raw_client(comity.url, "notes") as client:
        room = server.rooms["/notes"] = YRoom()
        room.awareness = pycrdt.Awareness(room.ydoc, outdated_timeout=200)
        room.awareness.set_local_state({"name": "server"})
        await server.start_room(room)
        me = room.awareness.client_id
        await client.until(lambda: me in client.presence and client.presence[me].clock > 3)


async def test_a_channel_that_ends_while_it_takes_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    async with sharing(tmp_path, auto_clean_rooms=False) as (_, server):
        await server.get_room("/notes")
        before = asyncio.all_tasks()
        channel = Line("/notes")
        channel.hold()
        channel.end()
        await server.serve(channel)
        assert asyncio.all_tasks() <= before


async def test_a_room_that_was_to_stop_before_it_failed_to_start_can_be_started(tmp_path: Path) -> None:
    async with sharing(tmp_path) as (_, server):
        room = server.rooms["/\x00"] = YRoom()
        starting = asyncio.create_task(server.start_room(room))
        await asyncio.sleep(0)
        await server.delete_room(room=room)
        with pytest.raises(RoomNotFoundError):
            await starting
        server.rooms["/notes"] = room
        await server.start_room(room)
        for _ in range(5):
            await asyncio.sleep(0)
        assert room.started.is_set()
