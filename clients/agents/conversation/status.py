"""What a conversation and its parts can be at: statuses, roles, and which status may follow which."""

from enum import StrEnum
from typing import Final, TypeVar

from comity.crdt_types.errors import InvalidValueError

N = TypeVar("N", bound=StrEnum)


class ConversationStatus(StrEnum):
    """What a conversation is at."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    PROCESSING = "processing"
    RESPONDING = "responding"
    DISCONNECTED = "disconnected"
    ERROR = "error"


class Role(StrEnum):
    """Who a message is from."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class TurnStatus(StrEnum):
    """What became of a turn."""

    ACTIVE = "active"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"


class ToolStatus(StrEnum):
    """What became of a tool call."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = ConversationStatus
UNDER_WAY: Final = frozenset({_S.LISTENING, _S.PROCESSING, _S.RESPONDING})
_ENDS: Final = frozenset({_S.DISCONNECTED, _S.ERROR})  # reached from anywhere: nobody is asked when they happen

# Which statuses may follow which, beside those two and the same again. A conversation in text needs no connection, so
# it works from idle; after an end, and while it connects, nobody listens or answers.
MOVES: Final[dict[ConversationStatus, frozenset[ConversationStatus]]] = {
    _S.IDLE: frozenset({_S.CONNECTING, _S.CONNECTED, *UNDER_WAY, *_ENDS}),
    _S.CONNECTING: frozenset({_S.CONNECTED, _S.IDLE, *_ENDS}),
    _S.CONNECTED: frozenset({_S.CONNECTING, _S.IDLE, *UNDER_WAY, *_ENDS}),
    _S.LISTENING: frozenset({_S.CONNECTED, _S.IDLE, *UNDER_WAY, *_ENDS}),
    _S.PROCESSING: frozenset({_S.CONNECTED, _S.IDLE, *UNDER_WAY, *_ENDS}),
    _S.RESPONDING: frozenset({_S.CONNECTED, _S.IDLE, *UNDER_WAY, *_ENDS}),
    _S.DISCONNECTED: frozenset({_S.CONNECTING, _S.CONNECTED, _S.IDLE, *_ENDS}),
    _S.ERROR: frozenset({_S.CONNECTING, _S.CONNECTED, _S.IDLE, *_ENDS}),
}

OPEN_CALLS: Final = frozenset({ToolStatus.PENDING, ToolStatus.RUNNING})


def named(kind: type[N], name: str, what: str, *, subject: str) -> N:
    """Return a member of an enumeration by its name; raises InvalidValueError if there is none of it.

    Args:
        kind: the enumeration.
        name: the name, or the member itself.
        what: what such a member is called.
        subject: what was to have it.
    """
    try:
        return kind(name)
    except ValueError:
        raise InvalidValueError(
            f"{name!r} is no {what}", subject=subject, remedy=f"there are {', '.join(kind)}"
        ) from None
