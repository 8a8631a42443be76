"""What a room holds in memory of its state, and how that lies in the store."""

from dataclasses import dataclass, field
from typing import Final

from comity.crdt_types.errors import StorageError

from .archive import storage_error
from .buried import Buried
from .document import Document
from .loading import Stored
from .volume import Volume

# What a store notes of a room that lives for another time than its tier: milliseconds, in decimal.
TTL: Final = "ttl"
# In ms: for a room of which that cannot be read.
NEVER: Final = 2**53
# For those who want to write to a damaged room: somebody has to repair it first.
DAMAGE_RETRY_SECONDS: Final = 60.0


@dataclass(slots=True)
class Contents:
    """What a room consists of: its document, and how much of it lies where in the store."""

    name: str
    lineage: str
    buried: Buried = Buried()  # noqa: RUF009  # it cannot be changed
    document: Document = field(default_factory=Document)
    redactions: int = 0  # how often something was taken out of its history
    ttl: int | None = None  # how long it lives, in ms, if that is not as long as its tier
    seq: int = 0  # of the last update applied
    is_stored: bool = False  # whether the store knows the room
    damage: StorageError | None = None  # what ends the log too early: what comes after that is not here
    snapshot_bytes: int = 0
    tail_bytes: int = 0  # of the updates since the snapshot
    tail_updates: int = 0
    volume: Volume = field(default_factory=Volume)

    def fill(self, stored: Stored | None) -> None:
        """Take what the store has of the room in place of what is here; None if it does not know the room."""
        self.is_stored = stored is not None
        self.document = Document() if stored is None else stored.document
        loaded = None if stored is None else stored.loaded
        self.seq = loaded.seq if loaded else 0
        self.snapshot_bytes = len(loaded.snapshot or b"") if loaded else 0
        self.tail_bytes = loaded.tail_bytes if loaded else 0
        self.tail_updates = len(loaded.tail) if loaded else 0
        damage = loaded.damage if loaded else None
        self.damage = None if damage is None else storage_error(damage, DAMAGE_RETRY_SECONDS)
