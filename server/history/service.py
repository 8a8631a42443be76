"""The history of rooms, for whoever may ask: clients over their connections, and pages."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from comity.crdt_types.errors import ComityError
from comity.crdt_types.precondition import Precondition
from comity.persistence.records import Base, Checkpoint, Record, Version
from comity.persistence.store import RECORDS_LIMIT

from ..rooms.archive import Archive, translated
from ..rooms.deciding import Made
from ..rooms.member import Member
from ..rooms.room import Room
from ..settings import Settings
from .beginnings import Beginnings
from .branches import Branch, Branches
from .checkpoints import Checkpoints
from .decisions import Decisions
from .erasure import Erasure
from .expiry import End, Expiry
from .marks import Marks
from .past import newest, oldest, page
from .person import Redaction

SECONDS_PER_HOUR: Final = 60 * 60


class Rooms(Protocol):
    """The hub, as far as history needs it."""

    @property
    def archive(self) -> Archive:
        """Where rooms are kept."""
        ...

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        ...

    def find(self, name: str) -> Room | None:
        """Return a room that is in memory, None for one that is not."""
        ...

    def visit(self, name: str) -> AbstractAsyncContextManager[Room]:
        """Hold a room in memory."""
        ...

    def withdrawn(
        self, name: str, error: ComityError, spared: Member | None = None, may: Callable[[], bool] | None = None
    ) -> AbstractAsyncContextManager[bool]:
        """Keep a room out of memory while the context lasts."""
        ...


class Head(NamedTuple):
    """Which versions a room has: the newest, the oldest that can be seen, and the id of the history they are of.

    ``seq`` is 0 for a room that was never written to; ``first`` is 0 where the whole history is kept.
    """

    seq: int
    first: int
    lineage: str


class History:
    """The history of rooms. A version is the number of an update; version 0 is a room before its first.

    Every method takes a room's name, and raises RoomNotFoundError for one that cannot be, and StorageError where the
    store fails. Who may ask is for the caller to know.

    Args:
        rooms: the rooms.

    Attributes:
        checkpoints: names for versions.
        branches: rooms that begin as another was.
        beginnings: rooms that begin with versions made elsewhere.
        erasure: removes rooms for good.
        redaction: takes out of rooms what somebody wrote.
        expiry: removes those whose time is over.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._archive = rooms.archive
        self.checkpoints: Final = Checkpoints(rooms.archive)
        self.branches: Final = Branches(rooms.archive, rooms.withdrawn)
        self.beginnings: Final = Beginnings(rooms.archive, rooms.withdrawn, rooms.settings)
        self._decisions = Decisions(rooms.archive, rooms.settings)
        marks = Marks(rooms.settings.backup_dir)
        self.erasure: Final = Erasure(rooms.archive, rooms.withdrawn, self.branches, marks)
        self.redaction: Final = Redaction(rooms.archive, rooms.withdrawn, self.branches, marks)
        self.expiry: Final = Expiry(rooms.archive, self.erasure, _ttl_seconds(rooms.settings), rooms.find)

    async def head(self, name: str) -> Head:
        """Return which versions there are. Whatever was sent to the room before is in the newest."""
        async with self._rooms.visit(name) as room:
            last = await newest(self._archive, room)
            return Head(last, await oldest(self._archive, name, last), room.lineage)

    async def versions(self, name: str, *, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Version]:
        """Return what there is to know of at most so many versions after one, but for what they changed.

        Args:
            name: the room.
            after: the version before the first.
            limit: how many, at most; no more than RECORDS_LIMIT come at once.
        """
        with translated():
            return await self._archive.store.versions(name, after, min(limit, RECORDS_LIMIT))

    async def records(self, name: str, *, after: int = 0, limit: int = RECORDS_LIMIT) -> list[Record]:
        """Return at most so many versions after one, with what they changed; see ``versions``.

        They have at most PAGE_BYTES together, unless the first alone has more.
        """
        return await page(self._archive, name, after, limit)

    async def base(self, name: str, seq: int) -> Base:
        """Return the newest state that is kept whole and not above a version."""
        with translated():
            return await self._archive.store.base(name, seq)

    async def version_at(self, name: str, at: int) -> int:
        """Return the newest version that was stored at a moment or before it, in ms since the Unix epoch; 0 if none."""
        with translated():
            return await self._archive.store.version_at(name, at)

    async def checkpoint(
        self, name: str, checkpoint: str, *, seq: int | None, kind: str, author: str, note: str
    ) -> Checkpoint:
        """Give a name to a version; see ``Checkpoints.add``."""
        async with self._rooms.visit(name) as room:
            return await self.checkpoints.add(room, checkpoint, seq=seq, kind=kind, author=author, note=note)

    async def branch(self, name: str, branch: str, *, seq: int | None, author: str) -> Branch:
        """Make a branch; see ``Branches.create``."""
        async with self._rooms.visit(name) as room:
            return await self.branches.create(room, branch, seq=seq, author=author)

    async def renew(self, name: str) -> End | None:
        """Put the end of a room off as if something had happened in it; see ``Expiry.renew``."""
        async with self._rooms.visit(name) as room:
            return await self.expiry.renew(room)

    async def expire(self, name: str, seconds: float | None) -> End | None:
        """Let a room live for another time than its tier; see ``Expiry.set``."""
        async with self._rooms.visit(name) as room:
            return await self.expiry.set(room, seconds)

    async def end_of(self, name: str) -> End | None:
        """Return when a room ends if nothing happens in it; see ``Expiry.end_of``."""
        async with self._rooms.visit(name) as room:
            return self.expiry.end_of(room)

    async def decide(self, name: str, member: Member, update: bytes, precondition: Precondition, attempt: int) -> Made:
        """Apply an update if its precondition holds; see ``Decisions.take``."""
        async with self._rooms.visit(name) as room:
            return await self._decisions.take(room, member, update, precondition, attempt)

    async def drop_branch(self, name: str, branch: str) -> bool:
        """Erase a branch of a room, with its own branches; returns whether there was one. See ``Erasure.erase``."""
        found = await self.branches.find(name, branch)
        return found is not None and bool(await self.erasure.erase(found.room))


def _ttl_seconds(settings: Settings) -> dict[str, float | None]:
    hours = settings.session_ttl_hours
    return {"session": hours * SECONDS_PER_HOUR if hours else None}
