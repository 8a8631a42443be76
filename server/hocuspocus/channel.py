"""One document on a socket that several share: from its authentication to its end."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from comity.crdt_types.errors import (
    ComityError,
    DrainingError,
    ForbiddenError,
    RoomNotFoundError,
    error_for,
    is_permanent,
    mistake,
)
from comity.crdt_types.hocuspocus import Authenticated, Close, Message, PermissionDenied, encode, room_of
from comity.crdt_types.varint import write_string
from comity.crdt_types.wire import QueryAwareness, Reject
from comity.crdt_types.wire import encode as encode_frame

from ..auth import Action, Policy, Principal, access, alias_of
from ..limits import Allowance
from ..rooms.hub import Hub
from ..rooms.outbox import Outbox
from ..rooms.room import Room
from ..sessions.ending import FLUSH_SECONDS
from ..sessions.inlet import Inlet
from ..sessions.seat import Guest, Seat, seated
from ..transport.sockets import Packet
from .dues import Dues
from .line import Hold, Line
from .sender import AddressedSender
from .taker import Taker

logger = logging.getLogger(__name__)

# Providers make ids of eleven characters or so; the id comes back with every message.
MAX_SESSION_ID: Final = 64
# What a provider sends at once when it opens a document is far less; more waits in the socket until the room is there.
MAX_EARLY_BYTES: Final = 64 * 1024

_QUERY: Final = encode_frame(QueryAwareness())


class Channel:
    """A document that a client asked for.

    Args:
        hub: the rooms.
        line: the socket.
        address: the document's name, and perhaps an id behind it.
        fail: ends the whole connection with an error.
    """

    def __init__(self, hub: Hub, line: Line, address: str, fail: Callable[[BaseException], None]) -> None:
        self.address: Final = address
        self._hub = hub
        self._line = line
        self._has_opened = False
        self._prefix = write_string(address)
        self._fail_connection = fail
        self._dues = Dues(line.backlog)
        self._sender = AddressedSender(line, self._prefix, self._dues, self._rejected)
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._inlet: Inlet | None = None
        self._room: Room | None = None
        self._over = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def seq(self) -> int:
        """The number of its room's last update, 0 while there is no room."""
        return 0 if self._room is None else self._room.seq

    def message(self, frame: bytes) -> None:
        """Take a frame for the document, now or once its room is there."""
        if self._inlet is not None:
            self._inlet.message(frame)
            return
        self._early.append(frame)
        self._early_bytes += len(frame)
        if self._early_bytes > MAX_EARLY_BYTES:
            self._line.hold(self)

    def leave(self) -> None:
        """End once everything that came is taken."""
        self._over.set()

    def dismiss(self) -> None:
        """End without a word, as the client is done with the document; what came still counts."""
        self._sender.is_mute = True
        self.leave()

    def cut(self) -> None:
        """End now, and take nothing more."""
        if self._inlet is not None:
            self._inlet.stop()
        self._early.clear()
        self._over.set()

    def fail(self, error: BaseException) -> None:
        """End with an error: the first one is what the client is told."""
        if self._failure is None:
            self._failure = error
            self.cut()

    async def run(
        self,
        principal: Principal,
        policy: Policy,
        allowance: Allowance,
        before: Collection[asyncio.Task[None]] = (),
    ) -> None:
        """Serve the document until it is left; nothing that happens in it is raised.

        Those before it under the same address end first: the presence that goes with them may be announced again here.
        """
        try:
            if before:
                await asyncio.wait(before)
            await self._serve(principal, policy, allowance)
        except ComityError as error:
            await self._tell(error)
        except Exception:
            logger.exception("document %r failed", self.address)
            await self._tell(mistake())
        finally:
            self._line.release(self)

    async def refuse(self, error: ComityError) -> None:
        """Do not serve the document, and say why."""
        await self._tell(error)
        self._line.release(self)

    async def _serve(self, principal: Principal, policy: Policy, allowance: Allowance) -> None:
        name = room_of(self.address)
        if len(self.address) - len(name) > MAX_SESSION_ID:
            raise RoomNotFoundError("not a session id", remedy=f"use at most {MAX_SESSION_ID - 1} characters")
        granted = access(principal, name, policy)
        if Action.READ not in granted:
            raise ForbiddenError("not for you", subject=f"room {name!r}")
        guest = Guest(
            principal,
            granted,
            self._sender,
            allowance,
            presence=alias_of(principal),
            acknowledges=True,
            is_comity=True,
        )
        async with seated(self._hub, name, guest, fail=self.fail, fail_sending=self._sending_failed) as seat:
            self._room = seat.room
            await self._stay(seat, may_write=Action.WRITE in granted)

    async def _stay(self, seat: Seat, *, may_write: bool) -> None:
        room, session, outbox = seat
        self._open(outbox, may_write=may_write)
        await session.take(_QUERY)
        await self._converse(Taker(session, room, outbox, self._dues, may_write=may_write), outbox)

    def _open(self, outbox: Outbox, *, may_write: bool) -> None:
        self._has_opened = self._line.has_opened = True
        self._line.backlog.begin()
        outbox.put(Packet(encode(Authenticated("read-write" if may_write else "readonly"))))

    async def _converse(self, taker: Taker, outbox: Outbox) -> None:
        hold = Hold(self._line)
        self._inlet = inlet = Inlet(taker, hold, self.fail)
        try:
            for frame in self._early:
                inlet.message(frame)
            self._early.clear()
            self._line.release(self)
            await self._over.wait()
            await inlet.emptied()
            with suppress(TimeoutError):
                await asyncio.wait_for(outbox.flush(), FLUSH_SECONDS)
            if self._failure is not None:
                raise self._failure
        finally:
            inlet.stop()
            hold.resume()

    def _rejected(self, reject: Reject) -> None:
        """End with what an update was turned down for: all that its client writes later builds on it."""
        error = error_for(reject.code, reject.reason, "")
        if not isinstance(error, ForbiddenError):
            self.fail(error)

    async def _tell(self, error: ComityError) -> None:
        """Say why the document ends, or end the connection if coming back would mend it."""
        if isinstance(error, DrainingError):
            return  # the connection is told
        if self._has_opened and not is_permanent(error.close_code):
            self._fail_connection(error)
            return
        self._hub.count_close(error)
        await self._say(Close(str(error)) if self._has_opened else PermissionDenied(str(error)))

    async def _say(self, message: Message) -> None:
        self._line.backlog.begin()
        self._line.hold(self)  # nothing more is asked for meanwhile
        with suppress(OSError):
            await self._line.send(Packet(self._prefix + encode(message)))

    def _sending_failed(self, error: BaseException) -> None:
        # A client that is gone is no failure: what it sent before is still to be taken, and its socket ends by itself.
        if not isinstance(error, OSError):
            self._fail_connection(error)
