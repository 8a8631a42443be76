"""Stores in memory that wait until they are told to go on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from comity.persistence.memory import MemoryStore
from comity.persistence.records import Append, Loaded


class GatedStore(MemoryStore):
    """A store whose loads and commits wait for gates, and which counts them.

    Attributes:
        gate: open while commits may happen.
        door: open while rooms may be loaded.
        loads: the rooms that were loaded.
        appended: how many updates were stored.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.door = asyncio.Event()
        self.door.set()
        self.loads: list[str] = []
        self.appended = 0

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """Commit nothing while the context lasts."""
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()

    async def load(self, room: str) -> Loaded | None:
        self.loads.append(room)
        await self.door.wait()
        return await super().load(room)

    async def append(self, batch: Any) -> None:
        entries: list[Append] = list(batch)
        await self.gate.wait()
        await super().append(entries)
        self.appended += len(entries)


class SlowCreation(MemoryStore):
    """A store that creates a room when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def create(self, room: str, lineage: str, at: int) -> None:
        self.asked.set()
        await self.go_on.wait()
        await super().create(room, lineage, at)
