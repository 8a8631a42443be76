"""The past of one document: what its versions were, names for them, and edits that bring something of them back."""

from collections.abc import AsyncGenerator, Collection, Iterable
from typing import TypeVar, overload

from comity.crdt_types import State, StateDocument
from comity.crdt_types.errors import InvalidValueError
from comity.crdt_types.history.blame import Blame
from comity.crdt_types.history.comparison import differences
from comity.crdt_types.history.differences import Differences
from comity.crdt_types.history.record import Span
from comity.crdt_types.history.timeline import LogEntry, Timeline

from .asked import Asked
from .moments import Moment, Moments
from .results import Checkpoint, CheckpointKind, Revision, Version
from .revising import Authors, Reverting
from .source import PAGE, RoomSource
from .writing import Writer

S = TypeVar("S", bound=State)


class Past:
    """The versions of one document.

    Versions are counted from 1, version 0 is the document before its first. What edits it (`restore`, `rollback`,
    `undo`) makes a version of its own, which merges with what others do at the same moment, and is on disk when the
    call returns.

    Every method may be called from any number of tasks at once. Each raises StaleVersionError for a version that is not
    kept or never was, or a checkpoint that is not there; InvalidValueError for a time without a time zone; and whatever
    the one who is asked raises.

    Args:
        line: who is asked.
        agent: the name that edits and checkpoints bear.
    """

    def __init__(self, line: Asked, agent: str) -> None:
        self.agent = agent
        self._line = line
        self._source = RoomSource(line)
        self._writer = Writer(line, self._source)
        self._moments = Moments(line, self._source)
        self._timeline = Timeline(self._source)

    # Reading ----------------------------------------------------------------------------------------------------

    async def versions(
        self, *, newest_first: bool = False, since: Moment | None = None, until: Moment | None = None
    ) -> AsyncGenerator[Version]:
        """Yield the versions that are kept, with who made them, when, and their size.

        Args:
            newest_first: whether to begin with the newest.
            since: the version before the first one, or the time from which on; from the oldest if None.
            until: the last version, or the time up to which; the newest if None.
        """
        start, end = await self._moments.stretch(since, until)
        while start < end:
            after = max(start, end - PAGE) if newest_first else start
            rows = await self._source.rows(after, end)
            for row in reversed(rows) if newest_first else rows:
                yield Version.of(row)
            if not rows:
                return
            start, end = (start, after) if newest_first else (rows[-1][0], end)

    @overload
    async def at(self, when: Moment) -> StateDocument: ...

    @overload
    async def at(self, when: Moment, schema: type[S]) -> S: ...

    async def at(self, when: Moment, schema: type[State] | None = None) -> State | StateDocument:
        """Return the room as it was, to be read only.

        Args:
            when: the version.
            schema: the `State` class to read it with; a `StateDocument` is returned if None.

        Raises: SchemaError, if the class cannot read it.
        """
        document = StateDocument(update=await self._timeline.state(await self._moments.version(when)))
        found = document if schema is None else schema(document)
        document.close()
        return found

    async def diff(self, a: Moment, b: Moment | None = None) -> Differences:
        """Return what lies between two versions, forwards or backwards; the other one is the newest if None."""
        start = await self._moments.version(a)
        end = (await self._source.span()).last if b is None else await self._moments.version(b)
        return await self._timeline.diff(start, end)

    async def log(
        self,
        *,
        field: str | None = None,
        author: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> AsyncGenerator[LogEntry]:
        """Yield the versions that match, the oldest first, each with what of it matches.

        Args:
            field: the path of a field, which is meant with all that lies below it; all fields if None.
            author: the agent that made the changes; any if None.
            since: the version before the first one, or the time from which on; from the oldest if None.
            until: the last version, or the time up to which; the newest if None.
        """
        start, end = await self._moments.stretch(since, until)
        async for entry in self._timeline.log(field=field, author=author, since=start, until=end):
            yield entry

    async def blame(self, when: Moment | None = None) -> Blame:
        """Return who wrote what is there, in which version and when; as of a version, or now. It reads all versions."""
        return await self._timeline.blame(None if when is None else await self._moments.version(when))

    async def _newest(self, span: Span) -> bytes:
        return await self._timeline.state(span.last)

    # Going back -------------------------------------------------------------------------------------------------

    async def restore(self, when: Moment) -> Revision:
        """Make the room what it was, by one edit that merges with what others do at the same moment.

        Everything that was written since is taken back; what others are writing right now stays. It can be undone.
        Nothing is written where the room reads the same already.
        """
        version = await self._moments.version(when)
        span = await self._source.span()
        state, newest = await self._timeline.state(version), await self._newest(span)
        if not differences(newest, state):
            return Revision(None, (), ())
        reverting = Reverting(state, self.agent, whole=True)
        reverting.take_all(newest)
        return await self._revised(reverting, span)

    async def rollback(
        self,
        *,
        author: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        versions: Iterable[int] | None = None,
        fields: Collection[str] | None = None,
    ) -> Revision:
        """Take back some of what was done, and keep everything else, by one edit. It can be undone.

        What was written over since is left alone; see `Revision.kept`. What must hold for a version to be taken back is
        all that is given, which must be something. Where that is everything since some version, it is as if that were
        restored.

        Args:
            author: who made it: the agent that its lane names, or else the one that the server took it from.
            since: the version before the first one, or the time from which on.
            until: the last version, or the time up to which.
            versions: the numbers of the versions.
            fields: the paths of the fields that are meant, each with what lies below it; all if None.

        Raises: InvalidValueError, if nothing says what to take back.
        """
        if all(given is None for given in (author, since, until, versions)):
            raise InvalidValueError(
                "nothing says what to take back",
                subject=self._line.subject,
                remedy="name an author, a time or versions",
            )
        start, end, wanted = await self._chosen(since, until, versions)
        span = await self._source.span()
        authors = None if author is None else Authors(await self._newest(span))
        everything = fields is author is None and end >= span.last and (wanted is None or len(wanted) == end - start)
        reverting = Reverting(await self._timeline.state(start), self.agent, fields=fields, whole=everything)
        async for page in self._source.pages(start, span.last):
            reverting.go_on(
                page,
                lambda record: (
                    record.version <= end
                    and (wanted is None or record.version in wanted)
                    and (authors is None or authors.of(record) == author)
                ),
            )
        return await self._revised(reverting, span)

    async def undo(self, version: int) -> Revision:
        """Take back one version, such as a restore's; the same as ``rollback(versions=[version])``."""
        return await self.rollback(versions=[version])

    async def _chosen(
        self, since: Moment | None, until: Moment | None, versions: Iterable[int] | None
    ) -> tuple[int, int, Collection[int] | None]:
        """Return the version before the first one that may be taken back, the last one, and which, all if None."""
        start, end = await self._moments.stretch(since, until)
        if versions is None:
            return start, end, None
        named = frozenset(versions)
        if named:
            await self._moments.stretch(min(named) - 1, max(named))  # there must be such
        wanted = frozenset(version for version in named if start < version <= end)
        return min(wanted, default=start + 1) - 1, max(wanted, default=start), wanted

    async def _revised(self, reverting: Reverting, span: Span) -> Revision:
        before, update, reverted = reverting.revert()
        version = await self._writer.write(update, span, before)
        return Revision(version, reverted.changes, reverted.kept)

    # Checkpoints ------------------------------------------------------------------------------------------------

    async def checkpoint(
        self, name: str, *, at: Moment | None = None, kind: CheckpointKind = "manual", note: str = ""
    ) -> Checkpoint:
        """Give a version a name.

        Args:
            name: printable characters, at most 200 bytes of them.
            at: the version; the newest if None.
            kind: what it is for; automatic ones go when there are too many.
            note: what else there is to say, at most 4,096 bytes.

        Raises: NameTakenError, if there is a checkpoint of that name; StateError, if the server takes none like that.
        """
        seq = None if at is None else await self._moments.version(at)
        return Checkpoint.of(await self._line.call("checkpoint", name=name, seq=seq, kind=kind, note=note))

    async def checkpoints(self) -> list[Checkpoint]:
        """Return the room's checkpoints, the oldest version first."""
        return await self._moments.checkpoints()

    async def delete_checkpoint(self, name: str) -> bool:
        """Delete a checkpoint, not its version; returns whether there was one."""
        existed: bool = await self._line.call("drop_checkpoint", name=name)
        return existed
