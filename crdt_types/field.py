"""What the typed fields of a State have in common: a declaration that becomes a field when a document is opened."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from .changes import Conflict, Kind, Violation
from .document import StateDocument
from .entry import Entry
from .errors import InvalidValueError, StateError
from .index import Cells
from .values import Codec


class Field(ABC):
    """A typed field: as written in a State class a declaration, in an opened State bound to its document.

    Attributes:
        kind: the name of the type, as it stands in changes.
    """

    kind: ClassVar[Kind]

    _document: StateDocument | None = None
    name: str = ""

    def bind(self, document: StateDocument, name: str, annotation: Any) -> Self:
        """Return this declaration as a field of a document.

        Raises: SchemaError, if the values' type cannot be validated.
        """
        field = self._copy()
        field._document = document
        field.name = name
        field._codec = Codec(annotation, name)
        field._attach(document)
        return field

    _codec: Codec

    def _copy(self) -> Self:
        return type(self)()

    @abstractmethod
    def _attach(self, document: StateDocument) -> None:
        """Take hold of what the field reads from."""

    @property
    def document(self) -> StateDocument:
        """The document that the field belongs to; raises StateError for a mere declaration."""
        if self._document is None:
            raise self._unbound()
        return self._document

    def _unbound(self) -> StateError:
        return StateError(
            "this is a declaration, not a field of an opened state",
            subject=type(self).__name__,
            remedy="open the State class with client.open() or bind it to a StateDocument",
        )

    @property
    @abstractmethod
    def value(self) -> Any:
        """What the field holds, as plain data."""

    def conflicts(self) -> list[Conflict]:
        """List the cells of this field that hold several concurrent values."""
        return []

    def violations(self) -> Iterator[Violation]:
        """Yield the stored values that do not fit this field's type."""
        return iter(())

    def typed(self, plain: Any) -> Any:
        """Return plain data as this field's type, or unchanged if it does not fit."""
        try:
            return self._codec.read(plain)
        except InvalidValueError:
            return plain

    def __repr__(self) -> str:
        if self._document is None:
            return f"{type(self).__name__}()"
        return f"<{type(self).__name__} {self.name} {self.value!r}>"


class CellField(Field):
    """A field whose values lie in cells, of which each is read by its first entry that fits the type."""

    _cells: Cells

    def _read(self, entries: tuple[Entry, ...]) -> tuple[bool, Any]:
        """Return whether one of a cell's entries fits the type, and its value."""
        for entry in entries:
            try:
                return True, self._codec.read(entry.value)
            except InvalidValueError:
                continue
        return False, None

    def conflicts(self) -> list[Conflict]:
        """List the cells of this field that hold several concurrent values."""
        return list(self.document.index.conflicts_in(self._cells))

    def violations(self) -> Iterator[Violation]:
        """Yield the stored values that do not fit this field's type."""
        for entries in list(self._cells.values()):
            yield from violations_of(self, entries, self._codec)


def violations_of(field: Field, entries: tuple[Entry, ...], codec: Codec) -> Iterator[Violation]:
    """Yield those of some entries whose values do not fit a type."""
    for entry in entries:
        try:
            codec.read(entry.value)
        except InvalidValueError as error:
            author = field.document.index.author(entry.client) or ""
            yield Violation(field.name, entry.key, entry.value, author, error.what)
