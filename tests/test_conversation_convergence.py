"""Whatever several managers do to one conversation, they come to hold the same, and tell what happened to it."""

import asyncio
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.events import (
    Event,
    MessageAdded,
    MessageChanged,
    MessageRemoved,
    StatusChanged,
    StreamEnded,
    StreamStarted,
    ToolCallStarted,
    TurnStarted,
)
from comity.clients.agents.conversation.manager import ConversationManager
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.clients.agents.conversation.status import ConversationStatus, Role, TurnStatus
from comity.crdt_types import StateDocument
from comity.crdt_types.errors import ComityError
from tests.support.profiles import examples
from tests.support.talking import Manager, exchange, manager

ROLES: Final = [Role.SYSTEM, Role.USER, Role.ASSISTANT]


class Talker:
    """One of several agents in a conversation, who does what it is told as far as that can be done.

    Args:
        name: the agent's name.
    """

    def __init__(self, name: str) -> None:
        self.manager: Manager = manager(name)
        self.updates: list[tuple[ConversationState, ConversationState]] = []
        self.events: list[Event] = []
        self._open: list[Any] = []
        self.manager.on_update(lambda old, new: self.updates.append((old, new)))

    def act(self, action: str, number: int) -> None:
        """Do something; what the state does not allow must leave it as it was."""
        before = self.manager.state
        try:
            getattr(self, f"_{action}")(number)
        except ComityError:
            assert self.manager.state == before

    def _status(self, number: int) -> None:
        self.manager.update(list(ConversationStatus)[number % 8])

    def _message(self, number: int) -> None:
        self.manager.add_message(ROLES[number % 3], f"message {number}", tokens=number)

    def _change(self, number: int) -> None:
        if messages := self.manager.state.messages:
            self.manager.change_message(messages[number % len(messages)].id, content=f"changed {number}")

    def _start(self, number: int) -> None:
        self.manager.start_turn(f"question {number}")

    def _complete(self, _number: int) -> None:
        self.manager.complete_turn()

    def _interrupt(self, number: int) -> None:
        self.manager.interrupt_turn(f"reason {number}")

    def _stream(self, number: int) -> None:
        self._open.append(self.manager.stream())
        self._open[-1].write(f"begin {number} ")

    def _token(self, number: int) -> None:
        if self._open:
            self._open[number % len(self._open)].write(f"token {number} ")

    def _end(self, number: int) -> None:
        if self._open:
            self._open.pop(number % len(self._open)).complete()

    def _call(self, number: int) -> None:
        self.manager.start_tool_call(f"tool {number}")

    def _result(self, number: int) -> None:
        if calls := self.manager.state.pending_tool_calls:
            self.manager.complete_tool_call(calls[number % len(calls)].id, number)

    def _pin(self, number: int) -> None:
        if messages := self.manager.state.messages:
            self.manager.pin(messages[number % len(messages)].id)

    def _connection(self, number: int) -> None:
        self.manager.update_connection(connected=number % 2 == 0, reconnects=number)

    def _audio(self, number: int) -> None:
        self.manager.update_audio(input_active=number % 2 == 0, muted=number % 3 == 0)

    def _metadata(self, number: int) -> None:
        self.manager.update(metadata={f"key{number % 3}": None if number % 5 == 0 else number})

    def _remove(self, number: int) -> None:
        if messages := self.manager.state.messages:
            self.manager.remove_messages([messages[number % len(messages)].id])


ACTIONS: Final = [name[1:] for name in vars(Talker) if name.startswith("_") and not name.startswith("__")]
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.integers(0, 30)),
        st.tuples(st.integers(0, 2), st.integers(0, 2)),  # two of them meet; the others stay apart
    ),
    max_size=40,
)


async def played(steps: list[tuple[Any, ...]]) -> list[Talker]:
    """Return talkers after they did all that and then all met."""
    talkers = [Talker(name) for name in ("ana", "ben", "eva")]
    for talker in talkers:
        await talker.manager.__aenter__()
        talker.manager.on_event(talker.events.append)
    for step in steps:
        if len(step) == 3:
            talkers[step[0]].act(step[1], step[2])
        elif step[0] != step[1]:
            exchange(talkers[step[0]].manager, talkers[step[1]].manager)
    for _round in range(2):
        exchange(talkers[0].manager, talkers[1].manager)
        exchange(talkers[1].manager, talkers[2].manager)
    for talker in talkers:
        await talker.manager.__aexit__(None, None, None)
    return talkers


@given(STEPS)
@settings(max_examples=examples(50, 2000))
def test_managers_converge_and_hold_what_the_document_does(steps: list[tuple[Any, ...]]) -> None:
    talkers = asyncio.run(played(steps))
    update = talkers[0].manager.live.document.update_since()
    read_anew = ConversationManager(Conversation(StateDocument(update=update))).state
    for talker in talkers:
        assert talker.manager.state == read_anew


@given(STEPS)
@settings(max_examples=examples(50, 2000))
def test_updates_and_events_come_to_the_state(steps: list[tuple[Any, ...]]) -> None:
    for talker in asyncio.run(played(steps)):
        state = ConversationState()
        for old, new in talker.updates:
            assert old == state
            state = new
        assert state == talker.manager.state
        check_events(talker.events, state)


def check_events(events: list[Event], state: ConversationState) -> None:
    """Make sure that events, from the beginning on, tell of all that is there."""
    status, messages, streams = ConversationStatus.IDLE, dict[str, Any](), set[str]()
    for event in events:
        if isinstance(event, StatusChanged):
            assert event.old is status
            status = event.new
        elif isinstance(event, MessageAdded):
            assert event.message.id not in messages
            messages[event.message.id] = event.message
        elif isinstance(event, MessageChanged):
            assert messages[event.message.id] == event.old
            messages[event.message.id] = event.message
        elif isinstance(event, MessageRemoved):
            assert messages.pop(event.message.id) == event.message
        elif isinstance(event, StreamStarted):
            streams.add(event.stream.id)
        elif isinstance(event, StreamEnded):
            streams.remove(event.stream.id)
    assert status is state.status
    assert [messages[id] for id in sorted(messages)] == list(state.messages)
    assert streams == {stream.id for stream in state.streaming}
    assert {event.turn.id for event in events if isinstance(event, TurnStarted)} == {turn.id for turn in state.turns}
    assert {event.call.id for event in events if isinstance(event, ToolCallStarted)} >= {
        call.id for call in state.tool_calls
    }


# What two of them end at once, a stream in an interrupted turn or the call of a tool, both count.
COUNTED: Final = STEPS.map(lambda steps: [step for step in steps if step[1] not in ("remove", "interrupt", "result")])


@given(COUNTED)
@settings(max_examples=examples(50, 2000))
def test_metrics_are_those_of_the_messages_and_turns(steps: list[tuple[Any, ...]]) -> None:
    state = asyncio.run(played(steps))[0].manager.state
    metrics, roles = state.metrics, [message.role for message in state.messages]
    assert metrics.messages == len(roles)
    assert metrics.user_messages == roles.count(Role.USER)
    assert metrics.assistant_messages == roles.count(Role.ASSISTANT)
    assert metrics.turns == state.turn_count
    assert metrics.tool_calls == len(state.tool_calls)
    assert metrics.turns_completed >= sum(turn.status is TurnStatus.COMPLETED for turn in state.turns)
