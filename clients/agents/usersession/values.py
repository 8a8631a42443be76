"""What a session is at a moment, as values that do not change, and what happens in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .document import ChannelRow, ChannelStatus, Quality, UserRow


@dataclass(frozen=True, slots=True)
class User:
    """A user as of now; see `UserRow`. A copy: changing the attributes changes nothing in the session."""

    id: str
    name: str
    roles: frozenset[str]
    attributes: Mapping[str, Any]
    joined_at: int
    active_at: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as of now; see `ChannelRow`."""

    id: str
    user: str
    kind: str
    status: ChannelStatus
    device: str
    transport: str
    opened_at: int
    seen_at: int
    stale_at: int | None
    closed_at: int | None
    reason: str
    quality: Quality
    round_trip_ms: float | None
    lost: int
    reconnects: int


@dataclass(frozen=True, slots=True)
class Opening:
    """A channel that was opened, and the token that resumes it, which is stored nowhere."""

    channel: Channel
    resume_token: str


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel is, as whoever holds it said last; finer than what is stored, and gone when the holder is."""

    quality: Quality
    round_trip_ms: float | None
    lost: int
    reconnects: int
    is_held: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a session."""


@dataclass(frozen=True, slots=True)
class UserJoined(Event):
    """There is a new user."""

    user: User


@dataclass(frozen=True, slots=True)
class UserIdle(Event):
    """A user has given no sign for longer than the idle timeout."""

    user: User


@dataclass(frozen=True, slots=True)
class UserActive(Event):
    """A user who was idle gave a sign."""

    user: User


@dataclass(frozen=True, slots=True)
class ChannelOpened(Event):
    """A channel was opened."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelStale(Event):
    """Nobody holds a channel any more; it may be resumed."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelResumed(Event):
    """A channel goes on, perhaps with another agent."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class ChannelClosed(Event):
    """A channel was closed, by somebody or because nobody resumed it."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class SessionEnding(Event):
    """The server erases the session at that time unless something happens in it."""

    at: datetime


@dataclass(frozen=True, slots=True)
class SessionEnded(Event):
    """The session was ended; the server erases it in a moment."""

    reason: str


def user_of(key: str, row: UserRow) -> User:
    """Return a user as of now."""
    return User(
        key, row.name.get(""), frozenset(row.roles), dict(row.attributes), row.joined_at.get(0), row.active_at.get(0)
    )


def channel_of(key: str, row: ChannelRow) -> Channel:
    """Return a channel as of now."""
    return Channel(
        key,
        row.user.get(""),
        row.kind.get(""),
        row.status.get(ChannelStatus.OPEN),
        row.device.get(""),
        row.transport.get(""),
        row.opened_at.get(0),
        row.seen_at.get(0),
        row.stale_at.value,
        row.closed_at.value,
        row.reason.get(""),
        row.quality.get(Quality.UNKNOWN),
        row.round_trip_ms.value,
        row.lost.value,
        row.reconnects.value,
    )
