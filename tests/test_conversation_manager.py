"""The conversation manager: its state, updates, messages, turns, tool calls, audio and transactions."""

import json
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.frozen import FrozenMap
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.messages import AUDIO_CHUNK
from comity.clients.agents.conversation.records import Message, Recording, time_of
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.clients.agents.conversation.status import MOVES, ConversationStatus, Role, ToolStatus, TurnStatus
from comity.crdt_types import Register
from comity.crdt_types.errors import InvalidValueError, StateError
from tests.support.talking import copy_of, exchange, manager

# State --------------------------------------------------------------------------------------------------------------


def test_manager_of_an_empty_conversation_is_idle() -> None:
    assert manager().state == ConversationState()


def test_state_does_not_change_once_it_was_read() -> None:
    conversation = manager()
    before = conversation.state
    conversation.add_message("user", "Hello")
    conversation.update(status="processing", metadata={"topic": "seats"})
    assert before == ConversationState()
    assert conversation.state.message_count == 1


def test_state_is_the_same_object_until_something_changes() -> None:
    conversation = manager()
    conversation.add_message("user", "Hello")
    assert conversation.state is conversation.state


@pytest.mark.parametrize("name", ConversationState.__slots__)
def test_state_refuses_to_be_written_to(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(manager().state, name, None)


def test_state_holds_metadata_that_nobody_can_change() -> None:
    conversation = manager()
    conversation.update(metadata={"user": {"name": "Eva", "seats": ["12A"]}})
    user = conversation.state.metadata["user"]
    for name, arguments in (("update", [{}]), ("__setitem__", ["name", "Ida"]), ("pop", ["name"]), ("clear", [])):
        with pytest.raises(TypeError):
            getattr(user, name)(*arguments)
    assert user == {"name": "Eva", "seats": ("12A",)}


def test_state_goes_through_pickle_and_its_metadata_through_json() -> None:
    conversation = manager()
    conversation.update(metadata={"user": {"name": "Eva"}})
    conversation.add_message("user", [{"type": "text", "text": "Hi"}], metadata={"a": [1]})
    assert pickle.loads(pickle.dumps(conversation.state)) == conversation.state
    assert json.loads(json.dumps(conversation.state.metadata)) == {"user": {"name": "Eva"}}


def test_states_that_hold_the_same_are_equal_and_hash_alike() -> None:
    conversation = manager()
    conversation.add_message("user", "Hello", metadata={"a": {"b": [1]}})
    other = copy_of(conversation)
    assert conversation.state == other.state
    assert hash(conversation.state) == hash(other.state)


def test_state_follows_what_is_written_into_the_document_itself() -> None:
    conversation = manager()
    conversation.live.messages["a"] = Message(role=Role.USER, content="by hand")
    conversation.live.pinned.add("a")
    assert [message.content for message in conversation.state.messages] == ["by hand"]
    assert conversation.state.pinned == {"a"}


def test_state_of_a_subclass_ignores_the_fields_that_it_adds() -> None:
    class Call(Conversation):
        topic: Register[str]

    call = ConversationManager(Call())
    before = call.state
    heard: list[object] = []
    call.on_update(lambda old, new: heard.append(new))
    call.live.topic.set("seats")
    assert call.state is before
    assert heard == []


# Status -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ConversationStatus)
@pytest.mark.parametrize("before", ConversationStatus)
def test_status_moves_only_as_the_table_says(before: ConversationStatus, after: ConversationStatus) -> None:
    conversation = manager()
    conversation.live.status.set(before)
    if after in MOVES[before] or after is before:
        assert conversation.update(after).status is after
    else:
        with pytest.raises(InvalidValueError, match=f"{after} cannot follow {before}"):
            conversation.update(after, metadata={"never": "written"})
        assert conversation.state.status is before
        assert conversation.state.metadata == {}


def test_status_can_fail_and_end_from_anywhere_and_begin_again_from_there() -> None:
    for status in ConversationStatus:
        assert {ConversationStatus.ERROR, ConversationStatus.DISCONNECTED} <= MOVES[status] | {status}
    for status in (ConversationStatus.ERROR, ConversationStatus.DISCONNECTED):
        assert {ConversationStatus.CONNECTING, ConversationStatus.IDLE} <= MOVES[status]


def test_status_that_stays_writes_nothing() -> None:
    conversation = manager()
    conversation.update("listening")
    before = conversation.live.document.update_since()
    conversation.update("listening")
    assert conversation.live.document.update_since() == before


def test_status_of_an_unknown_name_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no status"):
        manager().update("asleep")


def test_error_brings_the_status_and_is_counted_and_forgotten_with_the_next() -> None:
    conversation = manager()
    state = conversation.update(error="the model did not answer")
    assert (state.status, state.error, state.metrics.errors) == ("error", "the model did not answer", 1)
    state = conversation.update("idle")
    assert (state.status, state.error, state.metrics.errors) == ("idle", None, 1)


def test_metadata_is_merged_by_name_and_none_deletes_one() -> None:
    conversation = manager()
    conversation.update(metadata={"topic": "seats", "tier": "gold"})
    conversation.update(metadata={"topic": None, "lang": "de"})
    assert conversation.state.metadata == {"tier": "gold", "lang": "de"}


# Connection and audio -----------------------------------------------------------------------------------------------


def test_connection_says_when_it_was_made_and_lost() -> None:
    conversation = manager()
    made = conversation.update_connection(connected=True, connection_id="c1", transport="webrtc").connection
    assert made.connected
    assert made.connected_at is not None
    lost = conversation.update_connection(connected=False, error="timeout").connection
    assert lost.closed_at is not None
    assert lost.closed_at >= made.connected_at
    assert (lost.connection_id, lost.error) == ("c1", "timeout")
    again = conversation.update_connection(connected=True, reconnects=1).connection
    assert (again.closed_at, again.error, again.reconnects) == (None, None, 1)


def test_connection_fields_that_agents_update_at_once_are_all_kept() -> None:
    ana = manager()
    ana.update_connection(connected=True)
    ben = copy_of(ana)
    ana.update_connection(latency_ms=12.5)
    ben.update_connection(transport="websocket")
    exchange(ana, ben)
    assert ana.state == ben.state
    assert (ana.state.connection.latency_ms, ana.state.connection.transport) == (12.5, "websocket")


def test_connection_field_that_does_not_fit_changes_nothing() -> None:
    conversation = manager()
    with pytest.raises(InvalidValueError):
        conversation.update_connection(connected=True, reconnects="many")  # type: ignore[arg-type]
    assert not conversation.state.is_connected


def test_audio_says_when_it_was_started() -> None:
    conversation = manager()
    audio = conversation.update_audio(input_active=True, sample_rate=24_000).audio
    assert audio.input_started_at is not None
    assert audio.output_started_at is None
    assert conversation.update_audio(output_active=True).is_speaking


def test_recording_longer_than_a_value_comes_back_whole() -> None:
    conversation = manager()
    data = bytes(range(256)) * (AUDIO_CHUNK // 100)
    message = conversation.add_message("user", "Hello", audio=Recording(data, "audio/wav", duration_ms=900))
    assert message.audio is not None
    assert (message.audio.chunks, message.audio.size) == (3, len(data))
    assert copy_of(conversation).audio_of(message.id) == data
    assert max(map(len, conversation.live.audio_clips.values())) <= AUDIO_CHUNK


def test_recording_that_is_replaced_or_removed_leaves_nothing_behind() -> None:
    conversation = manager()
    message = conversation.add_message("user", None, audio=Recording(bytes(AUDIO_CHUNK + 1)))
    conversation.set_audio(message.id, Recording(b"short"))
    assert conversation.audio_of(message.id) == b"short"
    assert list(conversation.live.audio_clips.values()) == [b"short"]
    conversation.remove_messages([message.id])
    assert len(conversation.live.audio_clips) == 0


def test_recording_that_is_not_here_yet_is_not_taken_for_whole() -> None:
    conversation = manager()
    message = conversation.add_message("user", None, audio=Recording(bytes(AUDIO_CHUNK + 1)))
    del conversation.live.audio_clips[f"{message.id}/00000001"]
    with pytest.raises(StateError, match="not complete"):
        conversation.create_snapshot()


# Messages -----------------------------------------------------------------------------------------------------------


def test_message_keeps_all_that_was_said_of_it() -> None:
    conversation = manager()
    given = conversation.add_message(
        Role.TOOL,
        [{"type": "text", "text": "On "}, {"type": "text", "text": "time"}],
        name="lookup",
        tool_call_id="call_1",
        created_at=1_700_000_000_000,
        tokens=3,
        interrupted=True,
        metadata={"refusal": None, "deep": {"er": [1, 2]}},
    )
    (read,) = copy_of(conversation).state.messages
    assert read == given
    assert read.text == "On time"
    assert read.metadata == {"refusal": None, "deep": {"er": (1, 2)}}


@pytest.mark.parametrize("content", [None, "", "text", []])
def test_message_without_content_differs_from_an_empty_one(content: Any) -> None:
    conversation = manager()
    conversation.add_message("assistant", content)
    assert copy_of(conversation).state.messages[0].content == (tuple(content) if content == [] else content)


def test_message_is_stored_without_what_is_as_usual() -> None:
    conversation = manager()
    message = conversation.add_message("assistant", "Yes")
    (change,) = [entry.value for entry in conversation.live.document.index.fields[1, "messages"][message.id]]
    assert change == {"role": "assistant", "content": "Yes"}


@pytest.mark.parametrize(
    ("role", "content", "fields"),
    [
        ("nobody", "x", {}),
        ("user", 5, {}),
        ("user", "x", {"tokens": "many"}),
        ("user", "x", {"metadata": {"a": object()}}),
    ],
)
def test_message_that_does_not_fit_changes_nothing(role: str, content: Any, fields: Any) -> None:
    conversation = manager()
    with pytest.raises((InvalidValueError, TypeError)):
        conversation.add_message(role, content, **fields)
    assert conversation.state == ConversationState()


def test_messages_of_two_agents_stand_in_the_order_of_time() -> None:
    ana = manager("ana")
    ben = copy_of(ana, "ben")
    for number in range(20):
        speaker, listener = (ana, ben) if number % 2 else (ben, ana)
        speaker.add_message("user", str(number))
        exchange(speaker, listener)
    assert [message.content for message in ana.state.messages] == [str(number) for number in range(20)]
    assert ana.state == ben.state


def test_message_ids_rise_within_one_millisecond() -> None:
    conversation = manager()
    with conversation.transaction():
        ids = [conversation.add_message("user", str(number)).id for number in range(500)]
    assert ids == sorted(ids)
    assert len({time_of(id) for id in ids}) < 500


def test_message_changed_keeps_its_place() -> None:
    conversation = manager()
    first = conversation.add_message("user", "Helo")
    conversation.add_message("assistant", "Hi")
    conversation.change_message(first.id, content="Hello", tokens=1)
    assert [message.content for message in conversation.state.messages] == ["Hello", "Hi"]
    assert conversation.state.messages[0].tokens == 1


def test_message_removed_takes_its_calls_and_its_pin_with_it() -> None:
    conversation = manager()
    message = conversation.add_message("assistant", None)
    conversation.start_tool_call("lookup", message=message.id)
    kept = conversation.add_message("user", "stay")
    conversation.pin(message.id)
    conversation.remove_messages([message.id, "unknown"])
    state = conversation.state
    assert (state.messages, state.tool_calls, state.pinned) == ((kept,), (), frozenset())
    assert state.metrics.messages == 2


def test_history_is_filtered_by_role_time_and_number() -> None:
    conversation = manager()
    for number in range(6):
        conversation.add_message("user" if number % 2 else "assistant", str(number), created_at=1000 + number)
    assert [message.content for message in conversation.get_history(2)] == ["4", "5"]
    assert [message.content for message in conversation.get_history(2, role="user")] == ["3", "5"]
    assert [message.content for message in conversation.get_history(role="user", since=1002)] == ["3", "5"]
    assert conversation.get_history(0) == ()


# Turns --------------------------------------------------------------------------------------------------------------


def test_turn_holds_what_is_said_in_it() -> None:
    conversation = manager()
    conversation.add_message("system", "Be brief")
    turn = conversation.start_turn("Is my flight on time?", tokens=6)
    assert conversation.state.status is ConversationStatus.PROCESSING
    conversation.update("responding")
    conversation.add_message("assistant", "Yes", tokens=1)
    done = conversation.complete_turn()
    state = conversation.state
    assert [message.content for message in state.messages_of(turn.id)] == ["Is my flight on time?", "Yes"]
    assert (done.status, done.agent, state.turns) == (TurnStatus.COMPLETED, "ana", (done,))
    assert (state.current_turn, state.status) == (None, ConversationStatus.IDLE)
    assert (state.metrics.turns, state.metrics.turns_completed, state.metrics.tokens) == (1, 1, 7)
    assert state.metrics.mean_turn_ms == done.duration_ms


def test_turn_ends_where_the_conversation_came_from() -> None:
    conversation = manager()
    conversation.update_connection(connected=True)
    conversation.update("connected")
    conversation.start_turn("Hi")
    conversation.complete_turn()
    assert conversation.state.status == "connected"
    conversation.update_audio(input_active=True)
    conversation.start_turn("Hi")
    conversation.interrupt_turn("barge-in")
    assert conversation.state.status == "listening"


def test_turn_is_not_begun_while_another_is_under_way_or_nobody_is_there() -> None:
    conversation = manager()
    conversation.start_turn("Hi")
    with pytest.raises(StateError, match="under way"):
        conversation.start_turn("Again")
    conversation.complete_turn()
    conversation.update("disconnected")
    before = conversation.state
    with pytest.raises(InvalidValueError, match="cannot follow"):
        conversation.start_turn("Anybody?")
    assert conversation.state == before


def test_turn_that_is_over_does_not_end_again() -> None:
    conversation = manager()
    turn = conversation.start_turn("Hi")
    conversation.complete_turn()
    for id in (None, turn.id):
        with pytest.raises(StateError, match="under way"):
            conversation.complete_turn(id)
        with pytest.raises(StateError, match="under way"):
            conversation.interrupt_turn(turn=id)
    assert conversation.state.metrics.turns_completed == 1


def test_turns_that_two_agents_began_at_once_are_both_there() -> None:
    ana, ben = manager("ana"), manager("ben")
    first, second = ana.start_turn("A"), ben.start_turn("B")
    exchange(ana, ben)
    assert {turn.id for turn in ana.state.active_turns} == {first.id, second.id}
    assert ana.state.current_turn == max(first, second, key=lambda turn: turn.id)
    for turn in (first, second):
        ben.complete_turn(turn.id)
    exchange(ana, ben)
    assert ana.state.active_turns == ()
    assert ana.state.status is ConversationStatus.IDLE


# Calls of tools -----------------------------------------------------------------------------------------------------


def test_tool_call_runs_to_its_result_and_its_answer() -> None:
    conversation = manager()
    conversation.start_turn("Is it on time?")
    call = conversation.start_tool_call("lookup", {"flight": "HAT1"}, call_id="call_9")
    assert conversation.state.pending_tool_calls == (call,)
    assert conversation.run_tool_call(call.id).status is ToolStatus.RUNNING
    done = conversation.complete_tool_call(call.id, {"late": [False]})
    state = conversation.state
    answer = state.message(done.answer or "")
    assert answer is not None
    assert (answer.role, answer.content, answer.call, answer.tool_call_id) == (
        "tool",
        '{"late": [false]}',
        call.id,
        "call_9",
    )
    assert state.tool_call(call.id) == done
    assert (done.result, done.arguments, state.pending_tool_calls) == ({"late": (False,)}, '{"flight": "HAT1"}', ())


def test_tool_calls_of_one_message_keep_their_order_and_may_share_the_id_of_the_interface() -> None:
    conversation = manager()
    message = conversation.add_message("assistant", None)
    names = [f"tool{number}" for number in range(12)]
    for name in names:
        conversation.start_tool_call(name, "{}", message=message.id, call_id="same")
    calls = copy_of(conversation).state.calls_of(message.id)
    assert [call.name for call in calls] == names
    assert {call.call_id for call in calls} == {"same"}
    assert len({call.id for call in calls}) == 12


def test_tool_calls_that_two_agents_add_to_one_message_are_both_there() -> None:
    ana = manager("ana")
    message = ana.add_message("assistant", None)
    ben = copy_of(ana)
    ana.start_tool_call("first", message=message.id)
    ben.start_tool_call("second", message=message.id)
    exchange(ana, ben)
    assert {call.name for call in ben.state.calls_of(message.id)} == {"first", "second"}


def test_tool_call_that_fails_or_is_cancelled_says_why() -> None:
    conversation = manager()
    failed = conversation.start_tool_call("lookup")
    cancelled = conversation.start_tool_call("book")
    conversation.fail_tool_call(failed.id, "no such flight")
    conversation.cancel_tool_call(cancelled.id, "user changed their mind", answer=False)
    state = conversation.state
    assert [(call.status, call.error) for call in state.tool_calls] == [
        ("failed", "no such flight"),
        ("cancelled", "user changed their mind"),
    ]
    assert [message.content for message in state.messages if message.role is Role.TOOL] == ["no such flight"]
    assert (state.metrics.tool_calls, state.metrics.tool_calls_failed) == (2, 1)
    for id, said in ((failed.id, "failed already"), ("none", "no such tool call")):
        with pytest.raises(StateError, match=said):
            conversation.complete_tool_call(id)


def test_tool_call_that_two_agents_answer_at_once_has_one_answer_behind_the_message_that_makes_it() -> None:
    ana = manager("ana")
    call = ana.start_tool_call("lookup")
    ana.add_message("user", "Are you still there?")
    ben = copy_of(ana)
    ana.complete_tool_call(call.id, "on time")
    ben.fail_tool_call(call.id, "no answer")
    exchange(ana, ben)
    assert ana.state == ben.state
    assert [message.role for message in ana.state.messages] == ["assistant", "tool", "user"]
    assert ana.state.messages[1].id == call.id


def test_tool_call_of_an_interrupted_turn_stays_open_to_be_found() -> None:
    conversation = manager()
    turn = conversation.start_turn("Book it")
    call = conversation.start_tool_call("book")
    conversation.interrupt_turn()
    assert conversation.state.pending_tool_calls == (call,)
    assert call.turn == turn.id


# Transactions -------------------------------------------------------------------------------------------------------


def test_transaction_is_one_update_for_everybody() -> None:
    ana, ben = manager("ana"), manager("ben")
    heard: list[tuple[ConversationState, ConversationState]] = []
    ana.on_update(lambda old, new: heard.append((old, new)))
    ben.on_update(lambda old, new: heard.append((old, new)))
    with ana.transaction():
        ana.update("processing")
        ana.add_message("user", "Hi")
        ana.update_audio(muted=True)
        assert heard == []
    assert heard == [(ConversationState(), ana.state)]
    exchange(ana, ben)
    assert heard[1:] == [(ConversationState(), ana.state)]


def test_transaction_reads_its_own_edits() -> None:
    conversation = manager()
    with conversation.transaction():
        turn = conversation.start_turn("Hi")
        message = conversation.add_message("assistant", "Hello")
        assert conversation.state.current_turn == turn
        assert conversation.state.last_assistant_message == message
        assert message.turn == turn.id
        conversation.complete_turn()
        after = conversation.state
        assert (after.current_turn, after.status) == (None, "idle")


def test_transaction_that_fails_leaves_everything_as_it_was() -> None:
    conversation = manager()
    conversation.add_message("user", "before")
    before, heard = conversation.state, []
    conversation.on_update(lambda old, new: heard.append(new))

    def fail() -> None:
        with conversation.transaction():
            conversation.start_turn("Hi")
            assert conversation.state.message_count == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert conversation.state is before
    assert heard == []
    assert copy_of(conversation).state == before


def test_transaction_of_the_document_itself_reads_its_own_edits_and_forgets_them_on_an_error() -> None:
    conversation = manager()
    before = conversation.state

    def fail() -> None:
        with conversation.live.transaction():
            conversation.start_turn("Hi")
            assert conversation.state.message_count == 1
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
        assert conversation.state == before
    with conversation.live.transaction():
        turn = conversation.start_turn("Hi")
        assert conversation.state.turns == (turn,)
    assert conversation.state.turns == (turn,)


def test_transaction_that_a_callback_makes_begins_with_what_it_was_told() -> None:
    conversation = manager()
    seen: list[int] = []

    def answer(_old: ConversationState, new: ConversationState) -> None:
        if new.message_count == 1:
            with conversation.transaction():
                conversation.add_message("assistant", "echo")
                seen.append(conversation.state.message_count)

    conversation.on_update(answer)
    with conversation.transaction():
        conversation.add_message("user", "Hi")
    assert seen == [2]
    assert conversation.state.message_count == 2


# Snapshots ----------------------------------------------------------------------------------------------------------


def test_snapshot_holds_the_audio_and_equals_another_of_the_same() -> None:
    conversation = manager()
    message = conversation.add_message("user", "Hi", audio=Recording(b"\x00\x01"))
    conversation.add_message("assistant", "Hello")
    snapshot = conversation.create_snapshot()
    assert snapshot.audio == {message.id: b"\x00\x01"}
    assert snapshot == copy_of(conversation).create_snapshot()
    conversation.add_message("user", "More")
    assert snapshot != conversation.create_snapshot()
    assert snapshot.state.message_count == 2


def test_conversation_goes_through_json_and_has_a_json_schema() -> None:
    conversation = manager()
    conversation.start_turn("Hi", audio=Recording(b"\x00"), metadata={"a": {"b": [1]}})
    call = conversation.start_tool_call("lookup", {"flight": 1})
    conversation.complete_tool_call(call.id, {"late": [False]})
    conversation.stream().write("Let me ")
    data = json.loads(json.dumps(conversation.live.to_json()))
    assert ConversationManager(Conversation.from_json(data)).state == conversation.state
    assert {"messages", "turns", "tool_calls"} <= set(Conversation.json_schema()["properties"])
    assert list(conversation.live.violations()) == []


def test_metrics_are_those_of_all_agents() -> None:
    ana, ben = manager("ana"), manager("ben")
    ana.add_message("user", "a", tokens=2)
    ben.add_message("assistant", "b", tokens=3)
    exchange(ana, ben)
    metrics = ben.get_metrics()
    assert (metrics.messages, metrics.user_messages, metrics.assistant_messages, metrics.tokens) == (2, 1, 1, 5)


def test_duration_is_from_the_first_to_the_last() -> None:
    conversation = manager()
    assert conversation.state.duration_ms == 0
    conversation.add_message("user", "a", created_at=5_000)
    conversation.add_message("user", "b", created_at=9_500)
    assert conversation.state.duration_ms == 4_500


def test_frozen_map_refuses_every_way_to_change_it() -> None:
    frozen = FrozenMap(a=1)
    for name in ("clear", "pop", "popitem", "setdefault", "update", "__setitem__", "__delitem__", "__ior__"):
        with pytest.raises(TypeError, match="does not change"):
            getattr(frozen, name)()
    assert frozen == {"a": 1}


def test_message_of_what_is_no_content_is_refused() -> None:
    call = manager()
    for refused in (5, b"text", {"type": "text"}):
        with pytest.raises(InvalidValueError):
            call.add_message(Role.USER, refused)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError):
        call.add_message(Role.USER, "hello", audio=b"pcm")  # type: ignore[arg-type]
    assert call.state.messages == ()
