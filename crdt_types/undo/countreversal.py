"""What takes back what was counted, or reset."""

from collections.abc import Hashable

from ..document.cells import Cells
from ..document.entry import Entry
from ..document.statedocument import StateDocument
from ..document.steps import totals_of
from .marks import Tally
from .reversal import Reversal, Rows, kept_of
from .turn import Kept, Turn


class CountReversal(Reversal):
    """Counts the opposite of what one session counted.

    Args:
        cells: the counter's cells.
        client: the session.
        amount: what it counted.
        tally: tells whether it still counts.
        grows: whether it may only be taken back by deleting all that the session counted.
        fresh: whether the session had counted nothing before, and the row that the counter lies in came with it.
            Then its counts are deleted, for they alone would keep the row.
        rows: the rows that it lies in.
    """

    def __init__(
        self, cells: Cells, client: int, amount: int, tally: Tally, grows: bool, fresh: bool, rows: Rows
    ) -> None:
        self.rows = rows
        self._cells = cells
        self._client = client
        self._amount = amount
        self._tally = tally
        self._grows = grows
        self._fresh = fresh

    @property
    def place(self) -> Hashable:
        """What the session counted in the counter, since its last reset."""
        return id(self._cells), self._client, id(self._tally)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether the count was not reset since."""
        if not self._tally.alive:
            return False
        return self._is_all() if self._grows or not self._amount else True

    def _is_all(self) -> bool:
        entries = self._cells.get(self._client)
        return entries is not None and net_count(entries) == self._amount

    def revert(self, turn: Turn) -> None:
        """Count the opposite; where this session's own counts come to nothing, delete them."""
        document, cells = turn.document, self._cells
        if (self._fresh or self._client == document.client_id) and self._is_all():
            for entry in cells[self._client]:
                document.withdraw(cells, entry)
        elif self._amount:
            document.count(cells.field, -self._amount)

    def kept(self, document: StateDocument) -> Kept | None:
        """Return the counter, if it was reset."""
        return kept_of(self._cells, None, (), document) if self._amount else None

    def joined(self, later: "CountReversal") -> Reversal | None:
        """Return what takes back both."""
        amount = self._amount + later._amount
        if not amount and not self._fresh:
            return None
        return CountReversal(self._cells, self._client, amount, self._tally, self._grows, self._fresh, later.rows)


class ResetReversal(Reversal):
    """Counts again what one session had counted when the counter was reset.

    Args:
        cells: the counter's cells.
        client: the session that had counted.
        amount: what it had counted.
        ended: of this session's own counts, those that the reset ended.
        current: those that count now.
    """

    def __init__(self, cells: Cells, client: int, amount: int, ended: list[Tally], current: list[Tally]) -> None:
        self._cells = cells
        self._client = client
        self._amount = amount
        self._ended = ended
        self._current = current

    @property
    def place(self) -> Hashable:
        """This reset."""
        return id(self)

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether that session has not counted on since: then its totals are there again, with what they were."""
        return self._client == document.client_id or self._client not in self._cells

    def revert(self, turn: Turn) -> None:
        """Count it, as this session's own."""
        if self._amount:
            turn.document.count(self._cells.field, self._amount)
        turn.revived(self._ended, self._current)


def net_count(entries: tuple[Entry, ...]) -> int:
    """Return what one session's totals in a counter come to."""
    plus, minus = totals_of(entries)
    return plus - minus
