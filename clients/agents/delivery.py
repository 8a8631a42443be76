"""Delivery: calls back in a task of its own, so that whoever makes a change does not wait for those who hear of it."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Final

from comity.crdt_types.errors import TooSlowError

logger = logging.getLogger("comity")

MAX_BACKLOG: Final = 10_000  # calls; minutes of work for any callback that keeps up at all, a few megabytes
_GRACE: Final = 5.0  # seconds that a callback has at the end for what is still to be told; more, and it hangs


def is_async(callback: Callable[..., object]) -> bool:
    """Tell whether a callback is to be awaited."""
    call = getattr(type(callback), "__call__", None)  # noqa: B004  # an object may have an async one
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(call)


class Delivery:
    """Calls one callback, sync or async, with what it is given, in order; what the callback raises is logged.

    If the callback falls `MAX_BACKLOG` calls behind it is not called any more, which is logged as a TooSlowError.

    Args:
        callback: the callback.
        on_error: called with the TooSlowError.
    """

    def __init__(
        self, callback: Callable[..., object], on_error: Callable[[TooSlowError], object] | None = None
    ) -> None:
        self._callback = callback
        self._on_error = on_error
        self._waiting: asyncio.Queue[tuple[object, ...] | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self.ended = False

    @property
    def is_done(self) -> bool:
        """Whether the last call has come to its end."""
        return self._task.done()

    def put(self, *arguments: object) -> None:
        """Have the callback called."""
        if self.ended:
            return
        if self._waiting.qsize() < MAX_BACKLOG:
            self._waiting.put_nowait(arguments)
        else:
            self._give_up()

    def _give_up(self) -> None:
        error = TooSlowError(
            f"a callback is {MAX_BACKLOG:,} calls behind, and not called any more",
            subject=repr(self._callback),
            remedy="do less in it, or hand the work to a task of your own",
        )
        logger.error("%s", error)
        self.stop()
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:  # it is told inside of the writer's call, which it must not hurt
                logger.exception("a callback failed")

    def stop(self) -> None:
        """Call the callback no more; a call under way goes on to its end."""
        self.ended = True
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def close(self) -> None:
        """Call the callback with what was put, and then no more."""
        if not self.ended:
            self.ended = True
            self._waiting.put_nowait(None)
        _done, hanging = await asyncio.wait([self._task], timeout=_GRACE)
        if hanging:
            logger.warning("a callback did not end in %s seconds, and was cancelled: %r", _GRACE, self._callback)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while (arguments := await self._waiting.get()) is not None:
            try:
                result = self._callback(*arguments)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                logger.exception("a callback failed")
