"""A setting: a name in the configuration, with a type and a default."""

from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from comity.crdt_types.errors import InvalidValueError

T = TypeVar("T")


class Setting(Generic[T]):
    """A name in the configuration of a system, with the type of its value and what holds while nobody has set it.

    ::

        RATE = Setting("calls.rate", int, default=10)

    Args:
        name: the name.
        type: the type of the value, whatever pydantic validates that can be stored.
        default: what is read while nothing was set, or what was set is of another type.

    Raises: InvalidValueError, if the default does not fit the type.
    """

    def __init__(self, name: str, type: type[T], *, default: T) -> None:
        self.name = name
        self.type = type
        self._adapter: TypeAdapter[T] = TypeAdapter(type)
        self.default = default
        self.stored(default)

    def stored(self, value: object) -> Any:
        """Return a value as it is stored; raises InvalidValueError if it does not fit."""
        validated = self._validated(value)
        try:
            return self._adapter.dump_python(validated, mode="json")
        except ValueError as error:  # such as bytes that are no text
            raise self._misfit(value, str(error)) from None

    def read(self, stored: object) -> T:
        """Return a stored value as the setting's type; the default, if it does not fit."""
        try:
            return self._validated(stored)
        except InvalidValueError:
            return self.default

    def _validated(self, value: object) -> T:
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise self._misfit(value, error.errors()[0]["msg"]) from None

    def _misfit(self, value: object, why: str) -> InvalidValueError:
        return InvalidValueError(
            f"{value!r:.200} does not fit: {why}", subject=f"setting {self.name}", remedy="nothing was written"
        )

    def __repr__(self) -> str:
        return f"Setting({self.name!r}, {self.type!r}, default={self.default!r})"
