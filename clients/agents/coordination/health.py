"""How providers do: failures in a row, when one may be asked again, and who finds out whether it is up.

Source: the circuit breaker of Nygard, "Release It!", 2007; the back-off is exponential with jitter, as in Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from comity.crdt_types.errors import InvalidValueError

from .document import Condition, Probe, Provider, ProviderStatus
from .quotas import HELD_SECONDS, MS, Lacking

# Failures in a row after which a provider is taken for down: one or two happen to every provider.
BREAKER: Final = 5
# The first pause after that many, in seconds; it doubles with every further failure, up to the longest.
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
# The longest pause that a provider may ask for: the quotas of a day begin anew by then, and what is longer is a mistake
# of its clock, which nobody would live to see the end of.
LONGEST_ASKED: Final = 86_400.0


def streak(provider: Provider) -> int:
    """Return how many requests failed since the last one that succeeded."""
    return max(provider.failures.value - provider.recovered.get(0), 0)


def condition(provider: Provider) -> ProviderStatus:
    """Return how a provider does, as far as anybody found."""
    return provider.status.get(ProviderStatus())


def pause_seconds(provider: Provider, now: int) -> float:
    """Return in how many seconds a provider may be asked again; 0 if it may be now."""
    return max(provider.not_before.get(0) - now, 0) / MS


def admit(provider: Provider, probe: Probe, now: int, breaker: int) -> None:
    """Let a request begin, in a draft; where the provider is down, only one that finds out whether it still is.

    Raises: Lacking, if it has to wait.
    """
    if pause := pause_seconds(provider, now):
        raise Lacking("back-off", pause)
    if streak(provider) < breaker:
        return
    other = provider.probe.value
    if other is not None and other.until > now and other.request != probe.request:
        raise Lacking("back-off", min((other.until - now) / MS, HELD_SECONDS))
    provider.probe.set(probe)


def over(provider: Provider, request: str) -> None:
    """Note that a request has come to its end, whatever became of it; if it was to find out, another one may now."""
    probe = provider.probe.value
    if probe is not None and probe.request == request:
        provider.probe.clear()


def succeeded(provider: Provider, by: str, now: int) -> None:
    """Note that a provider answered."""
    if streak(provider):
        provider.recovered.set(provider.failures.value)
    if condition(provider).condition is not Condition.UP:
        provider.status.set(ProviderStatus(Condition.UP, now, by))


def failed(provider: Provider, by: str, now: int, detail: str, breaker: int, retry_after: float | None) -> None:
    """Note that a provider failed, and when it may be asked again: when it said so, or, once it is down, ever later."""
    provider.failures.add(1)
    failures = streak(provider)
    found = Condition.DOWN if failures >= breaker else Condition.DEGRADED
    before = condition(provider)
    if before.condition is not found:
        provider.status.set(ProviderStatus(found, now, by, detail))
    if retry_after is not None:
        postpone(provider, now, retry_after)
    elif failures >= breaker:
        postpone(provider, now, backoff(failures - breaker))


def backoff(doublings: int) -> float:
    """Return the seconds of a pause after so many before it, half of it at random."""
    longest = min(FIRST_PAUSE * (1 << min(doublings, 32)), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1)


def postpone(provider: Provider, now: int, seconds: float) -> None:
    """Let nobody ask a provider for some seconds, unless that is so for longer."""
    until = now + round(seconds * MS)
    if until > provider.not_before.get(0):
        provider.not_before.set(until)


def check_pause(seconds: float | None) -> None:
    """Raise InvalidValueError, if somebody asks for a pause that makes no sense, or for more than LONGEST_ASKED."""
    if seconds is not None and not 0 <= seconds <= LONGEST_ASKED:
        raise InvalidValueError(
            f"a pause of {seconds} seconds", subject="retry_after", remedy=f"give 0 to {LONGEST_ASKED:,.0f}"
        )


def retry_after(headers: dict[str, str], now: int) -> float | None:
    """Return the seconds that a response asks to wait by its ``Retry-After`` (RFC 9110), LONGEST_ASKED at most.

    None if it does not ask for any.
    """
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_ASKED)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((zoned - datetime.fromtimestamp(now / MS, UTC)).total_seconds(), 0.0), LONGEST_ASKED)
