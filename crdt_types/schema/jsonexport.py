"""JSON Schema out: what a State class declares, in the words of JSON Schema 2020-12."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, get_args

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import DEFAULT_REF_TEMPLATE

from ..document.values import Codec, canonical, pack, unpack
from ..errors import SchemaError
from ..types.counter import Counter, GCounter
from ..types.field import CellField, Field
from ..types.list import List
from ..types.log import Log
from ..types.map import Map
from ..types.orset import GSet, ORSet
from ..types.register import Register
from ..types.resolution import Strategy, first_writer, last_writer
from ..types.text import Text
from .versions import Schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
KEYWORD: Final = "x-comity"

TYPES: Final[Mapping[str, type[Field]]] = {
    "register": Register,
    "map": Map,
    "orset": ORSet,
    "gset": GSet,
    "list": List,
    "log": Log,
    "counter": Counter,
    "gcounter": GCounter,
    "text": Text,
}
STRATEGIES: Final[Mapping[str, Strategy]] = {"first_writer": first_writer, "last_writer": last_writer}

_NAMES: Final[dict[type, str]] = {kind: name for name, kind in TYPES.items()}


class Declared(NamedTuple):
    """One field of a State class.

    Attributes:
        declaration: the field as it is declared; None for a nested state.
        annotation: the type of its values.
        inner: the State class of a nested state or of the rows.
    """

    declaration: Field | None
    annotation: Any
    inner: type | None


class Outline(NamedTuple):
    """What a State class declares."""

    schema: Schema
    fields: dict[str, Declared]


class Exporter:
    """Writes State classes as JSON Schema, the nested ones and pydantic models as definitions at the root.

    Args:
        outline: returns what a State class declares.
    """

    def __init__(self, outline: Callable[[type], Outline]) -> None:
        self._outline = outline
        self._definitions: dict[str, Any] = {}
        self._names: dict[type, str] = {}

    def export(self, cls: type) -> dict[str, Any]:
        """Return the JSON Schema of a State class.

        Raises: SchemaError, if the type of a value has none.
        """
        exported = {"$schema": DIALECT, **self._object(cls)}
        return {**exported, "$defs": self._definitions} if self._definitions else exported

    def _object(self, cls: type) -> dict[str, Any]:
        schema, fields = self._outline(cls)
        about: dict[str, Any] = {"title": schema.name, "type": "object", "x-comity-version": schema.version}
        if schema.is_marked:
            about["x-comity-name"] = schema.name
        if (oldest := schema.oldest_reader(schema.version)) > 1:
            about["x-comity-oldest-reader"] = oldest
        return {**about, "properties": {name: self._property(name, declared) for name, declared in fields.items()}}

    def _property(self, name: str, declared: Declared) -> dict[str, Any]:
        field = declared.declaration
        if field is None:
            assert declared.inner is not None
            return {**self._reference(declared.inner), KEYWORD: {"type": "state"}}
        about: dict[str, Any] = {"type": _NAMES[type(field)]}
        if isinstance(field, Register) and field.default is not None:
            about |= _default(Codec(declared.annotation, name).checked(field.default))
        if isinstance(field, CellField):
            policy = next((name for name, each in STRATEGIES.items() if each is field.on_conflict), None)
            about |= {} if policy is None else {"on_conflict": policy}
        return {**self._shape(name, field, declared), KEYWORD: about}

    def _shape(self, name: str, field: Field, declared: Declared) -> dict[str, Any]:
        if isinstance(field, Counter):
            return {"type": "integer", "minimum": 0} if isinstance(field, GCounter) else {"type": "integer"}
        if isinstance(field, Text):
            return {"type": "string"}
        if declared.inner is not None:
            return {"type": "object", "additionalProperties": self._reference(declared.inner)}
        value = self._value(name, declared.annotation)
        if isinstance(field, Register):
            return value
        if isinstance(field, Map):
            return {"type": "object", "additionalProperties": value}
        return {"type": "array", "items": value, **({"uniqueItems": True} if isinstance(field, GSet) else {})}

    def _reference(self, cls: type) -> dict[str, Any]:
        name = self._names.get(cls)
        if name is None:
            name = self._names[cls] = self._free(cls.__name__)
            self._definitions[name] = {}  # taken, for a class that holds rows of its own kind
            self._definitions[name] = {**self._object(cls), KEYWORD: {"type": "state"}}
        return {"$ref": DEFAULT_REF_TEMPLATE.format(model=name)}

    def _free(self, name: str) -> str:
        free, number = name, 1
        while free in self._definitions:
            number += 1
            free = f"{name}-{number}"
        return free

    def _value(self, name: str, annotation: Any) -> dict[str, Any]:
        try:
            found = _imported(annotation) or _as_stored(TypeAdapter(annotation).json_schema())
        except PydanticInvalidForJsonSchema as error:
            raise SchemaError(f"its type has no JSON Schema: {error.message}", subject=name) from None
        renamed = self._adopt(found.pop("$defs", {}))
        exported: dict[str, Any] = _with_references(found, renamed)
        return exported

    def _adopt(self, definitions: dict[str, Any]) -> dict[str, str]:
        """Take in the definitions of one field, and return new names for those whose own another one bears."""
        renamed: dict[str, str] = {}
        for name, definition in definitions.items():
            if self._definitions.get(name, definition) != definition:
                renamed[name] = self._free(name)
        for name, definition in definitions.items():
            self._definitions[renamed.get(name, name)] = _with_references(definition, renamed)
        return renamed


def _imported(annotation: Any) -> dict[str, Any] | None:
    """Return the JSON Schema that a type was made from, if it was."""
    sources = (getattr(getattr(each, "func", None), "json_schema", None) for each in get_args(annotation)[1:])
    source = next(filter(None, sources), None)
    return None if source is None else dict(source())


def _default(checked: Any) -> dict[str, Any]:
    """Return how a default is written: as JSON if that tells all of it, else as it is stored."""
    stored = unpack(pack(checked))
    try:
        if canonical(json.loads(json.dumps(stored))) == canonical(stored):
            return {"default": stored}
    except TypeError:
        pass
    return {"default-msgpack": b64encode(pack(stored)).decode()}


def _as_stored(schema: Any) -> Any:
    """Say of durations what they are in a document, a number of seconds; pydantic has them as text in JSON."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and schema.get("format") == "duration":
            return {**schema, "type": "number"}
        return {key: value if key in _DATA else _as_stored(value) for key, value in schema.items()}
    return [_as_stored(item) for item in schema] if isinstance(schema, list) else schema


_DATA: Final = frozenset({"default", "const", "enum", "examples"})  # whose values are no schemas


def _with_references(schema: Any, renamed: dict[str, str]) -> Any:
    if not renamed:
        return schema
    if isinstance(schema, dict):
        return {key: _reference_to(key, value, renamed) for key, value in schema.items()}
    return [_with_references(item, renamed) for item in schema] if isinstance(schema, list) else schema


def _reference_to(key: str, value: Any, renamed: dict[str, str]) -> Any:
    if key == "$ref" and isinstance(value, str):
        name = value.removeprefix("#/$defs/")
        return DEFAULT_REF_TEMPLATE.format(model=renamed.get(name, name))
    return value if key in _DATA else _with_references(value, renamed)
