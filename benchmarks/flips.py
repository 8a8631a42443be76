"""Flips bits of a database file, one at a time, and looks whether anything is served that is not what was written.

`python -m benchmarks.flips --flips 20000` from the repository. For each flip a store opens a copy of the file and reads
all that there is; verify reads it as well. Either all is as it was (the flip is harmless), or whatever is not is an
error or said to be damaged, and verify finds it. Exits with 1 if a flip is served as truth, is not found, or ends
the process that reads.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.flips import Outcome, flip, outcome, read, write

# Flips between two words on how far it has come, and what a process that crashes takes with it.
BATCH: Final = 50


class Found(NamedTuple):
    """What a flip came to; ``error`` is what nobody expected."""

    bit: int
    outcome: Outcome | None
    error: str


def work(data: bytes, truth: dict[str, Any], bits: list[int]) -> list[Found]:
    """Try some flips."""
    with tempfile.TemporaryDirectory(prefix="comity-flips-") as folder, asyncio.Runner() as runner:
        found = []
        for bit in bits:
            path = Path(folder) / str(bit) / "comity.sqlite3"
            path.parent.mkdir()
            path.write_bytes(flip(data, bit))
            try:
                found.append(Found(bit, runner.run(outcome(path, truth)), ""))
            except Exception as error:  # whatever it is, it is to be told with its bit
                found.append(Found(bit, None, repr(error)))
            for file in path.parent.iterdir():
                file.unlink()
        return found


def tried(data: bytes, truth: dict[str, Any], bits: list[int], jobs: int) -> list[Found]:
    """Try all flips, in other processes."""
    batches = [bits[at : at + BATCH] for at in range(0, len(bits), BATCH)]
    results: list[Found] = []
    with ProcessPoolExecutor(jobs) as pool:
        for done, batch in enumerate([pool.submit(work, data, truth, batch) for batch in batches], 1):
            try:
                found = batch.result()
            except BrokenProcessPool:
                found = [Found(bit, None, "the process ended") for bit in batches[done - 1]]
            for each in found:
                if faults_of(each):
                    print(each, flush=True)
            results += found
            print(f"\r{done * BATCH:,} of {len(bits):,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


async def made(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Return a database's bytes, and what is read of it."""
    path = folder / "comity.sqlite3"
    await write(path)
    return path.read_bytes(), await read(path)


def faults_of(found: Found) -> list[str]:
    """Return what must not be, of a flip."""
    result = found.outcome
    if result is None:
        return [f"failed: {found.error}"]
    faults = [f"served as truth: {what}" for what in result.served]
    return faults if result.is_harmless or result.is_reported else [*faults, "not reported by verify"]


def report(results: list[Found], seconds: float) -> int:
    """Print what came out, and return the exit code."""
    outcomes = [found.outcome for found in results if found.outcome is not None]
    harmless = sum(outcome.is_harmless for outcome in outcomes)
    told = sum(outcome.is_harmless and outcome.is_reported for outcome in outcomes)
    faults = Counter(fault for found in results for fault in faults_of(found))
    print(f"{len(results):,} flips in {seconds:,.0f} s: {harmless:,} harmless ({told:,} of them reported by verify)")
    print(f"{len(outcomes) - harmless:,} not; {faults.total():,} faults")
    for fault, count in faults.most_common():
        print(f"{count:>7,}  {fault}")
    return 1 if faults else 0


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--bits", type=int, nargs="*", help="these, and no others")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comity-flips-") as folder:
        data, truth = asyncio.run(made(Path(folder)))
    chance = random.Random(given.seed)
    bits = given.bits or chance.sample(range(len(data) * 8), min(given.flips, len(data) * 8))
    print(f"a database of {len(data):,} bytes, seed {given.seed}")
    began = time.perf_counter()
    return report(tried(data, truth, bits, given.jobs), time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
