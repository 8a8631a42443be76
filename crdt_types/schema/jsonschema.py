"""JSON Schema in: State classes from JSON Schema 2020-12 alone, whose values the ``jsonschema`` library validates.

Needs the extra ``comity[schema]``.
"""

from base64 import b64decode
from collections.abc import Mapping
from types import new_class
from typing import Annotated, Any, Final

from jsonschema import Draft202012Validator, ValidationError
from jsonschema import exceptions as failures
from jsonschema.validators import extend
from pydantic import AfterValidator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from ..document.values import pack, unpack
from ..errors import SchemaError
from ..types.counter import Counter
from ..types.text import Text
from .jsonexport import KEYWORD, STRATEGIES, TYPES
from .state import State

__all__ = ["state_class"]

_BASE: Final = "urn:comity:schema"  # by which a schema is known that gives itself no $id
_BYTES: Final = "x-comity-bytes"  # a type that JSON has not

_Validator: Final[Any] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(_BYTES, lambda _checker, value: isinstance(value, bytes)),
)


def state_class(schema: Mapping[str, Any]) -> type[State]:
    """Declare a State class from a JSON Schema; of one that `State.json_schema` wrote, it reads and writes the same.

    A property says in ``x-comity`` what it is; one that does not is a `List` if it is an array, a nested State if it is
    an object with ``properties``, a `Map` if it is any other object (a map of rows, if their values have
    ``properties``), and else a `Register`.

    Args:
        schema: an object schema of draft 2020-12.

    Raises: SchemaError, if it is not one, a reference leads nowhere, or a property cannot be a field.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except failures.SchemaError as error:
        raise SchemaError(f"no JSON Schema: {error.message}", subject=_title(schema)) from None
    return _Importer(schema).state("", _title(schema))


def _title(schema: Any) -> str:
    title = schema.get("title") if isinstance(schema, Mapping) else None
    return title if isinstance(title, str) and title else "Imported"


def _with_bytes(schema: Any) -> Any:
    """Let what is bytes in a document be bytes."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "string" and schema.get("format") == "binary":
            return {**schema, "type": ["string", _BYTES]}
        return {key: _with_bytes(value) for key, value in schema.items()}
    return [_with_bytes(item) for item in schema] if isinstance(schema, list) else schema


class _Matches:
    """Checks values against a part of a schema, and makes plain data of them."""

    def __init__(self, validator: Any, part: str, source: dict[str, Any]) -> None:
        self._validator = validator
        self._part = part
        self._source = source

    def __call__(self, value: Any) -> Any:
        plain = unpack(pack(value))
        error: ValidationError | None = failures.best_match(self._validator.iter_errors(plain))
        if error is not None:
            raise ValueError(f"{error.message} at {error.json_path}")
        return plain

    def json_schema(self) -> dict[str, Any]:
        """Return the part as it was written, with the definitions that it refers to."""
        return self._source

    def __repr__(self) -> str:
        return f"JSON Schema {self._part}"


def _definitions(part: Any, known: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Collect the definitions that a part of a schema refers to, and those that they do."""
    if isinstance(part, Mapping):
        reference = part.get("$ref")
        name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else None
        if name in known and name not in found:
            found[name] = known[name]
            _definitions(known[name], known, found)
    for value in part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ():
        _definitions(value, known, found)
    return found


class _Importer:
    def __init__(self, source: Mapping[str, Any]) -> None:
        root: dict[str, Any] = _with_bytes(source)
        self._known = dict(source.get("$defs", {}))
        self._source = DRAFT202012.create_resource(source)
        self._base = root.get("$id", _BASE)
        self._registry: Registry[Any] = Registry().with_resource(self._base, DRAFT202012.create_resource(root))
        self._classes: dict[str, type[State]] = {}

    def _resolved(self, part: str) -> tuple[str, dict[str, Any]]:
        """Follow the references of a part, and return where it ends and what is there."""
        found = self._at(part)
        seen = {part}
        while "$ref" in found:
            reference = str(found["$ref"])
            if not reference.startswith("#/") or reference[1:] in seen:
                raise SchemaError(f"a reference to {reference!r}", subject=part, remedy="refer to #/$defs/...")
            part = reference[1:]
            seen.add(part)
            found = self._at(part)
        return part, found

    def _at(self, part: str) -> dict[str, Any]:
        try:
            found: Any = self._registry.resolver(self._base).lookup(f"#{part}").contents
        except Unresolvable:
            raise SchemaError("nothing is there", subject=f"#{part}", remedy="mend the reference") from None
        return found if isinstance(found, dict) else {}

    def state(self, part: str, name: str) -> type[State]:
        """Return the class of an object schema."""
        if part in self._classes:
            return self._classes[part]
        about = self._at(part)
        properties = about.get("properties")
        if not isinstance(properties, dict) or not properties:
            raise SchemaError("an object without properties", subject=name, remedy="a State has fields")
        cls = self._classes[part] = _new_class(name, about, list(properties))
        for key in properties:
            self._declare(cls, key, f"{part}/properties/{_escaped(key)}")
        return cls

    def _declare(self, cls: type[State], name: str, part: str) -> None:
        own, written = self._at(part).get(KEYWORD, {}), part
        part, found = self._resolved(part)
        kind = own["type"] if "type" in own else _obvious(found)
        if kind == "state":
            cls.__annotations__[name] = self.state(part, _title(found) if "title" in found else name)
            return
        if kind not in TYPES:
            raise SchemaError(f"no type {kind!r}", subject=name, remedy=f"there are state, {', '.join(TYPES)}")
        place = written if kind == "register" else part
        cls.__annotations__[name] = self._annotation(kind, place, found, is_obvious="type" not in own)
        if arguments := _arguments(kind, own or found):
            setattr(cls, name, TYPES[kind](**arguments))

    def _annotation(self, kind: str, part: str, found: dict[str, Any], *, is_obvious: bool) -> Any:
        field: Any = TYPES[kind]
        if issubclass(field, (Counter, Text)):
            return field
        if kind == "register":
            return field[self._matching(part)]
        word = "additionalProperties" if kind == "map" else "items"
        below = f"{part}/{word}"
        if not isinstance(found.get(word), dict):
            return field[Any]
        end, inner = self._resolved(below)
        if kind == "map" and (_is_state(inner) or (is_obvious and inner.get("properties"))):
            return field[self.state(end, _title(inner))]
        return field[self._matching(below)]

    def _matching(self, part: str) -> Any:
        """Return the type of what matches a part of the schema."""
        found: Any = self._source.pointer(part, self._registry.resolver()).contents
        written = {key: value for key, value in found.items() if key not in (KEYWORD, "$defs")}
        if not written:
            return Any
        definitions = _definitions(written, self._known, {})
        source = {**written, "$defs": definitions} if definitions else written
        validator = _Validator(
            {"$ref": f"{self._base}#{part}"}, registry=self._registry, format_checker=_Validator.FORMAT_CHECKER
        )
        subscripted: Any = Annotated
        return subscripted[Any, AfterValidator(_Matches(validator, part, source))]


def _new_class(name: str, about: dict[str, Any], fields: list[str]) -> type[State]:
    namespace: dict[str, Any] = {"__annotations__": dict.fromkeys(fields, Any), "__module__": __name__}
    keywords = {"name": about.get("x-comity-name"), "version": about.get("x-comity-version", 1)}
    cls: type[State] = new_class(name, (State,), keywords, lambda space: space.update(namespace))
    oldest = about.get("x-comity-oldest-reader", 1)
    cls._schema = cls._schema._replace(floor=oldest)  # pyright: ignore[reportPrivateUsage]
    return cls


def _obvious(found: dict[str, Any]) -> str:
    match found.get("type"):
        case "array":
            return "list"
        case "object":
            return "state" if found.get("properties") else "map"
        case _:
            return "register"


def _is_state(found: dict[str, Any]) -> bool:
    own = found.get(KEYWORD)
    return isinstance(own, dict) and own.get("type") == "state"


def _arguments(kind: str, own: dict[str, Any]) -> dict[str, Any]:
    """Return what a declaration is made with."""
    arguments: dict[str, Any] = {}
    if kind == "register" and "default" in own:
        arguments["default"] = own["default"]
    if kind == "register" and "default-msgpack" in own:
        arguments["default"] = unpack(b64decode(own["default-msgpack"]))
    if kind in ("register", "map", "list") and own.get("on_conflict") in STRATEGIES:
        arguments["on_conflict"] = STRATEGIES[own["on_conflict"]]
    return arguments


def _escaped(name: str) -> str:
    """Return a property's name as part of a JSON pointer in a URI."""
    pointer = name.replace("~", "~0").replace("/", "~1").encode()
    return "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02X}" for byte in pointer)
