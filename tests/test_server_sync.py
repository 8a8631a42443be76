"""Edits through a server: they reach everyone, are kept before they are acknowledged, and are never lost."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pycrdt
import pytest

from comity.crdt_types.update import EMPTY_UPDATE
from comity.crdt_types.wire import STEP2, Ack, Denied, Presence, Reject, SyncStep1, SyncStep2, Update, Welcome
from comity.persistence.memory import MemoryStore
from comity.persistence.records import Loaded
from comity.server.rooms.member import MAX_HELD_BYTES
from tests.support.gated import GatedStore
from tests.support.provider import provided
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server, running_server
from tests.support.waiting import eventually


async def _stored_text(store: MemoryStore, room: str) -> str:
    loaded = await store.load(room)
    assert loaded is not None
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in (loaded.snapshot, *loaded.tail):
        if update is not None:
            doc.apply_update(update)
    return str(doc.get("t", type=pycrdt.Text))


async def _taken(server: ServerHere, client: RawClient) -> None:
    """Return when the room has taken what a client sent."""
    await client.announce([Presence(client.doc.client_id, 1, "{}")])
    await eventually(lambda: server.hub.rooms[0].presence([client.doc.client_id]))


class SlowStore(GatedStore):
    """A store on a slow disk: everyone who asks for a room meanwhile must share one load."""

    async def load(self, room: str) -> Loaded | None:
        await asyncio.sleep(0.05)
        return await super().load(room)


async def test_sync_greets_with_a_welcome_and_a_request(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "shared/x", agent="planner") as client:
        await client.sync()
        welcome, request = client.frames[:2]
        assert isinstance(welcome, Welcome)
        assert (welcome.principal, welcome.access) == ("planner", ("read", "write"))
        assert welcome.limits["message"] == server.app.settings.max_message
        assert isinstance(request, SyncStep1)


async def test_sync_shows_comity_frames_to_no_one_who_did_not_ask(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x", v1=False) as client:
        await client.sync()
        await client.edit("hello")
        await eventually(lambda: server.hub.rooms[0].seq == 1)
        await client.sync()
        assert {type(frame).__name__ for frame in client.frames} == {"SyncStep1", "SyncStep2"}


async def test_sync_brings_every_edit_to_everyone_else_once(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as author,
        raw_client(server.url, "x") as reader,
        raw_client(server.url, "y") as stranger,
    ):
        for client in (author, reader, stranger):
            await client.sync()
        for n in range(20):
            await author.edit(f"{n},")
        await reader.until(lambda: reader.value() == author.value())
        await author.durable()
        updates = [frame for frame in author.frames if isinstance(frame, Update)]
        assert updates == []  # its own edits do not come back to it
        assert stranger.value() == ""


async def test_sync_merges_concurrent_edits(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as a,
        raw_client(server.url, "x", v1=False) as b,
    ):
        await a.sync()
        await b.sync()
        await asyncio.gather(*(client.edit(name * 3) for client, name in ((a, "a"), (b, "b"))))
        await a.until(lambda: sorted(a.value()) == list("aaabbb"))
        await b.until(lambda: b.value() == a.value())


async def test_sync_acknowledges_only_what_is_committed(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x") as author,
        raw_client(server.url, "x") as reader,
    ):
        await author.sync()
        await reader.sync()
        await author.edit("first")
        await author.durable()
        store.gate.clear()
        await author.edit("second")
        await eventually(lambda: server.hub.rooms[0].seq == 2)  # applied, and on its way to the disk
        await _taken(server, author)
        assert author.acknowledged < author.sent
        assert reader.value() == "first"  # stored, then told
        store.gate.set()
        await author.durable()
        assert await _stored_text(store, "x") == "firstsecond"
        await reader.until(lambda: reader.value() == "firstsecond")


async def test_sync_acknowledges_what_was_known_already_after_the_commit_that_it_rests_on(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x") as author,
        raw_client(server.url, "x") as echo,
    ):
        await author.sync()
        await echo.sync()
        await author.edit("first")
        await author.durable()
        await echo.until(lambda: echo.value() == "first")
        await echo.durable()
        store.gate.clear()
        update = author.change("second")
        await author.update(update)
        await eventually(lambda: server.hub.rooms[0].seq == 2)
        before = echo.acknowledged
        await echo.update(update)  # the same, which the document has and the disk has not
        await _taken(server, echo)
        assert echo.acknowledged == before
        store.gate.set()
        await echo.durable()
        assert server.hub.rooms[0].seq == 2


async def test_sync_shows_a_joiner_nothing_before_it_is_committed(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as author:
        await author.sync()
        await author.edit("first ")
        await author.durable()
        store.gate.clear()
        await author.edit("second ")
        await eventually(lambda: server.hub.rooms[0].seq == 2)
        async with raw_client(server.url, "x") as joiner:
            await joiner.ask()
            await _taken(server, author)
            await author.edit("third ")
            await eventually(lambda: server.hub.rooms[0].arriving)
            assert not any(isinstance(frame, SyncStep2 | Update) for frame in joiner.frames)
            store.gate.set()
            await joiner.until(lambda: joiner.value() == "first second third ")
            assert joiner.is_synced


async def test_sync_counts_updates_that_say_nothing_and_stores_none(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        await client.update(EMPTY_UPDATE)
        await client.update(EMPTY_UPDATE, STEP2)
        await client.durable()
        assert await store.rooms() == []  # looking into a room leaves no trace


async def test_sync_gives_a_room_one_lineage_for_good(tmp_path: Path) -> None:
    async def lineage(url: str, edit: str = "") -> str:
        async with raw_client(url, "x") as client:
            await client.sync()
            if edit:
                await client.edit(edit)
                await client.durable()
            welcome = client.frames[0]
            assert isinstance(welcome, Welcome)
            return welcome.lineage

    async with in_process_server(tmp_path) as server:
        first = await lineage(server.url, "hello")
        assert await lineage(server.url) == first
    async with in_process_server(tmp_path) as server:
        assert await lineage(server.url) == first


async def test_sync_of_a_hundred_who_open_a_cold_room_at_once_loads_it_once(tmp_path: Path) -> None:
    store = SlowStore()
    async with in_process_server(tmp_path, store, idle_seconds=0.0) as server:
        async with raw_client(server.url, "shared/cold") as writer:
            await writer.sync()
            await writer.edit("here all along")
            await writer.durable()
        await eventually(lambda: not server.hub.rooms)
        store.loads.clear()

        async def visit() -> str:
            async with raw_client(server.url, "shared/cold") as client:
                await client.until(lambda: client.frames)
                await client.sync()
                return client.value()

        assert await asyncio.gather(*(visit() for _ in range(100))) == ["here all along"] * 100
        assert store.loads == ["shared/cold"]


async def test_sync_loses_nothing_of_a_last_client_that_leaves_at_once(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, idle_seconds=0.0) as server:
        for n in range(20):
            async with raw_client(server.url, f"room-{n}", v1=n % 2 == 0, answers=False) as client:
                await client.edit("last words")
            async with raw_client(server.url, f"room-{n}") as client:
                await client.sync()
                await client.until(lambda client=client: client.value() == "last words")  # type: ignore[misc]


@pytest.mark.parametrize("rounds", [3])
async def test_sync_survives_sigkill_with_everything_acknowledged(tmp_path: Path, rounds: int) -> None:
    async with running_server(tmp_path) as server:
        known = ""
        for n in range(rounds):
            async with raw_client(server.url, "x") as client:
                await client.sync()
                assert client.value().startswith(known)
                for each in range(10):
                    await client.edit(f"{n}.{each} ")
                await client.durable()
                known = client.value()
                await server.kill()
            await server.start()
        async with raw_client(server.url, "x") as client:
            await client.sync()
            assert client.value() == known


async def test_sync_with_stock_providers_of_pycrdt_converges(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        provided(server.url, "shared/stock") as one,
        provided(server.url, "shared/stock") as two,
        raw_client(server.url, "shared/stock") as raw,
    ):
        await raw.sync()
        one.get("t", type=pycrdt.Text).insert(0, "text")
        two.get("array", type=pycrdt.Array).extend([1, "two", None])
        two.get("map", type=pycrdt.Map)["key"] = pycrdt.Map({"nested": True})
        one.get("array", type=pycrdt.Array).append(b"bytes")
        await raw.edit(" and more")

        def content(doc: pycrdt.Doc[Any]) -> tuple[str, list[Any] | None, dict[str, Any] | None]:
            array, mapping = doc.get("array", type=pycrdt.Array), doc.get("map", type=pycrdt.Map)
            return str(doc.get("t", type=pycrdt.Text)), array.to_py(), mapping.to_py()

        await eventually(lambda: len(content(one)[1] or ()) == 4 and len(content(one)[0]) == 13)
        await eventually(lambda: content(one) == content(two) == content(raw.doc))
        assert content(one)[2] == {"key": {"nested": True}}


async def test_sync_turns_down_the_updates_of_readers(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, MemoryStore(), anyone="read") as server:
        async with raw_client(server.url, "x") as reader:
            await reader.sync()
            number = await reader.edit("not mine to say")
            await reader.until(lambda: any(isinstance(frame, Reject) for frame in reader.frames))
            reject = next(frame for frame in reader.frames if isinstance(frame, Reject))
            assert (reject.n, reject.code) == (number, 4403)
            assert not any(isinstance(frame, Ack | SyncStep1) for frame in reader.frames)
            assert server.hub.rooms[0].seq == 0
        async with raw_client(server.url, "x", v1=False) as stock:
            await stock.sync()
            await stock.update(EMPTY_UPDATE, STEP2)  # an answer that says nothing takes nothing
            await stock.sync()
            await stock.edit("not mine to say")
            assert await stock.closed() == 4403


async def test_sync_turns_an_update_down_after_those_before_it(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, anyone="read") as server, raw_client(server.url, "x") as reader:
        await reader.sync()
        for _ in range(3):
            await reader.update(EMPTY_UPDATE)
            await reader.edit("not mine to say")
        await reader.update(EMPTY_UPDATE)
        await reader.until(lambda: reader.acknowledged == 7)
        answers = [(type(frame), frame.n) for frame in reader.frames if isinstance(frame, Ack | Reject)]
        assert answers == [(Ack, 1), (Reject, 2), (Ack, 3), (Reject, 4), (Ack, 5), (Reject, 6), (Ack, 7)]


async def test_sync_tells_who_may_not_even_read(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, anyone="nothing") as server, raw_client(server.url, "x") as client:
        assert await client.closed() == 4403
        assert isinstance(client.frames[0], Denied)


def _chain(client: RawClient, count: int) -> list[bytes]:
    return [client.change(f"{n} ") for n in range(count)]


async def test_sync_acknowledges_no_update_whose_past_is_missing(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x", answers=False) as client:
        await client.sync()
        first, second, third = _chain(client, 3)
        await client.update(second)
        await client.update(third)
        await client.until(lambda: sum(isinstance(frame, SyncStep1) for frame in client.frames) == 2)  # asked again
        await client.sync()
        assert client.acknowledged == 0
        assert await _stored_text(store, "x") == ""
        await client.update(first)
        await client.durable()
        assert client.acknowledged == 3
        assert await _stored_text(store, "x") == "0 1 2 "


async def test_sync_repairs_gaps_with_a_stock_answer(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x") as other,
    ):
        await client.sync()
        await other.sync()
        _lost, second = _chain(client, 2)
        await client.update(second)  # the server asks, and the client answers with all it has
        await client.durable()
        await other.until(lambda: other.value() == "0 1 ")


async def test_sync_holds_back_deletions_of_what_is_missing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x", answers=False) as client:
        await client.sync()
        inserted = client.change("hello")
        state = client.doc.get_state()
        deletions: list[bytes] = []
        client.doc.observe(lambda event: deletions.append(event.update))
        del client.text[0:2]
        assert client.doc.get_state() == state
        await client.update(deletions[0])
        await client.sync()
        assert client.acknowledged == 0
        await client.update(inserted)
        await client.durable()
        assert server.hub.rooms[0].contents.document.state() == client.doc.get_update()


async def test_sync_bounds_how_many_updates_wait_for_their_past(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, max_pending_sync=5) as server,
        raw_client(server.url, "x", answers=False) as client,
        raw_client(server.url, "x") as other,
    ):
        await client.sync()
        await other.sync()
        for update in _chain(client, 10)[1:]:
            await client.update(update)
        assert await client.closed() == 4400
        await other.edit("undisturbed")
        await other.durable()


async def test_sync_bounds_how_many_bytes_wait_for_their_past(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x", answers=False) as client,
        raw_client(server.url, "x") as other,
    ):
        await client.sync()
        client.change("never sent")
        for _ in range(5):
            await client.edit("x" * (MAX_HELD_BYTES // 4))
        assert await client.closed() == 4400
        await other.edit("undisturbed")
        await other.durable()


def _tangle(seed: int) -> list[bytes]:
    """Return updates of three documents that know each other, in any order."""
    chance = random.Random(seed)
    docs = [pycrdt.Doc[Any](client_id=number) for number in (1, 2, 3)]
    updates: list[bytes] = []
    for doc in docs:
        doc.observe(lambda event: updates.append(event.update))
    for _ in range(25):
        doc, other = chance.sample(docs, 2)
        text = doc.get("t", type=pycrdt.Text)
        match chance.choice(["insert", "delete", "put", "meet"]):
            case "insert":
                text.insert(0, chance.choice(["a", "bc", "xyz"]))
            case "delete" if len(text):
                del text[0:1]
            case "put":
                doc.get("m", type=pycrdt.Map)[chance.choice("ab")] = [1, {"x": 2}]
            case _:
                doc.apply_update(other.get_update(doc.get_state()))
    return chance.sample(updates, len(updates))


async def test_sync_places_what_waited_in_whatever_order_it_came(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, MemoryStore(), max_pending_sync=1000) as server:
        for seed in range(20):
            async with raw_client(server.url, f"x{seed}", answers=False) as client:
                await client.sync()
                for update in _tangle(seed):
                    await client.update(update)
                await client.durable()


async def test_sync_forgets_what_waited_for_somebody_who_left(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        raw_client(server.url, "x") as other,
    ):
        await other.sync()
        async with raw_client(server.url, "x", answers=False) as client:
            await client.sync()
            first, second = _chain(client, 2)
            await client.update(second)
            await client.sync()
        await eventually(lambda: server.hub.rooms[0].connections == 1)
        await other.update(first)
        await other.durable()
        await other.sync()
        assert other.value() == "0 "
        await other.update(second)  # it was never acknowledged, so its author would send it again
        await other.durable()
        await other.sync()
        assert other.value() == "0 1 "


async def test_sync_logs_who_wrote_what(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store) as server:
        for agent in ("planner", "builder", ""):
            async with raw_client(server.url, "x", agent=agent) as client:
                await client.sync()
                await client.edit(f"{agent} was here")
                await client.durable()
        records = await store.records("x")
    assert [record.author for record in records] == ["planner", "builder", "anonymous"]


async def test_sync_merges_what_one_turn_brings_into_one_record(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await client.sync()
        await client.edit("begin")
        await client.durable()
        for update in _chain(client, 200):
            await client.update(update)
        await client.durable()
        assert server.hub.rooms[0].seq < 150
        assert await _stored_text(store, "x") == client.value()
