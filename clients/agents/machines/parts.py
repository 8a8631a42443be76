"""Parts of a definition: states, transitions, timeouts and changes of the context, as plain data."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

DONE: Final = "done.state."  # before a state's name: the event that says that all in it has come to its end
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")  # of states, events and functions, as in SCXML but without dots

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
EventName = Annotated[str, Field(pattern=rf"^({re.escape(DONE)})?{NAME.pattern}$")]
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]  # it is a name in expressions, too


class Part(BaseModel):
    """Plain data that takes nothing that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Assign(Part):
    """A change of the context, made inside of the decision.

    Attributes:
        assign: expressions by the context fields that become them, or the name of a function that returns new values.
    """

    assign: Name | dict[FieldName, str]


Action = Name | Assign


def _listed(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


Actions = Annotated[tuple[Action, ...], BeforeValidator(_listed)]


class TransitionDefinition(Part):
    """A way from one state to another.

    Attributes:
        target: the state to enter; None to stay, and do no more than the actions.
        guard: an expression that must hold: over the context, ``data``, ``In("state")`` and functions by their names.
        actions: what is done on the way: names of functions, which run after the decision, and changes of the context.
        internal: whether the state itself is not left and entered again when the target is inside of it.
        description: for people.
    """

    target: Name | None = None
    guard: str | None = None
    actions: Actions = ()
    internal: bool = False
    description: str = ""


def _transitions(value: Any) -> Any:
    """Take a state's name for a transition to it, and one transition for a list of one."""
    return tuple({"target": item} if isinstance(item, str) else item for item in _listed(value))


Transitions = Annotated[tuple[TransitionDefinition, ...], BeforeValidator(_transitions)]


class TimeoutDefinition(Part):
    """An event that comes by itself when a state has been active for some time.

    Attributes:
        after: in how many seconds, by the server's clock.
        event: the event.
    """

    after: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    event: Name


class StateDefinition(Part):
    """A state, with the states in it.

    Attributes:
        type: ``parallel`` if all states in it are active at once, ``final``, or ``history``; None for any other.
        initial: which of the states in it is entered first.
        states: the states in it, by their names, which are unique in the whole machine.
        on: the transitions by event, of which the first one counts whose guard holds.
        always: transitions that need no event.
        entry: the actions when it is entered.
        exit: the actions when it is left.
        timeouts: events that come by themselves.
        history: of a history state, whether it remembers the states right beside it or all those below them.
        target: of a history state, where it leads while there is nothing to remember.
        description: for people.
    """

    type: Literal["parallel", "final", "history"] | None = None
    initial: Name | None = None
    states: "dict[Name, StateDefinition]" = {}
    on: dict[EventName, Transitions] = {}
    always: Transitions = ()
    entry: Actions = ()
    exit: Actions = ()
    timeouts: tuple[TimeoutDefinition, ...] = ()
    history: Literal["shallow", "deep"] = "shallow"
    target: Name | None = None
    description: str = ""

    def transitions(self) -> Iterator[tuple[str, tuple[TransitionDefinition, ...]]]:
        """Yield the transitions of each event, and those that need none under the name ``always``."""
        yield from self.on.items()
        if self.always:
            yield "always", self.always

    def lists_of_actions(self) -> Iterator[tuple[Action, ...]]:
        """Yield the actions of the state and of its transitions."""
        yield self.entry
        yield self.exit
        for _event, choices in self.transitions():
            yield from (choice.actions for choice in choices)
