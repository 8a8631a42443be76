"""User sessions: who takes part, over which channels, how those are, and when all of it ends."""

from .document import ChannelRow, ChannelStatus, Quality, UserRow, UserSession
from .manager import UserSessionManager
from .upkeep import Patience
from .values import (
    Channel,
    ChannelClosed,
    ChannelOpened,
    ChannelResumed,
    ChannelStale,
    Event,
    Health,
    Opening,
    SessionEnded,
    SessionEnding,
    User,
    UserActive,
    UserIdle,
    UserJoined,
)

__all__ = [
    "Channel",
    "ChannelClosed",
    "ChannelOpened",
    "ChannelResumed",
    "ChannelRow",
    "ChannelStale",
    "ChannelStatus",
    "Event",
    "Health",
    "Opening",
    "Patience",
    "Quality",
    "SessionEnded",
    "SessionEnding",
    "User",
    "UserActive",
    "UserIdle",
    "UserJoined",
    "UserRow",
    "UserSession",
    "UserSessionManager",
]
