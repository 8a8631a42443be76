"""The rooms that are loaded: each once, for as long as somebody needs it."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from comity.crdt_types.errors import ComityError, DrainingError, OverloadError, RoomNotFoundError, StorageError
from comity.persistence.compaction import due
from comity.persistence.records import new_lineage
from comity.persistence.sections import REDACTED

from ..history.automatic import Automatic, Plan
from ..history.service import History
from ..limits import Allowances, Rates
from ..monitoring.tally import OTHER, Tallies
from ..settings import Settings
from .archive import RETRY_SECONDS, Archive, translated
from .buried import buried
from .contents import NEVER, TTL, Contents
from .loading import load
from .member import Member
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

    Attributes:
        history: what the rooms were.
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
        self.history: Final = History(self)
        self._automatic = Automatic(archive, self.history.checkpoints, _plan(settings), self._spawn)
        self._keeper = Keeper(archive, _history_days(settings))
        self._rooms: dict[str, Room] = {}
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self._visits: Counter[str] = Counter()
        self._withdrawn: dict[str, asyncio.Event] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        archive.on_fault, archive.on_recovery = self._interrupt, self._resume

    async def __aenter__(self) -> Self:
        """Begin; what an erasure left half done is finished first."""
        await self.history.redaction.resume()
        await self.history.beginnings.resume()
        self._spawn(self.history.expiry.run())
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
                self._left(name)

    @asynccontextmanager
    async def withdrawn(
        self, name: str, error: ComityError, spared: Member | None = None, may: Callable[[], bool] | None = None
    ) -> AsyncGenerator[bool]:
        """Keep a room out of memory while the context lasts, with all of it on disk.

        Whoever is in it, but for one who may be spared, is sent away with an error; whoever comes waits for the end of
        the context. ``may`` is asked right before that: if it says no, the room stays, and the context is given False.

        Raises: what ``visit`` raises.
        """
        self._check(name)
        await self._returned(name)
        self._withdrawn[name] = returned = asyncio.Event()
        try:
            yield await self._withdraw(name, error, spared, may)
        finally:
            del self._withdrawn[name]
            returned.set()

    def find(self, name: str) -> Room | None:
        """Return a room that is in memory and has not failed."""
        room = self._rooms.get(name)
        return None if room is None or room.failure is not None else room

    def drain(self) -> None:
        """Take nobody in any more, and unload nothing but by ending."""
        self.is_draining = True
        self._automatic.close()
        self.history.expiry.close()
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

    async def _returned(self, name: str) -> None:
        """Wait until a room is not withdrawn."""
        while name in self._withdrawn:
            await self._withdrawn[name].wait()

    async def _withdraw(
        self, name: str, error: ComityError, spared: Member | None, may: Callable[[], bool] | None
    ) -> bool:
        if name in self._loading:
            await asyncio.wait((self._loading[name],))
        await self.archive.flush()  # before anybody is sent away for nothing
        if may is not None and not may():
            return False
        room = self._rooms.pop(name, None)
        if room is None:
            return True
        room.fail(error, spared)
        while self._keeper.is_busy(room):  # noqa: ASYNC110  # nobody tells when a snapshot is taken
            await asyncio.sleep(UNLOAD_PAUSE)
        await self.archive.flush()
        return True

    async def _room(self, name: str) -> Room:
        await self._returned(name)
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
            with suppress(StorageError):  # a room that failed may have left updates on their way to the disk
                await self.archive.flush()
        stored = await load(self.archive, name)
        lineage = new_lineage() if stored is None else stored.loaded.lineage
        contents = Contents(name, lineage, buried(await self.archive.tombstones(name)))
        contents.fill(stored)
        if stored is not None:
            await self._read_notes(name, contents)
        self._tell_damage(name, contents, 0 if stored is None else stored.loaded.passed)
        bound = contents.snapshot_bytes + contents.tail_bytes
        contents.volume = Volume(self.settings.max_document, bound)
        self._rooms[name] = room = self._open(name, contents)
        if name not in self._visits:  # everybody who asked for it has gone meanwhile
            self._unload_later(name, self.settings.idle_seconds)
        return room

    async def _read_notes(self, name: str, contents: Contents) -> None:
        try:
            with translated():
                noted = await self.archive.store.attributes(name)
        except StorageError as error:  # no reason not to read the room
            logger.error("replicas are not told what to forget, and the room does not end: %s", error)
            contents.ttl = NEVER
            return
        contents.redactions = int(noted.get(REDACTED, b"0"))
        contents.ttl = int(noted[TTL]) if TTL in noted else None

    def _tell_damage(self, name: str, contents: Contents, passed: int) -> None:
        """Log and count what is damaged of a room that was loaded."""
        if contents.damage is not None:
            logger.error("%s; it can be read up to there, and not written", contents.damage)
        if passed:
            self.tallies.of(name).passed_snapshots += passed
            logger.warning("room %r: %d damaged snapshots were passed over: run comity verify", name, passed)

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
        return Room(name, contents, self.archive, roster, tally, spawn=self._spawn, on_told=self._told)

    def _interrupt(self, error: StorageError) -> None:
        """Let every room forget what could not be stored."""
        for room in self.rooms:
            room.interrupt(error)

    def _resume(self, is_other: bool, doubtful: Collection[str]) -> None:
        """Look again at rooms whose last updates may be in the store after all, or at all rooms if it is another."""
        for room in self.rooms:
            if room.failure is None and is_other:
                room.fail(_replaced())
            elif room.failure is None and room.name in doubtful:
                room.renew()

    def _told(self, room: Room) -> None:
        contents = room.contents
        if due(contents.tail_bytes, contents.snapshot_bytes) and not self._keeper.is_busy(room):
            self._spawn(self._keeper.snapshot(room))
        self._automatic.told(room)
        self.history.expiry.told(room)

    def _left(self, name: str) -> None:
        """Note that nobody is in a room any more."""
        self._unload_later(name, self.settings.idle_seconds)
        if name in self._rooms and not self.is_draining:
            self._automatic.left(self._rooms[name])

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
        with suppress(StorageError):  # what was dropped then is no reason to keep the room
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


def _history_days(settings: Settings) -> dict[str, float | None]:
    return {
        "shared": settings.history_days,
        OTHER: settings.history_days,
        "session": settings.session_history_days,
        "local": settings.local_history_days,
        "persistent": settings.persistent_history_days,
    }


def _replaced() -> StorageError:
    return StorageError("another database was put in place", remedy="come back", retry_after=RETRY_SECONDS)


def _plan(settings: Settings) -> Plan:
    return Plan(
        settings.checkpoint_minutes,
        settings.checkpoint_changes,
        settings.checkpoint_at_end,
        settings.checkpoint_keep,
    )
