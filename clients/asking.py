"""Asking: what a replica has its server do beside the document, and decide."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from comity.crdt_types import State
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import ConnectionFailedError, NotConnectedError

from .connection import Connection
from .decisions import ATTEMPTS, Decisions, NotBefore, Read
from .serverclock import ServerClock
from .standing import Standing

S = TypeVar("S", bound=State)
R = TypeVar("R")


class Asking(Standing, ABC):
    """A document whose server can be asked.

    Args:
        room: the room's name.
        agent: the name that this session's edits bear.
    """

    def __init__(self, room: str, agent: str) -> None:
        super().__init__(room, agent)
        self._connection: Connection | None = None
        self._acknowledges = True
        self._decisions = Decisions(self)
        self._clock = ServerClock(self.call)

    @abstractmethod
    async def meet(self) -> None:
        """From now on the document and the room have something in common."""

    async def reached(self) -> Connection:
        """Return the connection once the replica is live; an attempt to connect that is under way is waited for.

        Raises: NotConnectedError, if there is no live connection; ConnectionFailedError, if the server is another
            product's; ComityError, if the server refused the replica for good, or it was closed; TransactionError,
            while a transaction is under way.
        """
        self._check_no_transaction()
        await self._attempted.wait()
        self._raise_error()
        if self._status != "live" or self._connection is None:
            raise NotConnectedError(
                "there is no connection to the server",
                subject=f"room {self.room!r}",
                remedy="this needs the server: try again once `status` is live",
            )
        if not self._acknowledges:
            raise self._no_acknowledgements()
        return self._connection

    async def call(self, method: str, **params: Any) -> Any:
        """Return what the server answers to a call, which it gets after every edit that was made before.

        Raises: what `reached` raises; StateError, if the call asks for what cannot be; ComityError of another class, if
            the server fails at it or does not allow it, or the connection is lost meanwhile.
        """
        connection = await self.reached()
        return await connection.call(method, params)

    async def decide(
        self,
        schema: type[S],
        edit: Callable[[S], R],
        *,
        reads: Iterable[Read] = (),
        not_before: NotBefore = None,
        attempts: int = ATTEMPTS,
    ) -> R:
        """Make an edit that stands only if nothing that it relies on has changed; the server decides.

        The edit is made on a draft that nobody sees. If somebody else was faster, it is made again on what is there
        then. One that writes nothing asks nobody.

        Args:
            schema: the class of the state that the edit is given.
            edit: a plain function, which may be called several times. What it raises is raised here, and nothing is
                written then.
            reads: the fields, or fields and one of their keys, that it relies on, besides those that it writes.
            not_before: the moment before which the server refuses it, in ms since the Unix epoch by the server's
                clock; or a function that tells it once the edit was made.
            attempts: how often it is tried while others are faster.

        Returns: what the edit returned, once it is on the server's disk, and in this replica.

        Raises:
            PreconditionError: if others were faster every time, or its time has not come, with `retry_after` then.
            NotConnectedError: if there is no live connection.
            ConnectionFailedError: if the connection was lost meanwhile: it may have been made or not.
            ComityError: of another class, as `reached`, or if the server would not take such an edit anyway.
        """
        return await self._decisions.decide(schema, edit, reads, not_before, attempts)

    async def server_time(self) -> int:
        """Return the time by the server's clock, in ms since the Unix epoch, as far as it can be known from here.

        The server is asked once a minute at most. Raises: what `call` raises, if it has to be asked.
        """
        return await self._clock.now()

    def estimated_time(self) -> int:
        """Return the server's time by the last estimate, or else this machine's: offline, too, and so never exact."""
        estimate = self._clock.estimate
        return wall_ms() if estimate is None else estimate

    def _no_acknowledgements(self) -> ConnectionFailedError:
        return ConnectionFailedError(
            "the server acknowledges no edits", subject=f"room {self.room!r}", remedy="durable() needs a Comity server"
        )
