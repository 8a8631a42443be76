"""What one client sends, taken in the order in which it came."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..limits import Allowance
from ..transport.sockets import Valve


class Taker(Protocol):
    """Who takes frames: a session."""

    def offer(self, data: bytes | str) -> bool:
        """Take a frame if that takes no waiting; tell whether it was taken."""
        ...

    async def take(self, data: bytes | str) -> None:
        """Take a frame, however long that takes."""
        ...


class Inlet:
    """Hands frames to a session: at once where it need not wait, else one after the other while the socket is paused.

    Args:
        taker: the session.
        socket: where the frames come from.
        fail: called with the error that a frame ended in; nothing more is taken then.
        allowance: what may come; None is any amount.
    """

    def __init__(
        self,
        taker: Taker,
        socket: Valve,
        fail: Callable[[BaseException], None],
        allowance: Allowance | None = None,
    ) -> None:
        self._spend = (Allowance() if allowance is None else allowance).spend
        self._taker = taker
        self._socket = socket
        self._fail = fail
        self._waiting: deque[bytes | str] | None = None  # while a frame takes its time: it and those behind it
        self._task: asyncio.Task[None] | None = None
        self._has_stopped = False

    def message(self, data: bytes | str) -> None:
        """Take a frame, now or when those before it are taken."""
        if self._has_stopped:
            return
        try:
            self._spend(len(data))
            if self._waiting is not None:
                self._waiting.append(data)
                return
            if self._taker.offer(data):
                return
        except BaseException as error:
            self._end(error)
            return
        self._waiting = deque((data,))
        self._socket.pause()
        self._task = asyncio.create_task(self._take_waiting(self._waiting))

    async def emptied(self) -> None:
        """Wait until all that came is taken."""
        while self._task is not None and not self._task.done():  # one that was stopped before it began stays
            await asyncio.wait((self._task,))

    def stop(self) -> None:
        """Take nothing more."""
        self._has_stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _take_waiting(self, waiting: deque[bytes | str]) -> None:
        try:
            while waiting:
                await self._taker.take(waiting.popleft())
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._end(error)
        finally:
            self._task = self._waiting = None
        self._socket.resume()

    def _end(self, error: BaseException) -> None:
        if not self._has_stopped:
            self._has_stopped = True
            self._fail(error)
