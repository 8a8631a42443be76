"""A tier: typed state in one replica, also as a mapping of dotted keys, with subscriptions and decisions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, MutableMapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, ClassVar, Final, Generic, TypeVar

from comity.crdt_types import ABSENT, Change, State
from comity.crdt_types.document.changes import Kind
from comity.crdt_types.errors import InvalidValueError, PreconditionError
from comity.crdt_types.replication import Status
from comity.crdt_types.types.field import Field

from ..decisions import ATTEMPTS, NotBefore, Read
from ..history.past import Past
from ..replica import Replica
from .keys import Keys
from .reading import WithHistory, changes_of, keys_of, version_of
from .subscription import OnError, Subscription, check_kind, finish
from .typedkeys import refuse_text
from .updates import OnUpdate, Updates

S = TypeVar("S", bound=State)
R = TypeVar("R")
Opening = Callable[[], AbstractAsyncContextManager[Past]]

HISTORY: Final = 20  # versions that a value comes with: what fits on a screen


class Tier(MutableMapping[str, Any], Generic[S]):
    """The state of one room, typed and by key; it holds no copy of it: every read is of the replica in memory.

    Keys are the names of fields joined by dots: ``goal``, ``steps.build`` for a key of a map, ``tasks.t1.title`` for a
    field of a row. Sets, logs, lists, texts and counters are one value each. Dots and backslashes in the keys of maps
    are escaped by a backslash. A tier without a class has the keys of one map, as they are.

    Args:
        state: the state.
        replica: its replica, which is open.
        history: opens the history of the room.
    """

    tier: ClassVar[str] = ""

    def __init__(self, state: S, replica: Replica, history: Opening) -> None:
        self.state: Final = state
        self.replica: Final = replica
        self._keys: Final[Keys] = keys_of(state)
        self._history = history
        self._subscriptions: dict[Subscription, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # of coroutines that are told of changes

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Let subscriptions live while the context lasts."""
        try:
            yield
        finally:
            for subscription in tuple(self._subscriptions):
                subscription.end()
            self._subscriptions.clear()
            await finish(self._tasks)

    # Where it stands --------------------------------------------------------------------------------------------

    @property
    def room(self) -> str:
        """The room's name."""
        return self.replica.room

    @property
    def status(self) -> Status:
        """``offline`` without a connection, ``syncing`` until both sides have what the other had, then ``live``."""
        return self.replica.status

    @property
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        return self.replica.pending

    async def synced(self) -> None:
        """Return once everything that the server had is here."""
        await self.replica.synced()

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk."""
        await self.replica.durable()

    async def saved(self) -> None:
        """Return once every edit so far is in the local file; at once if there is none."""
        await self.replica.saved()

    # By key -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> Any:
        return self._keys.read(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys.write(key, value)

    def __delitem__(self, key: str) -> None:
        self._keys.delete(key)

    def __contains__(self, key: object) -> bool:
        try:
            self._keys.read(key)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter([key for key, _value in self._keys.items()])

    def __len__(self) -> int:
        return sum(1 for _ in self._keys.items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.room}>"

    def __hash__(self) -> int:  # a tier is not a value, although it is a mapping
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def clear(self) -> None:
        """Take away all there is, in one transaction."""
        self._keys.clear()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write several keys in one transaction: all of them, or on an error none."""
        with self.transaction():
            super().update(*args, **kwargs)

    def key_of(self, change: Change) -> str:
        """Return the key of what a change tells of; of a row that came or went, the row's."""
        return self._keys.key_of(change)

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values under several keys, as far as there are any.

        Raises: InvalidValueError, if that is one key.
        """
        check_several(keys)
        return {key: value for key in keys if (value := self.get(key, ABSENT)) is not ABSENT}

    def match(self, pattern: str) -> dict[str, Any]:
        """Return what lies under the keys that match a pattern, by key.

        Args:
            pattern: a glob: ``*`` stands for any characters but a dot, ``**`` for any at all, ``?`` for one.
        """
        return dict(self._keys.matching(pattern))

    def where(self, predicate: Callable[[str, Any], object]) -> dict[str, Any]:
        """Return what a predicate says yes to, by key.

        Args:
            predicate: called with each key and its value.
        """
        return {key: value for key, value in self._keys.items() if predicate(key, value)}

    async def get_with_history(self, key: str, *, limit: int | None = HISTORY) -> WithHistory:
        """Return the value under a key with the latest versions that changed it.

        Args:
            key: the key.
            limit: how many versions at most; all that are kept if None.

        Raises: InvalidValueError, if there cannot be such a key, or the limit is below 0; what `history` raises.
        """
        if limit is not None and limit < 0:
            raise InvalidValueError(f"{limit} versions", subject="limit", remedy="give 0 or more")
        path, cell = self._keys.spot(key)
        async with self.history() as past:
            entries = await changes_of(past, path, cell, limit)
        return WithHistory(self.get(key, ABSENT), entries)

    def history(self) -> AbstractAsyncContextManager[Past]:
        """Return the history of the room, to be used with ``async with``."""
        return self._history()

    # Subscriptions ----------------------------------------------------------------------------------------------

    def changes(self) -> AsyncIterator[Change]:
        """Iterate over the typed changes from this call on, one's own and those of others."""
        return self.state.changes()

    def subscribe(
        self,
        callback: Callable[[Change], object],
        *,
        name: str | None = None,
        kind: Kind | None = None,
        author: str | None = None,
        on_error: OnError | None = None,
    ) -> Callable[[], None]:
        """Call a function with every change that matches, one's own and those of others; returns how to stop it.

        What the callback raises is logged, and hurts nobody. A coroutine function is awaited, one call after the
        other; the writer does not wait for it.

        Args:
            callback: gets each change.
            name: a pattern of keys, as for `match`.
            kind: the kind of field, such as ``map``.
            author: who made the change.
            on_error: called with a TooSlowError if a coroutine fell so far behind that it is called no more.

        Raises: InvalidValueError, if the callback cannot be called, or there is no such kind.
        """
        check_kind(kind)
        subscription = Subscription(callback, self._tasks, on_error)
        matches = None if name is None else self._keys.matcher(name)
        keys = self._keys

        def heard(change: Change) -> None:
            if (
                (kind is None or change.kind == kind)
                and (author is None or change.author == author)
                and (matches is None or matches(keys.key_of(change)))
            ):
                subscription(change)

        return self._subscribed(subscription, self.state.on_change(heard))

    def on_update(
        self, callback: OnUpdate, *, name: str | None = None, on_error: OnError | None = None
    ) -> Callable[[], None]:
        """Call a function with what each transaction changed, before and after; returns how to stop it.

        Args:
            callback: gets two dicts by key: the values before, and those after; a key that came is in the second
                alone, one that went in the first. It is called like that of `subscribe`.
            name: a pattern of keys, as for `match`.
            on_error: as for `subscribe`.
        """
        subscription = Subscription(callback, self._tasks, on_error)
        matches = None if name is None else self._keys.matcher(name)
        return self._subscribed(subscription, Updates(self.state, self._keys, subscription, matches).close)

    def _subscribed(self, subscription: Subscription, source: Callable[[], None]) -> Callable[[], None]:
        def stop() -> None:
            subscription.stop()
            self._subscriptions.pop(subscription, None)

        subscription.follow(source)
        self._subscriptions[subscription] = None
        return stop

    # Edits ------------------------------------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[None]:
        """Group edits into one update: all of them, or on an error none; reads inside see them at once."""
        return self.state.transaction()

    def version(self, key: str) -> str:
        """Return what `compare_and_set` compares: which writes the value under a key consists of; empty if none."""
        return version_of(self.state, self._keys, key)

    async def compare_and_set(self, key: str, value: Any, *, expected_version: str) -> str:
        """Write a register or a map's key if nobody has written it since, and return its new version.

        The server decides, so of several who do this at once only one succeeds.

        Args:
            key: the key.
            value: what to write; `ABSENT` to take the value away.
            expected_version: what `version` returned.

        Raises: PreconditionError, if it was written meanwhile; NotConnectedError, if the server is not there;
            InvalidValueError, if the value does not fit, or the key is that of anything else.
        """

        def edit(state: S) -> str:
            keys = keys_of(state)
            if version_of(state, keys, key) != expected_version:
                raise PreconditionError(
                    "it was written meanwhile", subject=f"{self.room} {key}", remedy="read it again, and decide anew"
                )
            keys.put(key, value)
            return version_of(state, keys, key)

        return await self.decide(edit, reads=[key])

    async def decide(
        self,
        edit: Callable[[S], R],
        *,
        reads: Iterable[str | Field | tuple[Field, str]] = (),
        not_before: NotBefore = None,
        attempts: int = ATTEMPTS,
    ) -> R:
        """Make an edit that stands only if nothing that it relies on has changed; the server decides.

        Args:
            edit: called with a draft of the state, again if others were faster; it may not wait. What it raises is
                raised here, and nothing is written then.
            reads: the keys or fields that it relies on, besides those that it writes; of a map also one key. Texts
                cannot be relied on.
            not_before: the moment before which the server refuses it, in ms since the Unix epoch by the server's
                clock; or a function that tells it once the edit was made.
            attempts: how often it is tried while others are faster.

        Returns: what the edit returned, once it is on the server's disk, and here.

        Raises:
            PreconditionError: if others were faster every time, or the server's clock is not that far.
            NotConnectedError: if the server is not there.
            ConnectionFailedError: if the connection was lost meanwhile; it may have been made then.
        """
        check_several(reads)
        relied = [self._relied(read) for read in reads]
        return await self.replica.decide(type(self.state), edit, reads=relied, not_before=not_before, attempts=attempts)

    def _relied(self, read: str | Field | tuple[Field, str]) -> Read:
        if isinstance(read, str):
            return self._keys.reliance(read)
        field, key = read if isinstance(read, tuple) else (read, None)
        refuse_text(field)
        return field.name, key


def check_several(keys: object) -> None:
    """Raise InvalidValueError, if keys are one text, whose characters nobody means."""
    if isinstance(keys, str):
        raise InvalidValueError(f"{keys!r} is one key", subject="keys", remedy=f"give a list: [{keys!r}]")


class SharedState(Tier[S]):
    """State that many agents and people share, with every version kept."""

    tier: ClassVar[str] = "shared"


class PersistentState(Tier[S]):
    """The state of one agent across its lives and processes, with every version kept."""

    tier: ClassVar[str] = "persistent"
