"""Validation: checks that a State class declares, of one field's values, of the whole state, and of a transition."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, NamedTuple, overload

from pydantic import AfterValidator

from ..errors import InvalidValueError, SchemaError

FieldFunction = Callable[[Any], object]
TransitionFunction = Callable[[Any, Any], object]


class FieldValidator:
    """A check of the values of some fields, as `validates` makes it."""

    def __init__(self, fields: tuple[str, ...], function: FieldFunction) -> None:
        self.fields = fields
        self.function = _bare(function)


class StateValidator:
    """A check of a whole state, as `validates` makes it."""

    fields: Final = ()

    def __init__(self, function: FieldFunction) -> None:
        self.function = function


class TransitionValidator:
    """A check of how some fields change, as `transition` makes it."""

    def __init__(self, fields: tuple[str, ...], function: TransitionFunction) -> None:
        self.fields = fields
        self.function = _bare(function)


def _bare(function: Any) -> Any:
    return function.__func__ if isinstance(function, staticmethod) else function


@overload
def validates(target: str, /, *fields: str) -> Callable[[FieldFunction], FieldValidator]: ...


@overload
def validates(target: FieldFunction, /) -> StateValidator: ...


def validates(target: Any, /, *fields: str) -> Any:
    """Declare a function in a State class as a check; it raises ValueError where something does not fit.

    ``@validates("total")`` checks the values of the fields that it names: the function gets one value (of a map each
    value, of a list, log or set each item, of a counter or text the whole). It runs on every write, and on reading what
    others wrote. ``@validates`` alone checks the whole state: the method gets the state at the end of each local
    transaction that changed it.
    """
    if not isinstance(target, str):
        return StateValidator(target)

    def declare(function: FieldFunction) -> FieldValidator:
        return FieldValidator((target, *fields), function)

    return declare


def transition(*fields: str) -> Callable[[TransitionFunction], TransitionValidator]:
    """Declare a function in a State class as a check of how fields change; it raises ValueError where they may not.

    The function gets the old and the new value, as they are read: of a register with its default; of a map key or a
    list item None where there is none. It is asked of local transactions, with what each comes to.

    Args:
        fields: the names of registers, maps, lists or counters.
    """

    def declare(function: TransitionFunction) -> TransitionValidator:
        return TransitionValidator(fields, function)

    return declare


class Checks(NamedTuple):
    """What one State class checks, without the states in it.

    Attributes:
        fields: by field, the functions that get a value.
        whole: the functions that get the state.
        transitions: by field, the functions that get an old and a new value.
    """

    fields: dict[str, tuple[FieldFunction, ...]]
    whole: tuple[FieldFunction, ...]
    transitions: dict[str, tuple[TransitionFunction, ...]]

    def problems(self, state: Any) -> Iterator[tuple[int, str | None, str]]:
        """Yield what is wrong with a state as a whole: which check says so, the field it is about or None, and why."""
        for number, (field, function) in enumerate(self._asked()):
            try:
                function(state if field is None else getattr(state, field).value)
            except ValueError as error:
                yield number, field, str(error)

    def _asked(self) -> Iterator[tuple[str | None, FieldFunction]]:
        yield from ((None, function) for function in self.whole)
        for field, functions in self.fields.items():
            yield from ((field, function) for function in functions)

    def problem_of_change(self, field: str, old: Any, new: Any) -> str | None:
        """Return why a field may not change like this; None if it may."""
        try:
            for function in self.transitions.get(field, ()):
                function(old, new)
        except ValueError as error:
            return str(error)
        return None


def _declarations(cls: type) -> Iterator[Any]:
    # By name, so that a subclass replaces what its base declares.
    named = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    for value in named.values():
        if isinstance(value, (FieldValidator, StateValidator, TransitionValidator)):
            yield value


@cache
def checks_of(cls: type) -> Checks:
    """Return what a class and its bases declare."""
    fields: dict[str, tuple[FieldFunction, ...]] = {}
    whole: tuple[FieldFunction, ...] = ()
    transitions: dict[str, tuple[TransitionFunction, ...]] = {}
    for found in _declarations(cls):
        if isinstance(found, StateValidator):
            whole = (*whole, found.function)
        into: dict[str, Any] = fields if isinstance(found, FieldValidator) else transitions
        for field in found.fields:
            into[field] = (*into.get(field, ()), found.function)
    return Checks(fields, whole, transitions)


def checked_type(annotation: Any, functions: tuple[FieldFunction, ...]) -> Any:
    """Return the type of a field's values together with what else they are checked for."""
    validators = [AfterValidator(_Passing(function)) for function in functions]
    subscripted: Any = Annotated
    return subscripted[(annotation, *validators)] if validators else annotation


@dataclass(frozen=True)
class _Passing:
    """A check as pydantic wants it: it returns the value."""

    function: FieldFunction

    def __call__(self, value: Any) -> Any:
        self.function(value)
        return value

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", repr(self.function))


def unknown_field(cls: type, name: str, allowed: str) -> SchemaError:
    """Return the error of a check that names a field which it cannot be about."""
    return SchemaError(f"a check of {name!r}, which it cannot be about", subject=cls.__name__, remedy=allowed)


def invalid(subject: str, problem: str) -> InvalidValueError:
    """Return the error of a transaction that a check refuses."""
    return InvalidValueError(problem, subject=subject, remedy="nothing was written")
