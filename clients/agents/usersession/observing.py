"""Events: what changes of a user session mean, told to callbacks."""

from collections.abc import Callable
from typing import Final

from comity.crdt_types import Change
from comity.crdt_types.document.path import split

from ..telling import Telling
from .document import ChannelStatus, UserSession
from .values import (
    Channel,
    ChannelClosed,
    ChannelOpened,
    ChannelResumed,
    ChannelStale,
    Event,
    SessionEnded,
    UserJoined,
    channel_of,
    user_of,
)


class Observer:
    """Turns changes of a session, whoever makes them, into events, and calls back with those, in order.

    Args:
        state: the session.

    Attributes:
        on_event: calls a callback with every event; see `Telling.on_event`.
    """

    def __init__(self, state: UserSession) -> None:
        self._state = state
        self._telling: Telling[Event] = Telling()
        self.on_event: Final = self._telling.on_event
        self.emit: Final = self._telling.emit
        self._stop: Callable[[], None] | None = None

    def start(self) -> None:
        """Look at changes from now on."""
        self._telling.start()
        self._stop = self._state.on_change(self._changed)

    async def close(self) -> None:
        """Tell what is still to be told, and then nothing more."""
        if self._stop is not None:
            self._stop()
        await self._telling.close()

    def _changed(self, change: Change) -> None:
        if not self._telling:
            return
        match split(change.field):
            case ["channels", key, "status" | "reconnects" as field]:
                self._channel_changed(key, field, change)
            case ["users"] if change.action == "added" and change.key in self._state.users:
                self.emit(UserJoined(user_of(change.key, self._state.users[change.key])))
            case ["ended_at"] if change.old is None:
                self.emit(SessionEnded(self._state.end_reason.get("")))
            case _:
                pass

    def _channel_changed(self, key: str, field: str, change: Change) -> None:
        if key not in self._state.channels:
            return
        channel = channel_of(key, self._state.channels[key])
        event = ChannelResumed(channel) if field == "reconnects" else _status_event(channel, change)
        if event is not None:
            self.emit(event)


def _status_event(channel: Channel, change: Change) -> Event | None:
    """Return what a change of a channel's status means; that it is open again, its count of reconnects tells."""
    match channel.status:
        case ChannelStatus.OPEN if change.old is None:
            return ChannelOpened(channel)
        case ChannelStatus.STALE:
            return ChannelStale(channel)
        case ChannelStatus.CLOSED:
            return ChannelClosed(channel)
        case _:
            return None
