"""Decisions: edits that stand only if nothing that they rely on has changed, which the server decides."""

import asyncio
import random
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, TypeVar

from comity.crdt_types import State, StateDocument
from comity.crdt_types.errors import (
    ComityError,
    ConnectionFailedError,
    ForbiddenError,
    PreconditionError,
    StateError,
    TooFastError,
    TooLargeError,
)

from .draft import Draft, Proposal, Read, Session

__all__ = ["ATTEMPTS", "Decisions", "NotBefore", "Read"]

S = TypeVar("S", bound=State)
R = TypeVar("R")

NotBefore = int | Callable[[], int | None] | None
"""A moment in ms since the Unix epoch by the server's clock, or what tells it once the edit was made."""

# Of several who decide on one thing at once one succeeds each time, and they take turns, roughly: of sixteen who do so
# without a pause nobody gave up in 800 decisions, with 16 attempts 2 did, with 8 attempts 17.
ATTEMPTS: Final = 32
# Seconds until a decision that was refused is tried again although nothing new has come. What it was refused for comes
# before the refusal, but for a reader that lags behind, which is told of many updates at once.
PATIENCE: Final = 0.25
# Seconds that whoever succeeded waits at most before the next decision while others try in vain: more than it takes
# to copy a large document, which is what they have to do in between.
MAX_PAUSE: Final = 1.0
_DOUBLINGS: Final = 16
# What the server answers when it did nothing for sure.
_UNDONE: Final = (StateError, ForbiddenError, TooLargeError, TooFastError)


class Owner(Protocol):
    """What decisions ask of their replica."""

    room: str
    document: StateDocument

    async def call(self, method: str, **params: Any) -> Any:
        """Return what the server answers to a call."""
        ...

    async def reached(self) -> object:
        """Return once the replica is live; raises NotConnectedError where it is not, and not about to be."""
        ...

    async def meet(self) -> None:
        """From now on the document and the room have something in common."""
        ...


class Decisions:
    """The decisions of one replica, made one after the other.

    Args:
        owner: the replica.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._draft: Draft | None = None
        self._session: Session | None = None  # of the last draft, if its proposal was refused
        self._rest_until = 0.0  # by the clock of time.monotonic
        self._opened: set[type[State]] = set()
        self._turn = asyncio.Lock()
        self._histories = 0  # how often the document was replaced by another one

    def forget(self) -> None:
        """Let go of the draft: the document is another one now, or closed."""
        self._histories += 1
        self._drop()

    def _drop(self, *, is_refused: bool = False) -> None:
        """Let go of the draft; what was refused for sure nobody has, and the next one goes on before it."""
        self._session = self._draft.session if self._draft is not None and is_refused else None
        if self._draft is not None:
            self._draft.close()
        self._draft = None

    async def decide(
        self, schema: type[S], edit: Callable[[S], R], reads: Iterable[Read], not_before: NotBefore, attempts: int
    ) -> R:
        """Make an edit; see ``Replica.decide``."""
        reads = tuple(reads)
        async with self._turn:
            await asyncio.sleep(self._rest_until - time.monotonic())
            for attempt in range(1, attempts + 1):
                await self._owner.reached()
                draft = self._ready(schema)
                result, proposal = draft.propose(draft.state(schema), edit, reads)
                if proposal is None:
                    return result
                moment = not_before() if callable(not_before) else not_before
                with self._coming() as came:
                    try:
                        await self._submit(proposal, moment, attempt)
                    except PreconditionError as error:
                        if error.retry_after is not None or attempt == attempts:
                            raise
                        await _a_moment(came)
                    else:
                        return result
        raise ValueError(f"{attempts} attempts: nothing was tried")

    def _ready(self, schema: type[State]) -> Draft:
        """Return a draft that is up to date."""
        draft = self._follow(schema)
        if not draft.is_sound:  # a migration, say, or a ticket: the replica makes it, and tells everybody
            if schema not in self._opened:
                self._opened.add(schema)
                schema(self._owner.document)
            self._drop()
            draft = self._follow(schema)
        return draft

    def _follow(self, schema: type[State]) -> Draft:
        if self._draft is None:
            self._draft = Draft(self._owner.document, self._session)
        self._draft.catch_up()
        self._draft.state(schema)
        return self._draft

    @contextmanager
    def _coming(self) -> Generator[asyncio.Event]:
        """Have an event that is set as soon as anything comes."""
        came = asyncio.Event()
        stop = self._owner.document.on_commit(lambda _commit: came.set())
        try:
            yield came
        finally:
            stop()

    async def _submit(self, proposal: Proposal, not_before: int | None, attempt: int) -> None:
        """Have the server decide, and take in what it decided."""
        precondition = proposal.precondition._replace(not_before=not_before)
        histories, began = self._histories, time.monotonic()
        try:
            made = await self._owner.call("decide", update=proposal.update, attempt=attempt, **precondition.to_params())
        except _UNDONE:
            self._drop(is_refused=True)
            raise
        except ComityError as error:
            self._drop()
            raise self._unknown(error) from error
        except BaseException:
            self._drop()  # given up while it was on its way
            raise
        self._rest(time.monotonic() - began, made["rivals"])
        self._check_same(histories)
        await self._owner.meet()
        self._check_same(histories)
        self._owner.document.apply(proposal.update)

    def _check_same(self, histories: int) -> None:
        """Check that the document is still the one that the decision was made for."""
        if histories != self._histories:
            raise self._unknown(None)

    def _rest(self, seconds: float, rivals: int) -> None:
        """Let those go first who were refused so often, each time for twice as long: it took us so many seconds."""
        if rivals:
            pause = min(seconds * 2 ** min(rivals, _DOUBLINGS), MAX_PAUSE)
            self._rest_until = time.monotonic() + random.uniform(pause / 2, pause)

    def _unknown(self, error: ComityError | None) -> ConnectionFailedError:
        return ConnectionFailedError(
            "the decision may have been made or not" + (f": {error}" if error else ""),
            subject=f"room {self._owner.room!r}",
            remedy="look at the state once it is synced",
            retry_after=None if error is None else error.retry_after,
        )


async def _a_moment(event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await event.wait()
