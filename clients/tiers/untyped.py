"""State without a class: one map that holds whatever can be stored."""

from collections.abc import Iterator
from typing import Any

from comity.crdt_types import ABSENT, Map, State

from .keys import Cell, Keys
from .pattern import Matcher, matcher


class Untyped(State, name="untyped"):
    """What a tier holds that was opened without a State class: values by key, each merging on its own."""

    values: Map[Any]


class UntypedKeys(Keys):
    """The keys of a tier without a class: those of its map, as they are.

    Args:
        state: the state.
    """

    def __init__(self, state: Untyped) -> None:
        self._values = state.values

    def read(self, key: object) -> Any:
        """Return the value of a key."""
        return self._values[key]  # type: ignore[index]  # another object is no key, and not there

    def write(self, key: str, value: Any) -> None:
        """Write a key."""
        self._values[key] = value

    def delete(self, key: str) -> None:
        """Delete a key."""
        del self._values[key]

    def clear(self) -> None:
        """Delete every key."""
        self._values.clear()

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield every key with its value."""
        return iter(self._values.items())

    def at(self, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Yield a key with its value, or all of them."""
        if len(names) == 1:
            yield from self.items()
        elif (value := self._values.get(names[1], ABSENT)) is not ABSENT:
            yield names[1], value

    def spot(self, key: str) -> Cell:
        """Return the map and the key."""
        return self._values.name, key

    def key(self, path: str, cell: Any = None) -> str:
        """Return the key of a cell of the map."""
        return path if cell is None else str(cell)

    def matcher(self, pattern: str) -> Matcher:
        """Return a function that tells whether a key matches."""
        return matcher(pattern, escaped=False)

    def cells(self, key: str) -> list[Cell]:
        """Return the cell of a key."""
        return [(self._values.name, key)]

    def reliance(self, key: str) -> Cell:
        """Return the map and the key."""
        return self.spot(key)

    def put(self, key: str, value: Any) -> None:
        """Write a key, or delete it."""
        if value is not ABSENT:
            self._values[key] = value
        elif key in self._values:
            del self._values[key]
