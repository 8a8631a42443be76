"""Local tiers for tests, and what their histories come to."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

from comity.clients.history.past import Past
from comity.clients.local.history import LocalHistory
from comity.clients.local.replica import LocalReplica
from comity.clients.local.versionfile import VersionFile
from comity.crdt_types.history.record import Base, VersionRecord

from .history import Chronicle
from .readings import reading

NOWHERE = "ws://127.0.0.1:1"
"""A server that there is not."""
ROOM = "local/ana/memory"


def replica_in(directory: Path, room: str = ROOM, agent: str = "ana") -> LocalReplica:
    """Return the replica of a local tier that keeps its versions for good."""
    return LocalReplica(NOWHERE, room, agent=agent, directory=directory, history=None)


class Told(NamedTuple):
    """What a history tells: its versions, the state at each of them, and its checkpoints."""

    versions: list[tuple[int, str, int]]
    states: list[Any]
    checkpoints: list[Any]


async def told(history: Past) -> Told:
    """Return what a history tells."""
    versions = [version async for version in history.versions()]
    states = [reading((await history.at(version.number)).update_since()) for version in versions]
    rows = [(version.number, version.author, round(version.at.timestamp() * 1000)) for version in versions]
    return Told(rows, states, await history.checkpoints())


async def told_in(directory: Path, room: str = ROOM) -> Told:
    """Return what the history of a local tier tells that nobody has open."""
    async with replica_in(directory, room) as replica, LocalHistory(replica) as history:
        return await told(history)


async def fill(directory: Path, chronicle: Chronicle, author: str = "ana", room: str = ROOM) -> None:
    """Make a local tier that has the history of a room in memory."""
    span = await chronicle.span()
    base = await chronicle.base(span.first) if span.first else Base(0, b"")
    records = [record._replace(author=record.author or author) for record in chronicle.log]
    async with VersionFile(directory, room) as file:
        await file.fill(base, _pages(records), [])


async def _pages(records: list[VersionRecord]) -> AsyncGenerator[list[VersionRecord]]:
    for at in range(0, len(records), 3):
        yield records[at : at + 3]
