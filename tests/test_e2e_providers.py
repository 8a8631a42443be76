"""Stock Yjs providers, in Node and in Python, share rooms with Comity's clients and meet no difference."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pycrdt

import comity
from comity import Counter, Map, ORSet, Register, State, Text
from tests.support.node import Node, stock_provider
from tests.support.provider import provided
from tests.support.server import running_server
from tests.support.waiting import eventually, until

ROOM = "my-editor-doc"
EDITS = 20  # of each kind, by each


class Page(State):
    """Typed fields beside a text that editors bind to; the list and map of this room are plain Yjs types."""

    text: Text
    title: Register[str]
    views: Counter
    labels: ORSet[str]
    reviews: Map[str]


class Content:
    """The text, list and map of a Yjs document."""

    def __init__(self, doc: "pycrdt.Doc[Any]") -> None:
        self.doc = doc
        self.text = doc.get("text", type=pycrdt.Text)
        self.list: pycrdt.Array[Any] = doc.get("list", type=pycrdt.Array)
        self.map: pycrdt.Map[Any] = doc.get("map", type=pycrdt.Map)

    def plain(self) -> dict[str, Any]:
        return {"text": str(self.text), "list": self.list.to_py(), "map": self.map.to_py()}


@asynccontextmanager
async def page(url: str, agent: str) -> AsyncGenerator[tuple[Page, Content]]:
    async with comity.connect(url, agent=agent).open(ROOM, Page) as state:
        await state.synced()
        yield state, Content(state.document.ydoc)


def plain(told: dict[str, Any]) -> dict[str, Any]:
    return {kind: told[kind] for kind in ("text", "list", "map")}


async def until_equal(node: Node, *contents: Content) -> dict[str, Any]:
    """Return what all hold, once all hold the same."""
    await eventually(lambda: all(each.plain() == plain(node.now) for each in contents))
    return plain(node.now)


async def write(content: Content, name: str) -> None:
    """Edit text, list and map, in small steps between which others edit."""
    for number in range(EDITS):
        content.text.insert(0, f"{name}é{number} ")
        content.list.append(f"{name} {number}")
        with content.doc.transaction():
            content.map[f"{name} {number}"] = number
            content.map["latest"] = name
        await asyncio.sleep(0)


async def write_in_node(node: Node, name: str) -> None:
    """Do the same in Node."""
    for number in range(EDITS):
        await node.do("insert", 0, f"{name}é{number} ")
        await node.do("push", f"{name} {number}")
        await node.do("put", f"{name} {number}", number)
        await node.do("put", "latest", name)


def assert_all_there(found: dict[str, Any], *names: str) -> None:
    """Check that everybody's edits are there, and each one's in its order."""
    for name in names:
        assert [item for item in found["list"] if item.startswith(name)] == [f"{name} {n}" for n in range(EDITS)]
        assert [word for word in found["text"].split() if word.startswith(name)] == [
            f"{name}é{n}" for n in reversed(range(EDITS))
        ]
        assert all(found["map"][f"{name} {number}"] == number for number in range(EDITS))
    assert found["map"]["latest"] in names


async def test_stock_providers_and_comity_clients_edit_one_room_together(tmp_path: Path) -> None:
    names = ("node", "python", "comity")
    async with (
        running_server(tmp_path / "data") as server,
        stock_provider(server.url, ROOM) as node,
        provided(server.url, ROOM) as doc,
        page(server.url, "comity") as (state, content),
    ):
        python = Content(doc)
        await node.until(lambda told: told["synced"])
        await asyncio.gather(write_in_node(node, "node"), write(python, "python"), write(content, "comity"))
        await eventually(lambda: len(node.now["list"]) == EDITS * len(names))
        assert_all_there(await until_equal(node, python, content), *names)
        assert state.text.value == node.now["text"]
        await node.do("delete", 0, 3)
        await node.do("remove", 0, 2)
        await node.do("nest", "nested", {"deep": True})
        await eventually(lambda: "nested" in content.map and "nested" in python.map)
        found = await until_equal(node, python, content)
        assert found["map"]["nested"] == {"deep": True}
        assert len(found["list"]) == EDITS * len(names) - 2
        async with page(server.url, "newcomer") as (_, late):
            assert late.plain() == found


async def test_an_editor_and_typed_fields_share_a_room(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path / "data") as server,
        stock_provider(server.url, ROOM) as node,
        page(server.url, "planner") as (planner, _),
        page(server.url, "critic") as (critic, _),
    ):
        await node.until(lambda told: {"planner", "critic", "editor"} <= set(told["agents"]))
        edit_fields(planner, "plan")
        edit_fields(critic, "critique")
        await node.do("insert", 0, "An editor's 😀 words. ")
        await until(planner, lambda: "editor's" in planner.text.value)
        planner.text.append("And mine.")
        await node.until(lambda told: told["text"].endswith("And mine.") and told["lanes"] == 2)
        await until(critic, lambda: critic.to_dict() == planner.to_dict() == expected(critic.title.get("")))
        # Presence goes round at its own pace: edits may overtake it.
        await eventually(lambda: "editor" in {s["agent"] for s in planner.replica.awareness.others.values()})


def edit_fields(state: Page, agent: str) -> None:
    with state.transaction():
        state.title.set(f"a {agent}")
        state.views.add(3)
        state.labels.add(agent)
        state.reviews[agent] = "done"


def expected(title: str) -> dict[str, Any]:
    assert title in ("a plan", "a critique")
    return {
        "text": "An editor's 😀 words. And mine.",
        "title": title,
        "views": 6,
        "labels": ["plan", "critique"],
        "reviews": {"plan": "done", "critique": "done"},
    }


async def test_a_stock_provider_comes_back_after_a_restart_with_what_it_did_meanwhile(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path / "data") as server,
        stock_provider(server.url, ROOM) as node,
        page(server.url, "planner") as (planner, _),
    ):
        await node.until(lambda told: told["synced"])
        await node.do("insert", 0, "before ")
        await until(planner, lambda: planner.text.value == "before ")
        await server.stop()
        await node.until(lambda told: not told["connected"])
        await node.do("insert", 7, "meanwhile ")
        await eventually(lambda: planner.replica.status == "offline")
        planner.text.insert(0, "offline ")
        await server.restart()
        await node.until(lambda told: told["text"] == "offline before meanwhile ")
        await until(planner, lambda: planner.text.value == "offline before meanwhile ")
        await node.do("insert", 0, "after ")
        await until(planner, lambda: planner.text.value.startswith("after "))
