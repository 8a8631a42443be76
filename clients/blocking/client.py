"""The client for threads that wait: opens tiers and histories of one server."""

import atexit
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar, overload

from comity.crdt_types import Change, State
from comity.crdt_types.document.changes import Kind

from ..client import Client
from ..local.moving import Moved
from ..local.replica import HISTORY
from ..tiers.untyped import Untyped
from .callbacks import Callbacks, OnError
from .history import BlockingHistory, BlockingPast
from .kept import Kept
from .kinds import BlockingLocal, BlockingPersistent, BlockingSession, BlockingShared
from .loopthread import LoopThread
from .opened import Opened
from .proxy import Proxies
from .tier import BlockingTier

logger = logging.getLogger("comity")

S = TypeVar("S", bound=State)
R = TypeVar("R")
T = TypeVar("T", bound=BlockingTier[Any])


class BlockingClient:
    """A client for scripts and notebooks, which waits instead of being awaited; safe to use from several threads.

    It is open from the start; ``with`` closes it, and what it opened. So does the end of the program. An event loop of
    its own runs in a thread of its own, also where the program has a loop, as a notebook does.

    Args:
        url: the server's address, ``ws://host:port``.
        agent: the name that this client's edits and presence bear.
        directory: where replicas keep their documents and unacknowledged edits; in memory only if None.
    """

    def __init__(self, url: str, *, agent: str = "", directory: str | Path | None = None) -> None:
        self.url = url
        self.agent = agent
        self.directory = None if directory is None else Path(directory)
        name = f"comity {agent or url}"
        self._callbacks = Callbacks(f"{name} callbacks")
        self._thread = LoopThread(name)
        self._proxies = Proxies(self._thread, self._callbacks)
        self._client = Client(url, agent=agent, directory=directory)
        self._tiers: Opened[BlockingTier[Any]] = Opened()
        self._histories: Opened[BlockingPast] = Opened()
        self._kept = Kept(self._thread, self._client)
        self._kept.open(lambda _client: None)
        _open_clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client with all that it opened, if that was not done before; raises the first error of these.

        It waits a moment for callbacks that are due and for edits that are under way.
        """
        self._thread.check_may_wait()
        try:
            _open_clients.remove(self)
        except KeyError:
            return
        with ExitStack() as stack:
            for close in (self._thread.close, self._kept.close, self._tiers.close, self._histories.close):
                stack.callback(close)
            self._callbacks.close()

    def give_up(self) -> None:
        """Take back a transaction that this thread is in, as the end of a program does."""
        self._thread.give_up()

    def abandon(self) -> None:
        """Refuse everything from now on, as after the end: a process that was forked off has no loop."""
        self._thread.abandon()

    # Tiers ------------------------------------------------------------------------------------------------------

    @overload
    def shared(self, name: str) -> BlockingShared[Untyped]: ...

    @overload
    def shared(self, name: str, schema: type[S]) -> BlockingShared[S]: ...

    def shared(self, name: str, schema: type[State] = Untyped) -> BlockingShared[Any]:
        """Open state that many agents share.

        Args:
            name: the room's name, with or without ``shared/``.
            schema: a `State` class; a mapping alone if there is none.
        """
        return self._open(BlockingShared, lambda: self._client.shared(name, schema))

    @overload
    def persistent(self) -> BlockingPersistent[Untyped]: ...

    @overload
    def persistent(self, schema: type[S]) -> BlockingPersistent[S]: ...

    def persistent(self, schema: type[State] = Untyped) -> BlockingPersistent[Any]:
        """Open the state of this agent across its lives.

        Args:
            schema: a `State` class; a mapping alone if there is none.

        Raises: StateError, if the client has no agent's name.
        """
        return self._open(BlockingPersistent, lambda: self._client.persistent(schema))

    @overload
    def session(self, name: str, *, ttl: timedelta | None = None) -> BlockingSession[Untyped]: ...

    @overload
    def session(self, name: str, schema: type[S], *, ttl: timedelta | None = None) -> BlockingSession[S]: ...

    def session(
        self, name: str, schema: type[State] = Untyped, *, ttl: timedelta | None = None
    ) -> BlockingSession[Any]:
        """Open the state of one conversation, which is erased some time after it was used last.

        Args:
            name: the room's name, with or without ``session/``.
            schema: a `State` class; a mapping alone if there is none.
            ttl: how long after the last use; what the server says if None.
        """
        return self._open(BlockingSession, lambda: self._client.session(name, schema, ttl=ttl))

    @overload
    def local(
        self, name: str, *, backup: bool = False, history: timedelta | None = HISTORY
    ) -> BlockingLocal[Untyped]: ...

    @overload
    def local(
        self, name: str, schema: type[S], *, backup: bool = False, history: timedelta | None = HISTORY
    ) -> BlockingLocal[S]: ...

    def local(
        self,
        name: str,
        schema: type[State] = Untyped,
        *,
        backup: bool = False,
        history: timedelta | None = HISTORY,
    ) -> BlockingLocal[Any]:
        """Open state on this agent's own disk, which no server knows of unless it is to be a backup.

        Args:
            name: its name.
            schema: a `State` class; a mapping alone if there is none.
            backup: whether the server keeps it as well.
            history: how long versions are kept on this disk; None is for good.

        Raises: StateError, if the client has no agent's name or no directory.
        """
        return self._open(BlockingLocal, lambda: self._client.local(name, schema, backup=backup, history=history))

    def demote(
        self,
        room: str,
        name: str,
        *,
        merge: bool = False,
        history: timedelta | None = HISTORY,
        timeout: float | None = None,
    ) -> Moved:
        """Bring all of a room to this agent's own disk: its state, its versions, and their names.

        Args:
            room: the room, such as ``shared/team-7``.
            name: the name that it has for `local`, under which nothing was written.
            merge: whether a local tier that was written to takes the state as one version, merged with what is there.
            history: how long a local tier that is merged with keeps its versions; None is for good.
            timeout: for how many seconds to wait; as long as it takes if None.

        Raises: what `Client.demote` does; TimeoutError.
        """
        return self.wait(lambda client: client.demote(room, name, merge=merge, history=history), timeout=timeout)

    def _open(self, kind: type[T], make: Callable[[], AbstractAsyncContextManager[Any]]) -> T:
        return kind(Kept(self._thread, self._thread.call(make)), self._proxies, self._tiers)

    # Histories and events ---------------------------------------------------------------------------------------

    def history(self, room: str, *, timeout: float | None = None) -> BlockingHistory:
        """Open the history of a room, for ``with``.

        Args:
            room: the room's whole name.
            timeout: for how many seconds each of its calls waits; as long as it takes if None.

        Raises: RoomNotFoundError, if that is no name of a room; ConnectionFailedError.
        """
        kept = Kept(self._thread, self._thread.call(self._client.history, room))
        return BlockingHistory(kept, self._proxies, self._histories, timeout)

    def subscribe(
        self,
        callback: Callable[[Change, BlockingTier[Any]], object],
        *,
        tier: str | None = None,
        name: str | None = None,
        kind: Kind | None = None,
        author: str | None = None,
        on_error: OnError | None = None,
    ) -> Callable[[], None]:
        """Call a function with every change that matches in any tier that this client has open, or opens later.

        Args:
            callback: called with the change and the tier, in a thread of the client's own; it may wait.
            tier: the tier's name, such as ``shared``.
            name: a pattern of keys, as for `BlockingTier.match`.
            kind: the kind of field, such as ``map``.
            author: who made the change.
            on_error: as for `BlockingTier.subscribe`.
        """

        def told(change: Change, inner: object) -> tuple[Change, BlockingTier[Any]] | None:
            return next(((change, twin) for twin in self._tiers if twin.inner is inner), None)

        chosen = {"tier": tier, "name": name, "kind": kind, "author": author}
        return self._proxies.listening(self._client.subscribe, callback, on_error=on_error, convert=told, **chosen)

    def wait(self, function: Callable[[Client], Awaitable[R]], *, timeout: float | None = None) -> R:
        """Run an asynchronous function with the asynchronous client in its event loop, and return what it does.

        Args:
            function: the function; what it opens it should close.
            timeout: for how many seconds, after which it is cancelled; as long as it takes if None.

        Raises: TimeoutError, after that time.
        """

        async def waited() -> Any:
            return self._proxies.wrapped(await function(self._client))

        result: R = self._thread.wait(waited, timeout=timeout)
        return result


_open_clients: set[BlockingClient] = set()


@atexit.register
def _close_all() -> None:
    """Close what a program left open at its end, so that edits under way still arrive."""
    for client in list(_open_clients):
        try:
            client.give_up()
            client.close()
        except Exception:  # whatever it is, the others are to be closed too
            logger.exception("closing the client of %s failed", client.url)


def _abandon_all() -> None:
    """Leave all clients to the process that this one was forked off: threads do not come along."""
    for client in _open_clients:
        client.abandon()
    _open_clients.clear()


os.register_at_fork(after_in_child=_abandon_all)


def connect_sync(url: str, *, agent: str = "", directory: str | Path | None = None) -> BlockingClient:
    """Return a client that waits instead of being awaited, open until it is closed, or used with ``with``.

    Args:
        url: the server's address, ``ws://host:port``.
        agent: the name that this client's edits and presence bear.
        directory: where to keep documents and unacknowledged edits, so that they outlive this process.
    """
    return BlockingClient(url, agent=agent, directory=directory)
