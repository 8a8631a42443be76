"""Programs in examples/ and in the documentation that need a server run to their end, against a real one."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.support.optional import ROOT
from tests.support.server import ServerProcess, running_server
from tests.support.waiting import DEADLINE

ADDRESS: Final = "ws://127.0.0.1:8765"
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# It runs until it is interrupted, and tests/test_e2e_readme.py runs it.
EXAMPLES: Final = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name != "mission.py")
# Pages whose program is a test of its own.
ELSEWHERE: Final = {"history.md", "client.md"}


def programs() -> list[tuple[str, str]]:
    """Return the blocks of the pages that connect to a server, each with where it stands."""
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        if page.name in ELSEWHERE:
            continue
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if ADDRESS in block[1]:
                line = text[: block.start(1)].count("\n")
                found.append((f"{page.name}:{line}", "\n" * line + block[1]))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ServerProcess]:
    async with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


async def run(folder: Path, *arguments: str) -> str:
    """Run Python with these arguments in a folder, and return what it prints; it must end, and well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(DEADLINE):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", EXAMPLES)
async def test_example_runs_to_its_end(server: ServerProcess, tmp_path: Path, name: str) -> None:
    assert await run(tmp_path, str(ROOT / "examples" / name), server.url)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("place", "program"), programs(), ids=[place for place, _ in programs()])
async def test_program_of_a_page_runs_to_its_end(
    server: ServerProcess, tmp_path: Path, place: str, program: str
) -> None:
    written = tmp_path / "program.py"
    written.write_text(program.replace(ADDRESS, server.url), encoding="utf-8")
    await run(tmp_path, str(written))
