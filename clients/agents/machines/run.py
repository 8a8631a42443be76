"""A run: one event on its way through a machine, with all that comes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import JsonValue

from comity.crdt_types.errors import InvalidValueError, StateError

from .expression import Expression
from .functions import Functions, Step
from .parts import Assign

Done = str | Assign | Mapping[str, Expression]  # an action, its expressions ready to be evaluated

# Of states that lead on by themselves; a machine of people's making has tens of states, so this one goes in a circle.
MAX_MICROSTEPS: Final = 1000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a machine stands.

    Attributes:
        configuration: the active states, in the library's own order, which is the one that it asks them in.
        context: the context's fields.
        history: what the history states remember.
        is_finished: whether it has come to its end.
    """

    configuration: tuple[str, ...]
    context: Mapping[str, JsonValue]
    history: Mapping[str, tuple[str, ...]]
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """What sets a machine in motion.

    Attributes:
        event: the event; empty to begin.
        data: what it brings.
        who: the agent that fires.
        why: the reason that it gives.
        at: the time by the server's clock, in milliseconds since the Unix epoch.
    """

    event: str
    data: Mapping[str, JsonValue]
    who: str
    why: str
    at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event.

    Attributes:
        position: where the machine stands then.
        sources: the states that took the event itself; none if no state took it.
        left: the states that those transitions left.
        exited: all states that were left on the way.
        entered: those that are active and were entered on the way.
        actions: the names of the actions that are to follow, in order.
    """

    position: Position
    sources: tuple[str, ...]
    left: frozenset[str]
    exited: frozenset[str]
    entered: frozenset[str]
    actions: tuple[str, ...]


class Run:
    """What is done with one event, and the scope of expressions meanwhile.

    Args:
        cause: what sets it in motion.
        context: the context's fields before.
        functions: what the definition's names stand for.
        configuration: the active states before; none to begin.
    """

    def __init__(
        self,
        cause: Cause,
        context: Mapping[str, JsonValue],
        functions: Functions,
        configuration: Iterable[str] = (),
    ) -> None:
        self.cause = cause
        self.context = dict(context)
        self.active = dict.fromkeys(configuration)
        self.sources: dict[str, None] = {}
        self.left: set[str] = set()
        self.exited: set[str] = set()
        self.entered: set[str] = set()
        self.actions: list[str] = []
        self._functions = functions
        self._microsteps = 0
        self._armed: set[object] = set()

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """What the event brought."""
        return self.cause.data

    def is_in(self, state: str) -> bool:
        """Tell whether a state is active."""
        return state in self.active

    def named(self, name: str) -> Any:
        """Return what a context field holds, or what a guard of that name says."""
        if name in self.context:
            return self.context[name]
        return self._functions.guards[name](self._step())

    def _step(self) -> Step:
        cause = self.cause
        return Step(
            cause.event,
            cause.data,
            dict(self.context),
            frozenset(self.active),
            cause.who,
            cause.why,
            cause.at,
        )

    def enter(self, name: str) -> None:
        """Note that a state is active."""
        self.active[name] = None
        self.entered.add(name)

    def exit(self, name: str, *, is_direct: bool) -> None:
        """Note that a state was left, by a transition of the event itself or by one that followed."""
        self.active.pop(name, None)
        self.exited.add(name)
        self.entered.discard(name)
        if is_direct:
            self.left.add(name)

    def take(self, transition: object, source: str, *, is_direct: bool) -> None:
        """Note that a transition is taken.

        Raises: StateError, if this goes on without end.
        """
        self._armed.add(transition)
        self._microsteps += 1
        if is_direct:
            self.sources[source] = None
        if self._microsteps > MAX_MICROSTEPS:
            raise StateError(
                f"more than {MAX_MICROSTEPS} transitions for one event",
                subject=f"event {self.cause.event!r}",
                remedy="mend the definition: transitions without events lead in a circle",
            )

    def act_once(self, transition: object, actions: Iterable[Done]) -> None:
        """Do the actions of a transition that was taken; the library asks again when a history state is its target."""
        if transition in self._armed:
            self._armed.discard(transition)
            self.act(actions)

    def act(self, actions: Iterable[Done]) -> None:
        """Change the context at once, and note what is to be done after the decision.

        Raises: InvalidValueError, if a function sets a field that is not declared.
        """
        for action in actions:
            if isinstance(action, str):
                self.actions.append(action)
            elif isinstance(action, Assign):
                self._assign(str(action.assign))
            else:
                self.context.update({field: expression.evaluate(self) for field, expression in action.items()})

    def _assign(self, name: str) -> None:
        values = self._functions.assigners[name](self._step())
        if unknown := values.keys() - self.context.keys():
            raise InvalidValueError(
                f"no context field {min(unknown)!r}",
                subject=f"assigner {name!r}",
                remedy="declare it in the definition's context",
            )
        self.context.update(values)

    def outcome(self, position: Position) -> Outcome:
        """Return what came of it, at its end."""
        return Outcome(
            replace(position, context=self.context),
            tuple(self.sources),
            frozenset(self.left),
            frozenset(self.exited),
            frozenset(self.entered),
            tuple(self.actions),
        )
