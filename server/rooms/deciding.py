"""Decisions: updates that are applied only if what their makers relied on still holds."""

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Final, NamedTuple

from comity.crdt_types.errors import ComityError, PreconditionError
from comity.crdt_types.precondition import Precondition
from comity.crdt_types.update import read_state_vector

from .archive import now
from .document import Document
from .vetting import Section

# Seconds after which somebody whose decision was refused is not thought to try again.
PATIENCE: Final = 1.0


class Made(NamedTuple):
    """What came of a decision: when it was on disk, in ms since the Unix epoch, and how often a rival was refused."""

    at: int
    rivals: int


class Decision:
    """A decision on its way to the disk.

    Args:
        precondition: what it relies on.
        attempt: how often it was tried, with this one.
        needs: what its update builds on besides what it brings of the same clients.
    """

    def __init__(self, precondition: Precondition, attempt: int, needs: tuple[Section, ...] = ()) -> None:
        self.attempt: Final = attempt
        self.needs: Final = needs
        self._precondition: Final = precondition
        self._made: asyncio.Future[Made] = asyncio.get_running_loop().create_future()

    async def made(self) -> Made:
        """Return what came of it once it is on disk.

        Raises: PreconditionError, if it was refused; another ComityError, if what became of it is not known.
        """
        return await self._made

    def check(self, document: Document) -> None:
        """Check what it relies on. Raises PreconditionError or ProtocolError."""
        state_vector = self._precondition.state_vector
        seen = [Section(client, 0, n, n) for client, n in read_state_vector(state_vector).items()]
        if not document.admits(seen):
            raise PreconditionError(
                "it relies on edits that are not here", subject="decision", remedy="send those before it"
            )
        self._precondition.check(document.diff(state_vector), now())

    def settle(self, rivals: int) -> None:
        """Note that it is on disk."""
        if not self._made.done():
            self._made.set_result(Made(now(), rivals))

    def fail(self, error: ComityError) -> None:
        """Note that it was refused, or that nobody knows."""
        if not self._made.done():
            self._made.set_exception(error)
            self._made.exception()  # whoever asked may be gone


class Decisions:
    """The decisions of a room that are not answered yet.

    Who decides again and again without a pause would be faster every time than those who first have to look at what
    was decided. So whoever succeeds is told how often somebody else was refused meanwhile, and lets them go first.
    """

    def __init__(self) -> None:
        self._waiting: dict[Decision, None] = {}
        self._rivals = 0  # of those who are likely to come again, the most often refused one was so often
        self._refused = 0.0  # when one of them was, by the clock of monotonic

    def add(self, decision: Decision) -> None:
        """Take note of a decision that came."""
        self._waiting[decision] = None

    def fail(self, decisions: Iterable[Decision], error: ComityError) -> None:
        """Say why nobody knows what becomes of decisions."""
        for decision in tuple(decisions):
            self._waiting.pop(decision, None)
            decision.fail(error)

    def fail_all(self, error: ComityError) -> None:
        """Say of all decisions why nobody knows what becomes of them."""
        self.fail(self._waiting, error)

    def settle(self, decision: Decision, refusal: PreconditionError | None) -> None:
        """Say of a decision that it is on disk, or why it was refused."""
        self._waiting.pop(decision, None)
        is_recent = monotonic() - self._refused < PATIENCE
        if refusal is None:
            decision.settle(self._rivals if is_recent else 0)
            self._rivals = 0 if decision.attempt > 1 else self._rivals
            return
        decision.fail(refusal)
        if refusal.retry_after is None:
            self._rivals = max(decision.attempt, self._rivals if is_recent else 0)
            self._refused = monotonic()
