"""Sets: one that grows only, and one that is observed-remove, in which an addition wins over a removal."""

from collections.abc import Iterable, Iterator, MutableSet, Set
from typing import Any, ClassVar, Self, TypeVar

from ..document.changes import Change, Kind
from ..document.entry import ELEMENT
from ..document.statedocument import StateDocument
from ..document.values import canonical
from ..errors import InvalidValueError
from .field import CellField
from .shape import check_items

T = TypeVar("T")


class GSet(CellField, Set[T]):
    """A set that only grows.

    It is a ``Set`` with `add` and `update`. Elements are told apart by how they are stored, so unhashable ones may be
    elements too; iteration is in a fixed order and goes over what there was when it began.

    Source: the G-set of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data types"
    (2011).
    """

    kind: ClassVar[Kind] = "set"

    def _attach(self, document: StateDocument) -> None:
        self._follow(document.index.cells(ELEMENT, self.name))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Any:
        return set(it)  # what `|`, `&` and the like return: plain data, bound to no document

    @property
    def value(self) -> list[T]:
        """The elements in a fixed order, as a list, since not all of them need be hashable."""
        return list(self)

    def __contains__(self, element: object) -> bool:
        try:
            return canonical(self._codec.checked(element)) in self._cells
        except InvalidValueError:
            return False

    def __iter__(self) -> Iterator[T]:
        found = [self._read(entries) for _key, entries in sorted(self._cells.items())]
        return iter([element for fits, element in found if fits])

    def __len__(self) -> int:
        return sum(1 for entries in list(self._cells.values()) if self._read(entries)[0])

    def add(self, value: T) -> None:
        """Add an element.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        self.document.add_element(self.name, self._codec.checked(value))

    def update(self, elements: Iterable[T]) -> None:
        """Add several elements in one transaction: all of them, or on an error none."""
        with self.document.transaction():
            for element in elements:
                self.add(element)

    def assign(self, value: Iterable[T]) -> None:
        """Add what is missing of these elements.

        Raises: InvalidValueError, if that would take an element out, which this set does not; nothing is written then.
        """
        wanted = self._keyed(value)
        if gone := [key for key in self._cells if key not in wanted]:
            raise InvalidValueError(
                f"{len(gone)} elements would go", subject=self.name, remedy="a GSet only grows; declare an ORSet"
            )
        self.update(element for key, element in wanted.items() if key not in self._cells)

    def _keyed(self, elements: Iterable[T]) -> dict[bytes, T]:
        check_items(elements, self.name)
        return {canonical(self._codec.checked(element)): element for element in elements}

    def typed_change(self, change: Change) -> Change:
        """Return a change of this field with its element as this field's type."""
        return change._replace(key=self.typed(change.key))

    def settle(self, key: str | None, value: Any) -> None:
        """Do nothing: a set has no conflicts."""

    def __ior__(self, it: Set[T]) -> Self:  # type: ignore[override, misc]  # a field holds one type of element
        self.update(it)
        return self

    def __repr__(self) -> str:
        return CellField.__repr__(self)


class ORSet(GSet[T], MutableSet[T]):
    """A set in which an addition wins over a concurrent removal.

    It is a ``MutableSet``; everything else is as in a `GSet`.

    Source: the OR-set of M. Shapiro et al., "A comprehensive study of convergent and commutative replicated data
    types" (2011); the Yjs item of an element's entry is its unique tag.
    """

    def add(self, value: T) -> None:
        """Add an element; added again, it outlives removals that have not seen this addition.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        super().add(value)

    def discard(self, value: T) -> None:
        """Remove an element if it is there."""
        try:
            plain = self._codec.checked(value)
        except InvalidValueError:
            return  # what does not fit cannot be there
        self.document.discard_element(self.name, plain)

    def clear(self) -> None:
        """Remove every element in one transaction."""
        with self.document.transaction():
            for entries in list(self._cells.values()):
                self.document.discard_element(self.name, entries[0].value)

    def assign(self, value: Iterable[T]) -> None:
        """Make these the elements: others are removed, those that are there left alone."""
        wanted = self._keyed(value)
        with self.document.transaction():
            for key, entries in list(self._cells.items()):
                if key not in wanted:
                    self.document.discard_element(self.name, entries[0].value)
            self.update(element for key, element in wanted.items() if key not in self._cells)

    # The operators in place are one transaction each.

    def __iand__(self, it: Set[Any]) -> Self:
        with self.document.transaction():
            return super().__iand__(it)

    def __isub__(self, it: Set[Any]) -> Self:
        with self.document.transaction():
            return super().__isub__(it)

    def __ixor__(self, it: Set[T]) -> Self:  # type: ignore[override, misc]
        with self.document.transaction():
            return super().__ixor__(it)
