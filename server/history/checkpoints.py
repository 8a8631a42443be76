"""Checkpoints: names for moments in a room's history."""

from typing import Final

from comity.crdt_types.errors import InvalidValueError, NameTakenError
from comity.persistence.records import Checkpoint

from ..rooms.archive import Archive, now, translated
from ..rooms.room import Room
from .names import check_name
from .past import reached

MANUAL: Final = "manual"
AUTOMATIC: Final = "automatic"
MILESTONE: Final = "milestone"
BACKUP: Final = "backup"
KINDS: Final = (MANUAL, AUTOMATIC, MILESTONE, BACKUP)

# A few paragraphs: why it was made, not what is in it.
MAX_NOTE: Final = 4096


class Checkpoints:
    """The checkpoints of all rooms.

    Every method raises StorageError where the store fails.

    Args:
        archive: where they are kept.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def all(self, name: str) -> list[Checkpoint]:
        """Return the checkpoints of a room, the oldest version first."""
        with translated():
            return await self._archive.store.checkpoints(name)

    async def add(
        self, room: Room, name: str, *, seq: int | None = None, kind: str = MANUAL, author: str = "", note: str = ""
    ) -> Checkpoint:
        """Give a name to a version of a room.

        Args:
            room: the room.
            name: the checkpoint's name.
            seq: the version; None is the newest.
            kind: one of `KINDS`. Automatic ones go when there are too many; no other is deleted but by its name.
            author: who gives it, "" for the server itself.
            note: what else there is to say, of at most MAX_NOTE bytes.

        Raises:
            InvalidValueError: the name, the kind or the note cannot be.
            NameTakenError: the room has a checkpoint of that name.
            StaleVersionError: the version cannot be had.
        """
        check_checkpoint(name, kind, note)
        checkpoint = Checkpoint(name, await reached(self._archive, room, seq), kind, author, now(), note)
        with translated():
            is_new = await self._archive.store.add_checkpoint(room.name, checkpoint)
        if not is_new:
            raise NameTakenError(
                f"there is a checkpoint {name!r} already",
                subject=f"room {room.name!r}",
                remedy="choose another name, or delete that one",
            )
        return checkpoint

    async def drop(self, name: str, checkpoint: str) -> bool:
        """Delete a checkpoint of a room; returns whether there was one."""
        with translated():
            return await self._archive.store.drop_checkpoint(name, checkpoint)


def check_checkpoint(name: str, kind: str, note: str) -> None:
    """Check what somebody wants to call a version. Raises InvalidValueError."""
    check_name("checkpoint", name)
    if kind not in KINDS:
        raise InvalidValueError(f"not a kind of checkpoint: {kind!r:.60}", remedy=f"use one of {', '.join(KINDS)}")
    if len(note.encode(errors="replace")) > MAX_NOTE:
        raise InvalidValueError("the checkpoint's note is too long", remedy=f"use at most {MAX_NOTE:,} bytes")
