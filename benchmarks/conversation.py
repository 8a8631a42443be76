"""The conversation manager beside a plain frozen dataclass with callbacks, and beside the session of openai-agents.

Run ``scripts/bench conversation``; ``--quick`` takes seconds and makes the same table from fewer edits. The frozen
dataclass shares nothing and stores nothing: it is what an agent's author would write by hand. `SQLiteSession` of the
package openai-agents stores messages in a file of its own, for one process; it is left out where that is not installed.
``pip install --target DIR openai-agents`` and ``PYTHONPATH=DIR`` keep it out of the environment. Times are wall time.
Of the updates the best of several rounds counts, of what is opened the median.
"""

import argparse
import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

import comity
from benchmarks.rows import markdown
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.clients.agents.conversation.status import ConversationStatus
from comity.crdt_types import StateDocument
from tests.support.server import running_server

try:
    import agents  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]
except ImportError:
    agents = None

SQLiteSession: Any = getattr(agents, "SQLiteSession", None)
ROUNDS: Final = 5  # the best of them counts: what else the machine does only ever adds
STATUSES: Final = (ConversationStatus.LISTENING, ConversationStatus.PROCESSING, ConversationStatus.RESPONDING)
TEXT: Final = "Could you tell me whether my flight to Denver is on time? "
HEADINGS: Final = ("what", "target", "Comity", "frozen dataclass", "openai-agents SQLiteSession")
BURST: Final = 100  # updates between two waits for the server
ROOM: Final = "session/call"
# What is searched is of the length of real conversations, and its words are as unequally frequent.
STEMS: Final = TEXT.casefold().replace("?", "").split()
WORDS: Final = (*(f"{stem}{ending}" for ending in ("", "ing", "ed", "able") for stem in STEMS), "certificate")


class Scale(NamedTuple):
    """How much is measured."""

    updates: int
    messages: int
    appends: int
    opens: int


FULL: Final = Scale(50_000, 10_000, 1_000, 7)
QUICK: Final = Scale(3_000, 1_000, 100, 2)


class Times(NamedTuple):
    """The times of one call, in microseconds."""

    mean: float
    p99: float

    def __str__(self) -> str:
        return f"{_told(self.mean)}, p99 {_told(self.p99)}"


def _told(microseconds: float) -> str:
    return f"{microseconds:.3g} µs" if microseconds < 1000 else f"{microseconds / 1000:.3g} ms"


@dataclass(frozen=True, slots=True)
class PlainMessage:
    """A message, by hand."""

    role: str
    content: str
    created_at: int


@dataclass(frozen=True, slots=True)
class PlainState:
    """A conversation's state, by hand."""

    status: str = "idle"
    messages: tuple[PlainMessage, ...] = ()
    error: str | None = None
    metadata: Mapping[str, str] | None = None


class PlainManager:
    """A manager of a conversation, by hand: a frozen state and callbacks."""

    def __init__(self) -> None:
        self.state = PlainState()
        self.callbacks: list[Callable[[PlainState, PlainState], object]] = []

    def update(self, **changes: Any) -> PlainState:
        """Make another state the current one."""
        old, self.state = self.state, replace(self.state, **changes)
        for callback in self.callbacks:
            callback(old, self.state)
        return self.state

    def add_message(self, role: str, content: str) -> None:
        """Add a message."""
        message = PlainMessage(role, content, time.time_ns() // 1_000_000)
        self.update(messages=(*self.state.messages, message))


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer edits, for a look")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    options = parser.parse_args()
    table = asyncio.run(measured(QUICK if options.quick else FULL))
    if SQLiteSession is None:
        print("SQLiteSession is left out: openai-agents is not installed; see --help")
    if options.markdown:
        print(markdown(HEADINGS, iter(table)))
    else:
        _show(table)


def _show(lines: list[tuple[str, ...]]) -> None:
    shown = Table(*HEADINGS)
    for line in lines:
        shown.add_row(*line)
    Console(width=None if Console().is_terminal else 180).print(shown)


async def measured(scale: Scale) -> list[tuple[str, ...]]:
    """Return the lines of the table."""
    lines = list(_updates(scale))
    with tempfile.TemporaryDirectory() as folder:
        theirs = ("", "") if SQLiteSession is None else await _session(scale, Path(folder))
        lines += _long_conversation(scale, theirs)
        lines += [*await _opened(scale, Path(folder))]
    lines.append(_stream(scale))
    lines += _searches(scale)
    return lines


# Updates ------------------------------------------------------------------------------------------------------------


def _updates(scale: Scale) -> Iterator[tuple[str, ...]]:
    ours, plain, heard = _manager(), PlainManager(), list[None]()
    ours.on_update(lambda _old, _new: heard.append(None))
    plain.callbacks.append(lambda _old, _new: heard.append(None))
    mine = _times(lambda number: ours.update(status=STATUSES[number % 3]), scale.updates)
    theirs = _times(lambda number: plain.update(status=STATUSES[number % 3]), scale.updates)
    assert len(heard) == 2 * ROUNDS * scale.updates
    yield (
        "`update(status=...)`, with snapshot and one callback",
        "mean 20 µs, p99 100 µs",
        f"{mine}: {1e6 / mine.mean:,.0f}/s",
        f"{theirs}: {1e6 / theirs.mean:,.0f}/s",
        "",
    )
    yield (
        "read of the snapshot",
        "1 µs",
        f"{_loop(lambda: ours.state):.3g} µs",
        f"{_loop(lambda: plain.state):.3g} µs",
        "",
    )
    yield "memory of a state without messages", "about 1 KB", f"{_size(ours.state):,} bytes", "", ""


def _manager() -> ConversationManager[Conversation]:
    return ConversationManager(Conversation(StateDocument(agent="bench")))


def _times(call: Callable[[int], object], number: int) -> Times:
    """Return the times of a call, of the best of several rounds."""
    return min(_round(call, number) for _ in range(ROUNDS))


def _round(call: Callable[[int], object], number: int) -> Times:
    gc.collect()
    taken, clock = [0] * number, time.perf_counter_ns
    for at in range(number):
        began = clock()
        call(at)
        taken[at] = clock() - began
    return Times(sum(taken) / number / 1e3, sorted(taken)[number * 99 // 100] / 1e3)


def _loop(read: Callable[[], object], number: int = 100_000) -> float:
    began = time.perf_counter_ns()
    for _ in range(number):
        read()
    return (time.perf_counter_ns() - began) / number / 1e3


def _size(value: Any) -> int:
    """Return the bytes of a state and of all that belongs to it alone."""
    if isinstance(value, Enum) or not (is_dataclass(value) or isinstance(value, (tuple, str, int, float))):
        return 0
    below = value if isinstance(value, tuple) else gc.get_referents(value) if is_dataclass(value) else ()
    return sys.getsizeof(value) + sum(_size(part) for part in below if not isinstance(part, type))


# Long conversations -------------------------------------------------------------------------------------------------


def _filled(number: int) -> ConversationManager[Conversation]:
    manager = _manager()
    for at in range(number):
        manager.add_message("user" if at % 2 == 0 else "assistant", TEXT, tokens=14)
    return manager


def _long_conversation(scale: Scale, theirs: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    manager, plain, heard = _filled(scale.messages), PlainManager(), list[None]()
    for _ in range(scale.messages):
        plain.add_message("user", TEXT)
    manager.on_update(lambda _old, _new: heard.append(None))
    plain.callbacks.append(lambda _old, _new: heard.append(None))
    mine = _round(lambda _number: manager.add_message("user", TEXT, tokens=14), scale.appends)
    by_hand = _round(lambda _number: plain.add_message("user", TEXT), scale.appends)
    assert len(heard) == 2 * scale.appends
    yield f"append to {scale.messages:,} messages", "1 ms", str(mine), str(by_hand), theirs[0]
    update = _filled(scale.messages).live.document.update_since()
    taken = [_milliseconds(lambda: _read(update, scale.messages)) for _ in range(scale.opens)]
    yield (
        f"open {scale.messages:,} messages from bytes in memory",
        "200 ms",
        f"{median(taken):.3g} ms ({len(update):,} bytes)",
        "",
        theirs[1],
    )


def _read(update: bytes, messages: int) -> ConversationState:
    state = ConversationManager(Conversation(StateDocument(update=update))).state
    assert state.message_count == messages
    return state


def _milliseconds(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.perf_counter_ns()
    kept = call()
    taken = (time.perf_counter_ns() - began) / 1e6
    del kept
    return taken


async def _opened(scale: Scale, folder: Path) -> list[tuple[str, ...]]:
    """Return how long a client takes to open a conversation, from its own file and from a server, and to update one."""
    mine = folder / "replicas"
    async with running_server(folder) as server:
        async with comity.connect(server.url, agent="a", directory=mine).open(ROOM, Conversation) as live:
            live.document.apply(_filled(scale.messages).live.document.update_since())
            live.metadata["topic"] = "flights"
            await live.durable()
        from_server = [await _open(server.url, None, scale.messages) for _ in range(scale.opens)]
        connected = await _connected(server.url, scale.updates)
    from_file = [await _open(server.url, mine, scale.messages) for _ in range(scale.opens)]
    what = f"open {scale.messages:,} messages from"
    return [
        (
            "`update(status=...)` in a session of a server that stores it",
            "none",
            f"{connected}: {1e6 / connected.mean:,.0f}/s",
            "",
            "",
        ),
        (f"{what} a client's own file, without a server", "200 ms", f"{median(from_file):.3g} ms", "", ""),
        (f"{what} a server on the same machine", "200 ms", f"{median(from_server):.3g} ms", "", ""),
    ]


async def _connected(url: str, number: int) -> Times:
    """Return what an update costs its writer who is connected; what is sent and stored is waited for in between."""
    taken: list[int] = []
    async with comity.connect(url, agent="a") as client, ConversationManager.open(client, "fast") as manager:
        await manager.live.synced()
        manager.on_update(lambda _old, _new: None)
        while len(taken) < number:
            for at in range(BURST):
                began = time.perf_counter_ns()
                manager.update(status=STATUSES[at % 3])
                taken.append(time.perf_counter_ns() - began)
            await manager.live.durable()
    return Times(sum(taken) / len(taken) / 1e3, sorted(taken)[len(taken) * 99 // 100] / 1e3)


async def _open(url: str, directory: Path | None, messages: int) -> float:
    gc.collect()
    began = time.perf_counter_ns()
    async with comity.connect(url, agent="a", directory=directory).open(ROOM, Conversation) as live:
        if directory is None:
            await live.synced()
        state = ConversationManager(live).state
        taken = (time.perf_counter_ns() - began) / 1e6
        assert state.message_count == messages
    return taken


def _searches(scale: Scale) -> Iterator[tuple[str, ...]]:
    """Yield how long a search takes, the first one after the conversation was read included."""
    manager, chance = _manager(), random.Random(7)
    for at in range(scale.messages):
        words = chance.choices(WORDS, [1 / rank for rank in range(1, len(WORDS) + 1)], k=45)
        manager.add_message("user" if at % 2 == 0 else "assistant", " ".join(words))
    texts = [str(message.content) for message in manager.state.messages]
    for query in (WORDS[-1], WORDS[12], f"{WORDS[12]} {WORDS[-1]}"):
        first = _milliseconds(partial(manager.search, query))
        later = median(_milliseconds(partial(manager.search, query)) for _ in range(scale.opens))
        found = len(manager.search(query, limit=None))
        plain = median(_milliseconds(partial(_scanned, texts, query)) for _ in range(scale.opens))
        yield (
            f"search {scale.messages:,} messages of {sum(map(len, texts)):,} characters, {found:,} of which match",
            "10 ms",
            f"{first:.3g} ms, then {later:.3g} ms",
            f"{plain:.3g} ms, unranked",
            "",
        )


def _scanned(texts: list[str], query: str) -> list[str]:
    words = query.casefold().split()
    return [text for text in texts if all(word in text.casefold() for word in words)]


def _stream(scale: Scale) -> tuple[str, ...]:
    manager, heard = _manager(), list[None]()
    manager.on_update(lambda _old, _new: heard.append(None))
    with manager.stream() as stream:
        times = _round(lambda _number: stream.write("token "), min(scale.updates, 1000))
        ended = _milliseconds(stream.complete)
    return "token of a streamed message, of 1,000", "none", f"{times}; end {ended:.3g} ms", "", ""


async def _session(scale: Scale, folder: Path) -> tuple[str, str]:
    """Return how long openai-agents' session takes to append to a long conversation, and to read it."""
    session = SQLiteSession("call", str(folder / "agents.db"))
    await session.add_items([{"role": "user", "content": TEXT}] * scale.messages)
    taken = []
    for _ in range(scale.appends):
        began = time.perf_counter_ns()
        await session.add_items([{"role": "user", "content": TEXT}])
        taken.append(time.perf_counter_ns() - began)
    session.close()
    reads = []
    for _ in range(scale.opens):
        began = time.perf_counter_ns()
        session = SQLiteSession("call", str(folder / "agents.db"))
        assert len(await session.get_items()) == scale.messages + scale.appends
        reads.append((time.perf_counter_ns() - began) / 1e6)
        session.close()
    append = Times(sum(taken) / len(taken) / 1e3, sorted(taken)[len(taken) * 99 // 100] / 1e3)
    return f"{append}, on disk", f"{median(reads):.3g} ms, from its file"


if __name__ == "__main__":
    main()
