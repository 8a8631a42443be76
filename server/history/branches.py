"""Branches: rooms that begin as another room was at some version."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import msgpack

from comity.crdt_types.errors import ComityError, NameTakenError, OverloadError
from comity.persistence.records import new_lineage

from ..rooms.archive import Archive, now, translated
from ..rooms.member import Member
from ..rooms.room import Room
from .names import check_name
from .past import reached, state_at

# What a store notes of a room that is a branch: msgpack of the fields of `Branch` but for the room, the parent first.
ATTRIBUTE: Final = "branch"

# Keeps a room out of memory while a context lasts, and sends away who is in it but for one who may be spared.
Withdrawn = Callable[[str, ComityError, Member | None], AbstractAsyncContextManager[object]]


class Branch(NamedTuple):
    """A branch: its name, its room, the version of its parent that it began with, who made it, and when in ms."""

    name: str
    room: str
    seq: int
    author: str
    at: int
    parent: str


class Branches:
    """The branches of all rooms.

    A branch is a room like any other. Its first version is all of its parent's state, by whoever made the branch.
    Every method raises StorageError where the store fails.

    Args:
        archive: where rooms are kept.
        withdrawn: keeps a room out of memory while a context lasts, and sends away who is in it; see ``Hub.withdrawn``.
    """

    def __init__(self, archive: Archive, withdrawn: Withdrawn) -> None:
        self._archive = archive
        self._withdrawn = withdrawn
        self._families: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def all(self) -> dict[str, Branch]:
        """Return every branch of every room, by its own room's name."""
        with translated():
            noted = await self._archive.store.attributed(ATTRIBUTE)
        branches = (_branch(room, value) for room, value in noted.items())
        # A branch that was imported under another name has its notes, and is a room by itself.
        return {branch.room: branch for branch in branches if branch.room == room_of(branch.parent, branch.name)}

    async def of(self, parent: str) -> list[Branch]:
        """Return the branches of a room, by name."""
        return sorted(branch for branch in (await self.all()).values() if branch.parent == parent)

    async def create(self, parent: Room, name: str, *, seq: int | None = None, author: str = "") -> Branch:
        """Make a branch of a room as it was at a version, the newest for None.

        Raises:
            InvalidValueError, RoomNotFoundError: the branch, or its room, cannot have that name.
            NameTakenError: there is a room of the branch's name.
            StaleVersionError: the version cannot be had.
        """
        check_name("branch", name)
        async with self.family(parent.name):
            await parent.sound()  # it may be gone by now
            return await self._create(parent, name, seq, author)

    @asynccontextmanager
    async def family(self, name: str) -> AsyncGenerator[None]:
        """Hold a room and its relatives: nobody else makes a branch of them, or removes anything, in the context."""
        async with self._families.setdefault(trunk(name, await self.all()), asyncio.Lock()):
            yield

    async def _create(self, parent: Room, name: str, seq: int | None, author: str) -> Branch:
        seq = await reached(self._archive, parent, seq)
        branch = Branch(name, room_of(parent.name, name), seq, author, now(), parent.name)
        await self._check_free(branch)
        state = await state_at(self._archive, parent.name, seq)
        busy = OverloadError("it is becoming a branch", subject=f"room {branch.room!r}", remedy="come back in a moment")
        async with self._withdrawn(branch.room, busy, None):
            await self._check_free(branch)  # somebody may have written to it meanwhile
            await self._store(branch, state)
        return branch

    async def find(self, parent: str, name: str) -> Branch | None:
        """Return the branch of a room that has a name, None if there is none."""
        room = room_of(parent, name)
        with translated():
            noted = (await self._archive.store.attributes(room)).get(ATTRIBUTE)
        branch = None if noted is None else _branch(room, noted)
        return branch if branch is not None and branch.parent == parent else None

    async def disown(self, room: str, author: str, other: str) -> None:
        """Say of a branch that somebody else made it, if an author did."""
        branch = (await self.all()).get(room)
        if branch is not None and branch.author == author:
            with translated():
                await self._archive.store.note(room, ATTRIBUTE, _packed(branch._replace(author=other)))

    async def _check_free(self, branch: Branch) -> None:
        with translated():
            versions = await self._archive.store.versions(branch.room, limit=1)
            snapshots = await self._archive.store.snapshots(branch.room)
        if versions or snapshots:
            raise NameTakenError(
                f"there is a room {branch.room!r} already",
                subject=f"room {branch.parent!r}",
                remedy="choose another name, or delete that branch",
            )

    async def _store(self, branch: Branch, state: bytes) -> None:
        # The state comes last: what a crash leaves without it is taken for no branch, and may be made one again.
        with translated():
            await self._archive.create(branch.room, new_lineage())
            await self._archive.store.note(branch.room, ATTRIBUTE, _packed(branch))
        self._archive.append(branch.room, 1, state, branch.author, lambda: None)
        await self._archive.flush()


def room_of(parent: str, name: str) -> str:
    """Return the name of the room of a branch."""
    return f"{parent}@{name}"


def trunk(name: str, branches: Mapping[str, Branch]) -> str:
    """Return the room that a room was branched off from, in however many steps; itself if it is no branch."""
    while name in branches:
        name = branches[name].parent
    return name


def _packed(branch: Branch) -> bytes:
    packed: bytes = msgpack.packb([branch.parent, branch.name, branch.seq, branch.author, branch.at])
    return packed


def _branch(room: str, noted: bytes) -> Branch:
    fields: list[Any] = msgpack.unpackb(noted)
    parent, name, seq, author, at = fields
    return Branch(name, room, seq, author, at, parent)
