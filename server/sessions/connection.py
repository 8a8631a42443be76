"""A WebSocket from its upgrade to its end, on ASGI without a framework in between."""

import asyncio
import logging
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from comity.crdt_types.errors import ComityError, ForbiddenError, OverloadError, ProtocolError, TooSlowError
from comity.crdt_types.wire import SUBPROTOCOL, Denied, Notice, encode

from ..auth import ANONYMOUS, Access, Action, Policy, Principal, access, claimed
from ..limits import Allowance
from ..rooms.hub import Hub
from ..rooms.member import Member
from ..rooms.outbox import Outbox
from ..rooms.room import Room
from ..transport.sockets import Packet, Receive, Scope, Send, socket_for
from .inlet import Inlet
from .session import Session

logger = logging.getLogger(__name__)

ROUTE: Final = "/ws/"
# RFC 6455: a control frame carries 125 bytes, two of which are the code.
MAX_REASON: Final = 123
# What is queued for a connection that is being ended is worth a moment, and no more: it may be taking nothing.
FLUSH_SECONDS: Final = 1.0


class Connection:
    """One accepted WebSocket.

    Args:
        hub: the rooms.
        policy: who may do what.
        scope: the ASGI scope.
        receive: ASGI's receive.
        send: ASGI's send.
    """

    def __init__(self, hub: Hub, policy: Policy, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub = hub
        self._policy = policy
        self._scope = scope
        self._receive = receive
        self._send = send
        self._is_comity = SUBPROTOCOL in scope["subprotocols"]
        self._socket = socket_for(scope, receive, send)
        self._session: Session | None = None
        self._inlet: Inlet | None = None
        self._failure: BaseException | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def kind(self) -> str:
        """What it speaks, as it is counted."""
        return "comity" if self._is_comity else "plain"

    async def run(self) -> None:
        """Serve the connection until it ends; nothing that happens in it is raised."""
        subprotocol = SUBPROTOCOL if self._is_comity else None
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
            await self._serve()
        except ComityError as error:
            await self._close(error)
        except OSError:
            return  # the client is gone
        except Exception:
            logger.exception("a connection to %s failed", self._scope["path"])
            await self._close(ComityError("the server made a mistake", remedy="see its log"))

    def fail(self, error: BaseException) -> None:
        """End the connection with an error: its first one is what the client is told."""
        if self._failure is None:
            self._failure = error
            self._socket.stop()
            if self._inlet is not None:
                self._inlet.stop()

    def notify(self, error: ComityError) -> None:
        """Tell a client that knows notices what is about to end its connection."""
        if self._session is not None:
            self._session.notify(Notice(error.close_code, str(error)))

    async def _serve(self) -> None:
        name = self._scope["path"].removeprefix(ROUTE)
        principal = claimed(agent_of(self._scope["query_string"]))
        granted = access(principal, name, self._policy)
        if Action.READ not in granted:
            error = ForbiddenError("not for you", subject=f"room {name!r}")
            await self._socket.send(Packet(encode(Denied(str(error)))))
            raise error
        with self._hub.allowances.of(principal, host_of(self._scope)) as allowance:
            allowance.spend(0)  # whoever was sent away, and comes back too early, costs no more than that
            async with self._hub.visit(name) as room:
                await self._stay(room, principal, granted, allowance)

    async def _stay(self, room: Room, principal: Principal, granted: Access, allowance: Allowance) -> None:
        settings = self._hub.settings
        outbox = Outbox(
            self._socket,
            room,
            limit=settings.outbox_limit,
            stall_seconds=settings.stall_seconds,
            on_stall=self._stalled,
            on_failure=self._sending_failed,
        )
        member = Member(
            principal.name,
            outbox,
            room.roster.arrive("" if principal == ANONYMOUS else principal.name),
            fail=self.fail,
            acknowledges=self._is_comity,
            max_waiting=settings.max_pending_sync,
        )
        session = Session(self._hub, room, member, principal, granted, is_comity=self._is_comity, allowance=allowance)
        await room.sound()
        room.join(member)
        try:
            session.greet()
            self._session = session
            self._expect_something(room, allowance)
            await self._converse(session, outbox, allowance)
        finally:
            if self._idle is not None:
                self._idle.cancel()
            room.leave(member)
            await outbox.close()

    async def _converse(self, session: Session, outbox: Outbox, allowance: Allowance) -> None:
        self._inlet = inlet = Inlet(session, self._socket, self.fail, allowance)
        try:
            await self._socket.listen(inlet)
            # What the client sent before it left is still to be taken.
            await inlet.emptied()
            if self._failure is not None:
                raise self._failure
        except ComityError:
            with suppress(TimeoutError):
                await asyncio.wait_for(outbox.flush(), FLUSH_SECONDS)
            raise
        finally:
            inlet.stop()

    def _sending_failed(self, error: BaseException) -> None:
        if not isinstance(error, OSError):  # a client that is gone is told nothing, and what it sent is still taken
            self.fail(error)

    def _stalled(self) -> None:
        seconds = self._hub.settings.stall_seconds
        remedy = "come back and sync anew"
        self.fail(TooSlowError(f"nothing was read for {seconds:g} s", remedy=remedy, limit="stall_seconds"))

    def _expect_something(self, room: Room, allowance: Allowance) -> None:
        """Look once in a while whether anything was sent either way, and end the connection if not."""
        seconds = self._hub.settings.idle_timeout
        if seconds:
            before = allowance.messages, room.seq
            self._idle = asyncio.get_running_loop().call_later(seconds, self._look, room, allowance, before)

    def _look(self, room: Room, allowance: Allowance, before: tuple[float, int]) -> None:
        if (allowance.messages, room.seq) != before:
            self._expect_something(room, allowance)
            return
        seconds = self._hub.settings.idle_timeout
        self.fail(OverloadError(f"nothing was sent for {seconds:g} s", remedy="come back", limit="idle_timeout"))

    async def _close(self, error: ComityError) -> None:
        self._hub.count_close(error)
        with suppress(OSError, TimeoutError):
            if error.retry_after is not None and self._is_comity:
                notice = Notice(error.close_code, str(error), error.retry_after)
                await asyncio.wait_for(self._socket.send(Packet(encode(notice))), FLUSH_SECONDS)
        with suppress(OSError):
            await self._socket.close(error.close_code, reason_of(error))


def host_of(scope: Scope) -> str | None:
    """Return the address of the client of a scope, None if its server does not tell."""
    client = scope.get("client")
    return None if client is None else client[0]


def agent_of(query: bytes) -> str:
    """Return what a query string says that its client is called, "" if nothing. Raises ProtocolError."""
    try:
        return parse_qs(query.decode("ascii"), errors="strict").get("agent", [""])[0]
    except ValueError:
        raise ProtocolError("not a query string", subject="address") from None


def reason_of(error: ComityError) -> str:
    """Return an error's text as far as a close frame holds it."""
    return str(error).encode()[:MAX_REASON].decode(errors="ignore")
