"""The calls of one connection: what they ask for, whether they may, and their answers."""

import asyncio
import logging
from collections import deque
from typing import Any, Final, NamedTuple

from comity.crdt_types.errors import ComityError, ForbiddenError, ProtocolError, TooFastError, mistake
from comity.crdt_types.varint import MAX_VARINT
from comity.crdt_types.wire import Answer, Call, Failure, encode

from ..auth import Access, Action
from ..limits import Allowance
from ..rooms.outbox import Outbox
from ..transport.sockets import Packet
from .methods import METHODS, Caller, Method, Params, Parting
from .service import History

logger = logging.getLogger(__name__)

# A client that asks for all at once what a page shows of a room's history has a dozen.
MAX_WAITING: Final = 64
# Longer texts are refused before they wait for their turn: several times the longest name or note.
MAX_TEXT: Final = 16 * 1024


class _Request(NamedTuple):
    id: int
    method: Method
    params: Params


class Calls:
    """Answers the calls of a connection one after the other, in their order, while its other frames go on.

    Args:
        history: what they ask for.
        caller: who calls.
        outbox: what the connection is owed.
        allowance: what it may still ask for: the bytes of answers count.
    """

    def __init__(self, history: History, caller: Caller, outbox: Outbox, allowance: Allowance) -> None:
        self._history = history
        self._caller = caller
        self._outbox = outbox
        self._allowance = allowance
        self._waiting: deque[_Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_writing = False

    async def take(self, call: Call) -> None:
        """Take a call, which is answered in its turn; one that cannot be is answered at once."""
        try:
            if len(self._waiting) >= MAX_WAITING:
                raise TooFastError(f"{MAX_WAITING} calls are waiting", remedy="wait for their answers")
            self._waiting.append(_request(call, self._caller.access))
        except ComityError as error:
            await self._send(_failed(call.id, error))
            return
        if self._task is None:
            self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Answer nothing more. What is being written is written, what is being read is not read on."""
        self._waiting.clear()
        task = self._task
        if task is not None:
            if not self._is_writing:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while self._waiting:
                request = self._waiting.popleft()
                self._is_writing = request.method.action is Action.WRITE
                answer, farewell = await self._answer(request)
                self._is_writing = False
                await self._send(answer)
                if farewell is not None:
                    self._caller.member.fail(farewell)
        finally:
            self._task = None

    async def _answer(self, request: _Request) -> tuple[Answer, ComityError | None]:
        """Return the answer to a call, and what the client is sent away with after it, if with anything."""
        try:
            result = await request.method.run(self._history, self._caller, request.params)
        except ComityError as error:
            return _failed(request.id, error), None
        except Exception:
            logger.exception("a call about room %r failed", self._caller.room)
            return _failed(request.id, mistake(f"room {self._caller.room!r}")), None
        if isinstance(result, Parting):
            return Answer(request.id, result.result), result.error
        return Answer(request.id, result), None

    async def _send(self, answer: Answer) -> None:
        """Give an answer as soon as its bytes are allowed: who reads a long history is slowed down, not sent away."""
        await self._outbox.space()
        message = encode(answer)
        await asyncio.sleep(self._allowance.owe(len(message)))
        self._outbox.put(Packet(message))


def _failed(number: int, error: ComityError) -> Answer:
    return Answer(number, error=Failure(error.close_code, str(error), error.limit, error.retry_after))


def _request(call: Call, granted: Access) -> _Request:
    """Return what a call asks for. Raises ProtocolError, if it makes no sense, and ForbiddenError."""
    method = METHODS.get(call.method)
    if method is None:
        raise ProtocolError(f"unknown method {call.method!r:.60}", subject="call", remedy="see docs/protocol.md")
    if method.action not in granted:
        raise ForbiddenError("read only", subject=call.method)
    if unknown := call.params.keys() - method.params.keys():
        raise ProtocolError(f"unknown parameter {min(unknown, key=repr)!r:.60}", subject=call.method)
    return _Request(call.id, method, {name: _param(call, method, name) for name in method.params})


def _param(call: Call, method: Method, name: str) -> Any:
    value = call.params.get(name)
    if value is None and name in method.optional:
        return None
    if not _is_sound(value, method.params[name]):
        raise ProtocolError(f"parameter {name} is missing, of the wrong type, or out of range", subject=call.method)
    return value


def _is_sound(value: Any, kind: type) -> bool:
    if kind is int:
        return type(value) is int and 0 <= value <= MAX_VARINT
    if kind is list:  # bounded by the size of the message; whoever takes it knows what may be in it
        return isinstance(value, list)
    if kind is bytes:
        return isinstance(value, bytes)
    return isinstance(value, str) and len(value) <= MAX_TEXT
