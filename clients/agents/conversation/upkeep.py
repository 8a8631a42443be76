"""Upkeep: what a manager does with a conversation as a whole: search, prune, repair, keep, continue."""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from comity.crdt_types.errors import NotConnectedError
from comity.crdt_types.replication import Replication

from ...replica import Replica
from . import archive
from .continuity import RESTARTED, TURNS, Carried, Resumed, carried, carry
from .document import Conversation
from .importing import from_llm_messages
from .observing import C, Holder, Observed
from .pruning import Budget, Count, Pruned, Summarise, estimated_tokens, prune, summarised
from .records import Message, ToolCall
from .repair import NO_RESULT, Repaired, diagnose, nobody, orphaned_tool_calls, repair
from .search import LIMIT, MessageSearch, SearchHit
from .snapshots import ConversationSnapshot, ConversationState
from .status import ConversationStatus, Role
from .transcript import to_llm_messages
from .turns import Turns

R = TypeVar("R")


def everybody(_agent: str) -> bool:
    """Take every agent for gone."""
    return True


class Upkeep(Turns[C]):
    """What a manager does with a conversation as a whole.

    Args:
        source: a tier that holds a `Conversation`, or a `Conversation` itself.
    """

    def __init__(self, source: C | Holder[C]) -> None:
        super().__init__(source)
        self._search = MessageSearch()

    def search(
        self,
        query: str,
        *,
        role: Role | Collection[Role] | None = None,
        turn: str | None = None,
        since: int | None = None,
        until: int | None = None,
        limit: int | None = LIMIT,
    ) -> list[SearchHit]:
        """Return the messages in which all words and phrases of a query occur, the best first, then the newest.

        Args:
            query: words, each of which stands for all that begin with it, and "phrases" in quotation marks; case and
                accents make no difference.
            role: the role of the messages, or several; any if None.
            turn: the id of the turn that they belong to; any if None.
            since: the time from which on they were made, in milliseconds since the Unix epoch.
            until: the time up to which they were made.
            limit: how many to return at most; all if None.

        Raises: InvalidValueError, if the query holds no word, or the limit is negative.
        """
        return self._search.find(
            self.state.messages, query, role=role, turn=turn, since=since, until=until, limit=limit
        )

    async def prune(
        self,
        *,
        messages: int | None = None,
        tokens: int | None = None,
        turns: int = 1,
        summarise: Summarise | None = None,
        count: Count = estimated_tokens,
    ) -> Pruned:
        """Drop the oldest turns until the rest is within a budget, and put a summary in their place if wanted.

        System messages stay, turns with a pinned message, and the newest turns. No turn is torn apart. While there is
        a connection the server decides, so that of two who prune at once one does.

        Args:
            messages: how many messages may stay; any number if None.
            tokens: how many tokens may stay, those of summaries included; any number if None.
            turns: how many of the newest turns stay whatever they take.
            summarise: a function, or an async one, that returns what messages say in few words.
            count: tells how many tokens a message takes; if it is not told, what the message says, or else a fourth of
                its characters.

        Raises:
            InvalidValueError: if neither messages nor tokens are bounded.
            StaleVersionError: if others prune and pin all the time; PreconditionError, if the server says so.
            ConnectionFailedError: if the connection was lost meanwhile; it may have been made then.
            Exception: whatever `summarise` raises; nothing is changed then.
        """
        budget = Budget(messages, tokens, turns)
        return await prune(lambda: self.state, self._decide, budget, summarise=summarise, count=count)

    async def _decide(self, edit: Callable[[Conversation], R], reads: Iterable[str] = ()) -> R:
        """Make an edit on condition that nobody changes what it relies on; without a connection, make it at once."""
        replica = _replica(self.live)
        if isinstance(replica, Replica):
            try:
                return await replica.decide(type(self.live), edit, reads=[(field, None) for field in reads])
            except NotConnectedError:
                pass  # others may do the same meanwhile: what comes of both merges
        with self.live.transaction():
            return edit(self.live)

    # Files ------------------------------------------------------------------------------------------------------

    async def save_to_file(self, path: str | Path, *, snapshot: ConversationSnapshot | None = None) -> archive.About:
        """Write all that the conversation holds, audio included, to a file, which is there whole or not at all.

        Args:
            path: the file; one that is there is replaced.
            snapshot: a snapshot to write in place of the conversation as it is now.

        Raises: StorageError, if it cannot be written.
        """
        return await archive.save(self.live if snapshot is None else archive.unfolded(snapshot), path)

    async def load_from_file(self, path: str | Path, *, replace: bool = False) -> archive.About:
        """Make the conversation hold what a file holds.

        Args:
            path: the file.
            replace: whether what the conversation holds gives way to it.

        Raises: StorageError, if the file is damaged, of a newer format, or cannot be read; SchemaError, if a newer
            version of the conversation's class wrote it; InvalidValueError, if the conversation is not empty, and not
            to be replaced. Nothing is changed then.
        """
        return await archive.load(self.live, path, replace=replace)

    # Models -----------------------------------------------------------------------------------------------------

    def to_llm_messages(self, *, summaries: bool = True) -> list[dict[str, Any]]:
        """Return the conversation as OpenAI's chat API takes it.

        Args:
            summaries: whether what was pruned is told, by a system message after those at the beginning.
        """
        return to_llm_messages(self.state, summaries=summaries)

    def from_llm_messages(self, messages: Iterable[Mapping[str, Any]]) -> tuple[Message, ...]:
        """Add messages as OpenAI's chat API takes them at the end, in one transaction, and return them.

        Each message of the user, or several in a row, begins a turn; all turns are completed.

        Raises: InvalidValueError, if one of them is no such message; nothing is written then.
        """
        return from_llm_messages(self.live, messages)

    # Repair -----------------------------------------------------------------------------------------------------

    def orphaned_tool_calls(self, is_gone: Callable[[str], bool] = nobody) -> tuple[ToolCall, ...]:
        """Return the open calls that nobody will answer any more.

        That are those of turns that have ended, those outside of turns after which something else was said, and those
        of agents that are gone.

        Args:
            is_gone: tells by its name whether an agent is gone.
        """
        return orphaned_tool_calls(self.state, is_gone)

    async def repair(self, *, is_gone: Callable[[str], bool] = nobody, reason: str = NO_RESULT) -> Repaired:
        """Make the conversation one that a model takes, and return what was repaired.

        Orphaned tool calls are cancelled, and the model is told; so it is of calls that have ended without its being
        told; and messages of tools that answer no call are kept, but not shown to it. However many repair at once, each
        call is answered once.

        Args:
            is_gone: tells by its name whether an agent is gone, and will not answer its calls.
            reason: what the model is told of a call without a result.
        """
        found = diagnose(self.state, is_gone)
        return await self._decide(partial(repair, found=found, reason=reason)) if found else found

    # Continuity -------------------------------------------------------------------------------------------------

    async def resume(self, *, again: bool = False, is_gone: Callable[[str], bool] = everybody) -> Resumed:
        """Take up a conversation whose agents were stopped in the middle, and return what was found.

        What was being written becomes messages that are marked as interrupted. The turn that was under way is
        interrupted, and the conversation repaired; or it goes on, to be done again from where it was cut off. The
        connection and the audio are noted as ended. Call it before anything else: a turn of one's own is taken for
        one that was left behind.

        Args:
            again: whether the turn goes on: messages that were cut off in it are removed, and its open calls are left
                for this agent to make again.
            is_gone: tells by its name whether an agent was stopped; those that work on are left alone.
        """
        left = [turn for turn in self.state.active_turns if is_gone(turn.agent)]
        with self.transaction():
            cut = [self.end_stream(each.id, interrupted=True) for each in self.state.streaming if is_gone(each.agent)]
            interrupted = tuple(message for message in cut if message is not None)
            if again:
                self.remove_messages(message.id for message in interrupted)
            else:
                for turn in left:
                    self.interrupt_turn(RESTARTED, turn=turn.id)
            self._note_the_end()
        repaired = await self.repair(is_gone=nobody if again else is_gone)
        ids = {turn.id for turn in left}
        return Resumed(
            interrupted,
            tuple(turn for turn in self.state.turns if turn.id in ids),
            tuple(call for call in self.state.pending_tool_calls if is_gone(call.agent)),
            repaired,
        )

    def _note_the_end(self) -> None:
        """Note that nobody is connected or heard: the process that held the connection is gone."""
        state = self.state
        if state.connection.connected:
            self.update_connection(connected=False, error=RESTARTED)
        if state.audio.input_active or state.audio.output_active:
            self.update_audio(input_active=False, output_active=False)
        ended = (ConversationStatus.ERROR, ConversationStatus.DISCONNECTED)
        if state.current_turn is None and state.status not in (self._resting(), *ended):
            self.live.status.set(self._resting())  # whatever it was: nobody is at it any more
            self._wrote("status")

    async def continue_from(
        self,
        previous: Observed[Any] | ConversationState,
        *,
        turns: int = TURNS,
        summarise: Summarise | None = None,
        metadata: Container[str] | None = None,
        count: Count = estimated_tokens,
    ) -> Carried:
        """Go on from another conversation, such as from speech in text, and return what went over and what did not.

        System messages go over, pinned ones with all of their turns, the newest turns, the metadata and the summaries;
        what else was said is in a summary, if somebody writes one. Messages keep their ids, so a conversation that goes
        on elsewhere can come back and nothing is there twice. Their audio does not go over, but its transcript does.
        What went over is not counted again.

        Args:
            previous: the manager of the other conversation, or its state.
            turns: how many of its newest turns go over.
            summarise: a function, or an async one, that returns what messages say in few words.
            metadata: the names of the metadata that go over, such as those that are about the user; all if None. What
                is there of a name already stays.
            count: tells how many tokens a message takes.
        """
        state = previous.state if isinstance(previous, Observed) else previous
        what = carried(state, self.live.messages, turns)
        summary = None
        if summarise is not None and what.left:
            summary = await summarised(summarise, what.left, what.summaries, count)
        room = _room(previous.live) if isinstance(previous, Observed) else ""
        carry(self.live, state, what, summary=summary, room=room, metadata=metadata)
        await self.repair()
        return what


def _replica(live: Conversation) -> Replication | None:
    try:
        return live.replica
    except NotConnectedError:
        return None


def _room(live: Conversation) -> str:
    replica = _replica(live)
    return "" if replica is None else replica.room
