"""What type checkers see of a user session; checked by them, never run."""

from collections.abc import Callable
from typing import assert_type

import comity
from comity.clients.agents.usersession import (
    Channel,
    ChannelClosed,
    Health,
    Opening,
    User,
    UserSession,
    UserSessionManager,
)
from comity.clients.tiers.tier import Tier
from comity.crdt_types import Register


class Visit(UserSession):
    page: Register[str]


client = comity.connect("ws://127.0.0.1:8765")


def closed(event: ChannelClosed) -> None:
    assert_type(event.channel, Channel)


async def use(tier: Tier[Visit]) -> None:
    async with UserSessionManager.open(client, "visit-7") as manager:
        assert_type(manager.state, UserSession)
    async with client.session("visit-7", Visit) as visit, UserSessionManager(visit) as paged:
        assert_type(paged.state.page.value, str | None)
    assert_type(manager.identify("ana", name="Ana"), User)
    opening = manager.open_channel("ana", "voice")
    assert_type(opening, Opening)
    assert_type(manager.resume(opening.channel.id, opening.resume_token), Channel)
    assert_type(manager.beat(opening.channel.id, round_trip_ms=80.0), Health)
    assert_type(manager.active_channels, tuple[Channel, ...])
    assert_type(manager.on_event(closed, ChannelClosed), Callable[[], None])
    manager.on_event(closed)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(UserSessionManager(tier).state, Visit)
