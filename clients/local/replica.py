"""The replica of a local tier: a document on this machine's disk with its versions, and no server unless wanted."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from comity.crdt_types import Commit, State
from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.errors import ErasedError, InvalidValueError, PreconditionError

from ..decisions import ATTEMPTS, NotBefore, Read
from ..journal import Journal
from ..localfile import LocalFile, Restored
from ..replica import Replica, logger
from .versionfile import VersionFile
from .versionjournal import VersionJournal

S = TypeVar("S", bound=State)
R = TypeVar("R")

# Of an agent's disk nobody takes care: what it did last month can be looked up and taken back, and then it goes.
HISTORY: Final = timedelta(days=30)

# All that can be told of edits that were made while no server was to know of them.
_UNTOLD: Final = (Edit("yjs", "", None, None),)


class VersionReplica(Replica):
    """A replica that keeps every version of its document on this machine's disk, beside what the server keeps.

    Args:
        url: the server's address, ``ws://host:port``.
        room: the room's name.
        agent: the name that this session's edits bear.
        directory: where to keep the document.
        history: how long versions are kept; None is for good.

    Raises: InvalidValueError, for a history of less than no time; as `Replica`.
    """

    def __init__(
        self, url: str, room: str, *, agent: str, directory: Path, history: timedelta | None = HISTORY
    ) -> None:
        if history is not None and history < timedelta():
            raise InvalidValueError(
                f"a history of {history}", subject=f"room {room!r}", remedy="give 0 or more, or None"
            )
        super().__init__(url, room, agent=agent, directory=directory)
        self.history = history
        self._is_own = False
        self._versions: VersionFile
        self._version_journal: VersionJournal

    def _file_in(self, directory: Path) -> LocalFile:
        self._versions = VersionFile(directory, self.room, self.history)
        return self._versions

    def _journal_of(self, file: LocalFile, kept: Restored) -> Journal:
        base, *tail = map(len, kept.updates)
        self._version_journal = VersionJournal(
            self._versions,
            self.document.update_since,
            self._outstanding.edits,
            agent=self.agent,
            base=base,
            tail=sum(tail),
            at=self._versions.last_at,
            redactions=kept.redactions,
        )
        return self._version_journal

    @asynccontextmanager
    async def versions(self) -> AsyncGenerator[VersionFile]:
        """Hold the file with the versions; nobody else reads or writes it meanwhile.

        Raises: ComityError, if the replica was closed, or failed for good.
        """
        self._raise_error()
        async with self._version_journal.lock:
            yield self._versions

    def on_anew(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call a listener where the history begins anew, as after an erasure; returns how to stop it."""
        return self._versions.anew.add(listener)

    def take_own(self, update: bytes) -> None:
        """Apply an update that this agent made elsewhere, as a version of its own.

        Raises: TransactionError, while a transaction is under way; ProtocolError, if it is not an update.
        """
        self._check_no_transaction()
        self._version_journal.cut()
        self._is_own = True
        try:
            self.document.apply(update)
        finally:
            self._is_own = False
            self._version_journal.cut()

    def _committed(self, commit: Commit) -> None:
        super()._committed(commit._replace(local=True) if self._is_own else commit)

    async def reset(self, update: bytes) -> None:
        """Take the server's document in place of this one, as `Replica.reset` does, and keep a copy of this one first.

        The versions end there: the history begins anew with the server's document.
        """
        if self._must_reset and not self._is_erased and self._other_lineage is None:
            async with self._version_journal.lock:
                kept = await self._versions.keep_aside(self.document.update_since(), self._outstanding.edits())
            logger.warning("room %s: the server refused what is kept here; a copy of it is in %s", self.room, kept)
        await super().reset(update)


class LocalReplica(VersionReplica):
    """A replica that no server knows of: it is live from the beginning, and durable is what is on this disk."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._is_told = not self._outstanding.edits()
        self._states: dict[type[State], Any] = {}  # made for the first decision
        self._set_status("live")
        return self

    async def _stay_connected(self) -> None:
        """Be done: there is nobody to connect to."""

    @property
    def pending(self) -> int:
        """How many changes are not on this machine's disk yet."""
        return self._version_journal.pending

    async def durable(self) -> None:
        """Return once every edit so far is on this machine's disk. Raises as `saved`."""
        await self.saved()

    async def erase(self) -> None:
        """Leave no byte of the document and its versions on this disk, and go on with an empty one.

        Raises: TransactionError, while a transaction is under way; StorageError.
        """
        self._check_no_transaction()
        self._raise_error()
        await self._forget(ErasedError("it was erased from this disk", subject=f"room {self.room!r}"))
        self._is_told = True

    async def decide(
        self,
        schema: type[S],
        edit: Callable[[S], R],
        *,
        reads: Iterable[Read] = (),
        not_before: NotBefore = None,
        attempts: int = ATTEMPTS,
    ) -> R:
        """Make an edit, and return what it returns once it is on this disk: nobody else decides here.

        Args:
            schema: the `State` class.
            edit: called once, with the state, in a transaction.
            reads: nothing of it can have changed, whatever it is.
            not_before: the moment before which it is refused, in ms since the Unix epoch by this machine's clock; or a
                function that tells it once the edit was made.
            attempts: one is enough.

        Raises: PreconditionError, if it is too early; TransactionError, while a transaction is under way; StorageError.
        """
        del reads, attempts
        self._check_no_transaction()
        if schema not in self._states:
            self._states[schema] = schema(self.document, self)
        state: S = self._states[schema]
        with self.document.transaction():
            result = edit(state)
            self._check_time(not_before() if callable(not_before) else not_before)
        await self.saved()
        return result

    def _check_time(self, not_before: int | None) -> None:
        early = 0 if not_before is None else not_before - wall_ms()
        if early > 0:
            raise PreconditionError(
                "its time has not come", subject=f"room {self.room!r}", remedy="wait", retry_after=early / 1000
            )

    async def server_time(self) -> int:
        """Return this machine's time, in milliseconds since the Unix epoch: there is no other."""
        return wall_ms()

    @contextmanager
    def offline(self) -> Generator[None]:
        """Change nothing: it is never anything else."""
        yield

    def _committed(self, commit: Commit) -> None:
        # If it is backed up one day, the server is told of the document; of its edits, that there were some.
        edits = _UNTOLD if commit.local and self._is_told else ()
        self._is_told = self._is_told and not edits
        super()._committed(commit._replace(edits=edits))
