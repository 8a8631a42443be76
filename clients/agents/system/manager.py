"""The manager of a system's state: one place for its configuration, health, errors, metrics and audit trail."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from comity.crdt_types.errors import ComityError, InvalidValueError

from ...tiers.tier import Tier
from .audit import KEPT_ENTRIES, Clock, Trail
from .configuration import Configuration
from .document import SystemState
from .errorlog import KEPT_ERRORS, KEPT_FOR, ErrorLog
from .health import Health
from .metrics import MetricSet
from .values import AuditEntry

if TYPE_CHECKING:
    from ...client import Client


class SystemManager:
    """What the agents of a system know of it together: how it is configured, how it is, what went wrong, in numbers.

    ::

        async with SystemManager.open(client, "reef-survey") as system:
            system.configuration.set(RATE, 20, why="the provider allows more now")
            system.health.report("search", interval=timedelta(minutes=1))

    Every change of the configuration, of a part's status, and everything that is removed is noted in the audit trail,
    in the transaction that makes it: who, when, what it was, what it is, and why.

    Args:
        tier: an open tier with the state.
        keep_errors: how many errors are kept one by one.
        keep_errors_for: how long errors are kept.
        keep_audit: how many entries of the audit trail are kept.
        clock: tells the time in milliseconds since 1970; the server's clock if None, as far as it is known.

    Raises: InvalidValueError, if one of these makes no sense.

    Attributes:
        tier: the tier.
        state: the state, as everybody may edit it; what is edited past the manager is in no audit trail.
        configuration: settings by name.
        health: the health of parts.
        errors: what went wrong.
        metrics: counters, gauges and summaries.
    """

    def __init__(
        self,
        tier: Tier[SystemState],
        *,
        keep_errors: int = KEPT_ERRORS,
        keep_errors_for: timedelta = KEPT_FOR,
        keep_audit: int = KEPT_ENTRIES,
        clock: Clock | None = None,
    ) -> None:
        if keep_errors < 1 or keep_audit < 1 or keep_errors_for <= timedelta():
            raise InvalidValueError(
                "nothing would be kept", subject="SystemManager", remedy="keep at least 1, and for a time above 0"
            )
        self.tier: Final = tier
        self.state: Final = tier.state
        self._trail = Trail(tier, clock or tier.replica.estimated_time, keep_audit)
        self.configuration: Final = Configuration(tier, self._trail)
        self.health: Final = Health(tier, self._trail)
        self.errors: Final = ErrorLog(tier, self._trail, keep_errors, keep_errors_for)
        self.metrics: Final = MetricSet(tier, self._trail)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        client: "Client",
        name: str,
        *,
        keep_errors: int = KEPT_ERRORS,
        keep_errors_for: timedelta = KEPT_FOR,
        keep_audit: int = KEPT_ENTRIES,
    ) -> AsyncGenerator[Self]:
        """Open a shared room as the state of a system.

        Args:
            client: the client.
            name: the room's name, with or without ``shared/``.
            keep_errors: see the class.
            keep_errors_for: see the class.
            keep_audit: see the class.
        """
        async with client.shared(name, SystemState) as tier:
            yield cls(tier, keep_errors=keep_errors, keep_errors_for=keep_errors_for, keep_audit=keep_audit)

    def audit(
        self, *, name: str | None = None, by: str | None = None, since: datetime | None = None
    ) -> list[AuditEntry]:
        """Return the entries of the audit trail that match all that is given, the oldest first.

        Args:
            name: a pattern of what was changed, such as ``configuration.*``; anything if None.
            by: the agent that made the change; any if None.
            since: the time from which on, which must say its zone; from the first if None.
        """
        return self._trail.entries(name, by, since)

    async def synced(self) -> None:
        """Return once everything that the server had is here, and its clock is known."""
        await self.tier.synced()
        with suppress(ComityError):  # the connection may be lost by now, and this machine's clock does meanwhile
            await self.tier.replica.server_time()

    async def durable(self) -> None:
        """Return once every edit so far is on the server's disk."""
        await self.tier.durable()
