"""Calls that one thread asks another to make, and what came of them."""

import asyncio
from _thread import allocate_lock
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from comity.crdt_types.errors import NotConnectedError


def closed() -> NotConnectedError:
    """Return the error that meets whoever uses a client after its end."""
    return NotConnectedError("this client is closed", subject="connect_sync", remedy="connect once more")


class Call:
    """A call to be made in the loop's thread while the thread that asked waits for its end.

    Args:
        function: what to call.
        arguments: with what.
    """

    __slots__ = ("_done", "arguments", "error", "function", "result")

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments
        self.result: Any = None
        self.error: BaseException | None = None
        # A bare lock, which wakes one thread: a fifth of what a condition costs.
        self._done = allocate_lock()
        self._done.acquire()

    def run(self) -> None:
        """Make the call; to be called once, in the loop's thread."""
        try:
            self.result = self.function(*self.arguments)
        except BaseException as error:  # whatever it is, it belongs to the thread that asked
            self.error = error
        self._done.release()

    def refuse(self, error: BaseException) -> None:
        """Make the one who asked raise an error, in place of `run`."""
        self.error = error
        self._done.release()

    def outcome(self) -> Any:
        """Wait for the end of the call, and return or raise what came of it."""
        self._done.acquire()
        return self._outcome()

    def _outcome(self) -> Any:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # it holds this frame, which holds the call


class Waiting(Call):
    """A coroutine to be run in the loop while the thread that asked waits for its end."""

    __slots__ = ("_abandoned", "_loop", "_task")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., Awaitable[Any]], *arguments: Any
    ) -> None:
        super().__init__(function, *arguments)
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._abandoned = False

    def run(self) -> None:
        """Begin the coroutine; its end is that of the call."""
        if self._abandoned:
            return
        self._task = self._loop.create_task(self._awaited())
        self._task.add_done_callback(self._ended)

    async def _awaited(self) -> Any:
        return await self.function(*self.arguments)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self.refuse(closed())
        elif (error := task.exception()) is not None:
            self.refuse(error)
        else:
            self.result = task.result()
            self._done.release()

    def outcome_within(self, seconds: float | None) -> Any:
        """Wait for the end of the coroutine, and return or raise what came of it.

        Args:
            seconds: how long; None is as long as it takes. The coroutine is cancelled then, and where the wait is
                interrupted.

        Raises: TimeoutError, after that time.
        """
        try:
            ended = self._done.acquire(timeout=-1 if seconds is None else max(seconds, 0.0))
        except BaseException:  # a KeyboardInterrupt of the thread that waits
            self._abandon()
            raise
        if not ended:
            self._abandon()
            raise TimeoutError(f"not done within {seconds} s; it goes on by itself as far as it can")
        return self._outcome()

    def _abandon(self) -> None:
        self._abandoned = True
        with suppress(RuntimeError):  # the loop was closed, and its tasks with it
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
