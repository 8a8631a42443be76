"""Leases: a name is one agent's for a while, with a token that tells a later holder from an earlier one.

Source of the fencing tokens: M. Kleppmann, "How to do distributed locking" (2016).
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Protocol

from comity.crdt_types import Commit, Map, State
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import (
    ComityError,
    LeaseHeldError,
    NotConnectedError,
    PreconditionError,
    SchemaError,
)

from .leaserecord import LeaseRecord, LeaseTable, check_ttl, held_error, milliseconds
from .replica import Replica

__all__ = ["Lease", "LeaseRecord", "Leases"]

logger = logging.getLogger("comity")

# A lease is renewed so often in its time: two renewals may fail before it is lost.
RENEWALS: Final = 3
# Attempts to decide on a lease, which many agents may want at once: each time one of them succeeds.
ATTEMPTS: Final = 64

OnContested = Callable[[str, tuple[LeaseRecord, ...]], object]


class Leasing(Protocol):
    """What leases ask of a tier."""

    @property
    def state(self) -> State:
        """The state, with a field for leases."""
        ...

    @property
    def replica(self) -> Replica:
        """Its replica."""
        ...


class Lease:
    """A lease that this agent acquired.

    Attributes:
        name: what it is for.
        holder: this agent's name.
        token: grows with every acquisition of the name. Whoever takes orders from holders notes the greatest token it
            has seen, and refuses what comes with a smaller one.
        id: tells this acquisition from any other.
        lost: is set when somebody else has it, or, inside ``Leases.hold``, when it has expired.
    """

    def __init__(self, leases: "Leases", name: str, record: LeaseRecord, ttl: timedelta, began: float) -> None:
        self.name: Final = name
        self.holder: Final = record.holder
        self.token: Final = record.token
        self.id: Final = record.id
        self.ttl: Final = ttl
        self.lost: Final = asyncio.Event()
        self._leases = leases
        self.note(record, began)

    def note(self, record: LeaseRecord, began: float) -> None:
        """Note how it is stored, and when that was asked for by the clock of time.monotonic."""
        self._record = record
        self._deadline = began + self.ttl.total_seconds()

    @property
    def until(self) -> int:
        """When it expires unless it is renewed, in ms since the Unix epoch by the server's clock."""
        return self._record.until

    @property
    def tentative(self) -> bool:
        """Whether it was written without the server, so that somebody else may hold it as well."""
        return self._record.tentative

    @property
    def left(self) -> float:
        """How many seconds it lasts, at least; negative once it may have expired."""
        return self._deadline - time.monotonic()

    async def renew(self) -> None:
        """Hold it for its full time from now on; a tentative one is certain then.

        Raises: PreconditionError, if somebody else has it; NotConnectedError, if the server is not there.
        """
        await self._leases.renew(self)

    async def release(self) -> None:
        """Give it back; nothing happens if it was lost.

        Raises: NotConnectedError, if the server is not there, and the lease is not tentative.
        """
        await self._leases.release(self)

    def __repr__(self) -> str:
        return f"<Lease {self.name!r} of {self.holder!r}, token {self.token}>"


class Leases:
    """The leases in a map of a tier's state, which all agents in its room share.

    The server decides who gets one, and its clock when one expires.

    Args:
        tier: the tier.
        field: the name of the map, which is declared as ``Map[LeaseRecord]``.

    Raises: SchemaError, if there is no such map.
    """

    def __init__(self, tier: Leasing, field: str = "leases") -> None:
        self._tier = tier
        self._schema = type(tier.state)
        self._field = field
        self._table = self.table_of(tier.state)
        self._held: dict[Lease, frozenset[str]] = {}  # with the ids of its rivals, as far as they were told
        self._contested = Callbacks()
        self._unwatch: Callable[[], None] | None = None

    def table_of(self, state: State) -> LeaseTable:
        """Return the leases as they are in a state of this class, such as the draft of a decision.

        Raises: SchemaError, if it has no such map.
        """
        field = getattr(state, self._field, None)
        if not isinstance(field, Map):
            raise SchemaError(
                "no map of leases",
                subject=f"{type(state).__name__}.{self._field}",
                remedy=f"declare {self._field}: Map[LeaseRecord]",
            )
        return LeaseTable(field)

    # Asking -----------------------------------------------------------------------------------------------------

    def holder(self, name: str) -> str | None:
        """Return which agent holds a name, as far as this replica knows; None if nobody does."""
        record = self._table.held(name, self._tier.replica.estimated_time())
        return None if record is None else record.holder

    def contested(self, name: str) -> tuple[LeaseRecord, ...]:
        """Return who acquired a name without knowing of each other, the one that holds it first; none if one alone."""
        return self._table.rivals(name)

    def on_contested(self, callback: OnContested) -> Callable[[], None]:
        """Call a function when it turns out that a lease of ours was acquired by others too; returns how to stop it.

        Args:
            callback: gets the name, and the records of all, the one that holds it first.
        """
        return self._contested.add(callback)

    # Acquiring --------------------------------------------------------------------------------------------------

    async def acquire(self, name: str, *, ttl: timedelta, tentative: bool = False) -> Lease:
        """Acquire a lease.

        Args:
            name: what it is for.
            ttl: how long it lasts unless it is renewed.
            tentative: whether to write it without the server if that is not there. Others may do so, too: which one
                holds it is known when they meet.

        Raises:
            LeaseHeldError: if somebody holds it, with who, and until when.
            NotConnectedError: if the server is not there, and the lease is not tentative.
            ConnectionFailedError: if the connection was lost meanwhile; it may be held then until it expires.
        """
        check_ttl(name, ttl)
        began = time.monotonic()
        try:
            record = await self._acquire(name, ttl)
        except NotConnectedError:
            if not tentative:
                raise
            record = self._table.take(
                name, self._tier.replica.agent, self._tier.replica.estimated_time(), ttl, tentative=True
            )
        return self.adopt(name, record, ttl, began)

    def adopt(self, name: str, record: LeaseRecord, ttl: timedelta, began: float) -> Lease:
        """Return the lease of a record that a decision of one's own wrote with `table_of`.

        Args:
            name: what it is for.
            record: what ``LeaseTable.take`` returned.
            ttl: how long it lasts unless it is renewed.
            began: when the decision was begun, by the clock of time.monotonic.
        """
        lease = Lease(self, name, record, ttl, began)
        self._watch(lease)
        return lease

    async def _acquire(self, name: str, ttl: timedelta) -> LeaseRecord:
        replica = self._tier.replica
        now = await replica.server_time()
        found: LeaseRecord | None = None

        def edit(state: State) -> LeaseRecord:
            nonlocal found
            table = self.table_of(state)
            found = table.current(name)
            return table.take(name, replica.agent, now, ttl)

        try:
            return await replica.decide(
                self._schema,
                edit,
                not_before=lambda: found.until if found is not None and found.id else None,
                attempts=ATTEMPTS,
            )
        except LeaseHeldError:
            raise
        except PreconditionError as error:
            if error.retry_after is None or found is None:
                raise
            raise held_error(name, found, found.until - round(error.retry_after * 1000)) from None

    @asynccontextmanager
    async def hold(self, name: str, *, ttl: timedelta, tentative: bool = False) -> AsyncGenerator[Lease]:
        """Hold a lease while the context lasts, renewing it; it is released at the end.

        Look at ``lease.lost`` where what is done must not be done twice: it is set when somebody else has it, or when
        it could not be renewed in time.

        Args:
            name: what it is for.
            ttl: how long it lasts if this process ends without a word.
            tentative: as for `acquire`.

        Raises: what `acquire` raises.
        """
        lease = await self.acquire(name, ttl=ttl, tentative=tentative)
        task = asyncio.create_task(self._keep(lease))
        try:
            yield lease
        finally:
            task.cancel()
            await asyncio.wait([task])
            try:
                async with asyncio.timeout(lease.ttl.total_seconds()):  # it has expired by itself then
                    await lease.release()
            except (ComityError, TimeoutError) as error:
                logger.warning("%r could not be released, and expires by itself: %r", lease, error)

    async def _keep(self, lease: Lease) -> None:
        """Renew a lease until it is lost."""
        while lease.left > 0 and not lease.lost.is_set():
            await asyncio.sleep(min(lease.ttl.total_seconds() / RENEWALS, lease.left))
            try:
                async with asyncio.timeout(lease.left):  # a server that is not heard of any more may say nothing at all
                    await lease.renew()
            except PreconditionError:
                break
            except (ComityError, TimeoutError) as error:
                logger.info("%r was not renewed: %r", lease, error)
        self._lose(lease)

    async def renew(self, lease: Lease) -> None:
        """Renew a lease; see ``Lease.renew``."""
        began = time.monotonic()
        until = await self._tier.replica.server_time() + milliseconds(lease.ttl)
        try:
            record = await self._tier.replica.decide(
                self._schema,
                lambda state: self.table_of(state).renew(lease.name, lease.id, until),
                attempts=ATTEMPTS,
            )
        except PreconditionError:
            self._lose(lease)
            raise
        lease.note(record, began)

    async def release(self, lease: Lease) -> None:
        """Release a lease; see ``Lease.release``."""
        self._forget(lease)
        try:
            await self._tier.replica.decide(
                self._schema, lambda state: self.table_of(state).release(lease.name, lease.id), attempts=ATTEMPTS
            )
        except NotConnectedError:
            if not lease.tentative:
                raise
            self._table.release(lease.name, lease.id)  # as it was acquired

    # Watching ---------------------------------------------------------------------------------------------------

    def _watch(self, lease: Lease) -> None:
        self._held[lease] = frozenset()
        if self._unwatch is None:
            self._unwatch = self._tier.state.document.on_commit(self._look)

    def _look(self, _commit: Commit) -> None:
        """See whether others have what is ours, or say that they do."""
        for lease in tuple(self._held):
            record = self._table.current(lease.name)
            rivals = self._table.rivals(lease.name)
            ids = frozenset(rival.id for rival in rivals)
            if ids - self._held[lease]:
                self._held[lease] = ids
                self._contested.call(lease.name, rivals)
            if record is not None and not record.id and record.token == lease.token:
                self._forget(lease)  # given back, which nobody else can do
            elif record is None or record.id != lease.id:
                self._lose(lease)

    def _lose(self, lease: Lease) -> None:
        lease.lost.set()
        self._forget(lease)

    def _forget(self, lease: Lease) -> None:
        self._held.pop(lease, None)
        if not self._held and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
