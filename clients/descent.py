"""Descent: which history of its room a document belongs to, and how it goes over to another one."""

import logging
from contextlib import nullcontext

from comity.crdt_types.document.edits import REPLAYABLE, Edit
from comity.crdt_types.errors import ComityError, ErasedError, LineageError, StateError
from comity.crdt_types.update import EMPTY_UPDATE

from .asking import Asking
from .journal import Journal
from .localfile import LocalFile, Origin

logger = logging.getLogger("comity")


class Descent(Asking):
    """A document that can take another one's place, with what is kept of it on this machine's disk.

    Args:
        room: the room's name.
        agent: the name that this session's edits bear.
    """

    def __init__(self, room: str, agent: str) -> None:
        super().__init__(room, agent)
        self.lineage: str | None = None
        self._met = False  # whether the lineage is one that this document has something in common with
        self._other_lineage: str | None = None
        self._is_erased = False  # whether the room that this document has something in common with was erased
        self._redactions = 0  # how often something was taken out of the room's history
        self._must_reset = False  # the document holds what the server refused
        self._file: LocalFile | None = None
        self._journal: Journal | None = None

    async def meet(self) -> None:
        """Remember the room's lineage: from now on this document and the room's have something in common.

        Not before, since a room that nobody has written to has another lineage whenever the server loads it.
        """
        if self._met:
            return
        self._met = True
        if self._file is not None and self._journal is not None and self.lineage is not None:
            async with self._journal.lock:
                await self._file.adopt(self.lineage)

    async def reset(self, update: bytes) -> None:
        """Take the server's document in place of this one, and make the unacknowledged typed edits again on it.

        What cannot be made again is kept in `unmerged`; what a local file held of another lineage is kept beside it. Of
        a room that was erased nothing is kept or made again.

        Raises: TransactionError, while a transaction is under way; nothing is changed then.
        """
        if self._is_erased:
            error = ErasedError("the room was erased, and what was here of it", subject=f"room {self.room!r}")
            await self._forget(error, update, self._origin())
            return
        if self._file is None or self._journal is None:
            if self._other_lineage is not None:
                logger.warning("room %s: its history is another one now; the old one is gone from here", self.room)
            self._start_over(update)
            return
        async with self._journal.lock:
            is_other = self._other_lineage is not None
            before, edits = self.document.update_since(), self._outstanding.edits()
            self._start_over(update)
            if is_other:
                kept = await self._file.keep_aside(before, edits)
                logger.warning("room %s: its history is another one now; the old replica is in %s", self.room, kept)
            await self._journal.rewrite(self.number, self._origin() if is_other else None)

    def _origin(self) -> Origin | None:
        lineage = self._other_lineage or self.lineage
        return None if lineage is None else Origin(lineage, self._redactions)

    async def _forget(self, error: ErasedError, update: bytes = EMPTY_UPDATE, origin: Origin | None = None) -> None:
        """Take another document in place of this one, of which nothing is kept here or in the local file.

        Raises: TransactionError, while a transaction is under way; StorageError. Nothing is changed on disk then.
        """
        logger.warning("room %s: it was erased, and is gone from here", self.room)
        async with nullcontext() if self._journal is None else self._journal.lock:
            self._decisions.forget()
            self.document.reset(update)
            self._outstanding.erase(error)
            self.awareness.move(self.document.client_id)
            self.lineage = None if origin is None else origin.lineage
            self._met = origin is not None
            self._must_reset = False
            if self._journal is not None:
                await self._journal.erase(self.number, origin)

    def _start_over(self, update: bytes) -> None:
        self._decisions.forget()
        self.document.reset(update)
        edits = self._outstanding.start_over()
        self.awareness.move(self.document.client_id)
        lost = self._make_again(edits)
        self._outstanding.give_up(lost, LineageError("some edits could not be made again", subject=self.room))
        self.lineage = self._other_lineage or self.lineage
        self._met = True
        self._must_reset = False

    def _make_again(self, edits: list[Edit]) -> list[Edit]:
        """Make edits again in one transaction, and return those that could not be; all, if the schema says no to it."""
        try:
            with self.document.transaction():
                return [edit for edit in edits if not self._made_again(edit)]
        except StateError as error:
            logger.warning("room %s: the edits could not be made again: %s", self.room, error)
            return edits

    def _made_again(self, edit: Edit) -> bool:
        if edit.operation in REPLAYABLE:
            try:
                self.document.replay(edit)
            except ComityError as error:
                logger.warning("room %s: an edit of %s could not be made again: %s", self.room, edit.field, error)
            else:
                return True
        return False
