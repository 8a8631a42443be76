"""One connection of a replica to its room: the handshake, the updates both ways, the acknowledgements."""

import asyncio
from collections import deque
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import pycrdt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from comity.crdt_types import StateDocument
from comity.crdt_types.awareness import RENEWAL, Awareness
from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ProtocolError,
    StateError,
    TooLargeError,
    answer_for,
    error_for,
)
from comity.crdt_types.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from comity.crdt_types.wire import (
    STEP1,
    STEP2,
    SUBPROTOCOL,
    UPDATE,
    Ack,
    Answer,
    Denied,
    Frame,
    Notice,
    Presence,
    QueryAwareness,
    Reject,
    SyncStep1,
    SyncStep2,
    Update,
    Welcome,
    decode,
    encode_awareness,
    encode_sync,
)
from comity.crdt_types.wire import Awareness as AwarenessFrame

from .calls import Calls

CLOSE_TIMEOUT: Final = 1.0  # seconds; everything that matters was acknowledged before a connection is closed
OPEN_TIMEOUT: Final = 10.0  # seconds; a server that does not answer a handshake within this is not there
MAX_MESSAGE: Final = 512 * 1024 * 1024  # bytes; a whole document may come as one message
MAX_OUTGOING: Final = 8 * 1024 * 1024  # bytes; past it one difference stands for all the updates waiting to be sent
MAX_EARLY: Final = 8 * 1024 * 1024  # bytes; past it updates are applied as they come, each a read of all lanes
# Answers to the handshake that another attempt will not change.
PERMANENT_STATUSES: Final = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 414: 4413, 431: 4413}


class Owner(Protocol):
    """What a connection asks of its replica."""

    document: StateDocument
    awareness: Awareness

    @property
    def number(self) -> int:
        """The number of the last local update."""
        ...

    def welcomed(self, welcome: Welcome) -> bool:
        """Take note of a welcome; return whether the document must be replaced by the server's."""
        ...

    async def meet(self) -> None:
        """From now on the document and the room have something in common."""
        ...

    async def reset(self, update: bytes) -> None:
        """Replace the document by the server's."""
        ...

    def went_live(self, acknowledges: bool) -> None:
        """Both sides have what the other had."""
        ...

    def acknowledged(self, number: int) -> None:
        """The local updates up to a number are on the server's disk."""
        ...

    def noticed(self, notice: Notice) -> None:
        """The server said something to know."""
        ...

    def rejected(self, after: int, number: int, error: ComityError) -> None:
        """The local updates after one number, up to another, were refused."""
        ...


def room_url(url: str, room: str, agent: str) -> str:
    """Return the address of a room's WebSocket.

    Raises: ConnectionFailedError, if the server's address is not one.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except (ValueError, AttributeError, TypeError) as error:
        raise ConnectionFailedError(f"not a server's address: {error}", subject=str(url)) from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.netloc:
        raise ConnectionFailedError("not a server's address", subject=url, remedy="write ws://host:port")
    base = parts.path.rstrip("/").removesuffix("/ws")  # which stock providers are given with the address
    path = f"{base}/ws/{quote(room)}"
    return urlunsplit((scheme, parts.netloc, path, urlencode({"agent": agent}), ""))


async def dial(url: str) -> ClientConnection:
    """Open a WebSocket.

    Raises: ConnectionFailedError, if the server cannot be reached; another ComityError, if it refuses for good.
    """
    try:
        return await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_MESSAGE,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            proxy=None,
        )
    except InvalidURI as error:
        raise ConnectionFailedError(str(error), subject=url) from None
    except InvalidHandshake as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        raise error_for(PERMANENT_STATUSES.get(status, 0), str(error), url) from None
    except (OSError, TimeoutError, ConnectionClosed, EOFError) as error:
        raise ConnectionFailedError(str(error) or type(error).__name__, subject=url) from None


class Connection:
    """The conversation over one open WebSocket.

    Args:
        owner: the replica.
        socket: the open WebSocket.
    """

    def __init__(self, owner: Owner, socket: ClientConnection) -> None:
        self._owner = owner
        self._socket = socket
        self._acknowledges = socket.subprotocol == SUBPROTOCOL
        self._resetting = False
        self._may_write = True
        self._limit = MAX_MESSAGE
        self._sent = 0  # the number of the last local update that was sent
        self._server_vector: bytes | None = None  # what the server had when it said so last
        self._received = False  # whether the server's answer to our step 1 has come
        self._early: list[bytes] = []  # updates that came before it
        self._early_size = 0
        self._frames = 0
        self._unacknowledged: deque[tuple[int, int]] = deque()  # (how many frames, number of the last local update)
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._presences: dict[int, Presence] = {}
        self._calls = Calls(self._put)
        self._asking: list[bytes] = []
        self._retry_after: float | None = None  # what the server asked for before it ended the connection
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Converse until the connection ends.

        Raises: ComityError, for whatever ended it.
        """
        if not self._acknowledges:
            await self._send_step1()
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._send()), tasks.create_task(self._renew())]
                await self._receive()
                for helper in helpers:
                    helper.cancel()
        except* ComityError as group:
            raise group.exceptions[0] from None
        finally:
            self._owner.awareness.attach(None)
            self._calls.end(ConnectionFailedError("the connection was lost", subject=self._socket_name))
        error = error_for(self._socket.close_code or 0, self._socket.close_reason or "", self._socket_name)
        error.retry_after = self._retry_after
        raise error

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Return what the server answers to a call, which it gets after every update that was sent before.

        Raises: as ``Calls.call``; TooLargeError, if the server takes no message of that size.
        """
        return await self._calls.call(method, params)

    async def _put(self, message: bytes) -> None:
        if len(message) > self._limit:
            raise self._too_large(len(message))
        self._asking.append(message)
        self._wake.set()

    def drop(self) -> None:
        """Cut the connection at once; `run` ends then."""
        self._socket.transport.abort()

    @property
    def _socket_name(self) -> str:
        return str(self._socket.request.path if self._socket.request else "connection")

    def send_update(self, update: bytes) -> None:
        """Send a local update with the others of this turn of the event loop; before the handshake is done, not at all.

        The handshake's difference holds what was committed before it.
        """
        if self._server_vector is None or self._resetting:
            return
        self._outgoing_size += len(update)
        if self._outgoing_size <= MAX_OUTGOING:
            self._outgoing.append(update)
        else:
            self._outgoing.clear()
        self._wake.set()

    def _send_presence(self, presence: Presence) -> None:
        self._presences[presence.client] = presence
        self._wake.set()

    async def _send(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._presences:
                    entries, self._presences = list(self._presences.values()), {}
                    await self._socket.send(encode_awareness(entries))
                asking, self._asking = self._asking, []  # all of them come after what is outgoing now
                if self._outgoing_size:
                    await self._send_document(UPDATE, self._take_outgoing())
                for message in asking:
                    await self._socket.send(message)
        except ConnectionClosed:
            return  # the receiving side reports why

    def _take_outgoing(self) -> bytes:
        updates, self._outgoing = self._outgoing, []
        too_many = self._outgoing_size > MAX_OUTGOING
        self._outgoing_size = 0
        if too_many:
            return self._owner.document.update_since(self._server_vector)
        return updates[0] if len(updates) == 1 else pycrdt.merge_updates(*updates)

    async def _send_document(self, step: int, update: bytes) -> None:
        message = encode_sync(step, update)
        number = self._owner.number
        if len(message) > self._limit:
            error = self._too_large(len(message))
            if step == STEP2:
                raise error  # all that was done offline: it stays as it is until the server takes it
            self._owner.rejected(self._sent, number, error)
            return
        self._frames += 1
        self._sent = number
        if self._acknowledges:
            self._unacknowledged.append((self._frames, number))
        await self._socket.send(message)

    def _too_large(self, size: int) -> TooLargeError:
        return TooLargeError(
            f"{size} bytes of edits, over the server's limit of {self._limit}",
            subject=self._socket_name,
            remedy="edit in smaller steps, or start the server with a larger --max-message",
        )

    async def _send_step1(self) -> None:
        vector = EMPTY_STATE_VECTOR if self._resetting else self._owner.document.state_vector()
        await self._socket.send(encode_sync(STEP1, vector))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL)
            self._owner.awareness.expire()
            self._owner.awareness.renew()

    async def _receive(self) -> None:
        try:
            async for message in self._socket:
                if isinstance(message, str):
                    raise ProtocolError("a text message", subject=self._socket_name)
                await self._handle(decode(message))
        except ConnectionClosed:
            return
        except StateError as error:  # somebody here holds a transaction of Yjs open; nothing that the server did
            raise ConnectionFailedError(f"an update could not be applied: {error}", subject=self._socket_name) from None
        except ProtocolError as error:
            await self._socket.close(answer_for(type(error)).close_code, str(error)[:100])
            raise

    async def _handle(self, frame: Frame) -> None:
        match frame:
            case Update(update):
                await self._take_update(update)
            case Ack(n):
                await self._acknowledge(n)
            case Answer():
                self._calls.take(frame)
            case AwarenessFrame(entries):
                self._owner.awareness.receive(entries)
            case SyncStep1(vector):
                await self._answer(vector)
            case SyncStep2(update):
                await self._take_answer(update)
            case Welcome():
                self._may_write = "write" in frame.access
                self._limit = frame.limits.get("message", self._limit)
                self._resetting = self._owner.welcomed(frame)
                await self._send_step1()
            case Reject(n, code, reason, _):
                self._reject(n, error_for(code, reason, self._socket_name))
            case QueryAwareness():
                self._owner.awareness.renew()
            case Denied(reason):
                raise error_for(4403, reason, self._socket_name)
            case Notice(_, _, retry_after, _):
                self._retry_after = retry_after
                self._owner.noticed(frame)
            case _:
                pass

    async def _take_update(self, update: bytes) -> None:
        """Apply an update; one that comes before the answer to our step 1 builds on that, and waits for it."""
        if self._received or self._early_size > MAX_EARLY:
            await self._apply(update)
        else:
            self._early_size += len(update)
            self._early.append(update)

    async def _apply(self, update: bytes) -> None:
        if self._resetting:
            return  # what comes before the answer that we reset to is in that answer
        if update != EMPTY_UPDATE:
            await self._owner.meet()
        self._owner.document.apply(update)
        if self._received and self._owner.document.lacks_updates:
            self._received = False  # until the answer to this
            await self._send_step1()

    async def _answer(self, vector: bytes) -> None:
        self._server_vector = vector
        if not self._resetting:
            await self._send_document(STEP2, self._owner.document.update_since(vector))
            self._check_live()

    async def _take_answer(self, update: bytes) -> None:
        if self._resetting:
            await self._owner.reset(update)
            self._resetting = False
            if self._server_vector is not None:
                await self._answer(self._server_vector)
        else:
            await self._apply(update)
        self._received = True
        early, self._early, self._early_size = self._early, [], 0
        for update in early:
            await self._apply(update)
        self._check_live()

    def _check_live(self) -> None:
        asked = self._server_vector is not None or not self._may_write  # a reader is not asked for what it has
        if self._received and asked and not self._resetting:
            self._owner.awareness.attach(self._send_presence)
            self._owner.went_live(self._acknowledges)

    async def _acknowledge(self, n: int) -> None:
        number = None
        while self._unacknowledged and self._unacknowledged[0][0] <= n:
            number = self._unacknowledged.popleft()[1]
        if number is not None:
            if number:
                await self._owner.meet()
            self._owner.acknowledged(number)

    def _reject(self, n: int, error: ComityError) -> None:
        before = 0
        for frame, number in self._unacknowledged:
            if frame == n:
                self._owner.rejected(before, number, error)
                return
            before = number
