"""Values: what a field accepts, how it is stored as msgpack, and how it is read back."""

from collections.abc import Callable, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Annotated, Any, Final, get_origin
from uuid import UUID

import msgpack
from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from ..errors import InvalidValueError, SchemaError
from ..limits import MAX_DEPTH

SCALARS: Final = frozenset({str, int, float, bool, bytes, type(None)})
# Decodes msgpack to plain Python data; raises a ValueError of msgpack's own if it is not.
unpack: Final[Callable[[bytes], Any]] = partial(msgpack.unpackb, strict_map_key=False)
_MSGPACK_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError)


def pack(value: Any) -> bytes:
    """Encode a value as msgpack.

    Datetimes, times, dates, paths, UUIDs and decimals become text, durations seconds, enums their value, sets lists.

    Raises: InvalidValueError, if the value or a part of it cannot be stored.
    """
    try:
        packed: bytes = msgpack.packb(value, default=_storable)
    except _MSGPACK_ERRORS as error:
        raise _unstorable(type(value).__name__, error) from None
    return packed


# Kept between calls, which takes half the time of packb; it may not call back, so it is for scalars only.
_pack_scalars: Final[Callable[[Any], bytes]] = msgpack.Packer().pack


def pack_readable(fields: tuple[Any, ...], value: Any) -> bytes:
    """Encode an entry: its kind, its field's path and so on; and make sure that its value can be decoded again.

    Raises: InvalidValueError, if the value cannot be stored, or not be read: a dict may have a tuple for a key,
        msgpack makes a list of it, and a list is no key.
    """
    try:
        if type(value) in SCALARS:
            return _pack_scalars(fields)
        packed: bytes = msgpack.packb(fields, default=_storable)
        unpack(packed)
    except _MSGPACK_ERRORS as error:
        raise _unstorable(str(fields[1]), error) from None
    return packed


def _unstorable(subject: str, error: Exception) -> InvalidValueError:
    return InvalidValueError(
        f"a value that cannot be stored: {error}",
        subject=subject,
        remedy="store text, numbers below 2^64, bytes, lists, string-keyed dicts, or a pydantic model of these",
    )


def canonical(value: Any) -> bytes:
    """Encode a value so that equal values have equal bytes: map keys are sorted.

    Raises: InvalidValueError, if the value cannot be stored.
    """
    if type(value) in SCALARS:
        try:
            return _pack_scalars(value)
        except _MSGPACK_ERRORS as error:
            raise _unstorable(type(value).__name__, error) from None
    return pack(_sorted(unpack(pack(value))))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=pack)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _list(value: Any) -> list[Any]:
    return sorted(value, key=canonical)


_STORABLE: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    (BaseModel, lambda value: value.model_dump()),
    ((datetime, date, time), lambda value: value.isoformat()),
    (Enum, lambda value: value.value),
    ((UUID, Decimal, PurePath), str),
    (timedelta, lambda value: value.total_seconds()),
    (Set, _list),
)


def _storable(value: Any) -> Any:
    for types, convert in _STORABLE:
        if isinstance(value, types):
            return convert(value)
    raise TypeError(f"{type(value).__name__} has no stored form")


@lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


class Codec:
    """Validates the values of one field with pydantic, on the way in and on the way out.

    Args:
        annotation: the Python type of a value, anything that pydantic understands; Any accepts all that can be stored.
        subject: the field's name, for error messages.

    Raises: SchemaError, if pydantic cannot make a validator for the type.
    """

    __slots__ = ("_dump", "_exact", "_members", "_validate", "annotation", "plain", "subject")

    def __init__(self, annotation: Any, subject: str) -> None:
        self.annotation = annotation
        self.subject = subject
        try:
            adapter = _adapter(annotation)
        except TypeError:  # an annotation that cannot be hashed
            adapter = TypeAdapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            raise SchemaError(f"{annotation!r} is not a type that can be validated: {error}", subject=subject) from None
        self._validate = adapter.validate_python
        self._dump = adapter.dump_python
        # A scalar of exactly the declared type needs no validator: this is what keeps reads and writes short.
        self._exact: frozenset[Any] = frozenset({annotation} if annotation in SCALARS else ())
        if annotation is Any:
            self._exact = SCALARS

        self._members = _members(annotation)
        # What needs no conversion to be told of: exact values, and none.
        self.plain = self._exact | {type(None)}

    def is_exact(self, value: Any) -> bool:
        """Tell whether a value is a scalar of exactly the declared type."""
        return type(value) in self._exact

    @property
    def takes_none(self) -> bool:
        """Whether None is a value of the type."""
        try:
            return self._validate(None) is None
        except ValidationError:
            return False

    def same(self, one: Any, other: Any) -> bool:
        """Tell whether two values are stored alike; raises InvalidValueError if one does not fit."""
        return canonical(self.checked(one)) == canonical(self.checked(other))

    def checked(self, value: Any) -> Any:
        """Return the value as stored: validated, then as plain data.

        Raises: InvalidValueError, if it does not fit.
        """
        if type(value) in self._exact:
            return value
        if self._members and type(value) is self.annotation:
            return value.value
        try:
            valid = self._validate(value)
            if type(valid) in SCALARS:
                return valid
            if self._members and type(valid) is self.annotation:
                return valid.value
            # Objects are taken as they are, whatever is in their fields: what is stored is what must be readable.
            plain = self._dump(valid, warnings=False)
            self._validate(plain)
        except ValidationError as error:
            raise InvalidValueError(
                f"{value!r} does not fit {_name(self.annotation)}: {_first(error)}",
                subject=self.subject,
                remedy="nothing was written",
            ) from None
        _check_portable(plain, self.subject, MAX_DEPTH)
        return plain

    def read(self, plain: Any) -> Any:
        """Return stored plain data as the declared type.

        Raises: InvalidValueError, if it does not fit.
        """
        if type(plain) in self._exact:
            return plain
        if self._members and type(plain) is str and plain in self._members:
            return self._members[plain]
        try:
            return self._validate(plain)
        except Exception as error:  # the user's own validators meet what anybody stored, and may raise anything
            problem = _first(error) if isinstance(error, ValidationError) else repr(error)
            raise InvalidValueError(problem, subject=self.subject) from None


def _members(annotation: Any) -> dict[str, Enum]:
    """Return the members of an enum of strings by value, which need no validator; nothing of any other type."""
    if not isinstance(annotation, type) or not issubclass(annotation, StrEnum):
        return {}
    if hasattr(annotation, "__get_pydantic_core_schema__"):  # it has a validator of its own
        return {}
    return {member.value: member for member in annotation}


def _check_portable(value: Any, subject: str, depth: int) -> None:
    """Refuse what readers in JavaScript could not decode."""
    if not isinstance(value, (dict, list, tuple, Set)):
        return
    if not depth:
        raise InvalidValueError(
            f"a value nested deeper than {MAX_DEPTH}", subject=subject, remedy="spread it over several cells"
        )
    if isinstance(value, dict):
        if "__proto__" in value:
            raise InvalidValueError("a key named __proto__", subject=subject, remedy="choose another name")
        value = value.values()
    for item in value:
        _check_portable(item, subject, depth - 1)


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = annotation.__origin__
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{detail['msg']} at {where}" if where else detail["msg"]
