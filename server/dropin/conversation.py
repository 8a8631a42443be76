"""The conversation of one channel with its room."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from inspect import isawaitable
from typing import Final, NamedTuple

from pycrdt import Channel

from comity.crdt_types.errors import ComityError, ConnectionFailedError, ForbiddenError, ProtocolError
from comity.crdt_types.wire import Denied, encode

from ..auth import ANONYMOUS, Action, Policy, access
from ..limits import Allowance
from ..rooms.hub import Hub
from ..sessions.ending import FLUSH_SECONDS
from ..sessions.seat import Guest, Seat, seated
from ..sessions.session import Session
from ..transport.sockets import Packet
from .waiting import Failure, unless

OnMessage = Callable[[bytes], Awaitable[bool] | bool]
OnMessageError = Callable[[Exception, bytes, Channel], Awaitable[bool] | bool]

# For a channel that takes nothing any more: what it received before is still to be read.
LINGER_SECONDS: Final = 5.0


class Hooks(NamedTuple):
    """What a program has to say about each message; True skips it."""

    on_message: OnMessage | None = None
    on_error: OnMessageError | None = None

    async def skips(self, message: bytes) -> bool:
        """Tell whether a message is to be skipped."""
        return self.on_message is not None and await _answer(self.on_message(message))

    async def forgives(self, error: Exception, message: bytes, channel: Channel) -> bool:
        """Tell whether to go on after an error that a message led to."""
        return self.on_error is not None and await _answer(self.on_error(error, message, channel))


class Conversation:
    """A channel and its room, until the channel ends or must.

    Args:
        hub: the hub of the room.
        name: the room's name.
        channel: where messages come from and go to.
        hooks: returns what the program has to say about them, as of now.
    """

    def __init__(self, hub: Hub, name: str, channel: Channel, hooks: Callable[[], Hooks]) -> None:
        self._hub = hub
        self._name = name
        self._channel = channel
        self._hooks = hooks
        self._failure: Failure = asyncio.get_running_loop().create_future()
        self._lingering: asyncio.TimerHandle | None = None

    async def run(self, ready: asyncio.Event) -> None:
        """Converse once the room is ready, until the channel ends.

        Raises: ComityError, when the conversation must end; what the program's hooks raise.
        """
        try:
            if not ready.is_set():
                await unless(self._failure, ready.wait())
            await self._serve()
        except ComityError as error:
            self._hub.count_close(error)
            raise
        except _GoneError:
            return
        finally:
            if self._lingering is not None:
                self._lingering.cancel()

    def fail(self, error: BaseException) -> None:
        """End the conversation with an error, or soon, if it is only that nothing can be sent any more."""
        if not isinstance(error, OSError):
            self._end(error)
        elif self._lingering is None:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER_SECONDS, self._end, _GoneError())

    async def _serve(self) -> None:
        granted = access(ANONYMOUS, self._name, Policy(self._hub.settings.anyone))
        sender = ChannelSender(self._channel)
        if Action.READ not in granted:
            error = ForbiddenError("not for you", subject=f"room {self._name!r}")
            with suppress(OSError):
                await sender.send(Packet(encode(Denied(str(error)))))
            raise error
        # A channel does not tell who or where its client is: only what one connection may send can be held to.
        with self._hub.allowances.of(ANONYMOUS, None) as allowance:
            guest = Guest(ANONYMOUS, granted, sender, allowance)
            async with seated(self._hub, self._name, guest, fail=self.fail, fail_sending=self.fail) as seat:
                seat.session.greet()
                await self._converse(seat, allowance)

    async def _converse(self, seat: Seat, allowance: Allowance) -> None:
        try:
            await unless(self._failure, self._listen(seat.session, allowance))
        except ComityError:
            with suppress(TimeoutError):
                await asyncio.wait_for(seat.outbox.flush(), FLUSH_SECONDS)
            raise

    async def _listen(self, session: Session, allowance: Allowance) -> None:
        messages = aiter(self._channel)
        while (message := await self._next(messages)) is not None:
            allowance.spend(len(message))
            try:
                await self._take(session, message)
            except Exception as error:
                if not await self._hooks().forgives(error, message, self._channel):
                    raise

    async def _next(self, messages: AsyncIterator[object]) -> bytes | None:
        """Return the next message; None at the end."""
        try:
            message = await anext(messages)
        except StopAsyncIteration:
            return None
        except Exception as error:
            raise ConnectionFailedError(f"receiving failed: {error!r}", subject=self._channel.path) from error
        if not isinstance(message, bytes):  # a text message: ASGIServer's channel gives None, or raises KeyError
            raise ProtocolError("a message that is not bytes", subject="frame", remedy="send binary messages")
        return message

    async def _take(self, session: Session, message: bytes) -> None:
        if not await self._hooks().skips(message):
            await session.take(message)

    def _end(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_result(error)


class _GoneError(Exception):
    """The client is gone."""


class ChannelSender:
    """The sending side of a channel, one ``send`` at a time."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def offer(self, packet: Packet) -> bool:
        """Send nothing: a channel may always wait."""
        del packet
        return False

    async def send(self, packet: Packet) -> None:
        """Send a packet. Raises BrokenPipeError when the channel does not take it."""
        try:
            await self._channel.send(packet.message)
        except Exception as error:  # each kind of channel has its own
            raise BrokenPipeError(f"the channel took no more: {error}") from error

    async def drain(self) -> None:
        """Return: a channel waits in ``send``."""

    def unsent(self) -> int:
        """Return 0: a channel does not tell."""
        return 0


async def _answer(answer: Awaitable[bool] | bool) -> bool:
    return await answer if isawaitable(answer) else answer
