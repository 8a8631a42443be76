"""Migrations: what becomes of the data of an older version of a schema, in the words of its class."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..document.cells import Cells, Items
from ..document.clock import MAX_STAMP
from ..document.entry import CELL, COUNTER, ELEMENT, ITEM, LISTED, PLACE, REGISTER, Entry
from ..document.path import escape
from ..document.position import Positions
from ..document.statedocument import StateDocument
from ..document.steps import totals_of
from ..document.values import canonical
from ..errors import SchemaError

# Methods below bear the names of the builtins.
_Values = list[Any]
_Keys = list[str]
_Entries = list[Entry]


@dataclass(frozen=True)
class Migration:
    """A step from one version of a schema to a later one, as `migration` makes it.

    Attributes:
        since: the version that it starts from.
        to: the version that it leads to.
        backward: whether the older version can still read what it leaves.
        function: gets what there is and writes what shall be.
    """

    since: int
    to: int
    backward: bool
    function: "Callable[[Before, After], object]"


def migration(since: int, to: int, *, backward: bool) -> "Callable[[Callable[[Before, After], object]], Migration]":
    """Declare a function as a migration, for the ``migrations`` of a State class.

    The function gets `Before`, what the older version left, and `After`, which it tells what shall be. It must be
    deterministic: by what it reads alone, without a clock, chance, or anything from outside, and may be called more
    than once.

    Args:
        since: the version that it starts from.
        to: the version that it leads to.
        backward: whether the older version goes on reading and writing its own fields beside the new ones; then the
            migration may only add. If not, the older version refuses the document from then on.

    Raises: SchemaError, if it does not lead to a later version.
    """
    if not 0 < since < to:
        raise SchemaError("not a step to a later version", subject=f"migration {since}>{to}", remedy="count from 1 up")

    def declare(function: Callable[[Before, After], object]) -> Migration:
        return Migration(since, to, backward, function)

    return declare


class Before:
    """What the older version of a schema left in a document, as plain data; fields are named by their paths.

    Args:
        document: the document.
        newer: the client ids of the sessions that wrote as a newer version, which are left out.
    """

    def __init__(self, document: StateDocument, newer: Collection[int]) -> None:
        self._document = document
        self._newer = newer

    def register(self, field: str, default: Any = None) -> Any:
        """Return the value of a register; the default if there is none."""
        entries = self.cells(REGISTER, field).get(None)
        return entries[0].value if entries else default

    def map(self, field: str) -> dict[str, Any]:
        """Return the keys and values of a map, by key."""
        return {key: entries[0].value for key, entries in self.cells(CELL, field).items()}

    def set(self, field: str) -> _Values:
        """Return the elements of a set in a fixed order."""
        return [entries[0].value for entries in self.cells(ELEMENT, field).values()]

    def counter(self, field: str) -> int:
        """Return the sum of a counter."""
        totals = [totals_of(entries) for entries in self.cells(COUNTER, field).values()]
        return sum(plus - minus for plus, minus in totals)

    def log(self, field: str) -> _Values:
        """Return the items of a log in order."""
        return [entry.value for entry in self.items(field)]

    def list(self, field: str) -> _Values:
        """Return the items of a list in order."""
        items, places = self.cells(LISTED, field), self.cells(PLACE, field)
        position = {key: places[key][0].data if key in places else key for key in items}
        return [items[key][0].value for key in sorted(items, key=lambda key: (position[key], key))]

    def text(self, field: str) -> str:
        """Return a text."""
        return self._document.text(field).value

    def rows(self, field: str) -> _Keys:
        """Return the keys of the rows of a map of states, by key; their fields' paths are ``field/key/name``."""
        below = self._document.index.below(field)
        written = [key for key, fields in below.items() if any(any(self._old(found)) for found in fields)]
        return sorted({*written, *(key for key in self.set(field) if isinstance(key, str))})

    def paths(self, field: str) -> _Keys:
        """Return the paths that a path with ``*`` in place of rows' keys stands for; without, itself."""
        found = [""]
        for part in field.split("/"):
            if part == "*":
                found = [f"{above}{escape(key)}/" for above in found for key in self.rows(above[:-1])]
            else:
                found = [f"{above}{part}/" for above in found]
        return [path[:-1] for path in found]

    def holds(self, field: str) -> bool:
        """Tell whether a register, map, set, log or list holds anything."""
        return any(self.cells(kind, field) for kind in _CELLS) or bool(self.items(field))

    def cells(self, kind: int, field: str) -> dict[Any, tuple[Entry, ...]]:
        """Return the live entries of a field's cells in a fixed order."""
        found = self._document.index.fields.get((kind, field))
        if found is None:
            return {}
        old = {key: tuple(filter(self._is_old, entries)) for key, entries in found.items()}
        return {key: old[key] for key in sorted(old, key=_key_order) if old[key]}

    def items(self, field: str) -> _Entries:
        """Return the live entries of a log in order."""
        found = self._document.index.logs.get(field)
        return [] if found is None else list(self._old(found))

    def _old(self, found: Cells | Items) -> Iterator[Entry]:
        entries = found.entries if isinstance(found, Items) else (each for cell in found.values() for each in cell)
        return filter(self._is_old, entries)

    def _is_old(self, entry: Entry) -> bool:
        return entry.client not in self._newer

    def last_stamp(self) -> int:
        """Return the greatest stamp of all that the older version left."""
        index = self._document.index
        everything: list[Cells | Items] = [*index.fields.values(), *index.logs.values()]
        return max((entry.stamp for found in everything for entry in self._old(found)), default=0)


_CELLS: Final = (REGISTER, CELL, LISTED, ELEMENT)


def _key_order(key: Any) -> tuple[str, Any]:
    return type(key).__name__, key


Step = tuple[str, int, str, Any, Any, int]
"""One step of a migration: what to do, the kind, the field, the key, the value, the stamp."""


class After:
    """Takes the edits of a migration; fields are named by their paths.

    Args:
        before: what there is.
        backward: whether the older version shall still read it: then nothing may be overwritten or deleted.
        name: of the migration, for errors.

    Every edit raises SchemaError where a backward migration would take something away, and InvalidValueError for a
    value that cannot be stored.
    """

    def __init__(self, before: Before, backward: bool, name: str) -> None:
        self.steps: list[Step] = []
        self.carried: dict[str, str] = {}
        self._before = before
        self._backward = backward
        self._name = name
        self._stamp = before.last_stamp()
        self.consumed: set[str] = set()
        self._positions: dict[str, tuple[Positions, str | None]] = {}

    @property
    def last_stamp(self) -> int:
        """The greatest stamp so far."""
        return self._stamp

    def _tick(self) -> int:
        self._stamp = min(self._stamp + 1, MAX_STAMP)
        return self._stamp

    def _write(self, kind: int, field: str, key: Any, value: Any, stamp: int) -> None:
        canonical(value)  # raises what cannot be stored
        if self._backward and key in self._before.cells(kind, field):
            raise self._takes_away(field)
        self.steps.append(("write", kind, field, key, value, stamp))

    def _erase(self, kind: int, field: str, key: Any) -> None:
        if self._backward:
            raise self._takes_away(field)
        self.steps.append(("erase", kind, field, key, None, 0))

    def _takes_away(self, field: str) -> SchemaError:
        return SchemaError(
            f"a backward migration overwrites or deletes {field!r}", subject=self._name, remedy="write to a new field"
        )

    # Single edits -----------------------------------------------------------------------------------------------

    def set(self, field: str, value: Any) -> None:
        """Write a register."""
        self._write(REGISTER, field, None, value, self._tick())

    def clear(self, field: str) -> None:
        """Clear a register."""
        self._erase(REGISTER, field, None)

    def put(self, field: str, key: str, value: Any) -> None:
        """Write a key of a map."""
        self._write(CELL, field, key, value, self._tick())

    def delete(self, field: str, key: str) -> None:
        """Delete a key of a map."""
        self._erase(CELL, field, key)

    def add(self, field: str, element: Any) -> None:
        """Add an element to a set; a row's key to a map of rows."""
        self.steps.append(("write", ELEMENT, field, canonical(element), element, 0))

    def discard(self, field: str, element: Any) -> None:
        """Remove an element from a set."""
        self._erase(ELEMENT, field, canonical(element))

    def count(self, field: str, amount: int) -> None:
        """Add to a counter.

        If several replicas migrate different contents, the amount of the one that knew the latest write holds; a
        counter that is merely renamed stays exact (see `rename`).
        """
        if amount:
            self.steps.append(("write", COUNTER, field, None, amount, 0))

    def append(self, field: str, value: Any) -> None:
        """Append an item to a log."""
        self._write(ITEM, field, None, value, self._tick())

    def push(self, field: str, value: Any) -> None:
        """Append an item to a list that is new."""
        made, last = self._positions.get(field, (Positions(0), None))
        position = made.between(last, None)
        self._positions[field] = made, position
        self._write(LISTED, field, position, value, self._tick())

    # Whole fields -----------------------------------------------------------------------------------------------

    def rename(self, field: str, to: str, convert: Callable[[Any], Any] | None = None) -> None:
        """Move all that a field holds to another name, with its stamps, so that order and times stay.

        The old field is emptied, unless the migration is backward. A counter's old entries always stay: they are what
        makes the new one exact, whoever migrates.

        Args:
            field: the path of a register, map, set, log, list or counter; ``*`` in place of a key stands for all rows.
            to: the path that it shall have, with ``*`` as often.
            convert: makes the new value of each old one.

        Raises: SchemaError, for a counter with ``convert``.
        """
        if not self._backward:
            self.consumed.add(field)
        for path in self._before.paths(field):
            self._rename_one(path, _like(path, field, to), convert)

    def _rename_one(self, field: str, to: str, convert: Callable[[Any], Any] | None) -> None:
        if (total := self._before.counter(field)) or not self._before.holds(field):
            self._carry_counter(field, to, total, convert)
        for kind in _CELLS:
            for key, entries in self._before.cells(kind, field).items():
                self._carry_cell(kind, field, to, key, entries[0], convert)
        for key, entries in self._before.cells(PLACE, field).items():
            self._carry_cell(PLACE, field, to, key, entries[0], None)
        for entry in self._before.items(field):
            self._write(ITEM, to, None, _converted(entry.value, convert), entry.stamp)
        if self._before.items(field) and not self._backward:
            self._erase(ITEM, field, None)

    def _carry_counter(self, field: str, to: str, total: int, convert: Any) -> None:
        if convert is None and field != to:
            self.carried[to] = field
            self.count(to, total)
        elif total:
            raise SchemaError(
                f"the counter {field!r} cannot be converted", subject=self._name, remedy="count() on a new one"
            )

    def _carry_cell(self, kind: int, field: str, to: str, key: Any, entry: Entry, convert: Any) -> None:
        value = _converted(entry.value if kind != PLACE else entry.data, convert)
        if not self._backward:
            self._erase(kind, field, key)
        new_key = canonical(value) if kind == ELEMENT else key
        self._write(kind, to, new_key, value, entry.stamp)

    def convert(self, field: str, function: Callable[[Any], Any]) -> None:
        """Replace each value that a register, map, set, log or list holds; of a migration that is not backward."""
        self.rename(field, field, function)

    def drop(self, field: str) -> None:
        """Delete all that a register, map, set, log or list holds; what a counter counted stays, unread.

        ``*`` in the path stands for all rows, as in `rename`.
        """
        if self._backward:
            raise self._takes_away(field)
        self.consumed.add(field)
        for path in self._before.paths(field):
            for kind in (*_CELLS, PLACE):
                for key in self._before.cells(kind, path):
                    self._erase(kind, path, key)
            if self._before.items(path):
                self._erase(ITEM, path, None)


def _converted(value: Any, convert: Callable[[Any], Any] | None) -> Any:
    return value if convert is None else convert(value)


def _like(path: str, pattern: str, other: str) -> str:
    """Return another pattern with the keys that one pattern has in a path."""
    keys = (part for part, star in zip(path.split("/"), pattern.split("/"), strict=True) if star == "*")
    return "/".join(next(keys, "*") if part == "*" else part for part in other.split("/"))
