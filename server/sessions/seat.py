"""A place in a room: what takes one is heard, told, counted and present there."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from comity.crdt_types.errors import TooSlowError

from ..auth import Access, Principal
from ..limits import Allowance
from ..rooms.hub import Hub
from ..rooms.member import Member
from ..rooms.outbox import Outbox
from ..rooms.room import Room
from ..transport.sockets import Sender
from .session import Session

Fail = Callable[[BaseException], None]


class Seat(NamedTuple):
    """A place in a room."""

    room: Room
    session: Session
    outbox: Outbox


class Guest(NamedTuple):
    """Who takes a place, what they may do and how much of it, and where what they are owed goes.

    ``presence`` is the name under which a newer connection may take its presence over, "" if none may; ``is_comity``
    tells whether it understands the frames of ``comity.v1``.
    """

    principal: Principal
    access: Access
    sender: Sender
    allowance: Allowance | None = None
    presence: str = ""
    acknowledges: bool = False
    is_comity: bool = False


@asynccontextmanager
async def seated(hub: Hub, name: str, guest: Guest, *, fail: Fail, fail_sending: Fail) -> AsyncGenerator[Seat]:
    """Hold a place in a room.

    Args:
        hub: the hub of the room.
        name: the room's name.
        guest: who takes the place.
        fail: called with the error that what the guest sent must end in.
        fail_sending: called with what keeps it from being sent anything, OSError when it is gone.

    Raises: RoomNotFoundError, DrainingError, StorageError; see ``Hub.visit``.
    """
    settings = hub.settings

    def stalled() -> None:
        what, remedy = f"nothing was read for {settings.stall_seconds:g} s", "come back and sync anew"
        fail_sending(TooSlowError(what, remedy=remedy, limit="stall_seconds"))

    async with hub.visit(name) as room:
        outbox = Outbox(
            guest.sender,
            room,
            limit=settings.outbox_limit,
            stall_seconds=settings.stall_seconds,
            on_stall=stalled,
            on_failure=fail_sending,
        )
        member = Member(
            guest.principal.name,
            outbox,
            room.roster.arrive(guest.presence),
            fail=fail,
            acknowledges=guest.acknowledges,
            max_waiting=settings.max_pending_sync,
        )
        session = Session(
            hub, room, member, guest.principal, guest.access, is_comity=guest.is_comity, allowance=guest.allowance
        )
        await room.sound()
        hub.history.expiry.arrived(room)  # before it joins: the first that it hears is the welcome
        room.join(member)
        try:
            yield Seat(room, session, outbox)
        finally:
            room.leave(member)
            await outbox.close()
            await session.close()
