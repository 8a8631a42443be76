"""A counter: every writer session keeps its own totals, so that concurrent counts add up exactly."""

from functools import total_ordering
from typing import ClassVar

from ..document.cells import Cells
from ..document.changes import Change, Kind
from ..document.entry import COUNTER
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError
from .field import ByValue, Field


@total_ordering
class Counter(ByValue, Field):
    """A whole number that many writers add to and subtract from at once, exactly.

    Source: the PN-counter of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated
    data types" (2011), with one entry of totals for each writer session.
    """

    kind: ClassVar[Kind] = "counter"

    _cells: Cells

    def _attach(self, document: StateDocument) -> None:
        self._cells = document.index.cells(COUNTER, self.name)

    @property
    def value(self) -> int:
        """The sum over all writers."""
        return self._cells.total

    def add(self, amount: int = 1) -> None:
        """Add a whole number; a negative one is subtracted.

        Raises: InvalidValueError, if it is not a whole number, or this session's total would pass 2^53 - 1.
        """
        if type(amount) is not int:
            raise InvalidValueError(
                f"{amount!r} is not a whole number",
                subject=self.name,
                remedy="count in the smallest unit, such as cents or milliseconds",
            )
        if amount:
            self.document.count(self.name, amount)

    def subtract(self, amount: int = 1) -> None:
        """Subtract a whole number; raises what `add` raises."""
        if type(amount) is int:
            amount = -amount
        self.add(amount)

    def assign(self, value: int) -> None:
        """Add what is missing to a value; what others count at the same time adds up with it."""
        if type(value) is not int:
            raise InvalidValueError(f"{value!r} is not a whole number", subject=self.name)
        self.add(value - self.value)

    def typed_change(self, change: Change) -> Change:
        """Return the change, whose values are whole numbers already."""
        return change

    def __int__(self) -> int:
        return self.value

    def __lt__(self, other: object) -> bool:
        if isinstance(other, (Counter, int, float)):
            return self.value < (other.value if isinstance(other, Counter) else other)
        return NotImplemented


PNCounter = Counter


class GCounter(Counter):
    """A counter that only grows: what another program subtracts under its name is not read.

    Source: the G-counter of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
    types" (2011).
    """

    def _attach(self, document: StateDocument) -> None:
        super()._attach(document)
        self._cells.grows = True

    @property
    def value(self) -> int:
        """The sum over all writers."""
        return self._cells.plus

    def add(self, amount: int = 1) -> None:
        """Add a whole number.

        Raises: InvalidValueError, if it is negative or not a whole number, or this session's total would pass 2^53 - 1.
        """
        if type(amount) is int and amount < 0:
            raise InvalidValueError(
                f"{amount} is negative", subject=self.name, remedy="a GCounter only grows; declare a Counter"
            )
        super().add(amount)
