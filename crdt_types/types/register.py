"""A register: one value, the last write wins, concurrent writes stay visible until the next."""

from typing import Any, ClassVar, Generic, Self, TypeVar

from ..document.changes import ABSENT, Absent, Kind
from ..document.entry import REGISTER
from ..document.statedocument import StateDocument
from ..errors import InvalidValueError, SchemaError
from .field import ByValue, CellField
from .resolution import Strategy

T = TypeVar("T")


class Register(ByValue, CellField, Generic[T]):
    """One value: of concurrent writes the one with the greatest hybrid clock stamp is read, the same everywhere.

    Args:
        default: what is read while nothing was written.
        on_conflict: decides what is read while concurrent values are live; the last writer's if None.
    """

    kind: ClassVar[Kind] = "register"

    def __init__(self, *, default: T | None = None, on_conflict: Strategy | None = None) -> None:
        self.default = default
        self.on_conflict = on_conflict

    def _copy(self) -> Self:
        return type(self)(default=self.default, on_conflict=self.on_conflict)

    def _attach(self, document: StateDocument) -> None:
        self._follow(document.index.cells(REGISTER, self.name))
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

    @property
    def written(self) -> T | Absent:
        """What was written and fits, `ABSENT` if that is nothing; the default does not count."""
        if self._document is None:
            raise self._unbound()
        fits, value = self._read(self._cells.get(None, ()))
        found: T | Absent = value if fits else ABSENT
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

    def assign(self, value: T | None) -> None:
        """Write the value, unless it is what is read already; None clears the register if its type has no None."""
        if value is None and not self._codec.takes_none:
            self.clear()
        elif not self._holds(None, value):
            self.set(value)  # type: ignore[arg-type]  # the codec says whether None fits

    def settle(self, key: str | None, value: Any) -> None:
        """Write the value, or clear the register if it is ABSENT."""
        if value is ABSENT:
            self.clear()
        else:
            self.set(value)
