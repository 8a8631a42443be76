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
from .member import Member
from .outbox import Outbox
from .room import Room
from .session import Session
from .sockets import Packet, Receive, Scope, Send, Socket, socket_for

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
        self._session: Session | None = None
        self._ended: asyncio.Future[ComityError] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve the connection until it ends; nothing that happens in it is raised."""
        subprotocol = SUBPROTOCOL if self._is_comity else None
        socket = socket_for(self._scope, self._send)
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
            await self._serve(socket)
        except ComityError as error:
            await self._close(socket, error)
        except OSError:
            return  # the client is gone
        except Exception:
            logger.exception("a connection to %s failed", self._scope["path"])
            await self._close(socket, ComityError("the server made a mistake", remedy="see its log"))

    def fail(self, error: ComityError) -> None:
        """End the connection with an error."""
        if not self._ended.done():
            self._ended.set_result(error)

    def notify(self, error: ComityError) -> None:
        """Tell a client that knows notices what is about to end its connection."""
        if self._session is not None:
            self._session.notify(Notice(error.close_code, str(error)))

    async def _serve(self, socket: Socket) -> None:
        name = self._scope["path"].removeprefix(ROUTE)
        principal = claimed(_agent(self._scope["query_string"]))
        granted = access(principal, name, self._policy)
        if Action.READ not in granted:
            error = ForbiddenError("not for you", subject=f"room {name!r}")
            await socket.send(Packet(encode(Denied(str(error)))))
            raise error
        async with self._hub.visit(name) as room:
            await self._stay(room, socket, principal, granted)

    async def _stay(self, room: Room, socket: Socket, principal: Principal, granted: Access) -> None:
        settings = self._hub.settings
        outbox = Outbox(
            socket,
            room,
            limit=settings.outbox_limit,
            stall_seconds=settings.stall_seconds,
            on_stall=self._stalled,
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

    async def _converse(self, session: Session, outbox: Outbox) -> None:
        reader = asyncio.create_task(session.listen(self._receive))
        writer = asyncio.create_task(outbox.run())
        writer.add_done_callback(self._writer_ended)
        try:
            # The writer ends first when the client leaves; what the client sent before leaving is still to be read.
            await asyncio.wait((reader, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                reader.result()
            else:
                raise self._ended.result()
        except ComityError:
            reader.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(outbox.flush(), FLUSH_SECONDS)
            raise
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        error = None if writer.cancelled() else writer.exception()
        if error is None or isinstance(error, OSError):
            return
        if not isinstance(error, ComityError):
            logger.error("writing to %s failed", self._scope["path"], exc_info=error)
            error = ComityError("the server made a mistake", remedy="see its log")
        self.fail(error)

    def _stalled(self) -> None:
        seconds = self._hub.settings.stall_seconds
        self.fail(TooSlowError(f"nothing was read for {seconds:g} s", remedy="come back and sync anew"))

    async def _close(self, socket: Socket, error: ComityError) -> None:
        self._hub.closes[error.close_code] += 1
        with suppress(OSError):
            await socket.close(error.close_code, _reason(error))


def _agent(query: bytes) -> str:
    try:
        return parse_qs(query.decode("ascii"), errors="strict").get("agent", [""])[0]
    except ValueError:
        raise ProtocolError("not a query string", subject="address") from None


def _reason(error: ComityError) -> str:
    return str(error).encode()[:MAX_REASON].decode(errors="ignore")
