"""A thread with an event loop of its own, which other threads ask to do something, and wait for it."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from threading import get_ident
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

from comity.crdt_types.errors import StateError, TransactionError

from .calls import Call, Waiting, closed
from .turn import Turn

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

JOIN_TIMEOUT: Final = 10.0  # seconds; what is open has been closed before, so that only a fault takes as long


class LoopThread:
    """Runs an event loop in a thread of its own, in which everything happens that others ask for, one after the other.

    What asks from the loop's own thread is served at once: a function that runs there may use what it calls.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._calls: deque[Call] = deque()
        self._turns: dict[int, Turn] = {}
        self._started = threading.Event()
        self._closing = False  # no more coroutines: those that run are about to be cancelled
        self._ended = False
        # A daemon, or an interpreter that ends would wait for it before anybody can tell it to end.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._started.wait()

    _ident: int
    _loop: asyncio.AbstractEventLoop
    _stop: asyncio.Event

    @property
    def is_mine(self) -> bool:
        """Whether the thread that asks is the loop's own."""
        return get_ident() == self._ident

    def call(self, function: Callable[[Unpack[Ts]], R], *arguments: *Ts) -> R:
        """Call a function in the loop's thread, and return or raise what it does.

        Raises: NotConnectedError, after the end; TransactionError, in a transaction that was taken back.
        """
        mine = get_ident()
        if mine == self._ident:
            return function(*arguments)
        call = Call(function, *arguments)
        turn = self._turn() if self._turns else None
        if turn is None:
            self._submit(call)
        else:
            turn.take(call)
        result: R = call.outcome()
        return result

    def post(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread some time, and do not wait; nothing happens after the end."""
        if not self._ended:
            try:
                self._loop.call_soon_threadsafe(function)
            except RuntimeError:
                return  # the loop was closed this very moment

    def wait(self, function: Callable[..., Awaitable[R]], *arguments: Any, timeout: float | None = None) -> R:
        """Run an asynchronous function in the loop, and return or raise what it does.

        Args:
            function: the function.
            arguments: with what to call it.
            timeout: for how many seconds; as long as it takes if None.

        Raises: TimeoutError, after that time, when it has been cancelled; NotConnectedError, after the end;
            TransactionError, inside a transaction, which the loop waits for; StateError, in the loop's own thread.
        """
        self.check_may_wait()
        waiting = Waiting(self._loop, function, *arguments)
        self._submit(waiting)
        result: R = waiting.outcome_within(timeout)
        return result

    def check_may_wait(self) -> None:
        """Raise StateError in the loop's own thread, and TransactionError inside a transaction."""
        if self.is_mine:
            raise StateError(
                "a wait in the thread of the event loop",
                subject=self._thread.name,
                remedy="wait in a callback or another thread, not in a function that an edit calls",
            )
        if self._turn() is not None:
            raise TransactionError("a transaction is under way", subject=self._thread.name, remedy="wait outside of it")

    @contextmanager
    def transaction(self, make: Callable[[], AbstractContextManager[Any]]) -> Generator[None]:
        """Enter a context in the loop's thread, which serves nobody but this thread until it ends.

        Args:
            make: returns the context.

        Raises: TransactionError, where it lasted too long and was left with an error.
        """
        if self.is_mine:
            with make():
                yield
            return
        mine = get_ident()
        turn = self._turn()
        if turn is not None:
            with turn.inside(make):
                yield
            return
        turn = Turn(threading.current_thread())
        try:
            self._submit(turn.begun)
            turn.begun.outcome()
            self._turns[mine] = turn
            with turn.inside(make):
                yield
        finally:
            self._turns.pop(mine, None)
            turn.end()

    def give_up(self) -> None:
        """Take back a transaction that this thread is in, if it is."""
        turn = self._turns.pop(get_ident(), None)
        if turn is not None:
            turn.end()

    def abandon(self) -> None:
        """Refuse all calls from now on, in a process that was forked off and has not got this thread."""
        self._ended = True
        for turn in self._turns.values():
            turn.abandon()

    def close(self) -> None:
        """End the loop and the thread; what waits for an answer gets the error of a closed client."""
        self.post(lambda: self._stop.set())
        if not self.is_mine:
            self._thread.join(JOIN_TIMEOUT)

    # In the other threads ---------------------------------------------------------------------------------------

    def _turn(self) -> Turn | None:
        """Return the turn of the thread that asks, if it has one."""
        turn = self._turns.get(get_ident())
        if turn is not None and not turn.is_mine:  # it was that of a thread which died in it, and had the same number
            del self._turns[get_ident()]
            return None
        return turn

    def _submit(self, call: Call) -> None:
        self._calls.append(call)
        try:
            if not self._ended:
                self._loop.call_soon_threadsafe(self._work)
        except RuntimeError:
            self._ended = True  # the loop was closed this very moment
        if self._ended:
            self._refuse_all()

    def _refuse_all(self) -> None:
        while self._calls:
            try:
                call = self._calls.popleft()
            except IndexError:
                return  # another thread was faster
            call.refuse(closed())

    # In the loop's thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        finally:
            self._ended = True
            self._refuse_all()

    async def _serve(self) -> None:
        self._ident = get_ident()
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set()
        await self._stop.wait()
        self._closing = True

    def _work(self) -> None:
        """Make one of the calls: each has asked for it once, so that the loop can do other things in between."""
        if self._calls:
            call = self._calls.popleft()
            if self._closing and isinstance(call, Waiting):
                call.refuse(closed())
            else:
                call.run()
