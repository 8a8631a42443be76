"""The client: opens rooms of one server as typed state, and their histories."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

from comity.crdt_types import Change, State
from comity.crdt_types.document.changes import Kind
from comity.crdt_types.errors import RoomNotFoundError, SchemaError, StateError

from .history.history import History
from .local.moving import Moved, demote
from .local.replica import HISTORY, LocalReplica, VersionReplica
from .replica import Replica
from .tiers.local import LocalState
from .tiers.session import SessionState, check_ttl
from .tiers.subscription import OnError
from .tiers.tier import PersistentState, SharedState, Tier
from .tiers.untyped import Untyped
from .tiers.watching import Watch

S = TypeVar("S", bound=State)
T = TypeVar("T", bound=Tier[Any])


class Client:
    """Opens the rooms of one server; it holds no connection of its own, each open room and each history has one.

    Args:
        url: the server's address, ``ws://host:port``.
        agent: the name that this client's edits and presence bear.
        directory: where replicas keep their documents and unacknowledged edits; in memory only if None.
    """

    def __init__(self, url: str, *, agent: str = "", directory: str | Path | None = None) -> None:
        self.url = url
        self.agent = agent
        self.directory = None if directory is None else Path(directory)
        self._tiers: dict[Tier[Any], None] = {}
        self._watches: dict[Watch, None] = {}

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        watches, self._watches = self._watches, {}
        for watch in watches:
            watch.stop()

    @asynccontextmanager
    async def open(self, room: str, schema: type[S]) -> AsyncGenerator[S]:
        """Open a room as typed state, usable at once whether the server is there or not.

        Args:
            room: the room's name, such as ``shared/mission-1``.
            schema: a `State` class.

        Raises:
            SchemaError: if the class is not well formed, or a newer version of it wrote what the local file holds.
            RoomNotFoundError: if that is no name of a room.
            StorageError: if the local file cannot be opened.
            ConnectionFailedError: if the server's address is not one.
        """
        _check_schema(room, schema)
        _check_room(room)
        replica = Replica(self.url, room, agent=self.agent, directory=self.directory)
        async with replica:
            yield schema(replica.document, replica)  # not before: what the local file holds may be of a newer version

    # Tiers ------------------------------------------------------------------------------------------------------

    @overload
    def shared(self, name: str) -> AbstractAsyncContextManager[SharedState[Untyped]]: ...

    @overload
    def shared(self, name: str, schema: type[S]) -> AbstractAsyncContextManager[SharedState[S]]: ...

    def shared(self, name: str, schema: type[State] = Untyped) -> AbstractAsyncContextManager[SharedState[Any]]:
        """Open state that many agents and people share, usable at once whether the server is there or not.

        Args:
            name: the room's name, with or without ``shared/``.
            schema: a `State` class; a mapping alone if there is none.

        Raises: on entering, what `open` raises.
        """
        return self._tier(SharedState, schema, _room("shared", name))

    @overload
    def persistent(self) -> AbstractAsyncContextManager[PersistentState[Untyped]]: ...

    @overload
    def persistent(self, schema: type[S]) -> AbstractAsyncContextManager[PersistentState[S]]: ...

    def persistent(self, schema: type[State] = Untyped) -> AbstractAsyncContextManager[PersistentState[Any]]:
        """Open the state of this client's agent across its lives and processes.

        Args:
            schema: a `State` class; a mapping alone if there is none.

        Raises: StateError, if the client has no agent's name; on entering, what `open` raises.
        """
        return self._tier(PersistentState, schema, _room("persistent", self._named_agent("persistent")))

    @overload
    def local(
        self, name: str, *, backup: bool = False, history: timedelta | None = HISTORY
    ) -> AbstractAsyncContextManager[LocalState[Untyped]]: ...

    @overload
    def local(
        self, name: str, schema: type[S], *, backup: bool = False, history: timedelta | None = HISTORY
    ) -> AbstractAsyncContextManager[LocalState[S]]: ...

    def local(
        self,
        name: str,
        schema: type[State] = Untyped,
        *,
        backup: bool = False,
        history: timedelta | None = HISTORY,
    ) -> AbstractAsyncContextManager[LocalState[Any]]:
        """Open state on this agent's own disk, which no server knows of unless it is to be a backup.

        Args:
            name: its name, which is the room's after ``local/`` and the agent's name.
            schema: a `State` class; a mapping alone if there is none.
            backup: whether the server keeps it as well, in the room of that name: another machine has it by opening it.
            history: how long versions are kept on this disk; None is for good.

        Raises: StateError, if the client has no agent's name or no directory; InvalidValueError, for a history of less
            than no time; on entering, what `open` raises.
        """
        room = self._local_room(name)
        kind = VersionReplica if backup else LocalReplica
        replica = kind(self.url, room, agent=self.agent, directory=self._disk(), history=history)
        return self._tier(lambda state, _replica, _history: LocalState(state, replica, self.url), schema, room, replica)

    async def demote(self, room: str, name: str, *, merge: bool = False, history: timedelta | None = HISTORY) -> Moved:
        """Bring all of a room to this agent's own disk: its state, its versions, and their names.

        Versions keep their numbers, authors and times. The disk has all of them or none; the room stays as it is, and
        goes its own way from then on.

        Args:
            room: the room, such as ``shared/team-7``.
            name: the name that it has for `local`, under which nothing was written.
            merge: whether a local tier that was written to takes the state as one version, merged with what is there.
            history: how long a local tier that is merged with keeps its versions; None is for good.

        Raises:
            StateError: the client has no agent's name or no directory.
            InvalidValueError: nobody has written to the room.
            NameTakenError: the local tier was written to, and nothing is to be merged.
            StorageError: the local tier is open, or cannot be written.
            ComityError: of another class, as the server or the network says.
        """
        _check_room(room)
        local = self._local_room(name)
        return await demote(
            self.url, room, local, agent=self.agent, directory=self._disk(), merge=merge, history=history
        )

    def _local_room(self, name: str) -> str:
        agent = self._named_agent("local")
        _check_room(name)
        return name if name.startswith(f"local/{agent}/") else f"local/{agent}/{name}"

    def _disk(self) -> Path:
        if self.directory is None:
            raise StateError(
                "the client has no directory", subject="local state", remedy="give connect() a directory to keep it in"
            )
        return self.directory

    @overload
    def session(
        self, name: str, *, ttl: timedelta | None = None
    ) -> AbstractAsyncContextManager[SessionState[Untyped]]: ...

    @overload
    def session(
        self, name: str, schema: type[S], *, ttl: timedelta | None = None
    ) -> AbstractAsyncContextManager[SessionState[S]]: ...

    def session(
        self, name: str, schema: type[State] = Untyped, *, ttl: timedelta | None = None
    ) -> AbstractAsyncContextManager[SessionState[Any]]:
        """Open the state of one conversation, which the server erases when nothing has happened in it for a time.

        Args:
            name: the room's name, with or without ``session/``.
            schema: a `State` class; a mapping alone if there is none.
            ttl: how long that is, for everybody in it, rounded up to seconds; None leaves it as it is, which is at
                first as long as the server keeps sessions.

        Raises: InvalidValueError, if that is no time; on entering, what `open` raises.
        """
        room = _room("session", name)
        if ttl is not None:
            check_ttl(ttl, room)
        return self._tier(partial(SessionState, ttl=ttl), schema, room)

    def _named_agent(self, tier: str) -> str:
        if not self.agent:
            raise StateError(
                "the client has no agent's name", subject=f"{tier} state", remedy="give connect() the name of the agent"
            )
        return self.agent

    @asynccontextmanager
    async def _tier(
        self, kind: Callable[..., T], schema: type[State], room: str, replica: Replica | None = None
    ) -> AsyncGenerator[T]:
        """Open a tier of a kind over a room, with a replica of its own kind if one is given."""
        _check_schema(room, schema)
        if replica is None:
            replica = Replica(self.url, room, agent=self.agent, directory=self.directory)
        async with replica:
            tier = kind(schema(replica.document, replica), replica, lambda: self.history(room))
            async with tier.opened():
                self._tiers[tier] = None
                try:
                    for watch in tuple(self._watches):
                        watch.follow(tier)
                    yield tier
                finally:
                    del self._tiers[tier]
                    for watch in self._watches:
                        watch.leave(tier)

    def subscribe(
        self,
        callback: Callable[[Change, Tier[Any]], object],
        *,
        tier: str | None = None,
        name: str | None = None,
        kind: Kind | None = None,
        author: str | None = None,
        on_error: OnError | None = None,
    ) -> Callable[[], None]:
        """Call a function with every change that matches of the tiers that are open, and of those that will be.

        Args:
            callback: gets each change and its tier; it is called like that of `Tier.subscribe`.
            tier: the kind of tier, such as ``shared``.
            name: a pattern of keys, as for `Tier.match`.
            kind: the kind of field, such as ``map``.
            author: who made the change.
            on_error: as for `Tier.subscribe`; called for each tier.

        Returns: how to stop it. It ends with the client, too.

        Raises: InvalidValueError, if the callback cannot be called, or there is no such kind of tier or field.
        """
        watch = Watch(callback, tier, name, kind, author, on_error)
        self._watches[watch] = None
        for each in self._tiers:
            watch.follow(each)

        def stop() -> None:
            self._watches.pop(watch, None)
            watch.stop()

        return stop

    def history(self, room: str) -> History:
        """Return the history of a room, open or not; use it with ``async with``, which connects to the server.

        Args:
            room: the room's name.

        Raises:
            RoomNotFoundError: if that is no name of a room.
            ConnectionFailedError: if the server's address is not one.
        """
        _check_room(room)
        return History(self.url, room, agent=self.agent)


# Both refuse what a type checker would have refused, before it fails somewhere deep.


def _check_schema(room: object, schema: object) -> None:
    if not isinstance(schema, type) or not issubclass(schema, State):
        raise SchemaError(f"{schema!r} is not a State class", subject=f"room {room!r}")


def _check_room(room: object) -> None:
    if not isinstance(room, str) or not room:
        raise RoomNotFoundError("not a room name", subject=repr(room), remedy="give a string such as 'shared/plan'")


def _room(tier: str, name: str) -> str:
    """Return the name of a room of a tier, which may have been given whole."""
    _check_room(name)
    return name if name.startswith(f"{tier}/") else f"{tier}/{name}"


def connect(url: str, *, agent: str = "", directory: str | Path | None = None) -> Client:
    """Return a client of the server at an address; use it with ``async with``.

    Args:
        url: the server's address, ``ws://host:port``.
        agent: the name that this client's edits and presence bear.
        directory: where to keep documents and unacknowledged edits, so that they outlive this process.
    """
    return Client(url, agent=agent, directory=directory)
