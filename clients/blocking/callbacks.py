"""The thread in which callbacks run, so that they may use the client as any other thread does."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from inspect import iscoroutinefunction
from queue import SimpleQueue
from typing import Any, Final

from comity.crdt_types.errors import InvalidValueError, TooSlowError

from ..tiers.subscription import check_callback

logger = logging.getLogger("comity")

MAX_BACKLOG: Final = 10_000  # calls of one callback that wait; as many as a change stream keeps, for the same reasons
JOIN_TIMEOUT: Final = 5.0  # seconds that closing waits for callbacks that are under way

OnError = Callable[[TooSlowError], object]


class Mailbox:
    """The calls of one callback that wait for their turn.

    Args:
        function: the callback.
        on_error: called, in the same thread, if the calls grew too many.
    """

    def __init__(self, function: Callable[..., object], on_error: OnError | None) -> None:
        self.function = function
        self.on_error = on_error
        self.calls: deque[tuple[Any, ...]] = deque()
        self.is_ended = False

    def end(self) -> None:
        """Call the function no more."""
        self.is_ended = True
        self.calls.clear()

    def next_call(self) -> tuple[Any, ...] | None:
        """Return the arguments of the next call; None if there is none any more."""
        try:
            return None if self.is_ended else self.calls.popleft()
        except IndexError:
            return None  # it was ended this very moment


class Callbacks:
    """Calls callbacks in a thread of their own, in the order in which things happened.

    The thread begins with the first callback. One that raises is logged and hurts nobody. Of one that is `MAX_BACKLOG`
    calls behind no more is told: it is logged, and its ``on_error`` is called with a TooSlowError.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._due: SimpleQueue[tuple[Callable[..., object], Mailbox | None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def carried(
        self, function: Callable[..., object], on_error: OnError | None = None
    ) -> tuple[Callable[..., None], Mailbox]:
        """Return what to call in any thread so that a function is called in this one, and its mailbox.

        Raises: InvalidValueError, if it is an asynchronous function, or none at all.
        """
        check_callback(function)
        if iscoroutinefunction(function):
            raise InvalidValueError(
                f"{function!r} is asynchronous",
                subject="callback",
                remedy="give a function without async; it may take its time and use this client",
            )
        self._start()
        mailbox = Mailbox(function, on_error)

        def call(*arguments: Any) -> None:
            self._put(mailbox, arguments)

        return call, mailbox

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _put(self, mailbox: Mailbox, arguments: tuple[Any, ...]) -> None:
        if mailbox.is_ended:
            return
        if len(mailbox.calls) < MAX_BACKLOG:
            mailbox.calls.append(arguments)
            self._due.put((mailbox.function, mailbox))
            return
        mailbox.end()
        error = TooSlowError(
            f"a callback fell {MAX_BACKLOG} calls behind, and is called no more",
            subject=repr(mailbox.function),
            remedy="do less in it, or hand over to a thread of your own; then subscribe again",
        )
        logger.error("%s", error)
        if (on_error := mailbox.on_error) is not None:
            self._due.put((lambda: on_error(error), None))

    def _run(self) -> None:
        while (due := self._due.get()) is not None:
            function, mailbox = due
            arguments = () if mailbox is None else mailbox.next_call()
            if arguments is not None:
                _call(function, arguments)

    def close(self) -> None:
        """Wait a moment for what has happened so far to be told; afterwards nothing is told any more."""
        self._due.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_TIMEOUT)


def _call(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    try:
        function(*arguments)
    except BaseException:  # also a SystemExit: it would end the thread, and with it all other callbacks
        logger.exception("a callback failed")
