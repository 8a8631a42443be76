"""A map: a register for every key."""

from collections.abc import Iterator, MutableMapping
from typing import Any, ClassVar, TypeVar

from .changes import Kind
from .document import StateDocument
from .entry import CELL
from .errors import InvalidValueError
from .field import CellField

V = TypeVar("V")


class Map(CellField, MutableMapping[str, V]):
    """A mapping from strings to values, each key merging on its own; a write concurrent with a deletion survives.

    It is a ``MutableMapping``; iteration is in the order of the keys and goes over what there was when it began.
    """

    kind: ClassVar[Kind] = "map"

    def _attach(self, document: StateDocument) -> None:
        self._cells = document.index.cells(CELL, self.name)

    @property
    def value(self) -> dict[str, V]:
        """All keys and their values, as a dict."""
        return dict(self.items())

    def __getitem__(self, key: str) -> V:
        fits, value = self._read(self._cells.get(key, ()))
        if not fits:
            raise KeyError(key)
        found: V = value
        return found

    def __setitem__(self, key: str, value: V) -> None:
        if not isinstance(key, str):
            raise InvalidValueError(f"{key!r} is not a string", subject=f"key of {self.name}")
        self.document.set_cell(self.name, key, self._codec.checked(value))

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.document.delete_cell(self.name, key)

    def __iter__(self) -> Iterator[str]:
        return iter([key for key in sorted(self._cells) if key in self])

    def __len__(self) -> int:
        return sum(1 for entries in list(self._cells.values()) if self._read(entries)[0])

    def __contains__(self, key: object) -> bool:
        return self._read(self._cells.get(key, ()))[0]

    def update(self, *args: Any, **kwargs: V) -> None:
        """Write several keys in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            super().update(*args, **kwargs)

    def clear(self) -> None:
        """Delete every key in one transaction."""
        with self.document.transaction():
            for key in list(self._cells):
                self.document.delete_cell(self.name, key)
