"""`comity demo`: three agents at work on one room, so that there is something to watch."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import comity
from comity.clients.demo import ROOM, Demo
from tests.support.optional import ROOT
from tests.support.server import running_server
from tests.support.waiting import eventually, until

AGENTS = {"planner", "builder", "critic"}


async def demo(*options: str) -> tuple[int | None, str]:
    """Run `comity demo` with these options; return its exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comity", "demo", *options),
        stdout=PIPE,
        stderr=STDOUT,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_demo_has_three_agents_change_one_room(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path / "data") as server,
        comity.connect(server.url, agent="reader").open(ROOM, Demo) as shown,
    ):
        authors: set[str] = set()
        present: set[str] = set()
        shown.on_change(lambda change: authors.add(str(change.author)))
        awareness = shown.replica.awareness
        awareness.on_change(lambda: present.update(each["agent"] for each in awareness.others.values()))
        running = asyncio.create_task(demo("--url", server.url, "--seconds", "4"))
        await until(shown, lambda: authors >= AGENTS)
        await eventually(lambda: present >= AGENTS)
        exit_code, output = await running
        assert exit_code == 0, output
        assert "Traceback" not in output
        assert shown.spent_cents.value > 0
        assert shown.goal.get("").startswith("publish")
        assert next(iter(shown.tasks.values()))["state"] in ("queued", "running", "done")
        assert len(shown.remarks) > 0
        assert len(shown.summary) > 0


async def test_demo_without_a_server_says_so() -> None:
    exit_code, output = await demo("--url", "ws://127.0.0.1:9", "--seconds", "1")
    assert exit_code == 1, output
    assert "ws://127.0.0.1:9" in output
    assert "comity serve" in output
    assert "Traceback" not in output


async def test_demo_names_an_address_that_is_none() -> None:
    exit_code, output = await demo("--url", "not an address", "--seconds", "1")
    assert exit_code == 1
    assert "not an address" in output
    assert "Traceback" not in output
