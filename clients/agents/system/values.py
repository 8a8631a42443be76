"""What a system manager hands out: plain values that do not change."""

from dataclasses import dataclass
from typing import Any, Literal

from .summary import Summary

PartStatus = Literal["ok", "degraded", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class PartHealth:
    """The health of one part.

    Attributes:
        name: the part.
        status: ``ok``, ``degraded``, ``down``, or ``unknown`` if it was not reported for longer than its interval.
        detail: what there is to say about it.
        since: when the status became what it is.
        checked: when the part was reported last.
        interval: after how many milliseconds without a report nothing is known of it; 0 is never.
        by: the agent that reported it.
    """

    name: str
    status: PartStatus
    detail: str
    since: int
    checked: int
    interval: int
    by: str


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One thing that went wrong.

    Attributes:
        at: when.
        by: the agent that recorded it.
        part: where it happened.
        kind: the class of the error.
        message: what it says.
        detail: what else there is to say, such as where in the program.
        fingerprint: the same for errors of one kind, part and message, whatever the numbers in it.
    """

    at: int
    by: str
    part: str
    kind: str
    message: str
    detail: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one fingerprint, also those that the log has no more.

    Attributes:
        fingerprint: what they have in common.
        part: where they happened.
        kind: the class of the error.
        message: the message of the first.
        count: how many there were.
        first: when the first happened.
        last: when the last did.
    """

    fingerprint: str
    part: str
    kind: str
    message: str
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that was made through a manager.

    Attributes:
        at: when.
        by: the agent that made it.
        name: what was changed, such as ``configuration.rate`` or ``parts.search``.
        old: what was there before; None for nothing.
        new: what is there since; None for nothing.
        why: the reason that was given.
    """

    at: int
    by: str
    name: str
    old: Any
    new: Any
    why: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics as they are now.

    Attributes:
        counters: the totals, by name.
        gauges: the values that were measured last, by name.
        summaries: what was observed, by name.
    """

    counters: dict[str, int]
    gauges: dict[str, float]
    summaries: dict[str, Summary]
