"""A line: a connection to a room that asks the server about it and hands in edits, and keeps no document."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ForbiddenError,
    ProtocolError,
    TooLargeError,
    error_for,
)
from comity.crdt_types.wire import (
    SUBPROTOCOL,
    UPDATE,
    Ack,
    Answer,
    Denied,
    Frame,
    Notice,
    Reject,
    Welcome,
    decode,
    encode_sync,
)

from ..calls import Calls, Waiting, fail, settle
from ..connection import MAX_MESSAGE, OPEN_TIMEOUT, dial, room_url


class Line:
    """A connection to one room; an asynchronous context manager, which any number of tasks may use at once.

    It is made once. When it is lost, everybody who waits is told what ended it, and so is who asks for something later.

    Args:
        url: the server's address, ``ws://host:port``.
        room: the room's name.
        agent: the name that calls and edits bear.

    Attributes:
        subject: the room, as errors name it.
        welcome: what the server said first; there once the line is entered.

    Raises: ConnectionFailedError, if the address is not one.
    """

    welcome: Welcome

    def __init__(self, url: str, room: str, agent: str) -> None:
        self.subject: Final = f"room {room!r}"
        self._url = room_url(url, room, agent)
        self._calls = Calls(self._send)
        self._handed_in = 0
        self._unacknowledged: Waiting = {}
        self._retry_after: float | None = None
        self._error: ComityError | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect. Raises ComityError, as the server or the network says."""
        async with AsyncExitStack() as stack:
            self._socket = await stack.enter_async_context(await dial(self._url))
            if self._socket.subprotocol != SUBPROTOCOL:
                raise ConnectionFailedError(
                    "the server answers no questions", subject=self._url, remedy="history needs a Comity server"
                )
            self._welcomed: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()
            await stack.enter_async_context(self._reading())
            await self._meet()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _meet(self) -> None:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                self.welcome = await self._welcomed
        except TimeoutError:
            raise ConnectionFailedError("the server says nothing", subject=self._url) from None

    @property
    def principal(self) -> str:
        """The name under which the server notes what is handed in."""
        return self.welcome.principal

    # Asking -----------------------------------------------------------------------------------------------------

    async def call(self, method: str, **params: Any) -> Any:
        """Return what the server answers to a call.

        Raises:
            StateError: if it asks for what cannot be.
            NameTakenError: if there is one of that name already.
            ComityError: of another class, if the server fails at it, does not allow it, or the connection is lost.
        """
        return await self._calls.call(method, params)

    async def hand_in(self, update: bytes) -> None:
        """Return once the server has an update on its disk.

        Raises:
            ForbiddenError: if this agent may only read.
            TooLargeError: if the server takes no message of that size.
            ComityError: of another class, if the server refuses it, or the connection is lost; what was sent may have
                been stored then.
        """
        message = encode_sync(UPDATE, update)
        self._check_may_write(len(message))
        self._handed_in += 1  # from here to the sending nothing may wait: the server counts, too
        await self._calls.answered(self._unacknowledged, self._handed_in, message)

    def _check_may_write(self, size: int) -> None:
        if "write" not in self.welcome.access:
            raise ForbiddenError("read only", subject=self.subject, remedy="ask for the right to write")
        limit = self.welcome.limits.get("message", MAX_MESSAGE)
        if size > limit:
            raise TooLargeError(
                f"{size:,} bytes of edits, over the server's limit of {limit:,}",
                subject=self.subject,
                remedy="start the server with a larger --max-message; nothing was changed",
            )

    async def _send(self, message: bytes) -> None:
        with suppress(ConnectionClosed):  # the reading side knows why
            await self._socket.send(message)

    # Reading ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[None]:
        """Read while the context lasts, and let nobody wait after it."""
        task = asyncio.create_task(self._read(self._socket))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._end(ConnectionFailedError("the history was closed", subject=self.subject))

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, str):
                    raise ProtocolError("a text message", subject=self.subject)
                self._take(decode(message))
        except ConnectionClosed:
            pass  # the code says why
        except ComityError as error:
            self._end(error)
            await socket.close(error.close_code)
        reason = socket.close_reason or ""
        end = error_for(socket.close_code or 0, reason, "" if reason else self.subject)
        end.retry_after = self._retry_after
        self._end(end)

    def _take(self, frame: Frame) -> None:
        match frame:
            case Welcome():
                settle(self._welcomed, frame)
            case Answer():
                self._calls.take(frame)
            case Ack(n):
                for number in [number for number in self._unacknowledged if number <= n]:
                    settle(self._unacknowledged[number], None)
            case Reject(n, code, reason, _):
                fail(self._unacknowledged.get(n), error_for(code, reason, self.subject))
            case Denied(reason):
                raise ForbiddenError(reason, subject=self.subject)
            case Notice(_, _, retry_after, _):
                self._retry_after = retry_after  # the rest the close code will say again
            case _:
                pass  # of the document, and who is there

    def _end(self, error: ComityError) -> None:
        """Tell everybody who waits, and all who come later; only the first reason counts."""
        if self._error is None:
            self._error = error
            self._calls.end(error)
            for waiting in (self._welcomed, *self._unacknowledged.values()):
                fail(waiting, error)
