"""Importing: messages as model APIs take them become a part of a conversation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from comity.crdt_types import StateDocument
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError

from .document import Conversation
from .frozen import NOTHING, FrozenMap, freeze
from .records import Content, Message, ToolCall, Turn, new_id
from .status import Role, ToolStatus, TurnStatus
from .transcript import EXTRAS

# Roles of model APIs that are another name of one of ours; the name comes back when the conversation is exported.
ALIASES: Final = {"developer": Role.SYSTEM, "function": Role.TOOL}

_HELD: Final = frozenset({"content", "name", "tool_calls", "tool_call_id"})


def from_llm_messages(live: Conversation, messages: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Add messages as OpenAI's chat API takes them at the end of a conversation, in one transaction; return them.

    Each message of the user, or several in a row, begins a turn; all turns are completed. `to_llm_messages` gives back
    what was added.

    Args:
        live: the conversation.
        messages: the messages.

    Raises: InvalidValueError, if one of them is no such message; nothing is written then.
    """
    intake = Intake(live.document)
    for number, message in enumerate(messages):
        intake.add(number, message)
    with live.transaction():
        intake.write(live)
    return tuple(intake.messages.values())


class Intake:
    """Makes records of messages, one after the other.

    Args:
        document: the document that they are for.

    Attributes:
        messages: the messages so far, by their ids.
        turns: the turns so far.
        calls: the tool calls so far.
    """

    def __init__(self, document: StateDocument) -> None:
        self.messages: dict[str, Message] = {}
        self.turns: dict[str, Turn] = {}
        self.calls: dict[str, ToolCall] = {}
        self._document = document
        self._turn: str | None = None
        self._last: Role | None = None
        self._waiting: dict[str, str] = {}  # calls without an answer: their ids as given, and ours

    def add(self, number: int, given: Mapping[str, Any]) -> None:
        """Make the records of a message.

        Args:
            number: its place in the list, for whoever reads the error.
            given: the message.

        Raises: InvalidValueError, if it is none.
        """
        role = _role(number, given)
        if role is Role.USER and self._last is not Role.USER:
            self._begin_turn()
        message = self._message(number, role, given)
        self.messages[message.id] = message
        for place, call in enumerate(given.get("tool_calls") or ()):
            self._add_call(number, message, place, call)
        self._last = role

    def _begin_turn(self) -> None:
        self._turn = new_id(self._document)
        now = wall_ms()
        self.turns[self._turn] = Turn(
            self._turn, TurnStatus.COMPLETED, self._document.agent, started_at=now, ended_at=now
        )

    def _message(self, number: int, role: Role, given: Mapping[str, Any]) -> Message:
        extras = {key: value for key, value in given.items() if key not in _HELD and (key, value) != ("role", role)}
        message = Message(
            new_id(self._document),
            role,
            _content(number, given.get("content")),
            _text(number, given, "name"),
            self._turn,
            tool_call_id=_text(number, given, "tool_call_id"),
            created_at=wall_ms(),
            metadata=_metadata(extras),
        )
        return self._answer(message) if role is Role.TOOL else message

    def _answer(self, message: Message) -> Message:
        """Return the message with the call that it answers, if there is one."""
        call = self._waiting.pop(message.tool_call_id or "", None)
        if call is None:
            return message
        result = message.content if isinstance(message.content, str) else None
        self.calls[call] = replace(
            self.calls[call], status=ToolStatus.COMPLETED, result=result, answer=message.id, ended_at=message.created_at
        )
        return replace(message, call=call)

    def _add_call(self, number: int, message: Message, place: int, given: Any) -> None:
        if not isinstance(given, Mapping) or not isinstance(given.get("id"), str):
            raise _refused(number, f"{given!r} is no tool call with an id")
        function = _function(given.get("function"))
        is_usual = function is not None and set(given) == {"id", "type", "function"} and given["type"] == "function"
        id = f"{message.id}.{place:03}"
        self.calls[id] = ToolCall(
            id,
            given["id"],
            *(function or ("", "")),
            turn=message.turn,
            agent=self._document.agent,
            started_at=message.created_at,
            metadata=NOTHING if is_usual else _metadata(dict(given)),
        )
        self._waiting[given["id"]] = id

    def write(self, live: Conversation) -> None:
        """Write all records, and count them."""
        live.messages.update(self.messages)
        live.turns.update(self.turns)
        live.tool_calls.update(self.calls)
        roles = [message.role for message in self.messages.values()]
        live.counts.messages.add(len(roles))
        live.counts.user_messages.add(roles.count(Role.USER))
        live.counts.assistant_messages.add(roles.count(Role.ASSISTANT))
        live.counts.turns.add(len(self.turns))
        live.counts.turns_completed.add(len(self.turns))
        live.counts.tool_calls.add(len(self.calls))


def _function(given: Any) -> tuple[str, str] | None:
    """Return the name and the arguments of a function that is called; None if it is told in another way."""
    if isinstance(given, Mapping) and set(given) == {"name", "arguments"}:
        name, arguments = given["name"], given["arguments"]
        if isinstance(name, str) and isinstance(arguments, str):
            return name, arguments
    return None


def _metadata(extras: dict[str, Any]) -> FrozenMap:
    return FrozenMap({EXTRAS: freeze(extras)}) if extras else NOTHING


def _role(number: int, given: object) -> Role:
    if not isinstance(given, Mapping):
        raise _refused(number, f"{given!r} is no mapping")
    role = str(given.get("role"))
    try:
        return ALIASES.get(role) or Role(role)
    except ValueError:
        raise _refused(number, f"{role!r} is no role") from None


def _content(number: int, content: Any) -> Content:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, Sequence) and all(isinstance(part, Mapping) for part in content):
        return tuple(map(freeze, content))
    raise _refused(number, f"its content is {content!r}")


def _text(number: int, given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is None or isinstance(value, str):
        return value
    raise _refused(number, f"its {key} is {value!r}")


def _refused(number: int, what: str) -> InvalidValueError:
    return InvalidValueError(what, subject=f"message {number}", remedy="give messages as OpenAI's chat API takes them")
