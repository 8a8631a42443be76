"""The events of a manager on their way to callbacks."""

import asyncio

import pytest

from comity.clients.agents import delivery
from comity.clients.agents.telling import Telling
from comity.crdt_types.errors import TooSlowError


async def test_callback_that_falls_behind_is_forgotten_and_hurts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "MAX_BACKLOG", 3)
    heard: list[int] = []
    errors: list[TooSlowError] = []
    free = asyncio.Event()

    async def slow(_event: int) -> None:
        await free.wait()

    def failing(error: TooSlowError) -> None:
        errors.append(error)
        raise RuntimeError("it fails, too")

    telling: Telling[int] = Telling()
    telling.start()
    telling.on_event(slow, on_error=failing)
    stop = telling.on_event(heard.append)
    for number in range(6):
        telling.emit(number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert len(errors) == 1
    assert heard == list(range(6))
    stop()
    assert not telling
    free.set()
    await telling.close()
