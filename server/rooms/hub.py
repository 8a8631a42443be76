"""The rooms that are loaded: each once, for as long as somebody needs it."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

from comity.crdt_types.errors import ComityError, DrainingError, OverloadError, RoomNotFoundError, StorageError

from ..limits import Allowances, Rates
from ..monitoring.tally import Tallies
from ..settings import Settings
from .archive import Archive
from .contents import Contents
from .document import Document, restored
from .presence import Roster
from .room import Room
from .upkeep import Keeper
from .volume import Volume

logger = logging.getLogger(__name__)

# So that a room that is still busy when it is to be unloaded is not asked in every turn of the loop.
UNLOAD_PAUSE: Final = 0.05
# For somebody who finds every room in memory in use: people come and go within it, and it is no flood.
FULL_SECONDS: Final = 5.0


class Hub:
    """The loaded rooms; an async context manager that owns everything they start.

    Args:
        archive: an open archive.
        settings: the server's settings.
    """

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self.archive: Final = archive
        self.settings: Final = settings
        self.is_draining = False
        self.closes: Counter[int] = Counter()  # connections that the server ended, by close code
        self.opened: Counter[str] = Counter()  # connections taken, by what they speak
        self.refusals: Counter[str] = Counter()  # what was turned away, by limit
        self.tallies: Final = Tallies()
        self.allowances: Final = _allowances(settings)
        self._keeper = Keeper(archive, settings.history_days)
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self._visits: Counter[str] = Counter()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every room come to rest, and end what is still under way."""
        self.drain()
        try:
            if error is None and self.archive.failed is None:
                await self._rest()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def rooms(self) -> tuple[Room, ...]:
        """The rooms in memory."""
        return tuple(self._rooms.values())

    @asynccontextmanager
    async def visit(self, name: str) -> AsyncGenerator[Room]:
        """Hold a room in memory; it is loaded once, however many ask at the same moment.

        Raises: RoomNotFoundError for a name that cannot be, DrainingError, OverloadError when there are too many,
            StorageError when it cannot be loaded.
        """
        self._check(name)
        self._visits[name] += 1
        try:
            yield await self._room(name)
        finally:
            self._visits[name] -= 1
            if not self._visits[name]:
                del self._visits[name]
                self._unload_later(name, self.settings.idle_seconds)

    def drain(self) -> None:
        """Take nobody in any more, and unload nothing but by ending."""
        self.is_draining = True
        for timer in self._timers.values():
            timer.cancel()

    def count_close(self, error: ComityError) -> None:
        """Count a conversation that the server ended with an error."""
        self.closes[error.close_code] += 1
        self.count_refusal(error)

    def count_refusal(self, error: ComityError) -> None:
        """Count what was turned away with an error, if a limit was the reason."""
        if error.limit:
            self.refusals[error.limit] += 1

    def _check(self, name: str) -> None:
        if self.is_draining:
            raise DrainingError("the server is shutting down", remedy="come back in a moment")
        limit = self.settings.room_name_length
        if not name or len(name.encode(errors="replace")) > limit or not name.isprintable():
            raise RoomNotFoundError(
                "not a room name",
                remedy=f"use at most {limit} bytes of printable characters",
                limit="room_name_length" if name.isprintable() and name else "",
            )

    async def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is not None and room.failure is None:
            return room
        if name not in self._loading:
            self._check_space()
            self._loading[name] = self._spawn(self._load_counted(name))
            self._loading[name].add_done_callback(lambda _: self._loading.pop(name))
        return await asyncio.shield(self._loading[name])

    async def _load_counted(self, name: str) -> Room:
        tally = self.tallies.of(name)
        try:
            with tally.load_seconds.timed():
                return await self._load(name)
        except StorageError:
            tally.failed_loads += 1
            raise

    async def _load(self, name: str) -> Room:
        await self._make_space()
        if name in self._rooms:
            await self.archive.flush()  # a room that failed may have left updates on their way to the disk
        loaded = await self.archive.load(name)
        if loaded is None:
            contents = Contents(secrets.token_hex(8), Document())
        else:
            contents = Contents(
                loaded.lineage,
                await restored(name, loaded),
                seq=loaded.seq,
                is_stored=True,
                snapshot_bytes=len(loaded.snapshot or b""),
                tail_bytes=loaded.tail_bytes,
                tail_updates=len(loaded.tail),
            )
        bound = contents.snapshot_bytes + contents.tail_bytes
        contents.volume = Volume(self.settings.max_document, bound)
        self._rooms[name] = room = self._open(name, contents)
        if name not in self._visits:  # everybody who asked for it has gone meanwhile
            self._unload_later(name, self.settings.idle_seconds)
        return room

    def _check_space(self) -> None:
        limit = self.settings.max_rooms
        if 0 < limit < len(self._visits):
            raise OverloadError(
                f"{limit} rooms are in use, and the server takes no more",
                remedy=f"come back in {FULL_SECONDS:g} s, or start it with a larger --max-rooms",
                limit="max_rooms",
                retry_after=FULL_SECONDS,
            )

    async def _make_space(self) -> None:
        """Unload rooms that nobody is in, the longest idle first, until there are no more than may be."""
        limit = self.settings.max_rooms
        for name in tuple(self._timers):
            if not limit or len(self._rooms.keys() | self._loading.keys()) <= limit:
                return
            if name in self._timers and name in self._rooms and name not in self._visits:
                self._timers.pop(name).cancel()
                await self._unload(self._rooms[name])

    def _open(self, name: str, contents: Contents) -> Room:
        settings = self.settings
        roster = Roster(max_bytes=settings.presence_bytes, max_entries=settings.presence_entries)
        tally = self.tallies.of(name)
        return Room(name, contents, self.archive, roster, tally, spawn=self._spawn, on_due=self._snapshot_soon)

    def _snapshot_soon(self, room: Room) -> None:
        if not self._keeper.is_busy(room):
            self._spawn(self._keeper.snapshot(room))

    async def _rest(self) -> None:
        for room in self.rooms:
            await self._keeper.rest(room)

    def _unload_later(self, name: str, seconds: float) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()
        if not self.is_draining:
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(seconds, self._unload_now, name)

    def _unload_now(self, name: str) -> None:
        del self._timers[name]
        if name in self._rooms and name not in self._visits:
            self._spawn(self._unload(self._rooms[name]))

    async def _unload(self, room: Room) -> None:
        await self._keeper.rest(room)
        # Asked again after every await: somebody may have come meanwhile.
        if self._rooms.get(room.name) is not room or room.name in self._visits:
            return
        if room.is_idle:
            del self._rooms[room.name]
        else:
            self._unload_later(room.name, max(self.settings.idle_seconds, UNLOAD_PAUSE))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ComityError):
            logger.info("%s", error)  # told to whoever asked; the journal's failure is told by the server
        elif error is not None:
            logger.error("a task of the hub failed", exc_info=error)


def _allowances(settings: Settings) -> Allowances:
    seconds, least = settings.burst_seconds, settings.max_message
    return Allowances(
        Rates(settings.connection_messages, settings.connection_bytes, seconds, least),
        Rates(settings.principal_messages, settings.principal_bytes, seconds, least),
    )
