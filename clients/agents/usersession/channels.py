"""The channels of a user session: opened, held, found stale, resumed, closed."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

from comity.crdt_types.errors import ForbiddenError, InvalidValueError, StateError

from .document import ChannelRow, ChannelStatus, Quality, UserSession
from .presence import Presence
from .values import Channel, Health, Opening, channel_of

# Bytes of a channel's id and of its token: nobody guesses a token, and no two ids meet.
ID_BYTES: Final = 8
TOKEN_BYTES: Final = 32
# Milliseconds between two writes of when a channel was seen: one small write a minute, however often it beats.
SEEN_STEP: Final = 60_000
# Up to which round trip, in ms, talk over a channel feels immediate, and from which on it is an effort (ITU-T G.114
# gives 150 and 400 for one way of a telephone call).
GOOD_ROUND_TRIP: Final = 300.0
FAIR_ROUND_TRIP: Final = 800.0
# Milliseconds between two writes of a quality that goes to and fro.
QUALITY_STEP: Final = 10_000


class Channels:
    """Reads and writes the channels of a session.

    Args:
        state: the session.
        presence: who holds which.
        now: tells the time in ms.
    """

    def __init__(self, state: UserSession, presence: Presence, now: Callable[[], int]) -> None:
        self._state = state
        self._presence = presence
        self._now = now
        self._rated: dict[str, int] = {}  # when the quality of a channel was written
        self._lost: dict[str, int] = {}  # what a channel lost since that was written

    def all(self) -> list[Channel]:
        """Return the channels, the oldest first."""
        channels = (channel_of(key, row) for key, row in self._state.channels.items())
        return sorted(channels, key=lambda channel: (channel.opened_at, channel.id))

    def one(self, key: str) -> Channel:
        """Return a channel. Raises StateError, if there is none of that id."""
        return channel_of(key, self._row(key))

    def open(self, user: str, kind: str, device: str, transport: str) -> Opening:
        """Open a channel of a user and hold it."""
        key, token = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        at = self._now()
        self._state.channels[key] = ChannelRow(
            user=user,
            kind=kind,
            status=ChannelStatus.OPEN,
            device=device,
            transport=transport,
            opened_at=at,
            seen_at=at,
            token=_digest(token),
        )
        self._presence.hold(key)
        return Opening(self.one(key), token)

    def resume(self, key: str, resume_token: str) -> Channel:
        """Hold a channel again that was opened before; see ``UserSessionManager.resume``."""
        row = self._row(key)
        if not hmac.compare_digest(_digest(resume_token), row.token.get("")):
            raise ForbiddenError(
                "the resume token is another one", subject=f"channel {key!r}", remedy="open a channel of its own"
            )
        self._check_not_closed(key, row)
        with self._state.transaction():
            row.status.set(ChannelStatus.OPEN)
            row.seen_at.set(self._now())
            row.stale_at.clear()
            row.reconnects.add(1)
        self._presence.hold(key)
        return self.one(key)

    def close(self, key: str, reason: str) -> None:
        """Close a channel; one that is closed stays as it is."""
        row = self._row(key)
        self._presence.drop(key)
        if row.status.value is ChannelStatus.CLOSED:
            return
        with self._state.transaction():
            self._write_lost(key, row)
            row.status.set(ChannelStatus.CLOSED)
            row.closed_at.set(self._now())
            row.reason.set(reason)

    def beat(self, key: str, round_trip_ms: float | None, lost: int) -> Health:
        """Tell how a channel is that is held here; see ``UserSessionManager.beat``."""
        if lost < 0 or (round_trip_ms is not None and not 0 <= round_trip_ms < float("inf")):
            raise InvalidValueError(
                f"a round trip of {round_trip_ms} ms, and {lost} lost",
                subject=f"channel {key!r}",
                remedy="give numbers from 0 on",
            )
        row = self._row(key)
        if key not in self._presence.held:
            raise StateError(
                "this agent does not hold it", subject=f"channel {key!r}", remedy="open or resume it before it beats"
            )
        self._lost[key] = self._lost.get(key, 0) + lost
        self._presence.beat(key, (round_trip_ms, row.lost.value + self._lost[key]))
        self._write_health(key, row, round_trip_ms)
        return self.health(key)

    def health(self, key: str) -> Health:
        """Return how a channel is."""
        channel, beat = self.one(key), self._presence.of(key)
        if beat is None:
            return Health(channel.quality, channel.round_trip_ms, channel.lost, channel.reconnects, is_held=False)
        trip, lost = beat
        quality = channel.quality if trip is None else _quality(trip)
        return Health(quality, trip, max(lost, channel.lost), channel.reconnects, is_held=True)

    # What whoever looks after the session does ------------------------------------------------------------------

    def mark_stale(self, key: str) -> None:
        """Note that nobody holds a channel."""
        row = self._row(key)
        with self._state.transaction():
            row.stale_at.set(self._now())
            row.status.set(ChannelStatus.STALE)

    def mark_open(self, key: str) -> None:
        """Note that a channel is held though others could not see that."""
        row = self._row(key)
        with self._state.transaction():
            row.stale_at.clear()
            row.status.set(ChannelStatus.OPEN)

    def remove(self, key: str) -> None:
        """Remove a channel that was closed long ago."""
        if key in self._state.channels:
            del self._state.channels[key]
        self._rated.pop(key, None)
        self._lost.pop(key, None)

    # Writing ----------------------------------------------------------------------------------------------------

    def _write_health(self, key: str, row: ChannelRow, trip: float | None) -> None:
        """Write what is worth storing: the quality when it changes, and in steps of time that the channel is there."""
        at = self._now()
        quality = row.quality.get(Quality.UNKNOWN) if trip is None else _quality(trip)
        with self._state.transaction():
            if quality is not row.quality.value and at - self._rated.get(key, 0) >= QUALITY_STEP:
                self._rated[key] = at
                row.quality.set(quality)
                row.round_trip_ms.set(trip)
                self._write_lost(key, row)
            if at - row.seen_at.get(0) >= SEEN_STEP:
                row.seen_at.set(at)
                self._write_lost(key, row)

    def _write_lost(self, key: str, row: ChannelRow) -> None:
        if lost := self._lost.pop(key, 0):
            row.lost.add(lost)

    def _row(self, key: str) -> ChannelRow:
        if key not in self._state.channels:
            raise StateError("there is no such channel", subject=f"channel {key!r}", remedy="open one")
        return self._state.channels[key]

    def _check_not_closed(self, key: str, row: ChannelRow) -> None:
        if row.status.value is ChannelStatus.CLOSED:
            what = f"it was closed: {row.reason.get('') or 'no reason given'}"
            raise StateError(what, subject=f"channel {key!r}", remedy="open another one")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _quality(round_trip_ms: float) -> Quality:
    if round_trip_ms <= GOOD_ROUND_TRIP:
        return Quality.GOOD
    return Quality.FAIR if round_trip_ms <= FAIR_ROUND_TRIP else Quality.POOR
