"""Conversations that are repaired, taken up after a restart, and continued in another session."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import After, Before, Register, StateDocument, migration
from comity.clients.agents.conversation.continuity import CONTINUED_FROM
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.records import Message, Recording
from comity.clients.agents.conversation.repair import NO_RESULT
from comity.clients.agents.conversation.status import ConversationStatus, Role, ToolStatus, TurnStatus
from comity.clients.agents.conversation.transcript import flaws

Manager = ConversationManager[Conversation]


def manager(agent: str = "ana", update: bytes | None = None) -> Manager:
    document = StateDocument(agent=agent) if update is None else StateDocument(agent=agent, update=update)
    return ConversationManager(Conversation(document))


def restarted(crashed: Manager, agent: str = "bob") -> Manager:
    """Return the manager of a process that finds what another one left."""
    return manager(agent, crashed.live.document.update_since())


def sync(one: Manager, other: Manager) -> None:
    one.live.document.apply(other.live.document.update_since())
    other.live.document.apply(one.live.document.update_since())


def told(messages: Sequence[Message]) -> str:
    return " / ".join(message.text for message in messages)


def cut_off() -> Manager:
    """Return a conversation that was cut off while a tool ran and a message was written."""
    talk = manager()
    talk.update_connection(connected=True)
    talk.start_turn("Hello")
    talk.add_message(Role.ASSISTANT, "Hi.")
    talk.complete_turn()
    talk.update_audio(input_active=True)
    talk.start_turn("Find me a flight")
    talk.start_tool_call("search", {"to": "SEA"}, call_id="call_1")
    talk.stream().write("One mom")
    return talk


# Repair -------------------------------------------------------------------------------------------------------------


async def test_a_call_of_a_turn_that_was_interrupted_is_found_and_answered() -> None:
    talk = cut_off()
    assert talk.orphaned_tool_calls() == ()
    talk.interrupt_turn("hung up")
    (call,) = talk.orphaned_tool_calls()
    assert flaws(talk.to_llm_messages())
    repaired = await talk.repair()
    assert [each.id for each in repaired.cancelled] == [call.id]
    assert flaws(talk.to_llm_messages()) == []
    (call,) = talk.state.tool_calls
    assert (call.status, call.error) == (ToolStatus.CANCELLED, NO_RESULT)
    assert not await talk.repair()


async def test_an_answer_stands_after_its_call_though_the_user_went_on() -> None:
    talk = cut_off()
    talk.interrupt_turn("barged in")
    talk.start_turn("Never mind")
    await talk.repair()
    roles = [message["role"] for message in talk.to_llm_messages()]
    assert roles == ["user", "assistant", "user", "assistant", "tool", "assistant", "user"]
    assert flaws(talk.to_llm_messages()) == []


async def test_calls_of_agents_that_are_gone_are_orphans_and_those_of_others_are_not() -> None:
    talk = cut_off()
    assert talk.orphaned_tool_calls(lambda agent: agent == "bob") == ()
    assert len((await talk.repair(is_gone=lambda agent: agent == "ana")).cancelled) == 1


async def test_imported_messages_with_calls_and_answers_that_lack_each_other_become_valid() -> None:
    talk = manager()
    function = {"name": "look_up", "arguments": "{}"}
    calls = [{"id": id, "type": "function", "function": function} for id in "ab"]
    talk.from_llm_messages(
        [
            {"role": "tool", "tool_call_id": "z", "content": "nobody asked"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {"role": "user", "content": "And?"},
        ]
    )
    repaired = await talk.repair()
    assert (len(repaired.cancelled), len(repaired.stray)) == (1, 1)
    messages = talk.to_llm_messages()
    assert flaws(messages) == []
    assert [message.get("tool_call_id") for message in messages] == [None, "a", "b", None]
    assert talk.state.messages[0].content == "nobody asked"


async def test_a_call_that_ended_without_telling_the_model_is_told() -> None:
    talk = manager()
    talk.start_turn("Go")
    talk.complete_tool_call(talk.start_tool_call("a").id, "done", answer=False)
    talk.fail_tool_call(talk.start_tool_call("b").id, "no network", answer=False)
    talk.complete_turn()
    assert len((await talk.repair()).answered) == 2
    assert [message["content"] for message in talk.to_llm_messages() if message["role"] == "tool"] == [
        "done",
        "no network",
    ]


async def test_two_who_repair_at_once_answer_once() -> None:
    talk = cut_off()
    talk.interrupt_turn()
    other = restarted(talk)
    await talk.repair()
    await other.repair()
    sync(talk, other)
    assert talk.state == other.state
    assert flaws(talk.to_llm_messages()) == []
    assert sum(message.role is Role.TOOL for message in talk.state.messages) == 1


async def test_a_result_that_comes_while_another_repairs_leaves_a_list_that_is_valid() -> None:
    talk = cut_off()
    other = restarted(talk)
    (call,) = talk.state.pending_tool_calls
    other.interrupt_turn("lost")
    await other.repair()
    talk.complete_tool_call(call.id, "SEA at 11")
    sync(talk, other)
    await talk.repair()
    sync(talk, other)
    assert talk.to_llm_messages() == other.to_llm_messages()
    assert flaws(talk.to_llm_messages()) == []


# Restarts -----------------------------------------------------------------------------------------------------------


async def test_after_a_restart_what_was_cut_off_is_closed_in_one_call() -> None:
    talk = restarted(cut_off())
    resumed = await talk.resume()
    assert [message.text for message in resumed.interrupted] == ["One mom"]
    assert [(turn.status, turn.reason) for turn in resumed.turns] == [(TurnStatus.INTERRUPTED, "restarted")]
    assert len(resumed.repaired.cancelled) == 1
    state = talk.state
    assert (state.status, state.streaming, state.active_turns) == (ConversationStatus.IDLE, (), ())
    assert (state.is_connected, state.audio.input_active) == (False, False)
    assert state.messages[-1].interrupted
    assert flaws(talk.to_llm_messages()) == []
    talk.start_turn("Are you there?")
    again = await restarted(talk).resume()
    assert (len(again.turns), again.interrupted) == (1, ())


async def test_a_turn_can_be_done_again_from_where_it_was_cut_off() -> None:
    talk = restarted(cut_off())
    resumed = await talk.resume(again=True)
    assert [turn.status for turn in resumed.turns] == [TurnStatus.ACTIVE]
    (call,) = resumed.pending
    assert not resumed.repaired
    talk.complete_tool_call(call.id, "SEA at 11")
    talk.add_message(Role.ASSISTANT, "There is one at 11.")
    talk.complete_turn()
    contents = [message["content"] for message in talk.to_llm_messages()]
    assert contents == ["Hello", "Hi.", "Find me a flight", None, "SEA at 11", "There is one at 11."]
    assert not await talk.repair()


async def test_what_agents_that_work_on_are_at_is_left_alone() -> None:
    talk = restarted(cut_off())
    resumed = await talk.resume(is_gone=lambda agent: agent == "eve")
    assert (resumed.turns, resumed.interrupted) == ((), ())
    assert len(talk.state.streaming) == len(talk.state.active_turns) == 1


async def test_resuming_a_conversation_at_rest_changes_nothing() -> None:
    talk = manager()
    talk.start_turn("Hello")
    talk.add_message(Role.ASSISTANT, "Hi.")
    talk.complete_turn()
    there = restarted(talk)
    before = there.live.document.state_vector()
    resumed = await there.resume()
    assert not resumed.repaired
    assert (resumed.turns, resumed.pending) == ((), ())
    assert there.live.document.state_vector() == before


@migration(1, 2, backward=True)
def with_a_mood(old: Before, new: After) -> None:
    new.set("mood", old.map("metadata").get("mood", "unknown"))


class Moody(Conversation, name="conversation", version=2, migrations=[with_a_mood]):
    mood: Register[str]


async def test_a_conversation_of_an_older_version_goes_on_in_a_newer_one() -> None:
    older = spoken(3)
    newer = ConversationManager(Moody(StateDocument(agent="bob", update=older.live.document.update_since())))
    assert newer.live.mood.value == "calm"
    assert newer.state == older.state
    newer.start_turn("Still there?")
    newer.add_message(Role.ASSISTANT, "Yes.")
    newer.complete_turn()
    older.live.document.apply(newer.live.document.update_since())
    assert older.state == newer.state
    assert older.state.turn_count == 4


@pytest.mark.parametrize("status", ConversationStatus)
async def test_a_restart_ends_every_status_but_an_end(status: ConversationStatus) -> None:
    talk = manager()
    talk.live.status.set(status)
    await talk.resume()
    ended = status in (ConversationStatus.ERROR, ConversationStatus.DISCONNECTED)
    assert talk.state.status is (status if ended else ConversationStatus.IDLE)


# Other sessions -----------------------------------------------------------------------------------------------------


def spoken(turns: int) -> Manager:
    talk = manager()
    talk.update(metadata={"user": {"name": "Mia"}, "mood": "calm"})
    talk.add_message(Role.SYSTEM, "Be brief.")
    for number in range(turns):
        recording = Recording(b"pcm" * 9, "audio/pcm", transcript=f"question {number}")
        talk.start_turn(None, audio=recording)
        talk.add_message(Role.ASSISTANT, f"answer {number}")
        talk.complete_turn()
    return talk


async def test_a_text_session_goes_on_from_a_voice_session() -> None:
    voice, text = spoken(5), manager("bob")
    pinned = voice.state.messages[3]
    voice.pin(pinned.id)
    what = await text.continue_from(voice, turns=2, summarise=told, metadata={"user"})
    assert [message["content"] for message in text.to_llm_messages()] == [
        "Be brief.",
        "Summary of the conversation so far:\n\n / answer 0 /  / answer 2",
        *("question 1", "answer 1", "question 3", "answer 3", "question 4", "answer 4"),
    ]
    assert len(what.left) == 4
    assert text.state.pinned == {pinned.id}
    assert text.state.metadata["user"] == {"name": "Mia"}
    assert "mood" not in text.state.metadata
    assert text.state.metadata[CONTINUED_FROM]["last"] == voice.state.messages[-1].id
    assert all(message.audio is None for message in text.state.messages)
    assert text.live.audio_clips == {}


async def test_back_in_the_voice_session_nothing_is_there_twice() -> None:
    voice, text = spoken(3), manager("bob")
    before = voice.state.messages
    await text.continue_from(voice, turns=1, summarise=told)
    assert len(text.state.summaries) == 1
    text.start_turn("in writing")
    text.add_message(Role.ASSISTANT, "answered")
    text.complete_turn()
    await voice.continue_from(text, summarise=told)
    assert voice.state.summaries == ()  # it has what they sum up
    assert voice.state.messages[: len(before)] == before
    assert [message.text for message in voice.state.messages[len(before) :]] == ["in writing", "answered"]
    assert len(voice.state.turns) == 4
    state = voice.state
    await voice.continue_from(text)
    assert voice.state.messages == state.messages


async def test_a_conversation_that_goes_on_elsewhere_leaves_no_call_open_there() -> None:
    text = manager("bob")
    await text.continue_from(cut_off())
    assert flaws(text.to_llm_messages()) == []
    assert text.state.active_turns == ()
    assert text.state.pending_tool_calls == ()


async def test_summaries_go_over_and_are_summed_up_with_what_is_left() -> None:
    voice = spoken(6)
    await voice.prune(messages=9, summarise=told)
    (older,) = voice.state.summaries
    text = manager("bob")
    await text.continue_from(voice)
    assert text.state.summaries == (older,)
    again = manager("eve")
    await again.continue_from(voice, turns=1, summarise=lambda messages: f"{len(messages)}: {messages[0].text}")
    (summary,) = again.state.summaries
    assert summary.text == f"7: {older.text}"
    assert (older.messages, summary.messages) == (4, 10)


# Anything at all ----------------------------------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["turn", "say", "call", "done", "fail", "cut", "stream", "crash"]), max_size=12)


async def step(talk: Manager, what: str) -> Manager:
    state = talk.state
    if what == "turn" and state.current_turn is None:
        talk.start_turn("question")
    elif what == "say":
        talk.add_message(Role.ASSISTANT, "answer")
    elif what == "call":
        talk.start_tool_call("look_up", call_id="call_1")
    elif what in ("done", "fail") and state.pending_tool_calls:
        call = state.pending_tool_calls[0].id
        talk.complete_tool_call(call, "result") if what == "done" else talk.fail_tool_call(call, "broken")
    elif what == "cut" and state.current_turn is not None:
        talk.interrupt_turn()
    elif what == "stream":
        talk.stream().write("half a sen")
    elif what == "crash":
        talk = restarted(talk)
        await talk.resume()
    return talk


@settings(max_examples=40)
@given(STEPS)
async def test_whatever_happened_a_restart_leaves_a_conversation_that_a_model_takes(steps: list[str]) -> None:
    talk = manager()
    for what in steps:
        talk = await step(talk, what)
    talk = restarted(talk)
    await talk.resume()
    messages: list[dict[str, Any]] = talk.to_llm_messages()
    assert flaws(messages) == []
    assert talk.state.streaming == ()
    assert talk.state.active_turns == ()
    assert len(talk.live.chunks) == 0
    assert not await talk.repair()


@pytest.mark.parametrize("again", [False, True])
async def test_two_who_resume_at_once_come_to_the_same(again: bool) -> None:
    crashed = cut_off()
    one, other = restarted(crashed, "bob"), restarted(crashed, "eve")
    await one.resume(again=again)
    await other.resume(again=again)
    sync(one, other)
    assert one.to_llm_messages() == other.to_llm_messages()
    assert len(one.state.messages) == (4 if again else 6)
