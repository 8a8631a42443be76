"""What type checkers see of a local tier; checked by them, never run."""

from typing import assert_type

from comity.clients.client import Client
from comity.clients.history.results import Begun, Checkpoint
from comity.clients.local.history import LocalHistory
from comity.clients.local.moving import Moved
from comity.clients.tiers.local import LocalState
from comity.clients.tiers.untyped import Untyped
from comity.crdt_types import Register, State


class Memory(State):
    goal: Register[str]


async def local(client: Client) -> None:
    """Use a local tier with a class, and without."""
    async with client.local("memory", Memory) as memory:
        assert_type(memory, LocalState[Memory])
        assert_type(memory.state.goal.value, str | None)
        assert_type(await memory.decide(lambda state: state.goal.value), str | None)
        assert_type(await memory.promote("team-7"), Moved)
        async with memory.history() as history:
            assert_type(history, LocalHistory)
            assert_type(await history.at(1, Memory), Memory)
            assert_type(await history.checkpoints(), list[Checkpoint])
    async with client.local("memory", backup=True) as untyped:
        assert_type(untyped, LocalState[Untyped])
    assert_type(await client.demote("shared/team-7", "memory"), Moved)
    async with client.history("shared/team-7") as room:
        assert_type(await room.begun(), Begun | None)
