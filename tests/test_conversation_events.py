"""Callbacks and events of a conversation: what is told, to whom, and that nobody has to wait for it."""

import asyncio
import gc
import logging
import weakref

import pytest

from comity.clients.agents import delivery
from comity.clients.agents.conversation import observing, projection
from comity.clients.agents.conversation.events import (
    AudioInputStarted,
    AudioInputStopped,
    AudioOutputStarted,
    AudioOutputStopped,
    ConnectionClosed,
    ConnectionEstablished,
    Event,
    MessageAdded,
    MessageChanged,
    MessageRemoved,
    StatusChanged,
    StreamEnded,
    StreamStarted,
    ToolCallCancelled,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallStarted,
    TurnCompleted,
    TurnInterrupted,
    TurnStarted,
)
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.crdt_types.errors import StateError, TooSlowError
from tests.support.talking import exchange, manager


async def test_events_tell_of_everything_that_happens_in_order() -> None:
    heard: list[Event] = []
    async with manager() as conversation:
        conversation.on_event(heard.append)
        conversation.update_connection(connected=True, connection_id="c1")
        conversation.update_audio(input_active=True, output_active=True)
        conversation.start_turn("Hi")
        first = conversation.start_tool_call("a")
        second = conversation.start_tool_call("b", message=first.message)
        third = conversation.start_tool_call("c", message=first.message)
        conversation.complete_tool_call(first.id, answer=False)
        conversation.fail_tool_call(second.id, "no", answer=False)
        conversation.cancel_tool_call(third.id, answer=False)
        conversation.complete_turn()
        conversation.update_audio(input_active=False, output_active=False)
        conversation.update_connection(connected=False, error="gone")
    assert [type(event) for event in heard] == [
        ConnectionEstablished,
        AudioInputStarted,
        AudioOutputStarted,
        *(StatusChanged, TurnStarted, MessageAdded),
        *(MessageAdded, ToolCallStarted, ToolCallStarted, ToolCallStarted),
        *(ToolCallCompleted, ToolCallFailed, ToolCallCancelled),
        *(StatusChanged, TurnCompleted),
        AudioInputStopped,
        AudioOutputStopped,
        ConnectionClosed,
    ]
    assert heard[0] == ConnectionEstablished(True, "c1")
    assert heard[-1] == ConnectionClosed(True, "gone")


async def test_events_tell_of_messages_changed_and_removed_and_of_streams() -> None:
    heard: list[Event] = []
    async with manager() as conversation:
        message = conversation.add_message("user", "Helo")
        conversation.on_event(heard.append)
        changed = conversation.change_message(message.id, content="Hello")
        conversation.remove_messages([message.id])
        conversation.start_turn()
        with conversation.stream() as stream:
            stream.write("Well")
            conversation.interrupt_turn("barge-in")
    assert heard[:2] == [MessageChanged(True, message, changed), MessageRemoved(True, changed)]
    assert [type(event) for event in heard[2:]] == [
        *(StatusChanged, TurnStarted, StreamStarted),
        *(StatusChanged, TurnInterrupted, StreamEnded, MessageAdded),
    ]
    added = heard[-1]
    assert isinstance(added, MessageAdded)
    assert added.message.interrupted


async def test_events_of_others_are_told_and_marked_as_theirs() -> None:
    ana, heard = manager("ana"), list[Event]()
    async with manager("ben") as ben:
        ben.on_event(heard.append, MessageAdded)
        ana.start_turn("Hi")
        exchange(ana, ben)
        ben.add_message("assistant", "Hello")
    assert [(event.local, event.message.content) for event in heard if isinstance(event, MessageAdded)] == [
        (False, "Hi"),
        (True, "Hello"),
    ]


async def test_events_of_a_kind_are_told_alone_until_stopped() -> None:
    heard: list[StatusChanged] = []
    told = asyncio.Event()

    def changed(event: StatusChanged) -> None:
        heard.append(event)
        told.set()

    async with manager() as conversation:
        stop = conversation.on_event(changed, StatusChanged)
        conversation.update("listening")
        conversation.add_message("user", "Hi")
        await told.wait()
        stop()
        conversation.update("processing")
    assert [(event.old, event.new) for event in heard] == [("idle", "listening")]


async def test_events_do_not_make_the_writer_wait() -> None:
    heard: list[Event] = []
    released = asyncio.Event()

    async def slow(event: Event) -> None:
        await released.wait()
        heard.append(event)

    async with manager() as conversation:
        conversation.on_event(slow)
        conversation.on_event(heard.append)
        for status in ("listening", "processing", "responding"):
            conversation.update(status)
        assert heard == []  # not even a sync callback was called yet
        released.set()
    assert len(heard) == 6


async def test_events_that_wait_at_the_end_are_still_told() -> None:
    heard: list[Event] = []

    async def late(event: Event) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    async with manager() as conversation:
        conversation.on_event(late)
        conversation.update("listening")
    assert len(heard) == 1


async def test_callback_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    states: list[ConversationState] = []
    events: list[Event] = []

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    async def broken_later(*_arguments: object) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.CRITICAL + 1, "comity"):
        async with manager() as conversation:
            conversation.on_update(broken)
            conversation.on_update(broken_later)
            conversation.on_event(broken)
            conversation.on_event(broken_later)
            conversation.on_update(lambda old, new: states.append(new))
            conversation.on_event(events.append)
            conversation.update("listening")
            conversation.update("processing")
    assert [state.status for state in states] == ["listening", "processing"]
    assert len(events) == 2


async def test_callback_that_is_async_hears_of_every_update_in_order() -> None:
    heard: list[tuple[str, str]] = []

    async def updated(old: ConversationState, new: ConversationState) -> None:
        await asyncio.sleep(0)
        heard.append((old.status, new.status))

    async with manager() as conversation:
        conversation.on_update(updated)
        for status in ("listening", "processing", "idle"):
            conversation.update(status)
    assert heard == [("idle", "listening"), ("listening", "processing"), ("processing", "idle")]


async def test_callback_that_falls_too_far_behind_is_told_and_not_called_any_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "MAX_BACKLOG", 3)
    heard: list[Event] = []
    errors: list[TooSlowError] = []
    async with manager() as conversation:
        conversation.on_event(heard.append, on_error=errors.append)
        for _ in range(4):
            conversation.update("listening")
            conversation.update("processing")
        await asyncio.sleep(0)
    assert heard == []
    assert len(errors) == 1
    assert "3 calls behind" in caplog.text


async def test_callback_that_hangs_does_not_hold_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "_GRACE", 0.01)
    async with manager() as conversation:
        conversation.on_event(lambda _event: asyncio.Event().wait())
        conversation.update("listening")
    assert "did not end" in caplog.text


async def test_callback_that_stops_itself_in_the_middle_comes_to_its_end() -> None:
    ended: list[Event] = []

    async with manager() as conversation:

        async def once(event: Event) -> None:
            stop()
            await asyncio.sleep(0)
            ended.append(event)

        stop = conversation.on_event(once)
        conversation.update("listening")
        conversation.update("processing")
        await asyncio.sleep(0)
        conversation.on_event(ended.append, TurnStarted)
    assert len(ended) == 1
    assert len(asyncio.all_tasks()) == 1


async def test_manager_leaves_no_task_and_no_listener_behind() -> None:
    before = asyncio.all_tasks()
    conversation = manager()
    heard: list[object] = []
    async with conversation:
        conversation.on_event(heard.append)
        conversation.on_update(lambda old, new: heard.append(new))
        assert len(asyncio.all_tasks()) == len(before) + 1
    assert asyncio.all_tasks() == before
    conversation.live.status.set("listening")  # type: ignore[arg-type]
    assert heard == []
    live, gone = conversation.live, weakref.ref(conversation)
    del conversation
    gc.collect()
    assert gone() is None
    assert live.status.value == "listening"


def test_callback_that_needs_a_task_is_refused_where_nobody_owns_one() -> None:
    async def updated(old: ConversationState, new: ConversationState) -> None:
        raise AssertionError

    conversation = manager()
    with pytest.raises(StateError, match="async with"):
        conversation.on_update(updated)
    with pytest.raises(StateError, match="async with"):
        conversation.on_event(print)


def test_callback_may_edit_and_hears_of_its_own_edit() -> None:
    conversation = manager()
    heard: list[tuple[int, int]] = []

    def answer(old: ConversationState, new: ConversationState) -> None:
        heard.append((old.message_count, new.message_count))
        if new.message_count < 3:
            conversation.add_message("assistant", "echo")

    conversation.on_update(answer)
    conversation.add_message("user", "Hi")
    assert heard == [(0, 1), (1, 2), (2, 3)]


def test_callback_that_is_stopped_is_not_called_again() -> None:
    conversation = manager()
    heard: list[ConversationState] = []

    def updated(_old: ConversationState, new: ConversationState) -> None:
        heard.append(new)

    stops = [conversation.on_update(updated), conversation.on_update(updated)]
    conversation.update("listening")
    stops[0]()
    stops[0]()
    conversation.update("processing")
    assert len(heard) == 3


async def test_events_of_more_than_is_remembered_one_by_one_are_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observing, "_MANY", 5)
    monkeypatch.setattr(projection, "_MANY", 3)
    ana, heard = manager("ana"), list[Event]()
    async with manager("ben") as ben:
        ben.on_event(heard.append, MessageAdded)
        ben.add_message("user", "mine")
        with ana.transaction():
            for number in range(20):
                ana.add_message("user", str(number))
        exchange(ana, ben)
    assert len(heard) == 21
    assert {event.message for event in heard if isinstance(event, MessageAdded)} == set(ben.state.messages)
    assert ben.state.messages == ana.state.messages


def test_updates_that_arrive_in_the_wrong_order_are_told_as_they_can_be_read() -> None:
    ana, ben = manager("ana"), manager("ben")
    sent: list[bytes] = []
    ana.live.document.on_commit(lambda commit: sent.append(commit.update))
    for number in range(6):
        ana.add_message("user", str(number))
    heard: list[tuple[ConversationState, ConversationState]] = []
    ben.on_update(lambda old, new: heard.append((old, new)))
    for at in (0, 3, 2, 5, 1, 4):
        ben.live.document.apply(sent[at])
    assert [old for old, _new in heard] == [ConversationState(), *(new for _old, new in heard[:-1])]
    assert heard[-1][1] == ben.state == ana.state
