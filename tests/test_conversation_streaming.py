"""Messages that are written token by token: what viewers see, what is left, and what an interruption keeps."""

import asyncio

import pytest

from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.status import Role, TurnStatus
from comity.crdt_types import StateDocument
from comity.crdt_types.errors import InvalidValueError
from tests.support.talking import Manager, copy_of, exchange, manager


def is_clean(conversation: Manager) -> bool:
    """Tell whether nothing of any stream is left."""
    return not conversation.live.chunks and not conversation.live.streams and not conversation.state.streaming


def test_stream_is_seen_by_others_as_it_comes_and_is_a_message_at_its_end() -> None:
    ana, ben = manager("ana"), manager("ben")
    turn = ana.start_turn("Tell me")
    seen = []
    with ana.stream(name="bot") as stream:
        for token in ("On", " ", "time", "."):
            assert stream.write(token)
            exchange(ana, ben)
            (partial,) = ben.state.streaming
            seen.append(partial.text)
    assert seen == ["On", "On ", "On time", "On time."]
    assert (partial.role, partial.turn, partial.agent, partial.name) == (Role.ASSISTANT, turn.id, "ana", "bot")
    exchange(ana, ben)
    message = ben.state.last_message
    assert message is not None
    assert message == stream.message
    assert (message.id, message.content, message.interrupted, message.name) == (stream.id, "On time.", False, "bot")
    assert is_clean(ana)
    assert is_clean(ben)


def test_stream_whose_pieces_arrive_in_any_order_reads_the_same() -> None:
    ana = manager("ana")
    updates: list[bytes] = []
    ana.live.document.on_commit(lambda commit: updates.append(commit.update))
    stream = ana.stream()
    for number in range(6):
        stream.write(f"{number} ")
    for order in ([0, 6, 5, 4, 3, 2, 1], [3, 1, 2, 0, 6, 4, 5], [6, 5, 4, 3, 2, 1, 0]):
        ben = manager("ben")
        for at in order:
            ben.live.document.apply(updates[at])
            assert all(partial.text in "0 1 2 3 4 5 " for partial in ben.state.streaming)
        assert ben.state.streaming == ana.state.streaming


def test_stream_of_a_thousand_tokens_leaves_nothing_behind() -> None:
    conversation = manager()
    with conversation.stream() as stream:
        for _ in range(10):
            stream.write("word ")
    once = len(conversation.live.document.update_since())
    conversation.remove_messages([stream.id])
    for _ in range(3):
        with conversation.stream() as stream:
            for _ in range(1000):
                stream.write("word ")
        assert is_clean(conversation)
        assert stream.message is not None
        assert stream.message.content == "word " * 1000
        conversation.remove_messages([stream.id])
    # What Yjs keeps of what is deleted is where it was, and neighbours melt into one.
    assert len(conversation.live.document.update_since()) < once + 200


def test_stream_that_fails_keeps_what_was_said_marked_as_interrupted() -> None:
    conversation = manager()

    def fail() -> None:
        with conversation.stream() as stream:
            stream.write("I was about to")
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        fail()
    message = conversation.state.last_message
    assert message is not None
    assert (message.content, message.interrupted) == ("I was about to", True)
    assert is_clean(conversation)


async def test_stream_that_is_cancelled_keeps_what_was_said_marked_as_interrupted() -> None:
    conversation = manager()
    writing = asyncio.Event()

    async def speak() -> None:
        async with conversation.stream() as stream:
            stream.write("Once upon")
            writing.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(speak())
    await writing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    message = conversation.state.last_message
    assert message is not None
    assert (message.content, message.interrupted) == ("Once upon", True)


def test_stream_into_which_the_user_speaks_stops_and_keeps_what_was_said() -> None:
    agent, user = manager("agent"), manager("user")
    agent.start_turn("Tell me everything")
    with agent.stream() as stream:
        stream.write("First of all, ")
        exchange(agent, user)
        user.interrupt_turn("barge-in")
        exchange(agent, user)
        assert not stream.is_open
        assert not stream.write("there is")
    assert agent.state == user.state
    assert stream.message is not None
    assert (stream.message.content, stream.message.interrupted) == ("First of all, ", True)
    assert agent.state.turns[0].status is TurnStatus.INTERRUPTED
    assert agent.state.metrics.messages == 2
    assert is_clean(agent)


def test_stream_without_a_word_leaves_no_message() -> None:
    conversation = manager()
    with conversation.stream() as stream:
        stream.write("")
    assert stream.message is None
    assert conversation.state.messages == ()
    assert is_clean(conversation)


def test_stream_that_is_completed_by_hand_is_not_ended_twice() -> None:
    conversation = manager()
    with conversation.stream() as stream:
        stream.write("Yes")
        message = stream.complete(tokens=1)
        assert stream.interrupt() == message
    assert message is not None
    assert (message.tokens, message.interrupted) == (1, False)
    assert conversation.state.metrics.messages == 1
    assert conversation.state.metrics.tokens == 1


def test_stream_of_an_unknown_role_begins_nothing() -> None:
    conversation = manager()
    with pytest.raises(InvalidValueError, match="no role"):
        conversation.stream("nobody")
    assert is_clean(conversation)


def test_streams_that_run_at_once_do_not_mix() -> None:
    ana, ben = manager("ana"), manager("ben")
    one, two = ana.stream(), ben.stream()
    for number in range(5):
        one.write(f"a{number}")
        two.write(f"b{number}")
        exchange(ana, ben)
    assert sorted(partial.text for partial in ana.state.streaming) == ["a0a1a2a3a4", "b0b1b2b3b4"]
    one.complete()
    assert [partial.text for partial in ana.state.streaming] == ["b0b1b2b3b4"]
    two.complete()
    exchange(ana, ben)
    assert ana.state == ben.state


def test_stream_of_a_writer_who_died_becomes_an_interrupted_message() -> None:
    dead = manager("ana")
    dead.stream().write("Let me see")
    dead.stream()
    heir = copy_of(dead, "ana")
    mine = heir.stream()
    mine.write("still here")
    (message,) = heir.recover_streams()
    assert (message.content, message.interrupted) == ("Let me see", True)
    assert [partial.id for partial in heir.state.streaming] == [mine.id]
    assert heir.recover_streams() == []
    mine.complete()
    assert is_clean(heir)


def test_stream_that_two_recover_at_once_becomes_one_message() -> None:
    dead = manager("dead")
    dead.stream().write("Let me see")
    ana, ben = copy_of(dead, "ana"), copy_of(dead, "ben")
    ana.recover_streams()
    ben.recover_streams()
    exchange(ana, ben)
    assert ana.state == ben.state
    assert [message.content for message in ana.state.messages] == ["Let me see"]


def test_stream_pieces_that_come_after_its_end_are_cleared_by_the_next_recovery() -> None:
    writer = manager("writer")
    stream = writer.stream()
    stream.write("one ")
    heir = copy_of(writer, "heir")
    stream.write("two ")
    heir.recover_streams()
    exchange(writer, heir)
    assert len(heir.live.chunks) == 1
    heir.recover_streams()
    exchange(writer, heir)
    assert is_clean(heir)
    assert is_clean(writer)


def test_stream_is_there_when_a_conversation_is_opened_in_the_middle_of_it() -> None:
    ana = manager("ana")
    stream = ana.stream()
    for number in range(700):
        stream.write(f"{number},")
    document = StateDocument(update=ana.live.document.update_since())
    late = ConversationManager(Conversation(document))
    assert late.state.streaming == ana.state.streaming
    assert late.state.streaming[0].text == stream.text
    assert late.state.streaming[0].chunks == 700
