"""Recorded conversations with tool calls, held live, cut off and taken up by another process, come out equal."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import comity
from comity import StateDocument
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.snapshots import ConversationMetrics, ConversationState
from comity.clients.agents.conversation.status import ConversationStatus, ToolStatus, TurnStatus
from comity.clients.agents.conversation.transcript import flaws, to_llm_messages
from tests.support.conversations import Spoken, read_conversations
from tests.support.optional import ROOT, real_data
from tests.support.profiles import DEEP
from tests.support.server import running_server
from tests.support.talk import Talk, hold, say_half, take_up
from tests.support.waiting import DEADLINE

THROUGH_PROCESSES = 10  # of the sixty, and all of them in the deep profile


@pytest.fixture(name="recorded", scope="module")
def read_recorded() -> list[list[Spoken]]:
    return read_conversations(real_data("airline-conversations.json.gz"))


def check(state: ConversationState, messages: list[Spoken]) -> None:
    """Check that a conversation is the recorded one, and that nothing else is left of how it was held."""
    assert to_llm_messages(state) == messages
    assert flaws(messages) == []
    assert (state.status, state.streaming, state.active_turns) == (ConversationStatus.IDLE, (), ())
    assert {turn.status for turn in state.turns} == {TurnStatus.COMPLETED}
    assert {call.status for call in state.tool_calls} <= {ToolStatus.COMPLETED}
    assert not any(message.interrupted for message in state.messages)
    assert len(state.turns) == sum(spoken["role"] == "user" for spoken in messages)


def counted(messages: list[Spoken]) -> ConversationMetrics:
    """Return what a manager counts that hears messages once."""
    roles = [spoken["role"] for spoken in messages]
    return ConversationMetrics(
        messages=len(roles),
        user_messages=roles.count("user"),
        assistant_messages=roles.count("assistant"),
        turns=roles.count("user"),
        turns_completed=roles.count("user"),
        tool_calls=roles.count("tool"),
    )


def test_every_conversation_held_live_in_tokens_ends_equal_to_its_source(recorded: list[list[Spoken]]) -> None:
    assert len(recorded) == 60
    for messages in recorded:
        talk: Talk = ConversationManager(Conversation(StateDocument(agent="ana")))
        hold(talk, messages)
        talk.complete_turn()
        check(talk.state, messages)
        metrics = talk.get_metrics()
        assert ConversationMetrics(**{**as_counts(counted(messages)), "turn_ms": metrics.turn_ms}) == metrics
        assert len(talk.live.chunks) == 0
        newcomer = ConversationManager(Conversation(StateDocument(update=talk.live.document.update_since())))
        assert newcomer.state == talk.state


def as_counts(metrics: ConversationMetrics) -> dict[str, int]:
    return {name: getattr(metrics, name) for name in ConversationMetrics.__slots__}


async def test_every_conversation_cut_off_half_way_is_taken_up_by_another_agent(recorded: list[list[Spoken]]) -> None:
    for messages in recorded:
        killed: Talk = ConversationManager(Conversation(StateDocument(agent="ana")))
        middle = len(messages) // 2
        hold(killed, messages[:middle])
        say_half(killed, messages[middle])
        document = StateDocument(agent="bob", update=killed.live.document.update_since())
        talk: Talk = ConversationManager(Conversation(document))
        await take_up(talk, messages)
        check(talk.state, messages)


@asynccontextmanager
async def talking(url: str, agent: str, cut: int, rooms: Path) -> AsyncGenerator[Process]:
    command = [sys.executable, "-m", "tests.support.talk", url, agent, str(cut), str(rooms)]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(process: Process, what: str, times: int = 1) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        for _ in range(times):
            assert (await process.stdout.readline()).decode() == f"{what}\n"


@pytest.mark.timeout(180)
async def test_conversations_whose_process_is_killed_half_way_go_on_in_another(
    recorded: list[list[Spoken]], tmp_path: Path
) -> None:
    chosen = recorded if DEEP else recorded[:: len(recorded) // THROUGH_PROCESSES]
    rooms = {f"session/call-{number}": messages for number, messages in enumerate(chosen)}
    file = tmp_path / "rooms.json"
    file.write_text(json.dumps(rooms))
    async with running_server(tmp_path / "data") as server:
        async with talking(server.url, "ana", 1, file) as first:
            await told(first, "cut", len(rooms))
        assert first.returncode == -9
        async with talking(server.url, "bob", 0, file) as second:
            await told(second, "done")
        async with comity.connect(server.url) as client:
            for room, messages in rooms.items():
                async with client.open(room, Conversation) as live:
                    await live.synced()
                    check(ConversationManager(live).state, messages)
                    assert len(live.chunks) == 0
