"""Conversations of agents with people: live, streamed, searched, pruned, repaired, kept and continued."""

from .archive import About
from .continuity import CONTINUED_FROM, Carried, Resumed
from .document import Conversation
from .events import (
    AudioInputStarted,
    AudioInputStopped,
    AudioOutputStarted,
    AudioOutputStopped,
    ConnectionClosed,
    ConnectionEstablished,
    Event,
    MessageAdded,
    MessageChanged,
    MessageRemoved,
    StatusChanged,
    StreamEnded,
    StreamStarted,
    ToolCallCancelled,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
    TurnCompleted,
    TurnInterrupted,
    TurnStarted,
)
from .manager import ConversationManager
from .pruning import Pruned, estimated_tokens
from .records import AudioClip, Message, Recording, Stream, Summary, ToolCall, Turn
from .repair import Repaired
from .search import SearchHit
from .snapshots import AudioState, ConnectionState, ConversationMetrics, ConversationSnapshot, ConversationState
from .status import ConversationStatus, Role, ToolStatus, TurnStatus
from .streaming import MessageStream
from .transcript import Flaw, flaws

__all__ = [
    "CONTINUED_FROM",
    "About",
    "AudioClip",
    "AudioInputStarted",
    "AudioInputStopped",
    "AudioOutputStarted",
    "AudioOutputStopped",
    "AudioState",
    "Carried",
    "ConnectionClosed",
    "ConnectionEstablished",
    "ConnectionState",
    "Conversation",
    "ConversationManager",
    "ConversationMetrics",
    "ConversationSnapshot",
    "ConversationState",
    "ConversationStatus",
    "Event",
    "Flaw",
    "Message",
    "MessageAdded",
    "MessageChanged",
    "MessageRemoved",
    "MessageStream",
    "Pruned",
    "Recording",
    "Repaired",
    "Resumed",
    "Role",
    "SearchHit",
    "StatusChanged",
    "Stream",
    "StreamEnded",
    "StreamStarted",
    "Summary",
    "ToolCall",
    "ToolCallCancelled",
    "ToolCallCompleted",
    "ToolCallFailed",
    "ToolCallStarted",
    "ToolStatus",
    "Turn",
    "TurnCompleted",
    "TurnInterrupted",
    "TurnStarted",
    "TurnStatus",
    "estimated_tokens",
    "flaws",
]
