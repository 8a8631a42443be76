"""When rooms end by themselves: a session's state is erased once nothing has happened in it for its time to live."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from comity.crdt_types.errors import ComityError, InvalidValueError
from comity.crdt_types.wire import ENDING, RENEWED, Notice, encode

from ..monitoring.tally import tier
from ..rooms.archive import Archive, now, translated
from ..rooms.contents import TTL
from ..rooms.room import Room
from ..transport.sockets import Packet
from .erasure import Erasure

logger = logging.getLogger(__name__)

# What a store notes of a room that somebody came to or renewed since its last version: ms since the epoch, in decimal.
ACTIVE: Final = "active"
# Between two looks at all rooms, of which 10,000 with times of their own take 2 s in small pieces: what ends before the
# next one has a timer.
PERIOD: Final = 60 * 60.0
# After the store failed, or a room could not be erased: soon enough that it is hardly late, and no burden till then.
RETRY: Final = 60.0
# A room in which something is on its way to the disk is looked at again: a commit takes some milliseconds.
BUSY: Final = 0.1
# Long enough that a person can answer, and for a room of minutes a tenth of its time.
LONGEST_LEAD: Final = 5 * 60 * 1000
LEAD_SHARE: Final = 10
# An arrival is written down if the store knows of nothing within this share of the room's time: a room may end that
# much too early after a restart, and comings and goings cost no writes.
NOTE_SHARE: Final = 100
MS: Final = 1000


class End(NamedTuple):
    """When a room ends if nothing happens in it, in ms since the Unix epoch, and how long it lives after what does."""

    at: int
    ttl: int


class _Life:
    """What is known of a room that is to end: times in ms, ``stored`` is the last moment of which the store knows.

    It is not over before it was warned of, and half of the lead has passed since then: when the clock was set, the
    machine was asleep, or no server was running, its time may have passed without anybody knowing.
    """

    __slots__ = ("_not_before", "active", "is_queued", "is_warned", "stored", "timer", "ttl")

    def __init__(self, ttl: int, active: int, stored: int) -> None:
        self.ttl = ttl
        self.active = active
        self.stored = stored
        self.is_warned = False
        self.is_queued = False
        self._not_before = 0
        self.timer: asyncio.TimerHandle | None = None

    @property
    def end(self) -> End:
        return End(max(self.active + self.ttl, self._not_before), self.ttl)

    @property
    def next(self) -> int:
        """When something is to be done about it: the warning, then the end."""
        return self.end.at if self.is_warned else self.end.at - self._lead

    @property
    def is_over(self) -> bool:
        return self.is_warned and self.end.at <= now()

    @property
    def _lead(self) -> int:
        return min(LONGEST_LEAD, self.ttl // LEAD_SHARE)

    def warn(self) -> None:
        """Note that everybody is warned now; if that is late, the end is put off."""
        self.is_warned = True
        if self.end.at - now() < self._lead // 2:
            self._not_before = now() + self._lead

    def happen(self) -> bool:
        """Note that something happens now; returns whether a warning is to be taken back."""
        was_warned, self.is_warned = self.is_warned, False
        self.active, self._not_before = now(), 0
        return was_warned

    @property
    def is_to_be_noted(self) -> bool:
        return self.active - self.stored > self.ttl / NOTE_SHARE


class Expiry:
    """Erases rooms in which nothing has happened for longer than they are to live.

    What happens in a room is a version, an arrival, or a renewal; who only sits in it, or says something of their
    presence, keeps nothing alive. Those who are there are warned, and told when the end was put off after that.

    Rooms that people are in, and those that end soon, have a timer each; looking at all rooms, once in a while, finds
    the others.

    Args:
        archive: where rooms are kept.
        erasure: erases them.
        ttl_seconds: how long rooms live, by tier; None, and none for a tier, is for good.
        find: returns a room that is in memory, None for one that is not.
    """

    def __init__(
        self,
        archive: Archive,
        erasure: Erasure,
        ttl_seconds: Mapping[str, float | None],
        find: Callable[[str], Room | None],
    ) -> None:
        self._archive = archive
        self._erasure = erasure
        self._ttls = {tier: None if seconds is None else round(seconds * MS) for tier, seconds in ttl_seconds.items()}
        self._find = find
        self._lives: dict[str, _Life] = {}
        # Rooms of which something is to be written down, or that are to end, each once at most; None is all rooms.
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._sweep: asyncio.TimerHandle | None = None
        self._has_closed = False

    def __len__(self) -> int:
        """Return how many rooms have a timer."""
        return len(self._lives)

    async def run(self) -> None:
        """Look after the rooms until cancelled."""
        self._queue.put_nowait(None)
        while True:
            name = await self._queue.get()
            life = None if name is None else self._lives.get(name)
            if name is None:
                await self._look_at_all()
            elif life is not None:
                life.is_queued = False
                await self._attend(name, life)

    def close(self) -> None:
        """Warn nobody and end nothing any more."""
        self._has_closed = True
        for timer in (self._sweep, *(life.timer for life in self._lives.values())):
            if timer is not None:
                timer.cancel()

    # What happens in rooms --------------------------------------------------------------------------------------

    def told(self, room: Room) -> None:
        """Note that something of a room was committed."""
        life = self._lives.get(room.name)
        if life is not None:
            life.stored = now()
            self._happened(room.name, life)

    def arrived(self, room: Room) -> None:
        """Note that somebody came to a room."""
        self._follow(room)
        life = self._live(room)
        if life is None:
            return
        self._happened(room.name, life)
        if room.contents.is_stored and life.is_to_be_noted:
            self._enqueue(room.name, life)

    async def renew(self, room: Room) -> End | None:
        """Put the end of a room off as if something had happened; returns when it is now, None if it has none.

        Raises: StorageError; ErasedError, if it is too late.
        """
        life = self._live(room)
        if life is None:
            return None
        await room.ensure_stored()
        self._happened(room.name, life)
        await self._note_active(room.name, life)
        if room.failure is not None:  # it was too late
            raise room.failure
        return life.end

    def end_of(self, room: Room) -> End | None:
        """Return when a room ends if nothing happens in it, None if it does not."""
        life = self._live(room)
        return None if life is None else life.end

    async def set(self, room: Room, seconds: float | None) -> End | None:
        """Let a room live for another time than its tier, from now on; None is as long as its tier.

        It need not have been written to. Returns when it ends now.

        Raises: InvalidValueError, if that is no time; StorageError.
        """
        if seconds is not None and not 0 < seconds < 2**40:
            raise InvalidValueError(f"{seconds} seconds", subject=f"room {room.name!r}", remedy="give a time above 0")
        own = None if seconds is None else round(seconds * MS)
        await room.ensure_stored()
        if own != room.contents.ttl:
            with translated():
                await self._archive.store.note(room.name, TTL, None if own is None else b"%d" % own)
            room.contents.ttl = own
        self._follow(room)
        return await self.renew(room)

    def _follow(self, room: Room) -> None:
        """Follow a room's time to live, which may have changed."""
        life, ttl = self._lives.get(room.name), self._ttl(room.name, room.contents.ttl)
        if life is None or life.ttl == ttl:
            return
        if ttl is None:
            self._forget(room.name)
            return
        life.ttl = ttl
        self._happened(room.name, life)
        self._set_timer(room.name, life)

    def _live(self, room: Room) -> _Life | None:
        """Return what is known of a room in memory, None if it does not end."""
        life = self._lives.get(room.name)
        ttl = self._ttl(room.name, room.contents.ttl)
        if life is None and ttl is not None and not self._has_closed:
            life = self._lives[room.name] = _Life(ttl, now(), room.updated or 0)
            self._set_timer(room.name, life)
        return life

    def _ttl(self, name: str, own: int | None) -> int | None:
        return self._ttls.get(tier(name)) if own is None else own

    def _happened(self, name: str, life: _Life) -> None:
        if life.happen():
            self._tell(name, Notice(RENEWED, "somebody needed it: it does not end yet", at=life.end.at))

    async def _note_active(self, name: str, life: _Life) -> None:
        at = life.active
        with translated():
            await self._archive.store.note(name, ACTIVE, b"%d" % at)
        life.stored = max(life.stored, at)

    # Ends -------------------------------------------------------------------------------------------------------

    def _set_timer(self, name: str, life: _Life, seconds: float = 0.0) -> None:
        if life.timer is not None:
            life.timer.cancel()
        if not self._has_closed:
            wait = min(max(seconds, (life.next - now()) / MS), PERIOD)  # the clock of times may be set meanwhile
            life.timer = asyncio.get_running_loop().call_later(wait, self._look, name, life)

    def _look(self, name: str, life: _Life) -> None:
        """Do what is to be done about a room; what happened meanwhile has put it off."""
        life.timer = None
        if life.is_over:
            self._enqueue(name, life)
            return
        if not life.is_warned and life.next <= now():
            life.warn()
            self._tell(name, Notice(ENDING, "nothing has happened in it for long: it ends", at=life.end.at))
        self._set_timer(name, life)

    def _enqueue(self, name: str, life: _Life) -> None:
        if not life.is_queued:
            life.is_queued = True
            self._queue.put_nowait(name)

    def _tell(self, name: str, notice: Notice) -> None:
        room = self._find(name)
        if room is not None:
            packet = Packet(encode(notice))
            for member in room.members:
                member.tell(packet)

    async def _attend(self, name: str, life: _Life) -> None:
        """Write down when something happened in a room last, and erase it if its time is over."""
        pause = BUSY
        try:
            if not life.is_over and life.is_to_be_noted:
                await self._note_active(name, life)
            if life.is_over and await self._erasure.expire(name, lambda: self._may_end(name, life)):
                self._forget(name)
                return
        except ComityError as error:
            logger.error("room %r may end too early, or too late: %s", name, error)
            pause = RETRY
        if self._lives.get(name) is life and (life.is_over or life.timer is None):
            self._set_timer(name, life, pause)

    def _may_end(self, name: str, life: _Life) -> bool:
        """Tell whether nothing has happened in a room that is to end, nor is on its way to the disk."""
        room = self._find(name)
        return life.is_over and (room is None or (room.is_committed and not room.arriving))

    def _forget(self, name: str) -> None:
        life = self._lives.pop(name, None)
        if life is not None and life.timer is not None:
            life.timer.cancel()

    # All rooms --------------------------------------------------------------------------------------------------

    async def _look_at_all(self) -> None:
        pause = PERIOD
        try:
            await self._find_ends()
        except ComityError as error:
            logger.error("it is not known which rooms are to end: %s", error)
            pause = RETRY
        self._sweep = asyncio.get_running_loop().call_later(pause, self._queue.put_nowait, None)

    async def _find_ends(self) -> None:
        """Set timers for the rooms that end before the look after the next, and forget others that nobody is in."""
        with translated():
            own = await self._archive.store.attributed(TTL)
            active = await self._archive.store.attributed(ACTIVE)
        rows, soon = await self._archive.rooms(), now() + 2 * PERIOD * MS
        for name, life in list(self._lives.items()):
            if life.next > soon and self._find(name) is None:
                self._forget(name)
        for row in rows:
            ttl = self._ttl(row.room, int(own[row.room]) if row.room in own else None)
            if ttl is None or row.room in self._lives:
                continue
            last = max(row.created, row.updated or 0, int(active.get(row.room, 0)))
            life = _Life(ttl, last, last)
            if life.next <= soon:
                self._lives[row.room] = life
                self._set_timer(row.room, life)
