"""A tier for threads that wait: typed state, also as a mapping of dotted keys."""

import threading
import weakref
from collections.abc import Awaitable, Callable, ItemsView, Iterable, Iterator, KeysView, MutableMapping, ValuesView
from contextlib import AbstractContextManager
from typing import Any, Generic, Self, TypeVar

from comity.crdt_types import Change, State
from comity.crdt_types.document.changes import Kind
from comity.crdt_types.errors import ComityError
from comity.crdt_types.replication import Replication, Status
from comity.crdt_types.types.field import Field

from ..decisions import ATTEMPTS, NotBefore
from ..tiers.reading import WithHistory
from ..tiers.tier import HISTORY, Tier, check_several
from .callbacks import OnError
from .history import BlockingPast
from .kept import Kept
from .opened import Opened
from .proxy import Proxies
from .stream import BlockingChanges

S = TypeVar("S", bound=State)
R = TypeVar("R")
H = TypeVar("H", bound=BlockingPast)


class BlockingTier(MutableMapping[str, Any], Generic[S]):
    """One room as typed state and as a mapping, for threads that wait; any number of them may use it at once.

    It is open from the start; ``with`` closes it. What its asynchronous counterpart awaits, it waits for. Every call is
    made in the thread of the client's event loop, one after the other.

    Args:
        kept: what keeps the tier open.
        proxies: how what belongs to the loop's thread gets to other threads.
        opened: what is open beside it.
    """

    def __init__(self, kept: Kept[Any], proxies: Proxies, opened: "Opened[BlockingTier[Any]]") -> None:
        self._kept = kept
        self._proxies = proxies
        self._thread = proxies.thread
        self._opened = opened
        self._histories: Opened[BlockingPast] = Opened()
        self._streams: weakref.WeakSet[BlockingChanges] = weakref.WeakSet()
        self._streams_lock = threading.Lock()
        self._is_closing = False
        kept.open(self._enter)

    _tier: Tier[S]
    _state: S

    def _enter(self, tier: Tier[S]) -> None:
        self._tier = tier
        self._state = self._proxies.proxy(tier.state)
        self._opened.add(self)

    @property
    def inner(self) -> Tier[S]:
        """The asynchronous tier, which belongs to the thread of the client's event loop."""
        return self._tier

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tier, if that was not done before; it waits a moment until what is under way is on its way.

        Raises: ComityError, if the server refused the room for good.
        """
        self._thread.check_may_wait()
        with self._streams_lock:
            self._is_closing = True
            streams = list(self._streams)
        for stream in streams:
            stream.end()
        self._histories.close()
        self._kept.close()
        self._opened.discard(self)  # not before, or the client could be closed while this is under way

    # Where it stands --------------------------------------------------------------------------------------------

    @property
    def state(self) -> S:
        """The typed state; each use of its fields is one call in the loop's thread, `run` makes many of them one."""
        return self._state

    @property
    def replica(self) -> Replication:
        """The replica of the room, such as for its ``awareness``."""
        replica: Replication = self._get("replica")
        return replica

    @property
    def room(self) -> str:
        """The room's name."""
        name: str = self._get("room")
        return name

    @property
    def tier(self) -> str:
        """The tier's name, such as ``shared``."""
        name: str = self._get("tier")
        return name

    @property
    def status(self) -> Status:
        """``offline`` without a connection, ``syncing`` until both sides have what the other had, then ``live``."""
        status: Status = self._get("status")
        return status

    @property
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        pending: int = self._get("pending")
        return pending

    def _get(self, name: str) -> Any:
        return self._proxies.call(getattr, self._tier, name)

    # By key -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        return self._proxies.call(self._tier.__getitem__, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._proxies.call(self._tier.__setitem__, key, value)

    def __delitem__(self, key: str) -> None:
        self._thread.call(self._tier.__delitem__, key)

    def __contains__(self, key: object) -> bool:
        return self._thread.call(self._tier.__contains__, key)

    def __len__(self) -> int:
        return self._thread.call(len, self._tier)

    def __iter__(self) -> Iterator[str]:
        keys: list[str] = self._thread.call(list, self._tier)
        return iter(keys)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.room}>"

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]  # a tier is no value, although a mapping

    def __eq__(self, other: object) -> bool:
        return self is other

    def keys(self) -> KeysView[str]:
        """Return the keys that there are now."""
        return self._items().keys()

    def values(self) -> ValuesView[Any]:
        """Return the values that there are now, in one call."""
        return self._items().values()

    def items(self) -> ItemsView[str, Any]:
        """Return the keys and values that there are now, in one call."""
        return self._items().items()

    def _items(self) -> dict[str, Any]:
        return self._thread.call(lambda: dict(self._tier.items()))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under a key, or a default if nothing is there."""
        return self._proxies.call(self._tier.get, key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write several keys in one transaction: all of them, or on an error none."""
        self._proxies.call(self._tier.update, *args, **kwargs)

    def clear(self) -> None:
        """Take away all there is, in one transaction."""
        self._thread.call(self._tier.clear)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values under several keys, as far as there are any, in one call."""
        return self._thread.call(self._tier.get_many, keys if isinstance(keys, str) else list(keys))

    def match(self, pattern: str) -> dict[str, Any]:
        """Return what lies under keys that match a pattern, in one call; ``*`` stops at a dot, ``**`` does not."""
        return self._thread.call(self._tier.match, pattern)

    def where(self, predicate: Callable[[str, Any], object]) -> dict[str, Any]:
        """Return what a predicate says yes to, in one call.

        Args:
            predicate: called with each key and value, in the loop's thread.
        """
        return self._thread.call(self._tier.where, predicate)

    def get_with_history(self, key: str, *, limit: int | None = HISTORY, timeout: float | None = None) -> WithHistory:
        """Return the value under a key with the versions that changed it.

        Args:
            key: the key.
            limit: how many versions at most; all that are kept if None.
            timeout: for how many seconds to wait; as long as it takes if None.
        """
        found: WithHistory = self._wait("get_with_history", key, limit=limit, timeout=timeout)
        return found

    # Edits ------------------------------------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[None]:
        """Group edits into one update: all of them, or on an error none; reads inside see them at once.

        The event loop stands still meanwhile, and other threads wait. One that takes longer than
        `turn.MAX_TRANSACTION`, or whose thread dies, is taken back: each call in it raises a TransactionError then.
        """
        return self._thread.transaction(self._tier.transaction)

    def run(self, function: Callable[[S], R]) -> R:
        """Call a function with the state itself in the loop's thread: many reads and edits in one call.

        Args:
            function: called with the state; it may not wait. What it returns comes here as that of a field's method.
        """
        result: R = self._proxies.call(lambda: function(self._tier.state))
        return result

    def version(self, key: str) -> str:
        """Return what `compare_and_set` compares: which writes of a key's value this replica has seen."""
        return self._thread.call(self._tier.version, key)

    def compare_and_set(self, key: str, value: Any, *, expected_version: str, timeout: float | None = None) -> str:
        """Write a register or a map's key if nobody has written it since, and return its new version.

        Args:
            key: the key.
            value: what to write; `ABSENT` to take the value away.
            expected_version: what `version` returned.
            timeout: for how many seconds to wait; as long as it takes if None. It may have been written then.

        Raises: PreconditionError, if it was written meanwhile; NotConnectedError, if the server is not there.
        """
        written: str = self._wait(
            "compare_and_set",
            key,
            self._proxies.unwrapped(value),
            expected_version=expected_version,
            timeout=timeout,
        )
        return written

    def decide(
        self,
        edit: Callable[[S], R],
        *,
        reads: Iterable[str | Field | tuple[Field, str]] = (),
        not_before: NotBefore = None,
        attempts: int = ATTEMPTS,
        timeout: float | None = None,
    ) -> R:
        """Make an edit that holds only if nothing it relies on has changed; the server decides.

        Args:
            edit: called with the state in the loop's thread, perhaps several times; it may not wait.
            reads: the keys or fields that it relies on, besides those that it writes; of a map also one key.
            not_before: milliseconds since 1970; the server refuses it while its clock is before that. Or a function
                that tells it once the edit was made.
            attempts: how often it is tried while others are faster.
            timeout: for how many seconds to wait; as long as it takes if None. The edit may have been made then.

        Raises: PreconditionError, if it is refused; NotConnectedError, if the server is not there.
        """
        check_several(reads)
        relied = [self._proxies.unwrapped(read) for read in reads]
        named = {"reads": relied, "not_before": not_before, "attempts": attempts}
        result: R = self._wait("decide", edit, timeout=timeout, **named)
        return result

    # Waiting ----------------------------------------------------------------------------------------------------

    def synced(self, timeout: float | None = None) -> None:
        """Return once everything that the server had is here; raises TimeoutError after so many seconds."""
        self._wait("synced", timeout=timeout)

    def durable(self, timeout: float | None = None) -> None:
        """Return once every edit so far is on the server's disk; raises TimeoutError after so many seconds."""
        self._wait("durable", timeout=timeout)

    def saved(self, timeout: float | None = None) -> None:
        """Return once every edit so far is in the local file; raises TimeoutError after so many seconds."""
        self._wait("saved", timeout=timeout)

    def wait(self, function: Callable[[Tier[S]], Awaitable[R]], *, timeout: float | None = None) -> R:
        """Run an asynchronous function with the asynchronous tier in the client's event loop; returns what it does.

        Args:
            function: the function. A manager or a lease that it returns is used from here as the state is.
            timeout: for how many seconds, after which it is cancelled; as long as it takes if None.

        Raises: TimeoutError, after that time.
        """

        async def waited() -> Any:
            return self._proxies.wrapped(await function(self._tier))

        result: R = self._thread.wait(waited, timeout=timeout)
        return result

    def _wait(self, name: str, *arguments: Any, timeout: float | None, **named: Any) -> Any:
        async def waited() -> Any:
            return self._proxies.wrapped(await getattr(self._tier, name)(*arguments, **named))

        return self._thread.wait(waited, timeout=timeout)

    def _past(self, kind: type[H], timeout: float | None) -> H:
        kept: Kept[Any] = Kept(self._thread, self._thread.call(self._tier.history))
        return kind(kept, self._proxies, self._histories, timeout)

    # Events -----------------------------------------------------------------------------------------------------

    def changes(self, *, timeout: float | None = None) -> BlockingChanges:
        """Iterate over the typed changes from this call on, one's own and those of others.

        Args:
            timeout: the iteration ends when nothing came for so many seconds; never if None.

        Raises: TooSlowError, in the iteration, if the reader falls too far behind; ComityError, if the server refused
            the replica for good, or the room was erased.
        """

        def subscribe(put: Callable[[Change | ComityError], object]) -> Callable[[], None]:
            stops = [self._thread.call(each, put) for each in (self._tier.subscribe, self._tier.replica.on_refused)]

            def stop() -> None:
                for each in stops:
                    self._thread.post(each)

            return stop

        stream = BlockingChanges(timeout, subscribe)
        with self._streams_lock:
            self._streams.add(stream)
            is_closing = self._is_closing
        if is_closing:
            stream.end()
        return stream

    def subscribe(
        self,
        callback: Callable[[Change], object],
        *,
        name: str | None = None,
        kind: Kind | None = None,
        author: str | None = None,
        on_error: OnError | None = None,
    ) -> Callable[[], None]:
        """Call a function with every change that matches, in a thread of the client's own; returns how to stop it.

        Args:
            callback: the function; it may wait, and use this tier.
            name: a pattern of keys, as for `match`.
            kind: the kind of field, such as ``map``.
            author: who made the change.
            on_error: called with a TooSlowError if the callback fell so far behind that it is called no more.
        """
        return self._proxies.listening(
            self._tier.subscribe, callback, on_error=on_error, name=name, kind=kind, author=author
        )

    def on_update(
        self,
        callback: Callable[[dict[str, Any], dict[str, Any]], object],
        *,
        name: str | None = None,
        on_error: OnError | None = None,
    ) -> Callable[[], None]:
        """Call a function with what each transaction changed, before and after, by key; returns how to stop it.

        Args:
            callback: the function; it may wait, and use this tier.
            name: a pattern of keys, as for `match`.
            on_error: as for `subscribe`.
        """
        return self._proxies.listening(self._tier.on_update, callback, on_error=on_error, name=name)
