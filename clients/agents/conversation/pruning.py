"""Pruning: a conversation within a budget of messages or tokens, of which nothing is torn apart."""

from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from operator import attrgetter
from typing import Final, Protocol, TypeVar

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError, StaleVersionError

from .document import Conversation
from .projection import chunk_key
from .records import Message, Summary
from .snapshots import ConversationState
from .status import Role

CHARACTERS_PER_TOKEN: Final = 4  # of English text, in the tokenizers of today's models; other scripts make more tokens
TOKENS_PER_MESSAGE: Final = 4  # its role and what separates it from the next
SUMMARY_TOKENS: Final = 256  # two paragraphs: what a summary is expected to take

ATTEMPTS: Final = 8  # to prune while others do too; each of them that succeeds leaves less to do
RELIED_ON: Final = ("pinned", "summaries")  # the fields that pruning relies on beside what it writes

R = TypeVar("R")
Count = Callable[[Message], int]
Summarise = Callable[[Sequence[Message]], str | Awaitable[str]]


class Decide(Protocol):
    """Makes an edit of a conversation, on condition that nobody changes what it relies on."""

    async def __call__(self, edit: Callable[[Conversation], R], reads: Iterable[str]) -> R:
        """Make the edit and return what it returns; `reads` names the fields that it relies on."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What a conversation may take.

    Attributes:
        messages: how many messages may stay; any number if None.
        tokens: how many tokens may stay, those of summaries included; any number if None.
        turns: how many of the newest turns stay, whatever they take.

    Raises: InvalidValueError, if a number is negative, or neither messages nor tokens are bounded.
    """

    messages: int | None = None
    tokens: int | None = None
    turns: int = 1

    def __post_init__(self) -> None:
        if self.messages is None and self.tokens is None:
            raise InvalidValueError("a budget without a bound", subject="budget", remedy="give messages or tokens")
        for name, number in (("messages", self.messages), ("tokens", self.tokens), ("turns", self.turns)):
            if number is not None and number < 0:
                raise InvalidValueError(f"{number} {name}", subject="budget", remedy="give 0 or more")

    def holds(self, messages: int, tokens: int) -> bool:
        """Tell whether so many messages and tokens are within it."""
        return (self.messages is None or messages <= self.messages) and (self.tokens is None or tokens <= self.tokens)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a budget asks for.

    Attributes:
        dropped: the messages to drop, in their order.
        messages: how many messages stay.
        tokens: how many tokens stay, those set apart for a summary included.
        fits: whether that is within the budget; not so if what must stay is more.
    """

    dropped: tuple[Message, ...]
    messages: int
    tokens: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned.

    Attributes:
        dropped: the messages that were dropped.
        summary: the summary that was put in their place; None if nobody wrote one.
        messages: how many messages stayed.
        tokens: how many tokens stayed, those of summaries included.
        fits: whether that is within the budget; not so if what must stay is more.
    """

    dropped: tuple[Message, ...]
    summary: Summary | None
    messages: int
    tokens: int
    fits: bool


def estimated_tokens(message: Message) -> int:
    """Return how many tokens a message takes: what it says of itself, or a fourth of its characters, and 4 more."""
    if message.tokens is not None:
        return message.tokens
    return TOKENS_PER_MESSAGE + ceil(len(message.text) / CHARACTERS_PER_TOKEN)


def groups_of(messages: Iterable[Message]) -> list[list[Message]]:
    """Return messages in groups that stay or go together: a turn each, and outside of turns a call and its results."""
    groups: list[list[Message]] = []
    turns: dict[str, list[Message]] = {}
    for message in messages:
        if message.turn and message.turn in turns:
            turns[message.turn].append(message)
        elif message.role == Role.TOOL and not message.turn and groups:
            groups[-1].append(message)
        else:
            groups.append([message])
            if message.turn:
                turns[message.turn] = groups[-1]
    return groups


def plan(
    messages: Sequence[Message],
    budget: Budget,
    *,
    kept: Container[str] = (),
    count: Count = estimated_tokens,
    summaries: int = 0,
    reserve: int | None = None,
) -> Plan:
    """Return which messages to drop so that the rest is within a budget: the oldest groups, and no more than it takes.

    Groups with a system message or one that is to be kept stay, and so do the newest.

    Args:
        messages: the messages in their order.
        budget: what they may take.
        kept: the ids of messages that stay.
        count: tells how many tokens a message takes.
        summaries: how many tokens the summaries of earlier messages take.
        reserve: how many tokens to set apart for a summary of what is dropped now, which takes the place of those;
            None if there will be none.
    """
    tokens = {message.id: count(message) for message in messages}
    number, size = len(messages), sum(tokens.values()) + summaries
    if budget.holds(number, size):
        return Plan((), number, size, True)
    if reserve is not None:
        size += reserve - summaries
    dropped: list[Message] = []
    for group in _droppable(messages, budget.turns, kept):
        if budget.holds(number, size):
            break
        dropped += group
        number -= len(group)
        size -= sum(tokens[message.id] for message in group)
    return Plan(tuple(sorted(dropped, key=attrgetter("id"))), number, size, budget.holds(number, size))


def _droppable(messages: Sequence[Message], newest: int, kept: Container[str]) -> list[list[Message]]:
    groups = [group for group in groups_of(messages) if not any(message.role is Role.SYSTEM for message in group)]
    older = groups[: max(0, len(groups) - newest)]
    return [group for group in older if not any(message.id in kept for message in group)]


def standing(summaries: Iterable[Summary]) -> tuple[Summary, ...]:
    """Return summaries without those of which another one covers all: two agents pruned apart from each other."""
    found = tuple(summaries)
    return tuple(one for one in found if not any(_covers(other, one) for other in found if other is not one))


def _covers(one: Summary, other: Summary) -> bool:
    return one.first <= other.first and other.last <= one.last


def summary_of(text: str, dropped: Sequence[Message], older: Sequence[Summary], tokens: int) -> Summary:
    """Return the summary of messages that are dropped, and of older summaries that it replaces.

    Its id is that of the last message, so that two agents which drop the same write the same summary.
    """
    last = max(dropped[-1].id, *(summary.last for summary in older), "")
    return Summary(
        id=last,
        text=text,
        first=min(dropped[0].id, *(summary.first for summary in older), dropped[0].id),
        last=last,
        messages=len(dropped) + sum(summary.messages for summary in older),
        tokens=tokens,
        created_at=wall_ms(),
    )


def drop(
    live: Conversation, dropped: Sequence[Message], older: Sequence[Summary] = (), summary: Summary | None = None
) -> None:
    """Delete messages with their tool calls, turns and audio; a summary takes the place of older ones.

    Raises: StaleVersionError, if a message is gone already, or was pinned meanwhile, or there is another summary than
        the older ones; nothing is changed then.
    """
    ids = {message.id for message in dropped}
    are_summaries_known = summary is None or set(live.summaries) == {known.id for known in older}
    if not are_summaries_known or any(id not in live.messages or id in live.pinned for id in ids):
        raise StaleVersionError(
            "somebody else pruned or pinned meanwhile", subject="the conversation", remedy="plan again"
        )
    with live.transaction():
        for message in dropped:
            del live.messages[message.id]
            for number in range(message.audio.chunks if message.audio else 0):
                live.audio_clips.pop(chunk_key(message.id, number), None)
        for call in [key for key in live.tool_calls if key.partition(".")[0] in ids]:
            del live.tool_calls[call]
        for turn in {message.turn for message in dropped if message.turn is not None}:
            live.turns.pop(turn, None)
        if summary is not None:
            live.summaries.assign({summary.id: summary})


async def prune(
    state: Callable[[], ConversationState],
    decide: Decide,
    budget: Budget,
    *,
    summarise: Summarise | None = None,
    count: Count = estimated_tokens,
) -> Pruned:
    """Drop what a budget asks for, and put a summary in its place if somebody writes one.

    Args:
        state: returns the conversation as it is now.
        decide: makes an edit of the conversation, on condition that nobody changes what it relies on.
        budget: what the conversation may take.
        summarise: returns what messages say in few words, or a coroutine that does. The first of them tells what the
            summary that there was so far says.
        count: tells how many tokens a message takes.

    Raises: StaleVersionError, if others prune and pin all the time; whatever `summarise` raises. Nothing is changed.
    """
    for attempt in range(ATTEMPTS):
        now = state()
        older = now.summaries
        planned = plan(
            now.messages,
            budget,
            kept=now.pinned,
            count=count,
            summaries=sum(count(_told(summary)) for summary in standing(older)),
            reserve=None if summarise is None else SUMMARY_TOKENS,
        )
        if not planned.dropped:
            return _pruned(planned, budget, None)
        summary = None if summarise is None else await summarised(summarise, planned.dropped, older, count)
        try:
            await decide(partial(drop, dropped=planned.dropped, older=older, summary=summary), RELIED_ON)
        except StaleVersionError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return _pruned(planned, budget, summary)
    raise AssertionError("the last attempt returns or raises")


def _pruned(planned: Plan, budget: Budget, summary: Summary | None) -> Pruned:
    """Return what came of a plan, with the tokens that a summary has in place of those that were set apart for it."""
    tokens = planned.tokens if summary is None else planned.tokens - SUMMARY_TOKENS + (summary.tokens or 0)
    return Pruned(planned.dropped, summary, planned.messages, tokens, budget.holds(planned.messages, tokens))


async def summarised(
    summarise: Summarise, dropped: Sequence[Message], older: Sequence[Summary], count: Count
) -> Summary:
    """Have somebody write a summary of messages that are dropped and of older summaries, and return it."""
    made = summarise((*map(_told, standing(older)), *dropped))
    text = made if isinstance(made, str) else await made
    return summary_of(text, dropped, standing(older), count(Message(role=Role.SYSTEM, content=text)))


def _told(summary: Summary) -> Message:
    return Message(summary.id, Role.SYSTEM, summary.text, tokens=summary.tokens, created_at=summary.created_at)
