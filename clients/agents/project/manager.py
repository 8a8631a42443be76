"""The manager of projects: tasks that agents claim, so that no two do the same one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from comity.crdt_types.errors import LeaseHeldError, NotConnectedError, PreconditionError

from ...decisions import NotBefore, Read
from ...leaserecord import LeaseRecord, held_error
from .claim import Claim
from .document import ProjectContext, ProjectStatus, Task, TaskStatus
from .planning import Planning, no_task
from .views import UNDER_WAY, TaskView, task_view

if TYPE_CHECKING:
    from ...client import Client

R = TypeVar("R")
Wanted = Callable[[TaskView], object]

# How long a claim lasts unless it is renewed: a step of an agent, an answer of a model included, takes seconds to
# minutes, and a task whose agent is gone waits no longer than somebody would wait before asking after it.
TTL: Final = timedelta(minutes=5)
# Attempts to claim: all agents want the best task, and each time one of them gets it.
ATTEMPTS: Final = 64


class ProjectManager(Planning):
    """Projects, their tasks, and who does them.

    ::

        async with ProjectManager.open(client, "reef-survey") as work:
            work.add_task("map the reef", priority=2)
            claim = await work.claim_next()
            await work.complete(claim, result="reef.png")

    Plans merge like any state. Claims are decided by the server: a task is one agent's, until it gives it back, is done
    with it, or lets the time of the claim pass; then it is open again for whoever comes next.

    Args:
        tier: an open tier with the state.

    Attributes:
        tier: the tier.
        state: the state, as everybody may edit it.
        leases: the leases of claimed tasks, by the ids of the tasks.
    """

    @classmethod
    @asynccontextmanager
    async def open(cls, client: "Client", name: str) -> AsyncGenerator[Self]:
        """Open a shared room as the context of projects.

        Args:
            client: the client.
            name: the room's name, with or without ``shared/``.
        """
        async with client.shared(name, ProjectContext) as tier:
            yield cls(tier)

    # Claiming ---------------------------------------------------------------------------------------------------

    async def claim(self, task: str, *, ttl: timedelta = TTL, tentative: bool = False) -> Claim:
        """Claim a task: it has this agent's lease, name and the status ``claimed``, all in one decision.

        Args:
            task: the task's id.
            ttl: how long the claim lasts unless it is renewed.
            tentative: whether to claim without the server if that is not there. Others may do so, too; both know when
                they meet, and the one that does not have it finds `Claim.lost` set.

        Raises:
            LeaseHeldError: if somebody else has claimed it.
            PreconditionError: if it is blocked, done or cancelled, its project is archived, or tasks that it depends
                on are not done.
            StateError: if there is no such task.
            InvalidValueError: if ``ttl`` is no time to live.
            NotConnectedError: if the server is not there, and the claim is not tentative.
        """
        began = time.monotonic()

        def chosen(state: ProjectContext, now: int) -> str:
            self._check_claimable(state, task, now)
            return task

        try:
            claim = await self._claim(chosen, ttl)
            assert claim is not None
        except NotConnectedError:
            if not tentative:
                raise
            now = self.now()
            with self.tier.transaction():
                record = self._take(self.state, chosen(self.state, now), now, ttl, tentative=True)
            claim = Claim(task, self.leases.adopt(task, record, ttl, began))
        return claim

    async def claim_next(
        self, *, project: str | None = None, where: Wanted | None = None, ttl: timedelta = TTL
    ) -> Claim | None:
        """Claim the most urgent task that can be done now; None if there is none.

        It is open, its project is not archived, and all that it depends on is done. Of several agents that ask at once
        each gets another task.

        Args:
            project: the id of the project that it is to be of; any if None.
            where: says whether a task will do.
            ttl: how long the claim lasts unless it is renewed.

        Raises: NotConnectedError, if the server is not there.
        """

        def best(state: ProjectContext, now: int) -> str | None:
            ready = [
                view
                for view in self._views(state, now)
                if view.status is TaskStatus.OPEN
                and view.claimed_until is None
                and (project is None or view.project == project)
                and not self._obstacle(state, view)
                and (where is None or where(view))
            ]
            return min(ready, key=lambda view: view.rank).id if ready else None

        return await self._claim(best, ttl)

    async def _claim(self, choose: Callable[[ProjectContext, int], str | None], ttl: timedelta) -> Claim | None:
        """Claim what is chosen of a draft."""
        expiry: int | None = None
        began, now = time.monotonic(), await self.tier.replica.server_time()

        def edit(state: ProjectContext) -> tuple[str, LeaseRecord] | None:
            nonlocal expiry
            if (task := choose(state, now)) is None:
                return None
            before = self.leases.table_of(state).current(task)
            expiry = before.until if before is not None and before.id else None
            return task, self._take(state, task, now, ttl)

        while True:
            try:
                taken = await self._decide(edit, not_before=lambda: expiry)
                break
            except PreconditionError as error:
                if error.retry_after is None or isinstance(error, LeaseHeldError):
                    raise
                await asyncio.sleep(error.retry_after)  # it has expired by our estimate of the server's clock
        if taken is None:
            return None
        task, record = taken
        return Claim(task, self.leases.adopt(task, record, ttl, began))

    def _take(
        self, state: ProjectContext, task: str, now: int, ttl: timedelta, *, tentative: bool = False
    ) -> LeaseRecord:
        agent = self.tier.replica.agent
        record = self.leases.table_of(state).take(task, agent, now, ttl, tentative=tentative)
        row = state.tasks[task]
        row.status.set(TaskStatus.CLAIMED)
        row.assignee.set(agent)
        row.updated_at.set(now)
        return record

    def _check_claimable(self, state: ProjectContext, task: str, now: int) -> None:
        if task not in state.tasks:
            raise no_task(task)
        held = self.leases.table_of(state).held(task, now)
        if held is not None:
            raise held_error(task, held, now)
        view = task_view(task, state.tasks[task], None)
        reason = f"it is {view.status}" if view.status is not TaskStatus.OPEN else self._obstacle(state, view)
        if reason:
            raise PreconditionError(reason, subject=f"task {task!r}", remedy="claim another one; nothing was written")

    def _obstacle(self, state: ProjectContext, view: TaskView) -> str:
        """Return why a task cannot be done yet; empty if it can."""
        project = state.projects.get(view.project)
        if project is not None and project.status.value is ProjectStatus.ARCHIVED:
            return f"its project {view.project!r} is archived"
        for other in sorted(view.depends_on):
            row = state.tasks.get(other)
            if row is None or row.status.value is not TaskStatus.DONE:
                return f"it waits for {other!r}"
        return ""

    # Working ----------------------------------------------------------------------------------------------------

    async def progress(self, claim: Claim, note: str = "") -> None:
        """Say that a task is being done, and how it goes.

        Raises: PreconditionError, if the claim was lost; NotConnectedError, if the server is not there.
        """

        def edit(row: Task) -> None:
            row.status.set(TaskStatus.IN_PROGRESS)
            row.note.set(note)

        await self._work(claim, edit, over=False)

    async def complete(self, claim: Claim, result: Any = None, *, note: str = "") -> None:
        """Say that a task is done; the claim is over.

        Args:
            claim: the claim.
            result: what came of it.
            note: what there is to say about it.

        Raises: PreconditionError, if the claim was lost: whoever has the task now says what comes of it;
            NotConnectedError, if the server is not there; InvalidValueError, if the result cannot be stored.
        """

        def edit(row: Task) -> None:
            row.status.set(TaskStatus.DONE)
            row.note.set(note)
            row.result.set(result)

        await self._work(claim, edit, over=True)

    async def fail(self, claim: Claim, reason: str, *, retry: bool = False) -> None:
        """Say that a task could not be done; the claim is over.

        Args:
            claim: the claim.
            reason: why.
            retry: whether the next one may try; if not, the task is blocked until somebody has looked.

        Raises: PreconditionError, if the claim was lost; NotConnectedError, if the server is not there.
        """

        def edit(row: Task) -> None:
            row.status.set(TaskStatus.OPEN if retry else TaskStatus.BLOCKED)
            row.note.set(reason)
            row.assignee.set("")

        await self._work(claim, edit, over=True)

    async def release(self, claim: Claim) -> None:
        """Give a task back, which is open then.

        Raises: PreconditionError, if the claim was lost; NotConnectedError, if the server is not there.
        """

        def edit(row: Task) -> None:
            row.status.set(TaskStatus.OPEN)
            row.assignee.set("")

        await self._work(claim, edit, over=True)

    async def _work(self, claim: Claim, edit: Callable[[Task], None], *, over: bool) -> None:
        """Edit a task under a claim, which must not have been lost."""
        now = self.now()

        def decided(state: ProjectContext) -> None:
            table = self.leases.table_of(state)
            table.check(claim.task, claim.lease.id)
            if claim.task not in state.tasks:
                raise no_task(claim.task)
            row = state.tasks[claim.task]
            edit(row)
            row.updated_at.set(now)
            if over:
                table.release(claim.task, claim.lease.id)

        await self._decide(decided, reads=[(self.state.leases.name, claim.task)])

    async def sweep(self) -> list[str]:
        """Write of tasks whose claims have expired that they are open, and return their ids.

        They are given out without that, too, and `tasks` shows them as open: this is for those who read the state
        itself. Raises: NotConnectedError, if the server is not there.
        """
        last: int | None = None
        now = await self.tier.replica.server_time()

        def edit(state: ProjectContext) -> list[str]:
            nonlocal last
            table = self.leases.table_of(state)
            expired = [
                id for id, row in state.tasks.items() if row.status.value in UNDER_WAY and table.held(id, now) is None
            ]
            ends = [record.until for id in expired if (record := table.current(id)) is not None and record.id]
            last = max(ends, default=None)
            for id in expired:
                state.tasks[id].status.set(TaskStatus.OPEN)
                state.tasks[id].assignee.set("")
                if (record := table.current(id)) is not None:
                    table.release(id, record.id)
            return expired

        return await self._decide(edit, not_before=lambda: last)

    async def _decide(
        self, edit: Callable[[ProjectContext], R], *, reads: Iterable[Read] = (), not_before: NotBefore = None
    ) -> R:
        return await self.tier.replica.decide(
            type(self.state), edit, reads=reads, not_before=not_before, attempts=ATTEMPTS
        )
