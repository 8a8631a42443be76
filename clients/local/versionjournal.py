"""The journal of a local tier: writes what is committed as versions, each with its author and time."""

from collections.abc import Callable

import pycrdt

from comity.crdt_types import Commit
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.history.record import merged

from ..journal import FOLD_FLOOR, MAX_PENDING, Journal
from .versionfile import Made, VersionFile


class VersionJournal(Journal):
    """Writes the commits of a document as versions.

    Those of one author that came while one write was under way are one.

    A state is kept whole whenever the versions since the last one are as large as it is, so states take about as much
    as versions do, and the document is read back from no more than twice its size.

    Past MAX_PENDING bytes that wait for the disk, everything that waits becomes one version.

    Args:
        file: the file.
        state: gives the document as an update, from a state vector on, or whole.
        unacknowledged: gives the edits that the server has not acknowledged.
        agent: who makes the local commits.
        base: the bytes of the whole state that the document was read from.
        tail: the bytes of the versions after it.
        at: when the last version was made.
        redactions: how often something had been taken out of the room's history when the file was last cleaned.
    """

    def __init__(
        self,
        file: VersionFile,
        state: Callable[..., bytes],
        unacknowledged: Callable[[], list[tuple[int, Edit]]],
        *,
        agent: str,
        base: int,
        tail: int,
        at: int,
        redactions: int,
    ) -> None:
        super().__init__(file, state, unacknowledged, tail, redactions)
        self._versions = file
        self._state_since = state
        self._agent = agent
        self._base = base
        self._at = at
        self._drafts: list[tuple[str, list[bytes]]] = []
        self._is_cut = False

    @property
    def pending(self) -> int:
        """How many changes wait for the disk."""
        return self._count - self.saved.value

    def cut(self) -> None:
        """Let the next commit begin another version."""
        self._is_cut = True

    def append(self, commit: Commit, number: int) -> None:
        """Take in a commit; number is that of the last local update."""
        author = self._agent if commit.local else ""
        if self._is_cut or not self._drafts or self._drafts[-1][0] != author:
            self._drafts.append((author, []))
            self._is_cut = False
        super().append(commit, number)
        if self._pending <= MAX_PENDING:
            self._drafts[-1][1].append(commit.update)
        else:
            self._drafts[:] = [(author if {author} == {each for each, _ in self._drafts} else "", [])]

    async def _write_updates(self) -> None:
        disk = None
        if self._pending > MAX_PENDING:
            disk = pycrdt.get_state(await self._versions.state((await self._versions.span()).last))
        # From here to the write nothing may wait: what is written whole is what the versions come to.
        size, self._pending = self._pending, 0
        drafts, self._drafts = self._drafts, []
        edits, self._edits = self._edits, []
        self._updates.clear()
        self._at = max(self._at, wall_ms())
        if disk is None:
            made = [Made(merged(updates), author, self._at) for author, updates in drafts]
        else:
            made = [Made(self._state_since(disk), drafts[0][0], self._at)]
            edits = self._unacknowledged()
        self._tail += size
        is_due = self._tail > max(self._base, FOLD_FLOOR)
        await self._versions.record(made, edits, self._number, self._whole() if is_due else None)
        if is_due:
            await self._versions.retire()

    def _whole(self) -> bytes:
        self._drafts.clear()
        return super()._whole()
