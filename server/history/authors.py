"""Who wrote with which Yjs client id, as far as a room and its branches tell."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from comity.crdt_types.document.statedocument import StateDocument
from comity.crdt_types.update import read_state_vector
from comity.persistence.records import Record

from ..auth import JOINT
from ..rooms.archive import Archive, storage_error, translated
from ..rooms.document import restored
from ..rooms.vetting import vet
from .past import page

# Stands for whoever was forgotten, where a name must stand.
ERASED: Final = "erased"


class _Claim(NamedTuple):
    """That a connection brought what a client id wrote: from which clock on, when in ms, and whose connection it was.

    The least one holds: others may bring the same again, such as who merges a branch.
    """

    clock: int
    at: int
    author: str


class Authors:
    """Knows who wrote with which client id, in a room and its branches.

    A session is of whom the header of its lane names; one without a header, such as those of plain Yjs editors, is of
    whose connection brought it first.

    Args:
        archive: where the rooms are kept.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._headers: dict[int, str] = {}
        self._claims: dict[int, _Claim] = {}
        self._names: dict[str, set[str]] = {}
        self._clients: dict[str, set[int]] = {}
        self._read: dict[str, int] = {}

    async def read(self, room: str, after: int = 0) -> None:
        """Read a room, or of one that was read before what came since.

        Args:
            room: the room.
            after: the version up to which others filled it than those who had written that.

        Raises: StorageError, where the store fails, or the room is damaged.
        """
        await self._read_document(room)
        with translated():
            checkpoints = await self._archive.store.checkpoints(room)
        names = self._names.setdefault(room, set())
        names.update(checkpoint.author for checkpoint in checkpoints)
        at = self._read.get(room, 0)
        while records := await page(self._archive, room, at):
            at = self._read[room] = records[-1].seq
            names.update(name for record in records for name in names_of(record.author))
            own = [record for record in records if record.seq > after]
            for client, claim in await asyncio.to_thread(_claims, own):
                self._claims[client] = min(claim, self._claims.get(client, claim))

    def clients(self, author: str) -> frozenset[int]:
        """Return the client ids that somebody wrote with."""
        named = {client for client, name in self._headers.items() if name == author}
        claimed = {client for client, claim in self._claims.items() if claim.author == author}
        return frozenset(named | (claimed - self._headers.keys()))

    def concern(self, room: str, author: str) -> bool:
        """Tell whether a room that was read has anything of somebody."""
        return author in self._names[room] or bool(self.clients(author) & self._clients.get(room, set()))

    async def _read_document(self, room: str) -> None:
        loaded = await self._archive.load(room)
        if loaded is None:
            return
        if loaded.damage is not None:
            raise storage_error(loaded.damage)
        document = await restored(room, loaded)
        self._clients[room] = set(read_state_vector(document.state_vector()))
        self._headers |= await asyncio.to_thread(lambda: _headers(document.state()))


def names_of(author: str) -> list[str]:
    """Return the names of those whose updates one version holds."""
    return author.split(JOINT)


def _headers(state: bytes) -> dict[int, str]:
    """Return the names that the lanes of a document bear, by client id."""
    document = StateDocument(update=state)
    found = {client: document.index.author(client) or "" for client in document.index.headers}
    document.close()
    return {client: name for client, name in found.items() if name}


def _claims(records: Iterable[Record]) -> list[tuple[int, _Claim]]:
    """Return what the authors of versions brought; what somebody forgotten did, or several at once, says nothing."""
    return [
        (section.client, _Claim(section.begin, record.at, record.author))
        for record in records
        if record.author != ERASED and len(names_of(record.author)) == 1
        for section in vet(record.update)
    ]
