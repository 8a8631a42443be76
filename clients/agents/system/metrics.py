"""Metrics of a system: what all agents count, measure and observe adds up exactly."""

from typing import Any

from comity.crdt_types import Map

from ...tiers.tier import Tier
from .audit import Trail
from .document import BucketState, CounterState, GaugeState, SummaryState, SystemState
from .rows import row_of
from .summary import EMPTY, UNIT, Summary, bucket_of, is_bucket
from .values import Metrics


class MetricSet:
    """Counters, gauges and summaries by name.

    Args:
        tier: the tier that holds the system's state.
        trail: where it is noted that a metric was removed; what is counted is its own record.
    """

    def __init__(self, tier: Tier[SystemState], trail: Trail) -> None:
        self._tier = tier
        self._counters = tier.state.counters
        self._gauges = tier.state.gauges
        self._summaries = tier.state.summaries
        self._trail = trail

    def count(self, name: str, amount: int = 1) -> None:
        """Add a whole number to a counter; a negative one is subtracted."""
        with self._tier.transaction():
            row_of(self._counters, name, CounterState).total.add(amount)

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge to what was measured; the last measurement holds."""
        with self._tier.transaction():
            row_of(self._gauges, name, GaugeState).assign({"measured": float(value), "at": self._trail.clock()})

    def observe(self, name: str, value: float) -> None:
        """Add an observation to a summary.

        Raises: InvalidValueError, if it is no finite number, or larger than `summary.MAX_OBSERVED`.
        """
        bucket_of(value)  # which raises, before there is a row
        with self._tier.transaction():
            observe_in(row_of(self._summaries, name, SummaryState), value)

    def counted(self, name: str) -> int:
        """Return the total of a counter; 0 if there is none."""
        return self._counters[name].total.value if name in self._counters else 0

    def measured(self, name: str) -> float | None:
        """Return what a gauge was set to last; None if there is none."""
        return self._gauges[name].measured.value if name in self._gauges else None

    def observed(self, name: str) -> Summary:
        """Return what was observed under a name; an empty summary if there is none."""
        return summary_of(self._summaries[name]) if name in self._summaries else EMPTY

    def all(self) -> Metrics:
        """Return all metrics as they are now."""
        return Metrics(
            {name: row.total.value for name, row in self._counters.items()},
            {name: row.measured.get(0.0) for name, row in self._gauges.items()},
            {name: summary_of(row) for name, row in self._summaries.items()},
        )

    def remove(self, name: str, *, why: str = "") -> bool:
        """Forget the metrics of a name, and note who did; returns whether there were any.

        What others count at the same moment survives.
        """
        kinds: tuple[Map[Any], ...] = (self._counters, self._gauges, self._summaries)
        held = [kind for kind in kinds if name in kind]
        if held:
            with self._tier.transaction():
                for kind in held:
                    del kind[name]
                self._trail.note(f"metrics.{name}", [kind.name for kind in held], None, why)
        return bool(held)


def observe_in(row: SummaryState, value: float) -> None:
    """Add an observation to a summary.

    Raises: InvalidValueError, if it is no finite number, or larger than `summary.MAX_OBSERVED`.
    """
    bucket = bucket_of(value)
    with row.transaction():
        row_of(row.buckets, bucket, BucketState).count.add()
        row.total.add(round(value / UNIT))
        if not row.least.is_set or value < row.least.get(value):
            row.least.set(float(value))
        if not row.most.is_set or value > row.most.get(value):
            row.most.set(float(value))


def summary_of(row: SummaryState) -> Summary:
    """Return what was observed."""
    buckets = {name: bucket.count.value for name, bucket in row.buckets.items() if is_bucket(name)}
    return Summary(sum(buckets.values()), row.total.value * UNIT, row.least.get(0.0), row.most.get(0.0), buckets)
