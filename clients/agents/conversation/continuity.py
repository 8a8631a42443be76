"""Continuity: a conversation that goes on in another session, and one that goes on after a restart."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from comity.crdt_types.document.clock import wall_ms

from .document import Conversation
from .frozen import thaw
from .pruning import groups_of, standing
from .records import Message, Summary, ToolCall, Turn
from .repair import Repaired
from .snapshots import ConversationState
from .status import Role, TurnStatus

TURNS: Final = 6  # the newest that go over: what people still have in mind when they change from speech to text
CONTINUED_FROM: Final = "continued_from"  # the name in metadata of what a conversation goes on from
ELSEWHERE: Final = "continued in another session"
RESTARTED: Final = "restarted"


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was found after a restart.

    Attributes:
        interrupted: the messages that were cut off while they were written.
        turns: the turns that were under way: they are interrupted, or active again if they are to be done again.
        pending: the calls of tools to be made again or answered; none if the turns were interrupted.
        repaired: what was repaired.
    """

    interrupted: tuple[Message, ...]
    turns: tuple[Turn, ...]
    pending: tuple[ToolCall, ...]
    repaired: Repaired


@dataclass(frozen=True, slots=True)
class Carried:
    """What goes over from one conversation to the next.

    Attributes:
        messages: the messages that go over: system messages, pinned ones with what belongs to them, the newest turns.
        left: the messages that do not, and are not there already.
        summaries: what was summed up before, unless the messages themselves are there.
    """

    messages: tuple[Message, ...]
    left: tuple[Message, ...]
    summaries: tuple[Summary, ...]


def carried(previous: ConversationState, there: Container[str], turns: int = TURNS) -> Carried:
    """Return what goes over from a conversation.

    Args:
        previous: the conversation.
        there: the ids of the messages that the one which goes on has already.
        turns: how many of the newest turns.
    """
    groups = [group for group in groups_of(previous.messages) if not any(_is_system(each) for each in group)]
    newest = {message.id for group in groups[max(0, len(groups) - turns) :] for message in group}
    pinned = [group for group in groups if any(message.id in previous.pinned for message in group)]
    chosen = newest | {message.id for group in pinned for message in group}
    messages = tuple(message for message in previous.messages if _is_system(message) or message.id in chosen)
    here = {message.id for message in messages}
    left = tuple(message for message in previous.messages if message.id not in here and message.id not in there)
    untold = tuple(each for each in standing(previous.summaries) if each.first not in there or each.last not in there)
    return Carried(messages, left, untold)


def _is_system(message: Message) -> bool:
    return message.role is Role.SYSTEM


def carry(
    live: Conversation,
    previous: ConversationState,
    what: Carried,
    *,
    summary: Summary | None,
    room: str,
    metadata: Container[str] | None,
) -> None:
    """Write what goes over into a conversation, in one transaction.

    Messages keep their ids, so what is there already, because the conversation had come from here, is left alone.

    Args:
        live: the conversation that goes on.
        previous: the one that it goes on from.
        what: what goes over.
        summary: what takes the place of the summaries and of what does not go over; None to take those over.
        room: the room of the previous conversation.
        metadata: the names of the metadata that go over; all if None.
    """
    turns = {message.turn for message in what.messages}
    ids = {message.id for message in what.messages}
    with live.transaction():
        _add(live.messages, {message.id: _spoken(message) for message in what.messages})
        _add(live.turns, {turn.id: _ended(turn) for turn in previous.turns if turn.id in turns})
        _add(live.tool_calls, {call.id: call for call in previous.tool_calls if call.message in ids})
        _add(live.summaries, {each.id: each for each in (what.summaries if summary is None else (summary,))})
        live.pinned.update(previous.pinned & ids)
        names = [name for name in previous.metadata if metadata is None or name in metadata]
        _add(live.metadata, {name: thaw(previous.metadata[name]) for name in names if name != CONTINUED_FROM})
        last = previous.messages[-1].id if previous.messages else None
        live.metadata[CONTINUED_FROM] = {"room": room, "last": last, "at": wall_ms()}


def _add(there: Any, more: Mapping[str, Any]) -> None:
    there.update({key: value for key, value in more.items() if key not in there})


def _spoken(message: Message) -> Message:
    """Return a message without its audio, of which the transcript is kept if nothing else says it."""
    if message.audio is None:
        return message
    content = message.audio.transcript if message.content is None else message.content
    return replace(message, content=content, audio=None)


def _ended(turn: Turn) -> Turn:
    if not turn.is_active:
        return turn
    return replace(turn, status=TurnStatus.INTERRUPTED, reason=ELSEWHERE, ended_at=max(wall_ms(), turn.started_at))
