"""Rollback: some of what happened to a document is taken back by new edits, whoever did it, and the rest stays."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..document.changes import Change
from ..document.delta import Delta
from ..document.listeners import Footprint
from ..document.roots import Roots
from ..document.statedocument import StateDocument
from ..document.steps import CellStep
from ..document.values import canonical
from ..errors import TransactionError
from ..schema.state import State
from ..undo.countreversal import CountReversal, net_count
from ..undo.marks import Tally
from ..undo.recording import MadeRows, Recording, made_rows
from ..undo.reversal import Reversal, Rows, TextReversal
from ..undo.scope import Scope
from ..undo.steps import UndoStep
from ..undo.turn import Kept, Turn
from .unwinding import Unwinding


class Reverted(NamedTuple):
    """What a rollback did.

    Attributes:
        changes: the typed changes that it made, as one transaction.
        kept: what it could not take back, because somebody wrote over it since.
    """

    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]


class Rollback:
    """Takes back a choice of what happened to a document, by new edits that merge and can be undone like any other.

    The document is as it was before the first update of that choice. From there on it is brought to the present by
    `take` for the updates that are to be undone and `follow` for those that stay, in the order in which they happened,
    and `revert` makes the edits. The cost follows the size of these updates, not that of the history before them.

    What `UndoManager` says of a session's own steps holds for all that was taken, whoever wrote it:

    - A cell is put back only where the value that was taken is still there. A rival beside it stays, and is read
      again. A cell that was deleted is written again if it is still empty, but not beside a rival that had been there
      as well. Elements of sets likewise.
    - A counter counts the opposite, on behalf of this session; what was counted before somebody else's reset is gone.
      The counts of a row that came with what is taken are deleted with the row.
    - A log loses what was appended, and gets back what was pruned, at its old place.
    - A text gets the inverse edit, moved past everything else that was done to it since.
    - In a row that is gone since, by what was followed, nothing is put back.

    Roots of the Yjs document that are neither typed cells nor texts, such as the XML of an editor, are left alone, and
    named in what was kept.

    A restore of the version that the document starts from takes all that came since, and is `whole`: then the document
    reads as that version, where nobody edits meanwhile. That includes the fields with names that begin with ``$``: a
    schema's version goes back with its data, which is migrated anew when a newer schema opens it, and tickets that
    were open then are open again. Otherwise those fields are left alone.

    Args:
        target: a document, all of which is meant, or a state, of which the fields are meant and what lies below them.
            Without a State class, it is not known what only grows: elements of a GSet are taken back like those of an
            ORSet, while a GCounter does not read what is subtracted from it. Nor is it known then how a field reads
            rivals, and the last writer's value is put back where there were several.
        fields: the names of the fields meant; all of them if None.
        whole: whether all that came since is taken.

    Raises:
        InvalidValueError: if the state has no such field.
        TransactionError: inside a transaction.
    """

    def __init__(
        self, target: State | StateDocument, *, fields: Iterable[str] | None = None, whole: bool = False
    ) -> None:
        self._document = target.document if isinstance(target, State) else target
        self._open = True
        self._client = self._document.client_id
        self._check_open()
        self._scope = Scope(target, fields, marked=whole)
        self._roots = Roots(self._document.update_since())
        for name in filter(self._scope.covers, self._roots.texts):
            self._document.text(name)
        self._taken = UndoStep([], [])
        self._texts: dict[str, Unwinding] = {}
        self._text_rows: dict[str, Rows] = {}
        self._tallies: dict[tuple[int, int], Tally] = {}
        self._made: MadeRows = set()
        self._others: dict[str, None] = {}
        self._changes: list[Change] = []
        self._taking = self._reverting = False
        self._recording = Recording(self._document, self._scope, self._record, joins=True, settles=whole)

    # Following --------------------------------------------------------------------------------------------------

    def follow(self, update: bytes) -> None:
        """Apply an update that stays.

        Args:
            update: one or several, merged, that happened next.

        Raises:
            ProtocolError: if it is not an update; nothing is changed then.
            TransactionError: inside a transaction, or after the end.
        """
        self._check_open()
        self._apply(update)

    def take(self, update: bytes) -> None:
        """Apply an update that is to be taken back; the same holds as for `follow`."""
        self._check_open()
        self._taking = True
        try:
            self._apply(update)
        finally:
            self._taking = False

    def _apply(self, update: bytes) -> None:
        self._document.apply(update)
        touched = self._roots.follow(update)
        for name in filter(self._scope.covers, touched.texts):
            if not self._recording.follows(name):
                mirror = self._document.text(name)
                if self._taking:
                    self._take_text(name, [{"delete": len(mirror)}])
        if self._taking:
            self._others.update(dict.fromkeys(filter(self._scope.covers, touched.others)))

    def _check_open(self) -> None:
        if not self._open or self._client != self._document.client_id:
            what = "a rollback that has ended" if not self._open else "a rollback of a document that was reset"
            raise TransactionError(what, subject="rollback", remedy="begin another one")
        if self._document.in_transaction:
            raise TransactionError(
                "a rollback inside a transaction", subject="rollback", remedy="let the transaction end first"
            )

    # Recording --------------------------------------------------------------------------------------------------

    def _record(self, footprint: Footprint) -> None:
        """Take note of a transaction."""
        if self._reverting and footprint.local:
            self._reverting = False
            self._changes += self._told(footprint)
            return
        taken = self._taking and not footprint.local
        self._recording.marks.follow(footprint.steps)
        for name, delta, inverse in self._recording.inverses(footprint):
            if taken:
                self._take_text(name, inverse)
            elif name in self._texts:
                self._texts[name].keep(delta)
        if taken:
            self._made |= made_rows(footprint)
            self._taken.absorb(UndoStep(list(self._recording.parts(footprint, self._made, self._count)), []))
        else:
            self._follow_counts(footprint)

    def _take_text(self, name: str, inverse: Delta) -> None:
        self._texts.setdefault(name, Unwinding()).take(inverse)
        self._text_rows[name] = self._recording.rows(name)

    def _follow_counts(self, footprint: Footprint) -> None:
        """Note where somebody reset what was taken."""
        for step in self._recording.counters(footprint):
            if not step.cells.get(step.key) and (tally := self._tallies.pop((id(step.cells), step.key), None)):
                tally.alive = False

    def _count(self, step: CellStep, made: MadeRows) -> Iterator[Reversal]:
        cells, client, before = step
        rows = self._recording.rows(cells.field)
        is_made = not made.isdisjoint(rows)
        amount = net_count(cells.get(client, ())) - net_count(before)
        fresh = is_made and not before
        grows = amount > 0 and self._scope.grows(cells)
        if (amount or fresh) and (is_made or not grows):
            tally = self._tallies.setdefault((id(cells), client), Tally())
            yield CountReversal(cells, client, amount, tally, grows, fresh, rows)

    # Reverting --------------------------------------------------------------------------------------------------

    def revert(self) -> Reverted:
        """Take back what was taken, as one transaction, and end the rollback; if nothing is left of it, none is made.

        Raises:
            TransactionError: inside a transaction, or after the end.
            StateError: whatever a rule or validator of the schema says to the edits; nothing is changed then.
            TooLargeError: if the document's limits are passed; nothing is changed then.
        """
        self._check_open()
        turn = Turn(self._document, self._recording.marks)
        for name, rows in self._text_rows.items():
            self._taken.texts[name] = TextReversal(name, self._texts[name].delta(), rows)
        self._reverting = True
        try:
            with self._document.transaction():
                self._taken.revert(turn)
        finally:
            self._reverting = False
        self.close()
        kept = [*reversed(turn.kept), *(Kept("yjs", name, None, None) for name in self._others)]
        return Reverted(tuple(self._changes), tuple(_once(kept)))

    def _told(self, footprint: Footprint) -> Iterator[Change]:
        document, client = self._document, self._client
        yield from document.index.changes(footprint.steps, True, lambda: client, document.agent)
        for name, delta in footprint.texts:
            yield Change("text", name, None, None, delta, document.agent, client, local=True)

    def close(self) -> None:
        """Follow the document no more."""
        self._open = False
        self._recording.close()


def _once(kept: list[Kept]) -> list[Kept]:
    """Return each cell that is kept once; a counter may be kept on account of several sessions."""
    return list({(each.kind, each.field, canonical(each.key)): each for each in kept}.values())
