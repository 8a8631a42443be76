"""What a room's history answers: its versions, checkpoints and branches, and what became of an edit of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Self

from comity.crdt_types import Change, Conflict
from comity.crdt_types.document.delta import Delta
from comity.crdt_types.history.differences import Difference
from comity.crdt_types.undo.turn import Kept

CheckpointKind = Literal["manual", "automatic", "milestone", "backup"]


class Version(NamedTuple):
    """One version of a room.

    Attributes:
        number: its number; the first is 1.
        author: the agent that the server took it from, empty if that gave no name.
        at: when the server took it, in UTC.
        size: the bytes of its update.
        parent: the version that it was made from; None for the first, which in a branch is the state it began with.
    """

    number: int
    author: str
    at: datetime
    size: int
    parent: int | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return what a row of the server's says."""
        number, author, at, size = row
        return cls(number, author, _time(at), size, number - 1 or None)


class Checkpoint(NamedTuple):
    """A name for a version; a version that has one is kept when others around it go.

    Attributes:
        name: the name, which the room has once.
        version: the version.
        kind: ``manual``, ``automatic``, ``milestone`` or ``backup``.
        author: who made it, empty for the server itself.
        at: when, in UTC.
        note: what else there is to say.
    """

    name: str
    version: int
    kind: CheckpointKind
    author: str
    at: datetime
    note: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return what a row of the server's says."""
        name, version, kind, author, at, note = row
        return cls(name, version, kind, author, _time(at), note)


class Branch(NamedTuple):
    """A room that began as another one was.

    Attributes:
        name: the branch's name.
        room: the room that it is: open it like any other.
        version: the version of the other room that it began with.
        author: who made it.
        at: when, in UTC.
    """

    name: str
    room: str
    version: int
    author: str
    at: datetime

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return what a row of the server's says."""
        name, room, version, author, at = row
        return cls(name, room, version, author, _time(at))


class Begun(NamedTuple):
    """Who brought the first versions of a room, which were made elsewhere, such as in a local tier.

    Attributes:
        by: the agent that brought them; their authors and times are as that agent gave them.
        at: when, in UTC.
        until: the last of them.
    """

    by: str
    at: datetime
    until: int

    @classmethod
    def of(cls, row: Sequence[Any]) -> Self:
        """Return what a row of the server's says."""
        by, at, until = row
        return cls(by, _time(at), until)


class ErasedRoom(NamedTuple):
    """What was removed of a room.

    Attributes:
        room: the room.
        lineage: the id of the history that it had.
        versions: how many versions.
        snapshots: how many states that were kept whole.
        checkpoints: how many checkpoints.
        size: the bytes of all of them.
        backups: whether the server's backups leave it out from now on when they are restored.
    """

    room: str
    lineage: str
    versions: int
    snapshots: int
    checkpoints: int
    size: int
    backups: bool


class RedactedRoom(NamedTuple):
    """What was taken out of a room of what one agent wrote.

    Attributes:
        room: the room.
        lineage: the id of its history.
        versions: how many versions held something of it, or were the agent's.
        snapshots: how many states that were kept whole held something of it.
        checkpoints: how many checkpoints bear the agent's name no more.
        items: how much of it was in the newest version: the characters of texts, and values.
        backups: whether the server's backups leave the room out from now on when they are restored.
    """

    room: str
    lineage: str
    versions: int
    snapshots: int
    checkpoints: int
    items: int
    backups: bool


class Revision(NamedTuple):
    """What a restore or a rollback came to.

    Attributes:
        version: the version that it is; None if there was nothing to change.
        changes: the typed changes that it made.
        kept: what it could not take back, because somebody wrote over it since.
    """

    version: int | None
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]


class Merged(NamedTuple):
    """What a branch brought to its room, or would bring.

    Attributes:
        version: the version that it is; None if there was nothing to merge, or nothing was to be written.
        changes: what became of cells, items and counters.
        texts: what was done to each text, by its path: a delta, counted in characters.
        conflicts: the cells that are in dispute by it.
    """

    version: int | None
    changes: tuple[Difference, ...]
    texts: dict[str, Delta]
    conflicts: tuple[Conflict, ...]


def _time(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
