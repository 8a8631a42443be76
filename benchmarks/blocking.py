"""Calls of the synchronous twin beside those of a State in the same thread.

Run ``python -m benchmarks.blocking``; ``--quick`` takes a second. Times are the wall clock's, since a call of the twin
is mostly a wait for another thread, and the median of the rounds, since such waits vary.
"""

import argparse
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from comity.clients.blocking.callbacks import Callbacks
from comity.clients.blocking.loopthread import LoopThread
from comity.clients.blocking.proxy import Proxies
from comity.crdt_types import Counter, Map, Register, State

ROUNDS: Final = 9
CALLS: Final = 2000
QUICK_CALLS: Final = 200
BATCH: Final = 100  # edits that one call makes
THREADS: Final = 8


class Bench(State):
    """What is measured."""

    goal: Register[str]
    steps: Map[str]
    spent: Counter


class Row(NamedTuple):
    """One thing measured: what it is, and in microseconds what it takes in the same thread and through the twin."""

    name: str
    here: float | None
    twin: float


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls, for a look")
    options = parser.parse_args()
    table = Table("call", "State, same thread", "twin", title="microseconds per call, median")
    for row in measure(QUICK_CALLS if options.quick else CALLS):
        table.add_row(row.name, "-" if row.here is None else f"{row.here:.1f}", f"{row.twin:.1f}")
    Console().print(table)


def measure(calls: int) -> list[Row]:
    """Return what each thing takes."""
    thread = LoopThread("bench")
    proxies = Proxies(thread, Callbacks("bench callbacks"))
    here, twin = Bench(), proxies.proxy(thread.call(Bench))
    for state in (here, twin):
        state.goal.set("dive")
        state.steps.update({f"step {number}": "todo" for number in range(BATCH)})
    inner = thread.call(Bench)
    few = calls // BATCH + 1
    try:
        return [
            Row("an empty call in the loop's thread", None, timed(lambda: thread.call(int), calls)),
            Row("read a register", *both(here, twin, lambda state: state.goal.value, calls)),
            Row("read a map's key", *both(here, twin, lambda state: state.steps["step 7"], calls)),
            Row(f"read a map of {BATCH} keys", *both(here, twin, lambda state: state.steps.value, few)),
            Row("set a register", *both(here, twin, lambda state: state.goal.set("rest"), calls)),
            Row("count", *both(here, twin, lambda state: state.spent.add(1), calls)),
            Row("count in a transaction", *both(here, twin, counted, calls)),
            Row(
                f"count {BATCH} times in one call",
                timed(lambda: batch(here), few),
                timed(lambda: thread.call(batch, inner), few),
            ),
            Row(f"count, {THREADS} threads at once", None, contended(twin, calls)),
        ]
    finally:
        thread.close()


def both(here: Bench, twin: Bench, call: Callable[[Bench], object], calls: int) -> tuple[float, float]:
    """Return what a call takes of a state in the same thread, and through the twin."""
    return timed(lambda: call(here), calls), timed(lambda: call(twin), calls)


def timed(call: Callable[[], object], calls: int) -> float:
    """Return the microseconds that a call takes."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - start) / calls)
    return median(rounds) * 1e6


def counted(state: Bench) -> None:
    """Count in a transaction."""
    with state.transaction():
        state.spent.add(1)


def batch(state: Bench) -> None:
    """Count many times."""
    for _ in range(BATCH):
        state.spent.add(1)


def contended(twin: Bench, calls: int) -> float:
    """Return the microseconds from one count to the next, whichever thread makes it."""

    def work() -> None:
        for _ in range(calls // THREADS):
            twin.spent.add(1)

    start = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - start) / (calls // THREADS * THREADS) * 1e6


if __name__ == "__main__":
    main()
