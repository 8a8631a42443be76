"""Branches: rooms that begin as another was, are written to like any, and can be erased."""

import asyncio
import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from comity.persistence.memory import MemoryStore
from comity.persistence.transfer import export_room, import_room
from comity.server.app import DATABASE
from comity.server.history.names import MAX_NAME
from tests.support.calls import STORES, refusal, server_on, text_at, write
from tests.support.gated import GatedStore, SlowCreation
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually


def _listed(server: ServerHere) -> list[dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/api/rooms")
        rooms: list[dict[str, Any]] = json.loads(connection.getresponse().read())["rooms"]
        return rooms
    finally:
        connection.close()


@pytest.mark.parametrize("store", STORES)
async def test_branches_begin_as_their_parent_was(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x", agent="ana") as client:
        await write(await client.sync(), *"abc")
        for seq in range(4):
            row = await client.call("branch", name=f"at {seq}", seq=seq)
            assert row[:4] == [f"at {seq}", f"x@at {seq}", seq, "ana"]
            async with raw_client(server.url, row[1]) as branch:
                await branch.sync()
                assert branch.value() == "abc"[:seq]
                assert [each[:2] for each in await branch.call("versions", after=0, limit=9)] == [[1, "ana"]]
        assert [row[2] for row in await client.call("branches")] == [0, 1, 2, 3]


@pytest.mark.parametrize("store", STORES)
async def test_branches_are_written_to_apart_and_merge_with_their_parent(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="draft", seq=None)
        async with raw_client(server.url, "x@draft") as branch:
            await write(await branch.sync(), "b")
            await write(client, "c")
            assert (client.value(), branch.value()) == ("ac", "ab")
            await client.update(branch.doc.get_update(client.doc.get_state()))
            await client.durable()
            head = await client.call("head")
            assert sorted(await text_at(client, head["seq"])) == ["a", "b", "c"]
            assert (await branch.call("head"))["lineage"] != head["lineage"]


async def test_branches_are_durable_when_they_are_answered(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="kept", seq=None)
        await client.call("branch", name="dropped", seq=None)
        assert await client.call("drop_branch", name="dropped") is True
    async with in_process_server(tmp_path) as server, raw_client(server.url, "x") as client:
        assert [row[0] for row in await client.call("branches")] == ["kept"]
        async with raw_client(server.url, "x@kept") as kept, raw_client(server.url, "x@dropped") as dropped:
            await kept.sync()
            await dropped.sync()
            assert (kept.value(), dropped.value()) == ("a", "")


@pytest.mark.parametrize(
    ("name", "seq", "code"),
    [
        ("", None, 4400),
        ("a\nb", None, 4400),
        ("x" * (MAX_NAME + 1), None, 4400),
        ("x" * MAX_NAME, None, 4404),
        ("b", 2, 4400),
    ],
)
async def test_branches_that_cannot_be_are_refused(name: str, seq: int | None, code: int) -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        assert await refusal(client, "branch", name=name, seq=seq) == code
        assert [row.room for row in await server.app.archive.rooms()] == ["x"]


async def test_branches_do_not_replace_a_room_that_there_is() -> None:
    async with (
        server_on("memory") as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x@taken") as other,
    ):
        await write(await client.sync(), "a")
        await write(await other.sync(), "b")
        assert await refusal(client, "branch", name="taken", seq=None) == 4409
        assert await client.call("drop_branch", name="taken") is False
        await write(other, "c")
        assert other.value() == "bc"


async def test_branches_send_those_away_who_waited_in_their_room(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, MemoryStore()) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        async with raw_client(server.url, "x@new") as early:
            await early.sync()
            await client.call("branch", name="new", seq=None)
            assert await early.closed() == 4503
        async with raw_client(server.url, "x@new") as later:
            await later.sync()
            assert later.value() == "a"


async def test_branches_give_way_to_what_is_written_to_their_room_meanwhile(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        raw_client(server.url, "x") as client,
        raw_client(server.url, "x@new") as other,
    ):
        await write(await client.sync(), "a")
        await other.sync()
        async with store.held():
            await other.edit("b")
            await eventually(lambda: next(room for room in server.hub.rooms if room.name == "x@new").seq)
            number = await client.ask_for("branch", name="new", seq=1)
        await client.until(lambda: number in client.answers)
        error = client.answers[number].error
        assert error is not None
        assert error.code == 4409
        async with raw_client(server.url, "x@new") as again:
            await again.sync()
            assert again.value() == "b"


@pytest.mark.parametrize("store", STORES)
async def test_branches_of_one_name_are_made_once(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as one, raw_client(server.url, "x") as two:
        await write(await one.sync(), "a")
        outcomes = await asyncio.gather(
            *(client.call("branch", name="b", seq=None) for client in (one, two)), return_exceptions=True
        )
        assert len([outcome for outcome in outcomes if isinstance(outcome, list)]) == 1
        async with raw_client(server.url, "x@b") as branch:
            await branch.sync()
            assert branch.value() == "a"


@pytest.mark.parametrize("store", STORES)
async def test_branches_that_are_dropped_are_gone_for_those_who_are_in_them(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="b", seq=None)
        async with raw_client(server.url, "x@b") as branch:
            await write(await branch.sync(), "b")
            await branch.edit("on its way")
            assert await client.call("drop_branch", name="b") is True
            assert await branch.closed() == 4410
        assert await client.call("branches") == []
        assert [row.room for row in await server.app.archive.rooms()] == ["x"]
        await client.call("branch", name="b", seq=None)
        async with raw_client(server.url, "x@b") as anew:
            await write(await anew.sync(), "c")
            assert anew.value() == "ac"
        await write(client, "d")


@pytest.mark.parametrize("store", STORES)
async def test_branches_made_again_from_an_older_version_take_what_their_parent_has_since(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"ab")
        await client.call("branch", name="b", seq=None)
        async with raw_client(server.url, "x@b") as branch:
            await write(await branch.sync(), "c")
            dropped = branch.doc.get_update()
        await client.call("drop_branch", name="b")
        await client.call("branch", name="b", seq=1)
        async with raw_client(server.url, "x@b") as anew:
            await anew.sync()
            await anew.update(client.doc.get_update())
            await anew.durable()
            assert await text_at(anew, (await anew.call("head"))["seq"]) == "ab"
            await anew.update(dropped)
            assert await anew.closed() == 4410


@pytest.mark.parametrize("store", STORES)
async def test_branches_that_go_with_their_parent_do_not_come_back_with_what_it_had(store: str) -> None:
    async with server_on(store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="b", seq=None)
        async with raw_client(server.url, "x@b") as branch:
            await branch.sync()
            await branch.call("branch", name="c", seq=None)
        await client.call("erase")
        for room in ("x@b", "x@b@c"):
            async with raw_client(server.url, room) as back:
                await back.sync()
                await back.update(client.doc.get_update())
                assert await back.closed() == 4410


async def test_branches_of_branches_are_known_by_their_parents() -> None:
    async with server_on("memory") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="b", seq=None)
        async with raw_client(server.url, "x@b") as branch:
            await branch.sync()
            assert (await branch.call("branch", name="c", seq=None))[1] == "x@b@c"
            assert await refusal(client, "branch", name="b@c", seq=None) == 4409
            assert await client.call("drop_branch", name="b@c") is False
            assert [row[0] for row in await branch.call("branches")] == ["c"]
        assert [row[0] for row in await client.call("branches")] == ["b"]
        assert await client.call("drop_branch", name="b") is True
        assert [row.room for row in await server.app.archive.rooms()] == ["x"]


async def test_branches_are_told_apart_in_the_list_of_rooms() -> None:
    async with server_on("sqlite") as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="b", seq=None)
        parent, branch = await asyncio.to_thread(_listed, server)
        assert (parent["name"], branch["name"]) == ("x", "x@b")
        assert (branch["parent"], branch["branch"]) == ("x", "b")
        assert "parent" not in parent


async def test_branches_are_made_whole_although_who_asked_for_them_leaves(tmp_path: Path) -> None:
    store = SlowCreation()
    store.go_on.set()
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, "x") as client:
            await write(await client.sync(), "a")
            store.asked.clear()
            store.go_on.clear()
            await client.ask_for("branch", name="b", seq=1)
            await store.asked.wait()
        store.go_on.set()
        async with raw_client(server.url, "x@b") as branch:
            await branch.sync()
            assert branch.value() == "a"


@pytest.mark.parametrize(("removal", "params"), [("erase", {}), ("forget", {"author": "ana"})])
async def test_branches_that_are_being_made_keep_nothing_of_what_is_removed(
    tmp_path: Path, removal: str, params: dict[str, str]
) -> None:
    store = SlowCreation()
    store.go_on.set()
    async with in_process_server(tmp_path, store) as server:
        async with raw_client(server.url, "x", agent="ana") as client, raw_client(server.url, "x") as other:
            await write(await client.sync(), "a")
            async with raw_client(server.url, "y", agent="ana") as later:
                await write(await later.sync(), "a")
                store.asked.clear()
                store.go_on.clear()
                await client.ask_for("branch", name="b", seq=1)
                await store.asked.wait()
                removing = asyncio.create_task(other.call(removal, **params))
                await other.sync()
                # This takes as long and begins later: when it is done the first one is, or else waits for the branch.
                assert [each["room"] for each in await later.call(removal, **params)] == ["y"]
            store.go_on.set()
            assert {each["room"] for each in await removing} == {"x", "x@b"}
        async with raw_client(server.url, "x@b") as branch:
            await branch.sync()
            assert branch.value() == ""


async def test_branches_imported_under_another_name_are_rooms_by_themselves(tmp_path: Path) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "file"
    async with in_process_server(here) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), "a")
        await client.call("branch", name="b", seq=None)
    export_room(here / DATABASE, "x@b", file, 1)
    await import_room(file, here / DATABASE, "y")
    async with in_process_server(here) as server, raw_client(server.url, "x") as client:
        assert [row[1] for row in await client.call("branches")] == ["x@b"]
        assert [each["room"] for each in await client.call("erase")] == ["x@b", "x"]
        assert [row.room for row in await server.app.archive.rooms()] == ["y"]
    there.mkdir()
    await import_room(file, there / DATABASE, "x")
    async with in_process_server(there) as server, raw_client(server.url, "x") as client:
        assert await client.call("branches") == []
        assert [each["room"] for each in await client.call("erase")] == ["x"]


async def test_branches_cut_short_by_a_crash_can_be_made_again(tmp_path: Path) -> None:
    store = MemoryStore()
    async with store:
        await store.create("x@b", "of before", 1)
        await store.note("x@b", "branch", b"\x95\xa1x\xa1b\x01\xa0\x01")
    async with in_process_server(tmp_path, store) as server, raw_client(server.url, "x") as client:
        await write(await client.sync(), *"ab")
        await client.call("branch", name="b", seq=None)
        assert [row[:3] for row in await client.call("branches")] == [["b", "x@b", 2]]
        assert (await client.call("drop_branch", name="b")) is True
