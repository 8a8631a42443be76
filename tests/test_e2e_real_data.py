"""Real input through a running server: a text that two people wrote at once, and conversations of three parties."""

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import comity
from comity import Counter, Log, State, Text
from comity.crdt_types.varint import read_uint
from tests.support.gate import Gate, gate
from tests.support.optional import real_data
from tests.support.server import running_server
from tests.support.trace import Burst, Trace, read_trace
from tests.support.waiting import until


class Essay(State):
    text: Text


class Conversation(State):
    messages: Log[dict[str, Any]]
    count: Counter


Message = dict[str, Any]


def clock(state: State, client: int) -> int:
    """Return how much of a client's work a replica has, by its state vector."""
    vector = state.document.state_vector()
    count, at = read_uint(vector, 0)
    for _ in range(count):
        found, at = read_uint(vector, at)
        length, at = read_uint(vector, at)
        if found == client:
            return length
    return 0


class Author:
    """One of the two who write: a Comity client behind a gate that shows it as much of the other's work as is due.

    A transaction of the trace was made in the text that its parents add up to, no older one and no newer one. So the
    gate holds the other's updates back until a transaction is due that builds on them. And an update must end exactly
    where somebody's parents do: everything up to there is sent as one update, and the next is not made before the
    server has acknowledged it, since updates that wait together become one. Meanwhile the other author works on,
    which is the concurrency that was recorded.
    """

    def __init__(self, state: Essay, way: Gate) -> None:
        self.state = state
        self.client = state.document.client_id
        self.ends = {0: 0}  # the clock of this author's work after so many transactions
        self._gate = way
        self._ended = asyncio.Condition()

    async def write(self, bursts: list[Burst], other: "Author") -> None:
        for burst in bursts:
            await self.read(other, burst.seen)
            for transaction in burst.transactions:
                with self.state.transaction():
                    for patch in transaction:
                        self.state.text.replace(*patch)
            await self._end(burst.last)

    async def _end(self, transactions: int) -> None:
        await self.state.durable()
        async with self._ended:
            self.ends[transactions] = clock(self.state, self.client)
            self._ended.notify_all()

    async def end(self, transactions: int) -> int:
        """Return this author's clock after so many of its transactions, once it is there."""
        async with self._ended:
            await self._ended.wait_for(lambda: transactions in self.ends)
        return self.ends[transactions]

    async def read(self, other: "Author", transactions: int) -> None:
        """Let the other's work come in, up to so many transactions and not one more."""
        due = await other.end(transactions)
        while clock(self.state, other.client) < due:
            await self._next(other)
        assert clock(self.state, other.client) == due

    async def _next(self, other: "Author") -> None:
        before = clock(self.state, other.client)
        await self._gate.let_by()
        await until(self.state, lambda: clock(self.state, other.client) > before)


@asynccontextmanager
async def writing(url: str) -> AsyncGenerator[Author]:
    async with gate(url) as way, comity.connect(way.url).open("essay", Essay) as state:
        await state.synced()
        yield Author(state, way)


async def replay(trace: Trace, url: str) -> None:
    async with writing(url) as one, writing(url) as two:
        # Where both inserted at one place, the trace has the work of its first author on the left. So has Yjs that of
        # the smaller client id.
        first, second = sorted((one, two), key=lambda author: author.client)
        async with asyncio.TaskGroup() as writers:
            writers.create_task(first.write(trace.authors[0], second))
            writers.create_task(second.write(trace.authors[1], first))
        await first.read(second, trace.authors[1][-1].last)
        await second.read(first, trace.authors[0][-1].last)
        assert first.state.text.value == second.state.text.value == trace.end


@pytest.mark.timeout(120)
async def test_a_text_that_two_people_wrote_at_once_comes_out_as_it_did_for_them(tmp_path: Path) -> None:
    trace = read_trace(real_data("friendsforever.json.gz"))
    async with running_server(tmp_path / "data") as server:
        await replay(trace, server.url)
        async with comity.connect(server.url).open("essay", Essay) as reader:
            await reader.synced()
            assert reader.text.value == trace.end
        await server.kill()
        await server.restart()
        async with comity.connect(server.url).open("essay", Essay) as reader:
            await reader.synced()
            assert reader.text.value == trace.end


PARTIES = {"system": "assistant", "assistant": "assistant", "user": "user", "tool": "tools"}


def has(state: Conversation, messages: int) -> bool:
    return len(state.messages) >= messages


async def speak(url: str, room: str, party: str, messages: list[Message]) -> list[Message]:
    """Write one party's messages into a conversation, each after the one before it; return what is there in the end."""
    async with comity.connect(url, agent=party).open(room, Conversation) as state:
        for place, message in enumerate(messages):
            if PARTIES[message["role"]] == party:
                await until(state, partial(has, state, place))
                with state.transaction():
                    state.messages.append(message)
                    state.count.add(1)
        await until(state, partial(has, state, len(messages)))
        assert state.count.value == len(messages)
        await state.durable()
        return state.messages.value


async def converse(url: str, room: str, messages: list[Message]) -> None:
    """Have three parties write a conversation at once, and check what each of them and a newcomer sees."""
    parties = sorted(set(PARTIES.values()))
    for seen in await asyncio.gather(*(speak(url, room, party, messages) for party in parties)):
        assert seen == messages
    async with comity.connect(url).open(room, Conversation) as newcomer:
        await newcomer.synced()
        assert newcomer.messages.value == messages


@pytest.mark.timeout(120)
async def test_every_message_of_sixty_conversations_is_there_in_order_and_once(tmp_path: Path) -> None:
    with gzip.open(real_data("airline-conversations.json.gz")) as file:
        conversations = json.load(file)
    async with running_server(tmp_path / "data") as server, asyncio.TaskGroup() as talks:
        for each in conversations:
            talks.create_task(converse(server.url, f"session/{each['conversation']}", each["messages"]))
