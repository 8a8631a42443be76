"""Recorded conversations held again through a conversation manager, as an agent holds them live.

`python -m tests.support.talk URL AGENT CUT FILE` holds conversations, all at once, each in a room of its own. FILE is
JSON: each room with its messages. With CUT 1 every conversation stops in the middle of the message half way, with that
part on the server's disk; it says "cut" for each, and waits to be killed. With CUT 0 each is taken up where it was cut
off and brought to its end; it says "done" after all.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import comity
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager

from .conversations import Spoken

Talk = ConversationManager[Conversation]

_TOKEN: Final = re.compile(
    r".{1,16}", re.DOTALL
)  # longer than those of models, which cost the tests more and show no more


def tokens(text: str) -> Iterator[str]:
    """Yield the pieces that a text is streamed in."""
    return (found[0] for found in _TOKEN.finditer(text))


def hold(talk: Talk, messages: Sequence[Spoken]) -> None:
    """Say messages one after the other."""
    for spoken in messages:
        say(talk, spoken)


def say(talk: Talk, spoken: Spoken) -> None:
    """Say one message as whoever said it would."""
    if spoken["role"] == "user":
        if talk.state.current_turn is not None:
            talk.complete_turn()
        talk.start_turn(spoken["content"])
    elif spoken["role"] == "tool":
        call = next(call for call in talk.state.pending_tool_calls if call.call_id == spoken["tool_call_id"])
        talk.complete_tool_call(call.id, spoken["content"])
    elif spoken["role"] == "assistant":
        _answer(talk, spoken)
    else:
        talk.add_message(spoken["role"], spoken["content"])


def _answer(talk: Talk, spoken: Spoken) -> None:
    id: str | None = None
    stream = None if spoken["content"] is None else talk.stream()
    for token in tokens(spoken["content"] or ""):
        assert stream is not None
        stream.write(token)
    with talk.transaction():  # so that nobody finds the message without its calls
        if stream is not None:
            stream.complete()
            id = stream.id
        for call in spoken.get("tool_calls") or ():
            function = call["function"]
            made = talk.start_tool_call(function["name"], function["arguments"], message=id, call_id=call["id"])
            id = made.message


def say_half(talk: Talk, spoken: Spoken) -> None:
    """Begin a message, and leave it as somebody does who is killed."""
    if spoken["role"] == "assistant" and spoken["content"]:
        stream = talk.stream()
        for token in tokens(spoken["content"][: len(spoken["content"]) // 2 + 1]):
            stream.write(token)
    else:
        say(talk, spoken)


async def take_up(talk: Talk, messages: Sequence[Spoken]) -> None:
    """Bring a conversation to its end that somebody else was killed in."""
    resumed = await talk.resume(again=True)
    assert not resumed.repaired
    there = talk.to_llm_messages()
    assert there == messages[: len(there)]
    hold(talk, messages[len(there) :])
    if talk.state.current_turn is not None:
        talk.complete_turn()


async def _hold_room(client: comity.Client, room: str, messages: Sequence[Spoken], cut: bool) -> None:
    async with client.open(room, Conversation) as live, ConversationManager(live) as talk:
        await live.synced()
        if cut:
            middle = len(messages) // 2
            hold(talk, messages[:middle])
            say_half(talk, messages[middle])
        else:
            await take_up(talk, messages)
        await live.durable()
        if cut:
            _report("cut")
            await asyncio.Event().wait()


async def _work(url: str, agent: str, cut: str, file: str) -> None:
    rooms: dict[str, list[dict[str, Any]]] = json.loads(await asyncio.to_thread(Path(file).read_text))
    async with comity.connect(url, agent=agent) as client, asyncio.TaskGroup() as talks:
        for room, messages in rooms.items():
            talks.create_task(_hold_room(client, room, messages, cut == "1"))
    _report("done")


def _report(line: str) -> None:
    """Print a line past every buffer of this process."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
