"""What is open, to be closed with what opened it."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar

from .calls import closed


class Closable(Protocol):
    """What can be closed, also more than once."""

    def close(self) -> None:
        """Close it."""
        ...


C = TypeVar("C", bound=Closable)


class Opened(Generic[C]):
    """What is open, in the order of its opening; threads may add to it and take from it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._things: dict[int, C] = {}
        self._is_closed = False

    def __iter__(self) -> Iterator[C]:
        with self._lock:
            return iter(list(self._things.values()))

    def add(self, thing: C) -> None:
        """Take something in; raises NotConnectedError after the end."""
        with self._lock:
            if self._is_closed:
                raise closed()
            self._things[id(thing)] = thing

    def discard(self, thing: C) -> None:
        """Forget something, which is closed or about to be."""
        with self._lock:
            self._things.pop(id(thing), None)

    def close(self) -> bool:
        """Close everything, the latest first, and take in nothing more; returns False if that was done before.

        Raises: the error of one of them, after all were closed.
        """
        with self._lock:
            things, self._things = self._things, {}
            was_closed, self._is_closed = self._is_closed, True
        with ExitStack() as stack:
            for thing in things.values():
                stack.callback(thing.close)
        return not was_closed
