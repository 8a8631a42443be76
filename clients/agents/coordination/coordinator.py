"""The coordinator: requests of shared providers, with the quotas, the failures and the pauses of all agents in view."""

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Self, get_args

from comity.crdt_types.errors import ComityError, InvalidValueError, NotConnectedError

from ...tiers.tier import Tier
from . import health, tracking
from .bucket import Limit
from .document import ApiCoordination, Provider, ProviderStatus, Quota, RequestRecord, RequestStatus
from .granting import ATTEMPTS, Granting
from .quotas import MS, Grant, Offline, Standing, check_amounts, standing
from .request import Request

if TYPE_CHECKING:
    from ...client import Client

# How long a request may wait for its turn unless it says otherwise: half a minute is what people wait for an answer.
TIMEOUT_SECONDS: Final = 30.0
# How long a request may take before it counts as abandoned: the longest that providers let a request run.
LASTS: Final = timedelta(minutes=10)
# Between two looks at requests that nobody will end; some seconds late is soon enough for what took ten minutes.
SWEEP_SECONDS: Final = 15.0


class ApiCoordinator:
    """Begins requests when all agents' quotas allow it, and keeps what became of them; an async context manager.

    Args:
        tier: an open tier with the shared state.
        offline: what is granted while there is no connection: nothing but what is left of a batch (``refuse``, a
            NotConnectedError), or this agent's share of every quota (``share``).
        breaker: after how many failures in a row a provider is taken for down.
    """

    def __init__(
        self, tier: Tier[ApiCoordination], *, offline: Offline = "refuse", breaker: int = health.BREAKER
    ) -> None:
        if offline not in get_args(Offline):
            raise InvalidValueError(
                f"no way to grant offline {offline!r}", subject="offline", remedy=f"there are {get_args(Offline)}"
            )
        self.tier: Final = tier
        self.state: Final = tier.state
        self.agent: Final = tier.replica.agent
        self._breaker = breaker
        self._granting = Granting(tier, offline, breaker)
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, client: "Client", room: str, *, offline: Offline = "refuse", breaker: int = health.BREAKER
    ) -> AsyncGenerator[Self]:
        """Open a shared room as the coordination of its agents.

        Args:
            client: the client.
            room: the room's name.
            offline: see the class.
            breaker: see the class.
        """
        async with client.shared(room, ApiCoordination) as tier, cls(tier, offline=offline, breaker=breaker) as found:
            yield found

    async def __aenter__(self) -> Self:
        self.state.agents.add(self.agent)
        self._sweeping = asyncio.create_task(self._sweep_on())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        await self._granting.close()
        self.state.agents.discard(self.agent)  # who is gone needs no share

    # Providers --------------------------------------------------------------------------------------------------

    def limit(self, provider: str, quota: str, capacity: int, *, per: timedelta | None, batch: int = 1) -> None:
        """Set a quota of a provider, for all agents.

        Args:
            provider: its name.
            quota: the quota's name, such as ``tokens``.
            capacity: how much there is at most.
            per: the time in which so much flows in; None for what is given back when a request ends, such as the
                number of requests at once.
            batch: how much an agent takes at once, to spend it within a second without asking again.

        Raises: InvalidValueError, if one of them makes no sense.
        """
        if per is not None and not isinstance(per, timedelta):
            raise InvalidValueError(f"{capacity} in {per!r}", subject=f"quota {quota!r}", remedy="give a timedelta")
        limit = Limit(capacity, 0 if per is None else round(per.total_seconds() * MS), batch)
        if per is not None and not limit.per_ms:
            raise InvalidValueError(
                f"{capacity} in {per}", subject=f"quota {quota!r}", remedy="give a millisecond or more"
            )
        with self.tier.transaction():
            quotas = self._provider(provider).quotas
            if quota not in quotas:
                quotas[quota] = {}  # type: ignore[assignment]  # rows are assigned as plain data
            quotas[quota].limit.assign(limit)

    def quota(self, provider: str, quota: str) -> Standing:
        """Return how a quota stands, as far as is known here. Raises InvalidValueError, if there is none."""
        found = self._quotas(provider).get(quota)
        known = None if found is None else standing(found, self.tier.replica.estimated_time())
        if known is None:
            raise InvalidValueError(f"no quota {quota!r}", subject=f"provider {provider!r}", remedy="limit() it first")
        return known

    def status(self, provider: str) -> ProviderStatus:
        """Return how a provider does, as far as any agent found."""
        found = self.state.providers.get(provider)
        return ProviderStatus() if found is None else health.condition(found)

    def backoff(self, provider: str) -> float:
        """Return in how many seconds a provider may be asked again; 0 if it may be now."""
        found = self.state.providers.get(provider)
        return 0.0 if found is None else health.pause_seconds(found, self.tier.replica.estimated_time())

    def limited(self, provider: str, retry_after: float | None = None) -> None:
        """Let no agent ask a provider for some seconds, since it said so; without a time, longer after each failure.

        Raises: InvalidValueError, if that makes no sense, or is more than a day.
        """
        health.check_pause(retry_after)
        found = self._provider(provider)
        seconds = health.backoff(health.streak(found)) if retry_after is None else retry_after
        health.postpone(found, self.tier.replica.estimated_time(), seconds)

    def observed(self, provider: str, headers: Mapping[str, str]) -> None:
        """Let no agent ask a provider before the time that a response names in ``Retry-After``, a day at most."""
        seconds = health.retry_after(dict(headers), self.tier.replica.estimated_time())
        if seconds is not None:
            self.limited(provider, seconds)

    # Requests ---------------------------------------------------------------------------------------------------

    def requests(
        self, provider: str | None = None, *, agent: str | None = None, status: RequestStatus | None = None
    ) -> list[RequestRecord]:
        """Return the requests that are known, the oldest first, all or those that match what is given."""
        return [
            record
            for record in self.state.requests.values()
            if provider in (None, record.provider) and agent in (None, record.agent) and status in (None, record.status)
        ]

    def usage(self, provider: str | None = None, *, agent: str | None = None) -> tracking.Totals:
        """Return what was had of a provider, or of all; by one agent, or by all; from the beginning on."""
        found = tracking.Totals()
        for name, each in self.state.providers.items():
            if provider in (None, name):
                found += tracking.totals(each, agent)
        return found

    @asynccontextmanager
    async def request(
        self,
        provider: str,
        *,
        kind: str = "",
        take: Mapping[str, int] | None = None,
        max_wait: float = TIMEOUT_SECONDS,
        lasts: timedelta = LASTS,
    ) -> AsyncGenerator[Request]:
        """Begin a request once the quotas and the provider's state allow it, and note its end.

        Left by an exception, the request has failed; else it went well, unless it was told otherwise.

        Args:
            provider: whom it asks.
            kind: what for.
            take: what it takes, by quota.
            max_wait: the seconds that it waits at most for its turn.
            lasts: after which time it counts as abandoned.

        Raises:
            TooFastError: if its turn would come too late; it says when it would.
            NotConnectedError: if that takes a decision and there is no connection.
            ConnectionFailedError: if the connection was lost meanwhile. If it had begun, it is abandoned after `lasts`.
            InvalidValueError: if there is no such quota, or it never has so much.
        """
        request = await self._begin(provider, kind, dict(take or {}), max_wait, lasts)
        try:
            yield request
        except BaseException as error:
            request.broke(error)
            raise
        finally:
            self._end(request)

    async def acquire(self, provider: str, amounts: Mapping[str, int], *, max_wait: float = TIMEOUT_SECONDS) -> Grant:
        """Take from quotas of a provider, all or nothing, once there is enough; what is taken so is not given back.

        Raises: what `request` raises; InvalidValueError too for a quota that a request gives back at its end.
        """
        found = await self._known(provider, amounts)
        if held := [name for name in amounts if not _flows(found, name)]:
            raise InvalidValueError(
                f"{held[0]!r} is given back when a request ends", subject=f"provider {provider!r}", remedy="request()"
            )
        return await self._granting.granted(provider, dict(amounts), None, max_wait)

    async def sweep(self) -> list[RequestRecord]:
        """Note as abandoned whatever requests should have ended long ago, and return them; each is noted once.

        Raises: NotConnectedError, if there is no connection.
        """
        await self.tier.replica.server_time()
        swept = [
            replace(each, status=RequestStatus.ABANDONED, ended=self.tier.replica.estimated_time())
            for each in self._late()
        ]
        return [
            record
            for record in swept
            if await self.tier.decide(
                partial(_abandon, record), reads=[(self.state.requests, record.id)], attempts=ATTEMPTS
            )
        ]

    # Beginning and ending ----------------------------------------------------------------------------------------

    async def _begin(
        self, provider: str, kind: str, amounts: dict[str, int], max_wait: float, lasts: timedelta
    ) -> Request:
        tracking.check_text(kind, "kind")
        found = await self._known(provider, amounts)
        number = f"{self.tier.replica.estimated_time():011x}{secrets.token_hex(4)}"
        holds = {name: amount for name, amount in amounts.items() if not _flows(found, name)}
        record = RequestRecord(number, provider, self.agent, kind, 0, round(lasts.total_seconds() * MS), holds=holds)
        grant = await self._granting.granted(provider, amounts, record, max_wait)
        return Request(self.state.requests[number], grant)

    def _end(self, request: Request) -> None:
        """Note the end of a request. Nobody is asked: what it gives back is given back once, whoever notes that too."""
        now = self.tier.replica.estimated_time()
        record = replace(request.record, ended=now, **request.outcome())
        found = self._provider(record.provider)
        with self.tier.transaction():
            tracking.close(self.state, record)
            tracking.count(found, record)
            if record.status is RequestStatus.OK:
                health.succeeded(found, self.agent, now)
            elif not request.is_cancelled:
                health.failed(found, self.agent, now, record.error, self._breaker, request.retry_after)
            tracking.prune(self.state)

    def _late(self) -> list[RequestRecord]:
        return tracking.late(self.state, self.tier.replica.estimated_time())

    async def _sweep_on(self) -> None:
        while True:
            with suppress(ComityError):  # there is no connection now, or another agent was faster
                await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.5, 1.5))  # so that not all agents look at once

    # Of the state -----------------------------------------------------------------------------------------------

    async def _known(self, provider: str, amounts: Mapping[str, int]) -> Provider:
        """Return a provider whose quotas are what is wanted; one that is not here yet is waited for.

        Raises: InvalidValueError, if there is no such quota, or it never has so much.
        """
        found = self._provider(provider)
        if not amounts.keys() <= set(found.quotas):
            with suppress(NotConnectedError):
                await self.tier.replica.reached()
        check_amounts(provider, found, amounts)
        return found

    def _provider(self, name: str) -> Provider:
        """Return a provider, which begins to exist by being asked for."""
        if name not in self.state.providers:
            tracking.check_text(name, "a provider's name")
            self.state.providers[name] = {}  # type: ignore[assignment]  # rows are assigned as plain data
        return self.state.providers[name]

    def _quotas(self, provider: str) -> Mapping[str, Quota]:
        return self._provider(provider).quotas


def _flows(provider: Provider, quota: str) -> bool:
    limit = provider.quotas[quota].limit.value
    return limit is None or bool(limit.per_ms)


def _abandon(record: RequestRecord, state: ApiCoordination) -> bool:
    """Note that a request is abandoned, unless it has ended; tell whether this was it."""
    known = state.requests.get(record.id)
    if known is None or known.status is not RequestStatus.RUNNING:
        return False
    tracking.close(state, record)
    return True
