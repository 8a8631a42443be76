"""Recordings: what takes back the transactions of a document, made while it is followed."""

from collections import Counter as Counts
from collections.abc import Callable, Hashable, Iterator

from ..document.cells import Cells
from ..document.delta import Delta
from ..document.entry import COUNTER, ELEMENT, HEADER, Entry
from ..document.listeners import Footprint, Recorder
from ..document.statedocument import StateDocument
from ..document.steps import CellStep, ItemStep
from ..document.textmirror import TextMirror
from .cellreversal import CellReversal
from .itemreversal import AppendReversal, PruneReversal, how_many
from .marks import Marks
from .reversal import Reversal, Rows, rows_of
from .scope import Scope
from .shadow import Shadow

MadeRows = set[tuple[str, str]]
"""Rows that transactions made, as the path of the map and the key."""

Counted = Callable[[CellStep, MadeRows], Iterator[Reversal]]


class Recording:
    """Follows a document, and says what takes a transaction back.

    Args:
        document: the document.
        scope: the fields that are meant.
        record: called with the footprint of every transaction.
        joins: whether what is yielded becomes one with what earlier transactions yielded, also those of others.
        settles: whether a cell shall read as before also where that is to be written over others of then.

    Attributes:
        document: the document.
        scope: the fields that are meant.
        marks: the marks of what was written to its cells.
    """

    def __init__(
        self, document: StateDocument, scope: Scope, record: Recorder, *, joins: bool = False, settles: bool = False
    ) -> None:
        self.document = document
        self.scope = scope
        self.marks = Marks()
        self._joins = joins
        self._settles = settles
        self._shadows: dict[str, Shadow] = {}
        self._stops = [document.on_text(self._read_text), document.add_recorder(record)]

    def close(self) -> None:
        """Follow the document no more."""
        for stop in self._stops:
            stop()
        self._shadows.clear()

    # Texts ------------------------------------------------------------------------------------------------------

    def _read_text(self, mirror: TextMirror) -> None:
        if self.scope.covers(mirror.name):
            shadow = self._shadows.get(mirror.name)
            if shadow is None:
                self._shadows[mirror.name] = Shadow(mirror.content())
            else:
                shadow.renew(mirror.content())

    def follows(self, name: str) -> bool:
        """Tell whether the edits of a text are followed."""
        return name in self._shadows

    def inverses(self, footprint: Footprint) -> Iterator[tuple[str, Delta, Delta]]:
        """Follow the texts; yield the name of each that was edited, each delta, and what undoes it."""
        for name, delta in footprint.texts:
            if (shadow := self._shadows.get(name)) is not None:
                yield name, delta, shadow.take(delta)

    # Cells and items --------------------------------------------------------------------------------------------

    def counters(self, footprint: Footprint) -> Iterator[CellStep]:
        """Yield the steps of a transaction that are about counters."""
        for step in footprint.steps:
            if type(step) is CellStep and step.cells.kind == COUNTER and self.scope.covers(step.cells.field):
                yield step

    def parts(self, footprint: Footprint, made: MadeRows, counted: Counted) -> Iterator[Reversal]:
        """Yield what takes back the cells, counts and items of a transaction.

        Args:
            footprint: what it did.
            made: the rows that came with it, or with others that are to be taken back.
            counted: yields what takes back a step that is about a counter.
        """
        lost = Counts(_like(step) for step in footprint.steps if type(step) is ItemStep and not step.gained)
        for step in footprint.steps:
            if type(step) is CellStep and self.scope.covers(step.cells.field):
                if step.cells.kind == COUNTER:
                    yield from counted(step, made)
                elif step.cells.kind != HEADER:
                    yield from self._cell(step, made)
            elif type(step) is ItemStep and self.scope.covers(step.items.field):
                yield self._item(step, lost)

    def rows(self, field: str) -> Rows:
        """Return the rows that a field lies in and that are there."""
        return rows_of(self.document.index, field)

    def _cell(self, step: CellStep, made: MadeRows) -> Iterator[Reversal]:
        cells, key, before = step
        after = cells.get(key, ())
        fresh = _beyond(after, before)
        rows = self.rows(cells.field)
        if not fresh and (not _beyond(before, after) or (after and not self._settles)):
            return
        if cells.kind == ELEMENT and not self._is_turned(cells, before, after, made.isdisjoint(rows)):
            return
        superseded = self.marks.only(cells, before)
        written = tuple(self.marks.of(cells, entry) for entry in fresh)
        yield CellReversal(cells, key, before, superseded, written, rows, self._settles)

    def _is_turned(self, cells: Cells, before: tuple[Entry, ...], after: tuple[Entry, ...], in_old_rows: bool) -> bool:
        """Tell whether an element came or went, or else is one that is to go."""
        if after and in_old_rows and self.scope.grows(cells):
            return False
        return bool(before) != bool(after) or (self._joins and self.marks.know(cells, before))

    def _item(self, step: ItemStep, lost: Counts[Hashable]) -> Reversal:
        """Return what takes back an item's step.

        Args:
            step: the step.
            lost: of items just alike, how many are still to be recorded as lost; the last is brought back first.
        """
        items, entry, gained = step
        rows = self.rows(items.field)
        if gained:
            return AppendReversal(items, entry, rows)
        lost[_like(step)] -= 1
        return PruneReversal(items, entry, how_many(items, entry) + lost[_like(step)], rows)


def _like(step: ItemStep) -> Hashable:
    return id(step.items), step.entry.raw


def made_rows(footprint: Footprint) -> MadeRows:
    """Return what a transaction added to sets, and so which rows it made."""
    return {
        (step.cells.field, step.cells[step.key][0].data)
        for step in footprint.steps
        if type(step) is CellStep and step.cells.kind == ELEMENT and not step.before and _is_key(step)
    }


def _is_key(step: CellStep) -> bool:
    after = step.cells.get(step.key)
    return after is not None and isinstance(after[0].data, str)


def _beyond(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> list[Entry]:
    """Return those of some entries that are not among others, also of a document that was read anew."""
    known = {(entry.client, entry.raw) for entry in others}
    return [entry for entry in entries if (entry.client, entry.raw) not in known]
