"""Turns: one undo, redo or rollback under way, and what it could not take back."""

from typing import Any, Literal, NamedTuple

from ..document.cells import Cells
from ..document.changes import Kind
from ..document.statedocument import StateDocument
from .marks import Mark, Marks, Tally


class Kept(NamedTuple):
    """What was not taken back, because of what came after it.

    Attributes:
        kind: the type of the field; ``yjs`` for a root of the Yjs document that is neither typed nor a text.
        field: the field's path.
        key: the map key, the set element or the id of the list item; None for the other kinds.
        by: the agent that wrote over it, empty if it gave no name; None where that is not known, as of deletions.
    """

    kind: Kind | Literal["yjs"]
    field: str
    key: Any
    by: str | None


class Turn:
    """One undo, redo or rollback under way: what it brings back, to be taken note of once it is written.

    Args:
        document: the document.
        marks: the marks of what was written to its cells.

    Attributes:
        kept: what could not be taken back.
    """

    def __init__(self, document: StateDocument, marks: Marks) -> None:
        self.document = document
        self.kept: list[Kept] = []
        self._marks = marks
        self._restored: list[tuple[Mark, Cells, Any]] = []
        self._revived: list[tuple[list[Tally], list[Tally]]] = []

    def restored(self, mark: Mark, cells: Cells, key: Any) -> None:
        """Note that a value that was written to a cell earlier is written again."""
        self._restored.append((mark, cells, key))

    def revived(self, ended: list[Tally], current: list[Tally]) -> None:
        """Note that what was counted before a reset counts again."""
        for tally in ended:
            tally.alive = True
        current += ended
        self._revived.append((ended, current))

    def done(self) -> None:
        """Take note of all that, now that it is written."""
        for mark, cells, key in self._restored:
            if entries := cells.get(key):
                self._marks.bring_back(mark, cells, entries[0])

    def failed(self) -> None:
        """Forget it: nothing was written."""
        for ended, current in self._revived:
            current[:] = [tally for tally in current if tally not in ended]
            for tally in ended:
                tally.alive = False
