"""Timeline: the versions of one room, what they were, what they changed, and who wrote what is there now."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from itertools import count
from typing import NamedTuple

import pycrdt

from ..document.delta import Delta
from ..document.statedocument import StateDocument
from ..errors import ComityError, StaleVersionError, StorageError
from ..update import EMPTY_UPDATE, sole_client
from .blame import Blame, Writers
from .differences import Difference, Differences, lies_in
from .playback import Playback
from .record import HistorySource, Span, VersionRecord, merged, milliseconds

When = int | datetime
"""A version by its number, or the last one at a moment, which must say its time zone."""


class LogEntry(NamedTuple):
    """One version, and what it changed.

    Attributes:
        version: its number.
        author: the agent that made it, as its lane says it, or else as the server knows it; empty if neither does.
        at: when the server took it, in UTC.
        changes: what became of cells, items and counters.
        texts: what was done to each text, by its path: a delta, counted in characters.
    """

    version: int
    author: str
    at: datetime
    changes: tuple[Difference, ...]
    texts: dict[str, Delta]


class Timeline:
    """The history of one room. It reads no more of it than a question takes: a whole state and the records after it.

    Every method raises StaleVersionError for versions that are not kept any more or never were, InvalidValueError for a
    moment without a time zone, ProtocolError for a record that is damaged, StorageError for one that is missing, and
    whatever its source raises.

    Args:
        source: where the history comes from.
    """

    def __init__(self, source: HistorySource) -> None:
        self._source = source

    async def at(self, when: When) -> StateDocument:
        """Return the document as it was: a new one, whose edits go nowhere."""
        return StateDocument(update=await self.state(when))

    async def state(self, when: When) -> bytes:
        """Return the document as it was, as a Yjs update."""
        return await self._state(await self._version(when))

    async def diff(self, a: When, b: When) -> Differences:
        """Return what lies between two versions, forwards or backwards."""
        start, end = await self._version(a), await self._version(b)
        playback = Playback(await self._state(min(start, end)))
        contents = playback.contents() if start > end else {}
        update = await self._between(min(start, end), max(start, end), playback.document)
        playback.announce(update)
        playback.play(update)
        found = playback.differences()
        return found.inverted(contents) if start > end else found

    async def log(
        self,
        *,
        field: str | None = None,
        author: str | None = None,
        since: When | None = None,
        until: When | None = None,
    ) -> AsyncGenerator[LogEntry]:
        """Yield the versions that match, the oldest first, each with what of it matches.

        All versions in the range are played, and one that edits a text takes a walk over that text.

        Args:
            field: the path of a field, which is meant with all that lies below it; all fields if None.
            author: the agent that made the changes; any if None.
            since: the version before the first one, or the moment from which on; from the oldest that is kept if None.
            until: the last version, or the moment up to which; the newest if None.
        """
        span = await self._source.span()
        start = span.first if since is None else await self._version(since, before=True)
        end = span.last if until is None else await self._version(until)
        playback = Playback(await self._state(start))
        async for page in self._pages(start, end):
            playback.announce(_merged(page))
            for record in page:
                entry = _chosen(_played(playback, record), field, author)
                if entry is not None:
                    yield entry

    async def blame(self, when: When | None = None) -> Blame:
        """Return who wrote what is there, in which version and when; as of a version, or now.

        It reads every record that is kept.
        """
        span = await self._source.span()
        end = span.last if when is None else await self._version(when)
        writers = Writers(StateDocument(update=await self._state(span.first)))
        async for page in self._pages(span.first, end):
            for record in page:
                writers.follow(record)
        return writers.blame(span.first)

    # Reading ----------------------------------------------------------------------------------------------------

    async def _version(self, when: When, *, before: bool = False) -> int:
        """Return the version that is meant, or, of a moment, the last one before it."""
        span = await self._source.span()
        version = when if isinstance(when, int) else await self._source.version_at(milliseconds(when) - before)
        if version < span.first and isinstance(when, datetime):
            # Not the document before its first version: what it was then nobody knows.
            if before:
                return span.first
            raise _not_kept(version, span)
        if not span.first <= version <= span.last and not await self._is_kept(version):
            raise _not_kept(version, span)
        return version

    async def _is_kept(self, version: int) -> bool:
        """Tell whether a state is kept whole, such as a checkpoint's, though the records beside it are not."""
        return version >= 0 and (await self._source.base(version)).version == version

    async def _state(self, version: int) -> bytes:
        base = await self._source.base(version)
        return await self._sum(base.version, version, base.state)

    async def _between(self, start: int, end: int, document: StateDocument) -> bytes:
        """Return what a document of one version lacks of a later one; a base on the way saves the records before it."""
        base = await self._source.base(end)
        if base.version <= start:
            return await self._sum(start, end)
        missing = pycrdt.get_update(base.state, document.state_vector())
        return await self._sum(base.version, end, missing)

    async def _sum(self, after: int, until: int, first: bytes = EMPTY_UPDATE) -> bytes:
        """Return the records after one version up to another as one update, with what comes before them."""
        return merged([first, *[_merged(page) async for page in self._pages(after, until)]])

    async def _pages(self, after: int, until: int) -> AsyncGenerator[Sequence[VersionRecord]]:
        while after < until:
            page = await self._source.records(after, until)
            known = [record.version for record in page]
            if not page or known != list(range(after + 1, after + 1 + len(page))):
                missing = next(version for version in count(after + 1) if version not in known)
                raise _lacking(missing, await self._source.span())
            yield page
            after = known[-1]


def _merged(page: Sequence[VersionRecord]) -> bytes:
    return merged([record.update for record in page])


def _played(playback: Playback, record: VersionRecord) -> LogEntry:
    """Play a version, and return all that it changed."""
    playback.play(record.update)
    author = playback.author_of(record.update) or record.author
    found = playback.differences(sole_client(record.update), record.author or None)
    return LogEntry(record.version, author, record.time, found.changes, found.texts)


def _chosen(entry: LogEntry, field: str | None, author: str | None) -> LogEntry | None:
    """Return what of an entry is about a field and by an author; None if that is nothing."""
    changes, texts = entry.changes, entry.texts
    if author is not None:
        changes = tuple(change for change in changes if change.author == author)
        texts = texts if entry.author == author else {}
    if field is not None:
        changes = tuple(change for change in changes if lies_in(change.field, field))
        texts = {name: delta for name, delta in texts.items() if lies_in(name, field)}
    # A version that changed nothing which is read is one, too, unless a field is asked for.
    matches = field is None and author in (None, entry.author)
    return entry._replace(changes=changes, texts=texts) if changes or texts or matches else None


def _not_kept(version: int, span: Span) -> StaleVersionError:
    return StaleVersionError(
        f"there is no version {version}", subject="history", remedy=f"ask for one from {span.first} to {span.last}"
    )


def _lacking(version: int, span: Span) -> ComityError:
    """Return the error of a record that should be there; it may have been retired meanwhile."""
    if version <= span.first:
        return _not_kept(version, span)
    return StorageError(f"the record of version {version} is missing", subject="history", remedy="verify the room")
