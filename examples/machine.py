"""Three agents share one state machine: a release that two of them approve at the same moment."""

import asyncio
import sys
from typing import Final
from uuid import uuid4

import comity
from comity.clients.agents.machines import Machine, MachineDefinition, MachineState, Transition
from comity.crdt_types.errors import TransitionRefusedError

SERVER: Final = "ws://127.0.0.1:8765"

CODE: Final = {"compiling": {"on": {"built": "compiled"}}, "compiled": {"type": "final"}}
DOCS: Final = {"writing": {"on": {"written": "complete"}}, "complete": {"type": "final"}}
RELEASE: Final = MachineDefinition.load(
    {
        "name": "release",
        "initial": "building",
        "context": {"failures": 0},
        "states": {
            "building": {
                "type": "parallel",
                "on": {"done.state.building": "review"},
                "states": {
                    "code": {"initial": "compiling", "states": CODE},
                    "docs": {"initial": "writing", "states": DOCS},
                },
            },
            "review": {
                "on": {
                    "approve": {"target": "released", "guard": "failures == 0", "actions": "announce"},
                    "reject": {"target": "building", "actions": {"assign": {"failures": "failures + 1"}}},
                },
                "timeouts": [{"after": 3600, "event": "reject"}],
            },
            "released": {"type": "final"},
        },
    }
)


def announce(transition: Transition) -> None:
    print(f"{transition.who} announces the release: {transition.why}")


async def approve(machine: Machine[MachineState], why: str) -> None:
    try:
        await machine.fire("approve", why=why)
    except TransitionRefusedError as error:
        print(f"{machine.who} is too late: {error}")


async def main(server: str) -> None:
    room = f"release-{uuid4().hex[:8]}"
    actions = {"announce": announce}
    async with (
        comity.connect(server, agent="ana") as ana,
        comity.connect(server, agent="bob") as bob,
        Machine.open(ana, room, RELEASE, actions=actions) as first,
        Machine.open(bob, room, RELEASE, actions=actions) as second,
    ):
        first.on_transition(lambda made: print(f"{made.number}. {made.event}: {made.source} -> {made.target}"))
        await asyncio.gather(first.fire("built"), second.fire("written"))
        await asyncio.gather(first.reached("review"), second.reached("review"))
        await asyncio.gather(approve(first, "all tests pass"), approve(second, "the docs are fine"))
        await asyncio.gather(first.reached("released"), second.reached("released"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else SERVER))
