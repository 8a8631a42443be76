"""The route of Hocuspocus: one WebSocket, and the documents that are open on it."""

import asyncio
from contextlib import suppress
from typing import Final

from comity.crdt_types.errors import (
    ComityError,
    ProtocolError,
    TooLargeError,
    UnauthenticatedError,
)
from comity.crdt_types.hocuspocus import CLOSE, PING, PONG, Credentials, decode, split
from comity.crdt_types.wire import AUTH

from ..auth import ANONYMOUS, Policy, claimed
from ..limits import Allowance
from ..rooms.hub import Hub
from ..sessions.connection import agent_of, host_of
from ..sessions.ending import FLUSH_SECONDS, IdleWatch, reason_of, see_through
from ..sessions.session import objection
from ..transport.sockets import Packet, Receive, Scope, Send, socket_for
from .channel import Channel
from .line import Line

ROUTE: Final = "/hocuspocus"

# Ours end long before this; what is longer is nobody's document and would come back with every message.
MAX_ADDRESS: Final = 4096
# For the documents of a connection that is being ended: to send what they owe, and then to say that they are over.
END_SECONDS: Final = 2 * FLUSH_SECONDS


class HocuspocusConnection:
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
        self._send = send
        self._socket = socket_for(scope, receive, send)
        self._line = Line(self._socket)
        self._principal = ANONYMOUS
        self._allowance = Allowance()
        self._channels: dict[str, Channel] = {}  # by address
        self._tasks: dict[asyncio.Task[None], Channel] = {}
        self._pongs = 0
        self._knows_pings = False
        self._failure: BaseException | None = None

    @property
    def kind(self) -> str:
        """What it speaks, as it is counted."""
        return "hocuspocus"

    async def run(self) -> None:
        """Serve the connection until it ends; nothing that happens in it is raised."""
        await see_through(self._accept(), self._close, self._scope["path"])

    def fail(self, error: BaseException) -> None:
        """End the connection with an error: its first one is what the client is told."""
        if self._failure is None:
            self._failure = error
            self._socket.stop()
            for channel in self._tasks.values():
                channel.cut()
            asyncio.get_running_loop().call_later(END_SECONDS, self._give_up)

    def notify(self, error: ComityError) -> None:
        """Do nothing: there is no word for it that a provider would understand."""

    def message(self, data: bytes | str) -> None:
        """Take a message of the client."""
        if self._failure is not None:
            return
        try:
            self._take(data)
        except Exception as error:
            self.fail(error)

    async def _accept(self) -> None:
        await self._send({"type": "websocket.accept", "subprotocol": None})
        self._principal = claimed(agent_of(self._scope["query_string"]))
        with self._hub.allowances.of(self._principal, host_of(self._scope)) as self._allowance:
            await self._converse()

    def _give_up(self) -> None:
        """Wait for no document any more: it may be saying something to a client that takes nothing."""
        for task in self._tasks:
            task.cancel()

    async def _converse(self) -> None:
        chores = [asyncio.create_task(chore()) for chore in (self._expect_document, self._ping)]
        idle = IdleWatch(self._hub.settings.idle_timeout, self._progress, self.fail)
        idle.start()
        try:
            await self._socket.listen(self)
            for channel in self._tasks.values():
                channel.leave()  # what the client sent before it left is still to be taken
            while self._tasks:
                await asyncio.wait(self._tasks)
            if self._failure is not None:
                raise self._failure
        finally:
            idle.stop()
            for task in (*chores, *self._tasks):
                task.cancel()
            await asyncio.gather(*chores, *self._tasks, return_exceptions=True)

    def _take(self, data: bytes | str) -> None:
        self._allowance.spend(len(data))
        limit = self._hub.settings.max_message
        if isinstance(data, str) or len(data) > limit:
            raise objection(data, limit)
        if data == PONG:
            self._pongs += 1
            self._line.backlog.end()
            return
        if data == PING:
            self._line.offer(Packet(PONG))  # a line that takes nothing more has enough to tell that it is alive
            return
        address, frame = split(data)
        channel = self._channels.get(address)
        if channel is None:
            self._take_stray(address, frame)
        elif frame[0] == CLOSE:
            del self._channels[address]
            channel.dismiss()
        else:
            channel.message(frame)

    def _take_stray(self, address: str, frame: bytes) -> None:
        """Take a frame for a document that is not open: all but one that asks for it is dropped.

        The provider sends it again with its sync: it syncs each time after it has asked.
        """
        message = decode(frame) if frame[0] == AUTH else None
        if isinstance(message, Credentials):
            if message.version is not None and not self._knows_pings:
                self._knows_pings = True
                self._line.backlog.begin()
                self._line.offer(Packet(PING))  # what waited for the first message comes before the answer to it
            self._open(address)

    def _open(self, address: str) -> None:
        if len(address) > MAX_ADDRESS:
            raise ProtocolError(f"a document's name of more than {MAX_ADDRESS} characters", subject="frame")
        channel = Channel(self._hub, self._line, address, self.fail)
        before = [task for task, other in self._tasks.items() if other.address == address]
        if len(self._tasks) < self._hub.settings.hocuspocus_documents:
            work = channel.run(self._principal, self._policy, self._allowance, before)
        else:
            work = channel.refuse(self._full())
        task = asyncio.create_task(work)
        self._channels[address] = channel
        self._tasks[task] = channel
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        channel = self._tasks.pop(task)
        if self._channels.get(channel.address) is channel:
            del self._channels[channel.address]

    def _full(self) -> ComityError:
        return TooLargeError(
            f"{self._hub.settings.hocuspocus_documents} documents are open on this connection",
            remedy="open another connection",
            limit="hocuspocus_documents",
        )

    async def _expect_document(self) -> None:
        """End the connection of a client that may nothing: what it sends is dropped, but costs something."""
        seconds = self._hub.settings.hocuspocus_open_seconds
        await asyncio.sleep(seconds)
        if not self._line.has_opened:
            what = f"no document was opened for {seconds:g} s"
            self.fail(UnauthenticatedError(what, remedy="authenticate sooner", limit="hocuspocus_open_seconds"))

    def _progress(self) -> tuple[float, int]:
        """Return what changes whenever something is sent; pings do not count."""
        return self._allowance.messages - self._pongs, sum(channel.seq for channel in self._tasks.values())

    async def _ping(self) -> None:
        """Say something now and then: a provider takes a server that is silent for 30 s for dead."""
        while True:
            await asyncio.sleep(self._hub.settings.ping_interval)
            if self._knows_pings:
                await self._line.send(Packet(PING))

    async def _close(self, error: ComityError) -> None:
        self._hub.count_close(error)
        with suppress(OSError):
            await self._socket.close(error.close_code, reason_of(error))
