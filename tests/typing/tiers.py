"""What type checkers see of the tiers, and of the fields of the examples; checked by them, never run."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, assert_type

import comity
from comity import Counter, Log, Map, ORSet, Register, State
from comity.clients.blocking.client import BlockingClient
from comity.clients.tiers.local import LocalState
from comity.clients.tiers.reading import WithHistory
from comity.clients.tiers.session import SessionState
from comity.clients.tiers.tier import PersistentState, SharedState, Tier
from comity.clients.tiers.untyped import Untyped
from examples.tiers import Board, Call, Profile, Task


class Memory(State):
    facts: Map[int]


client = comity.connect("ws://127.0.0.1:8765", agent="planner", directory="replicas")
assert_type(client.shared("team-7", Board), AbstractAsyncContextManager[SharedState[Board]])
assert_type(client.shared("team-7"), AbstractAsyncContextManager[SharedState[Untyped]])
assert_type(client.persistent(Profile), AbstractAsyncContextManager[PersistentState[Profile]])
assert_type(client.persistent(), AbstractAsyncContextManager[PersistentState[Untyped]])
assert_type(client.local("memory", Memory), AbstractAsyncContextManager[LocalState[Memory]])
assert_type(client.local("memory", backup=True), AbstractAsyncContextManager[LocalState[Untyped]])
assert_type(client.session("call", Call, ttl=timedelta(days=1)), AbstractAsyncContextManager[SessionState[Call]])
assert_type(client.session("call"), AbstractAsyncContextManager[SessionState[Untyped]])
client.shared("team-7", str)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def use(board: SharedState[Board], memory: Tier[Untyped]) -> None:
    assert_type(board.state, Board)
    assert_type(board.state.goal, Register[str])
    assert_type(board.state.goal.value, str | None)
    assert_type(board.state.tasks, Map[Task])
    assert_type(board.state.tasks["dive"].title.value, str | None)
    assert_type(board.state.topics, ORSet[str])
    assert_type(board.state.spent, Counter)
    assert_type(board.state.spent.value, int)
    assert_type(memory.state.values, Map[Any])
    assert_type(board.match("tasks.*"), dict[str, Any])
    assert_type(board.version("goal"), str)
    assert_type(await board.compare_and_set("goal", "x", expected_version=""), str)
    assert_type(await board.decide(lambda draft: draft.spent.value), int)
    assert_type(await board.decide(lambda draft: draft.goal.value, reads=["goal"]), str | None)
    assert_type(await board.get_with_history("goal"), WithHistory)
    async with client.session("call", Call) as call:
        assert_type(call.state.said, Log[str])
        assert_type(call.state.said[0], str)
    async with client.persistent(Profile) as profile:
        assert_type(profile.state.calls.value, int)


def use_without_async(blocking: BlockingClient) -> None:
    with blocking.shared("team-7", Board) as board:
        assert_type(board.state, Board)
        assert_type(board.state.spent.value, int)
