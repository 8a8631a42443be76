"""A server under churn for twenty minutes: whether its memory and its latency stay flat.

Run ``python -m benchmarks.soak --minutes 20``; ``--picture`` draws docs/images/soak.svg, for which it needs the `bench`
extra. Clients come and go, by their good manners or without: some write texts, some overwrite typed state, most show
their presence, and now and then one reads nothing for some seconds. Rooms are opened, left and unloaded: half of the
visits are to rooms that are never seen again, the others to rooms that twenty visits share. Two clients in a room of
their own are the measure: how soon an edit of one is on disk, and how soon the other has it. The server is a process
of its own; its memory is what the system says to be resident.

In the end the slope of each figure is fitted, with its error, without the first fifth of the run, in which caches fill.
Exits with 1 if one of them rises, or if the server ended a visit.
"""

import argparse
import asyncio
import collections
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, NamedTuple

import psutil
from websockets.exceptions import ConnectionClosed

import comity
from benchmarks.picture import Course, Series, draw_courses
from benchmarks.rows import markdown
from benchmarks.slope import Slope, slope
from comity import Counter, Log, Map, Register, State
from comity.crdt_types.wire import Presence
from tests.support.raw import RawClient, raw_client
from tests.support.server import ServerProcess, running_server

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURE: Final = ROOT / "docs" / "images" / "soak.svg"

PLAIN_CLIENTS: Final = 24
AGENTS: Final = 6
LASTING_ROOMS: Final = 20
# After so many visits a lasting room is given up for a new one: documents grow with their history, and this is not
# about that.
VISITS_OF_A_ROOM: Final = 20
LONGEST_STAY: Final = 8.0  # seconds
IDLE_SECONDS: Final = 5.0  # after which a room is unloaded: many times over in a run
SAMPLE_SECONDS: Final = 10.0
PULSES_PER_SECOND: Final = 20
WARM: Final = 0.2  # the share of the run that is left out of the slopes


class Desk(State):
    """What agents overwrite."""

    status: Register[str]
    cells: Map[int]
    total: Counter
    notes: Log[str]


class Sample(NamedTuple):
    """What was seen in some seconds.

    Attributes:
        minute: when they ended.
        memory: the server's, in MiB.
        ack_p50: until an edit was on disk, in milliseconds.
        ack_p99: the same.
        seen_p50: until the other client had it.
        seen_p99: the same.
        rooms: in memory.
        connections: open.
        cpu: the server's share of one core.
    """

    minute: float
    memory: float
    ack_p50: float
    ack_p99: float
    seen_p50: float
    seen_p99: float
    rooms: int
    connections: int
    cpu: float


# Churn ------------------------------------------------------------------------------------------------------------


class Churn:
    """Those who come and go.

    Args:
        server: where to.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.visits = 0
        self.edits = 0
        # Visits that the server ended, by its close code.
        self.cut_off: collections.Counter[int] = collections.Counter()
        self._server = server
        self._chance = random.Random(4)
        self._visits = [0] * LASTING_ROOMS  # to each lasting room and those before it

    def room(self) -> str:
        """Return a room that was there before, or one that never was."""
        if self._chance.random() < 0.5:
            return self._lasting(self._chance.randrange(LASTING_ROOMS))
        return f"session/{self._chance.getrandbits(64):x}"

    def _lasting(self, number: int) -> str:
        self._visits[number] += 1
        return f"shared/lasting-{number}-{self._visits[number] // VISITS_OF_A_ROOM}"

    async def plain(self) -> None:
        """Come as a plain client, stay for a while, and leave."""
        chance = self._chance
        async with raw_client(self._server.url, self.room(), v1=chance.random() < 0.7, agent=self._name()) as client:
            await client.sync()
            if chance.random() < 0.7:
                await client.announce([Presence(client.doc.client_id, 1, json.dumps({"at": chance.random()}))])
            await self._stay(lambda: self._type(client))
            if chance.random() < 0.3:
                client.abort()

    async def slow(self) -> None:
        """Come, read nothing for a while where much is written, read on, and leave."""
        async with raw_client(self._server.url, self._lasting(0), agent=self._name()) as client:
            await client.sync()
            client.hold()
            await asyncio.sleep(self._chance.uniform(1, LONGEST_STAY))
            client.read_on()
            await client.sync()

    async def agent(self) -> None:
        """Come as an agent, overwrite typed state, wait until it is on disk, and leave."""
        async with comity.connect(self._server.url, agent=self._name()).open(self.room(), Desk) as desk:
            await desk.synced()
            await self._stay(lambda: self._work(desk))
            await desk.durable()

    async def again(self, visit: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
        """Visit again and again, with a pause in between."""
        while True:
            try:
                await visit()
            except ConnectionClosed as error:
                if error.rcvd is not None:  # or it was broken off here
                    self.cut_off[error.rcvd.code] += 1
            await asyncio.sleep(random.expovariate(1 / pause))

    def _name(self) -> str:
        self.visits += 1
        return f"agent-{self.visits}"

    async def _stay(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        end = time.monotonic() + self._chance.uniform(0, LONGEST_STAY)
        while time.monotonic() < end:
            await work()
            self.edits += 1
            await asyncio.sleep(self._chance.expovariate(5))

    async def _type(self, client: RawClient) -> None:
        text = client.text
        if len(text) > 2000:  # or the documents grow, and memory with them
            await client.update(_change(client, lambda: text.clear()))
        else:
            await client.edit("x" * self._chance.randrange(1, 200))

    async def _work(self, desk: Desk) -> None:
        with desk.transaction():
            desk.status.set(f"step {self.edits}")
            desk.cells[f"key {self._chance.randrange(20)}"] = self.edits
            desk.total.add(1)
            desk.notes.append("done")
            desk.notes.prune(20)


def _change(client: RawClient, change: Callable[[], object]) -> bytes:
    before = client.doc.get_state()
    change()
    return client.doc.get_update(before)


class StalledError(Exception):
    """The server did nothing for anybody: no latency tells of that."""


# Measuring --------------------------------------------------------------------------------------------------------


class Pulse:
    """Two clients in a room of their own, one of whom edits at a fixed pace.

    Attributes:
        acks: how long each edit took until it was on disk, in milliseconds, since they were last taken.
        seen: how long until the other one had it.
    """

    def __init__(self) -> None:
        self.acks: list[float] = []
        self.seen: list[float] = []

    async def beat(self, writer: Desk, reader: Desk) -> None:
        """Edit until cancelled."""
        began, arrived = 0.0, asyncio.Event()

        def note(_change: object) -> None:
            if not arrived.is_set():
                self.seen.append((time.perf_counter() - began) * 1e3)
                arrived.set()

        reader.on_change(note)
        while True:
            arrived.clear()
            began = time.perf_counter()
            writer.total.add(1)
            await writer.durable()
            self.acks.append((time.perf_counter() - began) * 1e3)
            await arrived.wait()
            await asyncio.sleep(max(0.0, 1 / PULSES_PER_SECOND - (time.perf_counter() - began)))

    def take(self) -> tuple[float, float, float, float]:
        """Return the median and the 99th percentile of both, and begin anew. Raises StalledError, if there are none."""
        if min(len(self.acks), len(self.seen)) < 2:
            raise StalledError("no edit came through since the last sample")
        cuts = [quantiles(each, n=100) for each in (self.acks, self.seen)]
        self.acks, self.seen = [], []
        (acks, seen) = cuts
        return acks[49], acks[98], seen[49], seen[98]


async def _watch(server: ServerProcess, pulse: Pulse, seconds: float) -> list[Sample]:
    """Return samples of so many seconds, telling of each."""
    process, samples, began = psutil.Process(server.pid), list[Sample](), time.monotonic()
    before = sum(process.cpu_times()[:2])
    while time.monotonic() - began < seconds:
        await asyncio.sleep(SAMPLE_SECONDS)
        status = json.loads(await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.http}/readyz").read()))
        used = sum(process.cpu_times()[:2])
        sample = Sample(
            (time.monotonic() - began) / 60,
            process.memory_info().rss / 2**20,
            *pulse.take(),
            status["rooms"],
            status["connections"],
            (used - before) / SAMPLE_SECONDS,
        )
        before = used
        samples.append(sample)
        print(_shown(sample), flush=True)
    return samples


def _shown(sample: Sample) -> str:
    return (
        f"{sample.minute:5.1f} min  {sample.memory:6.1f} MiB  ack {sample.ack_p50:5.2f} / {sample.ack_p99:6.2f} ms  "
        f"seen {sample.seen_p50:5.2f} / {sample.seen_p99:6.2f} ms  {sample.rooms:4d} rooms  "
        f"{sample.connections:3d} connections  CPU {sample.cpu:4.0%}"
    )


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[list[asyncio.Task[None]]]:
    """Run some coroutines while the context lasts; one that fails ends it."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def soak(seconds: float, data: Path) -> tuple[list[Sample], Churn]:
    """Run a server under churn, and return what was seen of it. Raises what a client failed with."""
    async with running_server(data, idle_seconds=IDLE_SECONDS) as server, AsyncExitStack() as stack:
        churn, pulse = Churn(server), Pulse()
        writer, reader = [
            await stack.enter_async_context(comity.connect(server.url, agent=name).open("shared/pulse", Desk))
            for name in ("writer", "reader")
        ]
        await asyncio.gather(writer.synced(), reader.synced())
        visits = [churn.plain] * PLAIN_CLIENTS + [churn.agent] * AGENTS
        tasks = await stack.enter_async_context(
            _running(
                pulse.beat(writer, reader), churn.again(churn.slow, 15), *(churn.again(visit, 1) for visit in visits)
            )
        )
        watching = asyncio.create_task(_watch(server, pulse, seconds))
        await asyncio.wait((watching, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                watching.cancel()
                task.result()
        return await watching, churn


# The verdict ------------------------------------------------------------------------------------------------------


_FIGURES: Final = (
    ("memory", "memory", "MiB"),
    ("ack_p50", "edit to acknowledgement, median", "ms"),
    ("ack_p99", "edit to acknowledgement, p99", "ms"),
    ("seen_p50", "edit to the other client, median", "ms"),
    ("seen_p99", "edit to the other client, p99", "ms"),
)


def slopes(samples: list[Sample]) -> dict[str, Slope]:
    """Return the slopes of the figures that are to be flat, without the time in which caches fill."""
    warm = samples[int(len(samples) * WARM) :]
    times = [sample.minute for sample in warm]
    return {name: slope(times, [getattr(sample, name) for sample in warm]) for name, _, _ in _FIGURES}


def _lines(fitted: dict[str, Slope]) -> Iterator[tuple[str, ...]]:
    for name, what, unit in _FIGURES:
        found = fitted[name]
        tells = "flat" if found.is_flat else "rises"
        yield what, f"{found.mean:.2f} {unit}", f"{found.value:+.4f} ± {found.error:.4f} {unit}", tells


def _panels(samples: list[Sample]) -> list[Course]:
    def series(name: str, field: str, *, dashed: bool = False) -> Series:
        return Series(name, dashed, [(sample.minute, float(getattr(sample, field))) for sample in samples])

    acks = [series("median", "ack_p50"), series("p99", "ack_p99", dashed=True)]
    seen = [series("median", "seen_p50"), series("p99", "seen_p99", dashed=True)]
    held = [series("rooms", "rooms"), series("connections", "connections", dashed=True)]
    return [
        Course("memory of the server, MiB", [series("resident", "memory")]),
        Course("edit to acknowledgement, ms", acks, is_logarithmic=True),
        Course("rooms in memory, connections", held),
        Course("edit to the other client, ms", seen, is_logarithmic=True),
    ]


def main() -> int:
    """Soak as the command line asks for, and print whether everything stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--picture", type=Path, nargs="?", const=PICTURE, help=f"draw it; {PICTURE.name} if not named")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples, churn = asyncio.run(soak(options.minutes * 60, Path(folder)))
    fitted = slopes(samples)
    print(f"\n{churn.visits:,} visits, {churn.edits:,} edits beside the two that were measured\n")
    print(markdown(("", "mean", "slope per minute", ""), _lines(fitted)))
    for code, count in churn.cut_off.items():
        print(f"\n{count:,} visits were ended by the server with {code}")
    if options.picture:
        draw_courses(_panels(samples), "minutes", options.picture)
    return 0 if all(found.is_flat for found in fitted.values()) and not churn.cut_off else 1


if __name__ == "__main__":
    sys.exit(main())
