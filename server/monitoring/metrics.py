"""What the server counts, for Prometheus to collect; docs/metrics.md says what each metric means."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from comity import __version__

from ..backups import Backups
from ..rooms.hub import Hub
from ..rooms.room import Room
from .pulse import Pulse
from .tally import Histogram, tier


class _Row(NamedTuple):
    """A metric with one value for each tier: its name after ``comity_``, what it is, and the tally's field."""

    name: str
    help: str
    field: str


_COUNTERS: Final = (
    _Row("updates_received", "Updates of clients that were taken to their room's document.", "received"),
    _Row("received_bytes", "Bytes of the updates received.", "received_bytes"),
    _Row("decisions", "Updates received that were decisions, and made.", "decisions"),
    _Row("decisions_refused", "Decisions refused, since something that they relied on had changed.", "refusals"),
    _Row("updates_held", "Updates received that had to wait for others which they build on.", "held"),
    _Row("updates_stored", "Updates committed: each holds all that one turn brought to a room.", "stored"),
    _Row("stored_bytes", "Bytes of the updates stored.", "stored_bytes"),
    _Row("updates_delivered", "Updates stored, each as often as it was told to a connection.", "deliveries"),
    _Row("delivered_bytes", "Bytes of the messages that deliver updates.", "delivery_bytes"),
    _Row("updates_skipped", "Deliveries left out for a reader that was behind.", "skips"),
    _Row("acks", "Acknowledgements given.", "acks"),
    _Row("updates_acknowledged", "Updates of clients that the acknowledgements cover.", "acknowledged"),
    _Row("syncs", "Answers to clients that asked for what they lack.", "syncs"),
    _Row("sync_bytes", "Bytes of the answers to clients that asked.", "sync_bytes"),
    _Row("readers_fallen_behind", "Times that a reader fell behind.", "lags"),
    _Row("catch_ups", "Messages that make up for all that a reader missed.", "catch_ups"),
    _Row("catch_up_bytes", "Bytes of the messages that make up for what a reader missed.", "catch_up_bytes"),
    _Row("presence_received", "Presence messages of clients.", "presence_received"),
    _Row("presence_told", "Presence messages made for a room: each holds all that changed.", "presence_told"),
    _Row("presence_delivered", "Presence messages, each as often as told to a connection.", "presence_deliveries"),
    _Row("presence_bytes", "Bytes of the presence messages delivered.", "presence_bytes"),
    _Row("room_reloads", "Documents loaded anew because a turn failed.", "reloads"),
    _Row("room_failures", "Rooms that ended with an error.", "failed_rooms"),
    _Row("room_load_failures", "Rooms that could not be loaded.", "failed_loads"),
    _Row("snapshot_failures", "Snapshots that could not be stored.", "failed_snapshots"),
    _Row("snapshots_passed_over", "Damaged snapshots passed over when a room was loaded.", "passed_snapshots"),
)

_HISTOGRAMS: Final = (
    _Row("turn_seconds", "How long a turn of a room held up the event loop.", "turn_seconds"),
    _Row("ack_seconds", "From the beginning of a turn until it was on disk and acknowledged.", "ack_seconds"),
    _Row("room_load_seconds", "How long loading a room took.", "load_seconds"),
    _Row("snapshot_seconds", "How long taking and storing a snapshot took.", "snapshot_seconds"),
)


# In the order of what ``_standing_of`` returns.
_GAUGES: Final = (
    ("rooms", "Rooms in memory."),
    ("rooms_damaged", "Rooms in memory that are damaged, and can only be read."),
    ("members", "Places taken in rooms."),
    ("updates_waiting", "Updates that wait for others which they build on."),
    ("outbox_bytes", "Bytes that wait for readers."),
    ("readers_behind", "Readers that are behind."),
    ("presence_clients", "Clients whose presence is known."),
)


# With which OpenMetrics ends, and the text format does not.
_EOF: Final = b"# EOF\n"


class Connected(Protocol):
    """A connection, as far as it is counted."""

    @property
    def kind(self) -> str:
        """What it speaks."""
        ...


class Metrics:
    """The metrics of one server, in a registry of their own.

    Nothing is kept here: what stands in the rooms, the tallies and the archive is read when somebody asks.

    Args:
        hub: the rooms.
        pulse: how late the event loop is.
        connections: those that are open.
        backups: those that the server takes by itself.
    """

    def __init__(self, hub: Hub, pulse: Pulse, connections: Iterable[Connected], backups: Backups) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Comity(hub, pulse, connections, backups))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format that an ``Accept`` header asks for, and its media type.

        What is read belongs to the event loop, so it is read there, one metric in a turn: nobody waits long for it.
        """
        encode, media_type = choose_encoder(accept)
        parts = []
        for metric in self._registry.collect():
            parts.append(encode(_One(metric)).removesuffix(_EOF))
            await asyncio.sleep(0)
        return b"".join((*parts, encode(CollectorRegistry()))), media_type


class _One(NamedTuple):
    """A registry of one metric."""

    metric: Metric

    def collect(self) -> Iterable[Metric]:
        """Return it."""
        return (self.metric,)


class _Comity(Collector):
    def __init__(self, hub: Hub, pulse: Pulse, connections: Iterable[Connected], backups: Backups) -> None:
        self._hub = hub
        self._pulse = pulse
        self._connections = connections
        self._backups = backups

    def collect(self) -> Iterator[Metric]:
        """Return every metric as it stands."""
        yield from self._happened()
        yield from self._standing()
        yield from self._stored()
        yield from self._connected()
        yield from self._backed_up()
        yield _histogram("loop_lag_seconds", "How late the event loop ran a timer.", self._pulse.lags)
        build = GaugeMetricFamily("comity_build_info", "What is running.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build

    def _happened(self) -> Iterator[Metric]:
        for row in _COUNTERS:
            counter = CounterMetricFamily(f"comity_{row.name}", row.help, labels=("tier",))
            for name, tally in self._hub.tallies:
                counter.add_metric((name,), getattr(tally, row.field))
            yield counter
        rejects = CounterMetricFamily("comity_rejects", "Updates turned down in band.", labels=("tier", "code"))
        for name, tally in self._hub.tallies:
            for code, count in tally.rejects.items():
                rejects.add_metric((name, str(code)), count)
        yield rejects
        for row in _HISTOGRAMS:
            histogram = HistogramMetricFamily(f"comity_{row.name}", row.help, labels=("tier",))
            for name, tally in self._hub.tallies:
                _add(histogram, (name,), getattr(tally, row.field))
            yield histogram

    def _standing(self) -> Iterator[Metric]:
        sums = {name: [0] * len(_GAUGES) for name, _ in self._hub.tallies}
        for room in self._hub.rooms:
            of_tier = sums[tier(room.name)]
            for place, value in enumerate(_standing_of(room)):
                of_tier[place] += value
        for place, (gauge_name, text) in enumerate(_GAUGES):
            gauge = GaugeMetricFamily(f"comity_{gauge_name}", text, labels=("tier",))
            for name, values in sums.items():
                gauge.add_metric((name,), values[place])
            yield gauge

    def _stored(self) -> Iterator[Metric]:
        archive = self._hub.archive
        yield GaugeMetricFamily("comity_journal_pending_bytes", "What waits for the disk.", archive.pending_bytes)
        failed = archive.failed is not None
        yield GaugeMetricFamily("comity_storage_failed", "1 while nothing can be stored.", int(failed))
        yield CounterMetricFamily("comity_storage_faults", "Times that storing began to fail.", archive.faults)
        yield _histogram("commit_seconds", "How long a commit took.", archive.commit_seconds)
        yield _histogram("commit_updates", "How many updates a commit held.", archive.commit_updates)

    def _backed_up(self) -> Iterator[Metric]:
        last, failures = self._backups.last_success, self._backups.failures
        yield GaugeMetricFamily("comity_backup_last_success_seconds", "When the last whole backup was taken.", last)
        yield CounterMetricFamily("comity_backup_failures", "Backups that failed, or are not whole.", failures)

    def _connected(self) -> Iterator[Metric]:
        hub = self._hub
        now = Counter(connection.kind for connection in self._connections)
        gauge = GaugeMetricFamily("comity_connections", "WebSockets that are open.", labels=("kind",))
        for kind in hub.opened:
            gauge.add_metric((kind,), now[kind])
        yield gauge
        yield _counter("connections_opened", "WebSockets that were opened.", "kind", hub.opened)
        yield _counter("closes", "WebSockets that the server closed.", "code", hub.closes)
        yield _counter("refusals", "What a limit has turned away.", "limit", hub.refusals)


def _standing_of(room: Room) -> tuple[int, ...]:
    members = room.members
    queued = behind = 0
    for member in members:
        queued += member.outbox.queued_bytes
        behind += member.outbox.is_behind
    return 1, room.contents.damage is not None, len(members), room.waiting, queued, behind, room.roster.count


def _counter(name: str, text: str, label: str, counts: Counter[str] | Counter[int]) -> Metric:
    counter = CounterMetricFamily(f"comity_{name}", text, labels=(label,))
    for key, count in counts.items():
        counter.add_metric((str(key),), count)
    return counter


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(f"comity_{name}", text, labels=())
    _add(family, (), histogram)
    return family


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], histogram: Histogram) -> None:
    bounds = (*(str(float(bound)) for bound in histogram.bounds), "+Inf")
    family.add_metric(labels, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.sum)
