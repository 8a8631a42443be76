"""Stock providers of Hocuspocus share rooms with everybody, and are told the truth about the disk."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pycrdt
import pytest

import comity
from comity import State, Text
from comity.crdt_types.errors import ProtocolError
from comity.persistence.memory import MemoryStore
from tests.support.gated import GatedStore
from tests.support.hocuspocus import connections, hocuspocus_providers
from tests.support.node import Node, stock_provider
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server, running_server
from tests.support.waiting import eventually, until


class Page(State):
    """A text that editors bind to."""

    text: Text


@asynccontextmanager
async def page(url: str, room: str, agent: str) -> AsyncGenerator[Page]:
    async with comity.connect(url, agent=agent).open(room, Page) as state:
        await state.synced()
        yield state


def is_settled(node: Node, *names: str) -> bool:
    """Tell whether providers are synced and count nothing as unsaved."""
    return all((told := node.now.get(name)) and told["synced"] and told["unsaved"] == 0 for name in names)


async def test_stock_hocuspocus_provider_shares_rooms_with_everybody(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path / "data") as server,
        hocuspocus_providers(server.url) as node,
        stock_provider(server.url, "one") as plain,
        page(server.url, "one", "planner") as one,
        page(server.url, "two", "critic") as two,
    ):
        await node.do("open", "ann", "one")
        await node.do("open", "bob", "two")
        await node.until(lambda _: is_settled(node, "ann", "bob"))
        await node.do("insert", "ann", 0, "from ann, ")
        await node.do("insert", "bob", 0, "from bob 😀, ")
        await until(one, lambda: one.text.value == "from ann, ")
        await until(two, lambda: two.text.value == "from bob 😀, ")
        one.text.append("from the planner, ")
        two.text.append("from the critic")
        await plain.until(lambda told: "planner" in told["text"])
        await plain.do("insert", 0, "from y-websocket, ")
        whole = "from y-websocket, from ann, from the planner, "
        await node.until(lambda told: told["ann"]["text"] == whole)
        await node.until(lambda told: told["bob"]["text"] == "from bob 😀, from the critic")
        await node.until(lambda told: {"ann", "planner", "editor"} <= set(told["ann"]["agents"]))
        await node.until(lambda told: {"bob", "critic"} <= set(told["bob"]["agents"]))
        await plain.until(lambda told: {"ann", "planner", "editor"} <= set(told["agents"]))
        await eventually(lambda: "ann" in _agents(one) and "bob" not in _agents(one))
        await node.until(lambda _: is_settled(node, "ann", "bob"))
        await node.do("close", "bob")
        await eventually(lambda: "bob" not in _agents(two))
        assert node.now["ann"]["closed"] is None
        await node.do("disconnect")
        await eventually(lambda: "ann" not in _agents(one))
        await plain.until(lambda told: "ann" not in told["agents"])


async def test_stock_hocuspocus_provider_counts_changes_as_unsaved_until_their_commit(tmp_path: Path) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x")
        await node.until(lambda _: is_settled(node, "ann"))
        async with store.held():
            saved = node.now["ann"]["saved"]
            await node.do("type", "ann", "abc")
            await eventually(lambda: server.hub.rooms[0].seq > 0)
            await node.do("type", "ann", "def")
            await _turn(node)
            assert (node.now["ann"]["saved"], node.now["ann"]["unsaved"]) == (saved, 6)
            await node.do("sync", "ann")
            await node.until(lambda told: told["ann"]["unsaved"] == 1)
        await node.until(lambda told: told["ann"]["unsaved"] == 0)
        assert _stored(server, "x") == "abcdef"


@pytest.mark.parametrize("options", [{}, {"flushDelay": 30}, {"sessionAwareness": True}])
async def test_stock_hocuspocus_provider_is_told_saved_after_being_offline_when_all_is(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    store = GatedStore()
    async with in_process_server(tmp_path, store) as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x", options)
        await node.until(lambda _: is_settled(node, "ann"))
        await node.do("type", "ann", "online ")
        await node.until(lambda told: told["ann"]["text"] and is_settled(node, "ann"))
        await node.do("disconnect")
        await node.until(lambda told: told["status"] == "disconnected")
        await node.do("type", "ann", "offline")
        await node.do("erase", "ann", 3)
        await node.do("flush", "ann")
        await eventually(lambda: connections(server, "x") == 0)
        async with store.held():
            saved = node.now["ann"]["saved"]
            await node.do("connect")
            await node.until(lambda told: told["ann"]["synced"])
            await node.do("type", "ann", " again")
            await _turn(node)
            assert (node.now["ann"]["saved"], node.now["ann"]["unsaved"] > 0) == (saved, True)
        await node.until(lambda _: is_settled(node, "ann"))
        assert _stored(server, "x") == "online offl again"


async def test_stock_hocuspocus_provider_loses_nothing_that_it_was_told_is_saved(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as server:
        async with hocuspocus_providers(server.url) as node:
            await node.do("open", "ann", "x")
            await node.until(lambda _: is_settled(node, "ann"))
            await node.do("disconnect")
            await node.until(lambda told: told["status"] == "disconnected")
            await node.do("type", "ann", "offline ")
            await node.do("connect")
            await node.until(lambda told: told["status"] == "connected" and is_settled(node, "ann"))
            await node.do("type", "ann", "online")
            await node.until(lambda told: told["ann"]["text"] == "offline online" and told["ann"]["unsaved"] == 0)
            await server.kill()
        await server.start()
        async with page(server.url, "x", "reader") as state:
            assert state.text.value == "offline online"


async def test_stock_hocuspocus_provider_comes_back_after_a_restart(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x")
        await node.do("open", "bob", "x", {"sessionAwareness": True})
        await node.until(lambda _: is_settled(node, "ann", "bob"))
        await node.do("type", "ann", "before ")
        await node.until(lambda told: told["bob"]["text"] == "before ")
        await server.stop()
        await node.until(lambda told: told["status"] != "connected")
        assert node.now["codes"][0] == 4503
        await node.do("type", "bob", "meanwhile ")
        await server.restart()
        await node.until(lambda told: told["ann"]["text"] == "before meanwhile ")
        await node.until(lambda _: is_settled(node, "ann", "bob"))
        await node.do("type", "ann", "after")
        await node.until(lambda told: told["bob"]["text"] == "before meanwhile after")
        # Presence that comes back with the clock it had is passed over by providers, until it changes or is renewed.
        await node.do("present", "ann", "agent", "ann again")
        await node.until(lambda told: sorted(told["bob"]["agents"]) == ["ann again", "bob"])


async def test_stock_hocuspocus_provider_is_told_that_it_may_only_read(tmp_path: Path) -> None:
    store = MemoryStore()
    async with in_process_server(tmp_path / "1", store) as server, raw_client(server.url, "x") as author:
        author.doc.get("text", type=pycrdt.Text).insert(0, "theirs")
        await author.update(author.doc.get_update())
        await author.durable()
    async with (
        in_process_server(tmp_path / "2", store, anyone="read") as server,
        hocuspocus_providers(server.url) as node,
    ):
        await node.do("open", "ann", "x")
        await node.until(lambda told: is_settled(node, "ann") and told["ann"]["text"] == "theirs")
        assert node.now["ann"]["scope"] == "readonly"
        await node.do("type", "ann", "mine")
        await node.do("sync", "ann")
        await node.do("present", "ann", "agent", "reader")
        await eventually(lambda: b"reader" in (server.hub.rooms[0].roster.full_frame() or b""))
        assert node.now["ann"]["unsaved"] > 0
        assert _stored(server, "x") == "theirs"


async def test_stock_hocuspocus_provider_is_told_that_it_may_nothing(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, anyone="nothing") as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x", {"token": "a token"})
        await node.until(lambda told: told.get("ann", {}).get("denied"))
        assert "not for you" in node.now["ann"]["denied"]
        assert not node.now["ann"]["authenticated"]
        assert not node.now["ann"]["synced"]
        await node.do("open", "bob", "y")
        await node.until(lambda told: told.get("bob", {}).get("denied"))
        assert node.now["status"] == "connected"


async def test_stock_hocuspocus_provider_is_told_why_its_document_was_closed(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x")
        await node.do("open", "bob", "y")
        await node.until(lambda _: is_settled(node, "ann", "bob"))
        room = next(room for room in server.hub.rooms if room.name == "x")
        room.members[0].fail(ProtocolError("it makes no sense", subject="update"))
        await node.until(lambda told: told["ann"]["closed"] == "update: it makes no sense")
        await node.do("type", "bob", "goes on")
        await node.until(lambda told: told["bob"]["text"] == "goes on" and told["bob"]["unsaved"] == 0)
        assert node.now["status"] == "connected"


async def test_stock_hocuspocus_provider_opens_again_what_was_closed(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x")
        await node.until(lambda _: is_settled(node, "ann"))
        server.hub.rooms[0].members[0].fail(ProtocolError("it makes no sense"))
        await node.until(lambda told: told["ann"]["closed"])
        await node.do("type", "ann", "meanwhile ")
        await node.do("detach", "ann")
        await node.do("attach", "ann")
        await node.until(lambda _: is_settled(node, "ann"))
        await node.do("type", "ann", "again")
        await node.until(lambda told: told["ann"]["text"].endswith("again") and is_settled(node, "ann"))
        assert _stored(server, "x") == "meanwhile again"


async def test_stock_hocuspocus_provider_asks_again_on_the_same_socket(tmp_path: Path) -> None:
    async with in_process_server(tmp_path, hocuspocus_documents=1) as server, hocuspocus_providers(server.url) as node:
        await node.do("open", "ann", "x")
        await node.until(lambda _: is_settled(node, "ann"))
        await node.do("open", "bob", "y")
        await node.until(lambda told: told.get("bob", {}).get("denied"))
        await node.do("type", "bob", "denied ")
        await node.do("close", "ann")
        await eventually(lambda: connections(server, "x") == 0)
        await node.do("authenticate", "bob")
        await node.do("sync", "bob")
        await node.until(lambda told: told["bob"]["authenticated"] and is_settled(node, "bob"))
        await node.do("type", "bob", "and taken")
        await node.until(lambda told: told["bob"]["text"].endswith("taken") and is_settled(node, "bob"))
        assert _stored(server, "y") == "denied and taken"


async def test_stock_hocuspocus_provider_without_awareness_stays_in_a_quiet_room(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path, ping_interval=0.1) as server,
        hocuspocus_providers(server.url, silence_ms=500) as node,
    ):
        await node.do("open", "ann", "x", {"awareness": None})
        await node.until(lambda told: told.get("pings", 0) >= 10)  # twice what it bears
        assert node.now["codes"] == []
        assert is_settled(node, "ann")


def _agents(state: Page) -> set[Any]:
    return {other.get("agent") for other in state.replica.awareness.others.values()}


def _stored(server: ServerHere, name: str) -> str:
    """Return the root text "text" of a room as it is in memory."""
    room = next(room for room in server.hub.rooms if room.name == name)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(room.contents.document.state())
    return str(doc.get("text", type=pycrdt.Text))


async def _turn(node: Node) -> None:
    """Wait until the socket has brought whatever was sent so far: another document is opened behind that."""
    await node.do("open", "mark", "mark")
    await node.until(lambda told: told.get("mark", {}).get("authenticated"))
