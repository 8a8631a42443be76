"""Leases: one agent has a name at a time, by the server's clock, and an earlier holder is told from a later one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import comity
from comity import Map, Register, State, StateDocument
from comity.clients.leaserecord import LeaseTable
from comity.clients.leases import LeaseRecord, Leases
from comity.clients.tiers.tier import SharedState
from comity.crdt_types.errors import (
    InvalidValueError,
    LeaseHeldError,
    NotConnectedError,
    PreconditionError,
    SchemaError,
)
from tests.support.calls import server_on
from tests.support.gated import GatedStore
from tests.support.server import in_process_server
from tests.support.waiting import eventually, until

LONG = timedelta(minutes=1)
SHORT = timedelta(milliseconds=200)


class Board(State):
    goal: Register[str]
    leases: Map[LeaseRecord]


@asynccontextmanager
async def boards(*names: str) -> AsyncGenerator[list[SharedState[Board]]]:
    """Open one room for several agents on a server of its own."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(server_on("memory"))
        opened = []
        for name in names:
            tier = comity.connect(server.url, agent=name).shared("board", Board)
            opened.append(await stack.enter_async_context(tier))
            await opened[-1].synced()
        yield opened


async def test_lease_is_given_to_one_of_several_at_once() -> None:
    async with boards("ana", "ben", "cleo") as team:
        every = [Leases(tier) for tier in team]
        outcomes = await asyncio.gather(*(each.acquire("build", ttl=LONG) for each in every), return_exceptions=True)
        (lease,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, LeaseHeldError)]
        assert len(refused) == 2
        assert {(error.holder, error.until) for error in refused} == {(lease.holder, lease.until)}
        assert all(50 < (error.retry_after or 0) <= 60.1 for error in refused)
        for tier, leases in zip(team, every, strict=True):
            await until(tier.state, lambda leases=leases: leases.holder("build") == lease.holder)  # type: ignore[misc]
            assert leases.contested("build") == ()


async def test_lease_that_was_released_goes_to_the_next_with_a_greater_token() -> None:
    async with boards("ana", "ben") as (ana, ben):
        mine, theirs = Leases(ana), Leases(ben)
        tokens = []
        for leases in (mine, theirs, theirs, mine):
            lease = await leases.acquire("build", ttl=LONG)
            tokens.append(lease.token)
            await lease.release()
            assert not lease.lost.is_set()
            await lease.release()
        assert tokens == [1, 2, 3, 4]
        assert mine.holder("build") is None


async def test_lease_that_expired_is_taken_over_and_cannot_be_renewed() -> None:
    async with boards("ana", "ben") as (ana, ben):
        mine, theirs = Leases(ana), Leases(ben)
        lease = await mine.acquire("build", ttl=SHORT)
        await until(ben.state, lambda: "build" in ben.state.leases)
        with pytest.raises(LeaseHeldError):
            await theirs.acquire("build", ttl=LONG)
        await eventually(lambda: theirs.holder("build") is None)
        taken = await theirs.acquire("build", ttl=LONG)
        assert taken.token == lease.token + 1
        await asyncio.wait_for(lease.lost.wait(), 10)
        with pytest.raises(PreconditionError, match="ben"):
            await lease.renew()
        await lease.release()
        assert theirs.holder("build") == "ben"


async def test_lease_expires_by_the_servers_clock_not_by_ones_own() -> None:
    async with boards("ana", "ben") as (ana, ben):
        lease = await Leases(ana).acquire("build", ttl=LONG)
        await until(ben.state, lambda: "build" in ben.state.leases)
        clock = cast("Any", ben.replica)._clock
        await ben.replica.server_time()
        clock._ahead += 3600  # of one who believes that an hour has passed
        with pytest.raises(LeaseHeldError) as raised:
            await Leases(ben).acquire("build", ttl=LONG)
        assert (raised.value.holder, raised.value.until) == ("ana", lease.until)
        assert 50 < (raised.value.retry_after or 0) <= 60.1
        assert ben.state.leases["build"].holder == "ana"


async def test_lease_that_expired_can_be_renewed_while_nobody_took_it() -> None:
    async with boards("ana") as (ana,):
        leases = Leases(ana)
        lease = await leases.acquire("build", ttl=SHORT)
        await eventually(lambda: leases.holder("build") is None and lease.left < 0)  # which is in whole ms, and exact
        await lease.renew()
        assert leases.holder("build") == "ana"
        assert 0 < lease.left <= SHORT.total_seconds()


async def test_lease_that_is_held_renews_itself_and_is_released_at_the_end() -> None:
    async with boards("ana", "ben") as (ana, ben):
        mine, theirs = Leases(ana), Leases(ben)
        seen: set[int] = set()
        async with mine.hold("build", ttl=SHORT) as lease:
            ana.state.leases.on_change(lambda change: seen.add(change.new.until))
            await eventually(lambda: len(seen) >= 4)  # longer than it lasts by itself
            await eventually(lambda: lease.until == max(seen))  # which it knows a moment after the state does
            with pytest.raises(LeaseHeldError):
                await theirs.acquire("build", ttl=LONG)
            assert not lease.lost.is_set()
        assert not lease.lost.is_set()
        assert (await theirs.acquire("build", ttl=LONG)).token == 2


async def test_lease_that_is_held_is_lost_once_it_cannot_be_renewed() -> None:
    async with boards("ana") as (ana,), Leases(ana).hold("build", ttl=SHORT) as lease:
        with ana.replica.offline():
            await asyncio.wait_for(lease.lost.wait(), 10)
            assert lease.left <= 0


async def test_lease_that_is_held_is_lost_in_time_although_the_server_says_nothing(tmp_path: Path) -> None:
    store = GatedStore()
    async with (
        in_process_server(tmp_path, store) as server,
        comity.connect(server.url, agent="ana").shared("board", Board) as ana,
        Leases(ana).hold("build", ttl=SHORT) as lease,
    ):
        async with store.held():
            await asyncio.wait_for(lease.lost.wait(), 10)
        assert ana.status == "live"


async def test_lease_without_the_server_is_refused_or_tentative() -> None:
    async with boards("ana", "ben") as (ana, ben):
        mine, theirs = Leases(ana), Leases(ben)
        told: list[tuple[str, set[str]]] = []
        stop = mine.on_contested(lambda name, rivals: told.append((name, {rival.holder for rival in rivals})))
        theirs.on_contested(lambda name, rivals: told.append((name, {rival.holder for rival in rivals})))
        with ana.replica.offline(), ben.replica.offline():
            with pytest.raises(NotConnectedError):
                await mine.acquire("build", ttl=LONG)
            first = await mine.acquire("build", ttl=LONG, tentative=True)
            second = await theirs.acquire("build", ttl=LONG, tentative=True)
            assert first.tentative
            assert second.tentative
            with pytest.raises(LeaseHeldError):
                await mine.acquire("build", ttl=LONG, tentative=True)
        await eventually(lambda: first.lost.is_set() or second.lost.is_set())
        await eventually(lambda: len(told) == 2)
        stop()
        assert told == [("build", {"ana", "ben"})] * 2
        assert first.lost.is_set() != second.lost.is_set()
        holder, lease = ("ben", second) if first.lost.is_set() else ("ana", first)
        assert mine.holder("build") == theirs.holder("build") == holder
        await ana.synced()
        await ben.synced()
        await lease.renew()
        assert not lease.tentative
        await until(ana.state, lambda: not mine.contested("build"))
        await until(ben.state, lambda: not theirs.contested("build"))


async def test_lease_of_the_server_stands_against_a_tentative_one() -> None:
    async with boards("ana", "ben") as (ana, ben):
        mine, theirs = Leases(ana), Leases(ben)
        lease = await mine.acquire("build", ttl=SHORT)
        await until(ben.state, lambda: "build" in ben.state.leases)
        with ben.replica.offline():
            await eventually(lambda: theirs.holder("build") is None)
            await lease.renew()
            taken = await theirs.acquire("build", ttl=LONG, tentative=True)
        await eventually(lambda: taken.lost.is_set() and mine.contested("build"))
        assert not lease.lost.is_set()
        with pytest.raises(PreconditionError):
            await taken.renew()
        await lease.renew()


async def test_lease_that_is_tentative_is_released_without_the_server() -> None:
    async with boards("ana") as (ana,):
        leases = Leases(ana)
        with ana.replica.offline():
            async with leases.hold("build", ttl=LONG, tentative=True) as lease:
                assert lease.tentative
                assert leases.holder("build") == "ana"
            assert leases.holder("build") is None


async def test_leases_refuse_what_makes_no_sense() -> None:
    async with boards("ana") as (ana,):
        for ttl in (timedelta(), timedelta(seconds=-1), cast("timedelta", 3)):
            with pytest.raises(InvalidValueError):
                await Leases(ana).acquire("build", ttl=ttl)
        for field in ("goal", "nothing"):
            with pytest.raises(SchemaError):
                Leases(ana, field)
        assert len(ana.state.leases) == 0


RECORDS = st.builds(
    LeaseRecord,
    holder=st.sampled_from(["ana", "ben", "cleo"]),
    token=st.integers(1, 3),
    until=st.integers(0, 9),
    id=st.sampled_from("abcdef"),
    tentative=st.booleans(),
)


@given(st.lists(RECORDS, min_size=2, max_size=4, unique_by=lambda record: record.id), st.randoms())
def test_lease_that_counts_is_the_same_everywhere(records: list[LeaseRecord], random: Any) -> None:
    updates = []
    for n, record in enumerate(records):
        board = Board(StateDocument(agent=f"agent {n}"))
        board.leases["x"] = record
        updates.append(board.document.update_since())
    found = set()
    for _ in range(2):
        random.shuffle(updates)
        board = Board(StateDocument())
        for update in updates:
            board.document.apply(update)
        rivals = LeaseTable(board.leases).rivals("x")
        assert set(rivals) == set(records)
        found.add(LeaseTable(board.leases).current("x"))
    (current,) = found
    assert current is not None
    assert current.tentative == all(record.tentative for record in records)
