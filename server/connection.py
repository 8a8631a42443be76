"""A WebSocket from its upgrade to its end, on ASGI without a framework in between."""

import asyncio
import logging
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from comity.crdt_types.errors import ComityError, ForbiddenError, ProtocolError, TooSlowError
from comity.crdt_types.wire import SUBPROTOCOL, Denied, Notice, encode

from .auth import ANONYMOUS, Access, Action, Policy, Principal, access, claimed
from .hub import Hub
from .inlet import Inlet
from .member import Member
from .outbox import Outbox
from .room import Room
from .session import Session
from .sockets import Packet, Receive, Scope, Send, socket_for

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
        principal = claimed(_agent(self._scope["query_string"]))
        granted = access(principal, name, self._policy)
        if Action.READ not in granted:
            error = ForbiddenError("not for you", subject=f"room {name!r}")
            await self._socket.send(Packet(encode(Denied(str(error)))))
            raise error
        async with self._hub.visit(name) as room:
            await self._stay(room, principal, granted)

    async def _stay(self, room: Room, principal: Principal, granted: Access) -> None:
        settings = self._hub.settings
        outbox = Outbox(
            self._socket,
            room,
            limit=settings.outbox_limit,
            stall_seconds=settings.stall_seconds,
            on_stall=self._stalled,
            on_failure=self.fail,
        )
        member = Member(
            principal.name,
            outbox,
            room.roster.arrive("" if principal == ANONYMOUS else principal.name),
            fail=self.fail,
            acknowledges=self._is_comity,
            max_waiting=settings.max_pending_sync,
        )
        session = Session(self._hub, room, member, principal, granted, is_comity=self._is_comity)
        await room.sound()
        room.join(member)
        try:
            session.greet()
            self._session = session
            await self._converse(session, outbox)
        finally:
            room.leave(member)
            await outbox.close()

    async def _converse(self, session: Session, outbox: Outbox) -> None:
        self._inlet = inlet = Inlet(session, self._socket, self.fail)
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

    def _stalled(self) -> None:
        seconds = self._hub.settings.stall_seconds
        self.fail(TooSlowError(f"nothing was read for {seconds:g} s", remedy="come back and sync anew"))

    async def _close(self, error: ComityError) -> None:
        self._hub.closes[error.close_code] += 1
        with suppress(OSError):
            await self._socket.close(error.close_code, _reason(error))


def _agent(query: bytes) -> str:
    try:
        return parse_qs(query.decode("ascii"), errors="strict").get("agent", [""])[0]
    except ValueError:
        raise ProtocolError("not a query string", subject="address") from None


def _reason(error: ComityError) -> str:
    return str(error).encode()[:MAX_REASON].decode(errors="ignore")
