"""A room with a witness in it, in which others may do their worst: whatever they do, nothing of it may remain."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil
import pycrdt
import pytest

from comity.crdt_types.wire import Presence
from comity.persistence.memory import MemoryStore
from comity.server.rooms.document import Document, restore
from comity.server.rooms.room import Room

from .raw import RawClient, raw_client
from .server import ServerHere, in_process_server
from .waiting import eventually

ROOM: Final = "x"
WRITER: Final = 600_613  # the client of the edits
PRESENT: Final = Presence(4711, 3, '{"agent":"witness"}')


class Tally(NamedTuple):
    """What a server holds for its connections."""

    rooms: int
    members: int
    descriptors: int
    tasks: int


@dataclass
class Expected:
    """Which edits are to be in the room in the end, by their keys: first those that must be, then those that may be.

    Attributes:
        sure: those that must be there.
        possible: those that may be there: none, or the first, or the first and the second, and so on.
    """

    sure: list[str] = field(default_factory=list)
    possible: list[str] = field(default_factory=list)

    def allows(self, keys: list[str]) -> bool:
        """Tell whether just these edits may be there."""
        every = self.sure + self.possible
        return len(keys) >= len(self.sure) and keys == every[: len(keys)]


class Arena:
    """A server in the test's loop, one of its rooms, and a client in that whom nobody may hurt.

    Args:
        server: the server.
        store: what it stores to.
        witness: the client, which has synced.
        caplog: what is logged.
    """

    def __init__(
        self, server: ServerHere, store: MemoryStore, witness: RawClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.server: Final = server
        self.witness: Final = witness
        self.room: Final[Room] = next(room for room in server.hub.rooms if room.name == ROOM)
        self._store = store
        self._caplog = caplog
        self._numbers = count()
        self._writer: pycrdt.Doc[Any] = pycrdt.Doc()

    def edit(self) -> tuple[str, bytes]:
        """Return a sound update that builds on those before, with the key that it puts into the root map "edits"."""
        key, before = f"{next(self._numbers):06}", self._writer.get_state()
        self._writer.get("edits", type=pycrdt.Map)[key] = True
        return key, self._writer.get_update(before)

    @asynccontextmanager
    async def undisturbed(self) -> AsyncGenerator[Expected]:
        """Assert that what happens in the context hurts nobody, and has left nothing but edits at its end."""
        before, presence, known = self._tally(), self.room.roster.full_frame(), self._keys()
        expected = Expected()
        # One client all along, or state vectors grow; it goes on from what has come of its edits.
        self._writer = pycrdt.Doc(client_id=WRITER)
        self._writer.apply_update(self.witness.doc.get_update())
        self._caplog.clear()
        yield expected
        await eventually(lambda: self._tally() == before)
        await self.room.sound()
        await self.witness.sync()
        found = self._keys()
        assert found[: len(known)] == known
        assert expected.allows(found[len(known) :]), (found[len(known) :], expected)
        assert self.room.roster.full_frame() == presence
        assert self.room.failure is None
        assert list(self._logged()) == []
        await self._assert_stored()

    def _keys(self) -> list[str]:
        return sorted(self.witness.doc.get("edits", type=pycrdt.Map))

    def _tally(self) -> Tally:
        hub, process = self.server.hub, psutil.Process()
        return Tally(len(hub.rooms), self.room.connections, process.num_fds(), len(asyncio.all_tasks()))

    def _logged(self) -> Iterator[str]:
        for record in self._caplog.records:
            if record.levelno >= logging.ERROR or record.exc_info:
                yield f"{record.name}: {record.getMessage()} {record.exc_info or ''}"

    async def _assert_stored(self) -> None:
        """Assert that a server that starts now has the same document."""
        await self.server.app.archive.flush()
        loaded = await self._store.load(ROOM)
        if loaded is None:
            assert self.room.seq == 0
        else:
            assert_alike(restore(ROOM, loaded), self.room.contents.document)


def assert_alike(one: Document, other: Document) -> None:
    """Assert that two documents hold the same."""
    assert one.state_vector() == other.state_vector()
    # The engine writes the options of a subdocument in any order.
    assert sorted(one.state()) == sorted(other.state())


@asynccontextmanager
async def arena(
    data: Path, caplog: pytest.LogCaptureFixture, store: MemoryStore | None = None, **settings: Any
) -> AsyncGenerator[Arena]:
    """Hold an arena while the context lasts.

    Args:
        data: the server's data directory.
        caplog: what is logged.
        store: what the server stores to, if that is to be a special one.
        settings: of the server.
    """
    chosen = store or MemoryStore()
    async with (
        in_process_server(data, chosen, idle_seconds=0, **settings) as server,
        raw_client(server.url, ROOM) as witness,
    ):
        await witness.announce([PRESENT])
        await witness.sync()
        yield Arena(server, chosen, witness, caplog)
        await witness.edit("still here")
        await witness.durable()
