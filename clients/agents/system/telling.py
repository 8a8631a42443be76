"""Callbacks that are told something else than the change that it follows from."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from comity.crdt_types import Change


def told(
    values: Callable[[Change], tuple[Any, ...] | None], callback: Callable[..., Awaitable[object] | object]
) -> Callable[[Change], Awaitable[object] | object]:
    """Return a callback for changes that calls another, asynchronous if that is.

    Args:
        values: returns what to call it with; None if it is not to be called.
        callback: what to call.
    """
    if not iscoroutinefunction(callback):
        return lambda change: callback(*found) if (found := values(change)) is not None else None

    async def tell(change: Change) -> None:
        if (found := values(change)) is not None:
            await callback(*found)

    return tell
