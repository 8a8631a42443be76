"""Planning: projects, tasks and preferences, which merge whoever writes them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import uuid4

from comity.crdt_types import Map
from comity.crdt_types.errors import InvalidValueError, StateError

from ...leaserecord import LeaseRecord
from ...leases import Leases
from ...tiers.subscription import OnError
from ...tiers.tier import Tier
from ...tiers.updates import OnUpdate
from .document import Issue, Project, ProjectContext, ProjectStatus, Task, TaskStatus
from .views import UNDER_WAY, ProjectView, TaskView, project_view, task_view

_Status = TypeVar("_Status", bound=StrEnum)


class Planning:
    """Writes and reads projects and tasks.

    Args:
        tier: an open tier with the state.
    """

    def __init__(self, tier: Tier[ProjectContext]) -> None:
        self.tier: Final = tier
        self.state: Final = tier.state
        self.leases: Final = Leases(tier)

    def now(self) -> int:
        """Return the time by the server's clock, as far as it is known, in ms since the Unix epoch."""
        return self.tier.replica.estimated_time()

    # Projects ---------------------------------------------------------------------------------------------------

    def add_project(self, title: str, *, id: str | None = None, description: str = "") -> str:
        """Add a project and return its id.

        Args:
            title: what it is called.
            id: its id; a new one if None.
            description: what it is about.

        Raises: InvalidValueError, if there is one of that id.
        """
        id = _new_id(self.state.projects, id)
        self.state.projects[id] = Project(title=title, description=description, created_at=self.now())
        return id

    def activate(self, project: str) -> None:
        """Say that a project is being worked on. Raises StateError, if there is no such project."""
        self._project(project).status.set(ProjectStatus.ACTIVE)

    def deactivate(self, project: str) -> None:
        """Say that a project rests. Raises StateError, if there is no such project."""
        self._project(project).status.set(ProjectStatus.OPEN)

    def archive(self, project: str) -> None:
        """Say that a project is over: its open tasks are not given out. Raises StateError, if there is none."""
        self._project(project).status.set(ProjectStatus.ARCHIVED)

    def project(self, project: str) -> ProjectView:
        """Return a project as it is now. Raises StateError, if there is no such project."""
        return project_view(project, self._project(project))

    def projects(self, *, status: ProjectStatus | str | None = None) -> list[ProjectView]:
        """Return the projects, the oldest first; those of one status if that is given.

        Raises: InvalidValueError, if there is no such status.
        """
        wanted = _statuses(ProjectStatus, status)
        found = [project_view(id, row) for id, row in self.state.projects.items()]
        found.sort(key=lambda view: (view.created_at, view.id))
        return [view for view in found if view.status in wanted]

    @property
    def active_projects(self) -> list[ProjectView]:
        """The projects that are being worked on, the oldest first."""
        return self.projects(status=ProjectStatus.ACTIVE)

    def _project(self, id: str) -> Project:
        if id not in self.state.projects:
            raise StateError("there is none", subject=f"project {id!r}", remedy="add it first")
        return self.state.projects[id]

    # Tasks ------------------------------------------------------------------------------------------------------

    def add_task(
        self,
        title: str,
        *,
        id: str | None = None,
        project: str = "",
        description: str = "",
        priority: int = 0,
        depends_on: Collection[str] = (),
        issues: Mapping[str, Issue] | None = None,
    ) -> str:
        """Add a task and return its id.

        Args:
            title: what it is called.
            id: its id; a new one if None.
            project: the id of its project; empty for none.
            description: what is to be done.
            priority: the greater, the sooner.
            depends_on: the ids of tasks to be done first.
            issues: linked issues by their ids.

        Raises: InvalidValueError, if there is one of that id, or its `depends_on` is one string; StateError, if there
            is no such project.
        """
        if isinstance(depends_on, str):
            raise InvalidValueError(f"{depends_on!r} is one string", subject="depends_on", remedy="give a list of ids")
        if project:
            self._project(project)
        id, now = _new_id(self.state.tasks, id), self.now()
        self.state.tasks[id] = Task(
            title=title,
            status=TaskStatus.OPEN,  # written, so that a claim and the task's removal are in each other's way
            project=project,
            description=description,
            priority=priority,
            depends_on=list(depends_on),
            issues=dict(issues or {}),
            created_at=now,
            updated_at=now,
        )
        return id

    def task(self, task: str) -> TaskView:
        """Return a task as it is now. Raises StateError, if there is no such task."""
        return task_view(task, self._task(task), self._claim_of(task))

    def tasks(
        self,
        *,
        status: TaskStatus | str | Iterable[TaskStatus | str] | None = None,
        assignee: str | None = None,
        project: str | None = None,
    ) -> list[TaskView]:
        """Return the tasks that match all that is given, the most urgent first.

        Args:
            status: where they stand; one of several if several are given.
            assignee: the agent that does them, or did.
            project: the id of their project.

        Raises: InvalidValueError, if there is no such status.
        """
        wanted = _statuses(TaskStatus, status)
        found = self._views(self.state, self.now())
        found.sort(key=lambda view: view.rank)
        return [
            view
            for view in found
            if view.status in wanted
            and (assignee is None or view.assignee == assignee)
            and (project is None or view.project == project)
        ]

    def block(self, task: str, reason: str) -> None:
        """Say that nobody can do a task now, and why; whoever has claimed it has lost it.

        Raises: StateError, if there is no such task, or it is over.
        """
        self._settle(task, TaskStatus.BLOCKED, reason)

    def unblock(self, task: str) -> None:
        """Say that a task can be done; nothing happens if it is not blocked.

        Raises: StateError, if there is no such task, or it is over.
        """
        if self.task(task).status not in (TaskStatus.OPEN, *UNDER_WAY):
            self._settle(task, TaskStatus.OPEN, "")

    def cancel(self, task: str, reason: str = "") -> None:
        """Say that a task is not to be done any more; whoever has claimed it has lost it.

        Raises: StateError, if there is no such task, or it is over.
        """
        self._settle(task, TaskStatus.CANCELLED, reason)

    def _settle(self, task: str, status: TaskStatus, note: str) -> None:
        row = self._task(task)
        if row.status.value in (TaskStatus.DONE, TaskStatus.CANCELLED):
            raise StateError(f"it is {row.status.value}", subject=f"task {task!r}", remedy="add another one")
        with self.tier.transaction():
            row.status.set(status)
            row.note.set(note)
            row.updated_at.set(self.now())
            self.leases.table_of(self.state).withdraw(task)

    def link_issue(self, task: str, issue: str, *, title: str = "", url: str = "") -> None:
        """Link an issue of another system with a task. Raises StateError, if there is no such task.

        Args:
            task: the task's id.
            issue: the issue's id there.
            title: what it is called there.
            url: where it is.
        """
        self._task(task).issues[issue] = Issue(title, url)

    def unlink_issue(self, task: str, issue: str) -> None:
        """Take a link away; nothing happens if there is none. Raises StateError, if there is no such task."""
        self._task(task).issues.pop(issue, None)

    def remove_task(self, task: str) -> None:
        """Delete a task and what is known of its claims. Raises StateError, if there is no such task."""
        self._task(task)
        with self.tier.transaction():
            del self.state.tasks[task]
            self.state.leases.pop(task, None)

    def _task(self, id: str) -> Task:
        if id not in self.state.tasks:
            raise no_task(id)
        return self.state.tasks[id]

    def _claim_of(self, task: str) -> LeaseRecord | None:
        return self.leases.table_of(self.state).held(task, self.now())

    def _views(self, state: ProjectContext, now: int) -> list[TaskView]:
        table = self.leases.table_of(state)
        return [task_view(id, row, table.held(id, now)) for id, row in state.tasks.items()]

    # Preferences and updates ------------------------------------------------------------------------------------

    @property
    def preferences(self) -> Map[Any]:
        """What the agents have agreed on, by name: a mapping of which each key merges on its own."""
        return self.state.preferences

    def on_update(
        self, callback: OnUpdate, *, name: str | None = None, on_error: OnError | None = None
    ) -> Callable[[], None]:
        """Call a function with what each transaction changed, before and after; see ``Tier.on_update``.

        Args:
            callback: gets two dicts by key, such as ``tasks.t1.status``.
            name: a pattern of keys, such as ``tasks.**``.
            on_error: as for ``Tier.on_update``.
        """
        return self.tier.on_update(callback, name=name, on_error=on_error)


def _new_id(rows: Map[Any], id: str | None) -> str:
    if id is not None and id in rows:
        raise InvalidValueError("there is one already", subject=f"{id!r}", remedy="choose another id, or none")
    return uuid4().hex[:12] if id is None else id


def no_task(id: str) -> StateError:
    """Return the error of a task that is not there."""
    return StateError("there is none", subject=f"task {id!r}", remedy="add it first")


def _statuses(kind: type[_Status], status: _Status | str | Iterable[_Status | str] | None) -> frozenset[_Status]:
    """Return the statuses that are meant, all of a kind if that is None. Raises InvalidValueError."""
    if status is None:
        return frozenset(kind)
    try:
        return frozenset(map(kind, (status,) if isinstance(status, str) else status))
    except ValueError as error:
        raise InvalidValueError(str(error), subject="status", remedy=f"there are {', '.join(kind)}") from None
