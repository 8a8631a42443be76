"""What a system's state holds: its configuration, the health of its parts, errors, metrics, and who changed what."""

from typing import Any

from comity.crdt_types import Counter, GCounter, Log, Map, Register, State, merge

from .values import AuditEntry, ErrorRecord


class PartState(State):
    """The health of one part, as it was reported last.

    Attributes:
        status: ``ok``, ``degraded`` or ``down``.
        detail: what there is to say about it.
        since: when the status became what it is.
        checked: when the part was reported last.
        interval: after how many milliseconds without a report nothing is known of the part; 0 is never.
        by: the agent that reported it.
    """

    status: Register[str]
    detail: Register[str] = Register(default="")
    since: Register[int]
    checked: Register[int]
    interval: Register[int] = Register(default=0)
    by: Register[str] = Register(default="")


class ErrorGroupState(State):
    """Errors of one fingerprint, also of those that the log has no more.

    Attributes:
        part: where they happened.
        kind: the class of the error.
        message: the message of the first.
        first: when the first happened.
        last: when the last did.
        count: how many there were.
    """

    part: Register[str] = Register(default="")
    kind: Register[str] = Register(default="")
    message: Register[str] = Register(default="")
    first: Register[int] = Register(on_conflict=merge(lambda conflict: min(conflict.values)))
    last: Register[int] = Register(on_conflict=merge(lambda conflict: max(conflict.values)))
    count: GCounter


class CounterState(State):
    """A counter: of what happened, or of how many there are."""

    total: Counter


class GaugeState(State):
    """A gauge: the value that was measured last.

    Attributes:
        measured: the value.
        at: when it was measured.
    """

    measured: Register[float]
    at: Register[int]


class BucketState(State):
    """How many observations lie in one range of values."""

    count: GCounter


class SummaryState(State):
    """Observations of a quantity; whatever agents observe at once adds up exactly.

    Attributes:
        buckets: the counts, by the number of their range; see `summary`.
        total: the sum of what was observed, in units of `summary.UNIT`.
        least: the least that was observed.
        most: the most that was observed.
    """

    buckets: Map[BucketState]
    total: Counter
    least: Register[float] = Register(on_conflict=merge(lambda conflict: min(conflict.values)))
    most: Register[float] = Register(on_conflict=merge(lambda conflict: max(conflict.values)))


class SystemState(State, name="comity.system"):
    """The state of a system of agents; times are milliseconds since 1970, by the server's clock.

    Attributes:
        configuration: settings by name.
        parts: the health of each part.
        errors: what went wrong, the oldest first, as far as it is kept.
        error_groups: the same, by fingerprint.
        counters: metrics that are counted.
        gauges: metrics that are measured.
        summaries: metrics that are observed.
        audit: who changed what, and why, the oldest first, as far as it is kept.
    """

    configuration: Map[Any]
    parts: Map[PartState]
    errors: Log[ErrorRecord]
    error_groups: Map[ErrorGroupState]
    counters: Map[CounterState]
    gauges: Map[GaugeState]
    summaries: Map[SummaryState]
    audit: Log[AuditEntry]
