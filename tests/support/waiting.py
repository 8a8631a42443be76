"""Waiting for what must come to hold, with a deadline that fails the test."""

import asyncio
from collections.abc import Callable
from typing import Final

from comity import State

DEADLINE: Final = 30.0  # seconds; far more than anything here takes, on a machine that is busy
POLL: Final = 0.01  # seconds between two looks at what cannot tell of itself


async def until(state: State, condition: Callable[[], object], *, within: float = DEADLINE) -> None:
    """Return once a condition on a state holds; it is looked at after every transaction of its document.

    Raises: AssertionError, with the state as it is, if it does not come to hold in time.
    """
    changed = asyncio.Event()
    stop = state.document.on_commit(lambda _commit: changed.set())
    try:
        async with asyncio.timeout(within):
            while not condition():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise AssertionError(f"did not come to hold within {within:.0f} s: {state!r:.2000}") from None
    finally:
        stop()


async def eventually(condition: Callable[[], object], *, within: float = DEADLINE) -> None:
    """Return once a condition holds on what tells of no change, such as a file that appears or a status."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(POLL)
