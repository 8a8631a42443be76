"""A register: one value, the last write wins, concurrent writes stay visible until the next."""

from typing import Any, ClassVar, Generic, Self, TypeVar

from .changes import Kind
from .document import StateDocument
from .entry import REGISTER
from .errors import InvalidValueError, SchemaError
from .field import CellField

T = TypeVar("T")


class Register(CellField, Generic[T]):
    """One value: of concurrent writes the one with the greatest hybrid clock stamp is read, the same everywhere.

    Args:
        default: what is read while nothing was written.
    """

    kind: ClassVar[Kind] = "register"

    def __init__(self, *, default: T | None = None) -> None:
        self.default = default

    def _copy(self) -> Self:
        return type(self)(default=self.default)

    def _attach(self, document: StateDocument) -> None:
        self._cells = document.index.cells(REGISTER, self.name)
        if self.default is not None:
            self.default = self._checked_default(self.default)

    @property
    def value(self) -> T | None:
        """The value, else the default, else None; a new object at each read if it can be changed."""
        if self._document is None:
            raise self._unbound()
        fits, value = self._read(self._cells.get(None, ()))
        found: T | None = value if fits else self._default()
        return found

    def get(self, fallback: T) -> T:
        """Return the value, else the default, else what is given here."""
        value = self.value
        return fallback if value is None else value

    def _checked_default(self, default: Any) -> Any:
        try:
            return self._codec.checked(default)
        except InvalidValueError as error:
            raise SchemaError(f"a default that does not fit: {error.what}", subject=self.name) from None

    def _default(self) -> Any:
        return None if self.default is None else self._codec.read(self.default)

    @property
    def is_set(self) -> bool:
        """Whether anything was written and not cleared since."""
        return None in self._cells

    def set(self, value: T) -> None:
        """Write the value.

        Raises: InvalidValueError, if it does not fit; nothing is written then.
        """
        self.document.set_register(self.name, self._codec.checked(value))

    def clear(self) -> None:
        """Delete the value, so that the default is read; a concurrent write survives."""
        self.document.clear_register(self.name)
