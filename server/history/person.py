"""Forgetting a person: what they wrote is taken out of a room and its branches, and everybody else's history stays."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgpack

from comity.crdt_types.errors import InvalidValueError, OverloadError, StorageError
from comity.crdt_types.redaction import erasure, redacted
from comity.crdt_types.structs import deletions_of
from comity.crdt_types.update import EMPTY_UPDATE
from comity.persistence.records import Checkpoint, Record
from comity.persistence.sections import REDACTED

from ..auth import JOINT
from ..rooms.archive import Archive, translated
from ..rooms.document import restored
from ..rooms.member import Member
from .authors import ERASED, Authors, names_of
from .beginnings import disown
from .branches import Branch, Branches, Withdrawn, trunk
from .marks import Marks
from .past import page

logger = logging.getLogger(__name__)

# What a store notes of a room while somebody is taken out of it: msgpack of the fields of `_Task`.
ATTRIBUTE: Final = "redacting"
# The author of the version that deletes what somebody wrote.
ERASURE: Final = "erasure"


class RedactedRoom(NamedTuple):
    """What was taken out of a room.

    ``versions`` and ``snapshots`` held something of the person, or were theirs, and were replaced; ``checkpoints`` bear
    their name no more; ``items`` counts what they had in the newest version: each character of a text, and each value.
    ``backups`` tells whether the backups of the server leave the room out when they are restored; there may be none.
    """

    room: str
    lineage: str
    versions: int
    snapshots: int
    checkpoints: int
    items: int
    backups: bool


class _Task(NamedTuple):
    """Whom to take out of a room: their client ids, and the checkpoints that are to be put in place of theirs."""

    author: str
    clients: frozenset[int]
    checkpoints: tuple[Checkpoint, ...] = ()


class Redaction:
    """Takes out of rooms what somebody wrote. Every method raises StorageError where the store fails.

    Args:
        archive: where rooms are kept.
        withdrawn: keeps a room out of memory while a context lasts, and sends away who is in it; see ``Hub.withdrawn``.
        branches: the branches of rooms, out of which it is taken too.
        marks: marks the backups.
    """

    def __init__(self, archive: Archive, withdrawn: Withdrawn, branches: Branches, marks: Marks) -> None:
        self._archive = archive
        self._withdrawn = withdrawn
        self._branches = branches
        self._marks = marks

    async def forget(self, name: str, author: str, spared: Member | None = None) -> list[RedactedRoom]:
        """Take out of a room and its branches what somebody wrote; returns what there was, by room, the room first.

        It is theirs that the headers of their sessions say so of, and of sessions without a header what their
        connections brought first. Who is in a room is sent away, but for one who may be spared to hear the report, and
        comes back to what is left. What a crash interrupts is finished by ``resume``, or by the next call.

        Raises: InvalidValueError, for a name that is nobody's; StorageError, also for a damaged room.
        """
        if author in ("", ERASED, ERASURE):
            raise InvalidValueError(f"{author!r} is nobody's name", subject=f"room {name!r}")
        async with self._branches.family(name):
            return await self._forget(name, author, spared)

    async def _forget(self, name: str, author: str, spared: Member | None) -> list[RedactedRoom]:
        branches = await self._branches.all()
        rooms = list(_with_branches(name, branches))
        for room in rooms:
            await self._check_sound(room)
            await self._finish(room)
        authors = Authors(self._archive)
        for room in _with_branches(trunk(name, branches), branches):
            await authors.read(room, after=int(room in branches))
        found = [room for room in rooms if authors.concern(room, author)]
        for room in found:
            await self._note(room, _Task(author, authors.clients(author)))
        report = []
        for room in found:
            async with self._withdrawn(room, taking_out(room), spared):
                await authors.read(room)  # what came meanwhile
                report.append(await self._take_out(room, _Task(author, authors.clients(author))))
        return report

    async def resume(self) -> None:
        """Finish what a crash interrupted; a failure is logged, since every other room can be served."""
        try:
            with translated():
                noted = await self._archive.store.attributed(ATTRIBUTE)
        except StorageError as error:
            logger.error("it is not known whether something is to be taken out of rooms: %s", error)
            return
        for name in noted:
            try:
                await self._finish(name)
            except StorageError as error:
                logger.error("room %r still has what was to be taken out of it: %s", name, error)

    async def _check_sound(self, name: str) -> None:
        with translated():
            snapshots = await self._archive.store.snapshots(name)
        if not all(snapshot.sound for snapshot in snapshots):
            raise StorageError("a snapshot is damaged", subject=f"room {name!r}", remedy="run comity repair first")

    async def _finish(self, name: str) -> None:
        """Finish what was begun with a room, if anything: its branches come after it, and may not have been begun."""
        task = await self._noted(name)
        if task is None:
            return
        branches = await self._branches.of(name)
        for branch in branches:
            if await self._noted(branch.room) is None:
                await self._note(branch.room, task._replace(checkpoints=()))
        async with self._withdrawn(name, taking_out(name), None):
            await self._take_out(name, task)
        for branch in branches:
            await self._finish(branch.room)

    async def _take_out(self, name: str, task: _Task) -> RedactedRoom:
        """Take somebody out of a room that nobody is in; it may have been begun before, and left anywhere."""
        await self._check_sound(name)
        checkpoints = task.checkpoints or await self._checkpoints_of(name, task.author)
        await self._note(name, task._replace(checkpoints=checkpoints))
        lineage, items = await self._delete(name, task.clients)
        versions = await self._replace_versions(name, task)
        snapshots = await self._replace_snapshots(name, task.clients)
        await self._replace_checkpoints(name, checkpoints)
        await self._branches.disown(name, task.author, ERASED)
        await disown(self._archive, name, task.author, ERASED)
        await self._count(name)
        await self._scrub(name)
        logger.warning("what somebody wrote was taken out of %d versions of room %r", versions, name)
        marked = await self._marks.redacted(name, lineage)
        return RedactedRoom(name, lineage, versions, snapshots, len(checkpoints), items, marked)

    async def _noted(self, name: str) -> _Task | None:
        with translated():
            noted = (await self._archive.store.attributes(name)).get(ATTRIBUTE)
        return None if noted is None else _unpacked(noted)

    async def _note(self, name: str, task: _Task | None) -> None:
        with translated():
            await self._archive.store.note(name, ATTRIBUTE, None if task is None else _packed(task))

    async def _delete(self, name: str, clients: frozenset[int]) -> tuple[str, int]:
        """Delete what some clients wrote from the newest state; returns the lineage, and how much that was.

        As a version it tells whoever follows the log what their documents do when they sync.
        """
        loaded = await self._archive.load(name)
        if loaded is None:
            raise StorageError("it is gone", subject=f"room {name!r}", remedy="come back")
        document = await restored(name, loaded)
        update = await asyncio.to_thread(lambda: erasure(document.state(), clients))
        items = sum(gone.length for gone in deletions_of(update))
        if items:
            self._archive.append(name, loaded.seq + 1, update, ERASURE, lambda: None)
            await self._archive.flush()
        return loaded.lineage, items

    async def _replace_versions(self, name: str, task: _Task) -> int:
        count = at = 0
        while records := await page(self._archive, name, at):
            at = records[-1].seq
            replaced = await asyncio.to_thread(_without, records, task)
            with translated():
                await self._archive.store.replace(name, replaced)
            count += len(replaced)
        return count

    async def _replace_snapshots(self, name: str, clients: frozenset[int]) -> int:
        count = 0
        with translated():
            for snapshot in await self._archive.store.snapshots(name):
                base = await self._archive.store.base(name, snapshot.seq)
                state = base.state or EMPTY_UPDATE
                left = await asyncio.to_thread(redacted, state, clients)
                if base.seq == snapshot.seq and left != state:
                    await self._archive.store.snapshot(name, snapshot.seq, left, snapshot.at)
                    count += 1
        return count

    async def _checkpoints_of(self, name: str, author: str) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of somebody as they shall be: their names are for everybody, and stay."""
        with translated():
            checkpoints = await self._archive.store.checkpoints(name)
        return tuple(each._replace(author=ERASED, note="") for each in checkpoints if each.author == author)

    async def _replace_checkpoints(self, name: str, checkpoints: Sequence[Checkpoint]) -> None:
        with translated():
            for checkpoint in checkpoints:
                await self._archive.store.replace_checkpoint(name, checkpoint)

    async def _count(self, name: str) -> None:
        count = await redactions(self._archive, name) + 1
        with translated():
            await self._archive.store.note(name, REDACTED, b"%d" % count)

    async def _scrub(self, name: str) -> None:
        """Leave no byte in the store's files, not even of the name that was noted."""
        await self._note(name, _Task(ERASED, frozenset()))
        with translated():
            await self._archive.store.scrub()
        await self._note(name, None)


async def redactions(archive: Archive, name: str) -> int:
    """Return how often something was taken out of a room. Raises StorageError."""
    with translated():
        return int((await archive.store.attributes(name)).get(REDACTED, b"0"))


def taking_out(room: str) -> OverloadError:
    """Return what those are told who are in a room out of which somebody is taken."""
    what, remedy = "what somebody wrote is being taken out of it", "come back in a moment"
    return OverloadError(what, subject=f"room {room!r}", remedy=remedy)


def _with_branches(name: str, branches: Mapping[str, Branch]) -> Iterator[str]:
    """Yield a room, then its branches, each with its own."""
    yield name
    for room, branch in branches.items():
        if branch.parent == name:
            yield from _with_branches(room, branches)


def _without(records: Sequence[Record], task: _Task) -> list[Record]:
    """Return those of some versions that hold something of somebody, or bear their name, without it."""
    found = []
    for record in records:
        names = [ERASED if name == task.author else name for name in names_of(record.author)]
        left = record._replace(update=redacted(record.update, task.clients), author=JOINT.join(names))
        if left != record:
            found.append(left)
    return found


def _packed(task: _Task) -> bytes:
    packed: bytes = msgpack.packb([task.author, sorted(task.clients), task.checkpoints])
    return packed


def _unpacked(noted: bytes) -> _Task:
    author, clients, checkpoints = msgpack.unpackb(noted)
    return _Task(author, frozenset(clients), tuple(Checkpoint(*each) for each in checkpoints))
