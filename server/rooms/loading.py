"""Loading a room: what the store has of it, and the document that this adds up to."""

from typing import NamedTuple

from comity.persistence.records import Loaded

from .archive import Archive
from .document import Document, restored


class Stored(NamedTuple):
    """What the store has of a room, and its document."""

    loaded: Loaded
    document: Document


async def load(archive: Archive, name: str) -> Stored | None:
    """Return what is stored of a room, None for one that the store does not know.

    It is loaded again if the store failed or recovered meanwhile: a commit that failed may have been there for a
    moment, and be gone, or the other way round.

    Raises: StorageError.
    """
    while True:
        epoch = archive.epoch
        loaded = await archive.load(name)
        stored = None if loaded is None else Stored(loaded, await restored(name, loaded))
        if archive.epoch == epoch:
            return stored
