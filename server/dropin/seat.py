"""A place in a room for what does not come in by a WebSocket of the server's own."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from comity.crdt_types.errors import TooSlowError

from ..auth import Access, Principal
from ..limits import Allowance
from ..rooms.hub import Hub
from ..rooms.member import Member
from ..rooms.outbox import Outbox
from ..rooms.room import Room
from ..sessions.session import Session
from ..transport.sockets import Sender

Failure = asyncio.Future[BaseException]


class Seat(NamedTuple):
    """A place in a room."""

    room: Room
    session: Session
    outbox: Outbox


class Guest(NamedTuple):
    """Who takes a place, what they may do and how much of it, and where what they are owed goes."""

    principal: Principal
    access: Access
    sender: Sender
    allowance: Allowance | None = None
    acknowledges: bool = False


@asynccontextmanager
async def seated(hub: Hub, name: str, guest: Guest, fail: Callable[[BaseException], None]) -> AsyncGenerator[Seat]:
    """Hold a place in a room, and be greeted there; ``fail`` is called with what must end it.

    Raises: RoomNotFoundError, DrainingError, StorageError; see ``Hub.visit``.
    """
    settings = hub.settings

    def stalled() -> None:
        what, remedy = f"nothing was read for {settings.stall_seconds:g} s", "come back and sync anew"
        fail(TooSlowError(what, remedy=remedy, limit="stall_seconds"))

    async with hub.visit(name) as room:
        outbox = Outbox(
            guest.sender,
            room,
            limit=settings.outbox_limit,
            stall_seconds=settings.stall_seconds,
            on_stall=stalled,
            on_failure=fail,
        )
        member = Member(
            guest.principal.name,
            outbox,
            room.roster.arrive(),
            fail=fail,
            acknowledges=guest.acknowledges,
            max_waiting=settings.max_pending_sync,
        )
        session = Session(hub, room, member, guest.principal, guest.access, is_comity=False, allowance=guest.allowance)
        await room.sound()
        room.join(member)
        try:
            session.greet()
            yield Seat(room, session, outbox)
        finally:
            room.leave(member)
            await outbox.close()


async def unless(failure: Failure, work: Coroutine[Any, Any, object]) -> None:
    """Do some work to its end. Raises what it raises, or the failure, if that comes first."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task, failure), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise failure.result()
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def finish(task: asyncio.Task[None]) -> None:
    """Wait for the end of a task, also when the waiting is cancelled; that is passed on then."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
