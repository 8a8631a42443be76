"""Clients that put load on a server whose disk fails, and what they can swear to afterwards."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import pycrdt
from websockets.exceptions import ConnectionClosed

import comity
from comity import Log, Map, State
from comity.crdt_types.wire import Reject
from tests.support.raw import RawClient, raw_client
from tests.support.waiting import eventually

RAW_WRITERS: Final = 3  # in each room
AGENTS: Final = 2  # in each room
WINDOW: Final = 10  # updates that a raw writer sends ahead of their acknowledgement
SIZES: Final = (50, 400, 4000)  # characters of an edit at most: some are a page of the database, most are not
# More than the edits that are under way in two rooms ever come to, with the pages that they lie in: what a transaction
# has written beyond it is a snapshot, or what was retired.
LARGE: Final = 2 * (RAW_WRITERS * WINDOW + AGENTS * 3 * 2) * max(SIZES) + 256 * 1024


class Load(State):
    """What agents write."""

    cells: Map[str]
    notes: Log[str]


@dataclass
class Evidence:
    """What clients can swear to about one room.

    Attributes:
        acknowledged: names of the edits that the server acknowledged.
        heard: names of the edits that it told somebody else.
        made: how many edits were made in all.
    """

    acknowledged: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    made: int = 0

    def missing(self, found: set[str]) -> set[str]:
        """Return the edits that should be there and are not."""
        return (self.acknowledged | self.heard) - found


@dataclass
class Scene:
    """A room under load.

    Attributes:
        url: the server's address.
        room: the room's name.
        number: that of the round; with it all names of edits are unique.
        evidence: what the clients can swear to.
        is_fatal: whether the server does not live to see the end.
        is_over: set when the writers are to stop.
    """

    url: str
    room: str
    number: int
    evidence: Evidence
    is_fatal: bool
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


def payload() -> str:
    """Return an edit's content."""
    return "x" * random.randrange(1, random.choice(SIZES))


async def write_raw(client: RawClient, name: str, scene: Scene) -> None:
    """Write into the map "raw" until the scene is over or the connection, a window ahead of the acknowledgements."""
    cells: pycrdt.Map[Any] = client.doc.get("raw", type=pycrdt.Map)
    written: dict[int, str] = {}
    try:
        while not scene.is_over.is_set():
            before = client.doc.get_state()
            cells[edit := f"{name}/{len(written)}"] = payload()
            scene.evidence.made += 1
            written[await client.update(client.doc.get_update(before))] = edit
            await client.until(lambda: client.sent - client.acknowledged < WINDOW)
        await client.durable()
    except (ConnectionClosed, AssertionError):
        await client.closed()
    refused = {frame.n for frame in client.frames if isinstance(frame, Reject)}
    scene.evidence.acknowledged.update(
        edit for n, edit in written.items() if n <= client.acknowledged and n not in refused
    )


async def write_typed(state: Load, name: str, scene: Scene) -> None:
    """Write as an agent does, until the scene is over: a few edits, then `durable()`, however long that takes."""
    for number in count():
        if scene.is_over.is_set():
            return
        edits = [f"{name}/{number}/{i}" for i in range(random.randrange(1, 4))]
        scene.evidence.made += len(edits)
        with state.transaction():
            for edit in edits:
                state.cells[edit] = payload()
                state.notes.append(edit)
        await state.durable()
        scene.evidence.acknowledged.update(edits)


def edits_in(client: RawClient) -> set[str]:
    """Return the names of the edits that a client was given, an agent's only if all of it is there."""
    typed = Load(comity.StateDocument(update=client.doc.get_update()))
    raw: pycrdt.Map[Any] = client.doc.get("raw", type=pycrdt.Map)
    return set(raw.keys()) | (set(typed.cells) & set(typed.notes))


@asynccontextmanager
async def agent(scene: Scene, name: str) -> AsyncGenerator[None]:
    """Let an agent write while the context lasts; when the server has gone it leaves, and does not come back."""
    async with comity.connect(scene.url, agent=name).open(scene.room, Load) as state:
        await state.synced()
        writing = asyncio.create_task(write_typed(state, name, scene))
        yield
        if scene.is_fatal:
            await eventually(lambda: state.replica.status == "offline")
            writing.cancel()
        await asyncio.wait([writing])
        if not writing.cancelled():
            writing.result()


@asynccontextmanager
async def raw_writer(scene: Scene, name: str) -> AsyncGenerator[None]:
    """Let a client without any cleverness write while the context lasts, and collect what was acknowledged to it."""
    async with raw_client(scene.url, scene.room) as client:
        writing = asyncio.create_task(write_raw(client, name, scene))
        yield
        await writing


@asynccontextmanager
async def listener(scene: Scene) -> AsyncGenerator[None]:
    """Let somebody listen while the context lasts, and collect what was heard."""
    async with raw_client(scene.url, scene.room) as client:
        await client.sync()
        yield
        if scene.is_fatal:
            await client.closed()
        scene.evidence.heard.update(edits_in(client))


@asynccontextmanager
async def loaded(scene: Scene) -> AsyncGenerator[None]:
    """Put load on a room while the context lasts."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listener(scene))
        for i in range(AGENTS):
            await stack.enter_async_context(agent(scene, f"agent-{scene.number}-{i}"))
        for i in range(RAW_WRITERS):
            await stack.enter_async_context(raw_writer(scene, f"raw-{scene.number}-{i}"))
        yield
        scene.is_over.set()


async def read(url: str, room: str) -> set[str]:
    """Return the edits that a client finds that knows nothing."""
    async with raw_client(url, room) as reader:
        await reader.sync()
        return edits_in(reader)
