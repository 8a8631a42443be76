"""What comes into a room on its way into the document: in order, and not before what it builds on."""

from collections import deque
from time import perf_counter

from comity.crdt_types.errors import ComityError, EngineError, OverloadError, PreconditionError, ProtocolError
from comity.crdt_types.update import EMPTY_UPDATE

from ..auth import JOINT
from ..monitoring.tally import Tally
from .buried import erased
from .contents import Contents
from .deciding import Decision, Decisions
from .document import Document
from .member import Arrival, Member
from .turn import Change, Turn


class Intake:
    """The updates that came to a room since its last turn, and those that wait for others.

    Args:
        contents: what the room consists of.
        tally: where it counts what happens.
    """

    def __init__(self, contents: Contents, tally: Tally) -> None:
        self._contents = contents
        self._tally = tally
        self._inbox: deque[Arrival] = deque()
        self._suspects = 0  # first in the inbox, one of which the engine failed on: applied one by one
        self._holders: dict[Member, None] = {}  # members with updates that wait for others
        self._is_littered = False  # the document holds such updates of nobody here
        self._decisions = Decisions()

    def __len__(self) -> int:
        return len(self._inbox)

    @property
    def size(self) -> int:
        """The bytes of the updates that came."""
        size = 0
        for arrival in self._inbox:
            size += len(arrival.update)
        return size

    @property
    def senders(self) -> set[Member]:
        """Those whose updates came."""
        return {arrival.member for arrival in self._inbox}

    @property
    def waiting(self) -> int:
        """How many updates wait for others that they build on."""
        return sum(len(member.held()) for member in self._holders)

    def add(self, arrival: Arrival) -> None:
        """Take an update, to be applied with the next turn."""
        self._inbox.append(arrival)
        if arrival.decision is not None:
            self._decisions.add(arrival.decision)

    def clear(self) -> None:
        """Forget what came, and let nobody wait for a decision that may never be on disk."""
        self._inbox.clear()
        self._suspects = 0
        self._decisions.fail_all(self._ended())

    def fail_turn(self, turn: Turn) -> None:
        """Say of a turn's decisions that nobody knows what became of them."""
        self._decisions.fail((decision for decision, _ in turn.decisions), self._ended())

    def settle(self, turn: Turn) -> None:
        """Say of a turn's decisions that they are on disk, or why not; then all that they were refused for is, too."""
        for decision, refusal in turn.decisions:
            self._decisions.settle(decision, refusal)

    def _ended(self) -> OverloadError:
        return OverloadError("the room ended", subject=f"room {self._contents.name!r}", remedy="come back")

    def forget(self, member: Member) -> bool:
        """Let go of what a member that left had waiting; tell whether the document must be tidied of it."""
        if member not in self._holders:
            return False
        del self._holders[member]
        self._is_littered = True
        return True

    def fail_waiting(self, error: ComityError) -> None:
        """End those whose updates wait for others: the document that knew of them is gone."""
        self._is_littered = False
        for member in self._holders:
            member.fail(error)
        self._holders.clear()

    def begin(self) -> Turn:
        """Return the turn that begins now."""
        return Turn(perf_counter(), is_mixed=bool(self._holders) or self._is_littered)

    def apply(self, turn: Turn) -> None:
        """Apply what came, and what that made room for.

        Raises: EngineError or ProtocolError, when the document can be trusted no more; what was not applied stays.
        """
        self._apply_inbox(turn)
        is_new = self._is_littered
        if is_new:
            self._tidy()
        if self._holders and (turn.changes or is_new):
            self._place_held(turn)

    def _apply_inbox(self, turn: Turn) -> None:
        while self._inbox:
            batch = [] if self._suspects or len(self._inbox) == 1 else self._next_batch()
            if len(batch) > 1:
                self._apply_together(turn, batch)
            else:
                self._apply_first(turn)

    def _next_batch(self) -> list[Arrival]:
        """Return those first in the inbox that each bring what comes next of their clients, and note them."""
        document = self._contents.document
        batch = []
        for arrival in self._inbox:
            if arrival.decision is not None:
                break
            if arrival.member.has_failed or not document.follows(arrival.sections) or self._is_buried(arrival):
                break
            document.note(arrival.sections)
            batch.append(arrival)
        return batch

    def _apply_together(self, turn: Turn, batch: list[Arrival]) -> None:
        """Apply several updates as one, at a third of what they cost one by one; or leave them to be applied so."""
        document = self._contents.document
        self._suspects = len(batch)
        try:
            update = document.merged([arrival.update for arrival in batch])
            change = document.apply(update)
        except ProtocolError:
            document.forget_notes()
            return
        self._suspects = 0
        is_lacking = change != update and document.lacks(update)
        if change is not None:
            turn.changes += [Change(_authors(batch), change)] if is_lacking else _shares(batch, change)
        if is_lacking:
            document.forget_notes()
        for arrival in batch:
            self._inbox.popleft()
            turn.sources.add(arrival.member)
            turn.counts[arrival.member] = arrival.n
            if is_lacking and document.lacks(arrival.update):
                self._is_littered = self._is_littered or arrival.member.has_left
                self._hold(arrival)

    def _apply_first(self, turn: Turn) -> None:
        arrival = self._inbox[0]
        if arrival.decision is not None:
            self._decide(turn, arrival, arrival.decision)
        elif not arrival.member.has_failed:
            self._apply_next(turn, arrival)
        self._inbox.popleft()
        self._suspects = max(self._suspects - 1, 0)

    def _apply_next(self, turn: Turn, arrival: Arrival) -> None:
        member = arrival.member
        if self._is_buried(arrival):
            member.fail(erased(self._contents.name))
            return
        try:
            if arrival.update != EMPTY_UPDATE and not self._apply(turn, arrival):
                self._hold(arrival)
            turn.counts[member] = arrival.n
        except ProtocolError as error:
            member.fail(error)
        except EngineError as error:
            member.fail(ProtocolError(error.what, subject=error.subject))
            raise

    def _decide(self, turn: Turn, arrival: Arrival, decision: Decision) -> None:
        try:
            if arrival.member.has_failed:
                raise OverloadError("the connection has ended", subject="decision")
            if self._is_buried(arrival):
                raise erased(self._contents.name)
            self._make(turn, arrival, decision)
        except PreconditionError as error:
            self._tally.refusals += 1
            self._tally.received -= 1  # it will be counted with all that came
            self._tally.received_bytes -= len(arrival.update)
            turn.decisions.append((decision, error))
        except ComityError as error:
            self._decisions.fail((decision,), error)
            if isinstance(error, EngineError):
                arrival.member.fail(ProtocolError(error.what, subject=error.subject))
                raise

    def _make(self, turn: Turn, arrival: Arrival, decision: Decision) -> None:
        """Apply a decision, if what it relies on holds."""
        document = self._contents.document
        decision.check(document)
        if not document.admits((*arrival.sections, *decision.needs)):
            raise PreconditionError("it builds on edits that are not here", subject="decision")
        change = document.apply(arrival.update)
        document.note(arrival.sections)
        if change is not None:
            turn.changes.append(Change(arrival.member.author, change))
        turn.is_mixed = True  # whoever made it has not applied it, and is told like everybody
        turn.decisions.append((decision, None))
        self._tally.decisions += 1

    def _is_buried(self, arrival: Arrival) -> bool:
        contents = self._contents
        return bool(contents.buried) and contents.buried.returns(arrival.sections, contents.document)

    def _apply(self, turn: Turn, arrival: Arrival) -> bool:
        """Apply an update if it continues what is here; tell whether all of it is in the document then."""
        member, update, sections = arrival.member, arrival.update, arrival.sections
        document = self._contents.document
        if not document.admits(sections):
            return False
        change = document.apply(update)
        if change is not None:
            turn.changes.append(Change(member.author, change))
            turn.sources.add(member)
        if change != update and document.lacks(update):
            self._is_littered = self._is_littered or member.has_left
            return False
        document.note(sections)
        return True

    def _hold(self, arrival: Arrival) -> None:
        member = arrival.member
        self._tally.held += 1
        if not member.has_left:
            self._holders[member] = None
            member.hold(arrival, self._contents.document.state_vector())

    def _place_held(self, turn: Turn) -> None:
        turn.is_mixed = True
        # What finds its place may be what another waits for, whatever the order they came in: a pass for each, at most.
        for _ in range(sum(len(member.held()) for member in self._holders)):
            if not self._place_some(turn):
                return

    def _place_some(self, turn: Turn) -> bool:
        """Apply again what is held; tell whether any of it has found its place."""
        before = len(turn.placed), len(turn.changes)
        for member in tuple(self._holders):
            for arrival in member.held():
                # The engine may leave aside what came early until it comes again.
                if self._apply(turn, arrival):
                    member.place(arrival.n)
                    turn.placed.append((member, arrival.n))
                    turn.sources.add(member)
            if not member.held():
                del self._holders[member]
        return (len(turn.placed), len(turn.changes)) != before

    def _tidy(self) -> None:
        """Make the document anew without what waits in it for nobody: each such update slows every later one."""
        self._is_littered = False
        self._contents.document = Document([self._contents.document.state()])


def _authors(batch: list[Arrival]) -> str:
    """Return the names of those whose updates these are."""
    return JOINT.join(sorted({arrival.member.author for arrival in batch}))


def _shares(batch: list[Arrival], change: bytes) -> list[Change]:
    """Return what each author of a batch changed, which all of it brought about."""
    if len({arrival.member.author for arrival in batch}) == 1:
        return [Change(batch[0].member.author, change)]
    return [Change(arrival.member.author, arrival.update) for arrival in batch]
