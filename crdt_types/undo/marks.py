"""Marks: what a session wrote to a document, recognised also where an undo or redo brought it back as a new entry."""

from typing import Any
from weakref import WeakValueDictionary

from ..document.cells import Cells
from ..document.entry import Entry
from ..document.steps import CellStep, Step


class Mark:
    """What was written to a cell: the entry, or the one with which an undo or redo brought the value back.

    Attributes:
        entry: the entry.
        alive: whether nothing has superseded it.
    """

    __slots__ = ("__weakref__", "alive", "entry")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.alive = True

    def found_in(self, cells: Cells, key: Any) -> Entry | None:
        """Return the live entry of a cell that this is, or None."""
        if not self.alive:
            return None
        return next((entry for entry in cells.get(key, ()) if is_same(entry, self.entry)), None)


class Marks:
    """The marks that somebody still holds, by their entries."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[int, int, bytes], Mark] = WeakValueDictionary()

    def of(self, cells: Cells, entry: Entry) -> Mark:
        """Return the mark of an entry that was written."""
        mark = self._known.get(_place(cells, entry))
        if mark is None or not mark.alive:
            mark = self._known[_place(cells, entry)] = Mark(entry)
        return mark

    def only(self, cells: Cells, entries: tuple[Entry, ...]) -> Mark | None:
        """Return the mark of what a cell held, if that was one entry and has one."""
        return self._known.get(_place(cells, entries[0])) if len(entries) == 1 else None

    def know(self, cells: Cells, entries: tuple[Entry, ...]) -> bool:
        """Tell whether one of some entries has a mark."""
        return any(_place(cells, entry) in self._known for entry in entries)

    def follow(self, steps: list[Step]) -> None:
        """Note what a transaction superseded."""
        for step in steps if self._known else ():
            if type(step) is CellStep:
                after = step.cells.get(step.key, ())
                for entry in step.before:
                    mark = self._known.get(_place(step.cells, entry))
                    if mark is not None and not any(is_same(entry, other) for other in after):
                        mark.alive = False

    def bring_back(self, mark: Mark, cells: Cells, entry: Entry) -> None:
        """Note that the value of a mark was written again, as an entry."""
        mark.entry, mark.alive = entry, True
        self._known[_place(cells, entry)] = mark


class Tally:
    """What this session counted in a counter since somebody last reset it.

    Attributes:
        alive: whether nobody has reset it since.
    """

    __slots__ = ("alive",)

    def __init__(self) -> None:
        self.alive = True


def _place(cells: Cells, entry: Entry) -> tuple[int, int, bytes]:
    return id(cells), entry.client, entry.raw


def is_same(one: Entry, other: Entry) -> bool:
    """Tell whether two entries are one: of a document that was read anew, they are other objects."""
    return one is other or (one.client == other.client and one.raw == other.raw)
