"""What agents that share providers know together: a state for a room of theirs."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from comity.crdt_types import Conflict, Counter, GCounter, Map, ORSet, Register, State, merge

from .bucket import Limit, Mark


class RequestStatus(StrEnum):
    """What became of a request."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    ABANDONED = "abandoned"


class Condition(StrEnum):
    """How a provider does."""

    UNKNOWN = "unknown"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of a provider, from its beginning to its end.

    Attributes:
        id: its id; later requests have greater ones.
        provider: whom it asks.
        agent: who asks.
        kind: what for.
        started: when, in milliseconds since the Unix epoch, by the server's clock.
        until: when it counts as abandoned, unless it has ended.
        status: what became of it.
        ended: when it ended.
        tokens: what it took, as far as its agent said so.
        cost: the same, in whatever unit the agents agree on.
        error: why it failed.
        holds: what it gives back at its end, by quota.
    """

    id: str
    provider: str
    agent: str
    kind: str
    started: int
    until: int
    status: RequestStatus = RequestStatus.RUNNING
    ended: int | None = None
    tokens: int = 0
    cost: int = 0
    error: str = ""
    holds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """How a provider does, as somebody found.

    Attributes:
        condition: how it does.
        since: from when on, in milliseconds since the Unix epoch.
        by: who found it.
        detail: what there is to say.
    """

    condition: Condition = Condition.UNKNOWN
    since: int = 0
    by: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """The one request that finds out whether a provider is up again, and until when it has time for that."""

    request: str
    until: int


class Quota(State):
    """A quota of a provider.

    Attributes:
        limit: its limit.
        mark: how much there was at some moment, of what flows in.
        granted: what was granted in all, of what flows in.
        held: what requests hold that give it back, by their ids: given back twice, it is given back once.
    """

    limit: Register[Limit]
    mark: Register[Mark]
    granted: Counter
    held: Map[int]


class Usage(State):
    """What an agent had of a provider, ever."""

    requests: GCounter
    failures: GCounter
    tokens: GCounter
    cost: GCounter


def _latest(conflict: Conflict) -> Any:
    return max(conflict.values)


class Provider(State):
    """A provider: its quotas, how it does, when it may be asked again, and what each agent had of it."""

    quotas: Map[Quota]
    status: Register[ProviderStatus]
    failures: GCounter
    recovered: Register[int] = Register(default=0)  # how many failures there had been at the last success
    not_before: Register[int] = Register(default=0, on_conflict=merge(_latest))
    probe: Register[Probe | None]
    usage: Map[Usage]


class ApiCoordination(State, name="api-coordination"):
    """Providers by name, their requests by id, and the agents that share them."""

    providers: Map[Provider]
    requests: Map[RequestRecord]
    agents: ORSet[str]
