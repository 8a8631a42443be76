"""Standing: where a replica stands with its server, who is told of it, and who waits for it."""

import asyncio
from collections.abc import Callable

from comity.crdt_types import StateDocument
from comity.crdt_types.awareness import Awareness
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import ComityError, TransactionError
from comity.crdt_types.replication import Status
from comity.crdt_types.wire import Notice

from .outstanding import Outstanding


class Standing:
    """A room's document, and where it stands with the server.

    Args:
        room: the room's name.
        agent: the name that this session's edits bear.
    """

    def __init__(self, room: str, agent: str) -> None:
        self.room = room
        self.agent = agent
        self.error: ComityError | None = None
        self.document = StateDocument(agent=agent)
        self.awareness = Awareness(self.document.client_id, {"agent": agent, "kind": "agent"})
        self._outstanding = Outstanding()
        self._status: Status = "offline"
        self._status_listeners = Callbacks()
        self._notice_listeners = Callbacks()
        self._live = asyncio.Event()
        self._attempted = asyncio.Event()  # an attempt to go live came to its end, one way or the other

    @property
    def status(self) -> Status:
        """``offline`` without a connection, ``syncing`` until both sides have what the other had, then ``live``."""
        return self._status

    @property
    def number(self) -> int:
        """The number of the last local update."""
        return self._outstanding.number

    @property
    def pending(self) -> int:
        """How many local updates the server has not acknowledged as durable."""
        return self._outstanding.pending

    @property
    def unmerged(self) -> list[Edit]:
        """Edits that the server refused, or that could not be made again on another history."""
        return self._outstanding.unmerged

    def on_status(self, listener: Callable[[Status], object]) -> Callable[[], None]:
        """Call a listener whenever the status changes; returns how to stop it."""
        return self._status_listeners.add(listener)

    def on_notice(self, listener: Callable[[Notice], object]) -> Callable[[], None]:
        """Call a listener with what the server says beside the document; returns how to stop it."""
        return self._notice_listeners.add(listener)

    def noticed(self, notice: Notice) -> None:
        """The server said something to know."""
        self._notice_listeners.call(notice)

    def _set_status(self, status: Status) -> None:
        if status == self._status:
            return
        self._status = status
        if status == "live":
            self._live.set()
            self._attempted.set()
        else:
            self._live.clear()
        self._status_listeners.call(status)

    async def synced(self) -> None:
        """Return once the replica is live: everything that the server had is here.

        Raises: ComityError, if the server refused the replica for good, or the replica was closed; TransactionError,
            while a transaction is under way, since what the server had waits for its end.
        """
        while self._status != "live":
            self._raise_error()
            await self._live.wait()
        self._raise_error()
        self._check_no_transaction()

    def _check_no_transaction(self) -> None:
        if self.document.in_transaction:
            raise TransactionError(
                "a transaction is under way", subject=f"room {self.room!r}", remedy="await outside of it"
            )

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _fail(self, error: ComityError) -> None:
        self.error = error
        self._attempted.set()
        self._outstanding.fail(error)
        self._live.set()  # wakes those who wait in synced(), who find the error
