"""A turn: while one thread is in a transaction, the loop's thread serves nobody else."""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final

from comity.crdt_types.errors import TransactionError

from .calls import Call

MAX_TRANSACTION: Final = 10.0  # seconds; a server waits twice as long for the answer to a ping
_GLANCE: Final = 0.5  # seconds between two looks whether the thread still lives that the loop waits for


class Turn:
    """Serves one thread's calls in the loop's thread, until that thread ends it, dies, or takes too long.

    Args:
        owner: the thread.
    """

    def __init__(self, owner: threading.Thread) -> None:
        self.begun = _Begun(self)
        self._owner = owner
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._contexts: list[AbstractContextManager[Any]] = []
        self._is_over = False
        self._why = "interrupted"  # if it is to be taken back
        self._error: TransactionError | None = None

    # In the owner's thread --------------------------------------------------------------------------------------

    @property
    def is_mine(self) -> bool:
        """Whether the thread that asks is the owner."""
        return self._owner is threading.current_thread()

    def take(self, call: Call) -> None:
        """Have a call made; raises TransactionError, also by the call itself, if the turn was ended by force."""
        self._calls.put(call)
        if self._is_over:
            self._refuse_all()

    @contextmanager
    def inside(self, make: Callable[[], AbstractContextManager[Any]]) -> Generator[None]:
        """Enter a context in the loop's thread, and leave it there as the block is left."""
        self._ask(self._enter, make)
        try:
            yield
        except BaseException as error:
            # Not its owner: a generator that was left inside of the block, and is collected somewhere else.
            if self._is_over or not self.is_mine or not self._ask(self._leave, error):
                raise
        else:
            self._ask(self._leave, None)

    def end(self) -> None:
        """Let the loop go on; a context that was not left is left with an error."""
        self._calls.put(None)

    def abandon(self) -> None:
        """Refuse all calls from now on: there is nobody who would serve them."""
        self._is_over = True

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        call = Call(function, *arguments)
        self.take(call)
        return call.outcome()

    # In the loop's thread ---------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Make the owner's calls, and return when it has ended its turn."""
        deadline = monotonic() + MAX_TRANSACTION
        while (call := self._next(deadline)) is not None:
            call.run()
        if self._contexts:
            self._take_back()
        self._is_over = True
        self._refuse_all()

    def _next(self, deadline: float) -> Call | None:
        while self._owner.is_alive():
            left = deadline - monotonic()
            if left <= 0:
                self._why = f"not ended within {MAX_TRANSACTION:.0f} s"
                return None
            with suppress(Empty):
                return self._calls.get(timeout=min(left, _GLANCE))
        self._why = "its thread ended inside of it"
        return None

    def _enter(self, make: Callable[[], AbstractContextManager[Any]]) -> None:
        context = make()
        context.__enter__()
        self._contexts.append(context)

    def _leave(self, error: BaseException | None) -> bool:
        context = self._contexts.pop()
        return bool(context.__exit__(None if error is None else type(error), error, None))

    def _take_back(self) -> None:
        self._error = error = TransactionError(
            self._why,
            subject=f"a transaction of thread {self._owner.name!r}",
            remedy="do what takes long before it; nothing of it was written",
        )
        while self._contexts:
            with suppress(TransactionError):
                self._contexts.pop().__exit__(type(error), error, None)

    def _refuse_all(self) -> None:
        with suppress(Empty):
            while True:
                call = self._calls.get_nowait()
                if call is not None:
                    call.refuse(self._error or TransactionError("the transaction is over", subject=self._owner.name))


class _Begun(Call):
    """What the owner waits for: that the loop's thread has begun to serve it."""

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn.serve)

    def run(self) -> None:
        """Tell the owner, and serve."""
        self._done.release()
        self.function()
