"""Keys: the dotted names of the values of a state, and how values are read and written by them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from comity.crdt_types import Change

from .pattern import ESCAPE, SEPARATOR, Matcher

Cell = tuple[str, str | None]
"""A field's path and one of its cells; all of the field if that is None."""

_CACHED: Final = 4096  # keys that were taken apart; a busy agent uses some hundred again and again


def joined(parts: tuple[str, ...]) -> str:
    """Return the key of names, the outermost first; dots and backslashes in them are escaped."""
    return SEPARATOR.join(map(escaped, parts))


def escaped(part: str) -> str:
    """Return a name as it stands in a key."""
    if SEPARATOR not in part and ESCAPE not in part:
        return part
    return part.replace(ESCAPE, ESCAPE * 2).replace(SEPARATOR, ESCAPE + SEPARATOR)


@lru_cache(_CACHED)
def parted(key: str) -> tuple[str, ...]:
    """Return the names that a key is made of; none if it is no key."""
    if ESCAPE not in key:
        return tuple(key.split(SEPARATOR))
    parts, characters = [""], iter(key)
    for character in characters:
        if character == SEPARATOR:
            parts.append("")
            continue
        if character == ESCAPE:
            character = next(characters, "")
            if character not in (SEPARATOR, ESCAPE):
                return ()
        parts[-1] += character
    return tuple(parts)


class Keys(ABC):
    """Reads and writes what a state holds by key. It holds nothing itself: every call asks the state."""

    @abstractmethod
    def read(self, key: object) -> Any:
        """Return the value under a key; raises KeyError if nothing is there."""

    @abstractmethod
    def write(self, key: str, value: Any) -> None:
        """Make the value under a key another one, in one transaction.

        Raises: InvalidValueError, if it does not fit, or there cannot be such a key; nothing is written then.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Take away what is under a key; raises KeyError if nothing is there."""

    @abstractmethod
    def clear(self) -> None:
        """Take away all there is, in one transaction."""

    @abstractmethod
    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield each key with its value."""

    @abstractmethod
    def key(self, path: str, cell: Any = None) -> str:
        """Return the key of a field, or of one of its cells."""

    @abstractmethod
    def matcher(self, pattern: str) -> Matcher:
        """Return a function that tells whether a key matches a pattern."""

    @abstractmethod
    def at(self, names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Yield what lies at names, the outermost first, and below: each key with its value."""

    @abstractmethod
    def spot(self, key: str) -> Cell:
        """Return the path of what a key stands for, and of a map's key the map's path and the key.

        Raises: InvalidValueError, if there cannot be such a key.
        """

    @abstractmethod
    def cells(self, key: str) -> list[Cell]:
        """Return what the value under a key lies in; of a row or state, all but its texts.

        Raises: InvalidValueError, if there cannot be such a key, or it is that of a text.
        """

    @abstractmethod
    def reliance(self, key: str) -> Cell:
        """Return what a decision relies on that relies on a key. Raises what `cells` raises."""

    @abstractmethod
    def put(self, key: str, value: Any) -> None:
        """Write a register or map key, also where it holds that value already; delete it, if the value is ABSENT.

        Raises: InvalidValueError, if the value does not fit, or the key is that of anything else.
        """

    def key_of(self, change: Change) -> str:
        """Return the key of what a change tells of; of a row that came or went, the row's."""
        return self.key(change.field, change.key if change.kind == "map" or self._is_row(change) else None)

    def _is_row(self, _change: Change) -> bool:
        return False

    def matching(self, pattern: str) -> Iterator[tuple[str, Any]]:
        """Yield what matches a pattern."""
        matches = self.matcher(pattern)
        return ((key, value) for key, value in self._candidates(pattern) if matches(key))

    def _candidates(self, pattern: str) -> Iterator[tuple[str, Any]]:
        return self.items()
