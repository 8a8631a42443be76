"""The journal of a replica: writes what the document commits to the replica's own file, a batch at a time."""

import asyncio
from collections.abc import Callable
from typing import Final

from comity.crdt_types import Commit
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.errors import StorageError

from .localfile import LocalFile, Origin
from .milestone import Milestone

FOLD_FLOOR: Final = 256 * 1024  # bytes; below this a file is read back faster than it is worth rewriting
MAX_PENDING: Final = 16 * 1024 * 1024  # bytes of updates; past it one snapshot of the document stands for them all


class Journal:
    """Writes updates and typed edits to a local file in the order of their commits.

    The file is folded into one update whenever what was appended since is as large as the document itself, which
    keeps the cost of each edit constant on average.

    Args:
        file: the file.
        state: gives the whole document as one update.
        unacknowledged: gives the edits that the server has not acknowledged.
        size: the bytes of updates that the file holds already.
        redactions: how often something had been taken out of the room's history when the file was last cleaned.
    """

    def __init__(
        self,
        file: LocalFile,
        state: Callable[[], bytes],
        unacknowledged: Callable[[], list[tuple[int, Edit]]],
        size: int,
        redactions: int = 0,
    ) -> None:
        self.saved = Milestone()
        self.redactions = redactions
        self.lock = asyncio.Lock()  # held while the file is written
        self._file = file
        self._state = state
        self._unacknowledged = unacknowledged
        self._updates: list[bytes] = []
        self._edits: list[tuple[int, Edit]] = []
        self._pending = 0
        self._number = 0
        self._count = 0
        self._acknowledged = 0
        self._refused: list[tuple[int, int]] = []
        self._must_redact = False  # the file holds what was taken out of the room's history since
        self._forgotten = 0  # the number up to which the file has been told of acknowledgements
        self._tail = size
        self._base = 0
        self._wake = asyncio.Event()
        self._failure: StorageError | None = None

    @property
    def is_saved(self) -> bool:
        """Whether everything so far is on disk."""
        return self.saved.value >= self._count

    def append(self, commit: Commit, number: int) -> None:
        """Take in a commit; number is that of the last local update."""
        self._count += 1
        self._number = number
        self._pending += len(commit.update)
        if self._pending <= MAX_PENDING:
            self._updates.append(commit.update)
            self._edits.extend((number, edit) for edit in commit.edits)
        else:
            self._updates.clear()
            self._edits.clear()
        self._wake.set()

    def acknowledge(self, number: int) -> None:
        """Note that the server has the local updates up to a number."""
        self._acknowledged = number
        self._count += 1
        self._wake.set()

    def refuse(self, after: int, number: int) -> None:
        """Note that the server refused the local updates after one number, up to another."""
        self._refused.append((after, number))
        self._count += 1
        self._wake.set()

    def redact(self, redactions: int, number: int) -> None:
        """Note how often something was taken out of the room's history, and of the document with it.

        If that is more often than it was, no byte of what the file holds now will be left in it. The number is that of
        the last local update.
        """
        if redactions > self.redactions:
            self.redactions = redactions
            self._number = number
            self._must_redact = True
            self._count += 1
            self._wake.set()

    async def rewrite(self, number: int, origin: Origin | None) -> None:
        """Write the document as it now is in place of all that was or would be written; the caller holds `lock`.

        Args:
            number: that of the last local update.
            origin: where the document comes from, if not from where it came from before.
        """
        count = self._count
        self._refused.clear()
        self._number = number
        if origin is not None:
            self._must_redact, self.redactions = False, origin.redactions
        await self._file.start_over(self._whole(), self._unacknowledged(), self._number, origin)
        self.saved.advance(count)

    async def erase(self, number: int, origin: Origin | None) -> None:
        """Write the document as ``rewrite`` does, and leave no byte of what was there.

        No origin means that the document comes from no server.
        """
        self._count += 1  # a reset that changes nothing is no commit, and the file is to be written all the same
        count = self._count
        self._refused.clear()
        self._number = number
        self._must_redact, self.redactions = False, 0 if origin is None else origin.redactions
        await self._file.erase(self._whole(), number, origin)
        self.saved.advance(count)

    async def flush(self) -> None:
        """Return once everything so far is on disk; raises StorageError if it cannot be written."""
        if self._failure is not None:
            raise self._failure
        await self.saved.reached(self._count)

    async def run(self) -> None:
        """Write until cancelled; a failure to write is raised in those who wait for it, and ends the journal."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with self.lock:
                    await self._write()
            except StorageError as error:
                self._failure = error
                self.saved.fail(error)
                raise

    async def _write(self) -> None:
        count = self._count
        if self._must_redact:
            await self._redact()
        elif self._pending:
            await self._write_updates()
        while self._refused:
            await self._file.refuse(*self._refused.pop(0))
        if self._acknowledged > self._forgotten:
            self._forgotten = self._acknowledged
            await self._file.acknowledge(self._forgotten)
        self.saved.advance(count)

    async def _write_updates(self) -> None:
        size, self._pending = self._pending, 0
        updates, self._updates = self._updates, []
        edits, self._edits = self._edits, []
        self._tail += size
        if size > MAX_PENDING or self._tail > max(self._base, FOLD_FLOOR):
            await self._file.fold(self._whole(), self._unacknowledged(), self._number)
        else:
            await self._file.append(updates, edits, self._number)

    async def _redact(self) -> None:
        self._must_redact = False
        await self._file.redact(self._whole(), self._unacknowledged(), self._number, self.redactions)

    def _whole(self) -> bytes:
        """Return the whole document, to be written in place of what was and would be."""
        self._updates.clear()
        self._edits.clear()
        self._pending = 0
        state = self._state()
        self._base, self._tail = len(state), 0
        return state
