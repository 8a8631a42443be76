"""The workloads: each runs on one server and returns its figures."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from benchmarks.peers.bench import Bench, Span, percentile
from benchmarks.peers.client import Client
from benchmarks.peers.dialects import COMITY_V1
from benchmarks.peers.edits import listed
from benchmarks.peers.load import LOOK

WRITERS: Final = 50
# Edits that a writer has under way. How many suit a server best differs, since most merge what comes together.
WINDOWS: Final = (8, 16, 32, 64)
OBSERVERS: Final = 1000
GUESTS: Final = 150
ROWS: Final = 40_000
AUTHORS: Final = 8
ROOMS: Final = 1000
# So many edits of a writer are made before each second of the run; what a faster server takes is made on the way.
EDITS_PREPARED: Final = 1500
BULK_WRITERS: Final = 20
BULK_WINDOW: Final = 128

_ROW: Final = "A row of a table that eight authors fill in turn, of about as many bytes as such a row has"
_ROWS_AT_ONCE: Final = 40
_ROWS_AHEAD: Final = 2000


class Outcome(NamedTuple):
    """What a workload came to on one server: its figures by their names, and the span that was measured, if any."""

    figures: dict[str, float]
    span: Span | None = None


def saturated(bench: Bench) -> Outcome:
    """50 writers who are also the readers of one room, at the window at which the server needs least for an edit."""
    return min((_filled(bench, window) for window in WINDOWS), key=lambda outcome: outcome.figures["cpu"])


def _filled(bench: Bench, window: int) -> Outcome:
    clients = bench.join([f"saturated-{window}"] * WRITERS)
    for client, witness in zip(clients, clients[1:] + clients[:1], strict=True):
        client.window = window
        client.prepare(int(EDITS_PREPARED * bench.seconds))
        witness.reports_to = client
    for client in clients:
        client.refill(0)
    span = bench.measure(latency=False)
    bench.load.leave()
    rate = span.made / span.seconds
    under_way = WRITERS * window / rate  # Little's law: so many are under way all the time
    return Outcome({"cpu": span.cpu_per_delivery, "rate": rate, "mean": under_way, "window": window}, span)


def paced(bench: Bench) -> Outcome:
    """The same writers at 20 edits a second each."""
    return _at_a_pace(bench, bench.join(["paced"] * WRITERS), WRITERS, 20)


def observed(bench: Bench) -> Outcome:
    """One writer at 25 edits a second and 1,000 who watch."""
    return _at_a_pace(bench, bench.join(["observed"] * (OBSERVERS + 1)), 1, 25)


def small(bench: Bench) -> Outcome:
    """50 rooms of 4 writers at 10 edits a second each."""
    rooms = [f"small-{number}" for number in range(50)] * 4
    return _at_a_pace(bench, bench.join(rooms), len(rooms), 10)


def _at_a_pace(bench: Bench, clients: list[Client], writers: int, rate: float) -> Outcome:
    for client in clients[:writers]:
        client.prepare(int(rate * (bench.seconds + bench.warm_up)) + 10)
        bench.load.repeat(client, rate, Client.edit)
    span = bench.measure()
    return Outcome({"cpu": span.cpu_per_delivery, "p50": span.p50, "p99": span.p99}, span)


def presence(bench: Bench) -> Outcome:
    """500 clients of one room that each move their cursor once a second."""
    for client in bench.join(["presence"] * 500):
        bench.load.repeat(client, 1, Client.announce)
    span = bench.measure()
    return Outcome({"core": span.load, "p50": span.p50, "p99": span.p99}, span)


def storm(bench: Bench) -> Outcome:
    """150 clients that join one room of 4 MB at once: made by edits, stored, and loaded again for one who stays."""
    running, load = bench.running, bench.load
    size = _make_table(bench)
    bench.rest()
    load.leave()
    running.restart()
    _until_whole(bench, [load.connect(running.port, running.server.dialect, "storm")])
    bench.rest()
    before = running.memory()
    running.reset_peak()
    guests: list[Client] = []

    def come() -> None:
        guests.extend(load.connect(running.port, running.server.dialect, "storm") for _ in range(GUESTS))
        _until_whole(bench, guests)

    span = bench.measure_while(come)
    took = np.array([guest.whole_at - guest.began for guest in guests])
    memory = (running.peak() - before) / size
    return Outcome({"p50": percentile(took, 50), "p95": percentile(took, 95), "memory": memory}, span)


def _make_table(bench: Bench) -> int:
    """Have a room filled with rows; return the bytes of its document."""
    author, witness = bench.join(["storm"] * 2)
    authors = [author.id + number for number in range(AUTHORS)]
    size = 0
    for first in range(0, ROWS, _ROWS_AT_ONCE):
        update = listed(authors, first, _ROWS_AT_ONCE, _ROW)
        size += len(update)
        author.send_update(update)
        bench.load.until(lambda first=first: witness.received >= first - _ROWS_AHEAD, "filling a room")  # type: ignore[misc]
    bench.load.until(lambda: witness.received == ROWS, "filling a room")
    return size


def _until_whole(bench: Bench, clients: list[Client]) -> None:
    for client in clients:
        client.wanted = ROWS
    bench.load.until(lambda: all(client.whole_at for client in clients), "joining a large room", pause=LOOK)


def rooms(bench: Bench) -> Outcome:
    """1,000 rooms in each of which one client has written a character and stays."""
    _type_one(bench, bench.join([f"warm-{number}" for number in range(ROOMS // 20)]))
    before = bench.running.memory()
    _type_one(bench, bench.join([f"room-{number}" for number in range(ROOMS)]))
    bench.rest()
    span = bench.measure(latency=False)
    return Outcome({"memory": (bench.running.memory() - before) / ROOMS, "core": span.load}, span)


def _type_one(bench: Bench, clients: list[Client]) -> None:
    for client in clients:
        client.prepare(1)
        client.edit()
        bench.load.run(0)


def durable(bench: Bench) -> Outcome:
    """Edits that wait until they are acknowledged as durable: one at a time, then in bulk. Peers acknowledge none."""
    if bench.running.server.dialect is not COMITY_V1:
        return Outcome({})
    (client,) = bench.join(["durable"])
    _at_acks(bench, [client], 1)
    span = bench.measure(latency=False)
    took = np.array(client.durable_at)[-span.made :] - np.array(client.made_at)[: len(client.durable_at)][-span.made :]
    writers = bench.join(["bulk"] * BULK_WRITERS)
    _at_acks(bench, writers, BULK_WINDOW)
    span = bench.measure(latency=False)
    rate = span.made / span.seconds  # each was made when an earlier one was acknowledged
    return Outcome({"p50": percentile(took, 50), "p99": percentile(took, 99), "rate": rate}, span)


def _at_acks(bench: Bench, clients: list[Client], window: int) -> None:
    for client in clients:
        client.window, client.is_paced_by_acks = window, True
        client.prepare(int(EDITS_PREPARED * bench.seconds))
        client.refill(0)


WORKLOADS: Final[dict[str, Callable[[Bench], Outcome]]] = {
    "saturated": saturated,
    "paced": paced,
    "observed": observed,
    "small": small,
    "presence": presence,
    "storm": storm,
    "rooms": rooms,
    "durable": durable,
}
