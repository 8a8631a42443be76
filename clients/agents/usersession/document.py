"""The document of a user session: who takes part, over which channels, and for how long."""

from enum import StrEnum
from typing import Any, Final

from comity.crdt_types import GCounter, Map, ORSet, Register, State, merge

# Of times that several agents write at once, such as when they saw a user last, the latest is true.
LATEST: Final = merge(lambda conflict: max((at for at in conflict.values if at is not None), default=None))
EARLIEST: Final = merge(lambda conflict: min((at for at in conflict.values if at is not None), default=None))
# Long enough to think about an answer, short enough that whoever went away is noticed.
IDLE_TIMEOUT: Final = 15 * 60 * 1000


class ChannelStatus(StrEnum):
    """Whether a channel is in use: ``stale`` is one that nobody holds at the moment, and that may be resumed."""

    OPEN = "open"
    STALE = "stale"
    CLOSED = "closed"


class Quality(StrEnum):
    """How good a connection is, in steps coarse enough to be stored."""

    UNKNOWN = "unknown"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


class UserRow(State, name="usersession.user"):
    """A user; times are in ms since the Unix epoch, by the server's clock.

    Attributes:
        name: the name to show.
        roles: what the user is here, such as ``caller`` or ``supervisor``.
        attributes: whatever else is known of this user, by key.
        joined_at: when the user came.
        active_at: when the user did something last, in steps.
    """

    name: Register[str] = Register(default="")
    roles: ORSet[str]
    attributes: Map[Any]
    joined_at: Register[int] = Register(default=0, on_conflict=EARLIEST)
    active_at: Register[int] = Register(default=0, on_conflict=LATEST)


class ChannelRow(State, name="usersession.channel"):
    """A channel; times are in ms since the Unix epoch, by the server's clock.

    Attributes:
        user: whose it is.
        kind: such as ``voice``, ``text`` or ``web``.
        status: whether it is in use.
        device: what the user has in hand.
        transport: what it runs over.
        opened_at: when it was opened.
        seen_at: when whoever holds it was known to be there last, in steps.
        stale_at: when it was found that nobody holds it.
        closed_at: when it was closed.
        reason: why it was closed.
        token: the SHA-256 of the token that resumes it.
        quality: how good the connection is.
        round_trip_ms: how long a round trip took when the quality changed last.
        lost: how many packets or messages are known to be lost.
        reconnects: how often it was resumed.
    """

    user: Register[str]
    kind: Register[str] = Register(default="")
    status: Register[ChannelStatus] = Register(default=ChannelStatus.OPEN)
    device: Register[str] = Register(default="")
    transport: Register[str] = Register(default="")
    opened_at: Register[int] = Register(default=0)
    seen_at: Register[int] = Register(default=0, on_conflict=LATEST)
    stale_at: Register[int | None] = Register(on_conflict=LATEST)
    closed_at: Register[int | None] = Register(on_conflict=LATEST)
    reason: Register[str] = Register(default="")
    token: Register[str] = Register(default="")
    quality: Register[Quality] = Register(default=Quality.UNKNOWN)
    round_trip_ms: Register[float | None]
    lost: GCounter
    reconnects: GCounter


class UserSession(State, name="usersession"):
    """A session of one or more users; a `UserSessionManager` reads and writes it. Subclass it to keep more in the room.

    Attributes:
        users: by their ids.
        channels: by their ids.
        started_at: when the first user came, in ms since the Unix epoch, by the server's clock.
        idle_timeout: after how many ms without a sign of a user that user is idle.
        absolute_timeout: after how many ms the session ends, whatever happens; None is never.
        ended_at: when it ended, None if it goes on.
        end_reason: why it ended.
    """

    users: Map[UserRow]
    channels: Map[ChannelRow]
    started_at: Register[int | None] = Register(on_conflict=EARLIEST)
    idle_timeout: Register[int] = Register(default=IDLE_TIMEOUT)
    absolute_timeout: Register[int | None]
    ended_at: Register[int | None] = Register(on_conflict=LATEST)
    end_reason: Register[str] = Register(default="")
