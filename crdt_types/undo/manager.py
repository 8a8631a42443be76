"""Undo and redo of what one session did, whatever others did meanwhile."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from ..document.delta import Delta, compose
from ..document.listeners import Footprint
from ..document.statedocument import StateDocument
from ..document.steps import CellStep
from ..errors import InvalidValueError, TransactionError
from ..schema.state import State
from .countreversal import CountReversal, ResetReversal, net_count
from .marks import Tally
from .recording import MadeRows, Recording, made_rows
from .reversal import Reversal, TextReversal
from .scope import Scope
from .steps import UndoStack, UndoStep
from .turn import Turn

LIMIT: Final = 100  # more than anybody takes back one by one; each step keeps what it replaced in memory


class UndoManager:
    """Takes back the transactions of this session, the last one first, and makes them again.

    It is about what this document edited itself from now on: one transaction is one step, and is taken back as one
    transaction, which others get like any other. What others wrote is left alone:

    - A cell is put back only where the value that the step wrote is still there. A rival beside it stays, and is read
      again. A cell that the step deleted is written again if it is still empty. Elements of sets likewise.
    - A counter counts the opposite, a log loses what was appended and gets back what was pruned, at its old place.
    - A text gets the inverse edit, moved past everything that was done to it since.
    - In a row that is gone since nothing is put back. What only grows, a GSet or a GCounter, is taken back only
      together with the row in which the step made it.

    Fields with names that begin with ``$`` are left alone. A reset of the document forgets all steps.

    Args:
        target: a state, of which the fields and what lies below them are meant, or a document, all of it. Without a
            State class, it is not known what only grows.
        fields: the names of the fields meant; all of them if None.
        limit: how many steps are kept.

    Raises:
        InvalidValueError: if the state has no such field, or the limit is not positive.
        TransactionError: inside a transaction.

    Sources: T. Berlage, A. Genau, "A Framework for Shared Applications with a Replicated Architecture" (1993), for
    undo as a new edit, per user; the history module of Quill for texts.
    """

    def __init__(
        self, target: State | StateDocument, *, fields: Iterable[str] | None = None, limit: int = LIMIT
    ) -> None:
        if limit < 1:
            raise InvalidValueError(f"{limit} steps", subject="undo", remedy="keep 1 or more")
        self._document = target.document if isinstance(target, State) else target
        self._check_free()
        self._recording = Recording(self._document, Scope(target, fields), self._record)
        self._limit = limit
        self._past = UndoStack()
        self._future = UndoStack()
        self._tallies: dict[int, list[Tally]] = {}
        self._client = self._document.client_id
        self._turn: _Turning | None = None
        self._depth = 0  # of groups
        self._group: UndoStep | None = None

    # Undo and redo ----------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """How many steps are kept to be taken back; of some of them nothing may be left."""
        return len(self._past)

    @property
    def can_undo(self) -> bool:
        """Whether `undo` would change anything."""
        self._mind_reset()
        return self._past.is_due(self._document)

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would change anything."""
        self._mind_reset()
        return self._future.is_due(self._document)

    def undo(self) -> bool:
        """Take back the last step of which anything is left to take back; return whether there was one.

        Raises:
            TransactionError: inside a transaction or a group.
            StateError: whatever a rule or validator of the schema says to the edits; nothing is taken back then.
        """
        return self._go(self._past, self._future)

    def redo(self) -> bool:
        """Make the step again that was taken back last; return whether there was one.

        The same holds as for `undo`. A new step forgets those that were taken back.
        """
        return self._go(self._future, self._past)

    def _go(self, source: UndoStack, target: UndoStack) -> bool:
        self._check_free()
        if self._depth:
            raise TransactionError("an undo or redo inside a group", subject="undo", remedy="leave the group first")
        self._mind_reset()
        while source:
            if self._take_back(source, target):
                return True
        return False

    def _take_back(self, source: UndoStack, target: UndoStack) -> bool:
        """Take back the last step, and return whether anything was left of it."""
        turn = Turn(self._document, self._recording.marks)
        turning = self._turn = _Turning(turn, source, target)
        try:
            with self._document.transaction():
                if (step := source.last) is not None:
                    step.revert(turn)
        except BaseException:
            turn.failed()
            raise
        finally:
            idle, self._turn = self._turn is turning, None
        if idle:
            source.pop()  # nothing was written, so nothing was recorded
        return not idle

    def clear(self) -> None:
        """Forget every step."""
        self._past.clear()
        self._future.clear()
        self._group = None

    def close(self) -> None:
        """Forget every step, and record none from now on."""
        self.clear()
        self._recording.close()

    @contextmanager
    def grouped(self) -> Generator[None]:
        """Make one step of all transactions in a block; also of those before an error in it."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._group = None

    def _check_free(self) -> None:
        if self._document.in_transaction:
            raise TransactionError("undo inside a transaction", subject="undo", remedy="let the transaction end first")

    def _mind_reset(self) -> None:
        if self._client != self._document.client_id:
            self._client = self._document.client_id
            self._tallies.clear()
            self.clear()

    # Recording --------------------------------------------------------------------------------------------------

    def _record(self, footprint: Footprint) -> None:
        """Take note of a transaction."""
        self._mind_reset()
        turning = self._turn if footprint.local else None
        self._recording.marks.follow(footprint.steps)
        inverses = self._follow_texts(footprint)
        if turning is not None:
            self._turn = None
            turning.turn.done()
            turning.source.pop()
        parts = list(self._parts(footprint, own=turning is not None))
        if footprint.local and (step := UndoStep(parts, inverses)):
            self._keep(step, turning)

    def _keep(self, step: UndoStep, turning: "_Turning | None") -> None:
        if turning is not None:
            turning.target.push(step, self._limit)
            return
        self._future.clear()
        if self._group is not None and self._group is self._past.last:
            self._group.absorb(step)
        else:
            self._past.push(step, self._limit)
            self._group = step if self._depth else None

    def _follow_texts(self, footprint: Footprint) -> list[TextReversal]:
        """Follow the texts, and return how this transaction's edits are undone if they were made here."""
        inverses: dict[str, Delta] = {}
        for name, delta, inverse in self._recording.inverses(footprint):
            if footprint.local:
                inverses[name] = compose(inverse, inverses[name]) if name in inverses else inverse
            else:
                self._past.note(name, delta)
                self._future.note(name, delta)
        return [TextReversal(name, delta, self._recording.rows(name)) for name, delta in inverses.items() if delta]

    def _parts(self, footprint: Footprint, own: bool) -> Iterator[Reversal]:
        """Yield what takes back the cells, counts and items of a transaction.

        Args:
            footprint: what it did.
            own: whether it is an undo or redo, which never resets a counter.
        """
        if footprint.local:
            yield from self._recording.parts(footprint, made_rows(footprint), partial(self._count, own=own))
        else:
            for step in self._recording.counters(footprint):
                self._follow_count(step)

    def _follow_count(self, step: CellStep) -> None:
        """Note where somebody else reset what this session had counted."""
        if step.key == self._client and not step.cells.get(step.key):
            _ended(self._tallies.setdefault(id(step.cells), []))

    def _count(self, step: CellStep, made: MadeRows, *, own: bool) -> Iterator[Reversal]:
        cells, client, before = step
        after = cells.get(client, ())
        tallies = self._tallies.setdefault(id(cells), []) if client == self._client else []
        if not after and not own:
            ended = _ended(tallies)
            if net_count(before) or ended:
                yield ResetReversal(cells, client, net_count(before), ended, tallies)
        elif client == self._client and (amount := net_count(after) - net_count(before)):
            rows = self._recording.rows(cells.field)
            grows = amount > 0 and self._recording.scope.grows(cells)
            tallies[:] = tallies or [Tally()]
            if not grows or not made.isdisjoint(rows):
                yield CountReversal(cells, client, amount, tallies[-1], grows, False, rows)


def _ended(tallies: list[Tally]) -> list[Tally]:
    """End what was counted so far."""
    ended = tallies.copy()
    tallies.clear()
    for tally in ended:
        tally.alive = False
    return ended


class _Turning(NamedTuple):
    """An undo or redo under way: from which stack a step goes to which."""

    turn: Turn
    source: UndoStack
    target: UndoStack
