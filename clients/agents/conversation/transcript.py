"""Transcripts: conversations as the lists of messages that model APIs take, and what makes such a list invalid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from .frozen import thaw
from .pruning import standing
from .records import Message, Summary, ToolCall
from .snapshots import ConversationState
from .status import Role

EXTRAS: Final = "llm"  # the name in metadata of what an imported message or call has that no field of ours holds
STRAY: Final = "stray"  # the name in metadata that marks a tool's message which answers no call: it is not exported
SUMMARY: Final = "Summary of the conversation so far:\n\n{}"

Calls = dict[str, list[ToolCall]]
"""The calls of tools by the ids of the messages that make them."""

ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a model API would refuse a list of messages.

    Attributes:
        at: the place in the list.
        what: what is wrong with the message there.
        call: the id of the tool call that it is about; None if it is about none.
    """

    at: int
    what: str
    call: str | None = None


def flaws(messages: Sequence[Mapping[str, Any]]) -> list[Flaw]:
    """Return what makes a list of messages invalid for a model API; nothing if it is valid.

    Every tool call must be answered, once, by the messages right after the one that makes it, in whatever order; no
    other tool message may stand anywhere; an assistant's message has content or calls, any other has content.

    Args:
        messages: as OpenAI's chat API takes them.
    """
    return list(_flaws(messages))


def _flaws(messages: Sequence[Mapping[str, Any]]) -> Iterator[Flaw]:
    waiting: dict[str, int] = {}  # ids of calls, each with the place of its message
    for at, message in enumerate(messages):
        if message.get("role") == "tool":
            call = message.get("tool_call_id")
            if waiting.pop(str(call), None) is None:
                yield Flaw(at, "it answers no call that waits for an answer", call if isinstance(call, str) else None)
        else:
            yield from _unanswered(waiting)
            waiting = {}
        yield from _alone(at, message)
        for call in _call_ids(message):
            if call in waiting:
                yield Flaw(at, "two calls of one message have the same id", call)
            waiting[call] = at
    yield from _unanswered(waiting)


def _unanswered(waiting: Mapping[str, int]) -> Iterator[Flaw]:
    for call, at in waiting.items():
        yield Flaw(at, "a tool call that is not answered", call)


def _alone(at: int, message: Mapping[str, Any]) -> Iterator[Flaw]:
    """Yield what is wrong with a message whatever stands around it."""
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        yield Flaw(at, f"{role!r} is no role")
    elif content is None and not (role == "assistant" and (message.get("tool_calls") or message.get("function_call"))):
        yield Flaw(at, "it has no content")
    if message.get("tool_calls") and role != "assistant":
        yield Flaw(at, "only an assistant calls tools")


def _call_ids(message: Mapping[str, Any]) -> list[str]:
    return [str(call.get("id")) for call in message.get("tool_calls") or ()]


def to_llm_messages(state: ConversationState, *, summaries: bool = True) -> list[dict[str, Any]]:
    """Return a conversation as OpenAI's chat API takes it.

    A tool's answer stands right after the message that made the call, whatever was said in between.

    Args:
        state: the conversation.
        summaries: whether what was pruned is told, by a system message after those at the beginning.
    """
    calls: Calls = {}
    for call in state.tool_calls:
        calls.setdefault(call.message, []).append(call)
    messages = list(_in_order(state, calls))
    head = next((at for at, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages))
    exported = [_exported(message, calls.get(message.id, ())) for message in messages]
    if summaries:
        exported[head:head] = map(_summary, standing(state.summaries))
    return exported


def _in_order(state: ConversationState, calls: Calls) -> Iterator[Message]:
    """Yield the messages, each answer of a tool after the message that made its call."""
    known = {call.id for made in calls.values() for call in made}
    answers = answers_in(state)
    for message in state.messages:
        if not message.metadata.get(STRAY) and not (message.role is Role.TOOL and message.call in known):
            yield message
            given = (answers.get(call.id) for call in calls.get(message.id, ()))
            yield from sorted(filter(None, given), key=attrgetter("id"))


def answers_in(state: ConversationState) -> dict[str, Message]:
    """Return the answers of tools by the ids of their calls: of several the one that the call names, else the first."""
    named = {call.id: call.answer for call in state.tool_calls}
    answers: dict[str, Message] = {}
    for message in state.messages:
        if message.role is Role.TOOL and message.call in named:
            if named[message.call] == message.id:
                answers[message.call] = message
            else:
                answers.setdefault(message.call, message)
    return answers


def _exported(message: Message, calls: Sequence[ToolCall]) -> dict[str, Any]:
    exported: dict[str, Any] = {"role": message.role.value, "content": thaw(message.content)}
    if message.name is not None:
        exported["name"] = message.name
    if message.tool_call_id is not None:
        exported["tool_call_id"] = message.tool_call_id
    if calls:
        exported["tool_calls"] = list(map(_exported_call, calls))
    exported |= _extras(message)
    return exported


def _exported_call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return _extras(call) or {"id": call.call_id, "type": "function", "function": function}


def _extras(record: Message | ToolCall) -> dict[str, Any]:
    extras: dict[str, Any] = thaw(record.metadata.get(EXTRAS, {}))
    return extras


def _summary(summary: Summary) -> dict[str, Any]:
    return {"role": "system", "content": SUMMARY.format(summary.text)}
