"""The history of one room: what its versions were, and edits that bring something of them back."""

import math
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Self

from comity.crdt_types.errors import InvalidValueError, RoomNotFoundError
from comity.crdt_types.history.comparison import differences
from comity.crdt_types.history.differences import Differences

from .line import Line
from .moments import Moment
from .past import Past
from .results import Begun, Branch, ErasedRoom, Merged, RedactedRoom
from .revising import merging


class History(Past):
    """The history of one room, over a connection of its own; an asynchronous context manager.

    ::

        async with client.history("shared/plan") as history:
            await history.checkpoint("before-deploy")
            plan = await history.at("before-deploy", Plan)

    Versions are counted from 1, version 0 is the room before its first. Who may read the room may read its history.
    What edits it (`restore`, `rollback`, `undo`, `merge`) makes a version of its own, which merges with what others do
    at the same moment, and is on the server's disk when the call returns.

    Every method may be called from any number of tasks at once. Each raises StaleVersionError for a version that is not
    kept or never was, or a checkpoint that is not there; InvalidValueError for a time without a time zone;
    ForbiddenError where the server does not allow it; and ConnectionFailedError, or what else the server said, once the
    connection is lost: an edit that was under way then may have been made.

    Args:
        url: the server's address, ``ws://host:port``.
        room: the room's name.
        agent: the name that edits, checkpoints and branches bear.

    Raises: ComityError, on entering, as the server or the network says.
    """

    def __init__(self, url: str, room: str, *, agent: str = "") -> None:
        self.room = room
        self._url = url
        self._connection = Line(url, room, agent)
        super().__init__(self._connection, agent)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._connection)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def begun(self) -> Begun | None:
        """Return who brought the first versions of the room from elsewhere; None if nobody did."""
        row = await self._line.call("begun")
        return None if row is None else Begun.of(row)

    # Branches ---------------------------------------------------------------------------------------------------

    async def branch(self, name: str, *, at: Moment | None = None) -> Branch:
        """Make a room that begins as this one was at a version, the newest if None; open it like any other.

        Args:
            name: printable characters, at most 200 bytes of them.
            at: the version.

        Raises: NameTakenError, if there is one of that name; StateError, if the server takes none like that.
        """
        seq = None if at is None else await self._moments.version(at)
        return Branch.of(await self._line.call("branch", name=name, seq=seq))

    async def branches(self) -> list[Branch]:
        """Return the room's branches, by name."""
        return [Branch.of(row) for row in await self._line.call("branches")]

    async def diff_branch(self, name: str) -> Differences:
        """Return what makes this room, as it is now, read like one of its branches.

        Raises: RoomNotFoundError, if there is no such branch.
        """
        state = await self._state_of_branch(name)
        return differences(await self._newest(await self._source.span()), state)

    async def merge(self, name: str, *, dry_run: bool = False) -> Merged:
        """Bring everything that was done in a branch here, by one edit; the branch stays as it is.

        Args:
            name: the branch's name.
            dry_run: whether to tell what would come of it, and write nothing.

        Raises: RoomNotFoundError, if there is no such branch.
        """
        state = await self._state_of_branch(name)
        span = await self._source.span()
        newest = await self._newest(span)
        update, found, conflicts = merging(newest, state)
        version = None if dry_run else await self._writer.write(update, span, newest)
        return Merged(version, found.changes, found.texts, conflicts)

    async def delete_branch(self, name: str) -> bool:
        """Erase a branch with its history and its own branches; returns whether there was one."""
        existed: bool = await self._line.call("drop_branch", name=name)
        return existed

    async def _state_of_branch(self, name: str) -> bytes:
        for branch in await self.branches():
            if branch.name == name:
                async with History(self._url, branch.room, agent=self.agent) as history:
                    return await history._newest(await history._source.span())
        raise RoomNotFoundError(
            f"there is no branch {name!r}", subject=self._line.subject, remedy="see which there are by branches()"
        )

    # Ending -----------------------------------------------------------------------------------------------------

    async def erase(self) -> list[ErasedRoom]:
        """Remove the room for good, with its history, checkpoints and branches; returns what was removed of which room.

        Whoever is in it is sent away, and so is this connection: afterwards every method raises ErasedError.
        """
        return [ErasedRoom(**row) for row in await self._line.call("erase")]

    async def forget(self, author: str) -> list[RedactedRoom]:
        """Take out of the room and its branches what an agent wrote; returns what was taken out of which room.

        It is gone from every version, and from every replica that connects; what others wrote stays as it was. If there
        was anything, whoever is in the room is sent away for a moment, and so is this connection: afterwards every
        method raises OverloadError.
        """
        return [RedactedRoom(**row) for row in await self._line.call("forget", author=author)]

    async def expire_after(self, lifetime: timedelta | None) -> None:
        """Let the server erase the room when nobody has needed it for a time.

        Args:
            lifetime: how long, rounded up to seconds; None is as long as the server keeps rooms of its kind.

        Raises: InvalidValueError, if that is no time; StateError, if the server takes none like that.
        """
        if lifetime is not None and lifetime <= timedelta():
            raise InvalidValueError(f"a lifetime of {lifetime}", subject=self._line.subject, remedy="give one above 0")
        await self._line.call("expire", seconds=None if lifetime is None else math.ceil(lifetime.total_seconds()))
