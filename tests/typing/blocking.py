"""What type checkers see of the synchronous twin; checked by them, never run."""

from datetime import datetime
from typing import Any, assert_type

from comity.clients.blocking.client import connect_sync
from comity.clients.blocking.history import BlockingHistory, BlockingPast
from comity.clients.blocking.kinds import BlockingLocal, BlockingPersistent, BlockingSession, BlockingShared
from comity.clients.blocking.stream import BlockingChanges
from comity.clients.history.results import Revision, Version
from comity.clients.tiers.reading import WithHistory
from comity.clients.tiers.untyped import Untyped
from comity.crdt_types import Counter, Map, Register, State, StateDocument


class Job(State):
    title: Register[str]


class Board(State):
    goal: Register[str]
    spent: Counter
    jobs: Map[Job]


client = connect_sync("ws://127.0.0.1:8765", agent="ana", directory="replicas")
team = client.shared("team-7", Board)
assert_type(team, BlockingShared[Board])
assert_type(client.shared("team-7"), BlockingShared[Untyped])
assert_type(client.persistent(Board), BlockingPersistent[Board])
assert_type(client.session("call", Board), BlockingSession[Board])
assert_type(client.session("call").expires_at, datetime | None)
assert_type(client.local("memory", Board), BlockingLocal[Board])
assert_type(client.local("memory").history(), BlockingPast)
assert_type(team.state, Board)
assert_type(team.state.goal.value, str | None)
assert_type(team.state.jobs["j"].title, Register[str])
assert_type(team["goal"], Any)
assert_type(team.durable(timeout=5), None)
assert_type(team.match("jobs.*"), dict[str, Any])
assert_type(team.get_with_history("goal", timeout=5), WithHistory)
assert_type(team.decide(lambda board: board.spent.value, timeout=5), int)
assert_type(team.run(lambda board: board.goal.get("none")), str)
assert_type(team.changes(timeout=5), BlockingChanges)
with team as entered, team.history(timeout=5) as history:
    assert_type(entered, BlockingShared[Board])
    assert_type(history, BlockingHistory)
    assert_type(history.versions(newest_first=True), list[Version])
    assert_type(history.restore("before"), Revision)
    assert_type(history.at(1), StateDocument)
    assert_type(history.at(1, Board), Board)

team.durable(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
team.state.goal.set(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
history.restore()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
