"""What a store takes and gives: records, bytes and integers.

Times are in ms since the Unix epoch: for people to read, never for ordering.
"""

from typing import NamedTuple


class Append(NamedTuple):
    """One update to be stored. ``at`` is in ms since the Unix epoch and never used for ordering."""

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
    append's less one.
    """

    lineage: str
    snapshot: bytes | None
    snapshot_seq: int
    tail: tuple[bytes, ...]
    seq: int
    tail_bytes: int
