"""What the server counts while it works: plain numbers, one set for each tier of rooms, read when somebody asks."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

# From a turn that applies one keystroke to a disk that is in trouble.
SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# From a room alone to a thousand rooms in one commit.
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

# What a room's name begins with, before its first slash; all other names are those of plain documents.
NAMED_TIERS: Final = frozenset({"local", "shared", "session", "persistent"})
OTHER: Final = "other"


class Histogram:
    """How often a value fell where, and the sum of all values.

    Args:
        bounds: the upper bounds of the buckets, ascending; a bound belongs to its bucket.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: Final = bounds
        self.counts: Final = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @contextmanager
    def timed(self) -> Generator[None]:
        """Count how many seconds the context took, unless it failed."""
        began = perf_counter()
        yield
        self.observe(perf_counter() - began)


class Tally:
    """What happened in the rooms of one tier. The numbers only grow; docs/metrics.md says what each means."""

    __slots__ = (
        "ack_seconds",
        "acknowledged",
        "acks",
        "catch_up_bytes",
        "catch_ups",
        "decisions",
        "deliveries",
        "delivery_bytes",
        "failed_loads",
        "failed_rooms",
        "failed_snapshots",
        "held",
        "lags",
        "load_seconds",
        "passed_snapshots",
        "presence_bytes",
        "presence_deliveries",
        "presence_received",
        "presence_told",
        "received",
        "received_bytes",
        "refusals",
        "rejects",
        "reloads",
        "skips",
        "snapshot_seconds",
        "stored",
        "stored_bytes",
        "sync_bytes",
        "syncs",
        "turn_seconds",
    )

    def __init__(self) -> None:
        self.received = self.received_bytes = 0  # updates of clients that reached the document
        self.held = 0  # of those, updates that had to wait for others
        self.decisions = 0  # of those, decisions that were made
        self.refusals = 0  # decisions that were refused, which are not among those
        self.stored = self.stored_bytes = 0  # what turns made of them
        self.deliveries = self.delivery_bytes = 0  # stored updates, each as often as it was told to a connection
        self.skips = 0  # deliveries left out for readers that were behind
        self.lags = 0  # readers that fell behind
        self.catch_ups = self.catch_up_bytes = 0
        self.acks = self.acknowledged = 0  # acknowledgements, and the updates in them
        self.rejects: Final[Counter[int]] = Counter()  # by code
        self.syncs = self.sync_bytes = 0  # answers to clients that asked for what they lack
        self.presence_received = self.presence_told = 0
        self.presence_deliveries = self.presence_bytes = 0
        self.reloads = self.failed_rooms = self.failed_loads = self.failed_snapshots = 0
        self.passed_snapshots = 0  # damaged, and passed over when a room was loaded
        self.turn_seconds: Final = Histogram(SECONDS)
        self.ack_seconds: Final = Histogram(SECONDS)  # from the beginning of a turn until it was on disk and told
        self.load_seconds: Final = Histogram(SECONDS)
        self.snapshot_seconds: Final = Histogram(SECONDS)

    def tell(self, stored: int, told: int, deliveries: int) -> None:
        """Count a committed update: its bytes, those of its message, and how many connections that was for."""
        self.stored += 1
        self.stored_bytes += stored
        self.deliveries += deliveries
        self.delivery_bytes += deliveries * told

    def acknowledge(self, count: int) -> None:
        """Count an acknowledgement by how many updates it adds; it is none if it adds none."""
        if count:
            self.acks += 1
            self.acknowledged += count

    def present(self, told: int, deliveries: int) -> None:
        """Count a presence message: its bytes, and how many connections it was for."""
        self.presence_told += 1
        self.presence_deliveries += deliveries
        self.presence_bytes += deliveries * told


class Tallies:
    """The tallies by the name of their tier, of all tiers that a room was ever asked for in."""

    def __init__(self) -> None:
        self._by_tier: dict[str, Tally] = {}

    def __iter__(self) -> Iterator[tuple[str, Tally]]:
        return iter(self._by_tier.items())

    def of(self, room: str) -> Tally:
        """Return the tally of a room, by its name."""
        return self._by_tier.setdefault(tier(room), Tally())


def tier(room: str) -> str:
    """Return the tier of a room: the part of its name before the first slash, if that is one."""
    before, slash, _ = room.partition("/")
    return before if slash and before in NAMED_TIERS else OTHER
