"""State charts made at random, and the library itself as their oracle: one machine that lives all along."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st
from statemachine import StateChart
from statemachine.io import create_machine_class_from_definition

from comity.clients.agents.machines.parts import DONE

MAX_STEPS: Final = 1000  # as many as a machine allows before it says that it goes in a circle
GUARDS: Final[dict[str, Callable[[int], bool]]] = {"n < 2": lambda n: n < 2, "n == 3": lambda n: n == 3}


class EndlessError(Exception):
    """An event whose consequences have no end."""


class Counted:
    """What the oracle's guards look at."""

    def __init__(self) -> None:
        self.state: Any = None
        self.n = 0
        self.steps = 0

    def before_transition(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise EndlessError


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Return a definition whose states can all be reached from the first."""
    names: list[str] = []
    states = {"first": {}, **draw_states(draw, names, 2)}
    for name, state in walk(states):
        if state.get("type") not in ("final", "history"):
            is_done = any(inner.get("type") == "final" for inner in state.get("states", {}).values())
            state["on"] = draw_transitions(draw, [*names, "first"], name, is_done)
    for state in states.values():
        state["on"]["out"] = "first"
    first: dict[str, Any] = states["first"]
    first["on"] = {**first.get("on", {}), **{f"to_{name}": name for name in names}}
    return {"name": "random", "initial": "first", "states": states, "context": {"n": 0}}


@st.composite
def journeys(draw: st.DrawFn, definition: dict[str, Any]) -> list[str]:
    """Return events that lead into states, about in them, out of them, and back by history states."""
    ways = [event for event in definition["states"]["first"]["on"] if event.startswith("to_")]
    back = [event for event in ways if event.startswith("to_past")] or ways
    about = st.lists(st.sampled_from("ab"), max_size=2)
    legs = st.tuples(st.sampled_from(ways), about, st.just("out"), st.sampled_from(back), about, st.just("out"))
    return [
        event
        for to, first, out, past, then, end in draw(st.lists(legs, min_size=1, max_size=4))
        for event in (to, *first, out, past, *then, end)
    ]


def draw_states(draw: st.DrawFn, names: list[str], depth: int) -> dict[str, Any]:
    """Return some states, which are noted by their names."""
    states: dict[str, Any] = {}
    for _ in range(draw(st.integers(1, 3))):
        name = f"s{len(names)}"
        names.append(name)
        states[name] = draw_inside(draw, names, depth) if depth else {}
    return states


def draw_inside(draw: st.DrawFn, names: list[str], depth: int) -> dict[str, Any]:
    """Return what is in a state."""
    kind = draw(st.sampled_from(["plain", "compound", "compound", "parallel"]))
    if kind == "plain":
        return {}
    inside = draw_states(draw, names, depth - 1)
    if kind == "parallel" and len(inside) > 1:
        return {"type": "parallel", "states": inside}
    initial = next(iter(inside))
    if draw(st.booleans()):
        inside[f"end{len(names)}"] = {"type": "final"}
        names.append(f"end{len(names)}")
    if draw(st.integers(0, 3)):
        depths = st.sampled_from(["shallow", "deep"])
        inside[f"past{len(names)}"] = {"type": "history", "target": initial, "history": draw(depths)}
        names.append(f"past{len(names)}")
    return {"initial": initial, "states": inside}


def draw_transitions(draw: st.DrawFn, names: list[str], name: str, is_done: bool) -> dict[str, Any]:
    """Return transitions of some events: to anywhere, or nowhere, some of them only while the counter says so."""
    on: dict[str, Any] = {}
    for event in draw(st.lists(st.sampled_from("ab"), unique=True, max_size=2)):
        target = draw(st.sampled_from([None, *names]))
        # The library does the actions on the way to a history state twice, a machine does them once.
        counts = draw(st.booleans()) and not str(target).startswith("past")
        counting = [{"assign": {"n": "n + 1"}}] if counts else []
        guarded = draw(st.sampled_from([None, *GUARDS]))
        on[event] = {"target": target, "actions": counting, "guard": guarded}
    if draw(st.booleans()) and name != "first" and is_done:
        on[f"{DONE}{name}"] = draw(st.sampled_from(names))
    return on


def walk(states: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return all states, with their names."""
    return [found for name, state in states.items() for found in ((name, state), *walk(state.get("states", {})))]


def oracle(definition: dict[str, Any]) -> "StateChart[Counted]":
    """Return the library's own machine of a definition, which has begun."""
    states: Any = {name: library_state(state) for name, state in definition["states"].items()}
    states[definition["initial"]]["initial"] = True
    chart: type[StateChart[Counted]] = create_machine_class_from_definition(
        "Oracle",
        states,
        catch_errors_as_events=False,
        validate_disconnected_states=False,
        validate_trap_states=False,
        validate_final_reachability=False,
    )
    return chart(Counted())


def library_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state in the library's own form."""
    below = {name: library_state(inner) for name, inner in state.get("states", {}).items() if "target" not in inner}
    if "initial" in state:
        below[state["initial"]]["initial"] = True
    past = {name: inner for name, inner in state.get("states", {}).items() if "target" in inner}
    return {
        "parallel": state.get("type") == "parallel",
        "final": state.get("type") == "final",
        "states": below,
        "history": {
            name: {"type": inner["history"], "transitions": [{"target": inner["target"]}]}
            for name, inner in past.items()
        },
        "on": {event: [library_transition(to)] for event, to in state.get("on", {}).items()},
    }


def library_transition(transition: Any) -> dict[str, Any]:
    """Return a transition in the library's own form."""
    if isinstance(transition, str):
        return {"target": transition}
    guard, counts = transition["guard"], bool(transition["actions"])

    def oracle_guard(model: Counted) -> bool:
        return guard is None or GUARDS[guard](model.n)

    def oracle_count(model: Counted) -> None:
        model.n += counts

    return {"target": transition["target"], "cond": oracle_guard, "on": oracle_count}
