"""What README.md shows works as printed."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import comity
from comity import Counter, Log, Map, ORSet, Register, State
from tests.support.optional import ROOT
from tests.support.server import running_server
from tests.support.waiting import DEADLINE, until

README: Final = (ROOT / "README.md").read_text()
ADDRESS: Final = "ws://127.0.0.1:8765"
ROOM: Final = "shared/mission-1"


WRITTEN: Final = {
    "goal": "ship it",
    "status": "idle",
    "spent": 120,
    "tags": ["urgent"],
    "steps": {"build": {"state": "running"}},
    "notes": ["started"],
}


class Mission(State):
    goal: Register[str]
    status: Register[str] = Register(default="idle")
    spent: Counter
    tags: ORSet[str]
    steps: Map[dict[str, Any]]
    notes: Log[str]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


async def run(*arguments: str) -> Process:
    """Start Python with these arguments, with `comity` importable as if it were installed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, stderr=STDOUT, env=environment)


@asynccontextmanager
async def running(program: Path) -> AsyncGenerator[Process]:
    process = await run(str(program))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def printed(process: Process, wanted: str) -> str:
    """Return the first line from now on that holds some text."""
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(DEADLINE):
            async for line in process.stdout:
                lines.append(line.decode())
                if wanted in lines[-1]:
                    return lines[-1]
    except TimeoutError:
        pass
    raise AssertionError(f"{wanted!r} was not printed, but: {''.join(lines)}")


async def test_readme_program_works_as_printed(tmp_path: Path) -> None:
    program = tmp_path / "mission.py"
    async with running_server(tmp_path / "data") as server:
        program.write_text(the_program().replace(ADDRESS, server.url))
        async with (
            running(program) as process,
            comity.connect(server.url, agent="critic").open(ROOM, Mission) as mission,
        ):
            await until(mission, lambda: mission.to_dict() == WRITTEN)
            await until_listening(process, mission)
            mission.status.set("stopped for review")
            assert "critic" in await printed(process, "stopped for review")
            await server.restart()
            mission.status.set("going on after the restart")
            assert "critic" in await printed(process, "going on after the restart")
        await server.kill()
        await server.restart()
        async with comity.connect(server.url).open(ROOM, Mission) as newcomer:
            await newcomer.synced()
            assert newcomer.notes[0] == "started"
            assert {**newcomer.to_dict(), "notes": ["started"]} == {
                **WRITTEN,
                "status": "going on after the restart",
            }


def the_program() -> str:
    """Return the program on the first screen of the README."""
    (program,) = (block for block in blocks("python") if "asyncio.run" in block)
    assert ADDRESS in program
    return program


async def until_listening(process: Process, mission: Mission) -> None:
    """Write notes until the program prints one: it tells of changes from its `durable()` on, and of none before."""

    async def write() -> None:
        while True:
            mission.notes.append("is anybody there?")
            await asyncio.sleep(0.05)

    writer = asyncio.create_task(write())
    try:
        await printed(process, "is anybody there?")
    finally:
        writer.cancel()


async def test_commands_of_the_readme_exist() -> None:
    shell = "\n".join(blocks("sh"))
    scripts = re.findall(r"scripts/\w+", shell)
    assert scripts
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
    shown = await help_of()
    for command in ("serve", "demo"):
        assert command in shown
        assert "--help" in await help_of(command)
    serve = await help_of("serve")
    for line in re.findall(r"^comity serve (.*)$", shell, re.MULTILINE):
        assert all(option in serve for option in re.findall(r"--\w+", line))


async def help_of(*command: str) -> str:
    process = await run("-m", "comity", *command, "--help")
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def test_pages_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
