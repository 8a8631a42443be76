"""Boards: a state of most types, opened as tiers with a server or without."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import comity
from comity import Counter, Log, Map, ORSet, Register, State, Text
from comity.clients.client import Client
from comity.clients.replica import Replica
from comity.clients.tiers.tier import SharedState, Tier

from .server import ServerHere

NOBODY: Final = "ws://127.0.0.1:9"  # the port of "discard", which nothing listens on


class Task(State):
    """A row."""

    title: Register[str]
    done: Register[bool] = Register(default=False)


class Lead(State):
    """A state in a state."""

    name: Register[str]


class Board(State):
    """What the tests of tiers work on."""

    goal: Register[str]
    mood: Register[str] = Register(default="calm")
    steps: Map[str]
    tasks: Map[Task]
    tags: ORSet[str]
    spent: Counter
    notes: Log[str]
    draft: Text
    lead: Lead


def tier(schema: type[State] = Board) -> Tier[Any]:
    """Return a tier that no server knows of."""
    replica = Replica(NOBODY, "shared/board")
    return SharedState(schema(replica.document, replica), replica, lambda: Client(NOBODY).history("shared/board"))


@asynccontextmanager
async def boards(server: ServerHere, *agents: str) -> AsyncGenerator[list[SharedState[Board]]]:
    """Open one board for each agent, and wait until all have met the server."""
    async with comity.connect(server.url, agent=agents[0]) as client, client.shared("board", Board) as first:
        if len(agents) == 1:
            yield [first]
            return
        async with boards(server, *agents[1:]) as others:
            await asyncio.gather(*(each.synced() for each in (first, *others)))
            yield [first, *others]
