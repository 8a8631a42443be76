"""What is kept open: an asynchronous context that one task enters and leaves, on behalf of other threads."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from .loopthread import LoopThread

T = TypeVar("T")


class Kept(Generic[T]):
    """Enters an asynchronous context when it is opened, and leaves it, in the same task, when it is closed.

    Args:
        thread: the loop's thread.
        context: the context.
    """

    def __init__(self, thread: LoopThread, context: AbstractAsyncContextManager[T]) -> None:
        self._thread = thread
        self._context = context
        self._is_closed = False

    _task: asyncio.Task[None]
    _leave: asyncio.Event

    def open(self, entered: Callable[[T], object]) -> None:
        """Enter the context.

        Args:
            entered: called with what the context gives, in the loop's thread, before anything else happens there.
        """
        self._thread.wait(self._open, entered)

    async def _open(self, entered: Callable[[T], object]) -> None:
        self._leave = asyncio.Event()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(entered, opened))
        try:
            await asyncio.wait((self._task, opened), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if not opened.done():
            await self._task  # which raises what kept it from opening

    async def _keep(self, entered: Callable[[T], object], opened: asyncio.Future[None]) -> None:
        async with self._context as thing:
            entered(thing)
            opened.set_result(None)
            await self._leave.wait()

    def close(self) -> None:
        """Leave the context, if that was not done before, and return once it is left, whoever began that.

        Raises: what leaving it does, in the thread that began it.
        """
        if not self._is_closed:
            self._thread.wait(self._close)

    async def _close(self) -> None:
        is_first = not self._leave.is_set()
        self._leave.set()
        await asyncio.wait((self._task,))  # not the task itself: who gives up waiting does not break it off
        self._is_closed = True
        if is_first:
            await self._task
