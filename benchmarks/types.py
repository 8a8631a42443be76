"""Typed state beside a plain Y.Map of pycrdt, in bytes and microseconds.

Run ``python -m benchmarks.types``; ``--quick`` takes seconds and makes the same table from fewer edits. Times are the
best of several runs, on one core; both columns come from the same process, one after the other.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Final, NamedTuple

from pycrdt import Doc
from pycrdt import Map as YMap
from rich.console import Console
from rich.table import Table

from comity.crdt_types import Counter, Map, Register, State, StateDocument

KEYS: Final = 50
WRITERS: Final = 8
COUNTERS: Final = 10
ROUNDS: Final = 5  # the best of them counts: what else the machine does only ever adds
EXCHANGE_EVERY: Final = 500  # writes between two exchanges of all updates among the writers


class Bench(State):
    """What is measured."""

    goal: Register[int]
    steps: Map[str]
    spent: Counter


class Row(NamedTuple):
    """One line of the table."""

    what: str
    comity: str
    plain: str
    target: str


class Scale(NamedTuple):
    """How much is done."""

    overwrites: int
    increments: int
    cells: int
    repeats: int


FULL: Final = Scale(overwrites=100_000, increments=1_000_000, cells=100_000, repeats=10_000)
QUICK: Final = Scale(overwrites=10_000, increments=20_000, cells=10_000, repeats=2_000)


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer edits, for a look")
    scale = QUICK if parser.parse_args().quick else FULL
    table = Table("what", "comity", "Y.Map", "target", title="typed state beside a plain Y.Map on pycrdt")
    for row in measure(scale):
        table.add_row(*row)
    Console().print(table)


def measure(scale: Scale) -> Iterable[Row]:
    """Yield the lines of the table."""
    yield _size(scale.overwrites, 1)
    yield _size(scale.overwrites, WRITERS)
    yield _counters(scale.increments)
    yield _local_set(scale.repeats)
    yield _transaction(scale.repeats // 10)
    yield from _reads(scale.repeats)
    yield _remote_apply(scale.repeats)
    yield _load(scale.cells)


def _size(writes: int, writers: int) -> Row:
    documents = [StateDocument(agent=f"agent-{number}") for number in range(writers)]
    states = [Bench(document) for document in documents]
    plain = [_Plain() for _ in range(writers)]
    for write in range(writes):
        states[write % writers].steps[f"key {write % KEYS}"] = f"value {write}"
        plain[write % writers].root[f"key {write % KEYS}"] = f"value {write}"
        if write % EXCHANGE_EVERY == 0:
            _exchange(documents, plain)
    _exchange(documents, plain)
    ours, theirs = len(documents[0].update_since()), len(plain[0].ydoc.get_update())
    what = f"{writes:,} overwrites of {KEYS} keys by {writers}: document"
    return Row(what, _bytes(ours), f"{_bytes(theirs)} ({theirs / ours:.0f} times)", "at most 1/100")


class _Plain:
    def __init__(self, update: bytes | None = None) -> None:
        self.ydoc: Doc[Any] = Doc()
        self.root: YMap[Any] = self.ydoc.get("steps", type=YMap)
        if update is not None:
            self.ydoc.apply_update(update)


def _exchange(documents: list[StateDocument], plain: list[_Plain]) -> None:
    """Bring every document what it lacks, by way of the first."""
    for document in (*documents[1:], *documents[1:]):
        documents[0].apply(document.update_since(documents[0].state_vector()))
        document.apply(documents[0].update_since(document.state_vector()))
    for each in (*plain[1:], *plain[1:]):
        plain[0].ydoc.apply_update(each.ydoc.get_update(plain[0].ydoc.get_state()))
        each.ydoc.apply_update(plain[0].ydoc.get_update(each.ydoc.get_state()))


def _counters(increments: int) -> Row:
    document, plain = StateDocument(agent="counter"), _Plain()
    for number in range(increments):
        name = f"counter {number % COUNTERS}"
        document.count(name, 1)
        if number < increments // 10:  # a tenth tells enough, and the rest takes minutes
            plain.root[name] = number // COUNTERS + 1
    theirs = f"{_bytes(len(plain.ydoc.get_update()))} after a tenth of them"
    what = f"{increments:,} increments of {COUNTERS} counters: document"
    return Row(what, _bytes(len(document.update_since())), theirs, "under 4,000 bytes")


def _local_set(repeats: int) -> Row:
    state, plain = _listened(StateDocument(agent="a")), _observed(_Plain())
    numbers, others = count(), count()
    ours = _best(lambda: _set(state.steps, next(numbers)), repeats)
    theirs = _best(lambda: _set(plain.root, next(others)), repeats)
    return Row("local set, listeners included", _us(ours), _us(theirs), "15 us")


def _set(mapping: Any, number: int) -> None:
    mapping[f"key {number % KEYS}"] = "value"


def _listened(document: StateDocument) -> Bench:
    state = Bench(document)
    state.on_change(lambda change: None)
    document.on_commit(lambda commit: None)
    return state


def _observed(plain: _Plain) -> _Plain:
    plain.root.observe(lambda event: None)
    plain.ydoc.observe(lambda event: None)
    return plain


def _transaction(repeats: int) -> Row:
    state, plain = _listened(StateDocument(agent="a")), _observed(_Plain())

    def ten() -> None:
        with state.transaction():
            for number in range(10):
                _set(state.steps, number)

    def plain_ten() -> None:
        with plain.ydoc.transaction():
            for number in range(10):
                _set(plain.root, number)

    return Row("10 sets in one transaction", _us(_best(ten, repeats)), _us(_best(plain_ten, repeats)), "70 us")


def _reads(repeats: int) -> Iterable[Row]:
    state, plain = Bench(), _Plain()
    state.goal.set(1)
    state.steps["key 1"] = "value"
    state.spent.add(1)
    plain.root["key 1"] = "value"
    theirs = _us(_best(lambda: plain.root["key 1"], repeats))
    yield Row("read of a register", _us(_best(lambda: state.goal.value, repeats)), theirs, "1 us")
    yield Row("read of a map cell", _us(_best(lambda: state.steps["key 1"], repeats)), theirs, "1 us")
    yield Row("read of a counter", _us(_best(lambda: state.spent.value, repeats)), theirs, "1 us")


def _remote_apply(repeats: int) -> Row:
    source, plain_source = StateDocument(agent="a"), _Plain()
    updates: list[bytes] = []
    plain_updates: list[bytes] = []
    source.on_commit(lambda commit: updates.append(commit.update))
    plain_source.ydoc.observe(lambda event: plain_updates.append(event.update))
    for number in range(repeats * ROUNDS):
        source.set_cell("steps", f"key {number % KEYS}", "value")
        _set(plain_source.root, number)
    state, plain = _listened(StateDocument(agent="b")), _observed(_Plain())
    ours, theirs = iter(updates), iter(plain_updates)
    return Row(
        "remote update applied, indexed and told",
        _us(_best(lambda: state.document.apply(next(ours)), repeats)),
        _us(_best(lambda: plain.ydoc.apply_update(next(theirs)), repeats)),
        "12 us",
    )


def _load(cells: int) -> Row:
    state, plain = Bench(), _Plain()
    with state.transaction(), plain.ydoc.transaction():
        for number in range(cells):
            state.steps[f"key {number}"] = plain.root[f"key {number}"] = "value"
    update, plain_update = state.document.update_since(), plain.ydoc.get_update()
    ours = _best(lambda: StateDocument(update=update), 1)
    theirs = _best(lambda: _Plain(plain_update), 1)
    target = f"{0.5 * cells / FULL.cells:.2f} s"
    return Row(f"{cells:,} live cells: load and index", f"{ours:.2f} s", f"{theirs:.2f} s, no index", target)


def _best(work: Callable[[], object], repeats: int) -> float:
    """Return the seconds that one call takes, in the best of the rounds."""
    return min(_once(work, repeats) for _ in range(ROUNDS))


def _once(work: Callable[[], object], repeats: int) -> float:
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - began) / repeats


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.2f} us"


def _bytes(size: int) -> str:
    return f"{size:,} bytes"


if __name__ == "__main__":
    main()
