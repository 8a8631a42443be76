"""Functions: the Python that a definition names, and what it is told."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction

from pydantic import JsonValue

from comity.crdt_types.errors import SchemaError

from .definition import MachineDefinition
from .outline import Outline
from .parts import Assign
from .record import Transition
from .soundness import expressions


@dataclass(frozen=True, slots=True)
class Step:
    """What a guard or an assigner is told.

    Attributes:
        event: the event; empty while the machine begins.
        data: what the event brought.
        context: the machine's context as it is at this point.
        configuration: the active states as they are at this point.
        who: the agent that fires.
        why: the reason that it gives.
        at: the time by the server's clock, in milliseconds since the Unix epoch.
    """

    event: str
    data: Mapping[str, JsonValue]
    context: Mapping[str, JsonValue]
    configuration: frozenset[str]
    who: str
    why: str
    at: int


Guard = Callable[[Step], bool]
Assigner = Callable[[Step], Mapping[str, JsonValue]]
Work = Callable[[Transition], Awaitable[object] | object]


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions that a definition's names stand for.

    Attributes:
        guards: they decide, as part of a decision that may be made more than once, and change nothing.
        assigners: the same, and return new values of context fields.
        actions: they act on the world, once, after the decision.
    """

    guards: Mapping[str, Guard] = field(default_factory=dict)
    assigners: Mapping[str, Assigner] = field(default_factory=dict)
    actions: Mapping[str, Work] = field(default_factory=dict)

    def check(self, definition: MachineDefinition) -> None:
        """Raise SchemaError if a name in a definition stands for nothing, or for two things."""
        outline = definition.outline
        _check_names("guard", _guards(outline), {**self.guards, **definition.context})
        _check_names("assigner", _assigners(outline), self.assigners)
        _check_names("action", _actions(outline), self.actions)
        if twice := definition.context.keys() & self.guards.keys():
            raise SchemaError(f"{min(twice)!r} is a guard and a context field", subject=definition.name)
        for name, function in {**self.guards, **self.assigners}.items():
            if iscoroutinefunction(function):
                raise SchemaError("a coroutine cannot decide", subject=f"function {name!r}", remedy="make it an action")


def _check_names(kind: str, names: Iterator[str], known: Mapping[str, object]) -> None:
    if missing := set(names).difference(known):
        raise SchemaError(f"no {kind} {min(missing)!r}", subject="machine", remedy=f"give it as {kind}s={{...}}")


def _guards(outline: Outline) -> Iterator[str]:
    for name, state in outline.states.items():
        for guard in expressions(f"state {name!r}", state):
            yield from guard.names


def _assigners(outline: Outline) -> Iterator[str]:
    for state in outline.states.values():
        for actions in state.lists_of_actions():
            yield from (one.assign for one in actions if isinstance(one, Assign) and isinstance(one.assign, str))


def _actions(outline: Outline) -> Iterator[str]:
    for state in outline.states.values():
        for actions in state.lists_of_actions():
            yield from (one for one in actions if isinstance(one, str))
