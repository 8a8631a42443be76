"""Who is told of a document's transactions, and in which order."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from ..update import EMPTY_UPDATE
from .changes import Change
from .edits import Edit
from .index import Settled
from .steps import Step
from .textmirror import Delta

logger = logging.getLogger("comity")


class Commit(NamedTuple):
    """One transaction of a document as it went into Yjs: the update, and the typed edits if this replica made it."""

    update: bytes
    edits: tuple[Edit, ...]
    local: bool


class Footprint(NamedTuple):
    """What one transaction did, for those who want to take it back.

    Attributes:
        steps: the cells and items that it touched; what is there now, the index says.
        texts: the texts that it edited, each with its delta, counted in characters.
        local: whether this replica made it.
    """

    steps: list[Step]
    texts: list[tuple[str, Delta]]
    local: bool


Recorder = Callable[[Footprint], object]


class Callbacks:
    """Functions to be called when something happens; one that raises is logged and hurts nobody."""

    __slots__ = ("_callbacks", "_keys")

    def __init__(self) -> None:
        self._keys: dict[object, Callable[..., object]] = {}
        self._callbacks: tuple[Callable[..., object], ...] = ()

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[..., object]) -> Callable[[], None]:
        """Call a function from now on; returns how to stop it."""
        key = object()
        self._keys[key] = callback
        self._callbacks = tuple(self._keys.values())

        def stop() -> None:
            self._keys.pop(key, None)
            self._callbacks = tuple(self._keys.values())

        return stop

    def call(self, *arguments: object) -> None:
        """Call every function."""
        for callback in self._callbacks:
            try:  # not through _call: this is the way of every change
                callback(*arguments)
            except Exception:
                logger.exception("a listener failed")


def _call(callback: Callable[..., object], *arguments: object) -> None:
    try:
        callback(*arguments)
    except Exception:
        logger.exception("a listener failed")


class Guards:
    """Functions that are asked before a transaction is written; one that raises stops it."""

    __slots__ = ("_guards",)

    def __init__(self) -> None:
        self._guards: dict[object, Callable[[list[Change]], object]] = {}

    def __bool__(self) -> bool:
        return bool(self._guards)

    def add(self, guard: Callable[[list[Change]], object]) -> Callable[[], None]:
        """Ask a guard from now on; returns how to stop it."""
        key = object()
        self._guards[key] = guard

        def stop() -> None:
            self._guards.pop(key, None)

        return stop

    def ask(self, changes: list[Change]) -> None:
        """Ask every guard; what one raises is raised here."""
        if changes:
            for guard in tuple(self._guards.values()):
                guard(changes)


class Listeners:
    """Tells of transactions in their order, also when a listener makes one; a listener that raises is logged."""

    def __init__(self) -> None:
        self.want_steps = False  # whether anybody needs to know what a transaction touched
        self._of_changes = Callbacks()
        self._of_commits = Callbacks()
        self._of_unfit = Callbacks()
        self._recorders = Callbacks()
        self._waiting: deque[tuple[Commit, list[Change], Settled | None]] = deque()
        self._delivering = False

    def on_change(self, listener: Callable[[Change], object]) -> Callable[[], None]:
        """Tell a listener of every change from now on; returns how to stop it."""
        return self._wanting(self._of_changes.add(listener))

    def on_commit(self, listener: Callable[[Commit], object]) -> Callable[[], None]:
        """Tell a listener of every commit from now on; returns how to stop it."""
        return self._of_commits.add(listener)

    def on_unfit(self, listener: Callable[[Any, Any], object]) -> Callable[[], None]:
        """Tell a listener of every entry that comes and does not fit its field's schema; returns how to stop it."""
        return self._of_unfit.add(listener)

    def add_recorder(self, recorder: Recorder) -> Callable[[], None]:
        """Tell of every transaction what it touched, before anything else happens; returns how to stop it."""
        return self._wanting(self._recorders.add(recorder))

    def _wanting(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Keep `want_steps` true to who listens."""

        def stopped() -> None:
            stop()
            self.want_steps = bool(self._of_changes or self._recorders)

        self.want_steps = True
        return stopped

    def record(self, steps: list[Step], texts: list[tuple[str, Delta]], local: bool) -> bool:
        """Tell the recorders of one transaction, and return whether anybody listens to changes."""
        if self._recorders and (steps or texts):
            self._recorders.call(Footprint(steps, texts, local))
        return bool(self._of_changes)

    def deliver(self, commit: Commit, changes: list[Change], settled: Settled | None) -> None:
        """Tell of one transaction, first those who take commits; an empty update is told to nobody."""
        if self._delivering:
            self._waiting.append((commit, changes, settled))
            return
        self._delivering = True
        try:
            self._tell_all(commit, changes, settled)
            while self._waiting:
                self._tell_all(*self._waiting.popleft())
        finally:
            self._delivering = False

    def _tell_all(self, commit: Commit, changes: list[Change], settled: Settled | None) -> None:
        if self._of_commits and commit.update != EMPTY_UPDATE:
            self._of_commits.call(commit)
        for change in changes:
            self._of_changes.call(change)
        if settled is not None:
            self._tell_settled(settled)

    def _tell_settled(self, settled: Settled) -> None:
        for cells, key in settled.disputed:
            if cells.reader is not None:
                _call(cells.reader.disputed, key)
        for found, entry in settled.unfit:
            self._of_unfit.call(found, entry)
