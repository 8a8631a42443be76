"""Who is told of a document's transactions, and in which order."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .changes import Change
from .edits import Edit
from .update import EMPTY_UPDATE

logger = logging.getLogger("comity")


class Commit(NamedTuple):
    """One transaction of a document as it went into Yjs: the update, and the typed edits if this replica made it."""

    update: bytes
    edits: tuple[Edit, ...]
    local: bool


class Listeners:
    """Tells of transactions in their order, also when a listener makes one; a listener that raises is logged."""

    def __init__(self) -> None:
        self._of_changes: dict[object, Callable[[Change], object]] = {}
        self._of_commits: dict[object, Callable[[Commit], object]] = {}
        self._waiting: deque[tuple[Commit, list[Change]]] = deque()
        self._delivering = False

    @property
    def want_changes(self) -> bool:
        """Whether anybody listens to changes."""
        return bool(self._of_changes)

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Tell a listener of every change from now on; returns how to stop it."""
        return _enter(self._of_changes, listener)

    def on_commit(self, listener: Callable[[Commit], object]) -> Callable[[], None]:
        """Tell a listener of every commit from now on; returns how to stop it."""
        return _enter(self._of_commits, listener)

    def deliver(self, commit: Commit, changes: list[Change]) -> None:
        """Tell of one transaction, first those who take commits; an empty update is told to nobody."""
        self._waiting.append((commit, changes))
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._waiting:
                self._tell_all(*self._waiting.popleft())
        finally:
            self._delivering = False

    def _tell_all(self, commit: Commit, changes: list[Change]) -> None:
        if commit.update != EMPTY_UPDATE and self._of_commits:
            _tell(tuple(self._of_commits.values()), commit)
        if changes:
            listeners = tuple(self._of_changes.values())
            for change in changes:
                _tell(listeners, change)


def _enter(listeners: dict[object, Callable[[Any], object]], listener: Callable[[Any], object]) -> Callable[[], None]:
    key = object()
    listeners[key] = listener

    def stop() -> None:
        listeners.pop(key, None)

    return stop


def _tell(listeners: Iterable[Callable[[Any], object]], what: Any) -> None:
    for listener in listeners:
        try:
            listener(what)
        except Exception:
            logger.exception("a listener of a state document failed")
