"""Granting: requests and their quotas, decided together with all other agents, or as far as one may alone."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Final

from comity.crdt_types import Change
from comity.crdt_types.errors import NotConnectedError, PreconditionError
from comity.crdt_types.types.field import Field

from ...tiers.tier import Tier
from . import health, tracking
from .bucket import Mark
from .document import ApiCoordination, Probe, Provider, RequestRecord
from .quotas import HELD_SECONDS, MS, Grant, Lacking, Offline, Share, standing, take, too_fast
from .reserve import Key, Reserves
from .turn import Turn

# A pause after several decisions in a row were overtaken by those of others, at random up to this.
CONTENDED_SECONDS: Final = 0.05
# A decision that was overtaken is made again this often at once: a dozen agents ask at the same moment.
ATTEMPTS: Final = 16
# What decisions that are under way at the end are waited for: many times what one takes.
GRACE_SECONDS: Final = 2.0


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
        self._turns: defaultdict[Key, Turn] = defaultdict(Turn)
        self._unwanted: set[asyncio.Task[dict[str, int]]] = set()  # decisions whose askers were cancelled
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

        Raises: TooFastError, if it would come too late; NotConnectedError.
        """
        deadline = time.monotonic() + max_wait
        async with AsyncExitStack() as stack:
            turns = [self._turns[provider, name] for name in sorted(amounts) or [""]]
            for turn in turns:
                await stack.enter_async_context(turn.taken(provider, deadline))
            early = 0  # ms by which our idea of the server's clock turned out to be ahead of it
            while True:
                try:
                    return await self._ask(provider, amounts, record, early)
                except Lacking as lacking:
                    if time.monotonic() + lacking.seconds > deadline:
                        raise too_fast(provider, lacking) from None
                    pause, quota = lacking.seconds, lacking.quota
                except PreconditionError as error:
                    if error.retry_after is not None:
                        early += max(ceil(error.retry_after * MS), 1)
                        continue
                    pause, quota = random.uniform(0, CONTENDED_SECONDS), ""
                    if time.monotonic() + pause > deadline:
                        raise too_fast(provider, Lacking("turn", pause)) from error
                for turn in turns:
                    turn.free_at = time.monotonic() + pause
                await self._rest(provider, quota, pause)

    async def _rest(self, provider: str, quota: str, seconds: float) -> None:
        """Wait for some seconds, or until somebody gives back what is waited for."""
        found = self._state.providers[provider].quotas.get(quota)
        changed = asyncio.Event()

        def heard(change: Change) -> None:
            if change.action == "removed":
                changed.set()

        stop = None if found is None else found.held.on_change(heard)
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return
        finally:
            if stop is not None:
                stop()

    async def close(self) -> None:
        """Give back what is not spent, and what was granted to those that were cancelled meanwhile."""
        self.reserves.close()
        if self._unwanted:
            _done, late = await asyncio.wait(self._unwanted, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()

    async def _ask(self, provider: str, amounts: dict[str, int], record: RequestRecord | None, early: int) -> Grant:
        if self._is_plain(provider, record) and self.reserves.spend(provider, amounts):
            return self._note(provider, amounts, record, certain=True)
        try:
            now = await self._tier.replica.server_time() - early
            taken = await self._decided(provider, amounts, record, now)
        except NotConnectedError:
            return self._alone(provider, amounts, record)
        self._shares.clear()
        for name, amount in taken.items():
            if amount > amounts[name]:
                self.reserves.add(provider, name, amount - amounts[name])
        return Grant(provider, amounts, certain=True)

    async def _decided(
        self, provider: str, amounts: dict[str, int], record: RequestRecord | None, now: int
    ) -> dict[str, int]:
        """Have the server decide. If this is cancelled meanwhile, what was granted all the same is given back."""
        decision = self._tier.decide(
            partial(self._take, provider, amounts, record, now),
            reads=self._reads(provider, amounts),
            not_before=now,
            attempts=ATTEMPTS,
        )
        deciding = asyncio.ensure_future(decision)
        try:
            return await asyncio.shield(deciding)
        except asyncio.CancelledError:
            self._unwanted.add(deciding)
            deciding.add_done_callback(partial(self._take_back, provider, record))
            raise

    def _take_back(self, provider: str, record: RequestRecord | None, decided: asyncio.Task[dict[str, int]]) -> None:
        """Give back what was granted to somebody who was gone by then, and forget the request: nobody was asked."""
        self._unwanted.discard(decided)
        if decided.cancelled() or decided.exception() is not None:
            return
        found = self._state.providers[provider]
        with self._tier.transaction():
            if record is not None:
                self._state.requests.pop(record.id, None)
                health.over(found, record.id)
            for name, amount in decided.result().items():
                if record is None or name not in record.holds:
                    found.quotas[name].granted.subtract(amount)
                else:
                    found.quotas[name].held.pop(record.id, None)

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
        request = "" if record is None else record.id
        return {name: _taken(found, name, amount, now, request) for name, amount in amounts.items()}

    def _reads(self, provider: str, amounts: Iterable[str]) -> list[Field]:
        found = self._state.providers[provider]
        fields: list[Field] = [found.not_before, found.failures, found.recovered, found.probe]
        for name in amounts:
            quota = found.quotas[name]
            fields += (quota.limit, quota.mark, quota.granted, quota.held)
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
        marks = {name: self._share_less(found, provider, name, amount) for name, amount in amounts.items()}
        with self._tier.transaction():
            for name, mark in marks.items():
                if mark is not None:
                    self._shares[provider, name].mark = mark
                    found.quotas[name].granted.add(amounts[name])
                elif record is not None:
                    found.quotas[name].held[record.id] = amounts[name]
            return self._note(provider, amounts, record, certain=False)

    def _share_less(self, found: Provider, provider: str, name: str, amount: int) -> Mark | None:
        """Return what is left of this agent's share of a quota after an amount was taken; None of one of places.

        Raises: Lacking, or NotConnectedError if the share never has so much.
        """
        now, key = self._tier.replica.estimated_time(), (provider, name)
        agents = len({*self._state.agents, self._tier.replica.agent})
        known = standing(found.quotas[name], now)
        assert known is not None  # amounts were checked
        if not known.limit.per_ms:
            if amount > known.limit.capacity // agents - self._mine(provider, name):
                raise Lacking(name, HELD_SECONDS)
            return None
        if key not in self._shares:
            self._shares[key] = Share(known.limit, known.available, agents, now)
        return self._shares[key].less(name, amount, now)

    def _mine(self, provider: str, name: str) -> int:
        """Return how much of a quota this agent's own requests hold."""
        agent = self._tier.replica.agent
        running = tracking.running(self._state)
        return sum(each.holds.get(name, 0) for each in running if (each.provider, each.agent) == (provider, agent))

    def _give_back(self, provider: str, name: str, amount: int) -> None:
        self._state.providers[provider].quotas[name].granted.subtract(amount)


def _taken(provider: Provider, name: str, amount: int, now: int, request: str) -> int:
    """Take a batch of a quota, or, where there is none, what is wanted; return how much that was. Raises Lacking."""
    quota = provider.quotas[name]
    limit = quota.limit.value
    batch = max(amount, limit.batch if limit is not None and limit.per_ms else 1)
    if batch > amount:
        try:
            take(quota, name, batch, now, request)
        except Lacking:
            pass
        else:
            return batch
    take(quota, name, amount, now, request)
    return amount
