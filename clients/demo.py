"""Three small agents that edit one room together, so that there is something to watch."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from comity.crdt_types import Counter, Log, Map, ORSet, Register, State, Text
from comity.crdt_types.errors import ComityError, ConnectionFailedError

from .client import connect
from .connection import dial, room_url

console: Final = Console(highlight=False)

ROOM: Final = "shared/demo"
PAUSE: Final = 0.6  # seconds between an agent's edits: fast enough to be alive, slow enough to be read
AWAY: Final = 5  # steps that the builder works offline, every `SHIFT` steps
SHIFT: Final = 14

TASKS: Final = ("outline", "sources", "draft", "figures", "review", "layout")
STATES: Final = ("queued", "running", "running", "done")
TAGS: Final = ("urgent", "needs-review", "blocked", "cheap", "overnight")
REMARKS: Final = (
    "the second source contradicts the first",
    "figures are too small to read",
    "draft reads well now",
    "asked for one more week",
    "numbers check out",
)


class Demo(State):
    """The state that the three agents share."""

    goal: Register[str]
    status: Register[str] = Register(default="idle")
    spent_cents: Counter
    tags: ORSet[str]
    tasks: Map[dict[str, Any]]
    remarks: Log[str]
    summary: Text


def _plan(demo: Demo, step: int) -> None:
    if step % 8 == 0:
        demo.goal.set(f"publish issue {step // 8 + 1}")
    demo.status.set(random.choice(("planning", "delegating", "waiting")))
    tag = random.choice(TAGS)
    if tag in demo.tags:
        demo.tags.discard(tag)
    else:
        demo.tags.add(tag)


def _build(demo: Demo, step: int) -> None:
    task = TASKS[step % len(TASKS)]
    with demo.transaction():
        demo.tasks[task] = {"state": random.choice(STATES), "step": step}
        demo.spent_cents.add(random.randint(1, 40))


def _criticise(demo: Demo, step: int) -> None:
    demo.remarks.append(random.choice(REMARKS))
    demo.remarks.prune(keep=20)
    demo.spent_cents.add(3)
    if step % 3 == 0:
        demo.summary.replace(0, min(len(demo.summary), 400), f"After {step} remarks: {random.choice(REMARKS)}.\n")


async def _work(url: str, agent: str, act: Callable[[Demo, int], None], goes_offline: bool) -> None:
    async with connect(url, agent=agent).open(ROOM, Demo) as demo:
        step = 0
        while True:
            if goes_offline and step % SHIFT == SHIFT - 1:
                console.print(f"{agent} works offline for {AWAY * PAUSE:.0f} s ...")
                with demo.replica.offline():
                    for _ in range(AWAY):
                        step = await _act(demo, act, step)
                await demo.durable()
                console.print(f"{agent} is back, its edits have merged: {demo.spent_cents.value} cents spent")
            step = await _act(demo, act, step)


async def _act(demo: Demo, act: Callable[[Demo, int], None], step: int) -> int:
    act(demo, step)
    await asyncio.sleep(PAUSE * random.uniform(0.5, 1.5))
    return step + 1


async def run(url: str, seconds: float | None = None) -> None:
    """Let three agents edit the room ``shared/demo``, one of them going offline and coming back.

    Args:
        url: the server's address, ``ws://host:port``.
        seconds: how long; until cancelled if None.

    Raises: ComityError, if an agent cannot go on.
    """
    await _find(url)
    try:
        async with asyncio.timeout(seconds):
            await _all_work(url)
    except TimeoutError:
        return


async def _find(url: str) -> None:
    """Tell of an absent server at once, for which agents would wait."""
    try:
        socket = await dial(room_url(url, ROOM, "demo"))
    except ConnectionFailedError as error:
        raise ConnectionFailedError(error.what, subject=url, remedy="start a server with comity serve") from None
    await socket.close()


async def _all_work(url: str) -> None:
    try:
        async with asyncio.TaskGroup() as agents:
            agents.create_task(_work(url, "planner", _plan, goes_offline=False))
            agents.create_task(_work(url, "builder", _build, goes_offline=True))
            agents.create_task(_work(url, "critic", _criticise, goes_offline=False))
    except* ComityError as group:
        raise group.exceptions[0] from None
