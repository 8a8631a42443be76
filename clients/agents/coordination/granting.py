"""Granting: requests and their quotas, decided together with all other agents, or as far as one may alone."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from comity.crdt_types.errors import NotConnectedError, PreconditionError
from comity.crdt_types.types.field import Field

from ...tiers.tier import Tier
from . import health, tracking
from .document import ApiCoordination, Probe, Provider, RequestRecord
from .quotas import HELD_SECONDS, Grant, Lacking, Offline, Share, standing, take, too_fast
from .reserve import Reserves

# A pause after several decisions in a row were overtaken by those of others, at random up to this.
CONTENDED_SECONDS: Final = 0.05
# A decision that was overtaken is made again this often at once: a dozen agents ask at the same moment.
ATTEMPTS: Final = 16


class Granting:
    """Grants amounts of quotas to the requests of one agent.

    Args:
        tier: an open tier with the shared state.
        offline: what is granted while there is no connection.
        breaker: after how many failures in a row a provider is taken for down.
    """

    def __init__(self, tier: Tier[ApiCoordination], offline: Offline, breaker: int) -> None:
        self.reserves: Final = Reserves(self._give_back)
        self._tier = tier
        self._state = tier.state
        self._offline = offline
        self._breaker = breaker
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._shares: dict[tuple[str, str], Share] = {}

    async def granted(
        self, provider: str, amounts: dict[str, int], record: RequestRecord | None, max_wait: float
    ) -> Grant:
        """Return what was granted, once it could be.

        Args:
            provider: of whom.
            amounts: how much, by quota; all of them or none.
            record: the request that they are for, if there is one, which is noted then; ``until`` is a time, not yet a
                moment.
            max_wait: seconds.

        Raises: TooFastError, if it would come too late; NotConnectedError; PreconditionError, if others were faster
            all the time.
        """
        deadline = time.monotonic() + max_wait
        async with self._turns[provider]:  # those of this agent ask one after the other, and overtake nobody
            while True:
                try:
                    return await self._ask(provider, amounts, record)
                except Lacking as lacking:
                    if time.monotonic() + lacking.seconds > deadline:
                        raise too_fast(provider, lacking) from None
                    pause = lacking.seconds
                except PreconditionError as error:
                    if time.monotonic() > deadline:
                        raise
                    pause = error.retry_after or random.uniform(0, CONTENDED_SECONDS)
                await asyncio.sleep(pause)

    async def _ask(self, provider: str, amounts: dict[str, int], record: RequestRecord | None) -> Grant:
        if self._is_plain(provider, record) and self.reserves.spend(provider, amounts):
            return self._note(provider, amounts, record, certain=True)
        try:
            now = await self._tier.replica.server_time()
            taken = await self._tier.decide(
                partial(self._take, provider, amounts, record, now),
                reads=self._reads(provider, amounts),
                not_before=now,
                attempts=ATTEMPTS,
            )
        except NotConnectedError:
            return self._alone(provider, amounts, record)
        self._shares.clear()
        for name, amount in taken.items():
            if amount > amounts[name]:
                self.reserves.add(provider, name, amount - amounts[name])
        return Grant(provider, amounts, certain=True)

    def _take(
        self,
        provider: str,
        amounts: dict[str, int],
        record: RequestRecord | None,
        now: int,
        state: ApiCoordination,
    ) -> dict[str, int]:
        """Take what is wanted in a draft, and note the request; return how much was taken of each quota."""
        found = state.providers[provider]
        if record is not None:
            record = replace(record, started=now, until=now + record.until)
            health.admit(found, Probe(record.id, record.until), now, self._breaker)
            state.requests[record.id] = record
        return {name: _taken(found, name, amount, now) for name, amount in amounts.items()}

    def _reads(self, provider: str, amounts: Iterable[str]) -> list[Field]:
        found = self._state.providers[provider]
        fields: list[Field] = [found.not_before, found.failures, found.recovered, found.probe]
        for name in amounts:
            quota = found.quotas[name]
            fields += (quota.limit, quota.mark, quota.granted)
        return fields

    def _is_plain(self, provider: str, record: RequestRecord | None) -> bool:
        """Tell whether a request needs nobody's consent but that of its quotas."""
        found = self._state.providers[provider]
        return record is None or not (
            record.holds
            or health.streak(found) >= self._breaker
            or health.pause_seconds(found, self._tier.replica.estimated_time())
        )

    def _note(self, provider: str, amounts: dict[str, int], record: RequestRecord | None, *, certain: bool) -> Grant:
        if record is not None:
            now = self._tier.replica.estimated_time()
            self._state.requests[record.id] = replace(record, started=now, until=now + record.until)
        return Grant(provider, amounts, certain)

    # Without a connection ---------------------------------------------------------------------------------------

    def _alone(self, provider: str, amounts: dict[str, int], record: RequestRecord | None) -> Grant:
        """Grant what may be granted without asking anybody."""
        found = self._state.providers[provider]
        if self._offline != "share":
            raise NotConnectedError(
                "nobody decides on its quotas", subject=f"provider {provider!r}", remedy="wait for the server"
            )
        if pause := health.pause_seconds(found, self._tier.replica.estimated_time()):
            raise Lacking("back-off", pause)
        for name, amount in amounts.items():
            self._take_share(found, provider, name, amount)
        with self._tier.transaction():
            for name, amount in amounts.items():
                found.quotas[name].granted.add(amount)
            return self._note(provider, amounts, record, certain=False)

    def _take_share(self, found: Provider, provider: str, name: str, amount: int) -> None:
        now, key, agents = self._tier.replica.estimated_time(), (provider, name), max(len(self._state.agents), 1)
        known = standing(found.quotas[name], now)
        assert known is not None  # amounts were checked
        if not known.limit.per_ms:
            if amount > known.limit.capacity // agents - self._mine(provider, name):
                raise Lacking(name, HELD_SECONDS)
            return
        if key not in self._shares:
            self._shares[key] = Share(known.limit, known.available, agents, now)
        self._shares[key].take(name, amount, now)

    def _mine(self, provider: str, name: str) -> int:
        """Return how much of a quota this agent's own requests hold."""
        agent = self._tier.replica.agent
        running = tracking.running(self._state)
        return sum(each.holds.get(name, 0) for each in running if (each.provider, each.agent) == (provider, agent))

    def _give_back(self, provider: str, name: str, amount: int) -> None:
        self._state.providers[provider].quotas[name].granted.subtract(amount)


def _taken(provider: Provider, name: str, amount: int, now: int) -> int:
    """Take a batch of a quota, or, where there is none, what is wanted; return how much that was. Raises Lacking."""
    quota = provider.quotas[name]
    limit = quota.limit.value
    batch = max(amount, limit.batch if limit is not None and limit.per_ms else 1)
    if batch > amount:
        try:
            take(quota, name, batch, now)
        except Lacking:
            pass
        else:
            return batch
    take(quota, name, amount, now)
    return amount
