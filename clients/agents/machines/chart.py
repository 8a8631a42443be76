"""A chart: a definition as a class of the library python-statemachine, and what events make of a position.

It is pure: it is given where a machine stands, and returns where it would stand. The library sees names of its own
(``#draft``, ``event.approve``), so that no name of a definition meets an attribute of its classes.
"""

from collections.abc import Callable
from typing import Any, Final

from statemachine import StateChart
from statemachine.io import create_machine_class_from_definition
from statemachine.orderedset import OrderedSet

from comity.crdt_types.errors import StateError

from .definition import MachineDefinition
from .expression import Expression
from .functions import Functions
from .parts import DONE, Action, Assign, StateDefinition, TransitionDefinition
from .run import Cause, Done, Outcome, Position, Run

_STATE: Final = "#"
_EVENT: Final = "event."

# An error in a guard is the caller's to hear of, and checks of form are our own, with messages of our own.
_STRICT: Final = {
    "catch_errors_as_events": False,
    "validate_disconnected_states": False,
    "validate_trap_states": False,
    "validate_final_reachability": False,
}


class Chart:
    """What a machine does with events.

    Args:
        definition: the machine.
        functions: what the definition's names stand for.

    Attributes:
        stored: the definition as plain data.

    Raises: SchemaError, if a name stands for nothing.
    """

    def __init__(self, definition: MachineDefinition, functions: Functions) -> None:
        functions.check(definition)
        self.definition = definition
        self.stored = definition.dump()
        self._functions = functions
        states: Any = {_STATE + name: _library_state(name, state) for name, state in definition.states.items()}
        states[_STATE + definition.initial]["initial"] = True
        # One name for all: the library keeps a class for ever, by its name.
        self._class: type[_Machine] = create_machine_class_from_definition("Chart", states, **_STRICT)
        self._idle: list[_Machine] = []

    def begin(self, cause: Cause) -> Outcome:
        """Return what comes of beginning."""
        model = _Model(Run(cause, self.definition.context, self._functions))
        return _outcome(self._class(model))

    def advance(self, position: Position, cause: Cause) -> Outcome:
        """Return what comes of an event; of one that no state takes, nothing.

        Raises: StateError, if the position is of another definition.
        """
        self._check(position)
        run = Run(cause, position.context, self._functions, position.configuration)
        if position.is_finished:
            return run.outcome(position)
        machine = self._placed(position, run)
        machine.send(_EVENT + cause.event)
        outcome = _outcome(machine)
        if not machine.is_terminated:
            self._idle.append(machine)  # to be used again, since making one takes longer than all else here
        return outcome

    def _check(self, position: Position) -> None:
        named = set(position.configuration).union(*position.history.values())
        if unknown := named.difference(self.definition.outline.states):
            raise StateError(
                f"the document says that the machine is in {min(unknown)!r}, which its definition has not",
                subject=f"machine {self.definition.name!r}",
                remedy="restore a version from before somebody wrote that",
            )

    def _placed(self, position: Position, run: Run) -> "_Machine":
        """Return a machine of the library's that stands where ours does."""
        active = OrderedSet(_STATE + name for name in position.configuration)
        if not self._idle:
            self._idle.append(self._class(_Model(run, active)))
        machine = self._idle.pop()
        machine.model.run, machine.model.state = run, active
        machine.history_values = {
            _STATE + name: [machine.states_map[_STATE + state] for state in remembered]
            for name, remembered in position.history.items()
        }
        return machine


class _Model:
    """What the library calls the model of a machine: the active states by its own names, and what is being done.

    Args:
        run: the event on its way.
        state: the active states; None to begin.
    """

    def __init__(self, run: Run, state: Any = None) -> None:
        self.run = run
        self.state = state


_Machine = StateChart[_Model]


def _outcome(machine: _Machine) -> Outcome:
    configuration = tuple(map(_own, machine.configuration_values))
    history = {_own(name): tuple(_own(state.id) for state in states) for name, states in machine.history_values.items()}
    return machine.model.run.outcome(Position(configuration, {}, history, machine.is_terminated))


def _own(name: str) -> str:
    """Return the definition's name for a state."""
    return name.removeprefix(_STATE)


def _library_state(name: str, state: StateDefinition) -> dict[str, Any]:
    inner = {
        _STATE + child: _library_state(child, below) for child, below in state.states.items() if below.type != "history"
    }
    if state.initial is not None:
        inner[_STATE + state.initial]["initial"] = True
    return {
        "final": state.type == "final",
        "parallel": state.type == "parallel",
        "states": inner,
        "history": {
            _STATE + child: {"type": below.history, "transitions": [{"target": _STATE + str(below.target)}]}
            for child, below in state.states.items()
            if below.type == "history"
        },
        "enter": _entering(name, state.entry),
        "exit": _exiting(name, state.exit),
        "on": {_library_event(event): _library_transitions(name, choices) for event, choices in state.on.items()},
        "transitions": _library_transitions(name, state.always),
    }


def _library_event(event: str) -> str:
    done = event.removeprefix(DONE)
    return _EVENT + event if done == event else DONE + _STATE + done


def _library_transitions(source: str, choices: tuple[TransitionDefinition, ...]) -> list[dict[str, Any]]:
    return [_library_transition(source, choice) for choice in choices]


def _library_transition(source: str, choice: TransitionDefinition) -> dict[str, Any]:
    key = object()
    actions = _compiled(choice.actions, source)
    guard = None if choice.guard is None else Expression(choice.guard, f"guard in state {source!r}")

    # The library calls these with what they have parameters for, by name. A model has no attributes of their names.

    def comity_guard(model: _Model) -> bool:
        return guard is None or bool(guard.evaluate(model.run))

    def comity_take(model: _Model, event: str | None) -> None:
        model.run.take(key, source, is_direct=_is_direct(model.run, event))

    def comity_act(model: _Model) -> None:
        model.run.act_once(key, actions)

    target = None if choice.target is None else _STATE + choice.target
    return {
        "target": target,
        "internal": choice.internal,
        "cond": comity_guard,
        "before": comity_take,
        "on": comity_act,
    }


def _is_direct(run: Run, event: str | None) -> bool:
    return event == _EVENT + run.cause.event


def _compiled(actions: tuple[Action, ...], state: str) -> list[Done]:
    return [_compiled_action(action, f"assign in state {state!r}") for action in actions]


def _compiled_action(action: Action, subject: str) -> Done:
    if isinstance(action, Assign) and isinstance(action.assign, dict):
        return {field: Expression(text, subject) for field, text in action.assign.items()}
    return action


def _entering(name: str, actions: tuple[Action, ...]) -> Callable[..., None]:
    compiled = _compiled(actions, name)

    def comity_enter(model: _Model) -> None:
        model.run.enter(name)
        model.run.act(compiled)

    return comity_enter


def _exiting(name: str, actions: tuple[Action, ...]) -> Callable[..., None]:
    compiled = _compiled(actions, name)

    def comity_exit(model: _Model, event: str | None) -> None:
        model.run.act(compiled)
        model.run.exit(name, is_direct=_is_direct(model.run, event))

    return comity_exit
