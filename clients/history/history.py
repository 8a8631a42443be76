"""The history of one room: what its versions were, and edits that bring something of them back."""

import math
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Self, TypeVar, overload

from comity.crdt_types import State, StateDocument
from comity.crdt_types.errors import InvalidValueError, RoomNotFoundError
from comity.crdt_types.history.blame import Blame
from comity.crdt_types.history.comparison import differences
from comity.crdt_types.history.differences import Differences
from comity.crdt_types.history.record import Span
from comity.crdt_types.history.timeline import LogEntry, Timeline

from .line import Line
from .moments import Moment, Moments
from .results import Branch, Checkpoint, CheckpointKind, ErasedRoom, Merged, RedactedRoom, Revision, Version
from .revising import Authors, Reverting, merging
from .source import PAGE, RoomSource
from .writing import Writer

S = TypeVar("S", bound=State)


class History:
    """The history of one room, over a connection of its own; an asynchronous context manager.

    ::

        async with client.history("shared/plan") as history:
            await history.checkpoint("before-deploy")
            plan = await history.at("before-deploy", Plan)

    Versions are counted from 1, version 0 is the room before its first. Who may read the room may read its history.
    What edits it (`restore`, `rollback`, `undo`, `merge`) makes a version of its own, which merges with what others do
    at the same moment, and is on the server's disk when the call returns.

    Every method may be called from any number of tasks at once. Each raises StaleVersionError for a version that is not
    kept or never was, or a checkpoint that is not there; InvalidValueError for a time without a time zone;
    ForbiddenError where the server does not allow it; and ConnectionFailedError, or what else the server said, once the
    connection is lost: an edit that was under way then may have been made.

    Args:
        url: the server's address, ``ws://host:port``.
        room: the room's name.
        agent: the name that edits, checkpoints and branches bear.

    Raises: ComityError, on entering, as the server or the network says.
    """

    def __init__(self, url: str, room: str, *, agent: str = "") -> None:
        self.room = room
        self.agent = agent
        self._url = url
        self._line = Line(url, room, agent)
        self._source = RoomSource(self._line)
        self._writer = Writer(self._line, self._source)
        self._moments = Moments(self._line, self._source)
        self._timeline = Timeline(self._source)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._line)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

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

    # Branches ---------------------------------------------------------------------------------------------------

    async def branch(self, name: str, *, at: Moment | None = None) -> Branch:
        """Make a room that begins as this one was at a version, the newest if None; open it like any other.

        Args:
            name: printable characters, at most 200 bytes of them.
            at: the version.

        Raises: NameTakenError, if there is one of that name; StateError, if the server takes none like that.
        """
        seq = None if at is None else await self._moments.version(at)
        return Branch.of(await self._line.call("branch", name=name, seq=seq))

    async def branches(self) -> list[Branch]:
        """Return the room's branches, by name."""
        return [Branch.of(row) for row in await self._line.call("branches")]

    async def diff_branch(self, name: str) -> Differences:
        """Return what makes this room, as it is now, read like one of its branches.

        Raises: RoomNotFoundError, if there is no such branch.
        """
        state = await self._state_of_branch(name)
        return differences(await self._newest(await self._source.span()), state)

    async def merge(self, name: str, *, dry_run: bool = False) -> Merged:
        """Bring everything that was done in a branch here, by one edit; the branch stays as it is.

        Args:
            name: the branch's name.
            dry_run: whether to tell what would come of it, and write nothing.

        Raises: RoomNotFoundError, if there is no such branch.
        """
        state = await self._state_of_branch(name)
        span = await self._source.span()
        newest = await self._newest(span)
        update, found, conflicts = merging(newest, state)
        version = None if dry_run else await self._writer.write(update, span, newest)
        return Merged(version, found.changes, found.texts, conflicts)

    async def delete_branch(self, name: str) -> bool:
        """Erase a branch with its history and its own branches; returns whether there was one."""
        existed: bool = await self._line.call("drop_branch", name=name)
        return existed

    async def _state_of_branch(self, name: str) -> bytes:
        for branch in await self.branches():
            if branch.name == name:
                async with History(self._url, branch.room, agent=self.agent) as history:
                    return await history._newest(await history._source.span())
        raise RoomNotFoundError(
            f"there is no branch {name!r}", subject=self._line.subject, remedy="see which there are by branches()"
        )

    # Ending -----------------------------------------------------------------------------------------------------

    async def erase(self) -> list[ErasedRoom]:
        """Remove the room for good, with its history, checkpoints and branches; returns what was removed of which room.

        Whoever is in it is sent away, and so is this connection: afterwards every method raises ErasedError.
        """
        return [ErasedRoom(**row) for row in await self._line.call("erase")]

    async def forget(self, author: str) -> list[RedactedRoom]:
        """Take out of the room and its branches what an agent wrote; returns what was taken out of which room.

        It is gone from every version, and from every replica that connects; what others wrote stays as it was. If there
        was anything, whoever is in the room is sent away for a moment, and so is this connection: afterwards every
        method raises OverloadError.
        """
        return [RedactedRoom(**row) for row in await self._line.call("forget", author=author)]

    async def expire_after(self, lifetime: timedelta | None) -> None:
        """Let the server erase the room when nobody has needed it for a time.

        Args:
            lifetime: how long, rounded up to seconds; None is as long as the server keeps rooms of its kind.

        Raises: InvalidValueError, if that is no time; StateError, if the server takes none like that.
        """
        if lifetime is not None and lifetime <= timedelta():
            raise InvalidValueError(f"a lifetime of {lifetime}", subject=self._line.subject, remedy="give one above 0")
        await self._line.call("expire", seconds=None if lifetime is None else math.ceil(lifetime.total_seconds()))
