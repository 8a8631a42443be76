"""Who is told of a document's transactions, and in which order."""

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .changes import Change
from .edits import Edit
from .update import EMPTY_UPDATE

logger = logging.getLogger("comity")


class Commit(NamedTuple):
    """One transaction of a document as it went into Yjs: the update, and the typed edits if this replica made it."""

    update: bytes
    edits: tuple[Edit, ...]
    local: bool


class Callbacks:
    """Functions to be called when something happens; one that raises is logged and hurts nobody."""

    __slots__ = ("_callbacks",)

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[..., object]] = {}

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[..., object]) -> Callable[[], None]:
        """Call a function from now on; returns how to stop it."""
        key = object()
        self._callbacks[key] = callback

        def stop() -> None:
            self._callbacks.pop(key, None)

        return stop

    def call(self, *arguments: object) -> None:
        """Call every function."""
        for callback in tuple(self._callbacks.values()):
            try:
                callback(*arguments)
            except Exception:
                logger.exception("a listener failed")


class Listeners:
    """Tells of transactions in their order, also when a listener makes one; a listener that raises is logged."""

    def __init__(self) -> None:
        self._of_changes = Callbacks()
        self._of_commits = Callbacks()
        self._waiting: deque[tuple[Commit, list[Change]]] = deque()
        self._delivering = False

    @property
    def want_changes(self) -> bool:
        """Whether anybody listens to changes."""
        return bool(self._of_changes)

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Tell a listener of every change from now on; returns how to stop it."""
        return self._of_changes.add(listener)

    def on_commit(self, listener: Callable[[Commit], object]) -> Callable[[], None]:
        """Tell a listener of every commit from now on; returns how to stop it."""
        return self._of_commits.add(listener)

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
        if commit.update != EMPTY_UPDATE:
            self._of_commits.call(commit)
        for change in changes:
            self._of_changes.call(change)
