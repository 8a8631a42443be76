"""User sessions over a real server: several agents in one, who come, fail, and come back."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

import comity
from comity import Register
from comity.clients.agents.usersession import (
    ChannelClosed,
    ChannelOpened,
    ChannelResumed,
    ChannelStale,
    ChannelStatus,
    Event,
    Patience,
    Quality,
    SessionEnded,
    SessionEnding,
    UserActive,
    UserIdle,
    UserSession,
    UserSessionManager,
)
from comity.clients.client import Client
from comity.crdt_types.errors import ErasedError, InvalidValueError, StateError
from comity.persistence.memory import MemoryStore
from tests.support.server import in_process_server
from tests.support.waiting import DEADLINE, eventually

LONG = timedelta(hours=2)
# Short enough that a test sees all of it, and longer than a busy machine takes for a message.
HASTY = Patience(stale=timedelta(seconds=0.3), closed=timedelta(seconds=0.3), forgotten=timedelta(hours=1))


class Heard:
    """Keeps the events of a manager.

    Args:
        manager: the manager, which is entered.
    """

    def __init__(self, manager: UserSessionManager[UserSession]) -> None:
        self.events: list[Event] = []
        self._came = asyncio.Event()
        manager.on_event(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._came.set()

    async def until(self, kind: type[Event], within: float = DEADLINE) -> Event:
        """Return the first event of a kind, once it has come."""
        async with asyncio.timeout(within):
            while True:
                self._came.clear()
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                await self._came.wait()


@asynccontextmanager
async def agents(path: Path) -> AsyncGenerator[tuple[Client, Client]]:
    async with in_process_server(path, MemoryStore()) as server:
        yield comity.connect(server.url, agent="one"), comity.connect(server.url, agent="two")


async def holds(manager: UserSessionManager[UserSession], condition: Callable[[], object]) -> None:
    """Wait until a condition on a session holds."""
    await manager.session.synced()
    await eventually(condition)


async def test_users_and_channels_of_a_session_are_seen_by_all_its_agents(tmp_path: Path) -> None:
    async with (
        agents(tmp_path) as (one, two),
        UserSessionManager.open(one, "call-42", ttl=LONG) as mine,
        UserSessionManager.open(two, "call-42") as other,
    ):
        assert mine.session.room == "session/call-42"
        heard = Heard(other)
        ana = mine.identify("ana", name="Ana", roles={"caller"}, attributes={"language": "pt"})
        assert (ana.name, set(ana.roles), dict(ana.attributes)) == ("Ana", {"caller"}, {"language": "pt"})
        voice, _token = (opening := mine.open_channel("ana", "voice", device="phone")).channel, opening.resume_token
        opened = await heard.until(ChannelOpened)
        assert isinstance(opened, ChannelOpened)
        assert opened.channel == voice
        assert other.user("ana") == ana
        assert other.active_channels == (voice,)
        mine.beat(voice.id, round_trip_ms=40.0)
        await holds(other, lambda: other.health(voice.id).quality is Quality.GOOD)
        await holds(other, lambda: other.health(voice.id).is_held)
        mine.close_channel(voice.id, "hung up")
        closed = await heard.until(ChannelClosed)
        assert isinstance(closed, ChannelClosed)
        assert closed.channel.reason == "hung up"
        assert not other.active_channels


async def test_a_channel_of_an_agent_that_is_gone_goes_on_with_another_agent_and_misses_nothing(tmp_path: Path) -> None:
    async with agents(tmp_path) as (one, two), UserSessionManager.open(two, "x", ttl=LONG) as other:
        heard = Heard(other)
        async with UserSessionManager.open(one, "x", patience=HASTY) as mine:
            mine.identify("ana")
            opening = mine.open_channel("ana", "voice", transport="webrtc")
            await mine.session.durable()
        async with UserSessionManager.open(one, "x", patience=HASTY) as watching:
            stale = await heard.until(ChannelStale)
            assert isinstance(stale, ChannelStale)
            assert stale.channel.id == opening.channel.id
            other.identify("ana", attributes={"mood": "patient"})
            resumed = other.resume(opening.channel.id, opening.resume_token)
            assert (resumed.id, resumed.transport, resumed.reconnects) == (opening.channel.id, "webrtc", 1)
            await heard.until(ChannelResumed)
            await holds(watching, lambda: watching.health(resumed.id).is_held)
            assert watching.channel(resumed.id).status is ChannelStatus.OPEN
            assert watching.user("ana").attributes == {"mood": "patient"}


async def test_a_channel_that_nobody_resumes_is_closed_by_whoever_is_there(tmp_path: Path) -> None:
    async with agents(tmp_path) as (one, two):
        async with UserSessionManager.open(one, "x", ttl=LONG) as mine:
            mine.identify("ana")
            key = mine.open_channel("ana", "voice").channel.id
            await mine.session.durable()
        async with UserSessionManager.open(two, "x", patience=HASTY) as other:
            heard = Heard(other)
            closed = await heard.until(ChannelClosed)
            assert isinstance(closed, ChannelClosed)
            assert (closed.channel.id, closed.channel.reason) == (key, "lost")
            assert other.active_channels == ()


async def test_a_channel_of_an_agent_behind_a_partition_is_open_again_when_that_is_healed(tmp_path: Path) -> None:
    patience = HASTY._replace(closed=LONG)
    async with (
        agents(tmp_path) as (one, two),
        UserSessionManager.open(one, "x", ttl=LONG) as mine,
        UserSessionManager.open(two, "x", patience=patience) as other,
    ):
        mine.identify("ana")
        key = mine.open_channel("ana", "voice").channel.id
        await mine.session.durable()
        await holds(other, lambda: [each.id for each in other.active_channels] == [key])
        with mine.session.replica.offline():
            await holds(other, lambda: other.channel(key).status is ChannelStatus.STALE)
            assert mine.channel(key).status is ChannelStatus.OPEN
        await holds(other, lambda: other.channel(key).status is ChannelStatus.OPEN)
        assert other.channel(key).reconnects == 0


class Visit(UserSession):
    page: Register[str]


async def test_a_session_may_hold_more_than_its_manager_knows_of(tmp_path: Path) -> None:
    async with (
        agents(tmp_path) as (one, _two),
        one.session("x", Visit, ttl=LONG) as visit,
        UserSessionManager(visit) as manager,
    ):
        with manager.session.transaction():
            manager.identify("ana")
            manager.state.page.set("/reefs")
        assert visit["page"] == "/reefs"
        assert visit["users.ana.name"] == ""


async def test_users_of_one_session_are_apart_and_sessions_are(tmp_path: Path) -> None:
    async with (
        agents(tmp_path) as (one, two),
        UserSessionManager.open(one, "a", ttl=LONG) as mine,
        UserSessionManager.open(two, "b", ttl=LONG) as other,
    ):
        for user in ("ana", "ben"):
            mine.identify(user, attributes={"of": user})
            mine.open_channel(user, "text")
        assert mine.user("ana").attributes == {"of": "ana"}
        assert [channel.user for channel in mine.channels("ben")] == ["ben"]
        mine.forget_user("ben")
        assert [user.id for user in mine.users] == ["ana"]
        assert [channel.user for channel in mine.channels()] == ["ana"]
        await mine.session.durable()
        await other.session.synced()
        assert other.users == ()
        with pytest.raises(StateError, match="nobody of that id"):
            other.open_channel("ana", "voice")


async def test_a_user_is_idle_by_the_servers_clock_and_active_with_the_next_sign(tmp_path: Path) -> None:
    idle = timedelta(seconds=0.3)
    async with agents(tmp_path) as (one, _two), UserSessionManager.open(one, "x", idle_timeout=idle) as mine:
        heard = Heard(mine)
        mine.identify("ana")
        assert mine.is_idle("ana") is False
        await heard.until(UserIdle)
        assert mine.is_idle("ana") is True
        mine.touch("ana")
        await heard.until(UserActive)
        assert abs(mine.now() - datetime.now(UTC).timestamp() * 1000) < 1000


async def test_a_session_that_was_ended_takes_nobody_in_and_is_erased_soon(tmp_path: Path) -> None:
    async with (
        agents(tmp_path) as (one, two),
        UserSessionManager.open(one, "x", ttl=LONG) as mine,
        UserSessionManager.open(two, "x") as other,
    ):
        heard = Heard(other)
        mine.identify("ana")
        opening = mine.open_channel("ana", "voice")
        await mine.end("all is said")
        assert await heard.until(SessionEnded) == SessionEnded("all is said")
        assert other.is_ended
        assert other.channel(opening.channel.id).reason == "all is said"
        for refused in (
            lambda: other.identify("ben"),
            lambda: other.open_channel("ana", "text"),
            lambda: other.resume(opening.channel.id, opening.resume_token),
        ):
            with pytest.raises(StateError, match="all is said"):
                refused()
        history = await other.session.replica.call("end")
        assert history["ttl"] == 60_000
        await mine.end("again")
        assert mine.state.end_reason.value == "all is said"


async def test_a_session_ends_by_itself_after_its_absolute_timeout(tmp_path: Path) -> None:
    timeout = timedelta(seconds=0.3)
    async with agents(tmp_path) as (one, _two), UserSessionManager.open(one, "x", absolute_timeout=timeout) as mine:
        heard = Heard(mine)
        mine.identify("ana")
        mine.open_channel("ana", "voice")
        assert await heard.until(SessionEnded) == SessionEnded("absolute timeout")
        assert mine.active_channels == ()


async def test_a_session_tells_that_the_server_is_about_to_erase_it_and_then_refuses(tmp_path: Path) -> None:
    ttl = timedelta(seconds=1)
    async with agents(tmp_path) as (one, _two), UserSessionManager.open(one, "x", ttl=ttl) as mine:
        heard = Heard(mine)
        mine.identify("ana")
        ending = await heard.until(SessionEnding)
        assert isinstance(ending, SessionEnding)
        assert abs(ending.at - datetime.now(UTC)) < timedelta(seconds=2)

        names = count()

        def is_refused() -> bool:
            try:
                mine.identify(f"ben {next(names)}")  # another edit each time: one may be made before the end is known
            except ErasedError:
                return True
            return False

        await eventually(lambda: mine.session.status == "offline")
        await eventually(is_refused)


async def test_a_session_over_shared_state_is_managed_as_well(tmp_path: Path) -> None:
    async with (
        agents(tmp_path) as (one, _two),
        one.shared("desk", UserSession) as desk,
        UserSessionManager(desk, absolute_timeout=LONG) as manager,
    ):
        manager.identify("ana")
        await manager.end("done")
        assert manager.is_ended


@pytest.mark.parametrize("times", [{"idle_timeout": timedelta()}, {"absolute_timeout": timedelta(seconds=-1)}])
async def test_a_manager_without_time_is_refused(tmp_path: Path, times: dict[str, timedelta]) -> None:
    async with comity.connect("ws://127.0.0.1:1").shared("x", UserSession) as session:
        with pytest.raises(InvalidValueError, match="above 0"):
            UserSessionManager(session, **times)  # type: ignore[arg-type]
        with pytest.raises(InvalidValueError, match="without an id"):
            UserSessionManager(session).identify("")
