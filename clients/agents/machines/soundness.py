"""Soundness: whether a definition can work, told when it is made and not when an event comes."""

from collections.abc import Collection, Iterable, Iterator

from comity.crdt_types.errors import SchemaError

from .expression import Expression
from .outline import Outline
from .parts import DONE, Assign, StateDefinition, TransitionDefinition


def check(outline: Outline, context: Collection[str]) -> None:
    """Raise SchemaError if a machine cannot work.

    Args:
        outline: its states.
        context: the names of its context's fields.
    """
    if outline.initial not in outline.top or outline.states[outline.initial].type == "history":
        raise SchemaError(
            f"no state {outline.initial!r} to begin in", subject="initial", remedy="name an outermost one"
        )
    for name, state in outline.states.items():
        _check_shape(outline, name, state)
        _check_timeouts(outline, name, state)
        for event, choices in state.transitions():
            _check_event(outline, name, event)
            _check_choices(outline, f"state {name!r}, {event}", name, choices)
        _check_guards(outline, name, state)
        _check_actions(f"state {name!r}", state, context)
    _check_circles(outline)
    if lost := outline.states.keys() - reached(outline):
        raise SchemaError("no way leads there", subject=f"state {min(lost)!r}", remedy="add a transition, or drop it")


def _check_shape(outline: Outline, name: str, state: StateDefinition) -> None:
    for wrong, what in _wrong_shapes(outline, name, state):
        if wrong:
            raise SchemaError(what, subject=f"state {name!r}", remedy="mend its definition")


def _wrong_shapes(outline: Outline, name: str, state: StateDefinition) -> Iterator[tuple[bool, str]]:
    regions = outline.regions(name)
    parent = outline.parents[name]
    is_end = state.type in ("final", "history")
    leads_on = bool(state.states or state.on or state.always or state.timeouts)
    yield is_end and leads_on, f"a {state.type} state with states, transitions or timeouts"
    yield bool(state.states) and not regions, "only history states are in it"
    yield state.type == "parallel" and len(regions) < 2, "a parallel state with fewer than two states in it"
    yield state.type == "parallel" and state.initial is not None, "a parallel state with an initial state"
    yield state.type is None and bool(regions) and state.initial is None, "no initial state in it"
    yield state.initial is not None and state.initial not in regions, f"no state {state.initial!r} in it"
    yield state.type == "history" and (parent is None or state.target is None), "a history state without a target"
    yield state.type == "history" and bool(state.entry or state.exit), "a history state with actions"
    yield state.type != "history" and state.target is not None, "a target, but it is no history state"
    is_below = state.target in outline and parent in set(outline.ancestors(state.target or ""))
    yield state.type == "history" and not is_below, f"its target {state.target!r} is not beside or below it"
    to_history = is_below and outline.states[state.target or ""].type == "history"
    yield to_history, "a history state that leads to another"
    of_parallel = parent is not None and outline.states[parent].type == "parallel"
    yield of_parallel and state.type == "final", "a final state right below a parallel one"


def _check_timeouts(outline: Outline, name: str, state: StateDefinition) -> None:
    if unheard := [timeout.event for timeout in state.timeouts if timeout.event not in outline.events()]:
        raise SchemaError(f"no state takes the event {unheard[0]!r}", subject=f"timeout of {name!r}", remedy="name one")


def _check_event(outline: Outline, name: str, event: str) -> None:
    done = event.removeprefix(DONE)
    if event == "always":
        if name in outline and "always" in outline.states[name].on:
            raise SchemaError("'always' is no event", subject=f"state {name!r}", remedy="write it beside 'on'")
    elif done != event and (done not in outline or not outline.states[done].states):
        raise SchemaError(f"no state {done!r} with states in it", subject=f"state {name!r}, {event}")


def _check_choices(outline: Outline, subject: str, name: str, choices: Iterable[TransitionDefinition]) -> None:
    """Check the transitions of one event, of which the first one counts whose guard holds."""
    guards: set[str] = set()
    for choice in choices:
        if "" in guards or choice.guard in guards:
            raise SchemaError(
                "a transition that is never taken", subject=subject, remedy="guard the one before it, or drop it"
            )
        guards.add("" if choice.guard is None else choice.guard)
        if choice.target is not None and choice.target not in outline:
            raise SchemaError(f"no state {choice.target!r}", subject=subject, remedy=f"there are {_some(outline)}")
        is_inside = choice.target == name or (choice.target and name in outline.ancestors(choice.target))
        if choice.internal and not is_inside:
            raise SchemaError(f"internal, but {choice.target!r} is not inside of it", subject=subject)


def _some(outline: Outline) -> str:
    return ", ".join(sorted(outline.states)[:20])


def expressions(subject: str, state: StateDefinition) -> Iterator[Expression]:
    """Yield the guards of a state's transitions."""
    for event, choices in state.transitions():
        for choice in choices:
            if choice.guard is not None:
                yield Expression(choice.guard, f"{subject}, {event}")


def _check_guards(outline: Outline, name: str, state: StateDefinition) -> None:
    for guard in expressions(f"state {name!r}", state):
        if missing := guard.states.difference(outline.states):
            raise SchemaError(f"In({min(missing)!r}), but there is no such state", subject=guard.subject)


def _check_actions(subject: str, state: StateDefinition, context: Collection[str]) -> None:
    for action in (action for actions in state.lists_of_actions() for action in actions):
        if isinstance(action, Assign) and isinstance(action.assign, dict):
            for field, text in action.assign.items():
                known = Expression(text, f"{subject}, assign {field}").names | {field}
                if missing := known.difference(context):
                    raise SchemaError(f"no context field {min(missing)!r}", subject=subject, remedy="declare it")


def _check_circles(outline: Outline) -> None:
    """Refuse transitions that need neither event nor guard and lead in a circle."""
    for start in outline.states:
        seen, at = {start}, _onward(outline, start)
        while at is not None and at not in seen:
            seen.add(at)
            at = _onward(outline, at)
        if at is not None:
            raise SchemaError("transitions in a circle, without an event or a guard", subject=f"state {at!r}")


def _onward(outline: Outline, name: str) -> str | None:
    """Return where a state leads at once and in any case."""
    first = outline.states[name].always[:1]
    return first[0].target or name if first and first[0].guard is None else None


def reached(outline: Outline) -> set[str]:
    """Return the states that can be active, or gone back to, if every guard holds at some time."""
    found: set[str] = set()
    open_ends = [outline.initial]
    while open_ends:
        name = open_ends.pop()
        if name in found:
            continue
        found.add(name)
        state = outline.states[name]
        open_ends += outline.first_below(name) + list(outline.ancestors(name))
        open_ends += [choice.target for _event, choices in state.transitions() for choice in choices if choice.target]
        open_ends += [state.target] if state.target else []
    return found
