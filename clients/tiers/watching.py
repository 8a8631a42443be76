"""Watching: one callback for the changes of many tiers."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from comity.crdt_types import Change
from comity.crdt_types.document.changes import Kind
from comity.crdt_types.errors import InvalidValueError

from .subscription import OnError, check_callback, check_kind
from .tier import Tier

TIERS: Final = ("local", "shared", "session", "persistent")


class Watch:
    """A callback that is told of the changes of every tier that it follows.

    Args:
        callback: gets each change and its tier.
        tier: the kind of tier that it follows; every kind if None.
        name: a pattern of keys.
        kind: the kind of field.
        author: who made the change.
        on_error: called if the callback fell so far behind in one of the tiers that it is called no more for that.

    Raises: InvalidValueError, if the callback cannot be called, or there is no such kind of tier or field.
    """

    def __init__(
        self,
        callback: Callable[[Change, Tier[Any]], object],
        tier: str | None,
        name: str | None,
        kind: Kind | None,
        author: str | None,
        on_error: OnError | None = None,
    ) -> None:
        check_callback(callback)
        check_kind(kind)
        if tier is not None and tier not in TIERS:
            raise InvalidValueError(f"no tier {tier!r}", subject="subscription", remedy=f"there are {', '.join(TIERS)}")
        self._callback = callback
        self._tier = tier
        self._name = name
        self._kind: Kind | None = kind
        self._author = author
        self._on_error = on_error
        self._stops: dict[Tier[Any], Callable[[], None]] = {}

    def follow(self, tier: Tier[Any]) -> None:
        """Tell the callback of a tier, if it is of the right kind."""
        if self._tier in (None, tier.tier):
            told = partial(_swapped, self._callback, tier)
            self._stops[tier] = tier.subscribe(
                told, name=self._name, kind=self._kind, author=self._author, on_error=self._on_error
            )

    def leave(self, tier: Tier[Any]) -> None:
        """Let go of a tier that has ended."""
        self._stops.pop(tier, None)

    def stop(self) -> None:
        """Tell the callback nothing more."""
        stops, self._stops = self._stops, {}
        for stop in stops.values():
            stop()


def _swapped(callback: Callable[[Change, Tier[Any]], object], tier: Tier[Any], change: Change) -> object:
    return callback(change, tier)
