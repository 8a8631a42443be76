"""A WebSocket from its upgrade to its end, on ASGI without a framework in between."""

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs

from comity.crdt_types.errors import ComityError, ForbiddenError, ProtocolError
from comity.crdt_types.wire import SUBPROTOCOL, Denied, Notice, encode

from ..auth import Action, Policy, access, alias_of, claimed
from ..limits import Allowance
from ..rooms.hub import Hub
from ..transport.sockets import Packet, Receive, Scope, Send, socket_for
from .ending import FLUSH_SECONDS, IdleWatch, reason_of, see_through
from .inlet import Inlet
from .seat import Guest, Seat, seated
from .session import Session

ROUTE: Final = "/ws/"


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

    @property
    def kind(self) -> str:
        """What it speaks, as it is counted."""
        return "comity" if self._is_comity else "plain"

    async def run(self) -> None:
        """Serve the connection until it ends; nothing that happens in it is raised."""
        await see_through(self._accept(), self._close, self._scope["path"])

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

    async def _accept(self) -> None:
        subprotocol = SUBPROTOCOL if self._is_comity else None
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
        await self._serve()

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
            guest = Guest(
                principal,
                granted,
                self._socket,
                allowance,
                presence=alias_of(principal),
                acknowledges=self._is_comity,
                is_comity=self._is_comity,
            )
            async with seated(self._hub, name, guest, fail=self.fail, fail_sending=self._sending_failed) as seat:
                seat.session.greet()
                self._session = seat.session
                await self._stay(seat, allowance)

    async def _stay(self, seat: Seat, allowance: Allowance) -> None:
        idle = IdleWatch(self._hub.settings.idle_timeout, lambda: (allowance.messages, seat.room.seq), self.fail)
        idle.start()
        try:
            await self._converse(seat, allowance)
        finally:
            idle.stop()

    async def _converse(self, seat: Seat, allowance: Allowance) -> None:
        self._inlet = inlet = Inlet(seat.session, self._socket, self.fail, allowance)
        try:
            await self._socket.listen(inlet)
            # What the client sent before it left is still to be taken.
            await inlet.emptied()
            if self._failure is not None:
                raise self._failure
        except ComityError:
            with suppress(TimeoutError):
                await asyncio.wait_for(seat.outbox.flush(), FLUSH_SECONDS)
            raise
        finally:
            inlet.stop()

    def _sending_failed(self, error: BaseException) -> None:
        if not isinstance(error, OSError):  # a client that is gone is told nothing, and what it sent is still taken
            self.fail(error)

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
