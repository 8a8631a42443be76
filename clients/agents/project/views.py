"""Projects and tasks as they are at one moment: immutable, to be handed on."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from ...leaserecord import LeaseRecord
from .document import Issue, Project, ProjectStatus, Task, TaskStatus

UNDER_WAY: Final = frozenset({TaskStatus.CLAIMED, TaskStatus.IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project at one moment.

    Attributes:
        id: its key in the state.
        title: what it is called.
        description: what it is about.
        status: where it stands.
        created_at: when it was added, in ms since the Unix epoch.
    """

    id: str
    title: str
    description: str
    status: ProjectStatus
    created_at: int


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at one moment.

    Attributes:
        id: its key in the state.
        title: what it is called.
        description: what is to be done.
        project: the id of its project; empty for none.
        status: where it stands; open again where a claim has expired.
        assignee: the agent that does it, or did it.
        priority: the greater, the sooner.
        note: what was said last about how it goes.
        result: what came of it.
        depends_on: the ids of tasks to be done first.
        issues: linked issues by their ids.
        claimed_until: when the claim expires, in ms since the Unix epoch by the server's clock; None if there is none.
        created_at: when it was added, in ms since the Unix epoch.
        updated_at: when it changed last, in ms since the Unix epoch.
    """

    id: str
    title: str
    description: str
    project: str
    status: TaskStatus
    assignee: str
    priority: int
    note: str
    result: Any
    depends_on: frozenset[str]
    issues: Mapping[str, Issue]
    claimed_until: int | None
    created_at: int
    updated_at: int

    @property
    def rank(self) -> tuple[int, int, str]:
        """What tasks are ordered by: the greatest priority first, then the oldest."""
        return -self.priority, self.created_at, self.id


def project_view(id: str, row: Project) -> ProjectView:
    """Return a project as it is now."""
    return ProjectView(
        id=id,
        title=row.title.get(""),
        description=row.description.get(""),
        status=row.status.get(ProjectStatus.OPEN),
        created_at=row.created_at.get(0),
    )


def task_status(row: Task, lease: LeaseRecord | None) -> TaskStatus:
    """Return where a task stands; one that is under way without a lease that holds is open."""
    status = row.status.get(TaskStatus.OPEN)
    return TaskStatus.OPEN if status in UNDER_WAY and lease is None else status


def task_view(id: str, row: Task, lease: LeaseRecord | None) -> TaskView:
    """Return a task as it is now.

    Args:
        id: its key.
        row: the task.
        lease: the lease of its claim, if one holds.
    """
    status = task_status(row, lease)
    return TaskView(
        id=id,
        title=row.title.get(""),
        description=row.description.get(""),
        project=row.project.get(""),
        status=status,
        assignee="" if status is TaskStatus.OPEN else row.assignee.get(""),
        priority=row.priority.get(0),
        note=row.note.get(""),
        result=row.result.value,
        depends_on=frozenset(row.depends_on),
        issues=MappingProxyType(dict(row.issues)),
        claimed_until=None if lease is None else lease.until,
        created_at=row.created_at.get(0),
        updated_at=row.updated_at.get(0),
    )
