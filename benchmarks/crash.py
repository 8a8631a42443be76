"""Lets the server's disk fail and its process die under load, and looks for acknowledged edits that are missing then.

`python -m benchmarks.crash --rounds 1000` from the repository; for Linux, with gcc. A round: several clients write as
fast as they are acknowledged, and something goes wrong in a system call on the database: in the middle of a commit, of
a snapshot or of a checkpoint. Everything that was acknowledged must be there then, and everything that the server had
told anybody else, and the database must be sound. Exits with 1 if not, or if something could not be read meanwhile.
Each round has one of four modes:

kill   the server is killed in the call, or at any other moment, and started again
power  the same, and what was not synced is lost
error  calls fail for some time, as on a disk that is full, broken or read-only, and the server has to go on by itself
short  writes store only a part at a time; nothing may come of it
"""

import argparse
import asyncio
import errno
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from websockets.exceptions import WebSocketException

from benchmarks.witnesses import LARGE, Evidence, Scene, loaded, read
from comity.persistence.verify import verify
from comity.server.app import DATABASE
from tests.support.faulty import ANY, FOR_GOOD, Action, Call, Faults
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import eventually

# One of the rooms is written to in so many rounds, so that it has snapshots and a long log.
ROUNDS_OF_A_ROOM: Final = 10
# Then everything is looked at once more, and an empty database follows: bounds what a thousand rounds take on disk.
ROUNDS_OF_A_DATABASE: Final = 20
SHORTEST: Final = 0.02  # seconds of load
LONGEST: Final = 0.5
HISTORY_DAYS: Final = 1e-9  # what snapshots have folded is deleted at once


class Aim(NamedTuple):
    """Where something is to go wrong: in which files, in which of so many calls, in transactions how large at least.

    Early calls are as likely as late ones on a scale of powers, since nobody knows how many there will be.
    """

    files: str
    calls: int
    unsynced: int = 0


ANYWHERE: Final = Aim(f"*/{DATABASE}*", 1500)  # about as many calls as there are in a round on an idle machine
COMMITS: Final = Aim(f"*/{DATABASE}-wal", 300)
COMPACTION: Final = Aim(f"*/{DATABASE}-wal", 100, LARGE)
CHECKPOINTS: Final = Aim(f"*/{DATABASE}", 150)


class Mode(StrEnum):
    """What goes wrong in a round."""

    KILL = "kill"
    POWER = "power"
    ERROR = "error"
    SHORT = "short"

    @property
    def is_fatal(self) -> bool:
        """Whether the server dies of it."""
        return self in (Mode.KILL, Mode.POWER)


@dataclass
class Result:
    """What some rounds came to.

    Attributes:
        rounds: how many there were of each mode.
        made: how many edits were made.
        acknowledged: how many of them the server acknowledged.
        heard: how many of them it told somebody else.
        missing: those of the last two that were not there afterwards.
        damaged: what was found of databases that are not sound.
        struck: how many rounds had their fault in which call on which file; in the last one, if in several.
        compacting: how many of those were in a transaction so large that it was compaction's.
        unread: what could not be read while calls failed.
        recovery: the longest that writers waited after a fault was over, in seconds.
        seconds: how long it took.
    """

    rounds: Counter[str] = field(default_factory=Counter)
    made: int = 0
    acknowledged: int = 0
    heard: int = 0
    missing: set[str] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    compacting: int = 0
    unread: set[str] = field(default_factory=set)
    recovery: float = 0.0
    seconds: float = 0.0

    def add(self, evidence: Iterable[Evidence]) -> None:
        """Count what clients can swear to."""
        for each in evidence:
            self.made += each.made
            self.acknowledged += len(each.acknowledged)
            self.heard += len(each.heard)


class Trial:
    """Rounds on one database.

    Args:
        server: the running server, whose files ``faults`` governs.
        database: its database.
        faults: what goes wrong.
        result: where everything is counted.
    """

    def __init__(self, server: ServerProcess, database: Path, faults: Faults, result: Result) -> None:
        self.evidence: dict[str, Evidence] = {}
        self._server = server
        self._database = database
        self._faults = faults
        self._result = result

    async def round(self, number: int, mode: Mode) -> None:
        """Put load on the server, let something go wrong, and look whether anything is missing."""
        rooms = _rooms_of(number)
        async with AsyncExitStack() as stack:
            for room in rooms:
                told = self.evidence.setdefault(room, Evidence())
                scene = Scene(self._server.url, room, number, told, mode.is_fatal)
                await stack.enter_async_context(loaded(scene))
            _begin(self._faults, mode)
            await (self._die() if mode.is_fatal else self._suffer(rooms))
            self._count_hit()
            ended = time.monotonic()
        if mode.is_fatal:
            await self._server.start()
        else:
            self._result.recovery = max(self._result.recovery, time.monotonic() - ended)
        self._result.rounds[mode] += 1
        await self.look(rooms)

    async def look(self, rooms: Iterable[str]) -> None:
        """Look for what is missing in some rooms, and for what is damaged in the database."""
        for room in rooms:
            missing = self.evidence[room].missing(await read(self._server.url, room))
            self._result.missing |= {f"{room}: {edit}" for edit in missing}
        report = await asyncio.to_thread(verify, self._database)
        if not report.is_sound:
            self._result.damaged.append(str(report))

    async def _die(self) -> None:
        await self._wait_hit(random.choice((LONGEST, random.uniform(SHORTEST, LONGEST))))
        self._faults.end()
        await (self._server.wait() if self._faults.hits else self._server.kill())

    async def _suffer(self, rooms: Iterable[str]) -> None:
        await self._wait_hit(LONGEST)
        await asyncio.sleep(random.uniform(SHORTEST, LONGEST))
        for room in rooms:
            try:
                await read(self._server.url, room)
            except (AssertionError, OSError, WebSocketException) as error:
                self._result.unread.add(f"{room}: {error!r}")
        self._faults.end()

    async def _wait_hit(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await eventually(lambda: self._faults.hits, within=seconds)

    def _count_hit(self) -> None:
        if not self._faults.hits:
            self._result.struck["none"] += 1
            return
        call, file, unsynced = self._faults.last
        self._result.struck[f"{call.name} of {file.name}".lower()] += 1
        self._result.compacting += unsynced > LARGE and file.name.endswith("-wal")


def _rooms_of(number: int) -> tuple[str, str]:
    """Return the rooms of a round: one of its own, and one that several rounds share."""
    return f"round/{number}", f"rounds/{number // ROUNDS_OF_A_ROOM}"


def _begin(faults: Faults, mode: Mode) -> None:
    """Let a fault of a kind begin, at any of the calls that follow."""
    files, calls, unsynced = random.choice((ANYWHERE, COMMITS, COMPACTION, CHECKPOINTS))
    after, seed = int(calls ** random.random()) - 1, random.randrange(2**32)
    begin = partial(faults.begin, files=files, unsynced=unsynced, after=after, seed=seed)
    match mode:
        case Mode.KILL:
            begin(Action.KILL)
        case Mode.POWER:
            begin(Action.CUT)
        case Mode.SHORT:
            begin(Action.PART, calls=Call.WRITE)
        case Mode.ERROR:
            begin(
                random.choice((Action.FAIL, Action.TEAR)),
                calls=random.choice((ANY, Call.WRITE, Call.SYNC)),
                error=random.choice((errno.EIO, errno.ENOSPC, errno.EROFS)),
                count=random.choice((1, FOR_GOOD)),
            )


async def run(
    rounds: int, folder: Path, modes: Sequence[Mode] = tuple(Mode), progress: Callable[[str], object] = str
) -> Result:
    """Run so many rounds.

    Args:
        rounds: how many.
        folder: an empty directory, for the databases.
        modes: what goes wrong, by turns.
        progress: told of every tenth round.
    """
    result, start = Result(), time.monotonic()
    (folder / "faults").mkdir(parents=True)
    faults = Faults(folder / "faults")
    with faults.preloaded():
        for first in range(0, rounds, ROUNDS_OF_A_DATABASE):
            data = folder / f"{first}"
            async with running_server(data, history_days=HISTORY_DAYS, log_level="error") as server:
                trial = Trial(server, data / DATABASE, faults, result)
                for number in range(first, min(first + ROUNDS_OF_A_DATABASE, rounds)):
                    await trial.round(number, modes[number % len(modes)])
                    if number % 10 == 9:
                        progress(f"{number + 1} rounds, {len(result.missing)} edits missing")
                await server.kill()
                await server.start()
                await trial.look(trial.evidence)
            result.add(trial.evidence.values())
            await asyncio.to_thread(shutil.rmtree, data)
    result.seconds = time.monotonic() - start
    return result


def report(result: Result) -> str:
    """Return what is to be said of some rounds."""
    counts = ", ".join(f"{count} {mode}" for mode, count in result.rounds.items())
    struck = ", ".join(f"{count} in {call}" for call, count in result.struck.most_common())
    return (
        f"{result.rounds.total()} rounds in {result.seconds:.0f} s ({counts}): {result.made} edits made, "
        f"{result.acknowledged} acknowledged, {result.heard} heard by others, {len(result.missing)} missing, "
        f"{len(result.damaged)} databases damaged, {len(result.unread)} not readable\n"
        f"calls that met a fault: {struck}; {result.compacting} of them in compaction\n"
        f"longest wait after a fault was over: {result.recovery:.1f} s"
    )


def main() -> int:
    """Run the rounds that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description="Let the server's disk fail.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--modes", type=Mode, nargs="+", choices=list(Mode), default=list(Mode))
    options = parser.parse_args()
    logging.getLogger("comity").setLevel(logging.ERROR)  # the agents warn of what they take with them
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run(options.rounds, Path(folder), options.modes, print))
    print(report(result))
    faults = [*sorted(result.missing), *result.damaged, *sorted(result.unread)]
    for line in faults:
        print(line)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
