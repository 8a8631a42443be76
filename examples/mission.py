import asyncio
import comity
from comity import Counter, Log, Map, ORSet, Register, State

class Mission(State):
    goal: Register[str]
    status: Register[str] = Register(default="idle")
    spent: Counter
    tags: ORSet[str]
    steps: Map[dict]
    notes: Log[str]

async def main() -> None:
    async with comity.connect("ws://127.0.0.1:8765", agent="planner") as client:
        async with client.open("shared/mission-1", Mission) as mission:
            mission.goal.set("ship it")
            mission.spent.add(120)
            mission.tags.add("urgent")
            mission.steps["build"] = {"state": "running"}
            mission.notes.append("started")
            await mission.durable()              # every edit so far is on the server's disk
            async for change in mission.changes():
                print(change)

asyncio.run(main())
