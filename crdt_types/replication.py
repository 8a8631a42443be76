"""What a State asks of the replica behind it, so that the typed layer needs to know no client and no event loop."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

from .awareness import Awareness
from .document.changes import Change
from .document.edits import Edit
from .errors import ComityError

Status = Literal["offline", "syncing", "live"]


class Replication(Protocol):
    """The replica behind an opened State."""

    @property
    def room(self) -> str:
        """The room that is replicated."""
        ...

    @property
    def awareness(self) -> Awareness:
        """This session's presence in the room, and that of the others."""
        ...

    @property
    def unmerged(self) -> list[Edit]:
        """Edits that the server refused, or that could not be made again on another history."""
        ...

    @property
    def error(self) -> ComityError | None:
        """What the server refused the replica with, for good."""
        ...

    @property
    def status(self) -> Status:
        """``offline`` without a connection, ``syncing`` until both sides have what the other had, then ``live``."""
        ...

    @property
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        ...

    def offline(self) -> AbstractContextManager[None]:
        """Work without the server inside the block, and come back after it."""
        ...

    def on_status(self, listener: Callable[[Status], object]) -> Callable[[], None]:
        """Call a listener whenever the status changes; returns how to stop it."""
        ...

    async def synced(self) -> None:
        """Return once the replica is live: it has everything that the server had."""
        ...

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk."""
        ...

    async def saved(self) -> None:
        """Return once every edit so far is on this machine's disk."""
        ...

    def changes(self, convert: Callable[[Change], Change | None]) -> AsyncIterator[Change]:
        """Iterate over the typed changes from this call on, each converted, or left out as None."""
        ...
