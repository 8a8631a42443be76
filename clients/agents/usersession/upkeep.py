"""What a user session does by itself: finds channels that nobody holds, users that are idle, and its own end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from comity.crdt_types.errors import InvalidValueError

from .channels import Channels
from .document import ChannelStatus, UserSession
from .presence import Presence
from .values import Channel, Event, UserActive, UserIdle, user_of

# A reconnect takes some seconds, and presence is renewed every 15: what is gone for longer is gone.
STALE_AFTER: Final = timedelta(seconds=30)
# Long enough for a train's tunnel, or for another agent to take the place of one that crashed.
CLOSED_AFTER: Final = timedelta(minutes=5)
# Long enough that whoever asks what became of a channel finds it.
FORGOTTEN_AFTER: Final = timedelta(hours=1)
# The reason of channels that nobody resumed.
LOST: Final = "lost"
# Seconds between two looks where nothing is due: presence goes without a word when a whole network does.
LOOK: Final = 5.0
MS: Final = 1000


class Patience(NamedTuple):
    """How long a channel is unheld until it is stale, then until it is closed, then until it is removed."""

    stale: timedelta = STALE_AFTER
    closed: timedelta = CLOSED_AFTER
    forgotten: timedelta = FORGOTTEN_AFTER

    def check(self) -> None:
        """Raise InvalidValueError, if that makes no sense."""
        if min(self) <= timedelta():
            raise InvalidValueError("no time at all", subject="Patience", remedy="give times above 0")


class Upkeep:
    """Looks after a session; any number of agents may do so at once, and come to the same.

    Args:
        state: the session.
        channels: its channels.
        presence: who holds which.
        patience: how long channels are waited for.
        now: tells the time in ms.
        emit: tells of an event.
    """

    def __init__(
        self,
        state: UserSession,
        channels: Channels,
        presence: Presence,
        patience: Patience,
        now: Callable[[], int],
        emit: Callable[[Event], None],
    ) -> None:
        self._state = state
        self._channels = channels
        self._presence = presence
        self._patience = patience
        self._now = now
        self._emit = emit
        self._idle: set[str] = set()

    def is_over(self) -> bool:
        """Tell whether the session has lasted for as long as it may, and was not ended yet."""
        left = self._left()
        return left is not None and left <= 0 and self._presence.is_connected()

    def look(self) -> float:
        """Do what is due; returns after how many seconds to look again.

        Nothing is written while there is no connection: what looks overdue from here may have gone on elsewhere.
        """
        channels = self._channels.all()
        waits = [self._look_at(channel) for channel in channels]
        waits += [self._look_at_user(user) for user in self._state.users]
        self._presence.keep(frozenset(channel.id for channel in channels))
        self._idle &= set(self._state.users)
        left = self._left()
        if left is not None and self._presence.is_connected():
            waits.append(left / MS)
        return max(min([LOOK, *waits]), 0.0)

    def is_idle(self, user: str) -> bool:
        """Tell whether a user has given no sign for longer than the idle timeout."""
        return self._until_idle(user) <= 0

    def _left(self) -> int | None:
        """Return how many ms the session has left, None if that is not known, or it was ended."""
        lasts, started = self._state.absolute_timeout.value, self._state.started_at.value
        if lasts is None or started is None or self._state.ended_at.value is not None:
            return None
        return started + lasts - self._now()

    def _look_at(self, channel: Channel) -> float:
        """Do what is due about a channel; returns in how many seconds something will be."""
        if not self._presence.is_connected():
            self._presence.unheld_for(channel.id)  # which begins anew when there is a connection
            return LOOK
        match channel.status:
            case ChannelStatus.OPEN:
                return self._look_at_open(channel)
            case ChannelStatus.STALE:
                return self._look_at_stale(channel)
            case ChannelStatus.CLOSED:
                left = self._left_of(channel.closed_at, self._patience.forgotten)
                if left <= 0:
                    self._channels.remove(channel.id)
                return left if left > 0 else LOOK

    def _look_at_open(self, channel: Channel) -> float:
        left = self._patience.stale.total_seconds() - self._presence.unheld_for(channel.id)
        if left <= 0:
            self._channels.mark_stale(channel.id)
            return self._patience.closed.total_seconds()
        return left

    def _look_at_stale(self, channel: Channel) -> float:
        if channel.id in self._presence.held:  # others could not see it for a while
            self._channels.mark_open(channel.id)
            return LOOK
        if self._presence.of(channel.id) is not None:  # its holder says so in a moment
            return LOOK
        left = self._left_of(channel.stale_at, self._patience.closed)
        if left <= 0:
            self._channels.close(channel.id, LOST)
            return LOOK
        return left

    def _left_of(self, since: int | None, patience: timedelta) -> float:
        return patience.total_seconds() - (self._now() - (since or 0)) / MS

    def _look_at_user(self, user: str) -> float:
        left = self._until_idle(user)
        if (left <= 0) == (user in self._idle):
            return max(left / MS, 0.0) or LOOK
        value = user_of(user, self._state.users[user])
        if left <= 0:
            self._idle.add(user)
            self._emit(UserIdle(value))
            return LOOK
        self._idle.discard(user)
        self._emit(UserActive(value))
        return left / MS

    def _until_idle(self, user: str) -> float:
        """Return in how many ms a user is idle; a sign may be known a step late, which is given to all alike."""
        timeout = self._state.idle_timeout.get(0)
        return self._state.users[user].active_at.get(0) + timeout + step_of(timeout) - self._now()


def step_of(timeout: int) -> int:
    """Return how many ms a sign of a user may stay unwritten: a tenth of the idle timeout, or half a minute."""
    return min(timeout // 10, 30_000)
