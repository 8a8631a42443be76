"""Waiting for work that something else may end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

Failure = asyncio.Future[BaseException]


async def unless(failure: Failure, work: Coroutine[Any, Any, object]) -> None:
    """Do some work to its end. Raises what it raises, or the failure, if that comes first."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((task, failure), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise failure.result()
        task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def finish(task: asyncio.Task[None]) -> None:
    """Wait for the end of a task, also when the waiting is cancelled; that is passed on then."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
