"""A conversation of several agents through a real server: shared, resumed, private, and made in bulk."""

import asyncio
from datetime import timedelta
from pathlib import Path

import comity
from comity import Register
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.events import Event, MessageAdded, StatusChanged
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.records import Recording
from comity.clients.agents.conversation.status import TurnStatus
from tests.support.server import in_process_server
from tests.support.waiting import until


class SupportCall(Conversation):
    """A conversation with something more."""

    topic: Register[str]


async def test_conversation_is_shared_by_agents_as_it_goes_on(tmp_path: Path) -> None:
    heard: list[Event] = []
    async with (
        in_process_server(tmp_path) as server,
        comity.connect(server.url, agent="voice") as one,
        comity.connect(server.url, agent="monitor") as other,
        ConversationManager.open(one, "call-42", ttl=timedelta(hours=1)) as voice,
        ConversationManager.open(other, "call-42") as monitor,
    ):
        monitor.on_event(heard.append)
        voice.update_connection(connected=True, transport="webrtc")
        turn = voice.start_turn("Is my flight on time?", audio=Recording(bytes(700_000)))
        async with voice.stream() as stream:
            for token in ("Yes", ", it", " is."):
                stream.write(token)
                await until(monitor.live, lambda: [part.text for part in monitor.state.streaming] == [stream.text])
            monitor.interrupt_turn("enough")
            await until(voice.live, lambda: not stream.is_open)
            assert not stream.write(" And")
        await until(monitor.live, lambda: monitor.state == voice.state)
        assert monitor.state.turns[0].status is TurnStatus.INTERRUPTED
        assert [message.content for message in monitor.state.messages_of(turn.id)] == [
            "Is my flight on time?",
            "Yes, it is.",
        ]
        assert monitor.create_snapshot() == voice.create_snapshot()
    added = [event for event in heard if isinstance(event, MessageAdded)]
    assert [(event.local, event.message.interrupted) for event in added] == [(False, False), (True, True)]
    assert [event.new for event in heard if isinstance(event, StatusChanged)] == ["processing", "connected"]


async def test_conversation_goes_on_after_a_restart_and_a_partition(tmp_path: Path) -> None:
    replicas = tmp_path / "replicas"
    async with in_process_server(tmp_path) as server:
        async with (
            comity.connect(server.url, agent="voice", directory=replicas) as client,
            ConversationManager.open(client, "call-42", SupportCall) as before,
        ):
            before.live.topic.set("flights")
            before.start_turn("Is my flight on time?")
            before.stream().write("Let me ")
            await before.live.durable()
            with before.live.replica.offline():
                before.update(metadata={"said": "offline"})
                left = before.state
        async with (
            comity.connect(server.url, agent="voice", directory=replicas) as client,
            ConversationManager.open(client, "call-42", SupportCall) as after,
        ):
            assert after.state == left
            assert after.live.topic.value == "flights"
            (message,) = after.recover_streams()
            assert (message.content, message.interrupted) == ("Let me ", True)
            after.complete_turn()
            await after.live.durable()
        async with (
            comity.connect(server.url, agent="text") as client,
            ConversationManager.open(client, "call-42") as elsewhere,
        ):
            await elsewhere.live.synced()
            assert elsewhere.state == after.state
            assert elsewhere.state.metadata == {"said": "offline"}


async def test_conversations_of_two_users_know_nothing_of_each_other(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        comity.connect(server.url, agent="voice") as client,
        ConversationManager.open(client, "eva") as eva,
        ConversationManager.open(client, "ida") as ida,
    ):
        heard: list[object] = []
        ida.on_update(lambda old, new: heard.append(new))
        eva.start_turn("My password is swordfish")
        await eva.live.durable()
        await ida.live.synced()
        assert ida.state.messages == ()
        assert heard == []


async def test_conversation_keeps_what_ten_agents_add_at_once(tmp_path: Path) -> None:
    async with (
        in_process_server(tmp_path) as server,
        comity.connect(server.url, agent="reader") as reader,
        ConversationManager.open(reader, "crowd") as seen,
    ):

        async def speak(number: int) -> None:
            async with (
                comity.connect(server.url, agent=f"agent {number}") as client,
                ConversationManager.open(client, "crowd") as manager,
            ):
                for at in range(10):
                    manager.add_message("assistant", f"{number}: {at}")
                    await asyncio.sleep(0)
                await manager.live.durable()

        await asyncio.gather(*(speak(number) for number in range(10)))
        await until(seen.live, lambda: seen.state.message_count == 100)
        for number in range(10):
            mine = [message.content for message in seen.state.messages if str(message.content).startswith(f"{number}:")]
            assert mine == [f"{number}: {at}" for at in range(10)]
        assert seen.get_metrics().messages == 100
