"""A measured span: what the load counted in it, and what the server used for that."""

import gc
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.peers.client import Client
from benchmarks.peers.failures import LoadError
from benchmarks.peers.load import Load
from benchmarks.peers.servers import Running
from benchmarks.peers.tally import Arrivals, Seconds

# A load that has less time to spare than this part of the span, or sends later than that, has measured itself.
LEAST_IDLE: Final = 0.05
LATEST: Final = 0.005
# A server that others keep from more than this part of its core has been measured together with them.
MOST_TAKEN: Final = 0.05

# A server that uses less of a core than this part, for longer than Hocuspocus waits before it stores, has nothing left.
QUIET: Final = 0.05
REST_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in a measured span.

    Attributes:
        seconds: how long it was.
        cpu: processor seconds that the server used.
        made: edits or states sent.
        delivered: of these, how many arrived at others, each counted once.
        messages_in: messages that the server received, those of other kinds not counted.
        messages_out: messages that the server sent.
        p50: seconds from the sending of an edit to its delivery, the median; nan if not measured.
        p99: the 99th percentile.
        idle: the part of the span in which the load had nothing to do.
        lag: seconds, the 99th percentile, by which the load was late with what was due.
        taken: processor seconds that others used of the server's core.
    """

    seconds: float
    cpu: float
    made: int
    delivered: int
    messages_out: int
    p50: float
    p99: float
    idle: float
    lag: float
    taken: float

    @property
    def cpu_per_delivery(self) -> float:
        """Processor seconds for each edit delivered."""
        return self.cpu / self.delivered if self.delivered else float("nan")

    @property
    def load(self) -> float:
        """The part of a core that the server used."""
        return self.cpu / self.seconds

    @property
    def others(self) -> float:
        """The part of the server's core that others used."""
        return max(0.0, self.taken / self.seconds)

    @property
    def limit(self) -> str:
        """Who could not do more: the server, the load, or neither."""
        if self.load > 1 - LEAST_IDLE:
            return "server"
        return "load" if self.idle < LEAST_IDLE or self.lag > LATEST else ""


class Bench:
    """One server under one load.

    Args:
        running: the server.
        load: the load.
        seconds: how long a measured span is.
    """

    def __init__(self, running: Running, load: Load, seconds: float) -> None:
        self.running = running
        self.load = load
        self.seconds = seconds

    @property
    def warm_up(self) -> float:
        """How many seconds a load runs before it is measured: JavaScript becomes faster for some time."""
        return self.seconds * 5 / 8

    def join(self, rooms: list[str]) -> list[Client]:
        """Connect a client for each name."""
        return self.load.join(self.running.port, self.running.server.dialect, rooms)

    def measure(self, *, latency: bool = True) -> Span:
        """Warm up, then measure for as long as a span is. Raises LoadError, OSError.

        Args:
            latency: whether deliveries are timed: those of everything that is made in the span, also later ones.
        """
        self.load.run(self.warm_up)
        return self.measure_while(lambda: self.load.run(self.seconds), latency=latency)

    def measure_while(self, work: Callable[[], object], *, latency: bool = False) -> Span:
        """Measure while something is done; then stop, and wait until every client has every edit.

        Raises: LoadError, if one does not arrive or a connection ends; OSError.
        """
        load, tally = self.load, self.load.tally
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            tally.arrivals = Arrivals() if latency else None
            del load.lags[:]
            made, delivered, received, idle = tally.made, tally.delivered, self._received(), load.idle
            taken, cpu, began = self.running.taken(), self.running.cpu(), time.perf_counter()
            work()
            cpu, ended = self.running.cpu() - cpu, time.perf_counter()
            taken = self.running.taken() - taken - cpu
            counts = tally.made - made, tally.delivered - delivered, self._received() - received
            idle, lag = load.idle - idle, percentile(np.array(load.lags), 99)
            load.settle()
            self.running.check()
            seconds = ended - began
            return Span(seconds, cpu, *counts, *self._percentiles(began, ended), idle / seconds, lag, taken)
        finally:
            tally.arrivals = None
            gc.enable()
            gc.unfreeze()

    def rest(self) -> None:
        """Wait until the server has come to rest, and so has stored what it stores late. Raises LoadError, OSError."""
        used = [self.running.cpu()]

        def is_quiet() -> bool:
            used.append(self.running.cpu())
            return used[-1] - used[-2] < QUIET * REST_SECONDS and len(used) > 2

        self.load.until(is_quiet, "coming to rest", pause=REST_SECONDS)

    def _received(self) -> int:
        return sum(client.stream.received for client in self.load.clients)

    def _percentiles(self, since: float, until: float) -> tuple[float, float]:
        arrivals = self.load.tally.arrivals
        if arrivals is None:
            return float("nan"), float("nan")
        made_at = {client.id: client.made_at for client in self.load.clients if client.made}
        took = arrivals.latencies(made_at, since, until)
        return percentile(took, 50), percentile(took, 99)


def percentile(values: Seconds, cut: float) -> float:
    """Return a percentile, nan of nothing."""
    return float(np.percentile(values, cut)) if len(values) else float("nan")


def allow_many_files() -> None:
    """Let this process have as many connections as the system permits at all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cores() -> tuple[int, int]:
    """Return one processor for the server and one for the load. Raises LoadError where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise LoadError("the server and the load need a core each, and there is only one")
    return available[0], available[1]
