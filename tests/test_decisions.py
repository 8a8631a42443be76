"""Decisions over a server: made once, on what is there, by whoever comes first."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pycrdt
import pytest

import comity
from comity import Counter, Log, Map, Register, State, StateDocument, Text, deny, migration
from comity.clients.draft import Draft
from comity.clients.replica import Replica
from comity.crdt_types.errors import (
    ConnectionFailedError,
    ErasedError,
    InvalidValueError,
    NotConnectedError,
    PreconditionError,
    RuleError,
    StateError,
    TransactionError,
)
from comity.crdt_types.schema.migration import After, Before
from comity.crdt_types.update import read_state_vector
from comity.persistence.errors import StoreError
from comity.persistence.memory import MemoryStore
from tests.support.calls import refusal, server_on
from tests.support.gated import GatedStore
from tests.support.raw import raw_client
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import eventually, until

ROOM = "shared/board"


class Board(State):
    goal: Register[str]
    hits: Map[int]
    spent: Counter
    log: Log[str]
    notes: Text


def replica_of(state: State) -> Replica:
    assert isinstance(state.replica, Replica)
    return state.replica


async def decide(state: Board, edit: Callable[[Board], Any], **how: Any) -> Any:
    return await replica_of(state).decide(Board, edit, **how)


@asynccontextmanager
async def boards(server: ServerHere, *names: str) -> AsyncGenerator[list[Board]]:
    """Open one room for several agents."""
    async with AsyncExitStack() as stack:
        opened = []
        for name in names:
            opened.append(await stack.enter_async_context(comity.connect(server.url, agent=name).open(ROOM, Board)))
            await opened[-1].synced()
        yield opened


def replace_goal(state: Any, goal: str) -> Any:
    before = state.goal.value
    state.goal.set(goal)
    return before


def note(state: Board) -> None:
    state.notes.append("!")
    state.goal.set("x")


def hit(state: Board) -> int:
    state.hits["x"] = state.hits.get("x", 0) + 1
    return state.hits["x"]


def claim(name: str) -> Callable[[Board], str | None]:
    def edit(state: Board) -> str | None:
        if not state.goal.is_set:
            state.goal.set(name)
            state.log.append(name)
        return state.goal.value

    return edit


async def test_decision_of_several_at_once_is_made_by_one_and_seen_by_all() -> None:
    async with server_on("sqlite") as server, boards(server, "ana", "ben", "cleo") as team:
        names = await asyncio.gather(*(decide(each, claim(name)) for each, name in zip(team, "abc", strict=True)))
        assert len(set(names)) == 1
        for each in team:
            assert each.goal.value == names[0]
            assert list(each.log) == [names[0]]
            assert each.conflicts() == []


async def test_decision_that_writes_past_its_draft_is_refused() -> None:
    async with server_on("memory") as server, boards(server, "ana") as (ana,):
        with pytest.raises(TransactionError):
            await decide(ana, lambda _draft: ana.hits.update(x=1))
        assert "x" not in ana.hits
        ana.hits["x"] = 1


async def test_decisions_of_a_cell_count_like_one_after_the_other() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as team:
        results = await asyncio.gather(*(decide(each, hit, attempts=100) for each in team for _ in range(20)))
        assert sorted(results) == list(range(1, 41))
        for each in team:
            await until(each, lambda each=each: each.hits["x"] == 40)  # type: ignore[misc]
            assert len(read_state_vector(each.document.state_vector())) == len(team)  # whatever was refused


async def test_decision_is_on_disk_and_here_when_it_returns_and_bears_its_makers_name() -> None:
    store = MemoryStore()
    async with server_on_store(store) as server, boards(server, "ana", "ben") as (ana, ben):
        heard: list[Any] = []
        ana.on_change(heard.append)
        await decide(ana, lambda state: state.goal.set("x"))
        assert ana.goal.value == "x"
        assert [(change.author, change.local) for change in heard] == [("ana", False)]
        (version,) = await store.versions(ROOM, 0, 10)
        assert version.author == "ana"
        await until(ben, lambda: ben.goal.value == "x")
        assert ana.replica.pending == 0


@asynccontextmanager
async def server_on_store(store: Any, **settings: Any) -> AsyncGenerator[ServerHere]:
    async with in_process_server(Path("unused"), store, **settings) as server:
        yield server


async def test_decision_relies_on_what_it_reads_where_that_is_named() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        ana.spent.add(5)
        await ana.durable()
        await until(ben, lambda: ben.spent.value == 5)
        tries: list[int] = []

        def spend(state: Board) -> None:
            if not tries:
                ben.spent.add(4)  # on its way to the server before this is
            tries.append(state.spent.value)
            if state.spent.value > 8:
                raise StateError("too much")
            state.goal.set("spent")

        with pytest.raises(StateError, match="too much"):
            await decide_behind(ana, ben, spend, reads=["spent"])
        assert tries == [5, 9]
        assert not ana.goal.is_set


async def decide_behind(ana: Board, ben: Board, edit: Callable[[Board], Any], **how: Any) -> Any:
    """Decide on what ana sees, while what ben writes in the edit is stored before the server hears of it."""
    replica = replica_of(ana)
    call = replica.call

    async def later(method: str, **params: Any) -> Any:
        if method == "decide":
            await ben.durable()
        return await call(method, **params)

    replica.call = later  # type: ignore[method-assign]
    try:
        return await decide(ana, edit, **how)
    finally:
        replica.call = call  # type: ignore[method-assign]


async def test_decision_gives_up_after_its_attempts_and_writes_nothing() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        tries: list[int] = []

        def lose(state: Board) -> None:
            tries.append(len(tries))
            ben.goal.set(f"ben {len(tries)}")
            state.goal.set("ana")

        with pytest.raises(PreconditionError):
            await decide_behind(ana, ben, lose, attempts=3)
        assert len(tries) == 3
        await until(ana, lambda: ana.goal.value == "ben 3")


async def test_decision_is_left_to_those_who_were_refused_by_who_decides_without_a_pause() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben", "cleo") as team:

        async def keep_on(state: Board) -> None:
            for _ in range(15):
                await decide(state, hit, attempts=24)

        await asyncio.gather(*map(keep_on, team))
        await until(team[0], lambda: team[0].hits["x"] == 45)


async def test_decision_counts_and_appends_whatever_others_did_meanwhile() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        tries: list[int] = []

        def count(state: Board) -> None:
            tries.append(1)
            ben.spent.add(1)
            ben.log.append("ben")
            state.spent.add(2)
            state.log.append("ana")

        await decide_behind(ana, ben, count)
        assert tries == [1]
        await until(ana, lambda: ana.spent.value == 3 and len(ana.log) == 2)


async def test_decision_that_raises_or_writes_nothing_asks_nobody() -> None:
    async with server_on("memory") as server, boards(server, "ana") as (ana,):
        for raised in (ValueError("no"), KeyError("no")):

            def fail(state: Board, raised: Exception = raised) -> None:
                state.goal.set("x")
                raise raised

            with pytest.raises(type(raised)):
                await decide(ana, fail)
        with pytest.raises(InvalidValueError):
            await decide(ana, lambda state: state.hits.update(x="no number"))  # type: ignore[arg-type]
        assert await decide(ana, lambda state: state.goal.value) is None
        assert not ana.goal.is_set
        (room,) = server.hub.rooms
        assert room.seq == 0
        await decide(ana, lambda state: state.goal.set("y"))
        assert ana.goal.value == "y"


async def test_decision_that_waits_is_refused() -> None:
    async with server_on("memory") as server, boards(server, "ana") as (ana,):

        async def wait(state: Board) -> None:
            state.goal.set("x")

        with pytest.raises(StateError, match="waits"):
            await decide(ana, wait)
        with ana.transaction(), pytest.raises(TransactionError):
            await decide(ana, hit)


async def test_decision_has_its_time_by_the_servers_clock() -> None:
    async with server_on("memory") as server, boards(server, "ana") as (ana,):
        now = await replica_of(ana).server_time()
        with pytest.raises(PreconditionError) as raised:
            await decide(ana, hit, not_before=now + 60_000)
        assert 50 < (raised.value.retry_after or 0) <= 60.1
        assert await decide(ana, hit, not_before=lambda: now - 1000) == 1


async def test_decision_without_a_connection_is_refused_at_once() -> None:
    async with server_on("memory") as server, boards(server, "ana") as (ana,):
        with ana.replica.offline(), pytest.raises(NotConnectedError):
            await decide(ana, hit)
    async with comity.connect("ws://127.0.0.1:1", agent="ana").open(ROOM, Board) as alone:
        with pytest.raises(NotConnectedError):
            await decide(alone, hit)


async def test_decision_right_after_opening_waits_for_the_connection() -> None:
    async with server_on("memory") as server, comity.connect(server.url, agent="ana").open(ROOM, Board) as ana:
        assert await decide(ana, hit) == 1


async def test_decision_rests_on_edits_that_are_not_acknowledged_yet() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        ana.goal.set("first")
        assert await decide(ana, lambda state: replace_goal(state, "second")) == "first"
        await until(ben, lambda: ben.goal.value == "second")
        assert ben.conflicts() == []


async def test_decision_whose_outcome_is_not_known_says_so_and_shows_after_coming_back() -> None:
    store = GatedStore()
    async with server_on_store(store) as server, boards(server, "ana") as (ana,):
        ana.log.append("before")
        await ana.durable()
        async with store.held():
            task = asyncio.create_task(decide(ana, hit))
            await eventually(lambda: server.hub.rooms[0].seq == 2)
            with ana.replica.offline(), pytest.raises(ConnectionFailedError, match="may have been made"):
                await task
        await until(ana, lambda: ana.hits.get("x") == 1)
        await ana.synced()
        assert await decide(ana, hit) == 2


async def test_decision_that_cannot_be_stored_leaves_everything_as_it_was() -> None:
    store = GatedStore()
    async with server_on_store(store) as server, boards(server, "ana") as (ana,):
        ana.log.append("before")
        await ana.durable()
        store.error = StoreError("no space", subject="disk")
        with pytest.raises(ConnectionFailedError):
            await decide(ana, hit)
        store.error = None
        await eventually(lambda: server.hub.archive.failed is None)
        await until(ana, lambda: ana.replica.status == "live")
        assert "x" not in ana.hits
        assert await decide(ana, hit) == 1


async def test_decision_keeps_the_rules_of_the_schema() -> None:
    class Ruled(State, rules=[deny("no goals", when=lambda change, _state: change.field == "goal")]):
        goal: Register[str]
        plan: Register[str]

    async with server_on("memory") as server, comity.connect(server.url, agent="ana").open(ROOM, Ruled) as ruled:
        replica = replica_of(ruled)
        with pytest.raises(RuleError):
            await replica.decide(Ruled, lambda state: state.goal.set("x"))
        await replica.decide(Ruled, lambda state: state.plan.set("x"))
        assert ruled.to_dict() == {"goal": None, "plan": "x"}


async def test_decision_of_a_class_that_migrates_sends_what_the_migration_wrote() -> None:
    class Old(State, name="board", version=1):
        title: Register[str]

    @migration(1, 2, backward=False)
    def rename(_old: Before, new: After) -> None:
        new.rename("title", "goal")

    class New(State, name="board", version=2, migrations=[rename]):
        goal: Register[str]

    async with server_on("memory") as server:
        async with comity.connect(server.url, agent="ana").open(ROOM, Old) as old:
            old.title.set("x")
            await old.durable()
        async with (
            comity.connect(server.url, agent="ben").open(ROOM, Board) as ben,
            comity.connect(server.url, agent="cleo").open(ROOM, New) as cleo,
        ):
            await ben.synced()
            assert await replica_of(ben).decide(New, lambda state: replace_goal(state, "y")) == "x"
            await until(cleo, lambda: cleo.goal.value == "y")


async def test_decision_after_a_reset_is_made_on_the_new_document() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        assert await decide(ana, hit) == 1
        async with comity.connect(server.url, agent="ben").history(ROOM) as history:
            await history.erase()
        await eventually(lambda: ana.replica.error is not None)
        with pytest.raises(ErasedError):
            await decide(ana, hit)
        del ben
    async with server_on("memory") as server, boards(server, "ana") as (ana,):
        assert await decide(ana, hit) == 1


async def test_decision_of_a_text_is_made_and_merges() -> None:
    async with server_on("memory") as server, boards(server, "ana", "ben") as (ana, ben):
        ana.notes.append("a reef")
        await ana.durable()
        await decide(ana, note)
        await until(ben, lambda: ben.notes == "a reef!" and ben.goal.value == "x")


# On the wire ----------------------------------------------------------------------------------------------------


def request(**other: Any) -> dict[str, Any]:
    """Return the parameters of a decision that sets the goal of an empty room."""
    draft = Draft(StateDocument(agent="ana"))
    proposal = draft.propose(draft.state(Board), lambda state: state.goal.set("x"), ())[1]
    assert proposal is not None
    return {"update": proposal.update, **proposal.precondition.to_params(), **other}


async def test_decide_is_answered_with_the_time_once_it_is_on_disk_and_told_to_its_maker() -> None:
    store = GatedStore()
    async with server_on_store(store) as server, raw_client(server.url, ROOM, agent="ana") as client:
        await client.sync()
        async with store.held():
            task = asyncio.create_task(client.call("decide", **request()))
            await eventually(lambda: server.hub.rooms[0].seq == 1)
            assert not task.done()
        answer = await task
        assert answer["rivals"] == 0
        assert abs(answer["at"] - await client.call("clock")) < 60_000
        board = Board(StateDocument(update=client.doc.get_update()))
        assert board.goal.value == "x"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"update": b"nothing"}, 4400),
        ({"state_vector": b"\xff"}, 4400),
        ({"state_vector": b"\x01\x05\x07"}, 4412),
        ({"cells": [1]}, 4400),
        ({"cells": None}, 4400),
        ({"ids": [[1, 2]]}, 4400),
        ({"not_before": -1}, 4400),
        ({"not_before": 2**53 - 1}, 4412),
        ({"attempt": "two"}, 4400),
        ({"else": 1}, 4400),
    ],
    ids=str,
)
async def test_decide_that_is_malformed_or_refused_changes_nothing(other: dict[str, Any], code: int) -> None:
    async with server_on("memory") as server, raw_client(server.url, ROOM) as client:
        await client.sync()
        assert await refusal(client, "decide", **request(**other)) == code
        assert (await client.call("head"))["seq"] == 0
        await client.call("decide", **request())
        assert (await client.call("head"))["seq"] == 1
        tally = server.hub.rooms[0].tally
        assert (tally.decisions, tally.refusals, tally.received) == (
            1,
            int(code == 4412),
            2,
        )  # and the answer to step 1


async def test_decide_is_held_to_the_limits_of_any_update() -> None:
    async with server_on("memory", max_value=10) as server, raw_client(server.url, ROOM) as client:
        await client.sync()
        draft = Draft(StateDocument(agent="ana"))
        proposal = draft.propose(draft.state(Board), lambda state: state.goal.set("x" * 20), ())[1]
        assert proposal is not None
        params = {"update": proposal.update, **proposal.precondition.to_params()}
        assert await refusal(client, "decide", **params) == 4413
        await client.call("decide", **request())


async def test_decide_comes_after_what_its_connection_sent_before() -> None:
    async with server_on("memory") as server, raw_client(server.url, ROOM) as client:
        await client.sync()
        source = Board(StateDocument(agent="ana"))
        source.goal.set("mine")
        params = request()
        await client.update(source.document.update_since())
        assert await refusal(client, "decide", **params) == 4412


async def test_decide_that_builds_on_what_never_came_is_refused_and_leaves_nothing() -> None:
    async with server_on("memory") as server, raw_client(server.url, ROOM) as client:
        first = client.change("a reef")
        params = request(update=_of_another_client(first, " and a cave"))
        assert await refusal(client, "decide", **params) == 4412
        await client.update(first)
        await client.durable()
        async with raw_client(server.url, ROOM) as other:
            assert (await other.sync()).value() == "a reef"


def _of_another_client(update: bytes, text: str) -> bytes:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(update)
    before, found = doc.get_state(), doc.get("t", type=pycrdt.Text)
    found.insert(len(found), text)
    return doc.get_update(before)
