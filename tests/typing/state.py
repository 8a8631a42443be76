"""What type checkers see of a State; checked by them, never run."""

from datetime import datetime
from typing import assert_type

from comity.crdt_types import Counter, GCounter, GSet, List, Log, Map, ORSet, Register, State, Text, merge


class Task(State):
    title: Register[str]


class Mission(State):
    goal: Register[str]
    due: Register[datetime | None]
    retries: Register[int] = Register(default=3)
    steps: Map[list[int]]
    tags: ORSet[str]
    spent: Counter
    log: Log[tuple[int, str]]
    notes: Text
    plan: List[bytes]
    seen: GSet[int]
    visits: GCounter
    task: Task
    tasks: Map[Task]
    most: Register[int] = Register(on_conflict=merge(lambda conflict: max(conflict.values)))


mission = Mission(goal="map the reef")
assert_type(mission.goal, Register[str])
assert_type(mission.goal.value, str | None)
assert_type(mission.goal.get("none yet"), str)
assert_type(mission.due.value, datetime | None)
assert_type(mission.retries.value, int | None)
assert_type(mission.steps["x"], list[int])
assert_type(mission.steps.get("x"), list[int] | None)
assert_type(mission.steps.value, dict[str, list[int]])
assert_type(list(mission.steps), list[str])
assert_type(list(mission.tags), list[str])
assert_type(mission.spent.value, int)
assert_type(mission.log[0], tuple[int, str])
assert_type(mission.log[1:], list[tuple[int, str]])
assert_type(list(mission.log), list[tuple[int, str]])
assert_type(mission.notes.value, str)
assert_type(mission.plan[0], bytes)
assert_type(mission.plan[1:], list[bytes])
assert_type(list(mission.seen), list[int])
assert_type(mission.visits.value, int)
assert_type(mission.task.title.value, str | None)
assert_type(mission.tasks["t1"], Task)
assert_type(mission.tasks["t1"].title, Register[str])
mission.tasks["t1"] = Task(title="Dive")

mission.goal.set(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.steps["x"] = "no list"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
mission.tags.add(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.log.append("no pair")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.spent.add("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.plan.append("no bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.seen.add("no number")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mission.tasks["t1"] = "no task"  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
