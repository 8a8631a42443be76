"""An agent in a process of its own, which works until it is killed.

`python -m tests.support.agent_process URL AGENT DIRECTORY` spends, and notes what it spent in the same transaction,
again and again. It prints "saved NOTE AMOUNT" once that is in its own file, "live" once it has met the server, and
"durable" once the server has what it found in its directory.
"""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

import comity
from comity import Counter, Log, ORSet, Register, State, Text

from .optional import ROOT
from .waiting import DEADLINE

ROOM: Final = "shared/ledger"


class Ledger(State):
    """What the agents share: all that was spent, and a note of each expense."""

    spent: Counter
    expenses: Log[tuple[str, int]]
    agents: ORSet[str]
    latest: Register[str]
    remarks: Text


def spend(ledger: Ledger, note: str, amount: int) -> None:
    """Spend an amount and note it."""
    with ledger.transaction():
        ledger.spent.add(amount)
        ledger.expenses.append((note, amount))
        ledger.latest.set(note)


def notes(ledger: Ledger) -> list[str]:
    """Return the note of every expense."""
    return [note for note, _amount in ledger.expenses]


class AgentProcess:
    """The process as its parent sees it.

    Attributes:
        saved: the amounts it reported as saved, by their notes.
    """

    def __init__(self, process: Process) -> None:
        self.saved: dict[str, int] = {}
        self._process = process

    async def until_saved(self, edits: int) -> None:
        """Return once it has reported so many more edits."""
        wanted = len(self.saved) + edits
        while len(self.saved) < wanted:
            await self._read()

    async def until_told(self, what: str) -> None:
        """Return once it says "live" or "durable"."""
        while await self._read() != what:
            pass

    async def kill(self) -> None:
        """Kill it with SIGKILL, and read what it said before."""
        self._process.kill()
        assert self._process.stdout is not None
        for line in (await self._process.stdout.read()).split(b"\n")[:-1]:
            self._note(line.decode())
        await self._process.wait()

    async def _read(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = (await self._process.stdout.readline()).decode()
        assert line, "the agent has ended"
        return self._note(line)

    def _note(self, line: str) -> str:
        what, *rest = line.split()
        if what == "saved":
            self.saved[rest[0]] = int(rest[1])
        return what


@asynccontextmanager
async def agent_process(url: str, agent: str, directory: Path) -> AsyncGenerator[AgentProcess]:
    """Run an agent, and kill it at the end."""
    command = [sys.executable, "-m", "tests.support.agent_process", url, agent, str(directory)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)
    worker = AgentProcess(process)
    try:
        yield worker
    finally:
        if process.returncode is None:
            await worker.kill()


def _report(line: str) -> None:
    """Print a line past every buffer of this process."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


async def _tell(ledger: Ledger) -> None:
    await ledger.synced()
    _report("live")
    await ledger.durable()
    _report("durable")


async def _work(url: str, agent: str, directory: str) -> None:
    async with comity.connect(url, agent=agent, directory=directory).open(ROOM, Ledger) as ledger:
        teller = asyncio.create_task(_tell(ledger))
        for number in count():
            note, amount = f"{agent}/{os.getpid()}/{number}", random.randint(-5, 20)
            spend(ledger, note, amount)
            await ledger.replica.saved()
            _report(f"saved {note} {amount}")
        await teller


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
