"""Agents who write to a room of a real server, each update a version of its own, and whoever watches them."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import comity
from comity.clients.history.line import Line
from comity.clients.history.source import RoomSource
from comity.crdt_types import StateDocument
from comity.crdt_types.history.timeline import Timeline
from comity.crdt_types.update import EMPTY_STATE_VECTOR, holds_no_inserts

from .history import AGENTS, Turn
from .readings import Reading, reading
from .waiting import until
from .world import World, make

ROOM: Final = "shared/world"


class Author:
    """An agent with a document of its own, which meets the server when it is told to.

    Args:
        line: its connection.
        agent: its name.
    """

    def __init__(self, line: Line, agent: str) -> None:
        self.world = World(StateDocument(agent=agent))
        self.line: Final = line
        self._pushed = EMPTY_STATE_VECTOR

    def edit(self, turn: Turn) -> None:
        """Make the edits of a turn as one transaction."""
        with self.world.transaction():
            for edit in turn.edits:
                make(self.world, edit)

    async def meet(self) -> None:
        """Send what was edited since the last time, and take what others sent."""
        document = self.world.document
        await self.line.hand_in(document.update_since(self._pushed))
        source = RoomSource(self.line)
        document.apply(await Timeline(source).state((await source.span()).last))
        self._pushed = document.state_vector()


@asynccontextmanager
async def authors_of(url: str, room: str = ROOM) -> AsyncGenerator[dict[str, Author]]:
    """Connect agents to a room while the context lasts."""
    async with AsyncExitStack() as stack:
        lines = {agent: await stack.enter_async_context(Line(url, room, agent)) for agent in AGENTS}
        yield {agent: Author(line, agent) for agent, line in lines.items()}


async def play(authors: dict[str, Author], script: list[Turn]) -> None:
    """Let agents do something, and all meet the server in the end."""
    for turn in script:
        authors[turn.agent].edit(turn)
        if turn.syncs:
            await authors[turn.agent].meet()
    for author in authors.values():
        await author.meet()


async def watch(url: str, script: list[Turn]) -> list[Reading]:
    """Let agents do something, and return what somebody who watches them reads after each version."""
    async with authors_of(url) as authors, comity.connect(url).open(ROOM, World) as watcher:
        await watcher.synced()
        seen = {0: reading(watcher.document.update_since())}
        for turn in [*script, *(Turn(agent, [], True) for agent in AGENTS)]:
            author = authors[turn.agent]
            author.edit(turn)
            if turn.syncs:
                await author.meet()
                await until(watcher, partial(_has, watcher.document, author.world.document))
                seen[(await RoomSource(author.line).span()).last] = reading(watcher.document.update_since())
        return [seen[version] for version in range(len(seen))]


def _has(one: StateDocument, other: StateDocument) -> bool:
    """Tell whether a document has all that another one has; every edit of a state inserts something."""
    return holds_no_inserts(other.update_since(one.state_vector()))
