"""What this replica did that its server has not acknowledged yet, and who waits for it."""

from typing import Final

from comity.crdt_types import Commit
from comity.crdt_types.document.edits import Edit, EditLog
from comity.crdt_types.errors import ComityError

from .milestone import Milestone

# Edits that were not made through typed fields, but by an editor on the Yjs document: all that can be told of them.
_UNTYPED: Final = (Edit("yjs", "", None, None),)


class Outstanding:
    """Counts local updates, keeps their typed edits until the server has them, and tells when it has.

    Attributes:
        number: the number of the last local update; they are counted from 1, over the restarts of a replica too.
        unmerged: edits that the server refused, or that could not be made again on another history.
    """

    def __init__(self) -> None:
        self.number = 0
        self.unmerged: list[Edit] = []
        self._edits = EditLog()
        self._durable = Milestone()
        self._refusal: ComityError | None = None

    def restore(self, edits: list[tuple[int, Edit]], number: int, acknowledged: int) -> None:
        """Take up what an earlier process left."""
        for each, edit in edits:
            self._edits.add(each, edit, unsent=True)
        self.number = number
        self._durable.advance(acknowledged)

    @property
    def pending(self) -> int:
        """How many local updates are not acknowledged."""
        return self.number - self._durable.value

    def edits(self) -> list[tuple[int, Edit]]:
        """Return the unacknowledged edits with their numbers, the oldest first."""
        return self._edits.in_order()

    def take_in(self, commit: Commit, *, unsent: bool, replayable: bool) -> None:
        """Count a local update.

        Args:
            commit: the update.
            unsent: whether nothing is on its way to the server.
            replayable: whether its edits may have to be made again: not with a server that acknowledges nothing.
        """
        self.number += 1
        for edit in (commit.edits or _UNTYPED) if replayable else ():
            self._edits.add(self.number, edit, unsent=unsent)

    def acknowledge(self, number: int) -> None:
        """Note that the updates up to a number are on the server's disk."""
        self._edits.forget(number)
        self._durable.advance(number)

    async def durable(self) -> None:
        """Return once every update so far is acknowledged.

        Raises: ComityError, if one of them was refused, once for each refusal; or what `fail` was called with.
        """
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal
        if self.pending:
            await self._durable.reached(self.number)

    def refuse(self, after: int, number: int, error: ComityError) -> None:
        """Give up the updates after one number, up to another: their edits go to `unmerged`."""
        self.unmerged.extend(self._edits.take(after, number))
        self._tell(error, after)

    def settle(self) -> None:
        """Note that nothing is left to wait for."""
        self._durable.advance(self.number)

    def start_over(self) -> list[Edit]:
        """Forget all unacknowledged edits and return them, to be made again under new numbers."""
        edits = [edit for _number, edit in self._edits.in_order()]
        self._edits.clear()
        return edits

    def give_up(self, edits: list[Edit], error: ComityError) -> None:
        """Keep edits that could not be made again, and tell those who wait for them."""
        if edits:
            self.unmerged.extend(edits)
            self._tell(error, 0)

    def erase(self, error: ComityError) -> None:
        """Give up every edit, and keep nothing of them, nor of those given up before; tell those who wait for them."""
        is_pending = bool(self.pending)
        self.unmerged.clear()
        self._edits.clear()
        if is_pending:
            self._tell(error, 0)
        self.settle()

    def fail(self, error: ComityError) -> None:
        """Raise an error in everyone who waits."""
        self._durable.fail(error)

    def _tell(self, error: ComityError, after: int) -> None:
        told = self._durable.fail(error, after)
        if not told:
            self._refusal = error
