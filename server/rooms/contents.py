"""What a room holds in memory of its state, and how that lies in the store."""

from dataclasses import dataclass, field

from .document import Document
from .volume import Volume


@dataclass(slots=True)
class Contents:
    """What a room consists of: its document, and how much of it lies where in the store."""

    lineage: str
    document: Document
    seq: int = 0  # of the last update applied
    is_stored: bool = False  # whether the store knows the room
    snapshot_bytes: int = 0
    tail_bytes: int = 0  # of the updates since the snapshot
    tail_updates: int = 0
    volume: Volume = field(default_factory=Volume)
