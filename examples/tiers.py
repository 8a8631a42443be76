"""Four tiers of one agent's state, and a second agent that works on the shared one at the same time.

Start the server with scripts/serve, then this program: .venv/bin/python examples/tiers.py
"""

import asyncio
import sys
import tempfile
from datetime import timedelta

import comity
from comity import Change, Counter, Log, Map, ORSet, Register, State, errors

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"


class Task(State):
    title: Register[str]
    status: Register[str] = Register(default="open")


class Board(State):
    goal: Register[str]
    tasks: Map[Task]
    topics: ORSet[str]
    spent: Counter


class Call(State):
    caller: Register[str]
    said: Log[str]


class Profile(State):
    name: Register[str]
    calls: Counter


async def plan(client: comity.Client) -> None:
    """Work on the shared board, by its fields and by key."""
    async with client.shared("reef-survey", Board) as board:
        await board.synced()
        board.clear()  # what an earlier run left
        board.on_update(lambda old, new: print("changed:", old, "->", new), name="goal")

        with board.transaction():  # one update: others see all of it, or nothing
            board.state.goal.set("map the reef")
            board.state.tasks["dive"] = Task(title="Dive at the north face")
            board["tasks.survey.title"] = "Survey the lagoon"
        board.state.spent.add(120)
        print(board.match("tasks.*.status"))
        await board.durable()


async def take(client: comity.Client, task: str) -> str:
    """Take a task, which only one agent may have."""
    async with client.shared("reef-survey", Board) as board:
        await board.synced()
        key = f"tasks.{task}.status"
        version = board.version(key)
        if version:
            return f"{client.agent} came too late"
        try:
            await board.compare_and_set(key, f"taken by {client.agent}", expected_version=version)
        except errors.PreconditionError:
            return f"{client.agent} was too slow"
        return f"{client.agent} has it"


async def talk(client: comity.Client) -> None:
    """Keep what is said in a call for a day, and what is known of the caller for good."""

    async def heard(change: Change) -> None:
        await asyncio.sleep(0)  # what is awaited here holds up nobody who writes
        print(change)

    async with (
        client.session("call-42", Call, ttl=timedelta(hours=24)) as call,
        client.persistent(Profile) as profile,
    ):
        call.subscribe(heard, name="said")
        call.state.caller.set("Ada")
        call.state.said.append("is the boat ready?")
        profile.state.name.set("planner")
        profile.state.calls.add(1)
        await asyncio.gather(call.durable(), profile.durable())
        found = await profile.get_with_history("calls", limit=3)
        print(f"{found.value} calls; the last change was by {found.entries[-1].author}")


async def main() -> None:
    """Run two agents."""
    with tempfile.TemporaryDirectory() as disk:
        async with (
            comity.connect(URL, agent="planner", directory=disk) as planner,
            comity.connect(URL, agent="diver") as diver,
        ):
            async with planner.local("notes") as notes:  # without a class: a mapping
                notes["tide"] = {"low": "06:10", "high": "12:25"}
                await notes.durable()
            await plan(planner)
            print(await asyncio.gather(take(planner, "dive"), take(diver, "dive")))
            await talk(planner)


asyncio.run(main())
