"""Stores in memory that wait until they are told to go on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
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
        error: what commits end in once the gate is open, None while they work.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.door = asyncio.Event()
        self.door.set()
        self.loads: list[str] = []
        self.appended = 0
        self.error: Exception | None = None

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
        if self.error is not None:
            raise self.error
        await super().append(entries)
        self.appended += len(entries)


class FaultyStore(MemoryStore):
    """A store that cannot be written while it is told to fail, and can be read.

    Attributes:
        error: what every write ends in, None while it works.
        is_other: what a recovery finds: another store in place of this one.
        probes: how often it was asked whether it works again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.is_other = False
        self.probes = 0
        self._lands = False
        self._once = False

    def fail(self, error: Exception, *, lands: bool = False, once: bool = False) -> None:
        """Fail from now on.

        Args:
            error: what writes end in.
            lands: whether commits are stored nevertheless, as when only syncing them failed.
            once: whether it works again after one failure.
        """
        self.error, self._lands, self._once = error, lands, once

    def last(self, room: str) -> int:
        """Return the number of a room's last update."""
        return self._rooms[room].last

    async def append(self, batch: Sequence[Append]) -> None:
        if self.error is None or self._lands:
            await super().append(batch)
        self._check()

    async def create(self, room: str, lineage: str, at: int) -> None:
        self._check()
        await super().create(room, lineage, at)

    async def snapshot(self, room: str, seq: int, state: bytes, at: int) -> None:
        self._check()
        await super().snapshot(room, seq, state, at)

    async def recover(self) -> bool:
        self.probes += 1
        self._check()
        return self.is_other

    def _check(self) -> None:
        if self.error is not None:
            error = self.error
            if self._once:
                self.error = None
            raise error


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
