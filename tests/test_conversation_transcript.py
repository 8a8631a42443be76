"""Conversations as lists of messages for model APIs: as they were, and what is wrong with one is found."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import StateDocument, errors
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.importing import from_llm_messages
from comity.clients.agents.conversation.projection import Projection
from comity.clients.agents.conversation.records import Message
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.clients.agents.conversation.status import Role, ToolStatus
from comity.clients.agents.conversation.transcript import Flaw, flaws, to_llm_messages
from tests.support.conversations import read_conversations
from tests.support.optional import real_data

Spoken = dict[str, Any]


def call(id: str, name: str = "look_up", arguments: str = "{}") -> Spoken:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(id: str, content: str = "done") -> Spoken:
    return {"role": "tool", "tool_call_id": id, "content": content}


def told(message: Spoken) -> str:
    return json.dumps(message, sort_keys=True)


SYSTEM: Spoken = {"role": "system", "content": "Be brief."}
ASKED: Spoken = {"role": "user", "content": "How is the weather?"}
CALLED: Spoken = {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]}
SAID: Spoken = {"role": "assistant", "content": "Fair."}


def state_of(live: Conversation) -> ConversationState:
    projection = Projection(live)
    return projection.after(ConversationState(), projection.all)


def imported(messages: list[Spoken]) -> Conversation:
    live = Conversation(StateDocument(agent="ana"))
    from_llm_messages(live, messages)
    return live


def test_recorded_conversations_come_back_as_they_were() -> None:
    for messages in read_conversations(real_data("airline-conversations.json.gz")):
        assert flaws(messages) == []
        assert to_llm_messages(state_of(imported(messages))) == messages


def test_what_the_types_do_not_know_comes_back_too() -> None:
    messages: list[Spoken] = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "boss"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "low"}}], "name": "ana"},
        {
            "role": "assistant",
            "content": "",
            "refusal": None,
            "annotations": [{"at": 1.5}],
            "tool_calls": [
                {"id": "c", "type": "custom", "custom": {"name": "draw", "input": "x"}},
                {**call("c"), "index": 0},
            ],
        },
        {**answer("c"), "name": "draw"},
    ]
    assert to_llm_messages(state_of(imported(messages))) == messages


def test_turns_begin_with_what_the_user_says_and_calls_end_with_their_answers() -> None:
    state = state_of(imported([SYSTEM, ASKED, ASKED, CALLED, answer("b", "2"), SAID, ASKED]))
    assert [len(state.messages_of(turn.id)) for turn in state.turns] == [5, 1]
    assert state.active_turns == ()
    first, second = state.tool_calls
    assert (first.status, first.answer) == (ToolStatus.PENDING, None)
    assert (second.status, second.result, second.turn) == (ToolStatus.COMPLETED, "2", state.turns[0].id)
    assert (state.metrics.messages, state.metrics.user_messages, state.metrics.tool_calls) == (7, 3, 2)
    assert state.metrics.turns == state.metrics.turns_completed == 2


def test_an_id_that_is_used_twice_answers_each_call_on_its_own() -> None:
    again = {**CALLED, "tool_calls": [call("a", "look_again")]}
    messages = [ASKED, CALLED, answer("b", "2"), answer("a", "1"), again, answer("a", "3"), SAID]
    state = state_of(imported(messages))
    assert [(call.name, call.result) for call in state.tool_calls] == [
        ("look_up", "1"),
        ("look_up", "2"),
        ("look_again", "3"),
    ]
    assert to_llm_messages(state) == messages


def test_an_answer_stands_after_its_call_whatever_was_said_in_between() -> None:
    live = imported([ASKED, CALLED, answer("a")])
    (_, waiting) = state_of(live).tool_calls
    from_llm_messages(live, [{"role": "user", "content": "Hurry up!"}])
    live.messages["zz"] = Message(role=Role.TOOL, content="late", call=waiting.id, tool_call_id="b")
    live.tool_calls[waiting.id] = replace(waiting, answer="zz")
    messages = to_llm_messages(state_of(live))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert flaws(messages) == []


def test_an_answer_that_was_imported_late_is_put_in_its_place() -> None:
    messages = to_llm_messages(state_of(imported([ASKED, CALLED, answer("a"), ASKED, answer("b"), answer("b")])))
    assert [message.get("tool_call_id") for message in messages] == [None, None, "a", "b", None, "b"]
    (flaw,) = flaws(messages)
    assert (flaw.at, flaw.call) == (5, "b")


def test_messages_that_are_none_are_refused_and_nothing_is_written() -> None:
    live = Conversation()
    for wrong in (5, {}, {"role": "boss"}, {**ASKED, "content": 5}, {**ASKED, "name": 5}, {**SAID, "tool_calls": [5]}):
        with pytest.raises(errors.InvalidValueError, match="message 1"):
            from_llm_messages(live, [SYSTEM, wrong])  # type: ignore[list-item]
    assert live.to_dict() == Conversation().to_dict()


def test_a_list_that_a_model_api_takes_has_no_flaws() -> None:
    assert flaws([]) == []
    assert flaws([SYSTEM, ASKED, CALLED, answer("b"), answer("a"), SAID, ASKED]) == []


def test_calls_without_answers_and_answers_without_calls_are_flaws() -> None:
    assert flaws([ASKED, CALLED, answer("a"), ASKED]) == [Flaw(1, "a tool call that is not answered", "b")]
    assert flaws([ASKED, CALLED]) == [Flaw(1, "a tool call that is not answered", id) for id in "ab"]
    assert flaws([ASKED, answer("a")]) == [Flaw(1, "it answers no call that waits for an answer", "a")]
    (late,) = flaws([CALLED, answer("a"), answer("b"), ASKED, answer("b")])
    assert (late.at, late.call) == (4, "b")
    (twice,) = flaws([CALLED, answer("a"), answer("a"), answer("b")])
    assert (twice.at, twice.call) == (2, "a")


def test_messages_that_say_nothing_or_are_nobodys_are_flaws() -> None:
    assert [flaw.at for flaw in flaws([{"role": "user"}, {"role": "x", "content": ""}, {"role": "assistant"}])] == [
        0,
        1,
        2,
    ]
    assert flaws([{**ASKED, "tool_calls": [call("a")]}, answer("a")]) == [Flaw(0, "only an assistant calls tools")]
    assert flaws([{**CALLED, "tool_calls": [call("a"), call("a")]}, answer("a")]) == [
        Flaw(0, "two calls of one message have the same id", "a")
    ]


IDS = st.sampled_from(["a", "b", "c"])
ANY = st.one_of(
    st.just(SYSTEM),
    st.just(ASKED),
    st.just(SAID),
    st.builds(answer, IDS, st.text(max_size=5)),
    st.builds(lambda ids: {**CALLED, "tool_calls": list(map(call, ids))}, st.lists(IDS, min_size=1, max_size=3)),
)


@settings(max_examples=60)
@given(st.lists(ANY, max_size=10))
def test_any_list_comes_back_with_the_same_messages_and_a_valid_one_as_it_was(messages: list[Spoken]) -> None:
    state = state_of(imported(messages))
    exported = to_llm_messages(state)
    assert sorted(map(told, exported)) == sorted(map(told, messages))
    if not flaws(messages):
        assert exported == messages
