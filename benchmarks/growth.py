"""How a document grows with what was overwritten in it, typed and as a plain Y.Map, in Python and in JavaScript.

Run ``python -m benchmarks.growth``; it prints a table and draws docs/images/growth.svg, or what ``--picture`` names.
``--quick`` stops at 10,000 overwrites. The bytes are the same in every run.

Memory is that of one replica that was there all along. A process of its own holds several of them, and what it has
grown by is divided. In Python that is its resident memory: what yrs allocates, which is Rust, is in no other count.
In Node it is what V8 says to be in use after a collection of garbage, buffers outside of its heap included.
"""

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from benchmarks.node import measured_by_node, unavailable
from benchmarks.overwrites import LAYOUTS, Overwrites
from benchmarks.picture import Curve, Panel, draw
from benchmarks.rows import WRITERS, markdown

WRITES: Final = (1_000, 3_000, 10_000, 30_000, 100_000)
REPLICAS: Final = 8  # in one process: enough for what it takes in pages to tell something of a small document
ROOT: Final = Path(__file__).resolve().parent.parent
PICTURE: Final = ROOT / "docs" / "images" / "growth.svg"


class Point(NamedTuple):
    """What was measured of one document."""

    language: str
    layout: str
    writers: int
    writes: int
    size: int
    memory: float


def main() -> None:
    """Measure, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 overwrites only")
    parser.add_argument(
        "--picture", type=Path, default=ROOT / "docs" / "images" / "growth.svg", help="where to draw it"
    )
    parser.add_argument("--one", nargs=2, metavar=("LAYOUT", "WRITERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    writes = WRITES[:3] if options.quick else WRITES
    if options.one:
        print(json.dumps(list(grown(options.one[0], int(options.one[1]), writes))))
        return
    points = list(measure(writes, sys.argv[1:]))
    print(markdown(*table(points)))
    draw(panels(points), options.picture)


def measure(writes: Sequence[int], options: Sequence[str]) -> Iterator[Point]:
    """Yield a point for each language, layout, number of writers and number of overwrites."""
    for layout in LAYOUTS:
        for writers in (1, WRITERS):
            command = [sys.executable, "-m", "benchmarks.growth", *options, "--one", layout, str(writers)]
            for told in json.loads(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout):
                yield Point("Python", layout, writers, *told)
    if reason := unavailable():
        print(f"JavaScript is left out: {reason}")
        return
    for told in measured_by_node("growth.mjs", {"writes": writes, "writers": [1, WRITERS], "replicas": REPLICAS}):
        yield Point("JavaScript", *told)


def grown(layout: str, writers: int, writes: Iterable[int]) -> Iterator[tuple[int, int, float]]:
    """Yield the overwrites so far, the bytes of a document and the memory of a replica, in a process of its own."""
    Overwrites(LAYOUTS[layout], writers).go_on(1)  # what the first takes besides, such as code that is loaded for it
    before = _resident()
    groups = [Overwrites(LAYOUTS[layout], writers) for _ in range(REPLICAS // writers)]
    for number in writes:
        sizes = [len(group.go_on(number)) for group in groups]
        yield number, sizes[0], (_resident() - before) / REPLICAS


def _resident() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


# Showing ---------------------------------------------------------------------------------------------------------


def table(points: list[Point]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and lines of the table: a line for each language and number of overwrites."""
    columns = list(dict.fromkeys((point.layout, point.writers) for point in points))
    found = {tuple(point[:4]): point for point in points}
    lines = [
        [language, f"{writes:,}", *(_shown(found[language, *column, writes]) for column in columns)]
        for language, writes in dict.fromkeys((point.language, point.writes) for point in points)
    ]
    return ["", "overwrites", *(f"{layout}, {_by(writers)}" for layout, writers in columns)], lines


def _shown(point: Point) -> str:
    return f"{point.size:,} ({point.memory / 1024:,.0f} KiB)"


def _by(writers: int) -> str:
    return f"{writers} writers" if writers > 1 else "1 writer"


def panels(points: list[Point]) -> list[Panel]:
    """Return what to draw: for each language its bytes and its memory."""
    languages = dict.fromkeys(point.language for point in points)
    return [
        Panel(f"{language}: {title}", [_curve(curve, at) for curve in _curves(points, language)])
        for at, title in (("size", "bytes of the document"), ("memory", "bytes of memory"))
        for language in languages
    ]


def _curves(points: list[Point], language: str) -> Iterator[list[Point]]:
    for layout in LAYOUTS:
        for writers in (1, WRITERS):
            yield [point for point in points if point[:3] == (language, layout, writers)]


def _curve(points: list[Point], at: str) -> Curve:
    layout, writers = points[0].layout, points[0].writers
    # A document of a few kilobytes may fit into pages that the process had: no logarithm has a place for that.
    places = [(float(point.writes), max(float(getattr(point, at)), 1.0)) for point in points]
    return Curve(f"{layout}, {_by(writers)}", layout == "Comity", writers > 1, places)


if __name__ == "__main__":
    main()
