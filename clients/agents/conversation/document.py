"""The document of a conversation: what all who take part in it share."""

from typing import Any

from comity.crdt_types import GCounter, Map, ORSet, Register, State

from .records import StoredMessage, StoredStream, StoredSummary, StoredToolCall, StoredTurn
from .status import ConversationStatus


class Connection(State, name="conversation.connection"):
    """How the user is connected: a register for each, so that concurrent updates of different ones are all kept."""

    connected: Register[bool] = Register(default=False)
    connection_id: Register[str | None]
    transport: Register[str | None]
    connected_at: Register[int | None]
    closed_at: Register[int | None]
    reconnects: Register[int] = Register(default=0)
    latency_ms: Register[float | None]
    error: Register[str | None]


class Audio(State, name="conversation.audio"):
    """What goes in and out as sound."""

    input_active: Register[bool] = Register(default=False)
    output_active: Register[bool] = Register(default=False)
    muted: Register[bool] = Register(default=False)
    input_started_at: Register[int | None]
    output_started_at: Register[int | None]
    input_format: Register[str | None]
    output_format: Register[str | None]
    sample_rate: Register[int | None]
    voice: Register[str | None]
    volume: Register[float] = Register(default=1.0)


class Counts(State, name="conversation.counts"):
    """What is counted over the life of a conversation."""

    messages: GCounter
    user_messages: GCounter
    assistant_messages: GCounter
    tokens: GCounter
    turns: GCounter
    turns_completed: GCounter
    turns_interrupted: GCounter
    turn_ms: GCounter
    tool_calls: GCounter
    tool_calls_failed: GCounter
    errors: GCounter


class Conversation(State, name="conversation"):
    """A conversation as it is shared; a `ConversationManager` reads and writes it.

    Messages, turns, tool calls, streams and summaries lie under their ids, of which later ones are greater. Subclass it
    to keep more in the same room.
    """

    status: Register[ConversationStatus] = Register(default=ConversationStatus.IDLE)
    error: Register[str | None]
    connection: Connection
    audio: Audio
    messages: Map[StoredMessage]
    turns: Map[StoredTurn]
    tool_calls: Map[StoredToolCall]  # by "<message id>.<number>"
    streams: Map[StoredStream]  # messages that are being written, and
    chunks: Map[str]  # their text by "<message id>/<8 digits>"; both go when the message is there
    audio_clips: Map[bytes]  # by "<message id>/<8 digits>"
    pinned: ORSet[str]
    summaries: Map[StoredSummary]
    metadata: Map[Any]
    counts: Counts
