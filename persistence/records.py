"""What a store takes and gives: records, bytes and integers.

Times are in ms since the Unix epoch: for people to read, never for ordering.
"""

import secrets
from typing import Final, NamedTuple

from .errors import CorruptRecordError

# Of randomness in a lineage: two rooms have the same once in 2**64.
LINEAGE_BYTES: Final = 8


def new_lineage() -> str:
    """Return a lineage that no other room has."""
    return secrets.token_hex(LINEAGE_BYTES)


class Append(NamedTuple):
    """One update to be stored."""

    room: str
    seq: int
    update: bytes
    author: str
    at: int


class Record(NamedTuple):
    """One update as it was stored."""

    seq: int
    update: bytes
    author: str
    at: int


class Version(NamedTuple):
    """What there is to know of an update without reading it; ``size`` is its bytes."""

    seq: int
    author: str
    at: int
    size: int


class RoomRow(NamedTuple):
    """A room in a listing; ``seq`` and ``updated`` (ms) are its last update's, 0 and None before its first."""

    room: str
    lineage: str
    created: int
    seq: int
    updated: int | None


class Loaded(NamedTuple):
    """Everything needed to rebuild a room: a snapshot and, in order, the updates after it.

    ``snapshot`` is None and ``snapshot_seq`` 0 when there is none. ``seq`` is the last update's, and the next
    append's less one. ``damage`` is what ends the updates before the end of the log, ``seq`` then the last one
    before it. ``passed`` counts newer snapshots that were damaged.
    """

    lineage: str
    snapshot: bytes | None
    snapshot_seq: int
    tail: tuple[bytes, ...]
    seq: int
    tail_bytes: int
    damage: CorruptRecordError | None = None
    passed: int = 0


class Base(NamedTuple):
    """A room's whole state as of an update; ``state`` is None and ``seq`` 0 for a room's beginning."""

    seq: int
    state: bytes | None


class Snapshot(NamedTuple):
    """A stored snapshot without its state; ``sound`` tells whether that is what was written."""

    seq: int
    at: int
    size: int
    sound: bool


class Checkpoint(NamedTuple):
    """A name for the state as of an update, with its kind, who gave it when, and a note."""

    name: str
    seq: int
    kind: str
    author: str
    at: int
    note: str


class Tombstone(NamedTuple):
    """What is left of a room that was erased: its lineage, when, and the state vector of its document."""

    room: str
    lineage: str
    at: int
    state_vector: bytes


class Erased(NamedTuple):
    """How much the erasure of a room removed."""

    updates: int
    snapshots: int
    checkpoints: int
    size: int
