"""What type checkers see of a conversation and its manager; checked by them, never run."""

from contextlib import AbstractAsyncContextManager
from typing import assert_type

from comity.clients.agents.conversation import (
    AudioClip,
    Conversation,
    ConversationManager,
    ConversationSnapshot,
    ConversationState,
    ConversationStatus,
    Event,
    Message,
    MessageStream,
    Recording,
    Role,
    StatusChanged,
    Stream,
    ToolCall,
    ToolStatus,
    Turn,
    TurnStatus,
)
from comity.clients.client import Client
from comity.clients.tiers.session import SessionState
from comity.crdt_types import Map, Register


class Call(Conversation):
    topic: Register[str]


def opened(client: Client, session: SessionState[Call]) -> None:
    assert_type(
        ConversationManager.open(client, "call-42"), AbstractAsyncContextManager[ConversationManager[Conversation]]
    )
    assert_type(
        ConversationManager.open(client, "call-42", Call), AbstractAsyncContextManager[ConversationManager[Call]]
    )
    assert_type(ConversationManager(session), ConversationManager[Call])


manager = ConversationManager(Call())
assert_type(manager, ConversationManager[Call])
assert_type(manager.live, Call)
assert_type(manager.live.topic.value, str | None)
assert_type(manager.live.status.value, ConversationStatus | None)
assert_type(manager.live.messages, Map[Message])
assert_type(manager.live.connection.latency_ms.value, float | None)

state = manager.state
assert_type(state, ConversationState)
assert_type(state.status, ConversationStatus)
assert_type(state.error, str | None)
assert_type(state.messages, tuple[Message, ...])
assert_type(state.streaming, tuple[Stream, ...])
assert_type(state.current_turn, Turn | None)
assert_type(state.last_user_message, Message | None)
assert_type(state.pending_tool_calls, tuple[ToolCall, ...])
assert_type(state.message("id"), Message | None)
assert_type(state.pinned, frozenset[str])
assert_type(state.metrics.mean_turn_ms, float | None)
assert_type(state.audio.input_started_at, int | None)

message = manager.add_message("user", "Hi", tokens=1, audio=Recording(b""))
assert_type(message, Message)
assert_type(message.role, Role)
assert_type(message.audio, AudioClip | None)
assert_type(message.tokens, int | None)
assert_type(manager.start_turn("Hi").status, TurnStatus)
assert_type(manager.start_tool_call("lookup").status, ToolStatus)
assert_type(manager.update(status=ConversationStatus.LISTENING), ConversationState)
assert_type(manager.update_connection(connected=True, latency_ms=1.5), ConversationState)
assert_type(manager.get_history(limit=10), tuple[Message, ...])
assert_type(manager.create_snapshot(), ConversationSnapshot)
assert_type(manager.audio_of(message.id), bytes)


def heard(event: StatusChanged) -> None:
    assert_type(event.old, ConversationStatus)


def heard_all(event: Event) -> None:
    assert_type(event.local, bool)


manager.on_event(heard, StatusChanged)
manager.on_event(heard_all)
with manager.stream() as stream:
    assert_type(stream, MessageStream)
    assert_type(stream.write("token"), bool)
    assert_type(stream.message, Message | None)
