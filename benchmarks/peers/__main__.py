"""Comity beside other Yjs servers, under the same load in the same run.

Run ``scripts/bench peers``. Each server is a process on a core of its own, the load on another. ``--quick`` measures
for 2 s instead of 8, before JavaScript is at its best, for a look. ``--write`` writes the tables and the picture into
the documentation.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.peers import page
from benchmarks.peers.bench import Bench, allow_many_files, cores
from benchmarks.peers.crosscheck import crosscheck
from benchmarks.peers.failures import LoadError
from benchmarks.peers.load import Load
from benchmarks.peers.servers import JS, NODE, SERVERS, Server, running
from benchmarks.peers.table import WIRE_HEADINGS, figures, wire
from benchmarks.peers.workloads import WORKLOADS, Outcome

SECONDS: Final = 8.0
QUICK_SECONDS: Final = 2.0


def main() -> None:
    """Measure and show."""
    options = _options()
    if not NODE.exists():
        raise LoadError(f"{JS.name}/node_modules is absent; scripts/bench peers installs it")
    server_core, load_core = cores()
    allow_many_files()
    os.sched_setaffinity(0, {load_core})
    servers = [SERVERS[name] for name in options.servers]
    for server in servers:
        print(server.versions())
    for server in servers:
        print(_checked(server, server_core), flush=True)
    outcomes: dict[str, dict[str, Outcome | str]] = {}
    for workload in options.only:
        outcomes[workload] = {
            server.name: _measured(workload, server, server_core, options.seconds) for server in servers
        }
        for line in wire({workload: outcomes[workload]}):
            print(", ".join(f"{heading} {cell}" for heading, cell in zip(WIRE_HEADINGS, line, strict=True) if cell))
    headings, lines = figures(outcomes, options.servers)
    _show(headings, lines)
    if options.write:
        page.write(outcomes, servers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench peers", description=__doc__)
    parser.add_argument(
        "--quick", action="store_const", dest="seconds", const=QUICK_SECONDS, default=SECONDS, help="measure for 2 s"
    )
    parser.add_argument("--only", type=_names(WORKLOADS), default=list(WORKLOADS), help=_some(WORKLOADS))
    parser.add_argument("--servers", type=_names(SERVERS), default=list(SERVERS), help=_some(SERVERS))
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md and its picture; all or nothing"
    )
    options = parser.parse_args()
    if options.write and (options.only, options.servers, options.seconds) != (list(WORKLOADS), list(SERVERS), SECONDS):
        parser.error("--write needs every workload on every server at full length")
    return options


def _some(known: Iterable[str]) -> str:
    return f"some of {', '.join(known)}, with commas in between"


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what reads names that are separated by commas, and takes only these."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; choose of {', '.join(known)}")
        return names

    return read


def _checked(server: Server, core: int) -> str:
    with tempfile.TemporaryDirectory() as folder, running(server, Path(folder), core) as process:
        try:
            return crosscheck(process)
        except (LoadError, OSError) as error:
            raise LoadError(f"{server.name}: {error}\n{process.errors()}") from error


def _measured(workload: str, server: Server, core: int, seconds: float) -> Outcome | str:
    """Run a workload on a fresh server; a server that does not bear it has words instead of figures."""
    with tempfile.TemporaryDirectory() as folder, running(server, Path(folder), core) as process, Load() as load:
        try:
            return WORKLOADS[workload](Bench(process, load, seconds))
        except (LoadError, OSError) as error:
            print(f"{server.name} did not bear {workload}: {error}\n{process.errors()}", file=sys.stderr)
            return "did not finish"


def _show(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    shown = Table(*headings)
    for line in lines:
        shown.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 180).print(shown)


if __name__ == "__main__":
    try:
        main()
    except LoadError as error:
        sys.exit(f"scripts/bench peers: {error}")
