"""Quotas: what a provider's bucket of tokens grants, to all agents together, or to one on its own share."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from comity.crdt_types.errors import InvalidValueError, NotConnectedError, TooFastError

from .bucket import Limit, Mark, available, full, moved, wait_ms
from .document import Provider, Quota

Offline = Literal["refuse", "share"]

MS: Final = 1000
# What is given back comes when a request ends, which nobody knows beforehand: whoever waits for it hears of that, and
# looks this often in case that whoever is to end it is gone.
HELD_SECONDS: Final = 0.25


class Grant(NamedTuple):
    """What an agent was granted.

    Attributes:
        provider: of whom.
        amounts: how much, by quota.
        certain: whether that was decided together with everybody else; if not, all agents together may have been
            granted more than there was, which shows as ``overdrawn`` once they are connected again.
    """

    provider: str
    amounts: Mapping[str, int]
    certain: bool


class Standing(NamedTuple):
    """How a quota stands, as far as is known here.

    Attributes:
        limit: what it is.
        available: how much there is.
        overdrawn: how much more was granted than there was.
        granted: how much was granted in all, what was given back taken off; of places, how many are taken.
    """

    limit: Limit
    available: int
    overdrawn: int
    granted: int


class Lacking(Exception):  # noqa: N818  # no failure: what a decision says to who waits
    """There is not enough now.

    Args:
        quota: of which quota, or what else there is to wait for.
        seconds: in which time there may be enough.
    """

    def __init__(self, quota: str, seconds: float) -> None:
        super().__init__(quota)
        self.quota = quota
        self.seconds = seconds


def too_fast(provider: str, lacking: Lacking) -> TooFastError:
    """Return the error for somebody who waits no longer."""
    return TooFastError(
        f"no {lacking.quota} left",
        subject=f"provider {provider!r}",
        remedy="wait longer, or ask for less",
        limit=lacking.quota,
        retry_after=lacking.seconds,
    )


def check_amounts(name: str, provider: Provider, amounts: Mapping[str, int]) -> None:
    """Raise InvalidValueError, if there is no such quota, or it never has so much."""
    subject = f"provider {name!r}"
    for wanted, amount in amounts.items():
        quota = provider.quotas.get(wanted)
        limit = None if quota is None else quota.limit.value
        if limit is None:
            raise InvalidValueError(f"no quota {wanted!r}", subject=subject, remedy="limit() it")
        if type(amount) is not int or not 0 < amount <= limit.capacity:
            raise InvalidValueError(f"{amount} of {wanted}", subject=subject, remedy=f"take 1 to {limit.capacity}")


def standing(quota: Quota, now: int) -> Standing | None:
    """Return how a quota stands at a moment; None if nobody has set its limit."""
    limit = quota.limit.value
    if limit is None:
        return None
    granted = quota.granted.value if limit.per_ms else sum(quota.held.values())
    flows = bool(limit.per_ms)
    left = available(moved(_mark(quota, limit, now), limit, now, granted)) if flows else limit.capacity - granted
    return Standing(limit, max(left, 0), max(-left, 0), granted)


def take(quota: Quota, name: str, amount: int, now: int, request: str) -> None:
    """Take from a quota, in a draft whose decision stands only if nobody took from it meanwhile. Raises Lacking."""
    limit = quota.limit.value
    if limit is None:
        return
    if not limit.per_ms:
        if limit.capacity - sum(quota.held.values()) < amount:
            raise Lacking(name, HELD_SECONDS)
        quota.held[request] = amount
        return
    mark = moved(_mark(quota, limit, now), limit, now, quota.granted.value)
    if wait := wait_ms(mark, limit, amount):
        raise Lacking(name, wait / MS)
    quota.granted.add(amount)
    quota.mark.set(mark.less(amount))


def _mark(quota: Quota, limit: Limit, now: int) -> Mark:
    """Return how much there was at the last decision; before the first, full but for what was granted without one."""
    mark = quota.mark.value
    return full(limit, now, 0) if mark is None else mark


class Share:
    """What one of several agents may take of a quota while it cannot ask.

    Args:
        limit: the quota.
        left: how much was known to be left of it.
        agents: how many share it.
        now: the moment, in milliseconds.
    """

    def __init__(self, limit: Limit, left: int, agents: int, now: int) -> None:
        self._limit = Limit(max(limit.capacity // agents, 1), limit.per_ms)
        self._is_empty = limit.capacity < agents  # a share below one token is none
        level = min(max(left, 0) // agents, self._limit.capacity)
        self.mark = Mark(now, level * limit.per_ms, limit.per_ms, 0)

    def less(self, name: str, amount: int, now: int) -> Mark:
        """Return what the mark is after so much was taken; whoever takes it sets that.

        Raises: Lacking; NotConnectedError, if the share never has so much.
        """
        if self._is_empty or amount > self._limit.capacity:
            raise NotConnectedError(
                f"{amount} of {name} are more than a share", subject="quota", remedy="wait for the server"
            )
        mark = moved(self.mark, self._limit, now, self.mark.granted)
        if wait := wait_ms(mark, self._limit, amount):
            raise Lacking(name, wait / MS)
        return mark.less(amount)
