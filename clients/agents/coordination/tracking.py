"""Requests: their records, and what each agent had of each provider."""

from dataclasses import replace
from typing import Final, NamedTuple

from comity.crdt_types.errors import TooLargeError

from . import health
from .document import ApiCoordination, Provider, RequestRecord, RequestStatus

# Records of requests that are kept, of all providers together: half a megabyte, and a few minutes to hours of work.
# Totals are kept for good.
KEPT: Final = 2_000
# They are pruned this many at a time, so that one transaction in a hundred is longer and not each of them.
PRUNED: Final = 100
MAX_TEXT: Final = 1_000  # characters of a name or of an error: a line, not a response


class Totals(NamedTuple):
    """What was had of a provider: requests that their agents ended, those that did not go well, tokens, and cost."""

    requests: int = 0
    failures: int = 0
    tokens: int = 0
    cost: int = 0

    def __add__(self, other: object) -> "Totals":  # sums, where tuples are joined
        if not isinstance(other, Totals):
            return NotImplemented
        return Totals(*(mine + its for mine, its in zip(self, other, strict=True)))


def totals(provider: Provider, agent: str | None) -> Totals:
    """Return what an agent had of a provider, or all agents together."""
    found = Totals()
    for name, usage in provider.usage.items():
        if agent is None or name == agent:
            found += Totals(usage.requests.value, usage.failures.value, usage.tokens.value, usage.cost.value)
    return found


def close(state: ApiCoordination, record: RequestRecord) -> None:
    """Note that a request has ended, and what it gives back; whoever else notes that as well changes nothing more."""
    state.requests[record.id] = replace(record, holds={})
    provider = state.providers.get(record.provider)
    if provider is None:
        return
    health.over(provider, record.id)
    for name in record.holds:
        if name in provider.quotas:
            provider.quotas[name].held.pop(record.id, None)


def count(provider: Provider, record: RequestRecord) -> None:
    """Count a request that has ended; its own agent does so, and nobody else, so that it is counted once."""
    if record.agent not in provider.usage:
        provider.usage[record.agent] = {}  # type: ignore[assignment]  # rows are assigned as plain data
    usage = provider.usage[record.agent]
    usage.requests.add(1)
    if record.status is not RequestStatus.OK:
        usage.failures.add(1)
    if record.tokens:
        usage.tokens.add(record.tokens)
    if record.cost:
        usage.cost.add(record.cost)


def late(state: ApiCoordination, now: int) -> list[RequestRecord]:
    """Return the requests that should have ended: nobody will tell of them any more."""
    return [record for record in running(state) if record.until < now]


def running(state: ApiCoordination) -> list[RequestRecord]:
    """Return the requests that have not ended."""
    return [record for record in state.requests.values() if record.status is RequestStatus.RUNNING]


def prune(state: ApiCoordination) -> int:
    """Forget the oldest requests that ended, if there are more than KEPT; return how many were forgotten."""
    if len(state.requests) < KEPT + PRUNED:
        return 0
    ended = [record.id for record in state.requests.values() if record.status is not RequestStatus.RUNNING]
    spare = ended[: len(state.requests) - KEPT]
    for each in spare:
        del state.requests[each]
    return len(spare)


def check_text(text: str, what: str) -> str:
    """Return a name or an error's text; raises TooLargeError if it is longer than a record should be."""
    if len(text) > MAX_TEXT:
        raise TooLargeError(f"{len(text)} characters of {what}", subject="request", remedy=f"use at most {MAX_TEXT}")
    return text
