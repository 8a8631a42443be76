"""What type checkers see of decisions, leases and projects; checked by them, never run."""

from datetime import timedelta
from typing import assert_type

import comity
from comity import Counter, Map, Register, State
from comity.clients.agents.project import Claim, ProjectManager, ProjectView, TaskStatus, TaskView
from comity.clients.leases import Lease, LeaseRecord, Leases
from comity.clients.tiers.tier import SharedState


class Board(State):
    goal: Register[str]
    spent: Counter
    leases: Map[LeaseRecord]


def spend(board: Board) -> bool:
    board.spent.subtract(3)
    return board.spent.value > 0


async def decide(board: SharedState[Board]) -> None:
    assert_type(await board.decide(spend, reads=[board.state.spent]), bool)
    assert_type(await board.decide(lambda state: state.goal.value), str | None)
    assert_type(await board.replica.decide(Board, spend, not_before=lambda: None), bool)
    assert_type(await board.replica.server_time(), int)
    leases = Leases(board)
    assert_type(await leases.acquire("build", ttl=timedelta(seconds=1)), Lease)
    async with leases.hold("build", ttl=timedelta(seconds=1)) as lease:
        assert_type(lease, Lease)
        assert_type(lease.token, int)
    assert_type(leases.holder("build"), str | None)
    assert_type(leases.contested("build"), tuple[LeaseRecord, ...])


async def work() -> None:
    async with ProjectManager.open(comity.connect("ws://127.0.0.1:8765", agent="ana"), "reef") as project:
        assert_type(project, ProjectManager)
        assert_type(project.tasks(), list[TaskView])
        assert_type(project.task("dive").status, TaskStatus)
        assert_type(project.active_projects, list[ProjectView])
        assert_type(await project.claim_next(), Claim | None)
        assert_type(await project.claim("dive"), Claim)
        assert_type(project.state.tasks["dive"].title.value, str | None)
