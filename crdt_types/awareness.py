"""Awareness: who else is in the room, as y-protocols carries it; never stored."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from .wire import Presence

RENEWAL: Final = 15.0  # seconds; y-protocols renews at half of its time-out
TIMEOUT: Final = 30.0  # seconds; y-protocols forgets a client that was silent for this long


class Awareness:
    """This session's presence in a room, and that of the others.

    Args:
        client: the Yjs client id of this session.
        state: this session's state, a dict that JSON can carry, or None to be invisible.

    Source: the awareness protocol of y-protocols: each client's state bears a clock, the greatest clock holds.
    """

    def __init__(self, client: int, state: dict[str, Any] | None) -> None:
        self.client = client
        self.local = state
        self._clock = 0
        self._others: dict[int, tuple[int, dict[str, Any], float]] = {}
        self._clocks: dict[int, int] = {}
        self._listeners: list[Callable[[], object]] = []
        self._announce: Callable[[Presence], object] | None = None

    @property
    def others(self) -> dict[int, dict[str, Any]]:
        """The states of the other sessions, by their client ids."""
        return {client: state for client, (_clock, state, _seen) in self._others.items()}

    def set(self, **fields: Any) -> None:
        """Change fields of this session's state and tell the room.

        Raises: TypeError, if a value is not one that JSON can carry.
        """
        state = {**(self.local or {}), **fields}
        json.dumps(state)
        self.local = state
        self.renew()

    def hide(self) -> None:
        """Take this session's state away from the room."""
        self.local = None
        self.renew()

    def on_change(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call a listener whenever `others` has changed; returns how to stop it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def attach(self, announce: Callable[[Presence], object] | None) -> None:
        """Send this session's state through a connection from now on; None detaches, and forgets the others."""
        self._announce = announce
        if announce is None:
            self._forget(list(self._others))
        else:
            self.renew()

    def move(self, client: int) -> None:
        """Speak under another client id."""
        self.client = client
        self._clock = 0

    def renew(self) -> None:
        """Tell the room this session's state, under a new clock."""
        self._clock += 1
        if self._announce is not None:
            text = None if self.local is None else json.dumps(self.local)
            self._announce(Presence(self.client, self._clock, text))

    def receive(self, entries: Iterable[Presence]) -> None:
        """Take in what others announced."""
        changed = [entry.client for entry in entries if self._take(entry)]
        if changed:
            self._tell()

    def _take(self, entry: Presence) -> bool:
        if entry.client == self.client:
            return False
        known = self._clocks.get(entry.client, -1)
        gone = entry.state is None
        if entry.clock < known or (entry.clock == known and not (gone and entry.client in self._others)):
            return False
        self._clocks[entry.client] = entry.clock
        if entry.state is None:
            return self._others.pop(entry.client, None) is not None
        self._others[entry.client] = (entry.clock, json.loads(entry.state), time.monotonic())
        return True

    def expire(self) -> None:
        """Forget those who were silent for too long."""
        deadline = time.monotonic() - TIMEOUT
        self._forget([client for client, (_clock, _state, seen) in self._others.items() if seen < deadline])

    def _forget(self, clients: list[int]) -> None:
        for client in clients:
            del self._others[client]
            self._clocks.pop(client, None)
        if clients:
            self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
