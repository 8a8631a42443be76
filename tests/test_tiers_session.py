"""Sessions: how long they live, who is told of their end, and what is left of them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import comity
from comity import Counter, Register, State
from comity.clients.client import Client
from comity.clients.tiers.session import SessionState
from comity.crdt_types.errors import ErasedError, ForbiddenError, InvalidValueError, NotConnectedError
from comity.persistence.memory import MemoryStore
from tests.support.server import ServerHere, in_process_server
from tests.support.waiting import DEADLINE, eventually, until

SHORT = timedelta(seconds=1)
LONG = timedelta(hours=2)
WEEK = timedelta(days=7)
SLACK = timedelta(seconds=2)  # of what is between two looks at a clock here, on a machine that is busy


class Call(State):
    topic: Register[str]
    turns: Counter


@asynccontextmanager
async def clients(path: Path) -> AsyncGenerator[tuple[ServerHere, MemoryStore, Client, Client]]:
    store = MemoryStore()
    async with in_process_server(path, store) as server:
        yield server, store, comity.connect(server.url, agent="one"), comity.connect(server.url, agent="two")


async def ended(session: SessionState[Call]) -> None:
    """Wait until a session has ended here."""

    def has_ended() -> bool:
        try:
            session.get("topic")
        except ErasedError:
            return True
        return False

    await eventually(has_ended)


def is_about(session: SessionState[Call], ttl: timedelta) -> bool:
    """Tell whether a session ends when something that happened just now says."""
    return session.expires_at is not None and abs(session.expires_at - datetime.now(UTC) - ttl) < SLACK


async def test_a_session_ends_after_its_time_and_its_state_says_so(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, store, one, _two), one.session("call-42", Call, ttl=SHORT) as call:
        assert (call.room, call.tier) == ("session/call-42", "session")
        call.state.topic.set("a secret")
        await call.durable()
        await ended(call)
        assert await store.rooms() == []
        assert call.state.topic.value is None
        for attempt in (
            lambda: call.state.topic.set("again"),
            lambda: call.state.turns.add(1),
            lambda: call["topic"],
            lambda: list(call),
            lambda: len(call),
            lambda: call.update(topic="again"),
        ):
            with pytest.raises(ErasedError):
                attempt()
        for waiting in (call.synced(), call.durable(), call.renew(), call.expire_after(LONG)):
            with pytest.raises(ErasedError):
                await waiting


async def test_a_session_of_the_same_name_begins_empty_after_the_end(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, two):
        async with one.session("x", Call, ttl=SHORT) as call:
            call.state.topic.set("before")
            await ended(call)
        async with two.session("x", Call) as call:
            await call.synced()
            assert call.state.topic.value is None
            call.state.topic.set("after")
            await call.durable()


async def test_a_session_warns_everybody_in_it_before_it_ends(tmp_path: Path) -> None:
    warned: list[tuple[str, datetime]] = []

    async def warn(at: datetime) -> None:
        warned.append(("async", at))

    async with (
        clients(tmp_path) as (_server, _store, one, two),
        one.session("x", Call, ttl=SHORT) as mine,
        two.session("x", Call) as other,
    ):
        await other.synced()
        mine.on_ending(lambda at: warned.append(("sync", at)))
        other.on_ending(warn)
        await ended(mine)
        await ended(other)
        assert sorted(how for how, _at in warned) == ["async", "sync"]
        assert abs(warned[0][1] - datetime.now(UTC)) < SLACK
        assert warned[0][1] == warned[1][1]


async def test_a_session_is_put_off_by_renewing_it_and_ends_after_that(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, _two), one.session("x", Call, ttl=SHORT) as call:
        warned: asyncio.Queue[datetime] = asyncio.Queue()
        call.on_ending(warned.put_nowait)
        async with asyncio.timeout(DEADLINE):
            first = await warned.get()
            renewed = await call.renew()
            assert renewed is not None
            assert renewed > first
            assert call.expires_at == renewed
            assert await warned.get() == renewed


async def test_a_session_says_when_it_expires_and_edits_put_that_off(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, two), one.session("x", Call, ttl=LONG) as mine:
        await eventually(lambda: is_about(mine, LONG))
        before = mine.expires_at
        mine.state.turns.add(1)
        await mine.durable()
        assert before is not None
        assert mine.expires_at is not None
        assert mine.expires_at > before
        async with two.session("x", Call) as other:
            await eventually(lambda: is_about(other, LONG))
            before = other.expires_at
            mine.state.turns.add(1)
            await until(other.state, lambda: other.state.turns.value == 2)
            assert before is not None
            assert other.expires_at is not None
            assert other.expires_at > before


async def test_a_session_lives_as_long_as_the_server_says_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, _two), one.session("x", Call) as call:
        await eventually(lambda: is_about(call, WEEK))
        await call.expire_after(LONG)
        assert is_about(call, LONG)
        await call.expire_after(None)
        assert is_about(call, WEEK)


async def test_a_session_keeps_the_time_to_live_that_it_was_given_last(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, two), one.session("x", Call, ttl=WEEK) as mine:
        await eventually(lambda: is_about(mine, WEEK))
        async with two.session("x", Call, ttl=LONG) as other:
            await eventually(lambda: is_about(other, LONG))
        with mine.replica.offline():
            pass
        await mine.synced()
        await eventually(lambda: is_about(mine, LONG))


async def test_a_session_that_is_opened_offline_is_given_its_time_when_the_server_is_there(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, store, one, _two), one.session("x", Call, ttl=LONG) as call:
        with call.replica.offline():
            call.state.topic.set("offline")
            assert call.expires_at is None
            with pytest.raises(NotConnectedError):
                await call.renew()
        await eventually(lambda: is_about(call, LONG))
        assert (await store.attributes("session/x"))["ttl"] == b"7200000"


async def test_a_session_that_nobody_wrote_to_is_erased_as_well(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, store, one, _two):
        async with one.session("x", ttl=SHORT) as call:
            await eventually(lambda: call.expires_at)
            assert [row.room for row in await store.rooms()] == ["session/x"]
        async with asyncio.timeout(DEADLINE):
            while await store.rooms():  # noqa: ASYNC110  # a store tells of no change
                await asyncio.sleep(0.01)


async def test_sessions_are_isolated_from_each_other_and_untyped_ones_are_mappings(tmp_path: Path) -> None:
    async with (
        clients(tmp_path) as (_server, _store, one, two),
        one.session("a") as first,
        two.session("session/b") as second,
    ):
        first["topic"] = "of a"
        second["topic"] = "of b"
        await first.durable()
        await second.durable()
        assert (dict(first), dict(second)) == ({"topic": "of a"}, {"topic": "of b"})


async def test_a_session_ends_alone(tmp_path: Path) -> None:
    async with (
        clients(tmp_path) as (_server, _store, one, two),
        one.session("a", Call, ttl=SHORT) as first,
        two.session("b", Call, ttl=LONG) as second,
    ):
        second.state.topic.set("stays")
        await ended(first)
        assert second["topic"] == "stays"
        await second.durable()


async def test_a_session_has_what_was_missed_after_a_disconnect(tmp_path: Path) -> None:
    async with (
        clients(tmp_path) as (_server, _store, one, two),
        one.session("x", Call, ttl=LONG) as mine,
        two.session("x", Call) as other,
    ):
        with mine.replica.offline():
            mine.state.turns.add(1)
            other.state.turns.add(2)
            await other.durable()
        await mine.synced()
        await until(mine.state, lambda: mine.state.turns.value == 3)
        await until(other.state, lambda: other.state.turns.value == 3)


async def test_a_session_that_ends_after_the_last_year_of_calendars_says_so(tmp_path: Path) -> None:
    async with in_process_server(tmp_path) as server, comity.connect(server.url).session("x", Call) as session:
        ends = await session.expire_after(timedelta(days=9000 * 365))
        assert ends is not None
        assert ends.year == 9999


@pytest.mark.parametrize("ttl", [timedelta(), timedelta(seconds=-1), timedelta.max])
def test_a_session_without_time_is_refused_before_anything_is_opened(ttl: timedelta) -> None:
    with pytest.raises(InvalidValueError, match="time to live"):
        comity.connect("ws://127.0.0.1:1").session("x", Call, ttl=ttl)


async def test_a_session_of_somebody_who_may_only_read_says_when_it_ends_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        in_process_server(tmp_path, MemoryStore(), anyone="read") as server,
        comity.connect(server.url).session("x", Call, ttl=LONG) as call,
    ):
        await eventually(lambda: is_about(call, WEEK))
        assert "stays as it is" in caplog.text
        with pytest.raises(ForbiddenError):
            await call.renew()


async def test_loop_over_changes_ends_with_the_session(tmp_path: Path) -> None:
    async with clients(tmp_path) as (_server, _store, one, _two), one.session("call-42", Call, ttl=SHORT) as call:
        changes = call.changes()
        call.state.topic.set("a secret")

        async def read() -> None:
            async for _change in changes:
                pass

        with pytest.raises(ErasedError):
            await asyncio.wait_for(read(), DEADLINE)
        with pytest.raises(ErasedError):
            await anext(call.changes())
