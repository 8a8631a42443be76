"""User sessions: who is there, over what, how that is, and what happens by itself when time passes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

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
    UserActive,
    UserIdle,
    UserJoined,
    UserRow,
    UserSession,
)
from comity.clients.agents.usersession.channels import QUALITY_STEP, SEEN_STEP, Channels
from comity.clients.agents.usersession.observing import Observer
from comity.clients.agents.usersession.presence import FIELD, Presence
from comity.clients.agents.usersession.upkeep import LOST, Upkeep
from comity.crdt_types import StateDocument
from comity.crdt_types.awareness import Awareness
from comity.crdt_types.errors import ForbiddenError, InvalidValueError, StateError
from comity.crdt_types.wire import Presence as Announced

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BEGIN = 1_767_225_600_000


class Agent:
    """One agent's part in a session, with a clock of its own; nothing here needs a server.

    Args:
        name: the agent's name.
        client: its client id in presence.
    """

    def __init__(self, name: str = "one", client: int = 1) -> None:
        self.state = UserSession(StateDocument(agent=name))
        self.time = 0.0
        self.is_connected = True
        self.told: list[Announced] = []
        self.events: list[Event] = []
        self.awareness = Awareness(client, {})
        self.awareness.attach(self.told.append)
        self.presence = Presence(self.awareness, lambda: self.is_connected, lambda: self.time)
        self.channels = Channels(self.state, self.presence, self.now)
        patience = Patience(timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=1))
        self.upkeep = Upkeep(self.state, self.channels, self.presence, patience, self.now, self.events.append)

    def now(self) -> int:
        return BEGIN + round(self.time * SECOND)

    def joined(self, *users: str) -> "Agent":
        for user in users:
            self.state.users[user] = UserRow(joined_at=self.now(), active_at=self.now())
        return self

    def pass_time(self, milliseconds: float) -> float:
        """Let time pass, and look after the session; returns when to look again, in seconds."""
        self.time += milliseconds / SECOND
        return self.upkeep.look()

    def hears(self, other: "Agent") -> None:
        """Get what another wrote and announced."""
        self.state.document.apply(other.state.document.update_since(self.state.document.state_vector()))
        self.awareness.receive(other.told[-1:])

    def misses(self, other: "Agent") -> None:
        """Hear that another's connection is gone."""
        last = other.told[-1]
        self.awareness.receive([Announced(last.client, last.clock, None)])


def size_of(agent: Agent) -> int:
    return len(agent.state.document.update_since())


# Channels --------------------------------------------------------------------------------------------------------


def test_a_channel_is_held_by_whoever_opens_it_and_its_token_is_not_stored() -> None:
    agent = Agent().joined("ana")
    channel, token = (opening := agent.channels.open("ana", "voice", "phone", "webrtc")).channel, opening.resume_token
    assert (channel.user, channel.kind, channel.device, channel.transport) == ("ana", "voice", "phone", "webrtc")
    assert channel.status is ChannelStatus.OPEN
    assert channel.opened_at == BEGIN
    assert agent.presence.held == {channel.id}
    assert token.encode() not in agent.state.document.update_since()


def test_a_channel_is_resumed_by_another_agent_with_its_token_alone() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    opening = one.channels.open("ana", "voice", "", "")
    two.hears(one)
    with pytest.raises(ForbiddenError, match="token"):
        two.channels.resume(opening.channel.id, "guessed")
    assert two.presence.held == frozenset()
    resumed = two.channels.resume(opening.channel.id, opening.resume_token)
    assert (resumed.id, resumed.opened_at, resumed.reconnects) == (opening.channel.id, BEGIN, 1)
    assert two.presence.held == {resumed.id}


def test_a_channel_that_was_closed_is_not_resumed() -> None:
    agent = Agent().joined("ana")
    opening = agent.channels.open("ana", "voice", "", "")
    agent.channels.close(opening.channel.id, "hung up")
    with pytest.raises(StateError, match="hung up"):
        agent.channels.resume(opening.channel.id, opening.resume_token)
    with pytest.raises(StateError, match="no such channel"):
        agent.channels.resume("another", opening.resume_token)


def test_a_channel_that_is_closed_again_keeps_its_reason() -> None:
    agent = Agent().joined("ana")
    key = agent.channels.open("ana", "voice", "", "").channel.id
    agent.channels.close(key, "hung up")
    agent.time += 1
    agent.channels.close(key, "again")
    assert (agent.channels.one(key).reason, agent.channels.one(key).closed_at) == ("hung up", BEGIN)


def test_a_channel_that_presence_cannot_tell_of_is_not_opened() -> None:
    agent = Agent().joined("ana")
    agent.awareness.limit = 100
    agent.channels.open("ana", "voice", "", "")

    def open_many() -> None:
        with agent.state.transaction():
            for _ in range(10):
                agent.channels.open("ana", "text", "", "")

    with pytest.raises(InvalidValueError, match="awareness"):
        open_many()
    assert [channel.kind for channel in agent.channels.all()] == ["voice"]
    agent.pass_time(0)
    assert agent.presence.held == {channel.id for channel in agent.channels.all()}


# Health ----------------------------------------------------------------------------------------------------------


def test_heartbeats_do_not_grow_the_document() -> None:
    agent = Agent().joined("ana")
    key = agent.channels.open("ana", "voice", "", "").channel.id
    updates: list[object] = []
    agent.state.document.on_commit(updates.append)
    beats, often = 10_000, 0.1
    sizes = []
    for _ in range(2):
        for _ in range(beats):
            agent.channels.beat(key, 80.0, 0)
            agent.time += often
        sizes.append(size_of(agent))
    seconds = 2 * beats * often
    assert len(updates) <= 2 + seconds * SECOND / SEEN_STEP
    assert sizes[1] <= sizes[0] + 8
    assert len(agent.told) <= 3 + seconds


def test_the_quality_of_a_channel_is_stored_when_it_changes_and_not_when_it_flickers() -> None:
    agent = Agent().joined("ana")
    key = agent.channels.open("ana", "voice", "", "").channel.id
    assert agent.channels.one(key).quality is Quality.UNKNOWN
    assert agent.channels.beat(key, 40.0, 0).quality is Quality.GOOD
    assert agent.channels.one(key).quality is Quality.GOOD
    for trip, quality in ((500.0, Quality.FAIR), (40.0, Quality.GOOD), (2000.0, Quality.POOR)):
        assert agent.channels.beat(key, trip, 0).quality is quality
        assert agent.channels.one(key).quality is Quality.GOOD
    agent.time += QUALITY_STEP / SECOND
    agent.channels.beat(key, 2000.0, 0)
    assert agent.channels.one(key).quality is Quality.POOR
    assert agent.channels.one(key).round_trip_ms == 2000.0


def test_the_health_of_a_channel_is_seen_by_others_while_its_holder_is_there() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    one.channels.beat(key, 40.0, 0)
    one.time += 2
    one.channels.beat(key, 90.0, 3)
    two.hears(one)
    health = two.channels.health(key)
    assert (health.round_trip_ms, health.lost, health.is_held) == (90.0, 3, True)
    two.misses(one)
    assert two.channels.health(key).is_held is False
    assert two.channels.health(key).round_trip_ms == 40.0


def test_losses_are_counted_once_whether_they_were_stored_or_not() -> None:
    agent = Agent().joined("ana")
    key = agent.channels.open("ana", "voice", "", "").channel.id
    for _ in range(30):
        agent.time += 5
        assert agent.channels.beat(key, 40.0, 2).lost == agent.channels.health(key).lost
    assert agent.channels.health(key).lost == 60
    agent.channels.close(key, "")
    assert agent.channels.one(key).lost == 60


@pytest.mark.parametrize(("trip", "lost"), [(-1.0, 0), (float("inf"), 0), (float("nan"), 0), (1.0, -1)])
def test_a_heartbeat_that_makes_no_sense_is_refused(trip: float, lost: int) -> None:
    agent = Agent().joined("ana")
    key = agent.channels.open("ana", "voice", "", "").channel.id
    with pytest.raises(InvalidValueError):
        agent.channels.beat(key, trip, lost)
    assert agent.channels.health(key).lost == 0


def test_a_heartbeat_of_a_channel_that_another_holds_is_refused() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    with pytest.raises(StateError, match="does not hold"):
        two.channels.beat(key, 1.0, 0)


@pytest.mark.parametrize("said", [None, 7, [], {"k": "x"}, {"k": [True, 1]}, {"k": [1.0, "x"]}, {"k": []}])
def test_presence_that_says_nonsense_of_channels_hurts_nobody(said: Any) -> None:
    agent, other = Agent(), Awareness(7, {FIELD: said})
    other.attach(lambda announced: agent.awareness.receive([announced]))
    assert agent.presence.of("k") in (None, (None, 0))


# What happens by itself ------------------------------------------------------------------------------------------


def test_a_channel_whose_holder_is_gone_becomes_stale_then_closed_then_is_removed() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    assert two.pass_time(0) == 5.0
    two.misses(one)
    assert two.pass_time(29 * SECOND) == 1.0
    assert two.channels.one(key).status is ChannelStatus.OPEN
    two.pass_time(1 * SECOND)
    assert two.channels.one(key).status is ChannelStatus.STALE
    two.pass_time(5 * MINUTE - 1)
    assert two.channels.one(key).status is ChannelStatus.STALE
    two.pass_time(1)
    assert (two.channels.one(key).status, two.channels.one(key).reason) == (ChannelStatus.CLOSED, LOST)
    two.pass_time(HOUR - 1)
    assert len(two.channels.all()) == 1
    two.pass_time(1)
    assert two.channels.all() == []


def test_a_channel_that_is_held_lasts_however_long_it_is_silent() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    for _ in range(100):
        one.pass_time(MINUTE)
        two.pass_time(MINUTE)
    assert one.channels.one(key).status is two.channels.one(key).status is ChannelStatus.OPEN


def test_nobody_is_judged_by_one_who_sees_nobody() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    two.is_connected = False
    two.awareness.attach(None)  # forgets the others, as when a connection is lost
    two.pass_time(HOUR)
    assert two.channels.one(key).status is ChannelStatus.OPEN
    two.is_connected = True
    two.pass_time(29 * SECOND)
    assert two.channels.one(key).status is ChannelStatus.OPEN


def test_a_channel_that_was_stale_is_not_closed_by_one_who_cannot_see_whether_it_was_resumed() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    opened = one.channels.open("ana", "voice", "", "")
    key = opened.channel.id
    two.hears(one)
    two.misses(one)
    two.pass_time(0)
    two.pass_time(MINUTE)
    one.hears(two)
    one.channels.resume(key, opened.resume_token)
    two.is_connected = False
    two.pass_time(HOUR)
    assert two.channels.one(key).status is ChannelStatus.STALE
    two.hears(one)
    two.is_connected = True
    two.pass_time(HOUR)
    one.hears(two)
    assert one.channels.one(key).status is ChannelStatus.OPEN


def test_a_stale_channel_that_somebody_holds_is_not_closed() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    two.channels.mark_stale(key)
    two.pass_time(HOUR)
    assert two.channels.one(key).status is ChannelStatus.STALE


def test_a_session_is_not_over_for_one_who_sees_nobody_and_is_not_looked_at_all_the_time() -> None:
    one = Agent().joined("ana")
    one.state.started_at.set(one.now())
    one.state.absolute_timeout.set(HOUR)
    one.is_connected = False
    assert one.pass_time(HOUR) > 0
    assert not one.upkeep.is_over()
    one.is_connected = True
    assert one.upkeep.is_over()


def test_a_channel_that_others_took_for_stale_is_open_again_when_its_holder_is_back() -> None:
    one, two = Agent().joined("ana"), Agent("two", 2)
    key = one.channels.open("ana", "voice", "", "").channel.id
    two.hears(one)
    two.misses(one)
    two.pass_time(0)
    two.pass_time(MINUTE)
    one.hears(two)
    assert one.channels.one(key).status is ChannelStatus.STALE
    one.pass_time(MINUTE)
    assert one.channels.one(key).status is ChannelStatus.OPEN


def test_several_who_look_after_a_session_come_to_the_same_without_conflict() -> None:
    one, two, three = Agent().joined("ana"), Agent("two", 2), Agent("three", 3)
    one.channels.open("ana", "voice", "", "")
    for agent in (two, three):
        agent.hears(one)
        agent.misses(one)
        agent.pass_time(0)
    two.pass_time(30 * SECOND)
    three.pass_time(31 * SECOND)
    two.hears(three)
    three.hears(two)
    assert two.channels.all() == three.channels.all()
    for agent in (two, three):
        agent.pass_time(10 * MINUTE)
    two.hears(three)
    three.hears(two)
    assert two.channels.all() == three.channels.all()
    assert two.channels.all()[0].status is ChannelStatus.CLOSED


def test_a_user_is_idle_after_the_timeout_and_active_again_with_the_next_sign() -> None:
    agent = Agent().joined("ana", "ben")
    agent.state.idle_timeout.set(10 * MINUTE)
    step = 30 * SECOND
    agent.pass_time(10 * MINUTE + step - 1)
    assert agent.events == []
    agent.state.users["ben"].active_at.set(agent.now())
    agent.pass_time(1)
    assert [type(event) for event in agent.events] == [UserIdle]
    assert isinstance(agent.events[0], UserIdle)
    assert agent.events[0].user.id == "ana"
    assert agent.upkeep.is_idle("ana") is True
    assert agent.upkeep.is_idle("ben") is False
    agent.pass_time(MINUTE)
    assert len(agent.events) == 1
    agent.state.users["ana"].active_at.set(agent.now())
    agent.pass_time(0)
    assert [type(event) for event in agent.events] == [UserIdle, UserActive]


def test_a_session_is_over_after_its_absolute_timeout_whatever_happens() -> None:
    agent = Agent().joined("ana")
    agent.state.started_at.set(BEGIN)
    agent.pass_time(24 * HOUR)
    assert agent.upkeep.is_over() is False
    agent.state.absolute_timeout.set(25 * HOUR)
    agent.state.users["ana"].active_at.set(agent.now())
    agent.pass_time(HOUR - 2000)
    assert agent.upkeep.is_over() is False
    assert agent.pass_time(1000) == 1.0
    agent.pass_time(1000)
    assert agent.upkeep.is_over() is True
    agent.state.ended_at.set(agent.now())
    assert agent.upkeep.is_over() is False


@pytest.mark.parametrize("times", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_patience_without_time_is_refused(times: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidValueError):
        Patience(*(timedelta(seconds=each) for each in times)).check()


# Events ----------------------------------------------------------------------------------------------------------


async def heard(act: Callable[[Agent, Agent], None], kind: type[Event] | None = None) -> list[Event]:
    """Return what one agent hears of what another does."""
    one, two = Agent(), Agent("two", 2)
    observer, events = Observer(two.state), list[Event]()
    observer.start()
    if kind is None:
        observer.on_event(events.append)
    else:
        observer.on_event(events.append, kind)
    act(one, two)
    await observer.close()
    return events


async def test_events_tell_of_what_others_do_in_order() -> None:
    def act(one: Agent, two: Agent) -> None:
        one.joined("ana")
        opening = one.channels.open("ana", "voice", "", "")
        two.hears(one)
        two.misses(one)
        two.pass_time(0)
        two.pass_time(MINUTE)
        one.hears(two)
        one.channels.resume(opening.channel.id, opening.resume_token)
        two.hears(one)
        one.channels.close(opening.channel.id, "bye")
        two.hears(one)
        with one.state.transaction():
            one.state.end_reason.set("done")
            one.state.ended_at.set(one.now())
        two.hears(one)

    events = await heard(act)
    assert [type(event) for event in events] == [
        UserJoined,
        ChannelOpened,
        ChannelStale,
        ChannelResumed,
        ChannelClosed,
        SessionEnded,
    ]
    closed, ended = events[-2:]
    assert isinstance(closed, ChannelClosed)
    assert closed.channel.reason == "bye"
    assert ended == SessionEnded("done")


async def test_events_of_one_kind_are_told_alone() -> None:
    def act(one: Agent, two: Agent) -> None:
        one.joined("ana")
        one.channels.open("ana", "voice", "", "")
        two.hears(one)

    assert [type(event) for event in await heard(act, UserJoined)] == [UserJoined]


async def test_a_callback_that_fails_hurts_no_other_and_an_async_one_is_awaited() -> None:
    agent, told = Agent(), list[str]()
    observer = Observer(agent.state)
    observer.start()

    def failing(event: Event) -> None:
        raise RuntimeError("no")

    async def waiting(event: Event) -> None:
        told.append(type(event).__name__)

    observer.on_event(failing)
    observer.on_event(waiting)
    agent.joined("ana", "ben")
    await observer.close()
    assert told == ["UserJoined", "UserJoined"]


def test_a_callback_has_no_owner_before_the_manager_is_entered() -> None:
    with pytest.raises(StateError, match="async with"):
        Observer(UserSession()).on_event(print)
