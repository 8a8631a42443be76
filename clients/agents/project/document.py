"""The context of projects as it is shared: projects, tasks, preferences, and the leases of claimed tasks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from comity.crdt_types import Map, ORSet, Register, State

from ...leases import LeaseRecord


class ProjectStatus(StrEnum):
    """Where a project stands."""

    OPEN = "open"
    ACTIVE = "active"
    ARCHIVED = "archived"


class TaskStatus(StrEnum):
    """Where a task stands. Nobody claims one that is blocked, done or cancelled."""

    OPEN = "open"
    CLAIMED = "claimed"
    IN_PROGRESS = "in_progress"
    BLOCKED = "blocked"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue in another system that a task is about.

    Attributes:
        title: what it is called there.
        url: where it is.
    """

    title: str = ""
    url: str = ""


class Project(State):
    """A project; times are in milliseconds since the Unix epoch."""

    title: Register[str] = Register(default="")
    description: Register[str] = Register(default="")
    status: Register[ProjectStatus] = Register(default=ProjectStatus.OPEN)
    created_at: Register[int] = Register(default=0)


class Task(State):
    """A task; times are in milliseconds since the Unix epoch."""

    title: Register[str] = Register(default="")
    description: Register[str] = Register(default="")
    project: Register[str] = Register(default="")
    status: Register[TaskStatus] = Register(default=TaskStatus.OPEN)
    assignee: Register[str] = Register(default="")
    priority: Register[int] = Register(default=0)
    note: Register[str] = Register(default="")
    result: Register[Any]
    depends_on: ORSet[str]
    issues: Map[Issue]
    created_at: Register[int] = Register(default=0)
    updated_at: Register[int] = Register(default=0)


class ProjectContext(State):
    """What agents work on together; a `ProjectManager` reads and writes it. Subclass it to keep more in the room."""

    projects: Map[Project]
    tasks: Map[Task]
    preferences: Map[Any]
    leases: Map[LeaseRecord]
