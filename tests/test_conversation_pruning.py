"""Pruning drops the oldest that may go, whole, and no more than the budget asks for."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import StateDocument, errors
from comity.clients.agents.conversation.document import Conversation
from comity.clients.agents.conversation.projection import Projection
from comity.clients.agents.conversation.pruning import (
    Budget,
    Plan,
    Pruned,
    Summarise,
    estimated_tokens,
    groups_of,
    plan,
    prune,
    standing,
)
from comity.clients.agents.conversation.records import AudioClip, Message, Summary, ToolCall, Turn
from comity.clients.agents.conversation.snapshots import ConversationState
from comity.clients.agents.conversation.status import Role, ToolStatus, TurnStatus
from comity.clients.agents.conversation.transcript import to_llm_messages

R = TypeVar("R")


def said(number: int, role: str = "user", turn: str = "", tokens: int | None = 10) -> Message:
    return Message(id=f"{number:04}", role=Role(role), content="x" * 40, turn=turn, tokens=tokens)


def ids(planned: Plan) -> list[int]:
    return [int(message.id) for message in planned.dropped]


TALK = [
    said(0, "system"),
    *(said(number, "assistant" if number % 2 == 0 else "user", f"t{(number - 1) // 2}") for number in range(1, 9)),
]


def test_what_is_within_the_budget_stays() -> None:
    assert plan(TALK, Budget(messages=9)) == Plan((), 9, 90, True)
    assert plan(TALK, Budget(tokens=90)) == Plan((), 9, 90, True)


def test_the_oldest_turns_go_whole_until_the_rest_fits() -> None:
    planned = plan(TALK, Budget(messages=6))
    assert (ids(planned), planned.messages, planned.tokens, planned.fits) == ([1, 2, 3, 4], 5, 50, True)
    assert ids(plan(TALK, Budget(tokens=70))) == [1, 2]


def test_system_messages_pinned_ones_and_the_newest_stay() -> None:
    planned = plan(TALK, Budget(messages=0), kept={"0003"})
    assert ids(planned) == [1, 2, 5, 6]
    assert not planned.fits
    assert ids(plan(TALK, Budget(messages=0, turns=0))) == list(range(1, 9))
    assert ids(plan(TALK, Budget(messages=0, turns=3))) == [1, 2]


def test_room_is_left_for_the_summary_in_place_of_the_older_one() -> None:
    assert ids(plan(TALK, Budget(tokens=90), summaries=30, reserve=25)) == [1, 2, 3, 4]
    assert ids(plan(TALK, Budget(tokens=120), summaries=30, reserve=25)) == []


def test_a_call_stays_with_its_results_outside_of_turns() -> None:
    talk = [said(0), said(1, "assistant"), said(2, "tool"), said(3, "tool"), said(4, "assistant"), said(5)]
    assert [[int(message.id) for message in group] for group in groups_of(talk)] == [[0], [1, 2, 3], [4], [5]]
    assert ids(plan(talk, Budget(messages=4))) == [0, 1, 2, 3]


def test_an_interjected_message_of_another_turn_does_not_tear_a_turn_apart() -> None:
    talk = [said(0, turn="a"), said(1, turn="b"), said(2, "assistant", "a"), said(3, "assistant", "b")]
    assert ids(plan(talk, Budget(messages=3))) == [0, 2]


def test_tokens_are_counted_as_told_or_estimated() -> None:
    assert estimated_tokens(said(0, tokens=None)) == 14
    assert estimated_tokens(said(0, tokens=3)) == 3
    assert ids(plan(TALK, Budget(tokens=6), count=lambda message: 1)) == [1, 2, 3, 4]


def test_a_budget_that_bounds_nothing_or_less_than_nothing_is_refused() -> None:
    with pytest.raises(errors.InvalidValueError, match="without a bound"):
        Budget()
    with pytest.raises(errors.InvalidValueError, match="-1 messages"):
        Budget(messages=-1)
    with pytest.raises(errors.InvalidValueError, match="-2 turns"):
        Budget(tokens=5, turns=-2)


ROLES = st.sampled_from(["user", "assistant", "tool", "system"])
TURNS = st.sampled_from(["", "a", "b", "c"])


@given(
    st.lists(st.tuples(ROLES, TURNS, st.integers(0, 9)), max_size=14),
    st.integers(0, 14),
    st.integers(0, 60),
    st.integers(0, 3),
    st.sets(st.integers(0, 13)),
)
def test_any_plan_keeps_what_must_stay_tears_nothing_apart_and_asks_no_more_than_it_takes(
    spoken: list[tuple[str, str, int]], messages: int, tokens: int, turns: int, pinned: set[int]
) -> None:
    talk = [said(number, role, turn, size) for number, (role, turn, size) in enumerate(spoken)]
    budget = Budget(messages=messages, tokens=tokens, turns=turns)
    planned = plan(talk, budget, kept={f"{number:04}" for number in pinned})
    dropped = {message.id for message in planned.dropped}
    rest = [message for message in talk if message.id not in dropped]
    assert (planned.messages, planned.tokens) == (len(rest), sum(message.tokens or 0 for message in rest))
    assert planned.fits == (len(rest) <= messages and planned.tokens <= tokens)
    groups = groups_of(talk)
    gone = [group for group in groups if {message.id for message in group} <= dropped]
    assert sum(map(len, gone)) == len(dropped)
    assert not any(message.role == "system" or int(message.id) in pinned for message in planned.dropped)
    if gone:  # one less would not have been enough
        again = planned.tokens + sum(message.tokens or 0 for message in gone[-1])
        assert not budget.holds(len(rest) + len(gone[-1]), again)


# In a document ------------------------------------------------------------------------------------------------------


def talk_of(turns: int, agent: str = "ana") -> Conversation:
    """Return a conversation of turns of four messages: a question, a call, its answer and what comes of it."""
    live = Conversation(StateDocument(agent=agent))
    with live.transaction():
        live.messages["0000"] = Message(role=Role.SYSTEM, content="Be brief.", tokens=10)
        for number in range(turns):
            turn = f"t{number}"
            live.turns[turn] = Turn(status=TurnStatus.COMPLETED)
            for place, role in enumerate(("user", "assistant", "tool", "assistant")):
                key = f"{4 * number + place + 1:04}"
                clip = AudioClip("audio/pcm", 2, 2) if role == "user" else None
                live.messages[key] = Message(role=Role(role), content=f"said {key}", turn=turn, tokens=10, audio=clip)
            live.audio_clips.update({f"{4 * number + 1:04}/{piece:08}": b"a" for piece in range(2)})
            live.tool_calls[f"{4 * number + 2:04}.0"] = ToolCall(turn=turn, name="look_up", status=ToolStatus.COMPLETED)
    return live


def state_of(live: Conversation) -> ConversationState:
    projection = Projection(live)
    return projection.after(ConversationState(), projection.all)


def copy_of(live: Conversation, agent: str) -> Conversation:
    return Conversation(StateDocument(agent=agent, update=live.document.update_since()))


def sync(*all_of_them: Conversation) -> None:
    for one in all_of_them:
        for other in all_of_them:
            if other is not one:
                one.document.apply(other.document.update_since(one.document.state_vector()))


async def prune_here(live: Conversation, budget: Budget, summarise: Summarise | None = None) -> Pruned:
    """Prune as somebody does who is not connected."""

    async def decide(edit: Callable[[Conversation], R], reads: Iterable[str]) -> R:
        assert set(reads) == {"pinned", "summaries"}
        return edit(live)

    return await prune(partial(state_of, live), decide, budget, summarise=summarise)


def told(messages: Sequence[Message]) -> str:
    return " ".join(message.text for message in messages)


async def test_pruning_deletes_messages_with_all_that_belongs_to_them() -> None:
    live = talk_of(4)
    pruned = await prune_here(live, Budget(messages=9))
    assert (len(pruned.dropped), pruned.messages, pruned.tokens, pruned.fits) == (8, 9, 90, True)
    assert list(live.messages) == ["0000", *(f"{number:04}" for number in range(9, 17))]
    assert list(live.turns) == ["t2", "t3"]
    assert list(live.tool_calls) == ["0010.0", "0014.0"]
    assert list(live.audio_clips) == [f"{key}/0000000{piece}" for key in ("0009", "0013") for piece in (0, 1)]
    assert live.summaries == {}


async def test_a_summary_is_written_in_place_of_what_is_dropped_and_of_the_one_before() -> None:
    live = talk_of(4)
    await prune_here(live, Budget(messages=13), told)
    assert [(one.text, one.messages) for one in live.summaries.values()] == [
        ("said 0001 said 0002 said 0003 said 0004", 4)
    ]

    async def slowly(messages: Sequence[Message]) -> str:
        assert [message.role for message in messages] == ["system", "user", "assistant", "tool", "assistant"]
        return "all in all"

    pruned = await prune_here(live, Budget(messages=9), slowly)
    (summary,) = state_of(live).summaries
    assert (summary.first, summary.last, summary.messages, summary.text) == ("0001", "0008", 8, "all in all")
    assert pruned.summary == summary
    assert pruned.tokens == 90 + (summary.tokens or 0)


async def test_a_summary_that_fails_leaves_everything_as_it_was() -> None:
    live = talk_of(4)
    before = live.to_dict()

    def fail(messages: Sequence[Message]) -> str:
        raise RuntimeError("no model")

    with pytest.raises(RuntimeError, match="no model"):
        await prune_here(live, Budget(messages=5), fail)
    assert live.to_dict() == before


async def test_what_is_pinned_while_the_summary_is_written_stays() -> None:
    live = talk_of(4)

    async def pin(messages: Sequence[Message]) -> str:
        live.pinned.add("0003")
        return told(messages)

    await prune_here(live, Budget(messages=9), pin)
    assert list(live.turns) == ["t0", "t3"]
    (summary,) = live.summaries.values()
    assert "0003" not in summary.text
    assert summary.text.endswith("0012")


async def test_a_summary_that_somebody_writes_meanwhile_is_not_lost() -> None:
    live = talk_of(4)

    def write(messages: Sequence[Message]) -> str:
        live.summaries["0000x"] = Summary(text="theirs", first="0000x", last="0000x", messages=1)
        return told(messages)

    await prune_here(live, Budget(messages=9), write)
    (summary,) = live.summaries.values()
    assert (summary.text.split()[0], summary.messages) == ("theirs", 9)


async def test_two_who_prune_at_once_drop_no_more_than_one_and_write_one_summary() -> None:
    ana = talk_of(4)
    bob = copy_of(ana, "bob")
    for live in (ana, bob):
        await prune_here(live, Budget(messages=9), told)
    sync(ana, bob)
    assert ana.to_dict() == bob.to_dict()
    assert len(ana.messages) == 9
    assert len(ana.summaries) == 1


async def test_of_two_summaries_the_one_that_covers_the_other_stands() -> None:
    ana = talk_of(4)
    await prune_here(ana, Budget(messages=13), told)
    bob = copy_of(ana, "bob")
    await prune_here(ana, Budget(messages=9), told)
    await prune_here(bob, Budget(messages=5), told)
    sync(ana, bob)
    state = state_of(ana)
    assert len(state.summaries) == 2
    assert [(one.messages, one.last) for one in standing(state.summaries)] == [(12, "0012")]
    assert [message["role"] for message in to_llm_messages(state)] == [
        "system",
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    extended = talk_of(2)
    ana.messages.update({f"9{key}": message for key, message in extended.messages.items() if message.role != "system"})
    pruned = await prune_here(ana, Budget(messages=5), told)
    assert pruned.summary is not None
    assert pruned.summary.messages > 12
    assert len(ana.summaries) == 1


async def test_somebody_who_always_prunes_first_is_told_of_in_the_end() -> None:
    live = talk_of(40)

    async def overtake(messages: Sequence[Message]) -> str:
        del live.messages[messages[-1].id]
        return "late"

    with pytest.raises(errors.StaleVersionError, match="meanwhile"):
        await prune_here(live, Budget(messages=9), overtake)
    assert live.summaries == {}


@settings(max_examples=20)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.booleans()), max_size=6))
async def test_whoever_prunes_apart_replicas_agree_and_no_call_is_torn_from_its_message(
    steps: list[tuple[bool, int, bool]],
) -> None:
    ana = talk_of(6)
    bob = copy_of(ana, "bob")
    for is_ana, messages, meet in steps:
        await prune_here(ana if is_ana else bob, Budget(messages=messages), told)
        if meet:
            sync(ana, bob)
    sync(ana, bob)
    assert ana.to_dict() == bob.to_dict()
    least = min([messages for _, messages, _ in steps], default=30)
    assert len(ana.messages) >= min(25, max(5, least - 3))
    assert {key.partition(".")[0] for key in ana.tool_calls} <= set(ana.messages)
    assert len(ana.messages) == 1 + 4 * len(ana.turns)
    gone = {f"{number:04}" for number in range(1, 25)} - set(ana.messages)
    stands = standing(state_of(ana).summaries)
    assert len(stands) == (1 if gone else 0)
    assert all(one.first <= key <= one.last for one in stands for key in gone)
