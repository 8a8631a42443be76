"""Rows: a map whose values are states of their own, the fields of each merging one by one."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol, Self, TypeVar, cast, overload

from ..document.cells import Cells, Items
from ..document.changes import ABSENT, Change, Conflict, Violation
from ..document.entry import ELEMENT, PLACE
from ..document.path import child, unescape
from ..document.statedocument import StateDocument
from ..document.values import canonical
from ..errors import InvalidValueError
from .field import Field
from .map import Map, check_key, is_text
from .resolution import Strategy, last_writer
from .shape import check_mapping


class Row(Protocol):
    """What a row map asks of the states that are its rows."""

    def to_dict(self, *, defaults: bool = True) -> dict[str, Any]:
        """Return the values of all fields, those that were never written included or not."""
        ...

    def assign(self, values: Mapping[str, Any], *, others: bool = False) -> None:
        """Make fields hold values; clear all others, if asked to."""
        ...

    def erase_texts(self) -> None:
        """Delete the characters of all texts."""
        ...

    def erase_grown(self) -> None:
        """Delete what only grows: another row takes the place of this one."""
        ...

    def open_texts(self) -> None:
        """Open all texts, also those of rows, so that edits of them are told."""
        ...

    def field_at(self, path: str) -> Field | None:
        """Return the field at a path below this state."""
        ...

    def conflicts(self) -> list[Conflict]:
        """List the cells in conflict."""
        ...

    def resolve(self, strategy: Strategy) -> list[Conflict]:
        """Settle the conflicts."""
        ...

    def violations(self) -> list[Violation]:
        """List the values that do not fit."""
        ...


R = TypeVar("R", bound=Row)
T = TypeVar("T")

Maker = Callable[[StateDocument, str, Callable[[], object]], R]


class RowMap(Map[R]):
    """A mapping from strings to states, each row's fields merging on their own: what ``Map[S]`` is for a State class S.

    It is a ``MutableMapping``. ``rows[key] = S(...)`` (or a mapping of field names to values) writes a row, a row that
    was read is live: an edit of its fields is an edit of the document. A deletion takes what it has seen, so that a
    row survives, with what was written to it meanwhile.
    """

    def __init__(self, make: Maker[R], row_type: Any, has_texts: bool) -> None:
        super().__init__()
        self._make = make
        self._row_type = row_type
        self._has_texts = has_texts
        self._rows: dict[str, R] = {}

    def _copy(self) -> Self:
        return type(self)(self._make, self._row_type, self._has_texts)

    def _attach(self, document: StateDocument) -> None:
        self._cells = document.index.cells(ELEMENT, self.name)

    @property
    def value(self) -> dict[str, Any]:
        """All keys with their rows as dicts."""
        return {key: row.to_dict() for key, row in self.items()}

    def _below(self) -> dict[str, list[Cells | Items]]:
        return self.document.index.below(self.name)

    def _keys(self) -> set[str]:
        marked = {entries[0].value for entries in self._cells.values()}
        written = {key for key, fields in self._below().items() if any(map(_is_live, fields))}
        return {key for key in marked if isinstance(key, str)} | written

    def __getitem__(self, key: str) -> R:
        if key not in self:
            self._rows.pop(key, None)
            raise KeyError(key)
        return self._row(key)

    def _row(self, key: str) -> R:
        row = self._rows.get(key)
        if row is None:
            keeper = partial(self.document.add_element, self.name, key)
            row = self._rows[key] = self._make(self.document, child(self.name, key), keeper)
        return row

    def __setitem__(self, key: str, value: R | Mapping[str, Any]) -> None:
        check_key(key, self.name)
        if isinstance(value, self._row_type):
            value = cast("Row", value).to_dict(defaults=False)
        if not isinstance(value, Mapping):
            raise InvalidValueError(
                f"{value!r} is not a {self._row_type.__name__}", subject=self.name, remedy="nothing was written"
            )
        with self.document.transaction():
            self.document.add_element(self.name, key)
            row = self._row(key)
            row.erase_grown()
            row.assign(value, others=True)

    def __delitem__(self, key: str) -> None:
        row = self[key]
        with self.document.transaction():
            row.erase_texts()
            for found in self._below().get(key, []):
                self.document.erase(found)
            self.document.discard_element(self.name, key)
        self._rows.pop(key, None)  # whoever was told of it may have looked, and found it gone

    def _pairs(self) -> list[tuple[str, R]]:
        return [(key, self[key]) for key in self]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._keys()))

    def __len__(self) -> int:
        return len(self._keys())

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str) or not is_text(key):
            return False
        return canonical(key) in self._cells or any(map(_is_live, self._below().get(key, ())))

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, RowMap) else other)

    def setdefault(self, key: str, default: Any = None) -> R:
        """Return a row, which is written first if there is none."""
        if key not in self:
            self[key] = {} if default is None else default
        return self[key]

    @overload
    def pop(self, key: str, /) -> R: ...

    @overload
    def pop(self, key: str, /, default: R) -> R: ...

    @overload
    def pop(self, key: str, /, default: T) -> R | T: ...

    def pop(self, key: str, /, default: Any = ABSENT) -> Any:
        """Delete a row and return what it held, as a state of its own; raises KeyError without a row or a default."""
        if key not in self and default is not ABSENT:
            return default
        held = self._row_type()
        held.assign(self[key].to_dict(defaults=False))
        del self[key]
        return held

    def popitem(self) -> tuple[str, R]:
        """Delete the first row and return its key and what it held; raises KeyError if there is none."""
        key = next(iter(self), None)
        if key is None:
            raise KeyError(f"{self.name} is empty")
        return key, self.pop(key)

    def clear(self) -> None:
        """Delete every row in one transaction."""
        with self.document.transaction():
            for key in list(self):
                del self[key]

    def assign(self, value: Mapping[str, Any]) -> None:
        """Make these the rows: others are deleted, and in each only what differs is written."""
        check_mapping(value, self.name)
        with self.document.transaction():
            for key in [key for key in self if key not in value]:
                del self[key]
            for key, row in value.items():
                self._assign_row(key, row)

    def _assign_row(self, key: str, row: Any) -> None:
        if key not in self:
            self[key] = row
        else:
            self._row(key).assign(
                cast("Row", row).to_dict(defaults=False) if isinstance(row, self._row_type) else row, others=True
            )

    def field_at(self, key: str, path: str) -> Field | None:
        """Return the field at a path below a row."""
        row = self._row(key)
        if key not in self:
            self._rows.pop(key, None)
        return row.field_at(path)

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Call a listener with every change of the rows and of their fields from now on; returns how to stop it."""
        inside = f"{self.name}/"
        self.open_texts()

        def heard(change: Change) -> None:
            if change.field == self.name:
                self.opened(change)
                listener(change)
            elif change.field.startswith(inside):
                listener(self._typed_below(change, change.field.removeprefix(inside)))

        return self.document.on_change(heard)

    def open_texts(self) -> None:
        """Open the texts of all rows, so that edits of them are told."""
        for row in self.values() if self._has_texts else ():
            row.open_texts()

    def opened(self, change: Change) -> None:
        """Open the texts of a row that a change says has come, unless Yjs is at work."""
        if self._has_texts and change.new and self.document.is_free and change.key in self:
            self[change.key].open_texts()

    def _typed_below(self, change: Change, path: str) -> Change:
        key, _, rest = path.partition("/")
        field = self.field_at(unescape(key), rest)
        return change if field is None or field.kind != change.kind else field.typed_change(change)

    def typed_change(self, change: Change) -> Change:
        """Return a change of which rows there are, as it is."""
        return change

    def conflicts(self) -> list[Conflict]:
        """List the cells of all rows that are in conflict."""
        return [conflict for row in self.values() for conflict in row.conflicts()]

    def resolve(self, strategy: Strategy = last_writer, key: str | None = None) -> list[Conflict]:
        """Settle the conflicts of all rows, or of one, in one transaction, and return them as they were."""
        with self.document.transaction():
            rows = list(self.values()) if key is None else [self[key]]
            return [conflict for row in rows for conflict in row.resolve(strategy)]

    def violations(self) -> Iterator[Violation]:
        """Yield the stored values that do not fit the rows' fields."""
        return iter([violation for row in self.values() for violation in row.violations()])


def _is_live(found: Cells | Items) -> bool:
    # A place that outlived its item shows nothing.
    return len(found) > 0 and not (isinstance(found, Cells) and found.kind == PLACE)
