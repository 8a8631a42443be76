"""The local tier: state on this agent's own disk, with its versions, and no server unless it is wanted as a backup."""

from typing import ClassVar, TypeVar

from comity.crdt_types import State
from comity.crdt_types.errors import InvalidValueError, StateError

from ..local.history import LocalHistory
from ..local.moving import Moved, promote
from ..local.replica import LocalReplica, VersionReplica
from .tier import Tier

S = TypeVar("S", bound=State)


class LocalState(Tier[S]):
    """State that this agent keeps on its own disk, with every version of it for as long as was asked for.

    Args:
        state: the state.
        replica: its replica, which is open.
        url: the address of the server that it may be promoted to.
    """

    tier: ClassVar[str] = "local"

    def __init__(self, state: S, replica: VersionReplica, url: str) -> None:
        super().__init__(state, replica, lambda: LocalHistory(replica))
        self._versions = replica
        self._url = url

    def history(self) -> LocalHistory:
        """Return the history, which is on this disk, to be used with ``async with``."""
        return LocalHistory(self._versions)

    async def promote(self, room: str, *, merge: bool = False) -> Moved:
        """Let a room of the server begin with all of this: its state, its versions, and their names.

        Versions keep their authors and times. The room has all of them or none; what is here stays as it is, and goes
        its own way from then on.

        Args:
            room: the room, such as ``shared/team-7`` or ``persistent/planner``, which nobody has written to.
            merge: whether a room that was written to takes the state as one version, merged with what is there.

        Raises:
            InvalidValueError: nothing was written here yet, or the room is of a tier that ends or stays on one disk.
            NameTakenError: the room was written to, and nothing is to be merged.
            TooLargeError: a version is larger than a message may be, or all of them are more than a server takes.
            ComityError: of another class, as the server or the network says; if the connection was lost at the end,
                the room may be there.
        """
        if room.startswith(("local/", "session/")):
            raise InvalidValueError(
                "not a room to keep a history in", subject=f"room {room!r}", remedy="name a shared or a persistent one"
            )
        return await promote(self._versions, self._url, room if "/" in room else f"shared/{room}", merge=merge)

    async def erase(self) -> None:
        """Remove all of this from the disk for good: the state, its versions, and what was kept aside of it.

        It goes on empty. Rooms that it was promoted to are rooms of their own.

        Raises: StateError, if it is backed up; TransactionError, while a transaction is under way; StorageError.
        """
        if not isinstance(self._versions, LocalReplica):
            raise StateError(
                "it is backed up", subject=f"room {self.room!r}", remedy="erase the room: client.history(room).erase()"
            )
        await self._versions.erase()
