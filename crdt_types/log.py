"""A log: items are only appended, and read in one order everywhere, until they are pruned."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar, overload

from .changes import Kind, Violation
from .document import StateDocument
from .entry import Entry
from .errors import InvalidValueError
from .field import Field, violations_of
from .index import Items

T = TypeVar("T")


class Log(Field, Sequence[T]):
    """A sequence of items in the order of their hybrid clock stamps; what one agent appends stays in its order.

    It is a ``Sequence``. An item that was appended elsewhere at an earlier moment takes its place there when it
    arrives. An item of another type than the declared one is read as it is stored, and listed in `violations`.
    """

    kind: ClassVar[Kind] = "log"

    _items: Items

    def _attach(self, document: StateDocument) -> None:
        self._items = document.index.items(self.name)

    @property
    def value(self) -> list[T]:
        """All items, as a list."""
        return list(self)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._read(entry) for entry in self._items.entries[index]]
        item: T = self._read(self._items.entries[index])
        return item

    def __iter__(self) -> Iterator[T]:
        return map(self._read, tuple(self._items.entries))

    def __len__(self) -> int:
        return len(self._items.entries)

    def _read(self, entry: Entry) -> Any:
        return self.typed(entry.value)

    def append(self, value: T) -> None:
        """Append an item.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        self.document.append_item(self.name, self._codec.checked(value))

    def extend(self, values: Iterable[T]) -> None:
        """Append several items in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            for value in values:
                self.append(value)

    def prune(self, keep: int) -> int:
        """Delete all but the newest items, and return how many went.

        Args:
            keep: how many items to keep, at least 0.

        Raises: InvalidValueError, if `keep` is negative.
        """
        if keep < 0:
            raise InvalidValueError(f"{keep} is negative", subject=f"prune of {self.name}", remedy="keep 0 or more")
        old = self._items.entries[: max(len(self) - keep, 0)]
        self.document.prune_items(self._items, old)
        return len(old)

    def violations(self) -> Iterator[Violation]:
        """Yield the stored items that do not fit this field's type."""
        return violations_of(self, tuple(self._items.entries), self._codec)
