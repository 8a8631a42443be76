"""What the server acknowledged survives its death and failing disks; `python -m benchmarks.crash` does more of this."""

from pathlib import Path

import pytest

import comity
from benchmarks.crash import Mode, run
from benchmarks.witnesses import Load
from tests.support.server import running_server

ROUNDS = 3
VISITS = 10


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", Mode)
async def test_no_acknowledged_edit_is_missing_after(tmp_path: Path, mode: Mode) -> None:
    result = await run(ROUNDS, tmp_path, [mode])
    assert (result.missing, result.damaged, result.unread) == (set(), [], set())
    assert result.acknowledged > 20 * ROUNDS
    assert result.heard > 20 * ROUNDS


async def test_an_agent_that_leaves_as_soon_as_it_has_edited_loses_nothing(tmp_path: Path) -> None:
    async with running_server(tmp_path / "data") as server:
        for visit in range(VISITS):
            async with comity.connect(server.url).open("shared/visits", Load) as state:
                state.notes.append(f"before it was connected {visit}")
            async with comity.connect(server.url).open("shared/visits", Load) as state:
                await state.synced()
                state.notes.append(f"once it was connected {visit}")
        await server.kill()
        await server.restart()
        async with comity.connect(server.url).open("shared/visits", Load) as state:
            await state.synced()
            assert state.notes.value == [
                f"{when} it was connected {visit}" for visit in range(VISITS) for when in ("before", "once")
            ]
