"""Erasing rooms: what is removed of them, from where, and what is left so that it does not come back."""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol

from comity.crdt_types.errors import ComityError, StorageError
from comity.crdt_types.update import EMPTY_STATE_VECTOR, state_vector_beyond
from comity.persistence.records import Tombstone

from ..rooms.archive import Archive, now, translated
from ..rooms.buried import ended, erased
from ..rooms.document import restored
from ..rooms.member import Member
from .branches import Branches
from .marks import Marks

logger = logging.getLogger(__name__)


class ErasedRoom(NamedTuple):
    """What was removed of a room: how many versions, snapshots and checkpoints, and their bytes.

    ``backups`` tells whether the backups of the server leave it out from now on when they are restored; there may be
    none.
    """

    room: str
    lineage: str
    versions: int
    snapshots: int
    checkpoints: int
    size: int
    backups: bool


class Withdrawn(Protocol):
    """Keeps a room out of memory; see ``Hub.withdrawn``."""

    def __call__(
        self, name: str, error: ComityError, spared: Member | None = None, may: Callable[[], bool] | None = None
    ) -> AbstractAsyncContextManager[bool]:
        """Keep a room out of memory while the context lasts, with all of it on disk."""
        ...


class Erasure:
    """Erases rooms for good. Every method raises StorageError where the store fails.

    Args:
        archive: where rooms are kept.
        withdrawn: keeps a room out of memory while a context lasts, and sends away who is in it; see ``Hub.withdrawn``.
        branches: the branches of rooms, which go with them.
        marks: marks the backups.
    """

    def __init__(self, archive: Archive, withdrawn: Withdrawn, branches: Branches, marks: Marks) -> None:
        self._archive: Final = archive
        self._withdrawn = withdrawn
        self._branches = branches
        self._marks = marks

    async def erase(self, name: str, spared: Member | None = None) -> list[ErasedRoom]:
        """Remove a room and its branches, with all their history; returns what there was, the branches first.

        Who is in it is sent away, but for one who may be spared to hear the report, and who comes back with something
        of it is told to forget it. The name is free.
        """
        async with self._branches.family(name):
            return await self._erase(name, await self._staying(name), spared)

    async def expire(self, name: str, may: Callable[[], bool]) -> bool:
        """Remove a room as ``erase`` does, if it may be when all that came is on disk; returns whether it was."""
        async with self._branches.family(name):
            return await self._expire(name, may)

    async def _expire(self, name: str, may: Callable[[], bool]) -> bool:
        async with self._withdrawn(name, ended(name), may=may) as is_out:
            if not is_out:
                return False
            staying = await self._staying(name)
            await self._remove(name, staying, logging.INFO)  # it was to be expected
        for branch in await self._branches.of(name):
            await self._erase(branch.room, staying)
        return True

    async def _erase(self, name: str, staying: bytes, spared: Member | None = None) -> list[ErasedRoom]:
        report: list[ErasedRoom] = []
        for branch in await self._branches.of(name):
            report += await self._erase(branch.room, staying)
        async with self._withdrawn(name, erased(name), spared):
            found = await self._remove(name, staying)
        return [*report, found] if found else report

    async def _staying(self, name: str) -> bytes:
        """Return the state vector of a branch's parent, which stays, and of nothing for any other room."""
        branch = (await self._branches.all()).get(name)
        return EMPTY_STATE_VECTOR if branch is None else (await self._last(branch.parent))[1]

    async def _remove(self, name: str, staying: bytes, level: int = logging.WARNING) -> ErasedRoom | None:
        tombstone = await self._tombstone(name, staying)
        with translated():
            removed = await self._archive.store.erase(name, tombstone.state_vector, tombstone.at)
        if removed is None:
            return None
        logger.log(level, "room %r was erased, with %d versions", name, removed.updates)
        marked = await self._marks.erased(tombstone)
        return ErasedRoom(name, tombstone.lineage, *removed, backups=marked)

    async def _tombstone(self, name: str, staying: bytes) -> Tombstone:
        """Return what shall be left of a room: no clock of what stays, with which it may be made again."""
        lineage, vector = await self._last(name)
        return Tombstone(name, lineage, now(), state_vector_beyond(vector, staying))

    async def _last(self, name: str) -> tuple[str, bytes]:
        """Return a room's lineage and state vector; nothing is known of one that is too damaged to be read."""
        try:
            loaded = await self._archive.load(name)
            if loaded is not None:
                return loaded.lineage, (await restored(name, loaded)).state_vector()
        except StorageError as error:
            logger.error("what was written in room %r is not known as it cannot be read: %s", name, error)
        return "", EMPTY_STATE_VECTOR
