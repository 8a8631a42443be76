"""A whole paper, keystroke by keystroke, through the server: its log, what is left of it when folded, and its past.

Run ``scripts/bench paper``, with ../shared/data/automerge-paper.json.gz beside the repository, or name another file of
the kind. Each edit is waited for until it is on disk, so each is a version of its own. The text is compared with what
the recording says it was: at the end, and at every point of the past that is looked at.
"""

import argparse
import asyncio
import gzip
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import comity
from comity import State, Text
from comity.persistence.sqlite import SqliteStore
from comity.server.app import DATABASE
from comity.server.rooms.document import restore
from tests.support.optional import REAL_DATA
from tests.support.server import running_server

ROOM: Final = "shared/paper"
POINTS: Final = 50


class Paper(State):
    """What is written."""

    text: Text


class Recording(NamedTuple):
    """Edits as (position, characters that go, characters that come), and the text that they come to."""

    edits: list[tuple[int, int, str]]
    end: str


def read(path: Path, limit: int | None) -> Recording:
    """Read a recording of one writer, or its first edits."""
    with gzip.open(path) as file:
        recorded: dict[str, Any] = json.load(file)
    edits = [(at, gone, come) for each in recorded["txns"] for at, gone, come in each["patches"]][:limit]
    *_, (_, end) = texts(edits, {len(edits)})
    assert limit is not None or end == recorded["endContent"]
    return Recording(edits, end)


def texts(edits: list[tuple[int, int, str]], wanted: set[int]) -> Iterator[tuple[int, str]]:
    """Yield the text after so many edits, for each number wanted."""
    text: list[str] = []
    for number, (at, gone, come) in enumerate(edits, 1):
        text[at : at + gone] = come
        if number in wanted:
            yield number, "".join(text)


async def write(url: str, recording: Recording) -> float:
    """Write the paper, waiting for each edit; return how many seconds that took."""
    async with comity.connect(url, agent="author").open(ROOM, Paper) as paper:
        await paper.synced()
        began = time.perf_counter()
        for at, gone, come in recording.edits:
            with paper.transaction():
                if gone:
                    paper.text.delete(at, gone)
                if come:
                    paper.text.insert(at, come)
            await paper.durable()
        seconds = time.perf_counter() - began
        assert str(paper.text) == recording.end
    return seconds


async def open_anew(url: str, recording: Recording) -> float:
    """Open the room of a server that has just started; return how many seconds it took until all of it was here."""
    began = time.perf_counter()
    async with comity.connect(url).open(ROOM, Paper) as paper:
        await paper.synced()
        seconds = time.perf_counter() - began
        assert str(paper.text) == recording.end
    return seconds


async def look_back(url: str, recording: Recording) -> list[float]:
    """See the paper as it was at points all along; return how many seconds each took."""
    last = len(recording.edits)
    points = {max(last * n // POINTS, 1) for n in range(1, POINTS + 1)}
    took = []
    async with comity.connect(url).history(ROOM) as history:
        for number, text in texts(recording.edits, points):
            began = time.perf_counter()
            paper = await history.at(number, Paper)
            took.append(time.perf_counter() - began)
            assert str(paper.text) == text, number
    return took


async def load(path: Path) -> float:
    """Load the room from its file, and return how many seconds it took."""
    async with SqliteStore(path) as store:
        began = time.perf_counter()
        loaded = await store.load(ROOM)
        assert loaded is not None
        restore(ROOM, loaded)
        return time.perf_counter() - began


def sizes(path: Path) -> str:
    """Return what lies in the database."""
    with closing(sqlite3.connect(path)) as database:
        ((versions, log),) = database.execute('SELECT count(*), sum(length("update")) FROM updates').fetchall()
        ((count, kept),) = database.execute("SELECT count(*), sum(length(state)) FROM snapshots").fetchall()
        ((newest,),) = database.execute("SELECT length(state) FROM snapshots ORDER BY seq DESC LIMIT 1").fetchall()
    return (
        f"{versions:,} versions, {log:,} bytes of updates; the newest snapshot has {newest:,}, "
        f"all {count} of them {kept:,}; the file {path.stat().st_size:,}"
    )


async def run(recording: Recording) -> None:
    """Measure, and print each figure as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        async with running_server(data) as server:
            seconds = await write(server.url, recording)
            count = len(recording.edits)
            print(f"written          {count:,} edits in {seconds:.1f} s, {count / seconds:,.0f} /s")
        print(f"on disk          {sizes(data / DATABASE)}")
        print(f"loaded           {await load(data / DATABASE) * 1e3:.1f} ms")
        async with running_server(data) as server:
            print(f"opened           {await open_anew(server.url, recording) * 1e3:.1f} ms, server and client")
            took = await look_back(server.url, recording)
        worst, middle = max(took) * 1e3, median(took) * 1e3
        print(f"seen as it was   at {len(took)} points: median {middle:.1f} ms, at most {worst:.1f} ms")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=REAL_DATA / "automerge-paper.json.gz")
    parser.add_argument("--edits", type=int, help="only so many of the first")
    arguments = parser.parse_args()
    asyncio.run(run(read(arguments.path, arguments.edits)))


if __name__ == "__main__":
    main()
