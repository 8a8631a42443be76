"""What a field with several values may be assigned: a mapping, or items that are no text."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidValueError


def check_mapping(value: Any, subject: str) -> None:
    """Raise InvalidValueError, if a value is no mapping."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(
            f"{value!r:.200} is no mapping", subject=subject, remedy="give keys and values; nothing was written"
        )


def check_items(value: Any, subject: str) -> None:
    """Raise InvalidValueError, if a value is no collection: a text is one value, and not its characters."""
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise InvalidValueError(
            f"{value!r:.200} is no list or set", subject=subject, remedy="give the items; nothing was written"
        )
