"""Checkpoints: names for versions that outlive their log, given by people and, where that is wanted, by the server."""

import asyncio
from pathlib import Path

import pytest

from comity.persistence.memory import MemoryStore
from comity.persistence.sqlite import SqliteStore
from comity.persistence.store import Store
from comity.server.history.checkpoints import MAX_NOTE
from comity.server.history.names import MAX_NAME
from comity.server.history.past import preserve, state_at
from comity.server.rooms.archive import now
from tests.support.calls import STORES, refusal, server_on, text_at, write
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually

FUTURE = 2**52


async def _name(client: RawClient, name: str, seq: int | None = None, kind: str = "manual") -> None:
    await client.call("checkpoint", name=name, seq=seq, kind=kind, note="")


async def _names(client: RawClient) -> list[str]:
    return [row[0] for row in await client.call("checkpoints")]


async def _named(client: RawClient, *names: str) -> None:
    """Wait until the checkpoints of a client's room have these names."""
    async with asyncio.timeout(30):
        while await _names(client) != list(names):
            pass


@pytest.mark.parametrize("store", STORES)
async def test_checkpoints_are_listed_as_they_were_made(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x", agent="ana") as client:
        await write(await client.sync(), *"abc")
        before = now()
        newest = await client.call("checkpoint", name="newest", seq=None, kind="manual", note="why: é\nand more")
        older = await client.call("checkpoint", name="older", seq=1, kind="milestone", note="")
        beginning = await client.call("checkpoint", name="beginning", seq=0, kind="backup", note="")
        assert newest[:4] == ["newest", 3, "manual", "ana"]
        assert newest[5] == "why: é\nand more"
        assert before <= newest[4] <= now()
        assert await client.call("checkpoints") == [beginning, older, newest]


async def test_checkpoints_are_durable_when_they_are_answered(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await _name(client, "kept")
        await _name(client, "dropped")
        assert await client.call("drop_checkpoint", name="dropped") is True
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        assert await _names(client) == ["kept"]


@pytest.mark.parametrize(
    ("name", "seq", "kind", "note"),
    [
        ("", None, "manual", ""),
        ("a\nb", None, "manual", ""),
        ("ö" * (MAX_NAME // 2) + "x", None, "manual", ""),
        ("x", None, "other", ""),
        ("x", None, "manual", "x" * (MAX_NOTE + 1)),
        ("x", 3, "manual", ""),
    ],
)
async def test_checkpoints_that_cannot_be_are_refused(name: str, seq: int | None, kind: str, note: str) -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"ab")
        assert await refusal(client, "checkpoint", name=name, seq=seq, kind=kind, note=note) == 4400
        assert await _names(client) == []


async def test_checkpoints_of_a_room_never_written_to_are_refused() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        assert await refusal(client, "checkpoint", name="x", seq=None, kind="manual", note="") == 4400
        assert await server.app.archive.rooms() == []


async def test_checkpoints_have_names_of_their_own() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"ab")
        await _name(client, "x" * MAX_NAME, 1)
        assert await refusal(client, "checkpoint", name="x" * MAX_NAME, seq=2, kind="manual", note="") == 4409
        assert [row[1] for row in await client.call("checkpoints")] == [1]


async def _retire(server: ServerHere) -> None:
    """Retire all of room x that can be, as the keeper does."""
    archive = server.app.archive
    (room,) = server.hub.rooms
    for seq in (room.seq - 1, room.seq):
        await archive.snapshot("x", seq, await state_at(archive, "x", seq))
    await preserve(archive, "x", room.seq, FUTURE)
    await archive.retire("x", room.seq, FUTURE)


@pytest.mark.parametrize("store", STORES)
async def test_checkpoints_keep_the_state_that_they_name(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"abcdefgh")
        for seq in (0, 2, 3, 8):
            await _name(client, f"at {seq}", seq)
        await _retire(server)
        head = await client.call("head")
        assert (head["first"], head["seq"]) == (7, 8)
        for _, seq, *_ in await client.call("checkpoints"):
            assert await text_at(client, seq) == "abcdefgh"[:seq]
        assert await refusal(client, "checkpoint", name="gone", seq=4, kind="manual", note="") == 4400
        await _name(client, "again", 3)
        assert await client.call("branch", name="of what is named", seq=2)
        assert await refusal(client, "branch", name="of what is gone", seq=1) == 4400


@pytest.mark.parametrize("store", STORES)
async def test_checkpoints_cost_nothing_while_their_log_is_kept(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"abcd")
        await _name(client, "recent", 2)
        await preserve(server.app.archive, "x", 4, 0)
        assert await server.app.archive.store.snapshots("x") == []


# Automatic ones ---------------------------------------------------------------------------------------------------


async def test_checkpoints_are_not_made_by_themselves_unless_told_to(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store, idle_seconds=0.0) as server:
        async with raw_client(server.url, "x") as client:
            await write(await client.sync(), *"abc")
        await eventually(lambda: not server.hub.rooms)
    async with store:
        assert await store.checkpoints("x") == []


@pytest.mark.parametrize("store", STORES)
async def test_checkpoints_are_made_after_so_many_changes_and_the_newest_are_kept(store: str) -> None:
    async with (
        server_on(store, checkpoint_changes=3, checkpoint_keep=2) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), *"ab")
        assert await _names(client) == []
        await write(client, "c")
        await _named(client, "auto-3")
        await _name(client, "mine", 1)
        await write(client, *"def")
        await _named(client, "mine", "auto-3", "auto-6")
        await write(client, *"ghi")
        await _named(client, "mine", "auto-6", "auto-9")
        assert [row[2:4] for row in (await client.call("checkpoints"))[1:]] == [["automatic", ""]] * 2


@pytest.mark.parametrize("make", [MemoryStore, None])
async def test_checkpoints_count_changes_from_the_last_one_over_a_restart(
    tmp_path: Path, make: type[MemoryStore] | None
) -> None:
    store: Store = SqliteStore(tmp_path / "x.sqlite3") if make is None else make()
    async with (
        in_process_server(tmp_path, store, checkpoint_changes=3) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), *"abc")
        await _named(client, "auto-3")
        await write(client, *"de")
    async with (
        in_process_server(tmp_path, store, checkpoint_changes=3) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), "f")
        await _named(client, "auto-3", "auto-6")


async def test_checkpoints_are_made_after_some_minutes_in_which_something_changed(tmp_path: Path) -> None:
    store = MemoryStore()
    async with (
        in_process_server(tmp_path, store, checkpoint_minutes=0.001) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), "a")
        await _named(client, "auto-1")
        await write(client, "b")
        await _named(client, "auto-1", "auto-2")
        first, second = await client.call("checkpoints")
        assert second[4] - first[4] >= 60


async def test_checkpoints_by_time_wait_for_theirs(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, MemoryStore(), checkpoint_minutes=60) as server,
        raw_client(server.url, "x") as client,
    ):
        await write(await client.sync(), *"abc")
        assert await _names(client) == []


async def test_checkpoints_are_made_at_the_end_of_a_conversation_that_changed_something(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path, store, checkpoint_at_end=True, idle_seconds=0.0) as server:
        for text in ("a", "", "b"):
            async with raw_client(server.url, "x") as client, raw_client(server.url, "x") as other:
                await other.sync()
                await write(await client.sync(), *text)
                await other.leave()
            await eventually(lambda: not server.hub.rooms)
        async with raw_client(server.url, "x") as client:
            await _named(client, "auto-1", "auto-2")
            await write(await client.sync(), "c")
    async with store:  # a server that ends is no end of a conversation
        assert [each.name for each in await store.checkpoints("x")][:2] == ["auto-1", "auto-2"]


async def test_checkpoints_made_by_themselves_leave_the_names_that_people_gave() -> None:
    async with server_on("memory", checkpoint_changes=2) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await _name(client, "auto-2", 1)
        await write(client, *"bcd")
        await _named(client, "auto-2", "auto-4")
        assert (await client.call("checkpoints"))[0][1:3] == [1, "manual"]
