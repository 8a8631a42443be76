"""An agent with a local tier in a process of its own, which works until it is killed.

`python -m tests.support.local_process DIRECTORY` notes numbers, each as a version, and prints "saved NUMBER" once it is
on the disk.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import comity
from comity import Counter, Log, State

from .optional import ROOT
from .waiting import DEADLINE


class Diary(State):
    """What the agent writes: numbers, and how many they are."""

    numbers: Log[int]
    written: Counter


class LocalProcess:
    """The process as its parent sees it.

    Args:
        process: the process.

    Attributes:
        saved: the last number that it reported as saved.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.saved = -1
        self._process = process

    async def until_saved(self, number: int) -> None:
        """Return once it has reported a number."""
        assert self._process.stdout is not None
        while self.saved < number:
            async with asyncio.timeout(DEADLINE):
                self._note((await self._process.stdout.readline()).decode())

    async def kill(self) -> None:
        """Kill it with SIGKILL, and read what it said before."""
        self._process.kill()
        assert self._process.stdout is not None
        for line in (await self._process.stdout.read()).split(b"\n")[:-1]:
            self._note(line.decode())
        await self._process.wait()

    def _note(self, line: str) -> None:
        assert line, "the agent has ended"
        self.saved = int(line.split()[1])


@asynccontextmanager
async def local_process(directory: Path) -> AsyncGenerator[LocalProcess]:
    """Run an agent, and kill it at the end."""
    command = [sys.executable, "-m", "tests.support.local_process", str(directory)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)
    worker = LocalProcess(process)
    try:
        yield worker
    finally:
        if process.returncode is None:
            await worker.kill()


async def _work(directory: str) -> None:
    client = comity.connect("ws://127.0.0.1:1", agent="ana", directory=directory)
    async with client.local("diary", Diary) as diary:
        for number in count():
            with diary.transaction():
                diary.state.numbers.append(number)
                diary.state.written.add(1)
            await diary.durable()
            os.write(sys.stdout.fileno(), f"saved {number}\n".encode())  # past every buffer of this process


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
