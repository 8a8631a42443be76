"""Subscriptions: callbacks that are told of changes, functions at once, coroutines one after the other in a task."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, Final, get_args

from comity.crdt_types.document.changes import Kind
from comity.crdt_types.errors import InvalidValueError, TooSlowError

logger = logging.getLogger("comity")

MAX_BACKLOG: Final = 10_000  # calls that wait for a coroutine; a few megabytes, and minutes of work
CLOSE_TIMEOUT: Final = 1.0  # seconds that the end of a tier waits for coroutines that are at it

OnError = Callable[[TooSlowError], object]


def check_callback(callback: object) -> None:
    """Raise InvalidValueError, if that cannot be called."""
    if not callable(callback):
        raise InvalidValueError(f"{callback!r:.200} cannot be called", subject="callback", remedy="give a function")


def check_kind(kind: object) -> None:
    """Raise InvalidValueError, if there is no such kind of field: nobody would ever be told anything."""
    if kind is not None and kind not in get_args(Kind):
        raise InvalidValueError(
            f"no kind {kind!r}", subject="subscription", remedy=f"there are {', '.join(get_args(Kind))}"
        )


class Subscription:
    """One callback. What it raises is logged, and hurts nobody; what it waits for holds up nobody.

    Args:
        callback: a function, or one that returns something to await.
        tasks: where the task that awaits it is to be found while there is one: whoever holds these ends them.
        on_error: called if the callback fell so far behind that it is called no more.

    Raises: InvalidValueError, if the callback cannot be called.
    """

    def __init__(
        self, callback: Callable[..., object], tasks: set[asyncio.Task[None]], on_error: OnError | None = None
    ) -> None:
        check_callback(callback)
        self._callback = callback
        self._tasks = tasks
        self._on_error = on_error
        self._backlog: deque[Awaitable[object] | tuple[Any, ...]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._source: Callable[[], None] | None = None

    def follow(self, stop: Callable[[], None]) -> None:
        """Take note of how to stop what calls this."""
        self._source = stop

    def __call__(self, *arguments: Any) -> None:
        """Call the callback, after all its calls before."""
        if self._ended:
            return
        if self._task is not None:
            self._wait(arguments)
            return
        awaitable = self._called(arguments)
        if awaitable is not None:
            self._backlog.append(awaitable)
            self._task = task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _wait(self, arguments: tuple[Any, ...]) -> None:
        if len(self._backlog) < MAX_BACKLOG:
            self._backlog.append(arguments)
            return
        self.stop()
        error = TooSlowError(
            f"a callback fell {MAX_BACKLOG} calls behind",
            subject=repr(self._callback),
            remedy="read the state anew and subscribe again, doing less in the callback",
        )
        logger.error("%s", error)
        if self._on_error is not None:
            self._guarded(self._on_error, error)

    def _called(self, arguments: tuple[Any, ...]) -> Awaitable[object] | None:
        found = self._guarded(self._callback, *arguments)
        return found if isawaitable(found) else None

    def _guarded(self, function: Callable[..., object], *arguments: Any) -> object:
        try:
            return function(*arguments)
        except Exception:
            logger.exception("a callback failed")
            return None

    async def _work(self) -> None:
        try:
            while self._backlog:
                found = self._backlog.popleft()
                awaitable = self._called(found) if isinstance(found, tuple) else found
                if awaitable is not None:
                    await self._awaited(awaitable)
        finally:
            self._task = None

    async def _awaited(self, awaitable: Awaitable[object]) -> None:
        try:
            await awaitable
        except Exception:
            logger.exception("a callback failed")

    def end(self) -> None:
        """Take no more calls; those that wait are still made."""
        self._ended = True
        if self._source is not None:
            self._source()

    def stop(self) -> None:
        """Make no more calls, but for one that is under way."""
        self.end()
        for waiting in self._backlog:
            if not isinstance(waiting, tuple) and isinstance(waiting, Coroutine):
                waiting.close()
        self._backlog.clear()


async def finish(tasks: set[asyncio.Task[None]]) -> None:
    """Give tasks a moment to end by themselves, and then end them; not the one that asks for it."""
    left = tasks - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=CLOSE_TIMEOUT)
        for task in left:
            task.cancel()
        await asyncio.wait(left)
