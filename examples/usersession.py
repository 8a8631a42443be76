"""A call that two agents serve: the first one fails, the second goes on with the same channel, and nothing is lost.

Start the server with scripts/serve, then this program: .venv/bin/python examples/usersession.py
"""

import asyncio
import secrets
import sys
from datetime import timedelta

import comity
from comity.clients.agents.usersession import (
    ChannelStale,
    Event,
    Opening,
    Patience,
    UserSessionManager,
)

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765"
NAME = f"call-{secrets.token_hex(4)}"
PATIENCE = Patience(stale=timedelta(seconds=1))  # shorter than is wise, so that there is something to see


async def first() -> Opening:
    """Take the call, note who is calling, and be gone."""
    client = comity.connect(URL, agent="first")
    async with client, UserSessionManager.open(client, NAME, ttl=timedelta(minutes=10)) as session:
        session.identify("ana", name="Ana", roles={"caller"}, attributes={"language": "pt"})
        opening = session.open_channel("ana", "voice", device="phone", transport="webrtc")
        print("first: ", session.beat(opening.channel.id, round_trip_ms=84.0))
        await session.session.durable()
        return opening


async def second(opening: Opening) -> None:
    """Wait until nobody holds the channel, and go on with it."""
    client = comity.connect(URL, agent="second")
    stale = asyncio.Event()

    def hear(event: Event) -> None:
        print("second:", event)
        if isinstance(event, ChannelStale):
            stale.set()

    async with client, UserSessionManager.open(client, NAME, patience=PATIENCE) as session:
        session.on_event(hear)
        await session.session.synced()
        await stale.wait()
        channel = session.resume(opening.channel.id, opening.resume_token)
        print("second:", session.user(channel.user), "goes on, reconnects:", channel.reconnects)
        session.close_channel(channel.id, "hung up")
        await session.end("all is said")
        await session.session.durable()


async def main() -> None:
    """Run both, one after the other."""
    await second(await first())


asyncio.run(main())
