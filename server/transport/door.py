"""uvicorn's HTTP protocol with an eye on the clock: nobody holds a connection open without asking for something."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from .admission import Gate
from .admitted import Admitted
from .websocket import LINGER_SECONDS

# For the live page, some hundred kilobytes, on a slow line.
RESPONSE_SECONDS: Final = 60.0
# For whoever was turned away to read why, while it may still be sending: closing at once would reset the connection.
FAREWELL_SECONDS: Final = 1.0
# Of more at a time each is only closed: a flood of connections must not live on as one of farewells.
MAX_FAREWELLS: Final = 32
# Told to whoever finds no place: connections come and go within it.
RETRY_SECONDS: Final = 5
_FOR_NOW: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class Door(HttpToolsProtocol):
    """A connection until its request has come, and after it unless that asks for a WebSocket.

    Args:
        gate: who may come in.
        config: uvicorn's.
        server_state: uvicorn's.
        app_state: uvicorn's.
    """

    def __init__(
        self,
        gate: Gate,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate = gate
        self._address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_request = False  # whether all of it has come
        self._is_away = False  # whether it was turned away
        self._has_farewell = False  # whether it was told so
        self._is_in_head = True
        self._head_bytes = 0  # of a head that has not come to its end
        self._heads = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let a connection in, or send it away."""
        super().connection_made(cast("asyncio.Transport", transport))
        address = self._gate.address_of(self.client[0] if self.client else None)
        if not self._gate.has_space(len(self.connections)):
            self._turn_away(HTTPStatus.SERVICE_UNAVAILABLE, "the server has no space for another connection")
        elif not self._gate.enter(address):
            self._turn_away(HTTPStatus.TOO_MANY_REQUESTS, "there are too many connections from your address")
        else:
            self._address = address
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel()
        self._leave()
        if self._has_farewell:
            self._gate.farewells -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request: of its head no more than it may have."""
        self._unset_keepalive_if_required()
        parser = self.parser
        assert parser is not None  # until the connection is lost
        while data and not (self._is_away or self.transport.is_closing()):
            part = data[: self._gate.settings.request_bytes - self._head_bytes] if self._is_in_head else data
            data = data[len(part) :]
            heads = self._heads
            try:
                parser.feed_data(part)
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self._hand_over(part[upgrade.args[0] :] + data)
                return
            except httptools.HttpParserError:
                self._turn_away(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")
                return
            if self._is_in_head and heads == self._heads:
                self._head_bytes += len(part)
                self._check_head()

    def on_message_begin(self) -> None:
        """Give another request on the same connection as much time as the first."""
        super().on_message_begin()
        if self._has_request:
            self._expect_request()

    def on_headers_complete(self) -> None:
        """Note that a head has come to its end."""
        self._is_in_head = False
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is complete; its answer has a time of its own."""
        self._is_in_head = True
        self._head_bytes = 0
        self._has_request = True
        self._in(RESPONSE_SECONDS, self.transport.abort)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for another request, or for the end of the connection."""
        if self._is_away:
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():
            self._in(LINGER_SECONDS, self.transport.abort)
        elif self._has_request and self.cycle.response_complete:
            self._cancel()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that has asked for nothing more, whether or not it takes what it is owed."""
        super().timeout_keep_alive_handler()
        self._in(LINGER_SECONDS, self.transport.abort)

    def _expect_request(self) -> None:
        self._has_request = False
        self._in(self._gate.settings.request_seconds, self._give_up)

    def _give_up(self) -> None:
        self._gate.refuse("request_seconds")
        if self._head_bytes or not self._is_in_head:
            self._turn_away(HTTPStatus.REQUEST_TIMEOUT, "the request did not come to its end in time")
        else:
            self.transport.abort()

    def _check_head(self) -> None:
        if self._head_bytes >= self._gate.settings.request_bytes:
            self._gate.refuse("request_bytes")
            self._turn_away(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too large")

    def _turn_away(self, status: HTTPStatus, reason: str) -> None:
        """Take nothing more, and end the connection: in a few words, or with the answer that the request gets."""
        self._is_away = True
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn sets None before the first request
        if cycle is not None and not cycle.response_complete:
            self._in(RESPONSE_SECONDS, self.transport.abort)
        elif self._is_in_head:
            self._say_farewell(status, reason)
        else:  # answered before all of it had come: a second answer would be taken for that to another request
            self.transport.close()
            self._in(LINGER_SECONDS, self.transport.abort)

    def _say_farewell(self, status: HTTPStatus, reason: str) -> None:
        body = f"{reason}\n"
        again = f"retry-after: {RETRY_SECONDS}\r\n" if status in _FOR_NOW else ""
        self.transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\n{again}connection: close\r\n\r\n{body}".encode()
        )
        self._has_farewell = True
        self._gate.farewells += 1
        if self._gate.farewells <= MAX_FAREWELLS:
            self.transport.write_eof()
            self._in(FAREWELL_SECONDS, self.transport.abort)
        else:
            self.transport.close()
            self._in(LINGER_SECONDS, self.transport.abort)

    def _hand_over(self, rest: bytes) -> None:
        """Make it a WebSocket; what came behind the request is the beginning of what it receives."""
        self._cancel()
        self.handle_websocket_upgrade()
        socket = self.transport.get_protocol()
        assert isinstance(socket, Admitted)
        socket.admit(self._gate, self._leave)
        if rest and not self.transport.is_closing():
            socket.data_received(rest)

    def _leave(self) -> None:
        self._gate.leave(self._address)
        self._address = None

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, do)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
