"""An agent in a process of its own that wins a transition and is killed in the middle of its action.

`python -m tests.support.machine_process URL` begins the machine, fires "go", and prints "acting" when its action
begins, which never ends.
"""

import asyncio
import os
import sys
from typing import Any, Final

import comity
from comity.clients.agents.machines import Machine, Transition

ROOM: Final = "crash"
DEFINITION: Final[dict[str, Any]] = {
    "name": "crash",
    "initial": "a",
    "states": {"a": {"on": {"go": {"target": "b", "actions": "act"}}}, "b": {}},
}


async def _act(_transition: Transition) -> None:
    os.write(sys.stdout.fileno(), b"acting\n")
    await asyncio.Event().wait()


async def _work(url: str) -> None:
    client = comity.connect(url, agent="victim")
    async with Machine.open(client, ROOM, DEFINITION, actions={"act": _act}) as machine:
        await machine.fire("go")


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
