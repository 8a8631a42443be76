"""Who holds which channel: told by presence, which no document stores."""

import time
from collections.abc import Callable
from typing import Any, Final

from comity.crdt_types.awareness import Awareness
from comity.crdt_types.errors import InvalidValueError

# The field of a session's presence: the channels that it holds, each with its round trip in ms and what it lost.
FIELD: Final = "channels"
# Seconds between two heartbeats that are told: more often nobody looks, and presence goes to everybody in the room.
TOLD: Final = 1.0

Beat = tuple[float | None, int]


class Presence:
    """The channels that this session holds, and those that others do.

    Args:
        awareness: the room's presence.
        is_connected: tells whether others can be seen now.
        clock: tells the seconds that have passed since some moment.
    """

    def __init__(
        self, awareness: Awareness, is_connected: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._awareness = awareness
        self.is_connected = is_connected
        self._clock = clock
        self._held: dict[str, Beat] = {}
        self._told_at = -TOLD
        self._seen: dict[str, float] = {}  # when a channel was held last

    @property
    def held(self) -> frozenset[str]:
        """The channels that this session holds."""
        return frozenset(self._held)

    def hold(self, channel: str) -> None:
        """Hold a channel from now on. Raises InvalidValueError, if that is more than presence can tell."""
        self._held[channel] = (None, 0)
        try:
            self._tell()
        except InvalidValueError:
            del self._held[channel]
            raise

    def drop(self, channel: str) -> None:
        """Hold a channel no more."""
        if self._held.pop(channel, None) is not None:
            self._tell()

    def drop_all(self) -> None:
        """Hold nothing any more."""
        if self._held:
            self._held.clear()
            self._tell()

    def beat(self, channel: str, beat: Beat) -> None:
        """Tell how a channel is that is held, unless something was told a moment ago."""
        self._held[channel] = beat
        if self._clock() - self._told_at >= TOLD:
            self._tell()

    def of(self, channel: str) -> Beat | None:
        """Return how a channel is, None if nobody that can be seen holds it."""
        if channel in self._held:
            return self._held[channel]
        for state in self._awareness.others.values():
            if (beat := _beats(state).get(channel)) is not None:
                return beat
        return None

    def unheld_for(self, channel: str) -> float:
        """Return for how many seconds nobody has held a channel; 0 while nobody at all can be seen."""
        now = self._clock()
        if not self.is_connected() or self.of(channel) is not None:
            self._seen[channel] = now
        return now - self._seen.setdefault(channel, now)

    def keep(self, channels: frozenset[str]) -> None:
        """Forget all channels but those that there are."""
        if gone := self._held.keys() - channels:
            self._held = {channel: beat for channel, beat in self._held.items() if channel not in gone}
            self._tell()
        self._seen = {channel: seen for channel, seen in self._seen.items() if channel in channels}

    def _tell(self) -> None:
        self._told_at = self._clock()
        self._awareness.set(**{FIELD: {channel: list(beat) for channel, beat in self._held.items()}})


def _beats(state: dict[str, Any]) -> dict[str, Beat]:
    """Return what somebody's presence says of channels; anybody may say anything there."""
    told = state.get(FIELD)
    if not isinstance(told, dict):
        return {}
    return {channel: _beat(beat) for channel, beat in told.items()}


def _beat(told: Any) -> Beat:
    match told:
        case [float() | int() | None as trip, int() as lost] if not isinstance(trip, bool):
            return trip, lost
        case _:
            return None, 0
