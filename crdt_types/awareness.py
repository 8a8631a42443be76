"""Awareness: who else is in the room, as y-protocols carries it; never stored."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from .document.listeners import Callbacks
from .errors import InvalidValueError
from .wire import Presence

RENEWAL: Final = 15.0  # seconds; y-protocols renews at half of its time-out
MAX_STATE: Final = 16 * 1024  # bytes, while no server has said otherwise; it is repeated to everyone at every change
TIMEOUT: Final = 30.0  # seconds; y-protocols forgets a client that was silent for this long


class Awareness:
    """This session's presence in a room, and that of the others.

    Args:
        client: the Yjs client id of this session.
        state: this session's state, a dict that JSON can carry, or None to be invisible.

    Attributes:
        limit: how large the state may be, in bytes of JSON.

    Source: the awareness protocol of y-protocols: each client's state bears a clock, the greatest clock holds.
    """

    def __init__(self, client: int, state: dict[str, Any] | None) -> None:
        self.client = client
        self.local = state
        self.limit = MAX_STATE
        self._clock = 0
        self._others: dict[int, tuple[dict[str, Any], float]] = {}
        self._clocks: dict[int, tuple[int, float]] = {}  # also of those who left, or an echo would bring them back
        self._listeners = Callbacks()
        self._announce: Callable[[Presence], object] | None = None

    @property
    def others(self) -> dict[int, dict[str, Any]]:
        """The states of the other sessions, by their client ids."""
        return {client: state for client, (state, _seen) in self._others.items()}

    def set(self, **fields: Any) -> None:
        """Change fields of this session's state and tell the room.

        Raises: InvalidValueError, if a value is not one that JSON can carry, or the state becomes larger than the
            room takes; nothing is changed then.
        """
        state = {**(self.local or {}), **fields}
        size = len(_encoded(state).encode())
        if size > self.limit:
            raise InvalidValueError(f"{size} bytes, over the limit of {self.limit}", subject="awareness state")
        self.local = state
        self.renew()

    def hide(self) -> None:
        """Take this session's state away from the room."""
        self.local = None
        self.renew()

    def on_change(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call a listener whenever `others` has changed; returns how to stop it."""
        return self._listeners.add(listener)

    def attach(self, announce: Callable[[Presence], object] | None) -> None:
        """Send this session's state through a connection from now on; None detaches, and forgets the others."""
        self._announce = announce
        if announce is None:
            self._clocks.clear()
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
            self._announce(Presence(self.client, self._clock, None if self.local is None else _encoded(self.local)))

    def receive(self, entries: Iterable[Presence]) -> None:
        """Take in what others announced."""
        taken = [self._take(entry) for entry in entries]
        if any(taken):
            self._listeners.call()

    def _take(self, entry: Presence) -> bool:
        if entry.client == self.client:
            return False
        known, _seen = self._clocks.get(entry.client, (-1, 0.0))
        gone = entry.state is None
        if entry.clock < known or (entry.clock == known and not (gone and entry.client in self._others)):
            return False
        now = time.monotonic()
        self._clocks[entry.client] = (entry.clock, now)
        if entry.state is None:
            return self._others.pop(entry.client, None) is not None
        self._others[entry.client] = (json.loads(entry.state), now)
        return True

    def expire(self) -> None:
        """Forget those who were silent for too long."""
        deadline = time.monotonic() - TIMEOUT
        self._clocks = {client: clock for client, clock in self._clocks.items() if clock[1] >= deadline}
        self._forget([client for client, (_state, seen) in self._others.items() if seen < deadline])

    def _forget(self, clients: list[int]) -> None:
        for client in clients:
            del self._others[client]
        if clients:
            self._listeners.call()


def _encoded(state: dict[str, Any]) -> str:
    try:
        return json.dumps(state, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(str(error), subject="awareness state", remedy="use what JSON can carry") from None
