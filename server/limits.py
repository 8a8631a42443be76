"""How fast one connection may send, and how fast all connections of one principal together."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from math import inf
from typing import Final, NamedTuple

from comity.crdt_types.errors import TooFastError

from .auth import ANONYMOUS, Principal
from .transport.addresses import address_of

Clock = Callable[[], float]

# What a connection takes from its buckets at a time: so the clock is read some ten times a second, not per message, and
# of what a principal may send nothing worth mentioning lies idle with one of its connections.
LEASE_SECONDS: Final = 0.1
# Below this many, principals that are not here any more cost nothing.
FEW_POOLS: Final = 64
# More messages than any connection lives to send, and still counted one by one.
NO_LIMIT: Final = 2.0**53


class TokenBucket:
    """Lets through ``rate`` a second on average, and up to ``burst`` at once.

    It gives whatever is asked for as long as anything is left, and may owe afterwards: so one large message passes
    whole, and the next waits until it is made up for.
    """

    __slots__ = ("_at", "_clock", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, clock: Clock = time.monotonic) -> None:
        self.rate: Final = rate
        self.burst: Final = burst
        self._clock = clock
        self._level = burst
        self._at = clock()

    def level(self) -> float:
        """Return how much is left, or, below zero, how much is owed."""
        now = self._clock()
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level

    def take(self, amount: float) -> None:
        """Take an amount."""
        self._level -= amount

    def wait(self) -> float:
        """Return in how many seconds there will be a second's worth again."""
        return max(0.0, (min(self.rate, self.burst) - self.level()) / self.rate)


class Limit(NamedTuple):
    """A rate that is over when its bucket is empty; ``name`` is the setting that says how high it is."""

    name: str
    what: str
    bucket: TokenBucket


class Allowance:
    """What one connection may send. It draws on its limits for a while ahead, so that most messages cost no clock."""

    __slots__ = ("_byte_lease", "_byte_limits", "_bytes", "_drawn", "_lease", "_left", "_limits")

    def __init__(self, messages: tuple[Limit, ...] = (), size: tuple[Limit, ...] = ()) -> None:
        self._limits = messages
        self._byte_limits = size
        self._lease = _lease(messages)
        self._byte_lease = _lease(size)
        self._drawn = 0.0 if messages else NO_LIMIT
        self._left = self._drawn
        self._bytes = 0.0 if size else inf

    @property
    def messages(self) -> float:
        """How many messages were spent."""
        return self._drawn - self._left

    def spend(self, size: int) -> None:
        """Count a message of a size. Raises TooFastError."""
        self._left -= 1
        self._bytes -= size
        if self._left < 0 or self._bytes < 0:
            self._draw()

    def charge(self, size: int) -> None:
        """Count the bytes of an answer: nobody may ask for more than they may send. Raises TooFastError."""
        self._bytes -= size
        if self._bytes < 0:
            self._draw()

    def owe(self, size: int) -> float:
        """Count the bytes of an answer that is given in any case; return in how many seconds it is made up for."""
        self._bytes -= size
        if self._bytes >= 0:
            return 0.0
        owed, self._bytes = -self._bytes, 0.0
        for limit in self._byte_limits:
            limit.bucket.take(owed)
        return max((limit.bucket.wait() for limit in self._byte_limits if limit.bucket.level() <= 0), default=0.0)

    def _draw(self) -> None:
        if self._left < 0:
            amount = _draw(self._limits, -self._left, self._lease)
            self._drawn += amount
            self._left += amount
        if self._bytes < 0:
            self._bytes += _draw(self._byte_limits, -self._bytes, self._byte_lease)


class Rates(NamedTuple):
    """What somebody may send; 0 is without limit."""

    messages: float
    bytes: float
    burst_seconds: float
    least_bytes: int  # that may come at once, however low the rate

    def buckets(self, clock: Clock) -> tuple[TokenBucket | None, TokenBucket | None]:
        """Return full buckets for messages and for bytes."""
        burst = max(1.0, self.messages * self.burst_seconds)
        most = max(self.least_bytes, self.bytes * self.burst_seconds)
        return (
            TokenBucket(self.messages, burst, clock) if self.messages else None,
            TokenBucket(self.bytes, most, clock) if self.bytes else None,
        )


class _Pool:
    """What all connections of one principal share."""

    def __init__(self, messages: TokenBucket | None, size: TokenBucket | None) -> None:
        self.messages = messages
        self.bytes = size
        self.users = 0

    @property
    def is_spare(self) -> bool:
        """Whether nobody uses it, and a new one would be no different."""
        buckets = (self.messages, self.bytes)
        return not self.users and all(each is None or each.level() >= each.burst for each in buckets)


class Allowances:
    """Gives each connection its allowance, of which all of one principal draw on the same buckets.

    Args:
        connection: what one connection may send.
        principal: what all connections of one principal may send together.
        clock: seconds.
    """

    def __init__(self, connection: Rates, principal: Rates, clock: Clock = time.monotonic) -> None:
        self._connection = connection
        self._principal = principal
        self._clock = clock
        self._pools: dict[str, _Pool] = {}
        self._many = FEW_POOLS

    @contextmanager
    def of(self, principal: Principal, host: str | None) -> Generator[Allowance]:
        """Hold the allowance of a connection from a host while the context lasts."""
        messages, size = self._connection.buckets(self._clock)
        key = _key(principal, host)
        if key is None:
            yield _allowance(messages, size, None, None)
            return
        pool = self._pool(key)
        pool.users += 1
        try:
            yield _allowance(messages, size, pool.messages, pool.bytes)
        finally:
            pool.users -= 1

    def _pool(self, key: str) -> _Pool:
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= self._many:
                self._pools = {name: each for name, each in self._pools.items() if not each.is_spare}
                self._many = max(FEW_POOLS, 2 * len(self._pools))
            pool = self._pools[key] = _Pool(*self._principal.buckets(self._clock))
        return pool


def _key(principal: Principal, host: str | None) -> str | None:
    """Return whose buckets a connection draws on.

    A name that is only claimed costs nothing to change, and could be somebody else's: it counts on this machine only,
    where the address tells nothing.
    """
    if principal.authenticated:
        return f"name {principal.name}"
    address = address_of(host)
    if address is not None:
        return f"address {address}"
    return None if principal == ANONYMOUS else f"claimed {principal.name}"


def _allowance(
    messages: TokenBucket | None,
    size: TokenBucket | None,
    all_messages: TokenBucket | None,
    all_size: TokenBucket | None,
) -> Allowance:
    return Allowance(
        _limits("messages", ("connection_messages", messages), ("principal_messages", all_messages)),
        _limits("bytes", ("connection_bytes", size), ("principal_bytes", all_size)),
    )


def _limits(what: str, *named: tuple[str, TokenBucket | None]) -> tuple[Limit, ...]:
    return tuple(Limit(name, what, bucket) for name, bucket in named if bucket is not None)


def _lease(limits: tuple[Limit, ...]) -> float:
    return min((limit.bucket.rate * LEASE_SECONDS for limit in limits), default=inf)


def _draw(limits: tuple[Limit, ...], needed: float, lease: float) -> float:
    """Take what is needed, and a lease if there is as much, from every limit, and return that. Raises TooFastError."""
    levels = [limit.bucket.level() for limit in limits]
    if min(levels) <= 0:
        raise _too_fast(max(limits, key=lambda limit: limit.bucket.wait()))
    amount = max(needed, min(lease, *levels))
    for limit in limits:
        limit.bucket.take(amount)
    return amount


def _too_fast(limit: Limit) -> TooFastError:
    seconds = limit.bucket.wait()
    return TooFastError(
        f"more than {limit.bucket.rate:,.6g} {limit.what} a second",
        remedy=f"come back in {seconds:.1f} s",
        limit=limit.name,
        retry_after=seconds,
    )
