"""Declarations: what a State class says with its annotations, its checks and its rules."""

from functools import cache
from typing import Any, ClassVar, NamedTuple, get_args, get_origin, get_type_hints

from ..errors import SchemaError
from ..types.counter import Counter
from ..types.field import Field
from ..types.list import List
from ..types.map import Map
from ..types.register import Register
from ..types.text import Text
from .jsonexport import Declared, Outline
from .oversight import Plan
from .rules import Rule
from .validation import checked_type, checks_of, unknown_field
from .versions import Schema


class Declaring:
    """A class that declares fields: the base of State."""

    _own_rules: ClassVar[tuple[Rule, ...]] = ()
    _schema: ClassVar[Schema] = Schema("State", 1, False, ())


class Declaration(NamedTuple):
    """One field as it is declared.

    Attributes:
        declaration: the field, not bound to a document yet; or the class of a nested state.
        annotation: the type of its values.
    """

    declaration: Field | type[Declaring]
    annotation: Any


@cache
def declared_fields(cls: type[Declaring]) -> dict[str, Declaration]:
    """Return the fields that a State class declares.

    Raises: SchemaError, if an annotation is not a field type or cannot be resolved.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise SchemaError(
            f"an annotation cannot be resolved: {error}",
            subject=cls.__name__,
            remedy="define the names it uses at the top of its module",
        ) from None
    declared = {name: _declared(cls, name, hint) for name, hint in hints.items() if not name.startswith("_")}
    return {name: _with_checks(cls, name, each) for name, each in declared.items()}


def _with_checks(cls: type[Declaring], name: str, declared: Declaration) -> Declaration:
    """Make the checks of a field's values part of their type."""
    functions = checks_of(cls).fields.get(name, ())  # type: ignore[arg-type]  # mypy takes no class for hashable
    return (
        declared if _is_whole(declared) else declared._replace(annotation=checked_type(declared.annotation, functions))
    )


def _is_whole(declared: Declaration) -> bool:
    """Tell whether what is declared has no values of a type: a counter, a text, or states."""
    return isinstance(declared.declaration, (Counter, Text)) or state_in(declared) is not None


def state_in(declared: Declaration) -> type[Declaring] | None:
    """Return the State class that a field is, or that its rows are."""
    if not isinstance(declared.declaration, Field):
        return declared.declaration
    inner = declared.annotation
    is_row = isinstance(declared.declaration, Map) and isinstance(inner, type) and issubclass(inner, Declaring)
    return inner if is_row else None


@cache
def plan_of(cls: type[Declaring]) -> Plan:
    """Return what a class asks of a transaction.

    Raises: SchemaError, if a check is of a field that it cannot be about.
    """
    checks, declared = checks_of(cls), declared_fields(cls)  # type: ignore[arg-type]  # mypy takes no class for hashable
    for name in checks.fields:
        if name not in declared or state_in(declared[name]) is not None:
            raise unknown_field(cls, name, "name a field of values; states have checks of their own")
    for name in checks.transitions:
        if name not in declared or not _has_transitions(declared[name]):
            raise unknown_field(cls, name, "name a register, map, list or counter")
    as_a_whole = {name: functions for name, functions in checks.fields.items() if _is_whole(declared[name])}
    return Plan(checks._replace(fields=as_a_whole), cls._own_rules)  # pyright: ignore[reportPrivateUsage]


def _has_transitions(declared: Declaration) -> bool:
    return isinstance(declared.declaration, (Register, Map, List, Counter)) and state_in(declared) is None


@cache
def classes_in(cls: type[Declaring]) -> frozenset[type[Declaring]]:
    """Return a class and those of all states and rows in it."""
    found, waiting = {cls}, [cls]
    while waiting:
        below = {state_in(declared) for declared in declared_fields(waiting.pop()).values()}  # type: ignore[arg-type]
        fresh = {each for each in below if each is not None} - found
        for each in fresh:
            _check_place(each, cls)
        found |= fresh
        waiting += fresh
    return frozenset(found)


@cache
def has_texts(cls: type[Declaring]) -> bool:
    """Tell whether a class or a state or row in it has a text."""
    classes = classes_in(cls)  # type: ignore[arg-type]  # mypy takes no class for hashable
    return any(isinstance(each.declaration, Text) for inner in classes for each in declared_fields(inner).values())  # type: ignore[arg-type]


def _check_place(inner: type[Declaring], cls: type[Declaring]) -> None:
    if inner._schema.migrations:  # pyright: ignore[reportPrivateUsage]
        raise SchemaError(
            "a state with migrations lies in another", subject=cls.__name__, remedy="declare them for the outer class"
        )


@cache
def rule_names(cls: type[Declaring]) -> tuple[str, ...]:
    """Return the names of the rules of a class and of all states and rows in it."""
    return tuple(rule.name for each in classes_in(cls) for rule in plan_of(each).rules)  # type: ignore[arg-type]


def _declared(cls: type[Declaring], name: str, hint: Any) -> Declaration:
    origin = get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, Declaring) and Declaring not in origin.__bases__:
        return Declaration(origin, None)
    if not (isinstance(origin, type) and issubclass(origin, Field)):
        raise SchemaError(
            f"{hint!r} is not a field type",
            subject=f"{cls.__name__}.{name}",
            remedy="use Register[T], Map[T], ORSet[T], GSet[T], Log[T], List[T], Counter, GCounter, Text or a State",
        )
    declaration = getattr(cls, name, None)
    if declaration is None:
        declaration = origin()
    elif type(declaration) is not origin:
        raise SchemaError(f"declared as {origin.__name__} but set to {declaration!r}", subject=f"{cls.__name__}.{name}")
    arguments = get_args(hint)
    if len(arguments) > 1:
        raise SchemaError(f"{origin.__name__} takes one type, that of its values", subject=f"{cls.__name__}.{name}")
    return Declaration(declaration, arguments[0] if arguments else Any)


def outline_of(cls: type[Declaring]) -> Outline:
    """Return what the export as JSON Schema needs to know of a class."""
    fields = {
        name: Declared(
            declared.declaration if isinstance(declared.declaration, Field) else None,
            declared.annotation,
            state_in(declared),
        )
        for name, declared in declared_fields(cls).items()  # type: ignore[arg-type]  # mypy takes no class for hashable
    }
    return Outline(cls._schema, fields)  # pyright: ignore[reportPrivateUsage]
