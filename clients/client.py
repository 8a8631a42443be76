"""The client: opens rooms of one server as typed state, and their histories."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from comity.crdt_types import State
from comity.crdt_types.errors import RoomNotFoundError, SchemaError

from .history.history import History
from .replica import Replica

S = TypeVar("S", bound=State)


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

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

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


def connect(url: str, *, agent: str = "", directory: str | Path | None = None) -> Client:
    """Return a client of the server at an address; use it with ``async with``.

    Args:
        url: the server's address, ``ws://host:port``.
        agent: the name that this client's edits and presence bear.
        directory: where to keep documents and unacknowledged edits, so that they outlive this process.
    """
    return Client(url, agent=agent, directory=directory)
