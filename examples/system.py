"""The state of a system of agents: configuration, health, errors, metrics, and who changed what.

Start a server with ``scripts/serve``, then this program.
"""

import asyncio
import sys
from datetime import timedelta

import comity
from comity.clients.agents.system import Setting, SystemManager

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"

RATE = Setting("calls.rate", int, default=10)


async def work(system: SystemManager) -> None:
    """Do some work, and say how it went."""
    for number in range(5):
        system.metrics.count("calls")
        system.metrics.observe("calls.seconds", 0.1 * (number + 1))
        try:
            with system.errors.recording("search"):
                raise ConnectionError(f"no answer from 10.0.0.{number}")
        except ConnectionError:
            system.health.report("search", "degraded", detail="retrying", interval=timedelta(minutes=1))
    await system.durable()


async def main() -> None:
    async with (
        comity.connect(ADDRESS, agent="worker") as worker,
        comity.connect(ADDRESS, agent="operator") as operator,
        SystemManager.open(worker, "reef-system") as mine,
        SystemManager.open(operator, "reef-system") as theirs,
    ):
        await mine.synced()
        await theirs.synced()
        changed = asyncio.Event()
        mine.configuration.watch(RATE, lambda _old, _new: changed.set())
        theirs.configuration.set(RATE, mine.configuration.get(RATE) + 10, why="the provider allows more now")
        await changed.wait()
        print("the rate is", mine.configuration.get(RATE))

        seen = asyncio.Event()
        theirs.health.on_change(lambda _part: seen.set())
        await work(mine)
        if theirs.health.status == "unknown":
            await seen.wait()
        print("the system is", mine.health.status)
        for group in mine.errors.groups():
            print(group.count, "times", group.kind, "in", group.part, "such as", group.message)
        summary = mine.metrics.observed("calls.seconds")
        print(f"{summary.count} calls, the median took {summary.quantile(0.5):.2f} s")
        for entry in mine.audit():
            print(f"{entry.by}: {entry.name} {entry.old!r} -> {entry.new!r} ({entry.why})")


if __name__ == "__main__":
    asyncio.run(main())
