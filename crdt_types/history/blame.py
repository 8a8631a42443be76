"""Blame: who wrote what is there, in which version, and when."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

from ..document.cells import Cells
from ..document.changes import Kind
from ..document.entry import CELL, COUNTER, ELEMENT, HEADER, ITEM, LISTED, REGISTER, Entry
from ..document.listeners import Footprint
from ..document.roots import text_names
from ..document.statedocument import StateDocument
from ..document.steps import ItemStep, Step
from .origins import Origins
from .record import VersionRecord

_KINDS: Final[dict[int, Kind]] = {
    REGISTER: "register",
    CELL: "map",
    ELEMENT: "set",
    COUNTER: "counter",
    ITEM: "log",
    LISTED: "list",
}
_BY_FIELD: Final = attrgetter("field")


class Credit(NamedTuple):
    """Who wrote something.

    Attributes:
        author: the agent, None if that is not known.
        version: in which version; None if that lies before the oldest record that is kept.
        at: when the server took it, in UTC; None with the version.
    """

    author: str | None
    version: int | None
    at: datetime | None


class CellCredit(NamedTuple):
    """Who wrote one live value.

    Attributes:
        kind: the type of the field.
        field: the field's path.
        key: the map key, the set element (of rows, the row's key) or the id of the list item; None for other kinds.
        value: the value; True for a set element; of a counter, what this session counted.
        credit: who wrote it, in which version and when.
    """

    kind: Kind
    field: str
    key: Any
    value: Any
    credit: Credit


class TextCredit(NamedTuple):
    """Who wrote some characters in a row; an embedded object counts as one."""

    start: int
    length: int
    credit: Credit


class Blame(NamedTuple):
    """Who wrote what is there.

    Attributes:
        since: the oldest version whose state is kept. What has no version in its credit was written in it, or before.
        cells: every live value, by field; the rivals of a conflict after the value that is read.
        texts: the characters of each text by its path, from its start to its end.
    """

    since: int
    cells: tuple[CellCredit, ...]
    texts: dict[str, tuple[TextCredit, ...]]


class Writers:
    """Notes who writes what while a document goes through its versions once more.

    Args:
        document: the document as of the version before the first one.
    """

    def __init__(self, document: StateDocument) -> None:
        self._document = document
        self._written: dict[tuple[int, bytes], VersionRecord] = {}
        self._origins = Origins(document.state_vector())
        self._steps: list[Step] = []
        document.add_recorder(self._record)

    def _record(self, footprint: Footprint) -> None:
        self._steps += footprint.steps

    def follow(self, record: VersionRecord) -> None:
        """Play the next version, and note what it wrote; raises ProtocolError if it is damaged."""
        self._steps.clear()
        self._document.apply(record.update)
        for step in self._steps:
            self._note(step, record)
        self._origins.follow(record)

    def _note(self, step: Step, record: VersionRecord) -> None:
        if isinstance(step, ItemStep):
            before, after = ([], [step.entry]) if step.gained else ([step.entry], [])
            self._exchange(before, after, record)
        elif step.cells.kind != HEADER:
            self._exchange(step.before, step.cells.get(step.key, ()), record)

    def _exchange(self, before: Iterable[Entry], after: Iterable[Entry], record: VersionRecord) -> None:
        gone, come = set(map(_tag, before)), set(map(_tag, after))
        for tag in gone - come:
            self._written.pop(tag, None)
        for tag in come - gone:
            self._written[tag] = record

    def blame(self, since: int) -> Blame:
        """Return who wrote what is there now.

        Args:
            since: the version that the document had in the beginning.
        """
        state = self._document.update_since()
        runs = self._origins.runs(state, text_names(self._document))
        texts = {
            name: tuple(TextCredit(start, length, self._credit(*origin)) for start, length, origin in runs[name])
            for name in runs
        }
        return Blame(since, tuple(self._cells()), texts)

    def _credit(self, client: int, record: VersionRecord | None) -> Credit:
        author = self._document.index.author(client) or None
        if record is None:
            return Credit(author, None, None)
        return Credit(author or record.author or None, record.version, record.time)

    def _cells(self) -> list[CellCredit]:
        index = self._document.index
        entries = [entry for cells in index.fields.values() if cells.kind in _KINDS for entry in _in_order(cells)]
        entries += [entry for items in index.logs.values() for entry in items.entries]
        return sorted(map(self._cell, entries), key=_BY_FIELD)

    def _cell(self, entry: Entry) -> CellCredit:
        key = entry.value if entry.kind == ELEMENT else entry.key if entry.kind in (CELL, LISTED) else None
        credit = self._credit(entry.client, self._written.get(_tag(entry)))
        return CellCredit(_KINDS[entry.kind], entry.field, key, _value(entry), credit)


def _tag(entry: Entry) -> tuple[int, bytes]:
    """Return what tells an entry from all others that are live."""
    return entry.client, entry.raw


def _in_order(cells: Cells) -> Iterator[Entry]:
    keys = cells if cells.order is None else [key for _position, key in cells.order.entries]
    return (entry for key in keys for entry in cells[key])


def _value(entry: Entry) -> Any:
    if entry.kind == COUNTER:
        plus, minus = entry.data
        return plus - minus
    return True if entry.kind == ELEMENT else entry.value
