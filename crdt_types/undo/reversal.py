"""Reversals: what takes one part of a transaction back, and leaves what others did alone."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, NamedTuple

from ..document.cells import Cells
from ..document.delta import Delta
from ..document.entry import ELEMENT, PLACE, Entry
from ..document.index import Index
from ..document.path import join, split
from ..document.statedocument import StateDocument
from ..document.steps import KIND_NAMES
from ..document.values import canonical
from ..types.text import Text
from .turn import Kept, Turn

Rows = tuple[tuple[str, str], ...]
"""The rows that a field lies in, the outermost first: the path of the map and the key."""


class Reversal(ABC):
    """What takes one part of a transaction back.

    Attributes:
        rows: the rows that it lies in; where one of them is gone since, there is nothing to take back.
    """

    rows: Rows = ()

    @property
    @abstractmethod
    def place(self) -> Hashable:
        """What it is about; there is one for each place in a step."""

    @abstractmethod
    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there still is something to take back."""

    @abstractmethod
    def revert(self, turn: Turn) -> None:
        """Take it back; only called if that is due."""

    def kept(self, document: StateDocument) -> Kept | None:
        """Return what is not taken back where this is not due; None if all is as if it had been."""
        return None

    def joined(self, later: Any) -> "Reversal | None":
        """Return what takes back this and a later one of the same place; None if there is nothing left."""
        return None


class TextReversal(NamedTuple):
    """Makes the opposite edit of a text.

    Attributes:
        name: the text.
        delta: the edit.
        rows: the rows that it lies in.
    """

    name: str
    delta: Delta
    rows: Rows

    def is_due(self, document: StateDocument) -> bool:
        """Tell whether there still is something to take back."""
        return bool(self.delta) and rows_live(document.index, self.rows)

    def revert(self, document: StateDocument) -> None:
        """Make the edit."""
        Text().bind(document, self.name, Any).apply_delta(self.delta)

    def keep_row(self, document: StateDocument) -> None:
        """Keep the row that the text lies in, if it is to stay, from whoever deletes it meanwhile."""
        if self.rows:
            path, key = self.rows[-1]
            if canonical(key) in document.index.cells(ELEMENT, path):
                document.add_element(path, key)


def kept_of(cells: Cells, key: Any, entries: tuple[Entry, ...], document: StateDocument) -> Kept:
    """Return what tells that a cell is kept.

    Args:
        cells: the cells.
        key: the key.
        entries: what somebody wrote there; empty if it was deleted.
        document: the document.
    """
    by = document.index.author(entries[0].client) if entries else None
    return Kept(KIND_NAMES[cells.kind], cells.field, key, by)


def rows_of(index: Index, path: str) -> Rows:
    """Return the rows that a field lies in and that are there."""
    if "/" not in path:
        return ()
    names = split(path)
    found: list[tuple[str, str]] = []
    for at in range(1, len(names)):
        cells = index.fields.get((ELEMENT, join(*names[:at])))
        if cells and canonical(names[at]) in cells:
            found.append((cells.field, names[at]))
    return tuple(found)


def rows_live(index: Index, rows: Rows) -> bool:
    """Tell whether all of some rows are there."""
    return all(_row_lives(index, path, key) for path, key in rows)


def _row_lives(index: Index, path: str, key: str) -> bool:
    if canonical(key) in index.cells(ELEMENT, path):
        return True
    below = index.below(path).get(key, [])
    return any(len(found) and not (isinstance(found, Cells) and found.kind == PLACE) for found in below)
