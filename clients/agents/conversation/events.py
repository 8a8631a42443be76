"""Events: what a change of a conversation's state means."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .projection import Touched
from .snapshots import ConversationState, Message, Stream, ToolCall, Turn, find
from .status import ConversationStatus, ToolStatus, TurnStatus


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a conversation.

    Attributes:
        local: whether this replica made it happen.
    """

    local: bool


@dataclass(frozen=True, slots=True)
class StatusChanged(Event):
    """The status became another one."""

    old: ConversationStatus
    new: ConversationStatus


@dataclass(frozen=True, slots=True)
class ConnectionEstablished(Event):
    """The user is connected."""

    connection_id: str | None


@dataclass(frozen=True, slots=True)
class ConnectionClosed(Event):
    """The user is not connected any more."""

    error: str | None


@dataclass(frozen=True, slots=True)
class AudioInputStarted(Event):
    """The user is heard."""


@dataclass(frozen=True, slots=True)
class AudioInputStopped(Event):
    """The user is not heard any more."""


@dataclass(frozen=True, slots=True)
class AudioOutputStarted(Event):
    """The assistant is speaking."""


@dataclass(frozen=True, slots=True)
class AudioOutputStopped(Event):
    """The assistant is not speaking any more."""


@dataclass(frozen=True, slots=True)
class MessageAdded(Event):
    """There is a new message."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageChanged(Event):
    """A message was written again."""

    old: Message
    message: Message


@dataclass(frozen=True, slots=True)
class MessageRemoved(Event):
    """A message is gone."""

    message: Message


@dataclass(frozen=True, slots=True)
class StreamStarted(Event):
    """A message begins to be written."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class StreamEnded(Event):
    """A message is not being written any more: it is there, or was given up."""

    stream: Stream


@dataclass(frozen=True, slots=True)
class TurnStarted(Event):
    """A turn began."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnCompleted(Event):
    """A turn was completed."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnInterrupted(Event):
    """A turn was interrupted."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class ToolCallStarted(Event):
    """A tool is called."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolCallCompleted(Event):
    """A tool's result is there."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolCallFailed(Event):
    """A tool failed."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolCallCancelled(Event):
    """A tool's result is not awaited any more."""

    call: ToolCall


I = TypeVar("I", Message, Turn, ToolCall, Stream)  # noqa: E741  # an item with an id


def events_between(
    old: ConversationState, new: ConversationState, touched: list[Touched], local: bool
) -> Iterator[Event]:
    """Yield what it means that a state became another one.

    Args:
        old: the state before.
        new: the state after.
        touched: the cells that were written between the two.
        local: whether this replica wrote them.
    """
    if new.status is not old.status:
        yield StatusChanged(local, old.status, new.status)
    if new.connection is not old.connection and new.connection.connected != old.connection.connected:
        yield _connection_event(new, local)
    if new.audio is not old.audio:
        yield from _audio_events(old, new, local)
    if new.turns is not old.turns:
        yield from _turn_events(old.turns, new.turns, _keys(touched, "turns"), local)
    if new.streaming is not old.streaming:
        yield from _stream_events(old, new, local)
    if new.messages is not old.messages:
        yield from _message_events(old.messages, new.messages, _keys(touched, "messages"), local)
    if new.tool_calls is not old.tool_calls:
        yield from _call_events(old.tool_calls, new.tool_calls, _keys(touched, "tool_calls"), local)


def _keys(touched: list[Touched], field: str) -> list[str] | None:
    """Return the keys of a field that were written, None if that may be any of them."""
    keys = dict.fromkeys(key for path, key in touched if path == field)
    return None if None in keys else sorted(key for key in keys if key is not None)


def _connection_event(new: ConversationState, local: bool) -> Event:
    connection = new.connection
    if connection.connected:
        return ConnectionEstablished(local, connection.connection_id)
    return ConnectionClosed(local, connection.error)


def _audio_events(old: ConversationState, new: ConversationState, local: bool) -> Iterator[Event]:
    before, after = old.audio, new.audio
    if after.input_active != before.input_active:
        yield (AudioInputStarted if after.input_active else AudioInputStopped)(local)
    if after.output_active != before.output_active:
        yield (AudioOutputStarted if after.output_active else AudioOutputStopped)(local)


def _pairs(old: tuple[I, ...], new: tuple[I, ...], keys: list[str] | None) -> Iterator[tuple[I | None, I | None]]:
    """Yield what became of the items that differ, in the order of their ids."""
    ids = sorted({item.id for item in (*old, *new)}) if keys is None else keys
    for id in ids:
        before, after = find(old, id), find(new, id)
        if before != after:
            yield before, after


def _message_events(
    old: tuple[Message, ...], new: tuple[Message, ...], keys: list[str] | None, local: bool
) -> Iterator[Event]:
    for before, after in _pairs(old, new, keys):
        if after is None:
            assert before is not None
            yield MessageRemoved(local, before)
        elif before is None:
            yield MessageAdded(local, after)
        else:
            yield MessageChanged(local, before, after)


def _stream_events(old: ConversationState, new: ConversationState, local: bool) -> Iterator[Event]:
    for before, after in _pairs(old.streaming, new.streaming, None):
        if before is None and after is not None:
            yield StreamStarted(local, after)
        elif before is not None and after is None:
            yield StreamEnded(local, before)


_TURN_ENDS: dict[TurnStatus, Callable[[bool, Turn], Event]] = {
    TurnStatus.COMPLETED: TurnCompleted,
    TurnStatus.INTERRUPTED: TurnInterrupted,
}
_CALL_ENDS: dict[ToolStatus, Callable[[bool, ToolCall], Event]] = {
    ToolStatus.COMPLETED: ToolCallCompleted,
    ToolStatus.FAILED: ToolCallFailed,
    ToolStatus.CANCELLED: ToolCallCancelled,
}


def _turn_events(old: tuple[Turn, ...], new: tuple[Turn, ...], keys: list[str] | None, local: bool) -> Iterator[Event]:
    for before, after in _pairs(old, new, keys):
        if before is None and after is not None:
            yield TurnStarted(local, after)
        if after is not None and (before is None or before.status is not after.status) and after.status in _TURN_ENDS:
            yield _TURN_ENDS[after.status](local, after)


def _call_events(
    old: tuple[ToolCall, ...], new: tuple[ToolCall, ...], keys: list[str] | None, local: bool
) -> Iterator[Event]:
    for before, after in _pairs(old, new, keys):
        if before is None and after is not None:
            yield ToolCallStarted(local, after)
        if after is not None and (before is None or before.status is not after.status) and after.status in _CALL_ENDS:
            yield _CALL_ENDS[after.status](local, after)
