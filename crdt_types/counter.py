"""A counter: every writer session keeps its own totals, so that concurrent counts add up exactly."""

from typing import ClassVar

from .changes import Kind
from .document import StateDocument
from .entry import COUNTER
from .errors import InvalidValueError
from .field import Field
from .index import Cells


class Counter(Field):
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

    def __int__(self) -> int:
        return self.value
