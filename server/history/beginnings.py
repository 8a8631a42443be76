"""Beginnings: rooms whose first versions were made elsewhere, such as in the local tier of an agent."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import msgpack

from comity.crdt_types.document.clock import MAX_AHEAD_MS
from comity.crdt_types.errors import (
    ComityError,
    EngineError,
    InvalidValueError,
    NameTakenError,
    OverloadError,
    ProtocolError,
    TooLargeError,
)
from comity.persistence.records import Append, Checkpoint, new_lineage

from ..auth import claimed
from ..rooms.archive import RETRY_SECONDS, Archive, now, translated
from ..rooms.bounds import Bounds
from ..rooms.buried import Buried, buried, erased
from ..rooms.document import Document
from ..rooms.member import Member
from ..rooms.vetting import vet
from ..settings import MIB, Settings
from .authors import names_of
from .branches import Withdrawn
from .checkpoints import check_checkpoint

# What a store notes of a room that began so: msgpack of the fields of `Begun` and of the checkpoints it is yet to get.
ATTRIBUTE: Final = "begun"

# It lies in memory until its last page is here, and is stored in one transaction: years of an agent's notes, and what
# a disk writes in a second or two.
MAX_BYTES: Final = 64 * MIB
# Of all that are on their way at one time.
MAX_STAGED: Final = 4 * MAX_BYTES
# What a version takes in memory besides its update.
VERSION_BYTES: Final = 256


class Begun(NamedTuple):
    """Who brought the first versions of a room, when in ms, and how many. Their authors and times are as they said."""

    by: str
    at: int
    until: int


class _Staged:
    """What came of a beginning so far.

    Args:
        room: the room.
        graves: what was erased under its name, and must not come back.
        bounds: what typed entries are held to.
    """

    def __init__(self, room: str, graves: Buried, bounds: Bounds) -> None:
        self.versions: list[Append] = []
        self.size = 0
        self.document = Document()
        self._room = room
        self._graves = graves
        self._bounds = bounds
        self._before = 0  # when the last version was made
        self._latest = now()

    def check(self, page: Sequence[Append]) -> None:
        """Play versions, and raise what is wrong with one of them; then none of this is to be used."""
        for version in page:
            self._check_time(version)
            for name in names_of(version.author):
                claimed(name)
            self._play(version)
        self.versions += [version._replace(at=min(version.at, self._latest)) for version in page]

    def _check_time(self, version: Append) -> None:
        before, self._before = self._before, version.at
        if not before <= version.at <= self._latest + MAX_AHEAD_MS:
            raise InvalidValueError(
                f"version {version.seq} was not made after the one before it and until now",
                subject=f"room {self._room!r}",
                remedy="compare the clocks of the two machines",
            )

    def _play(self, version: Append) -> None:
        sections = vet(version.update, self._bounds)
        if self._graves and self._graves.returns(sections, self.document):
            raise erased(self._room)
        try:
            is_whole = self.document.admits(sections)
            changed = self.document.apply(version.update) if is_whole else None
        except EngineError as error:
            raise ProtocolError(error.what, subject=error.subject) from error
        if not is_whole or (changed != version.update and self.document.lacks(version.update)):
            raise InvalidValueError(
                f"version {version.seq} builds on what is not there", subject=f"room {self._room!r}"
            )
        self.document.note(sections)


class Beginnings:
    """Lets rooms that were never written to begin with versions that somebody brings.

    They come in pages, and are stored in one transaction with the last of them: until then there is nothing of them.
    Every method raises StorageError where the store fails.

    Args:
        archive: where rooms are kept.
        withdrawn: keeps a room out of memory while a context lasts, and sends away who is in it; see ``Hub.withdrawn``.
        settings: the limits.
    """

    def __init__(self, archive: Archive, withdrawn: Withdrawn, settings: Settings) -> None:
        self._archive = archive
        self._withdrawn = withdrawn
        self._settings = settings
        self._staged: WeakKeyDictionary[Member, _Staged] = WeakKeyDictionary()

    @property
    def size(self) -> int:
        """The bytes of all that is on its way."""
        return sum(staged.size for member, staged in list(self._staged.items()) if not member.has_left)

    async def stage(self, room: str, member: Member, after: int, rows: list[Any]) -> int:
        """Take the next page of versions, and return how many there are by now.

        Args:
            room: the room.
            member: who brings them.
            after: how many came before; 0 begins anew.
            rows: of each its author, when it was made in ms, and its update.

        Raises:
            NameTakenError: the room was written to.
            ErasedError: they would bring back what was erased.
            ProtocolError, InvalidValueError, TooLargeError: one of them cannot be taken, and none is.
            OverloadError: too many are on their way.
        """
        page = [_version(room, after + nth, row) for nth, row in enumerate(rows, 1)]
        staged = await self._fresh(room, member) if after == 0 else self._staged.pop(member, None)
        if staged is None or after != len(staged.versions):
            raise InvalidValueError(f"versions after {after} are out of turn", remedy="begin with the first")
        staged.size += sum(len(version.update) + VERSION_BYTES for version in page)
        self._check_size(staged)
        self._staged[member] = staged
        try:
            await asyncio.to_thread(staged.check, page)
        except BaseException:
            del self._staged[member]
            raise
        return len(staged.versions)

    async def _fresh(self, room: str, member: Member) -> _Staged:
        self._staged.pop(member, None)
        await self._check_free(room)
        limits = self._settings
        bounds = Bounds(limits.max_value, limits.max_name, limits.max_depth)
        return _Staged(room, buried(await self._archive.tombstones(room)), bounds)

    def _check_size(self, staged: _Staged) -> None:
        if staged.size > MAX_BYTES:
            raise TooLargeError(
                f"versions of more than {MAX_BYTES:,} bytes",
                remedy="keep fewer of them (history=), or bring the state alone (merge=True)",
                limit="max_document",
            )
        if self.size + staged.size > MAX_STAGED:
            raise OverloadError("too many rooms begin at once", remedy="come back soon", retry_after=RETRY_SECONDS)

    async def _check_free(self, room: str) -> None:
        with translated():
            versions = await self._archive.store.versions(room, limit=1)
            snapshots = await self._archive.store.snapshots(room)
        if versions or snapshots:
            raise NameTakenError(
                "it was written to already", subject=f"room {room!r}", remedy="choose another room, or merge"
            )

    async def begin(self, room: str, member: Member, checkpoints: list[Any]) -> int:
        """Let a room begin with the versions that somebody brought, and return how many; they are on disk then.

        Whoever else is in the room is sent away for a moment.

        Args:
            room: the room.
            member: who brought them.
            checkpoints: names for some of them: of each its name, the version, its kind, who made it, when, and a note.

        Raises: as ``stage``, and InvalidValueError, if there is none.
        """
        staged = self._staged.pop(member, None)
        if staged is None or not staged.versions:
            raise InvalidValueError("no versions to begin with", subject=f"room {room!r}")
        until = len(staged.versions)
        named = [_checkpoint(row, until) for row in checkpoints]
        size = len(await asyncio.to_thread(staged.document.state))
        if 0 < self._settings.max_document < size:
            raise TooLargeError(
                f"a document of {size:,} bytes", subject=f"room {room!r}", remedy="delete some", limit="max_document"
            )
        async with self._withdrawn(room, beginning(room), member):
            await self._check_free(room)
            await self._store(room, Begun(member.author, now(), until), staged.versions, named)
        return until

    async def _store(self, room: str, begun: Begun, versions: list[Append], checkpoints: list[Checkpoint]) -> None:
        # What comes before the versions says nothing without them; what comes after them is made up for, see `resume`.
        store = self._archive.store
        await self._archive.create(room, new_lineage())
        try:
            with translated():
                await store.note(room, ATTRIBUTE, _packed(begun, checkpoints))
                await store.append(versions)
        except ComityError:
            with suppress(ComityError):  # a store that fails at this too is asked again by `resume`
                # Or whatever somebody else writes there would pass for these versions, and get their names.
                await self._finish(room, begun, checkpoints)
            raise
        await self._name(room, begun, checkpoints)

    async def _name(self, room: str, begun: Begun, checkpoints: Iterable[Checkpoint]) -> None:
        with translated():
            for checkpoint in checkpoints:
                await self._archive.store.add_checkpoint(room, checkpoint)
            await self._archive.store.note(room, ATTRIBUTE, _packed(begun, ()))

    async def resume(self) -> None:
        """Finish what was interrupted; before anybody is in a room."""
        with translated():
            noted = await self._archive.store.attributed(ATTRIBUTE)
        for room, value in noted.items():
            begun, checkpoints = _unpacked(value)
            if checkpoints or not await self._has_versions(room):
                await self._finish(room, begun, checkpoints)

    async def _finish(self, room: str, begun: Begun, checkpoints: list[Checkpoint]) -> None:
        if await self._has_versions(room):
            await self._name(room, begun, checkpoints)
        else:
            with translated():
                await self._archive.store.note(room, ATTRIBUTE, None)

    async def _has_versions(self, room: str) -> bool:
        with translated():
            return bool(await self._archive.store.versions(room, limit=1) or await self._archive.store.snapshots(room))

    async def of(self, room: str) -> Begun | None:
        """Return who brought the first versions of a room, None if nobody did."""
        return await _begun(self._archive, room)


async def disown(archive: Archive, room: str, author: str, other: str) -> None:
    """Say of a room that somebody else brought its first versions, if an author did. Raises StorageError."""
    begun = await _begun(archive, room)
    if begun is not None and begun.by == author:
        with translated():
            await archive.store.note(room, ATTRIBUTE, _packed(begun._replace(by=other), ()))


async def _begun(archive: Archive, room: str) -> Begun | None:
    with translated():
        value = (await archive.store.attributes(room)).get(ATTRIBUTE)
    return None if value is None else _unpacked(value)[0]


def beginning(room: str) -> OverloadError:
    """Return what those are told who are in a room that begins."""
    return OverloadError("it begins with other versions", subject=f"room {room!r}", remedy="come back in a moment")


def _version(room: str, number: int, row: Any) -> Append:
    match row:
        case [str(author), int(at), bytes(update)] if at >= 0 and type(at) is int:
            return Append(room, number, update, author, at)
        case _:
            raise ProtocolError(f"version {number} is not an author, a time and an update", subject="begin")


def _checkpoint(row: Any, until: int) -> Checkpoint:
    match row:
        case [str(name), int(seq), str(kind), str(author), int(at), str(note)] if 0 < seq <= until and at >= 0:
            check_checkpoint(name, kind, note)
            claimed(author)
            return Checkpoint(name, seq, kind, author, min(at, now()), note)
        case _:
            raise ProtocolError("not a checkpoint of one of the versions", subject="begin")


def _packed(begun: Begun, checkpoints: Iterable[Checkpoint]) -> bytes:
    packed: bytes = msgpack.packb([*begun, [list(checkpoint) for checkpoint in checkpoints]])
    return packed


def _unpacked(value: bytes) -> tuple[Begun, list[Checkpoint]]:
    fields: list[Any] = msgpack.unpackb(value)
    *begun, checkpoints = fields
    return Begun(*begun), [Checkpoint(*row) for row in checkpoints]
