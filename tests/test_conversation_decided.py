"""What agents do with one conversation at the same moment is done once while a server decides, and merges without."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import comity
from comity.clients.agents.conversation import (
    Conversation,
    ConversationManager,
    Message,
    Recording,
    Role,
    archive,
    flaws,
)
from tests.support.server import in_process_server
from tests.support.waiting import until

Talk = ConversationManager[Conversation]


@asynccontextmanager
async def agents(data: Path, *names: str, **settings: Any) -> AsyncGenerator[list[Talk]]:
    """Yield the managers of agents that are in one conversation."""
    async with in_process_server(data, **settings) as server, AsyncExitStack() as stack:
        opened = [ConversationManager.open(comity.connect(server.url, agent=name), "call") for name in names]
        talks = [await stack.enter_async_context(each) for each in opened]
        for talk in talks:
            await talk.live.synced()
        yield talks


async def agree(talks: Sequence[Talk]) -> None:
    """Return once all have the same."""
    for talk in talks:
        await talk.live.durable()
    for talk in talks:
        for other in talks:
            await until(talk.live, lambda talk=talk, other=other: talk.state == other.state)  # type: ignore[misc]


async def converse(talk: Talk, turns: int) -> None:
    for number in range(turns):
        talk.start_turn(f"question {number}")
        talk.add_message(Role.ASSISTANT, f"answer {number}")
        talk.complete_turn()
    await talk.live.durable()


async def test_of_agents_that_prune_at_once_one_does_and_one_summary_is_written(tmp_path: Path) -> None:
    async with agents(tmp_path, "ana", "bob", "eve") as talks:
        await converse(talks[0], 10)
        await agree(talks)
        gate = asyncio.Barrier(len(talks))

        async def summarise(messages: Sequence[Message]) -> str:
            await gate.wait()  # all have planned before any of them drops anything
            return " ".join(message.text for message in messages)

        pruned = await asyncio.gather(*(talk.prune(messages=8, summarise=summarise) for talk in talks))
        await agree(talks)
        state = talks[0].state
        assert sorted(len(each.dropped) for each in pruned) == [0, 0, 12]
        assert [message.text for message in state.messages][:2] == ["question 6", "answer 6"]
        assert [(summary.messages, summary.text.split()[-1]) for summary in state.summaries] == [(12, "5")]


async def test_what_is_pinned_at_the_same_moment_is_not_pruned(tmp_path: Path) -> None:
    async with agents(tmp_path, "ana", "bob") as (ana, bob):
        await converse(ana, 5)
        await agree([ana, bob])
        first = bob.state.messages[0]

        async def summarise(messages: Sequence[Message]) -> str:
            if messages[0].id == first.id:
                bob.pin(first.id)
                await bob.live.durable()
            return f"{len(messages)} messages"

        await ana.prune(messages=4, summarise=summarise)
        await agree([ana, bob])
        assert [message.text for message in ana.state.messages] == ["question 0", "answer 0", "question 4", "answer 4"]
        assert ana.state.summaries[0].text == "6 messages"


async def test_a_call_that_several_repair_is_answered_and_counted_once(tmp_path: Path) -> None:
    async with agents(tmp_path, "ana", "bob", "eve") as talks:
        talks[0].start_turn("Find me a flight")
        talks[0].start_tool_call("search")
        talks[0].interrupt_turn("hung up")
        await agree(talks)
        before = talks[0].state.metrics.messages
        repaired = await asyncio.gather(*(talk.repair() for talk in talks))
        await agree(talks)
        assert sum(len(each.cancelled) for each in repaired) == 1
        assert talks[0].state.metrics.messages == before + 1
        assert flaws(talks[0].to_llm_messages()) == []


async def test_those_who_are_offline_prune_by_themselves_and_merge(tmp_path: Path) -> None:
    async with agents(tmp_path, "ana", "bob") as (ana, bob):
        await converse(ana, 6)
        await agree([ana, bob])
        with ana.live.replica.offline():
            assert len((await ana.prune(messages=4, summarise=lambda messages: "ana's")).dropped) == 8
            assert len((await bob.prune(messages=6, summarise=lambda messages: "bob's")).dropped) == 6
        await ana.live.synced()
        await agree([ana, bob])
        assert len(ana.state.messages) == 4
        (told,) = (message for message in ana.to_llm_messages() if message["role"] == "system")
        assert told["content"].endswith("ana's")


async def test_a_file_is_loaded_for_everybody_in_the_conversation(tmp_path: Path) -> None:
    async with agents(tmp_path, "ana", "bob") as (ana, bob):
        await converse(ana, 2)
        await ana.save_to_file(tmp_path / "file")
        await agree([ana, bob])
        kept = bob.state
        bob.start_turn("more")
        bob.complete_turn()
        await bob.load_from_file(tmp_path / "file", replace=True)
        await agree([ana, bob])
        assert ana.state.messages == kept.messages
        assert ana.state.metrics == kept.metrics


async def test_audio_larger_than_a_message_to_the_server_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "AUDIO_BATCH", 40_000)
    source = ConversationManager(Conversation())
    for number in range(10):
        source.add_message(Role.USER, f"clip {number}", audio=Recording(bytes([number]) * 20_000, "audio/pcm"))
    await source.save_to_file(tmp_path / "file")
    async with agents(tmp_path / "data", "ana", "bob", max_message=100_000) as (ana, bob):
        await ana.load_from_file(tmp_path / "file")
        await agree([ana, bob])
        assert bob.create_snapshot() == source.create_snapshot()


async def test_a_conversation_on_an_agents_own_disk_goes_on_without_any_server(tmp_path: Path) -> None:
    client = comity.connect("ws://127.0.0.1:9", agent="ana", directory=tmp_path)
    async with client.local("memory", Conversation) as tier, ConversationManager(tier) as talk:
        await converse(talk, 3)
        talk.start_turn("Find me a flight")
        talk.start_tool_call("search")
        await tier.durable()
    async with client.local("memory", Conversation) as tier, ConversationManager(tier) as talk:
        resumed = await talk.resume()
        assert len(resumed.repaired.cancelled) == 1
        pruned = await talk.prune(messages=5, summarise=lambda messages: f"{len(messages)} messages")
        assert [message.text for message in pruned.dropped][-1] == "answer 1"
        kept = talk.state
    async with client.local("memory", Conversation) as tier:
        assert ConversationManager(tier).state == kept
        assert kept.summaries[0].text == "4 messages"
