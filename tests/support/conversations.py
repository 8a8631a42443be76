"""Recorded conversations of an agent, a user and tools, written again as typed state the way that a model streams them.

Source: https://github.com/sierra-research/tau-bench, historical trajectories.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from pycrdt import Doc, TransactionEvent
from pycrdt import Map as YMap

from comity.crdt_types import Map, Register, State, StateDocument

Spoken = dict[str, Any]  # a message as it was recorded

AGENT: Final = "agent"
USER: Final = "user"
TOOLS: Final = "tools"
PARTIES: Final = (AGENT, USER, TOOLS)
_TOKEN: Final = re.compile(r"\s*(?:\w{1,6}|[^\w\s]{1,3})|\s+")  # some four characters each, as the tokens of models are


class ToolCall(State):
    """A call that the agent makes and a tool answers; arguments and result are text, as they come in."""

    id: Register[str]
    name: Register[str]
    arguments: Register[str]
    status: Register[Literal["pending", "running", "done"]]
    result: Register[str]


class Message(State):
    """What one party says; its calls by their numbers, since ids come twice and in any order."""

    role: Register[Literal["system", "user", "assistant"]]
    content: Register[str]
    calls: Map[ToolCall]


class Turn(State):
    """A question and all that is done to answer it."""

    status: Register[Literal["listening", "responding", "done"]]


class Conversation(State):
    """A whole conversation; its messages and turns by their numbers."""

    messages: Map[Message]
    turns: Map[Turn]


def read_conversations(path: Path) -> list[list[Spoken]]:
    """Read the messages of every conversation."""
    with gzip.open(path) as file:
        return [each["messages"] for each in json.load(file)]


# Streaming -------------------------------------------------------------------------------------------------------


class Write(NamedTuple):
    """One party overwrites one value: a transaction of its own."""

    party: str
    path: tuple[str, ...]
    value: str


def streamed(messages: Iterable[Spoken]) -> Iterator[Write]:
    """Yield every write of a conversation: each token of a text overwrites it with the longer one."""
    turn: tuple[str, ...] = ()
    for number, (spoken, answers) in enumerate(_answered(messages)):
        if spoken["role"] == "user":
            if turn:
                yield Write(AGENT, turn, "done")
            turn = ("turns", _key(number), "status")
            yield Write(AGENT, turn, "listening")
        elif turn:
            yield Write(AGENT, turn, "responding")
        yield from _said(("messages", _key(number)), spoken, answers)
    if turn:
        yield Write(AGENT, turn, "done")


def _answered(messages: Iterable[Spoken]) -> Iterator[tuple[Spoken, list[Spoken]]]:
    """Yield what agent and user said, each with what tools said to it."""
    answered: list[tuple[Spoken, list[Spoken]]] = []
    for spoken in messages:
        if spoken["role"] == "tool":
            answered[-1][1].append(spoken)
        else:
            answered.append((spoken, []))
    return iter(answered)


def _key(number: int) -> str:
    return f"{number:03}"  # so that rows, which are in the order of their keys, are in that of their numbers


def _said(path: tuple[str, ...], spoken: Spoken, answers: list[Spoken]) -> Iterator[Write]:
    party = USER if spoken["role"] == "user" else AGENT
    yield Write(party, (*path, "role"), spoken["role"])
    if spoken["content"] is not None:
        yield from _tokens(party, (*path, "content"), spoken["content"])
    results = {answer["tool_call_id"]: answer["content"] for answer in answers}
    for number, call in enumerate(spoken.get("tool_calls") or ()):
        yield from _called((*path, "calls", str(number)), call, results.get(call["id"]))


def _called(path: tuple[str, ...], call: Spoken, result: str | None) -> Iterator[Write]:
    function = call["function"]
    yield Write(AGENT, (*path, "id"), call["id"])
    yield Write(AGENT, (*path, "name"), function["name"])
    yield Write(AGENT, (*path, "status"), "pending")
    yield from _tokens(AGENT, (*path, "arguments"), function["arguments"])
    if result is not None:  # the recording may end before the answer
        yield Write(TOOLS, (*path, "status"), "running")
        yield from _tokens(TOOLS, (*path, "result"), result)
        yield Write(TOOLS, (*path, "status"), "done")


def _tokens(party: str, path: tuple[str, ...], text: str) -> Iterator[Write]:
    for token in _TOKEN.finditer(text):
        yield Write(party, path, text[: token.end()])
    if not text:
        yield Write(party, path, text)


# Replicas --------------------------------------------------------------------------------------------------------


class Scribe(Protocol):
    """One party's replica, typed or plain."""

    def write(self, path: tuple[str, ...], value: str) -> None:
        """Overwrite a value."""

    def tell(self, listener: Callable[[bytes], object]) -> None:
        """Call a listener with the update of every write of one's own."""

    def apply(self, update: bytes) -> None:
        """Take in another party's update."""


class TypedScribe:
    """A replica of a Conversation."""

    def __init__(self, party: str) -> None:
        self.state = Conversation(StateDocument(agent=party))
        self.apply = self.state.document.apply

    def write(self, path: tuple[str, ...], value: str) -> None:
        with self.state.transaction():
            node: Any = self.state
            for name in path:
                node = getattr(node, name) if isinstance(node, State) else _row(node, name)
            node.set(value)

    def tell(self, listener: Callable[[bytes], object]) -> None:
        self.state.document.on_commit(lambda commit: commit.local and listener(commit.update))


def _row(rows: Map[Any], key: str) -> Any:
    if key not in rows:
        rows[key] = {}
    return rows[key]


class PlainScribe:
    """A replica that holds the same in maps of maps, as one would with Yjs alone."""

    def __init__(self, _party: str) -> None:
        self.ydoc: Doc[Any] = Doc()
        self._applying = False
        for name in ("messages", "turns"):
            self.ydoc.get(name, type=YMap)

    def write(self, path: tuple[str, ...], value: str) -> None:
        root, *way, name = path
        with self.ydoc.transaction():
            node: YMap[Any] = self.ydoc.get(root, type=YMap)
            for step in way:
                if step not in node:
                    node[step] = YMap()
                node = node[step]
            node[name] = value

    def tell(self, listener: Callable[[bytes], object]) -> None:
        def heard(event: TransactionEvent) -> None:
            if not self._applying:
                listener(event.update)

        self.ydoc.observe(heard)

    def apply(self, update: bytes) -> None:
        self._applying = True
        self.ydoc.apply_update(update)
        self._applying = False


S = TypeVar("S", bound=Scribe)


def replay(writes: Iterable[Write], scribe: Callable[[str], S]) -> dict[str, S]:
    """Have three parties write a conversation, each on a replica of its own that sees all; return the replicas."""
    scribes = {party: scribe(party) for party in PARTIES}
    for party, own in scribes.items():
        for other, replica in scribes.items():
            if other != party:
                own.tell(replica.apply)
    for write in writes:
        scribes[write.party].write(write.path, write.value)
    return scribes


# Reading ---------------------------------------------------------------------------------------------------------


def spoken_in(state: Conversation) -> Iterator[Spoken]:
    """Yield the messages that a conversation holds, as they were recorded."""
    for message in state.messages.values():
        said: Spoken = {"role": message.role.value, "content": message.content.value}
        if calls := list(message.calls.values()):
            said["tool_calls"] = [_recorded_call(call) for call in calls]
        yield said
        yield from (_recorded_answer(call) for call in calls if call.result.is_set)


def _recorded_call(call: ToolCall) -> Spoken:
    function = {"name": call.name.value, "arguments": call.arguments.value}
    return {"id": call.id.value, "type": "function", "function": function}


def _recorded_answer(call: ToolCall) -> Spoken:
    return {"role": "tool", "tool_call_id": call.id.value, "name": call.name.value, "content": call.result.value}


def live_json(state: State) -> bytes:
    """Return what a state holds as JSON, as short as it can be written."""
    return json.dumps(state.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()
