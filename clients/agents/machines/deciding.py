"""Deciding: what a machine writes within one decision; it may be done more than once, until the server agrees."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pydantic import JsonValue

from comity.crdt_types.errors import SchemaError, TransitionRefusedError

from .chart import Chart
from .definition import MachineDefinition
from .parts import TimeoutDefinition
from .record import BEGINNING, UPGRADE, Entered, Timeout, Transition, Unfinished
from .run import Cause, Outcome, Position
from .state import MachineState
from .upgrade import upgraded

_MS: Final = 1000  # milliseconds in a second


def begin(state: MachineState, chart: Chart, cause: Cause, upgrade: Mapping[str, str] | None) -> Transition | None:
    """Make a machine what a definition says, unless it is that already.

    Args:
        state: the machine.
        chart: the definition, ready to run.
        cause: who begins it, and when.
        upgrade: the new names of states of another definition; None to refuse another.

    Raises: SchemaError, if the document holds another definition and it is not to be upgraded, or cannot be.
    """
    stored = state.definition.value
    if stored is None:
        state.definition.set(chart.stored)
        return _write(state, chart, cause, BEGINNING, chart.begin(cause))
    if is_same(stored, chart):
        return None
    if upgrade is None:
        raise _other_definition(chart)
    return _upgrade(state, MachineDefinition.load(stored), chart, cause, upgrade)


def is_same(stored: dict[str, JsonValue], chart: Chart) -> bool:
    """Tell whether stored data and a definition say the same."""
    return stored == chart.stored or MachineDefinition.load(stored) == chart.definition


def _upgrade(
    state: MachineState, old: MachineDefinition, chart: Chart, cause: Cause, names: Mapping[str, str]
) -> Transition:
    outcome = upgraded(state.position(), old, chart.definition, names)
    pending = {(timeout.state, timeout.event) for timeout in state.timeouts.values()}
    state.timeouts.clear()
    for name, entered in state.entered.items():
        kept = names.get(name, name)
        if kept in outcome.position.configuration:
            state.entered[kept] = entered
            past = [timeout for timeout in old.outline.states[name].timeouts if (name, timeout.event) not in pending]
            _arm(state, chart, kept, entered.at, past)
    state.definition.set(chart.stored)
    return _write(state, chart, cause, UPGRADE, outcome)


def _other_definition(chart: Chart) -> SchemaError:
    return SchemaError(
        "the document holds another definition of this machine",
        subject=f"machine {chart.definition.name!r}",
        remedy="use that one, or open it with upgrade={old state: new state}",
    )


def fire(state: MachineState, chart: Chart, cause: Cause, seen: Mapping[str, int]) -> Transition:
    """Take an event.

    Args:
        state: the machine.
        chart: its definition, ready to run.
        cause: the event.
        seen: the active states as the agent saw them when it fired, with the transitions by which they were entered.

    Raises: TransitionRefusedError, if no state takes it, or one that does was entered or left since.
    """
    _check(state, chart)
    outcome = chart.advance(state.position(), cause)
    if not outcome.sources:
        raise _refused(state, cause, "no state takes this event now")
    if any(state.occupancy().get(name) != seen.get(name) for name in _concerned(outcome)):
        raise _refused(state, cause, "another agent was first")
    return _write(state, chart, cause, cause.event, outcome)


def _concerned(outcome: Outcome) -> Iterable[str]:
    """Return the states of which the event means the very ones that were seen.

    Whoever leaves a state leaves the one that was seen, whatever went on inside of it. Whoever moves only what is
    inside of a state must have seen that.
    """
    if outcome.left.issuperset(outcome.sources):
        return outcome.sources
    return outcome.left.union(outcome.sources)


def expire(state: MachineState, chart: Chart, cause: Cause, key: str, timeout: Timeout) -> Transition | None:
    """Take an event whose time has come; None if no state took it.

    Raises: TransitionRefusedError, if that was done already, or the state was left.
    """
    _check(state, chart)
    if state.timeouts.get(key) != timeout:
        raise _refused(state, cause, "another agent was first")
    del state.timeouts[key]
    outcome = chart.advance(state.position(), cause)
    return _write(state, chart, cause, cause.event, outcome, is_timeout=True) if outcome.sources else None


def _check(state: MachineState, chart: Chart) -> None:
    stored = state.definition.value
    if stored is None or not is_same(stored, chart):
        raise _other_definition(chart)


def _refused(state: MachineState, cause: Cause, what: str) -> TransitionRefusedError:
    last = state.last()
    active = ", ".join(state.configuration.get([]))
    moved = f", where {last.who or 'somebody'} brought it by {last.event!r}" if last else ""
    return TransitionRefusedError(
        what,
        subject=f"event {cause.event!r}",
        remedy=f"it is in {active or 'no state'}{moved}; fire again if the event still makes sense",
        configuration=tuple(state.configuration.get([])),
        by=last.who if last else "",
    )


def _write(
    state: MachineState, chart: Chart, cause: Cause, event: str, outcome: Outcome, *, is_timeout: bool = False
) -> Transition:
    """Write what came of an event, and the record of it."""
    before, after = state.position(), outcome.position
    known = before.context if event != BEGINNING else {}
    last = state.last()
    transition = Transition(
        number=state.number.get(0) + 1,
        event=event,
        source=list(before.configuration),
        target=list(after.configuration),
        who=cause.who,
        why=cause.why,
        at=max(cause.at, last.at if last else 0),  # clocks of servers may be set back, a journal goes on
        data=dict(cause.data),
        context={name: value for name, value in after.context.items() if name not in known or known[name] != value},
        actions=list(outcome.actions),
        is_timeout=is_timeout,
    )
    _place(state, after)
    _mark(state, chart, transition, outcome)
    _record(state, transition)
    return transition


def _place(state: MachineState, position: Position) -> None:
    state.configuration.assign(list(position.configuration))
    state.context.assign(dict(position.context))
    state.history.assign({name: list(states) for name, states in position.history.items()})
    state.finished.assign(position.is_finished)


def _mark(state: MachineState, chart: Chart, transition: Transition, outcome: Outcome) -> None:
    """Note when states were entered, and what is to come of that by itself."""
    for key, timeout in state.timeouts.items():
        if timeout.state in outcome.exited or outcome.position.is_finished:
            del state.timeouts[key]
    for name in outcome.exited.difference(outcome.entered).intersection(state.entered):
        del state.entered[name]
    for name in sorted(outcome.entered):
        state.entered[name] = Entered(transition.number, transition.at)
        if not outcome.position.is_finished:
            _arm(state, chart, name, transition.at)


def _arm(state: MachineState, chart: Chart, name: str, at: int, past: Collection[TimeoutDefinition] = ()) -> None:
    """Set the timeouts of a state that was entered at some time, without those that have come already."""
    for place, timeout in enumerate(chart.definition.outline.states[name].timeouts):
        if timeout not in past:
            due = at + round(timeout.after * _MS)
            state.timeouts[f"{name}/{place}"] = Timeout(name, timeout.event, due)


def _record(state: MachineState, transition: Transition) -> None:
    state.number.set(transition.number)
    state.journal.append(transition)
    if transition.actions:
        state.unfinished[str(transition.number)] = Unfinished(transition.who, transition.actions)
