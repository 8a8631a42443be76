"""Typed state beside the plain Y.Map or Y.Array that would hold the same, in Python and in JavaScript.

Run ``python -m benchmarks.types``; ``--quick`` takes seconds and makes the same table from fewer edits. Times are the
process's own, not the wall clock's, the best of several rounds; what stands side by side takes turns in one process.
JavaScript is measured by ``types.mjs`` in Node, and left out where that is not installed. What is over its target is
marked (!).
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

from pycrdt import Array as YArray
from pycrdt import Doc
from pycrdt import Map as YMap
from rich.console import Console
from rich.table import Table

from benchmarks.node import measured_by_node, unavailable
from benchmarks.overwrites import LAYOUTS, Overwrites
from benchmarks.rows import COUNTERS, FULL, HEADINGS, KEYS, LIVE_ITEMS, QUICK, WRITERS, Figure, Scale, lines, markdown
from comity.crdt_types import Counter, List, Log, Map, Register, State, StateDocument

ROUNDS: Final = 5  # the best of them counts: what else the machine does only ever adds


class Bench(State):
    """What is measured."""

    goal: Register[int]
    steps: Map[str]
    spent: Counter
    events: Log[str]
    items: List[str]


class Plain:
    """The plain Yjs types that hold the same, with pycrdt."""

    def __init__(self, update: bytes | None = None) -> None:
        self.ydoc: Doc[Any] = Doc()
        self.steps: YMap[Any] = self.ydoc.get("steps", type=YMap)
        self.items: YArray[Any] = self.ydoc.get("items", type=YArray)
        if update is not None:
            self.ydoc.apply_update(update)


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer edits, for a look")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    reason = unavailable()
    javascript = None if reason else figures_of_node(scale)
    table = lines(scale, dict(measure(scale)), javascript)
    if reason:
        print(f"JavaScript is left out: {reason}")
    if options.markdown:
        print(markdown(HEADINGS, table))
    else:
        _show(table)


def _show(table: Iterator[tuple[str, ...]]) -> None:
    shown = Table(*HEADINGS)
    for line in table:
        shown.add_row(*line)
    Console(width=None if Console().is_terminal else 160).print(shown)


def figures_of_node(scale: Scale) -> dict[str, Figure]:
    """Measure the same rows in JavaScript."""
    told = measured_by_node("types.mjs", scale._asdict())
    return {key: Figure(*pair) for key, pair in told.items()}


def measure(scale: Scale) -> Iterator[tuple[str, Figure]]:
    """Yield the figure of every row in Python, by the row's key."""
    yield "overwrites by 1", _size(scale.overwrites, 1)
    yield "overwrites by 8", _size(scale.overwrites, WRITERS)
    yield "apart", _size(scale.overwrites, WRITERS, apart=True)
    yield "increments", _increments(scale.increments)
    yield "set", _set_alone(scale.repeats)
    yield "ten sets", _ten_sets(scale.repeats // 10)
    yield from _reads(scale.repeats)
    yield "remote", _remote(scale.repeats)
    yield "load", _load(scale.cells)
    yield "append", _append(scale.repeats)
    yield "insert", _insert(scale.repeats // 20)
    yield "move", _move(scale.repeats // 20)


# Bytes -----------------------------------------------------------------------------------------------------------


def _size(writes: int, writers: int, *, apart: bool = False) -> Figure:
    ours, theirs = (Overwrites(replica, writers, apart=apart).go_on(writes) for replica in LAYOUTS.values())
    return Figure(len(ours), len(theirs))


def _increments(increments: int) -> Figure:
    document, plain = StateDocument(agent="counter"), Plain()
    for number in range(increments):
        name = f"counter {number % COUNTERS}"
        document.count(name, 1)
        plain.steps[name] = number // COUNTERS + 1
    return Figure(len(document.update_since()), len(plain.ydoc.get_update()))


# Times -----------------------------------------------------------------------------------------------------------


def _set_alone(repeats: int) -> Figure:
    state, plain = _listened(), _observed()
    ours, theirs = count(), count()
    return _both(lambda: _set(state.steps, next(ours)), lambda: _set(plain.steps, next(theirs)), repeats)


def _set(mapping: Any, number: int) -> None:
    mapping[f"key {number % KEYS}"] = "value"


def _listened() -> Bench:
    state = Bench(StateDocument(agent="a"))
    state.on_change(lambda change: None)
    state.document.on_commit(lambda commit: None)
    return state


def _observed() -> Plain:
    plain = Plain()
    plain.steps.observe(lambda event: None)
    plain.items.observe(lambda event: None)
    plain.ydoc.observe(lambda event: None)
    return plain


def _ten_sets(repeats: int) -> Figure:
    state, plain = _listened(), _observed()

    def ours() -> None:
        with state.transaction():
            for number in range(10):
                _set(state.steps, number)

    def theirs() -> None:
        with plain.ydoc.transaction():
            for number in range(10):
                _set(plain.steps, number)

    return _both(ours, theirs, repeats)


def _reads(repeats: int) -> Iterator[tuple[str, Figure]]:
    state, plain = Bench(), Plain()
    state.goal.set(1)
    state.steps["key 1"] = plain.steps["key 1"] = "value"
    state.spent.add(1)
    yield "read register", _both(lambda: state.goal.value, lambda: plain.steps["key 1"], repeats)
    yield "read cell", _both(lambda: state.steps["key 1"], lambda: plain.steps["key 1"], repeats)
    yield "read counter", _both(lambda: state.spent.value, lambda: plain.steps["key 1"], repeats)


def _remote(repeats: int) -> Figure:
    source, plain_source = StateDocument(agent="a"), Plain()
    updates: list[bytes] = []
    plain_updates: list[bytes] = []
    source.on_commit(lambda commit: updates.append(commit.update))
    plain_source.ydoc.observe(lambda event: plain_updates.append(event.update))
    for number in range(repeats * ROUNDS):
        source.set_cell("steps", f"key {number % KEYS}", "value")
        _set(plain_source.steps, number)
    state, plain = _listened(), _observed()
    ours, theirs = iter(updates), iter(plain_updates)
    return _both(lambda: state.document.apply(next(ours)), lambda: plain.ydoc.apply_update(next(theirs)), repeats)


def _load(cells: int) -> Figure:
    state, plain = Bench(), Plain()
    with state.transaction(), plain.ydoc.transaction():
        for number in range(cells):
            state.steps[f"key {number}"] = plain.steps[f"key {number}"] = "value"
    update, plain_update = state.document.update_since(), plain.ydoc.get_update()
    ours, theirs = _both(lambda: StateDocument(update=update), lambda: Plain(plain_update), 1)
    return Figure(ours / 1e6, theirs / 1e6)


def _append(repeats: int) -> Figure:
    state, plain = _listened(), _observed()
    return _both(lambda: state.events.append("event"), lambda: plain.items.append("event"), repeats)


def _lists() -> tuple[Bench, Plain]:
    state, plain = _listened(), _observed()
    items = [f"item {number}" for number in range(LIVE_ITEMS)]
    state.items.extend(items)
    plain.items.extend(items)
    return state, plain


def _insert(repeats: int) -> Figure:
    state, plain = _lists()
    ours, theirs = _hops(), _hops()
    return _both(
        lambda: state.items.insert(next(ours)[0], "item"), lambda: plain.items.insert(next(theirs)[0], "item"), repeats
    )


def _move(repeats: int) -> Figure:
    state, plain = _lists()
    ours, theirs = _hops(), _hops()
    return _both(lambda: state.items.move(*next(ours)), lambda: _move_plain(plain, *next(theirs)), repeats)


def _hops() -> Iterator[tuple[int, int]]:
    """Yield places all over the list, in pairs."""
    return ((number * 389 % LIVE_ITEMS, number * 611 % LIVE_ITEMS) for number in count())


def _move_plain(plain: Plain, at: int, to: int) -> None:
    # Yjs has no move, and that of pycrdt is not to be mixed with it.
    with plain.ydoc.transaction():
        plain.items.insert(to, plain.items.pop(at))


def _both(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> Figure:
    """Return the microseconds that one call of each takes, in the best of its rounds."""
    rounds = [(_once(ours, repeats), _once(theirs, repeats)) for _ in range(ROUNDS)]
    return Figure(*(min(each) * 1e6 for each in zip(*rounds, strict=True)))


def _once(work: Callable[[], object], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - began) / repeats


if __name__ == "__main__":
    main()
