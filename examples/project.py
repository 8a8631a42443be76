"""Three agents share the tasks of a project: each is done once, whoever is faster.

Start the server with scripts/serve, then this program: .venv/bin/python examples/project.py
"""

import asyncio
import random
import sys
from uuid import uuid4

import comity
from comity.clients.agents.project import ProjectManager, TaskStatus

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"
ROOM = f"reef-tasks-{uuid4().hex[:6]}"


async def plan() -> None:
    """Write down what is to be done."""
    client = comity.connect(URL, agent="planner")
    async with client, ProjectManager.open(client, ROOM) as work:
        survey = work.add_project("Survey of the reef")
        work.activate(survey)
        dives = [work.add_task(f"Dive {number}", project=survey, priority=number) for number in range(6)]
        work.add_task("Report", project=survey, priority=10, depends_on=dives)
        await work.tier.durable()


async def work_on(name: str) -> None:
    """Do tasks until there is none left."""
    client = comity.connect(URL, agent=name)
    async with client, ProjectManager.open(client, ROOM) as work:
        await work.tier.synced()
        while work.tasks(status=[TaskStatus.OPEN, TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS]):
            claim = await work.claim_next()
            if claim is None:  # the report waits for the last dive
                await asyncio.sleep(0.05)
                continue
            await work.progress(claim, "under way")
            await asyncio.sleep(random.uniform(0.05, 0.2))
            await work.complete(claim, result=f"by {name}")
            print(f"{name}: {work.task(claim.task).title} is done")


async def main() -> None:
    """Plan, then let three agents work at once."""
    await plan()
    await asyncio.gather(*map(work_on, ("ana", "ben", "cleo")))


asyncio.run(main())
