"""The typed changes of a document as an asynchronous iterator with a bound."""

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

from comity.crdt_types import Change, StateDocument
from comity.crdt_types.errors import ComityError, TooSlowError

MAX_BACKLOG: Final = 10_000  # changes; a few megabytes, and minutes of work for any reader that reads at all


class ChangeStream:
    """Iterates over the changes of a document from its creation on.

    A reader that falls more than `MAX_BACKLOG` changes behind gets a TooSlowError, not a gap that it cannot see.

    Args:
        document: the document.
        convert: applied to each change; one that becomes None is left out.
    """

    def __init__(self, document: StateDocument, convert: Callable[[Change], Change | None]) -> None:
        self._convert = convert
        self._backlog: deque[Change] = deque()
        self._wake = asyncio.Event()
        self.ended = False
        self._error: ComityError | None = None
        # Weak, so that an iterator that a `break` left behind does not collect changes for ever.
        weak = weakref.WeakMethod(self._put)
        self._stop = document.on_change(lambda change: (put := weak()) and put(change))
        weakref.finalize(self, self._stop)

    def _put(self, told: Change) -> None:
        if self.ended or (change := self._convert(told)) is None:
            return
        if len(self._backlog) >= MAX_BACKLOG:
            self._backlog.clear()
            self.end(
                TooSlowError(
                    f"the reader fell {MAX_BACKLOG} changes behind",
                    subject="changes()",
                    remedy="read the state anew and iterate again, doing less in the loop",
                )
            )
        else:
            self._backlog.append(change)
        self._wake.set()

    def end(self, error: ComityError | None = None) -> None:
        """End the iteration after what was collected, with an error if there is one."""
        if not self.ended:
            self._error = error
        self.ended = True
        self._stop()
        self._wake.set()

    def __aiter__(self) -> "ChangeStream":
        return self

    async def __anext__(self) -> Change:
        while not self._backlog:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self.ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._backlog.popleft()
