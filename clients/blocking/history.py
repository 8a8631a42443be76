"""The history of a room, for threads that wait."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from comity.crdt_types import State, StateDocument

from ..history.history import History
from ..history.moments import Moment
from ..history.past import Past
from .kept import Kept
from .opened import Opened
from .proxy import Proxies

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=State)


def _waiting(method: Callable[Concatenate[History, P], Awaitable[R]]) -> "Callable[Concatenate[BlockingPast, P], R]":
    """Return an asynchronous method of a history as one that waits."""

    @wraps(method)
    def call(self: "BlockingPast", /, *args: P.args, **kwargs: P.kwargs) -> R:
        answer: R = self.ask(method.__name__, *args, **kwargs)
        return answer

    return call


def _listing(
    method: Callable[Concatenate[History, P], AsyncGenerator[R]],
) -> "Callable[Concatenate[BlockingPast, P], list[R]]":
    """Return a method of a history that yields as one that waits, and returns a list."""

    @wraps(method)
    def call(self: "BlockingPast", /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        answer: list[R] = self.ask(method.__name__, *args, **kwargs)
        return answer

    return call


class BlockingPast:
    """What a history of any tier has: its methods wait, and those that yield return lists.

    It is open from the start; ``with`` closes it. Every method may be called from any number of threads at once.

    Args:
        kept: what keeps the history open.
        proxies: how what it returns gets to other threads.
        opened: what is open beside it.
        timeout: for how many seconds each call waits; as long as it takes if None.

    Raises: ComityError, as the server or the network says.

    Attributes:
        timeout: for how many seconds each call waits; after that it raises TimeoutError. An edit that was under way may
            have been made.
    """

    def __init__(
        self, kept: Kept[Any], proxies: Proxies, opened: "Opened[BlockingPast]", timeout: float | None
    ) -> None:
        self.timeout = timeout
        self._kept = kept
        self._proxies = proxies
        self._opened = opened
        kept.open(self._enter)

    _history: Past

    def _enter(self, history: Past) -> None:
        self._history = history
        self._opened.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the history, if that was not done before."""
        self._kept.close()
        self._opened.discard(self)

    def ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the asynchronous history by its name, and wait for what it answers."""

        async def answered() -> Any:
            answer = getattr(self._history, name)(*args, **kwargs)
            found = [each async for each in answer] if isinstance(answer, AsyncGenerator) else await answer
            return self._proxies.wrapped(found)

        return self._proxies.thread.wait(answered, timeout=self.timeout)

    versions = _listing(Past.versions)
    log = _listing(Past.log)
    diff = _waiting(Past.diff)
    blame = _waiting(Past.blame)
    restore = _waiting(Past.restore)
    rollback = _waiting(Past.rollback)
    undo = _waiting(Past.undo)
    checkpoint = _waiting(Past.checkpoint)
    checkpoints = _waiting(Past.checkpoints)
    delete_checkpoint = _waiting(Past.delete_checkpoint)

    @overload
    def at(self, when: Moment) -> StateDocument: ...

    @overload
    def at(self, when: Moment, schema: type[S]) -> S: ...

    def at(self, when: Moment, schema: type[State] | None = None) -> State | StateDocument:
        """Return the room as it was, to be read only.

        Args:
            when: the version.
            schema: the `State` class to read it with; a `StateDocument` is returned if None.

        Raises: SchemaError, if the class cannot read it.
        """
        found: State | StateDocument = self.ask("at", when, schema)
        return found


class BlockingHistory(BlockingPast):
    """The history of a room of the server, as `History`; see `BlockingPast`."""

    begun = _waiting(History.begun)
    branch = _waiting(History.branch)
    branches = _waiting(History.branches)
    diff_branch = _waiting(History.diff_branch)
    merge = _waiting(History.merge)
    delete_branch = _waiting(History.delete_branch)
    erase = _waiting(History.erase)
    forget = _waiting(History.forget)
    expire_after = _waiting(History.expire_after)
