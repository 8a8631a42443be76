"""Kills the server at random moments under load, and looks for acknowledged edits that are missing afterwards.

`python -m benchmarks.crash --rounds 100` from the repository. A round: several clients write as fast as they are
acknowledged, the server is killed with SIGKILL, all clients go away, the server is started again on the same data, and
a client that knows nothing reads what there is. Everything that was acknowledged must be there, and everything that
the server had told anybody else. Exits with 1 if anything is missing.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple

import pycrdt
from websockets.exceptions import ConnectionClosed

import comity
from comity import Log, Map, State
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import eventually

ROUNDS_OF_A_ROOM: Final = (
    10  # one of the rooms is written to in so many rounds, so that it has snapshots and a long log
)
RAW_WRITERS: Final = 3  # in each room
AGENTS: Final = 2  # in each room
WINDOW: Final = 50  # updates that a raw writer sends ahead of their acknowledgement
SIZES: Final = (50, 400, 4000)  # characters of an edit at most; some megabytes in a few rounds, hence snapshots
SHORTEST: Final = 0.02  # seconds of load
LONGEST: Final = 0.5


class Load(State):
    """What agents write."""

    cells: Map[str]
    notes: Log[str]


@dataclass
class Evidence:
    """What clients can swear to about one room.

    Attributes:
        acknowledged: names of the edits that the server acknowledged.
        heard: names of the edits that it told somebody else.
        made: how many edits were made in all.
    """

    acknowledged: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    made: int = 0

    def missing(self, found: set[str]) -> set[str]:
        """Return the edits that should be there and are not."""
        return (self.acknowledged | self.heard) - found


def payload() -> str:
    """Return an edit's content."""
    return "x" * random.randrange(1, random.choice(SIZES))


async def write_raw(client: RawClient, name: str, evidence: Evidence) -> None:
    """Write into the map "raw" until the server has gone, a window ahead of the acknowledgements."""
    cells: pycrdt.Map[Any] = client.doc.get("raw", type=pycrdt.Map)
    written: dict[int, str] = {}
    with suppress(ConnectionClosed, AssertionError):
        while True:
            before = client.doc.get_state()
            cells[edit := f"{name}/{len(written)}"] = payload()
            evidence.made += 1
            written[await client.update(client.doc.get_update(before))] = edit
            await client.until(lambda: client.sent - client.acknowledged < WINDOW)
    await client.closed()
    evidence.acknowledged.update(edit for n, edit in written.items() if n <= client.acknowledged)


async def write_typed(state: Load, name: str, evidence: Evidence) -> None:
    """Write as an agent does, until cancelled: a few edits, then `durable()`."""
    for number in count():
        edits = [f"{name}/{number}/{i}" for i in range(random.randrange(1, 4))]
        evidence.made += len(edits)
        with state.transaction():
            for edit in edits:
                state.cells[edit] = payload()
                state.notes.append(edit)
        await state.durable()
        evidence.acknowledged.update(edits)


def edits_in(client: RawClient) -> set[str]:
    """Return the names of the edits that a client was given, an agent's only if all of it is there."""
    typed = Load(comity.StateDocument(update=client.doc.get_update()))
    raw: pycrdt.Map[Any] = client.doc.get("raw", type=pycrdt.Map)
    return set(raw.keys()) | (set(typed.cells) & set(typed.notes))


@asynccontextmanager
async def agent(url: str, room: str, name: str, evidence: Evidence) -> AsyncGenerator[None]:
    """Let an agent write while the context lasts; it leaves when the server has gone, and does not come back."""
    async with comity.connect(url, agent=name).open(room, Load) as state:
        await state.synced()
        writing = asyncio.create_task(write_typed(state, name, evidence))
        yield
        await eventually(lambda: state.replica.status == "offline")
        writing.cancel()
        await asyncio.wait([writing])


@asynccontextmanager
async def raw_writer(url: str, room: str, name: str, evidence: Evidence) -> AsyncGenerator[None]:
    """Let a client without any cleverness write while the context lasts, and collect what was acknowledged to it."""
    async with raw_client(url, room) as client:
        writing = asyncio.create_task(write_raw(client, name, evidence))
        yield
        await writing


@asynccontextmanager
async def listener(url: str, room: str, evidence: Evidence) -> AsyncGenerator[None]:
    """Let somebody listen while the context lasts, and collect what was heard."""
    async with raw_client(url, room) as client:
        await client.sync()
        yield
        await client.closed()
        evidence.heard.update(edits_in(client))


async def crash(server: ServerProcess, number: int, evidence: dict[str, Evidence]) -> None:
    """Put load on a server, and kill it at a random moment."""
    async with AsyncExitStack() as stack:
        for room in rooms_of(number):
            told = evidence.setdefault(room, Evidence())
            await stack.enter_async_context(listener(server.url, room, told))
            for i in range(AGENTS):
                await stack.enter_async_context(agent(server.url, room, f"agent-{number}-{i}", told))
            for i in range(RAW_WRITERS):
                await stack.enter_async_context(raw_writer(server.url, room, f"raw-{number}-{i}", told))
        await asyncio.sleep(random.uniform(SHORTEST, LONGEST))
        await server.kill()


def rooms_of(number: int) -> tuple[str, str]:
    """Return the rooms of a round: one of its own, and one that several rounds share."""
    return f"round/{number}", f"rounds/{number // ROUNDS_OF_A_ROOM}"


async def missing(server: ServerProcess, evidence: dict[str, Evidence], rooms: Iterable[str]) -> set[str]:
    """Return the edits that a client that knows nothing should find in some rooms, and does not."""
    lost: set[str] = set()
    for room in rooms:
        async with raw_client(server.url, room) as reader:
            await reader.sync()
            lost |= {f"{room}: {edit}" for edit in evidence[room].missing(edits_in(reader))}
    return lost


class Result(NamedTuple):
    """What some rounds came to.

    Attributes:
        made: how many edits were made.
        acknowledged: how many of them the server acknowledged.
        heard: how many of them it told somebody else.
        missing: those of the last two that were not there afterwards.
        seconds: how long it took.
    """

    rounds: int
    made: int
    acknowledged: int
    heard: int
    missing: set[str]
    seconds: float


async def run(rounds: int, data: Path, progress: Callable[[str], object] = str) -> Result:
    """Run so many rounds on one data directory; the last look is at every room again.

    Args:
        rounds: how many.
        data: the server's data directory.
        progress: told of every tenth round.
    """
    evidence: dict[str, Evidence] = {}
    lost: set[str] = set()
    start = time.monotonic()
    async with running_server(data) as server:
        for number in range(rounds):
            await crash(server, number, evidence)
            await server.start()
            lost |= await missing(server, evidence, rooms_of(number))
            if number % 10 == 9:
                progress(f"{number + 1} rounds, {len(lost)} edits missing")
        lost |= await missing(server, evidence, evidence)
    totals = evidence.values()
    return Result(
        rounds,
        sum(each.made for each in totals),
        sum(len(each.acknowledged) for each in totals),
        sum(len(each.heard) for each in totals),
        lost,
        time.monotonic() - start,
    )


def main() -> int:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description="Kill the server under load.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--data", type=Path, help="data directory of the server; a temporary one if not given")
    options = parser.parse_args()
    logging.getLogger("comity").setLevel(logging.ERROR)  # the agents warn of what they take with them
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(options.rounds, options.data or Path(folder), print))
    print(
        f"{result.rounds} rounds in {result.seconds:.0f} s: {result.made} edits made, {result.acknowledged} "
        f"acknowledged, {result.heard} heard by others, {len(result.missing)} missing"
    )
    for edit in sorted(result.missing):
        print(f"missing {edit}")
    return 1 if result.missing else 0


if __name__ == "__main__":
    sys.exit(main())
