"""Projects: tasks that agents claim, so that no two do the same one."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

import comity
from comity.clients.agents.project import Claim, Issue, ProjectManager, ProjectStatus, TaskStatus
from comity.crdt_types.errors import (
    InvalidValueError,
    LeaseHeldError,
    NotConnectedError,
    PreconditionError,
    StateError,
)
from tests.support.calls import server_on
from tests.support.waiting import eventually, until

MOMENT = timedelta(milliseconds=150)


@asynccontextmanager
async def agents(*names: str) -> AsyncGenerator[list[ProjectManager]]:
    """Open one room for several agents on a server of its own."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_on("memory"))
        opened = []
        for name in names:
            client = comity.connect(server.url, agent=name)
            opened.append(await stack.enter_async_context(ProjectManager.open(client, "reef")))
            await opened[-1].tier.synced()
        yield opened


async def test_project_tasks_are_each_done_exactly_once_by_three_agents() -> None:
    async with agents("ana", "ben", "cleo") as team:
        first = team[0]
        with first.tier.transaction():
            for number in range(30):
                first.add_task(f"task {number}", id=f"t{number:02}", priority=number % 3)
        await first.tier.durable()
        done: Counter[str] = Counter()

        async def work(agent: ProjectManager) -> int:
            count = 0
            while (claim := await agent.claim_next()) is not None:
                done[claim.task] += 1
                await agent.complete(claim, result=f"by {agent.tier.replica.agent}")
                count += 1
            return count

        for agent in team:
            await until(agent.state, lambda agent=agent: len(agent.tasks()) == 30)  # type: ignore[misc]
        counts = await asyncio.gather(*map(work, team))
        assert sum(counts) == 30
        assert set(done.values()) == {1}
        assert len(done) == 30
        for agent in team:
            await until(agent.state, lambda agent=agent: len(agent.tasks(status=TaskStatus.DONE)) == 30)  # type: ignore[misc]
            assert all(view.result == f"by {view.assignee}" for view in agent.tasks())


async def test_project_claim_sets_lease_status_and_assignee_in_one_version() -> None:
    async with agents("ana") as (ana,):
        task = ana.add_task("map the reef")
        await ana.tier.durable()
        async with ana.tier.history() as history:
            before = len([version async for version in history.versions()])
            claim = await ana.claim(task)
            versions = [version async for version in history.versions()]
        assert len(versions) == before + 1
        assert versions[-1].author == "ana"
        view = ana.task(task)
        assert (view.status, view.assignee, view.claimed_until) == (TaskStatus.CLAIMED, "ana", claim.until)


async def test_project_claimed_task_cannot_be_claimed_by_another() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef")
        claim = await ana.claim(task)
        await until(ben.state, lambda: ben.task(task).status is TaskStatus.CLAIMED)
        with pytest.raises(LeaseHeldError) as raised:
            await ben.claim(task)
        assert (raised.value.holder, raised.value.until) == ("ana", claim.until)
        assert await ben.claim_next() is None
        await ana.progress(claim, "half way")
        await ana.release(claim)
        await until(ben.state, lambda: ben.task(task).status is TaskStatus.OPEN)
        again = await ben.claim(task)
        assert again.lease.token > claim.lease.token
        assert not claim.lost.is_set()


async def test_project_claim_that_expired_is_open_again_and_cannot_complete() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef")
        claim = await ana.claim(task, ttl=MOMENT)
        await eventually(lambda: ana.task(task).status is TaskStatus.OPEN)
        await until(ben.state, lambda: task in ben.state.leases)
        taken = await ben.claim_next()
        assert taken is not None
        assert taken.task == task
        await asyncio.wait_for(claim.lost.wait(), 10)
        for attempt in (ana.complete(claim), ana.progress(claim), ana.fail(claim, "x"), ana.release(claim)):
            with pytest.raises(PreconditionError):
                await attempt
        with pytest.raises(PreconditionError):
            await claim.renew()
        assert (ben.task(task).status, ben.task(task).assignee) == (TaskStatus.CLAIMED, "ben")
        await ben.complete(taken, {"reefs": 3})
        assert ben.task(task).result == {"reefs": 3}


async def test_project_claim_that_expired_still_completes_if_nobody_took_it() -> None:
    async with agents("ana") as (ana,):
        claim = await ana.claim(ana.add_task("map the reef"), ttl=MOMENT)
        await eventually(lambda: ana.task(claim.task).status is TaskStatus.OPEN)
        await ana.complete(claim)
        assert ana.task(claim.task).status is TaskStatus.DONE


async def test_project_sweep_writes_that_expired_claims_are_open() -> None:
    async with agents("ana") as (ana,):
        claim = await ana.claim(ana.add_task("map the reef"), ttl=MOMENT)
        kept = await ana.claim(ana.add_task("dive"))
        await eventually(lambda: ana.task(claim.task).status is TaskStatus.OPEN)
        assert await ana.sweep() == [claim.task]
        assert ana.state.tasks[claim.task].status.value is TaskStatus.OPEN
        assert ana.state.tasks[kept.task].status.value is TaskStatus.CLAIMED
        assert await ana.sweep() == []


async def test_project_gives_out_the_most_urgent_task_that_can_be_done() -> None:
    async with agents("ana") as (ana,):
        survey, over = ana.add_project("survey", id="survey"), ana.add_project("over", id="over")
        ana.activate(survey)
        ana.archive(over)
        ana.add_task("report", id="report", project=survey, priority=9, depends_on=["dive"])
        ana.add_task("dive", id="dive", project=survey, priority=1)
        ana.add_task("pack", id="pack", priority=5)
        ana.add_task("old", id="old", project=over, priority=10)
        ana.block(ana.add_task("stuck", id="stuck", priority=10), "no boat")
        ana.cancel(ana.add_task("never", id="never", priority=10))
        pack = await ana.claim_next()
        dive = await ana.claim_next(where=lambda task: task.title == "dive")
        assert (pack and pack.task, dive and dive.task) == ("pack", "dive")
        assert await ana.claim_next() is None
        for task, reason in {"report": "waits", "old": "archived", "stuck": "blocked", "never": "cancelled"}.items():
            with pytest.raises(PreconditionError, match=reason):
                await ana.claim(task)
        assert dive is not None
        await ana.complete(dive)
        report = await ana.claim_next(project=survey)
        assert report is not None
        assert report.task == "report"
        ana.unblock("stuck")
        stuck = await ana.claim_next()
        assert stuck is not None
        await ana.fail(stuck, "still no boat")
        assert (ana.task("stuck").status, ana.task("stuck").note) == (TaskStatus.BLOCKED, "still no boat")
        assert [view.id for view in ana.active_projects] == ["survey"]
        assert [view.id for view in ana.tasks(status=[TaskStatus.OPEN, TaskStatus.DONE])] == ["old", "dive"]


async def test_project_claim_and_removal_of_a_task_do_not_bring_half_of_it_back() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef")
        await ana.tier.durable()
        await until(ben.state, lambda: task in ben.state.tasks)
        ana.remove_task(task)
        outcome = (await asyncio.gather(ben.claim(task), ana.tier.durable(), return_exceptions=True))[0]
        await until(ana.state, lambda: (task in ana.state.tasks) == (task in ben.state.tasks))
        assert isinstance(outcome, Claim) == (task in ana.state.tasks)
        with pytest.raises(StateError):
            await ben.claim("nothing")


async def test_project_tentative_claims_of_two_are_known_to_both_when_they_meet() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef")
        await ana.tier.durable()
        await until(ben.state, lambda: task in ben.state.tasks)
        told: list[str] = []
        for agent in (ana, ben):
            agent.leases.on_contested(lambda name, _rivals: told.append(name))
        with ana.tier.replica.offline(), ben.tier.replica.offline():
            with pytest.raises(NotConnectedError):
                await ana.claim(task)
            first, second = await ana.claim(task, tentative=True), await ben.claim(task, tentative=True)
            assert first.lease.tentative
        await asyncio.gather(ana.tier.synced(), ben.tier.synced())
        await eventually(lambda: len(told) == 2)
        await eventually(lambda: first.lost.is_set() != second.lost.is_set())
        assert {record.holder for record in ben.leases.contested(task)} == {"ana", "ben"}
        winner, claim = (ben, second) if first.lost.is_set() else (ana, first)
        loser, lost = (ana, first) if first.lost.is_set() else (ben, second)
        await winner.complete(claim)
        with pytest.raises(PreconditionError):
            await loser.complete(lost)


async def test_project_plans_merge_and_refuse_what_cannot_be() -> None:
    async with agents("ana", "ben") as (ana, ben):
        told: list[set[str]] = []
        ben.on_update(lambda _old, new: told.append(set(new)), name="tasks.**")
        task = ana.add_task("map the reef", issues={"#1": Issue("Reef", "https://example.org/1")})
        ana.link_issue(task, "#2", title="Boat")
        ana.preferences["language"] = "en"
        await ana.tier.durable()
        await until(ben.state, lambda: ben.preferences.get("language") == "en")
        assert set(ben.task(task).issues) == {"#1", "#2"}
        ben.unlink_issue(task, "#1")
        assert dict(ben.task(task).issues) == {"#2": Issue("Boat")}
        assert any(f"tasks.{task}.title" in keys for keys in told)
        with pytest.raises(InvalidValueError):
            ana.add_task("again", id=task)
        with pytest.raises(InvalidValueError):
            ana.add_task("again", depends_on=task)
        for refused in (ana.activate, ana.archive, ana.project, ana.task, ana.cancel, ana.remove_task):
            with pytest.raises(StateError):
                refused("nothing")
        project = ana.add_project("survey")
        assert ana.project(project).status is ProjectStatus.OPEN
        ana.activate(project)
        ana.deactivate(project)
        assert ana.active_projects == []
        ana.cancel(task)
        with pytest.raises(StateError):
            ana.block(task, "over")


@pytest.mark.parametrize("end", ["block", "cancel"])
async def test_project_claim_of_a_task_that_is_taken_away_is_lost(end: str) -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef")
        claim = await ana.claim(task)
        await until(ben.state, lambda: ben.task(task).status is TaskStatus.CLAIMED)
        getattr(ben, end)(task, "no boat")
        status = ben.task(task).status
        async with asyncio.timeout(5):
            await claim.lost.wait()
        with pytest.raises(PreconditionError):
            await ana.progress(claim)
        assert ana.task(task).status is ben.task(task).status is status


async def test_project_task_that_was_blocked_under_a_claim_is_given_out_when_it_can_be_done() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task = ana.add_task("map the reef", priority=1)
        first = await ana.claim(task)
        await until(ben.state, lambda: ben.task(task).status is TaskStatus.CLAIMED)
        ben.unblock(task)  # which it is not
        assert ben.task(task).status is TaskStatus.CLAIMED
        ben.block(task, "no boat")
        ben.unblock(task)
        second = await ben.claim_next()
        assert second is not None
        assert second.task == task
        assert second.lease.token > first.lease.token


async def test_project_claim_next_passes_over_open_tasks_that_somebody_holds() -> None:
    async with agents("ana", "ben") as (ana, ben):
        task, other = ana.add_task("map the reef", priority=1), ana.add_task("count fish")
        await ana.claim(task)
        ana.state.tasks[task].status.set(TaskStatus.OPEN)  # past the manager
        await ana.tier.durable()
        await until(ben.state, lambda: len(ben.tasks(status=TaskStatus.OPEN)) == 2)
        claim = await ben.claim_next()
        assert claim is not None
        assert claim.task == other


async def test_project_statuses_are_taken_as_text_and_unknown_ones_refused() -> None:
    async with agents("ana") as (ana,):
        ana.activate(ana.add_project("Reef", id="p1"))
        ana.add_task("Dive", id="t1")
        assert [task.id for task in ana.tasks(status="open")] == ["t1"]
        assert [task.id for task in ana.tasks(status=["done", TaskStatus.OPEN])] == ["t1"]
        assert [project.id for project in ana.projects(status="active")] == ["p1"]
        with pytest.raises(InvalidValueError):
            ana.tasks(status="finished")
        with pytest.raises(InvalidValueError):
            await ana.claim("t1", ttl=timedelta(0))
        assert ana.tasks()[0].status is TaskStatus.OPEN
