"""A stream of changes for a thread that waits for them."""

import weakref
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Final

from comity.crdt_types import Change
from comity.crdt_types.errors import ComityError, TooSlowError

MAX_BACKLOG: Final = 10_000  # changes; as many as the asynchronous stream keeps, for the same reasons

_END: Final = None  # stands behind the last change


class BlockingChanges(Iterator[Change]):
    """Iterates over the changes of a tier from its creation on; each step waits for the next one.

    It ends when the tier is closed, or when nothing came for the time that was given. A reader that falls more than
    `MAX_BACKLOG` changes behind gets a TooSlowError, not a gap that it cannot see.

    Args:
        timeout: for how many seconds to wait for a change; as long as it takes if None.
        subscribe: calls a function with every change, and with the error that ends them, in the loop's thread; returns
            how to stop it, in any.
    """

    def __init__(
        self, timeout: float | None, subscribe: Callable[[Callable[[Change | ComityError], object]], Callable[[], None]]
    ) -> None:
        self.timeout = timeout
        self._backlog = _Backlog()
        self._stop = subscribe(self._backlog.put)
        # So that an iterator that a `break` left behind does not collect changes for ever.
        weakref.finalize(self, self._stop)

    def __next__(self) -> Change:
        try:
            change = self._backlog.queue.get(timeout=self.timeout)
        except Empty:
            raise StopIteration from None
        if isinstance(change, ComityError):
            self._backlog.queue.put(_END)
            raise change
        if change is None:
            self._backlog.queue.put(_END)  # the next step ends too
            raise StopIteration
        return change

    def end(self) -> None:
        """End the iteration after what was collected."""
        self._stop()
        self._backlog.queue.put(_END)


class _Backlog:
    """The changes that were not read yet; it does not keep its iterator alive."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Change | ComityError | None] = SimpleQueue()
        self._overflowed = False

    def put(self, change: Change | ComityError) -> None:
        if self._overflowed:
            return
        if self.queue.qsize() < MAX_BACKLOG:
            self.queue.put(change)
            return
        self._overflowed = True
        self.queue = SimpleQueue()
        self.queue.put(
            TooSlowError(
                f"the reader fell {MAX_BACKLOG} changes behind",
                subject="changes()",
                remedy="read the state anew and iterate again, doing less in the loop",
            )
        )
