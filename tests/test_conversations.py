"""Conversations as typed state: streamed token by token they come out as they were, and leave nothing else behind."""

from typing import Final

import pytest

from comity import StateDocument
from tests.support.conversations import (
    AGENT,
    Conversation,
    Spoken,
    TypedScribe,
    Write,
    live_json,
    read_conversations,
    replay,
    spoken_in,
    streamed,
)
from tests.support.optional import real_data
from tests.support.profiles import DEEP

MOST_OF_LIVE_JSON: Final = 1.5
# For a value that was ever overwritten: the step to its ancestor, the run of what was deleted, its range among them.
BYTES_FOR_ONCE_OVERWRITTEN: Final = 9 + 4 + 8

# What recorded conversations have of the unusual: nothing said beside a call, an empty answer, an id used twice.
SMALL: Final[list[Spoken]] = [
    {"role": "system", "content": "Help with flights. Be brief: ✈️ only."},
    {"role": "user", "content": "Reservation Z7GOZK, please — what does it cost?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_details", "arguments": '{"id":"Z7GOZK"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "name": "get_details", "content": '{"price": 152, "seats": []}'},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "think", "arguments": "{}"}},
            {"id": "call_2", "type": "function", "function": {"name": "calculate", "arguments": '{"e":"2 * 152"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "name": "think", "content": ""},
    {"role": "tool", "tool_call_id": "call_2", "name": "calculate", "content": "304.0"},
    {"role": "assistant", "content": "152 each, 304 for two."},
    {"role": "user", "content": "###STOP###"},
]


@pytest.fixture(name="recorded", scope="module")
def read_recorded() -> list[list[Spoken]]:
    """The recorded conversations, of which the quick profile takes the shortest, the longest and one between."""
    conversations = sorted(read_conversations(real_data("airline-conversations.json.gz")), key=len)
    return conversations if DEEP else [conversations[at] for at in (0, len(conversations) // 2, -1)]


@pytest.fixture(name="replayed", scope="module")
def replay_recorded(recorded: list[list[Spoken]]) -> list[dict[str, TypedScribe]]:
    return [replay(streamed(messages), TypedScribe) for messages in recorded]


def check_replicas(scribes: dict[str, TypedScribe], messages: list[Spoken]) -> None:
    newcomer = Conversation(StateDocument(update=scribes[AGENT].state.document.update_since()))
    for state in (*(scribe.state for scribe in scribes.values()), newcomer):
        assert list(spoken_in(state)) == messages
        assert {turn.status.value for turn in state.turns.values()} == {"done"}
        assert len(state.turns) == sum(spoken["role"] == "user" for spoken in messages)
        calls = [call for message in state.messages.values() for call in message.calls.values()]
        assert {call.status.value for call in calls} <= {"done"}
        assert state.conflicts() == []
        assert state.violations() == []


def test_a_streamed_conversation_reads_as_it_was_spoken_on_every_replica() -> None:
    check_replicas(replay(streamed(SMALL), TypedScribe), SMALL)


def test_a_conversation_that_ends_before_an_answer_has_a_pending_call() -> None:
    cut = SMALL[:3]
    for scribe in replay(streamed(cut), TypedScribe).values():
        assert list(spoken_in(scribe.state)) == cut
        assert [call.status.value for call in scribe.state.messages["002"].calls.values()] == ["pending"]


def test_a_recorded_conversation_reads_as_it_was_spoken_on_every_replica(
    recorded: list[list[Spoken]], replayed: list[dict[str, TypedScribe]]
) -> None:
    for messages, scribes in zip(recorded, replayed, strict=True):
        check_replicas(scribes, messages)


def test_a_streamed_document_is_at_most_one_and_a_half_times_its_live_json(
    replayed: list[dict[str, TypedScribe]],
) -> None:
    for scribes in replayed:
        for scribe in scribes.values():
            live = live_json(scribe.state)
            assert len(scribe.state.document.update_since()) <= MOST_OF_LIVE_JSON * len(live)


def last_of_each(writes: list[Write]) -> list[Write]:
    """Return the writes that hold in the end, in the order in which they were made."""
    last = {write.path: write for write in writes}
    return [write for write in writes if last[write.path] is write]


def test_streaming_a_conversation_leaves_hardly_more_than_writing_it_at_once() -> None:
    writes = list(streamed(SMALL))
    held = last_of_each(writes)
    assert len(writes) > 3 * len(held)
    at_once, stepwise = (replay(each, TypedScribe)[AGENT].state for each in (held, writes))
    assert at_once.to_dict() == stepwise.to_dict()
    more = len(stepwise.document.update_since()) - len(at_once.document.update_since())
    assert more <= BYTES_FOR_ONCE_OVERWRITTEN * len(held)
