"""Plain JSON: values as JSON data and back, without a loss.

What JSON does not have is an object with one key that begins with ``$``; a key that begins with it gets one more.

======================  ===========================================================
bytes                   ``{"$bytes": "base64"}``
nan, inf, -inf          ``{"$float": "nan"}`` and so on
other keys than text    ``{"$map": [[key, value], ...]}``
an extension            ``{"$ext": [code, "base64"]}``, such as msgpack's timestamps
a key ``"$a"``          ``"$$a"``
======================  ===========================================================

What is stored as something else, dates as text and sets as lists, comes as it is stored.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Hashable
from typing import Any, Final

from msgpack import ExtType, Timestamp

from ..document.values import pack, unpack
from ..errors import InvalidValueError

Json = Any
"""None, bool, int, finite float, str, or a list or string-keyed dict of these."""

_MARK: Final = "$"
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_TIMESTAMP: Final = -1  # the code of msgpack's own extension


def to_json(value: Any) -> Json:
    """Return a value as JSON data: a new object, which `from_json` turns back into the value as it is stored.

    Args:
        value: anything that a field can hold, pydantic models among it. A whole number keeps all its digits, which
            JavaScript's own parser does not.

    Raises: InvalidValueError, if the value cannot be stored.
    """
    return stored_json(unpack(pack(value)))


def stored_json(plain: Any) -> Json:
    """Return a value that was read from a document as JSON data."""
    if isinstance(plain, dict):
        if all(isinstance(key, str) for key in plain):
            return {escaped(key): stored_json(value) for key, value in plain.items()}
        return {"$map": [[stored_json(key), stored_json(value)] for key, value in plain.items()]}
    if isinstance(plain, list):
        return [stored_json(item) for item in plain]
    if isinstance(plain, float) and not math.isfinite(plain):
        return {"$float": str(plain)}
    if isinstance(plain, bytes):
        return {"$bytes": b64encode(plain).decode()}
    if isinstance(plain, Timestamp):
        return {"$ext": [_TIMESTAMP, b64encode(plain.to_bytes()).decode()]}
    if isinstance(plain, ExtType):
        return {"$ext": [plain.code, b64encode(plain.data).decode()]}
    return plain


def from_json(data: Json) -> Any:
    """Return the plain value that JSON data stands for; a typed field makes its own type of it.

    Raises: InvalidValueError, if it is not what `to_json` returns.
    """
    if isinstance(data, dict):
        return _from_object(data)
    if isinstance(data, list):
        return [from_json(item) for item in data]
    if data is None or isinstance(data, (str, bool, int, float)):
        return data
    raise InvalidValueError(f"{data!r:.200} is not JSON", subject="json")


def _from_object(data: dict[str, Any]) -> Any:
    if not all(isinstance(key, str) for key in data):
        raise InvalidValueError(f"{data!r:.200} has keys that are not text", subject="json")
    if len(data) == 1:
        ((key, value),) = data.items()
        if key in _READERS:
            return _read(key, value)
    return {unescaped(key): from_json(value) for key, value in data.items()}


def _read(key: str, value: Any) -> Any:
    try:
        return _READERS[key](value)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise InvalidValueError(f"{value!r:.200} is no {key}: {error}", subject="json") from None


def _map(pairs: list[Any]) -> dict[Any, Any]:
    return {from_json(key): from_json(value) for key, value in pairs}


def _bytes(text: str) -> bytes:
    return b64decode(text, validate=True)


def _float(text: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]


def _ext(parts: list[Any]) -> ExtType | Timestamp:
    code, data = parts
    return Timestamp.from_bytes(_bytes(data)) if code == _TIMESTAMP else ExtType(code, _bytes(data))


_READERS: Final[dict[str, Callable[[Any], Any]]] = {"$map": _map, "$bytes": _bytes, "$float": _float, "$ext": _ext}


def identity(data: Json) -> Hashable:
    """Return what is equal for the same JSON data only: 1, 1.0 and true are three values."""
    kind = type(data)
    if kind in _PLAIN:
        return kind, data
    return json.dumps(data, sort_keys=True)


def escaped(key: str) -> str:
    """Return the key of a dict as it stands in JSON."""
    return _MARK + key if key.startswith(_MARK) else key


def unescaped(key: str) -> str:
    """Return the key that one in JSON stands for.

    Raises: InvalidValueError, if it begins with one ``$`` only.
    """
    if not key.startswith(_MARK):
        return key
    if not key.startswith(_MARK * 2):
        raise InvalidValueError(
            f"a key {key!r}", subject="json", remedy="write $$ for a key that begins with $, or one of the marks alone"
        )
    return key[1:]
