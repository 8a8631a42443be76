"""Calls: what a connection asks the server beside the document, and who waits for the answers."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

from comity.crdt_types.errors import ComityError, NameTakenError, OverloadError, StateError, error_for
from comity.crdt_types.wire import Answer, Call, Failure, encode

# Half of what the server lets wait, since it may still be at some that nobody waits for any more.
MAX_CALLS: Final = 32
# What the codes of failed calls stand for, where that is not what they say when a connection ends.
_FAILURES: Final[dict[int, type[ComityError]]] = {
    4400: StateError,
    4409: NameTakenError,
    4500: ComityError,
    4503: OverloadError,
}

Waiting = dict[int, asyncio.Future[Any]]


class Calls:
    """The calls of one connection, which any number of tasks may make at once.

    Args:
        send: sends a message over the connection.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[object]]) -> None:
        self._send = send
        self._numbers = count(1)
        self._places = asyncio.Semaphore(MAX_CALLS)
        self._asked: Waiting = {}
        self._error: ComityError | None = None

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Return what the server answers to a call.

        Raises:
            StateError: if it asks for what cannot be.
            NameTakenError: if there is one of that name already.
            ComityError: of another class, if the server fails at it, does not allow it, or the connection is lost.
        """
        async with self._places:
            number = next(self._numbers)
            return await self.answered(self._asked, number, encode(Call(number, method, params)))

    async def answered(self, waiting: Waiting, number: int, message: bytes) -> Any:
        """Send a message, and return what comes back under its number."""
        if self._error is not None:
            raise self._error
        answer = waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(message)
            return await answer
        finally:
            del waiting[number]

    def take(self, answer: Answer) -> None:
        """Give an answer to whoever waits for it."""
        waiting = self._asked.get(answer.id)
        if answer.error is None:
            settle(waiting, answer.result)
        else:
            fail(waiting, _error_of(answer.error))

    def end(self, error: ComityError) -> None:
        """Tell everybody who waits, and all who come later; only the first reason counts."""
        if self._error is None:
            self._error = error
            for waiting in tuple(self._asked.values()):
                fail(waiting, error)


def settle(waiting: asyncio.Future[Any] | None, result: Any) -> None:
    """Give a result to whoever waits for it, if somebody does."""
    if waiting is not None and not waiting.done():
        waiting.set_result(result)


def fail(waiting: asyncio.Future[Any] | None, error: ComityError) -> None:
    """Raise an error in whoever waits, if somebody does."""
    if waiting is not None and not waiting.done():
        waiting.set_exception(error)


def _error_of(failure: Failure) -> ComityError:
    known = _FAILURES.get(failure.code)
    error = error_for(failure.code, failure.reason, "") if known is None else known(failure.reason)
    error.limit, error.retry_after = failure.limit, failure.retry_after
    return error
