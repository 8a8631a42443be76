"""A map: a register for every key."""

from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any, ClassVar, Self, TypeVar

from ..document.changes import ABSENT, Kind
from ..document.entry import CELL
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError
from .field import CellField
from .resolution import Strategy
from .shape import check_mapping

V = TypeVar("V")


class Map(CellField, MutableMapping[str, V]):
    """A mapping from strings to values, each key merging on its own; a write concurrent with a deletion survives.

    It is a ``MutableMapping``; iteration is in the order of the keys and goes over what there was when it began. In a
    State, ``Map[V]`` with a State class for V is a `RowMap`.

    Args:
        on_conflict: decides what is read of a key while concurrent values are live; the last writer's if None.
    """

    kind: ClassVar[Kind] = "map"

    def __init__(self, *, on_conflict: Strategy | None = None) -> None:
        self.on_conflict = on_conflict

    def _copy(self) -> Self:
        return type(self)(on_conflict=self.on_conflict)

    def _attach(self, document: StateDocument) -> None:
        self._follow(document.index.cells(CELL, self.name))

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
        check_key(key, self.name)
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

    def _pairs(self) -> list[tuple[str, V]]:
        """Return the keys with their values, each of which is read once."""
        read = [(key, self._read(self._cells[key])) for key in sorted(self._cells)]
        return [(key, value) for key, (fits, value) in read if fits]

    def items(self) -> ItemsView[str, V]:
        """Return the keys with their values; each iteration goes over what there is when it begins."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return the values; each iteration goes over what there is when it begins."""
        return _Values(self)

    def update(self, *args: Any, **kwargs: V) -> None:
        """Write several keys in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            super().update(*args, **kwargs)

    def clear(self) -> None:
        """Delete every key in one transaction."""
        with self.document.transaction():
            for key in list(self._cells):
                self.document.delete_cell(self.name, key)

    def assign(self, value: Mapping[str, V]) -> None:
        """Make these the keys and values: others are deleted, equal ones left alone."""
        check_mapping(value, self.name)
        with self.document.transaction():
            for key in [key for key in self._cells if key not in value]:
                self.document.delete_cell(self.name, key)
            for key, wanted in value.items():
                if not self._holds(key, wanted):
                    self[key] = wanted

    def settle(self, key: str | None, value: Any) -> None:
        """Write a key, or delete it if the value is ABSENT."""
        assert key is not None
        if value is ABSENT:
            self.document.delete_cell(self.name, key)
        else:
            self[key] = value


class _Items(ItemsView[str, V]):
    _mapping: Map[V]

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return iter(self._mapping._pairs())  # pyright: ignore[reportPrivateUsage]


class _Values(ValuesView[V]):
    _mapping: Map[V]

    def __iter__(self) -> Iterator[V]:
        return iter([value for _key, value in self._mapping._pairs()])  # pyright: ignore[reportPrivateUsage]


def is_text(key: str) -> bool:
    """Tell whether a string is text: one with a lone surrogate is not."""
    return key.isascii() or key.encode("utf-8", "replace").decode() == key


def check_key(key: object, field: str) -> None:
    """Raise InvalidValueError if a key is not a string that every replica can hold."""
    if not isinstance(key, str):
        raise InvalidValueError(f"{key!r} is not a string", subject=f"key of {field}")
