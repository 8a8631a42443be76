"""What type checkers see of state machines; checked by them, never run."""

from typing import assert_type

from pydantic import JsonValue

import comity
from comity import Log, Map, Register, State
from comity.clients.agents.machines import (
    Entered,
    Machine,
    MachineDefinition,
    MachineState,
    Step,
    Timeout,
    Transition,
    Unfinished,
)
from comity.clients.tiers.tier import SharedState
from examples.machine import RELEASE, announce


class Project(State):
    release: MachineState
    reviews: Map[MachineState]


def is_ready(step: Step) -> bool:
    return step.context["ready"] is True


async def notify(transition: Transition) -> None:
    assert_type(transition.target, list[str])


def wrong(step: Step) -> str:
    return step.who


client = comity.connect("ws://127.0.0.1:8765", agent="planner")
assert_type(RELEASE, MachineDefinition)
Machine.open(client, "r", RELEASE, guards={"ready": is_ready}, actions={"announce": announce, "notify": notify})
Machine.open(client, "r", RELEASE, guards={"ready": wrong})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


async def use(tier: SharedState[Project], machine: Machine[MachineState]) -> None:
    async with Machine.open(client, "r", RELEASE) as opened:
        assert_type(opened, Machine[MachineState])
    assert_type(Machine(tier, RELEASE, select=lambda project: project.release), Machine[Project])
    assert_type(tier.state.reviews["r1"], MachineState)
    assert_type(machine.configuration, frozenset[str])
    assert_type(machine.context, dict[str, JsonValue])
    assert_type(await machine.fire("approve", why="ready", total=1), Transition)
    assert_type(machine.unfinished(), dict[int, Unfinished])
    assert_type(machine.state.journal, Log[Transition])
    assert_type(machine.state.journal[-1].at, int)
    assert_type(machine.state.entered["review"], Entered)
    assert_type(machine.state.timeouts["review/0"], Timeout)
    assert_type(machine.state.configuration, Register[list[str]])
