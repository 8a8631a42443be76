"""Automatic checkpoints: when they are due, and how many are kept."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from comity.crdt_types.errors import NameTakenError
from comity.persistence.records import Checkpoint

from ..rooms.archive import Archive, now
from ..rooms.room import Room
from .checkpoints import AUTOMATIC, Checkpoints
from .past import newest

MS_PER_SECOND: Final = 1000
MS_PER_MINUTE: Final = 60 * MS_PER_SECOND


class Plan(NamedTuple):
    """When checkpoints are made by themselves: after so many minutes, so many changes, and when everyone has left.

    None and False mean not for that reason; ``keep`` is how many of the newest each room keeps.
    """

    minutes: float | None
    changes: int | None
    at_end: bool
    keep: int

    @property
    def follows(self) -> bool:
        """Whether it matters what is written while people are in a room."""
        return self.minutes is not None or self.changes is not None


class _Course:
    """What is known of a room's newest automatic checkpoint: ``seq`` is None until that is read, ``at`` is in ms."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.at = 0
        self.turn = asyncio.Lock()
        self.timer: asyncio.TimerHandle | None = None


class Automatic:
    """Makes checkpoints named ``auto-`` and their version, of rooms that changed since the last one.

    Args:
        archive: where rooms are kept.
        checkpoints: their checkpoints.
        plan: when they are due.
        spawn: runs a coroutine that outlives the caller.
    """

    def __init__(
        self,
        archive: Archive,
        checkpoints: Checkpoints,
        plan: Plan,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._archive = archive
        self._checkpoints = checkpoints
        self._plan = plan
        self._spawn = spawn
        self._courses: WeakKeyDictionary[Room, _Course] = WeakKeyDictionary()

    def told(self, room: Room) -> None:
        """Note that something of a room was committed."""
        if not self._plan.follows:
            return
        course = self._course(room)
        if course.turn.locked():
            return
        if course.seq is None:
            self._spawn(self._begin(room, course))
        elif self._plan.changes is not None and room.seq >= course.seq + self._plan.changes:
            self._spawn(self._mark(room, course))
        elif self._plan.minutes is not None and course.timer is None and room.seq > course.seq:
            self._mark_later(room, course, self._plan.minutes * MS_PER_MINUTE)

    def left(self, room: Room) -> None:
        """Note that the last one who was in a room has left."""
        if self._plan.at_end:
            self._spawn(self._mark(room, self._course(room)))

    def close(self) -> None:
        """Make none any more because of the time that passes."""
        for course in self._courses.values():
            if course.timer is not None:
                course.timer.cancel()

    def _course(self, room: Room) -> _Course:
        return self._courses.setdefault(room, _Course())

    def _mark_later(self, room: Room, course: _Course, interval: float) -> None:
        def mark() -> None:
            course.timer = None
            self._spawn(self._mark(room, course))

        seconds = max(0.0, course.at + interval - now()) / MS_PER_SECOND
        course.timer = asyncio.get_running_loop().call_later(seconds, mark)

    async def _begin(self, room: Room, course: _Course) -> None:
        async with course.turn:
            await self._look(room, course)
        self.told(room)

    async def _mark(self, room: Room, course: _Course) -> None:
        """Make a checkpoint of what a room holds, unless nothing changed."""
        async with course.turn:
            last = await self._look(room, course)
            seq = await newest(self._archive, room)
            if seq <= last or room.failure is not None:
                return
            with suppress(NameTakenError):  # somebody gave that name to the same version, or means to
                await self._checkpoints.add(room, f"auto-{seq}", seq=seq, kind=AUTOMATIC)
            course.seq, course.at = seq, now()
            await self._drop_oldest(room)
        self.told(room)

    async def _look(self, room: Room, course: _Course) -> int:
        """Return the version of a room's newest automatic checkpoint, which is read once; 0 if it has none."""
        if course.seq is None:
            made = await self._made(room)
            course.at = made[-1].at if made else now()
            course.seq = made[-1].seq if made else 0
        return course.seq

    async def _made(self, room: Room) -> list[Checkpoint]:
        return [each for each in await self._checkpoints.all(room.name) if each.kind == AUTOMATIC]

    async def _drop_oldest(self, room: Room) -> None:
        for checkpoint in (await self._made(room))[: -self._plan.keep]:
            await self._checkpoints.drop(room.name, checkpoint.name)
