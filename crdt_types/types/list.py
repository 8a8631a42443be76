"""A list: items in an order that anybody changes anywhere, each item a register with a place of its own."""

from collections.abc import Iterable, Iterator, MutableSequence
from typing import Any, ClassVar, Self, TypeVar, overload

from ..document.cells import Order
from ..document.changes import ABSENT, Kind
from ..document.entry import LISTED
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError
from .field import ByValue, CellField
from .resolution import Strategy
from .shape import check_items

T = TypeVar("T")


class List(ByValue, CellField, MutableSequence[T]):
    """A list of which every item can be overwritten, moved and removed on its own.

    It is a ``MutableSequence``. An item of another type than the declared one is read as it is stored, and listed in
    `violations`. An item keeps its id when it is overwritten or moved, so two agents that move one item
    at once leave one item, in one of the two places, and one that moves what another overwrites loses neither. What
    two agents insert at one place stands one run after the other. A removal leaves alone what it has not seen.

    Args:
        on_conflict: decides what is read of an item while concurrent values are live; the last writer's if None.

    Source: the order is that of M. Weidner, M. Kleppmann, "The Art of the Fugue" (2023), see `position`; a move is a
    write of a register, after M. Kleppmann, "Moving Elements in List CRDTs" (2020).
    """

    kind: ClassVar[Kind] = "list"

    _order: Order

    def __init__(self, *, on_conflict: Strategy | None = None) -> None:
        self.on_conflict = on_conflict

    def _copy(self) -> Self:
        return type(self)(on_conflict=self.on_conflict)

    def _attach(self, document: StateDocument) -> None:
        self._follow(document.index.cells(LISTED, self.name))
        assert self._cells.order is not None
        self._order = self._cells.order

    @property
    def value(self) -> list[T]:
        """All items, as a list."""
        return list(self)

    def id_of(self, index: int) -> str:
        """Return the id of an item, which stays the same for its life; raises IndexError if there is none."""
        return self._order.entries[index][1]

    def index_of(self, id: str) -> int:
        """Return where the item with an id stands; raises ValueError if there is none."""
        if id not in self._cells:
            raise ValueError(f"{id!r} is not the id of an item of {self.name}")
        return self._order.index_of(id)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        entries = self._order.entries
        if isinstance(index, slice):
            return [self._item(key) for _position, key in entries[index]]
        return self._item(entries[index][1])

    def _item(self, key: str) -> T:
        entries = self._cells[key]
        fits, value = self._read(entries)
        item: T = value if fits else entries[0].value
        return item

    def __iter__(self) -> Iterator[T]:
        return iter([self._item(key) for _position, key in self._order.entries])

    def __len__(self) -> int:
        return len(self._order.entries)

    @overload
    def __setitem__(self, index: int, value: T) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[T]) -> None: ...

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, int):
            self.document.put_item(self.name, self.id_of(index), self._codec.checked(value))
            return
        values = list(value)
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise InvalidValueError("a slice with a step", subject=self.name, remedy="overwrite item by item")
        with self.document.transaction():
            self._splice(start, max(start, stop), values)

    def _splice(self, start: int, stop: int, values: list[T]) -> None:
        """Overwrite items in place as far as there are any, and remove or insert the rest."""
        ids = [key for _position, key in self._order.entries]
        common = min(stop - start, len(values))
        for key, value in zip(ids[start : start + common], values[:common], strict=True):
            if not self._holds(key, value):
                self.document.put_item(self.name, key, self._codec.checked(value))
        for key in ids[start + common : stop]:
            self.document.remove_item(self.name, key)
        for at, value in enumerate(values[common:], start + common):
            self.insert(at, value)

    def __delitem__(self, index: int | slice) -> None:
        entries = self._order.entries
        with self.document.transaction():
            for _position, key in entries[index] if isinstance(index, slice) else [entries[index]]:
                self.document.remove_item(self.name, key)

    def insert(self, index: int, value: T) -> None:
        """Insert an item before a position, which is counted from the end if it is negative, as that of a list.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        size = len(self)
        at = max(size + index, 0) if index < 0 else min(index, size)
        plain = self._codec.checked(value)
        self.document.put_item(self.name, self._position(at), plain)

    def append(self, value: T) -> None:
        """Append an item; raises what `insert` raises."""
        self.insert(len(self), value)

    def extend(self, values: Iterable[T]) -> None:
        """Append several items in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            for value in list(values):
                self.append(value)

    def _position(self, at: int, without: int | None = None) -> str:
        """Return a new position before an index, in the list as it is without one of its items."""
        entries = self._order.entries
        size = len(entries) - (without is not None)

        def neighbour(index: int) -> str | None:
            skipped = index if without is None or index < without else index + 1
            return entries[skipped][0] if 0 <= index < size else None

        return self.document.positions.between(neighbour(at - 1), neighbour(at))

    def move(self, index: int, to: int) -> None:
        """Move an item so that it stands at another index afterwards; raises IndexError if one of them is outside."""
        size = len(self)
        if not (-size <= index < size and -size <= to < size):
            raise IndexError(f"from {index} to {to} in a list of {size}")
        index, to = index % size, to % size
        if index != to:
            self.document.place_item(self.name, self.id_of(index), self._position(to, without=index))

    def clear(self) -> None:
        """Remove every item in one transaction."""
        del self[:]

    def reverse(self) -> None:
        """Turn the order around, by moves, in one transaction."""
        entries = self._order.entries.copy()
        front = entries[0][0] if entries else None
        with self.document.transaction():
            for _position, key in entries[1:]:
                front = self.document.positions.between(None, front)
                self.document.place_item(self.name, key, front)

    def assign(self, value: Iterable[T]) -> None:
        """Make these the items: what stands at both ends alike is left alone, the rest overwritten in place."""
        check_items(value, self.name)
        wanted, ids = list(value), [key for _position, key in self._order.entries]
        start = self._alike(ids, wanted)
        end = self._alike(ids[start:][::-1], wanted[start:][::-1])
        self[start : len(ids) - end] = wanted[start : len(wanted) - end]

    def _alike(self, ids: list[str], wanted: list[T]) -> int:
        """Return how many items hold what is wanted, from the first one on."""
        pairs = enumerate(zip(ids, wanted, strict=False))
        return next((at for at, pair in pairs if not self._holds(*pair)), min(len(ids), len(wanted)))

    def settle(self, key: str | None, value: Any) -> None:
        """Write an item by its id, or remove it if the value is ABSENT."""
        assert key is not None
        if value is ABSENT:
            self.document.remove_item(self.name, key)
        else:
            self.document.put_item(self.name, key, self._codec.checked(value))
