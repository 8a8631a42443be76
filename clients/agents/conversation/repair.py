"""Repair: tool calls that nobody will answer any more, and answers that belong to no call."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from comity.crdt_types.document.clock import wall_ms

from .document import Conversation
from .frozen import FrozenMap
from .records import Message, ToolCall
from .snapshots import ConversationState
from .status import Role, ToolStatus
from .transcript import STRAY, answers_in

# What the model is told of a call that was cut off. It says that nothing is known, since the tool may have run.
NO_RESULT: Final = "No result: the call was cut off before there was one."
REPAIRED: Final = "repaired"  # the name in metadata that marks answers which repair wrote


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was repaired.

    Attributes:
        cancelled: the calls that were cancelled, since nobody would have answered them any more.
        answered: the calls that had ended, but of whose end the model was not told.
        stray: the messages of tools that answer no call, or one that has another answer: the model is not shown them.
    """

    cancelled: tuple[ToolCall, ...] = ()
    answered: tuple[ToolCall, ...] = ()
    stray: tuple[Message, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cancelled or self.answered or self.stray)


def nobody(_agent: str) -> bool:
    """Take no agent for gone."""
    return False


def orphaned_tool_calls(state: ConversationState, is_gone: Callable[[str], bool] = nobody) -> tuple[ToolCall, ...]:
    """Return the open calls that nobody will answer any more.

    That are those of turns that have ended, those outside of turns after which something else was said, and those of
    agents that are gone. A call that a message answers is none.

    Args:
        state: the conversation.
        is_gone: tells by its name whether an agent is gone.
    """
    under_way = {turn.id for turn in state.active_turns}
    answers = answers_in(state)
    return tuple(
        call
        for call in state.pending_tool_calls
        if call.id not in answers
        and (is_gone(call.agent) or (call.turn not in under_way if call.turn else _is_passed_over(state, call)))
    )


def _is_passed_over(state: ConversationState, call: ToolCall) -> bool:
    last = next((message for message in reversed(state.messages) if message.role is not Role.TOOL), None)
    return last is not None and last.id > call.message


def unanswered(state: ConversationState) -> tuple[ToolCall, ...]:
    """Return the calls that have ended without a message that tells the model."""
    answers = answers_in(state)
    return tuple(call for call in state.tool_calls if not call.is_open and call.id not in answers)


def stray_answers(state: ConversationState) -> tuple[Message, ...]:
    """Return the messages of tools that answer no call, or one that has another answer, and are not marked yet."""
    given = {message.id for message in answers_in(state).values()}
    return tuple(
        message
        for message in state.messages
        if message.role is Role.TOOL and message.id not in given and not message.metadata.get(STRAY)
    )


def diagnose(state: ConversationState, is_gone: Callable[[str], bool] = nobody) -> Repaired:
    """Return what there is to repair, as `Repaired` would tell it."""
    return Repaired(orphaned_tool_calls(state, is_gone), unanswered(state), stray_answers(state))


def repair(live: Conversation, found: Repaired, reason: str = NO_RESULT) -> Repaired:
    """Repair what was found and is still so, in one transaction, and return what was repaired.

    Whoever repairs the same call writes the same message, so that it is answered once however many do.

    Args:
        live: the conversation.
        found: what there is to repair.
        reason: what the model is told of a call without a result.
    """
    now = wall_ms()
    with live.transaction():
        return Repaired(
            tuple(call for call in found.cancelled if _cancel(live, call, reason, now)),
            tuple(call for call in found.answered if _tell(live, call, now)),
            tuple(message for message in found.stray if _mark(live, message)),
        )


def _cancel(live: Conversation, call: ToolCall, reason: str, now: int) -> bool:
    there = live.tool_calls.get(call.id)
    if there is None or not there.is_open:
        return False
    ended = replace(call, status=ToolStatus.CANCELLED, error=reason, ended_at=max(now, call.started_at))
    _answer(live, ended, reason, now)
    return True


def _tell(live: Conversation, call: ToolCall, now: int) -> bool:
    there = live.tool_calls.get(call.id)
    if there is None or there.answer != call.answer:
        return False
    result = call.result if isinstance(call.result, str) else None
    _answer(live, call, call.error or (NO_RESULT if result is None else result), now)
    return True


def _answer(live: Conversation, call: ToolCall, content: str, now: int) -> None:
    """Write the answer of a call under the call's own id, by which it stands right after the message that made it."""
    live.tool_calls[call.id] = replace(call, answer=call.id)
    live.counts.messages.add(1)
    live.messages[call.id] = Message(
        call.id,
        Role.TOOL,
        content,
        call.name or None,
        call.turn,
        call=call.id,
        tool_call_id=call.call_id,
        created_at=now,
        metadata=FrozenMap({REPAIRED: True}),
    )


def _mark(live: Conversation, message: Message) -> bool:
    if message.id not in live.messages:
        return False
    live.messages[message.id] = replace(message, metadata=FrozenMap({**message.metadata, STRAY: True}))
    return True
