"""Snapshots: what a conversation was at one moment, as immutable values.

All times are whole milliseconds since the Unix epoch.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Protocol, TypeVar

from .frozen import NOTHING, FrozenMap
from .records import Message, Stream, Summary, ToolCall, Turn
from .status import UNDER_WAY, ConversationStatus, Role

__all__ = [
    "AudioState",
    "ConnectionState",
    "ConversationMetrics",
    "ConversationSnapshot",
    "ConversationState",
    "Message",
    "Stream",
    "Summary",
    "ToolCall",
    "Turn",
]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """How the user is connected.

    Attributes:
        connected: whether there is a connection.
        connection_id: what its transport calls it.
        transport: what it is made of, such as ``websocket``, ``webrtc`` or ``text``.
        connected_at: when it was made.
        closed_at: when it was closed.
        reconnects: how often it was made again.
        latency_ms: its round trip, as last measured.
        error: why it was lost.
    """

    connected: bool = False
    connection_id: str | None = None
    transport: str | None = None
    connected_at: int | None = None
    closed_at: int | None = None
    reconnects: int = 0
    latency_ms: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AudioState:
    """What goes in and out as sound.

    Attributes:
        input_active: whether the user is heard.
        output_active: whether the assistant is speaking.
        muted: whether the user has muted the microphone.
        input_started_at: when the input was last started.
        output_started_at: when the output was last started.
        input_format: the media type of the input.
        output_format: the media type of the output.
        sample_rate: samples per second.
        voice: the assistant's voice.
        volume: how loud the output is, 1.0 as it is recorded.
    """

    input_active: bool = False
    output_active: bool = False
    muted: bool = False
    input_started_at: int | None = None
    output_started_at: int | None = None
    input_format: str | None = None
    output_format: str | None = None
    sample_rate: int | None = None
    voice: str | None = None
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class ConversationMetrics:
    """What was counted over the life of a conversation; pruning takes nothing from it.

    Attributes:
        messages: messages added.
        user_messages: those from the user.
        assistant_messages: those from the assistant.
        tokens: the tokens of all messages of which they are known.
        turns: turns begun.
        turns_completed: those that were completed.
        turns_interrupted: those that were interrupted.
        turn_ms: how long the completed turns took together.
        tool_calls: tool calls made.
        tool_calls_failed: those that failed.
        errors: how often the status became ``error``.
    """

    messages: int = 0
    user_messages: int = 0
    assistant_messages: int = 0
    tokens: int = 0
    turns: int = 0
    turns_completed: int = 0
    turns_interrupted: int = 0
    turn_ms: int = 0
    tool_calls: int = 0
    tool_calls_failed: int = 0
    errors: int = 0

    @property
    def mean_turn_ms(self) -> float | None:
        """How long a completed turn took on average; None if there is none."""
        return self.turn_ms / self.turns_completed if self.turns_completed else None


class Identified(Protocol):
    """Anything that has an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


I = TypeVar("I", bound=Identified)  # noqa: E741  # the item of an ordered tuple
_ID: Final = attrgetter("id")


def position(items: Sequence[I], id: str) -> int:
    """Return where an id stands, or would stand, among items in the order of their ids."""
    return bisect_left(items, id, key=_ID)


def find(items: Sequence[I], id: str) -> I | None:
    """Return the item of an id among items in the order of their ids; None if there is none."""
    at = position(items, id)
    return items[at] if at < len(items) and items[at].id == id else None


@dataclass(frozen=True, slots=True)
class ConversationState:
    """A conversation at one moment; it never changes.

    Attributes:
        status: what it is at.
        error: what went wrong, if the status is ``error``.
        connection: how the user is connected.
        audio: what goes in and out as sound.
        messages: the messages in order.
        turns: the turns in order.
        tool_calls: the calls of tools, in the order of the messages that make them.
        streaming: the messages that are being written.
        active_turns: those of the turns that are under way.
        pinned: the ids of the messages that pruning keeps.
        summaries: what messages said that were pruned.
        metadata: whatever else belongs to it.
        metrics: what was counted.
    """

    status: ConversationStatus = ConversationStatus.IDLE
    error: str | None = None
    connection: ConnectionState = ConnectionState()
    audio: AudioState = AudioState()
    messages: tuple[Message, ...] = ()
    turns: tuple[Turn, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    streaming: tuple[Stream, ...] = ()
    active_turns: tuple[Turn, ...] = ()
    pinned: frozenset[str] = frozenset()
    summaries: tuple[Summary, ...] = ()
    metadata: FrozenMap = NOTHING
    metrics: ConversationMetrics = ConversationMetrics()

    @property
    def is_active(self) -> bool:
        """Whether somebody is listened to, thought about or answered."""
        return self.status in UNDER_WAY

    @property
    def is_connected(self) -> bool:
        """Whether the user is connected."""
        return self.connection.connected

    @property
    def is_listening(self) -> bool:
        """Whether the user is listened to."""
        return self.status is ConversationStatus.LISTENING

    @property
    def is_processing(self) -> bool:
        """Whether an answer is being thought of."""
        return self.status is ConversationStatus.PROCESSING

    @property
    def is_responding(self) -> bool:
        """Whether the assistant is answering."""
        return self.status is ConversationStatus.RESPONDING

    @property
    def is_speaking(self) -> bool:
        """Whether the assistant is heard."""
        return self.audio.output_active

    @property
    def last_message(self) -> Message | None:
        """The newest message."""
        return self.messages[-1] if self.messages else None

    @property
    def last_user_message(self) -> Message | None:
        """The newest message from the user."""
        return self._last(Role.USER)

    @property
    def last_assistant_message(self) -> Message | None:
        """The newest message from the assistant."""
        return self._last(Role.ASSISTANT)

    def _last(self, role: Role) -> Message | None:
        return next((message for message in reversed(self.messages) if message.role is role), None)

    @property
    def current_turn(self) -> Turn | None:
        """The turn under way; of several, the one that began last."""
        return self.active_turns[-1] if self.active_turns else None

    @property
    def message_count(self) -> int:
        """How many messages there are."""
        return len(self.messages)

    @property
    def turn_count(self) -> int:
        """How many turns there are."""
        return len(self.turns)

    @property
    def pending_tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls whose results are still to come."""
        return tuple(call for call in self.tool_calls if call.is_open)

    @property
    def duration_ms(self) -> int:
        """The time from the first message or turn to the last."""
        times = [message.created_at for message in (*self.messages[:1], *self.messages[-1:])]
        times += [turn.started_at for turn in self.turns[:1]]
        times += [turn.ended_at or turn.started_at for turn in self.turns[-1:]]
        return max(times) - min(times) if times else 0

    def message(self, id: str) -> Message | None:
        """Return the message of an id, None if there is none."""
        return find(self.messages, id)

    def turn(self, id: str) -> Turn | None:
        """Return the turn of an id, None if there is none."""
        return find(self.turns, id)

    def tool_call(self, id: str) -> ToolCall | None:
        """Return the tool call of an id, None if there is none."""
        return find(self.tool_calls, id)

    def messages_of(self, turn: str) -> tuple[Message, ...]:
        """Return the messages of a turn."""
        return tuple(message for message in self.messages if message.turn == turn)

    def calls_of(self, message: str) -> tuple[ToolCall, ...]:
        """Return the tool calls that a message makes, in order."""
        found = []
        for at in range(position(self.tool_calls, f"{message}."), len(self.tool_calls)):
            if self.tool_calls[at].message != message:
                break
            found.append(self.tool_calls[at])
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ConversationSnapshot:
    """All that a conversation held at one moment, audio included: a value to be kept, compared and written to a file.

    Attributes:
        state: the conversation without its audio.
        audio: the bytes of the audio, by the ids of the messages.
        taken_at: when it was taken; two snapshots are equal whenever they were taken.
    """

    state: ConversationState
    audio: Mapping[str, bytes]
    taken_at: int = field(compare=False)
