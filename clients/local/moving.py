"""Moving: the way of a local tier's history to a room of the server, and of a room's to this machine."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pycrdt

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError, NameTakenError, StaleVersionError, TooLargeError
from comity.crdt_types.history.record import EMPTY
from comity.crdt_types.history.timeline import Timeline
from comity.crdt_types.update import EMPTY_UPDATE

from ..history.line import Line
from ..history.source import RoomSource
from .replica import HISTORY, LocalReplica, VersionReplica
from .versionfile import PAGE_BYTES, Made, Named, VersionFile

# Bytes of a message that are no versions, and of a version that are not its update, with room to spare.
_HEAD: Final = 1024
_ROW: Final = 512


_Page = list[tuple[str, int, bytes]]


class Moved(NamedTuple):
    """What became of a history that was promoted or demoted.

    Attributes:
        room: the room that it is now.
        versions: how many versions were brought there; at most 1 if it was merged, 0 if it had everything.
        checkpoints: how many names for versions.
        merged: whether there was something already, with which it was merged as one version.
    """

    room: str
    versions: int
    checkpoints: int
    merged: bool


# To the server --------------------------------------------------------------------------------------------------


async def promote(replica: VersionReplica, url: str, room: str, *, merge: bool = False) -> Moved:
    """Let a room begin with the history of a local tier, which stays as it is.

    Versions keep their authors and times, and their numbers unless older ones were folded: what is left of those comes
    first then. The room has all of them or none.

    Args:
        replica: the tier's replica.
        url: the server's address.
        room: the room, which nobody has written to.
        merge: whether a room that was written to takes the state as one version, merged with what is there.

    Raises:
        NameTakenError: the room was written to, and nothing is to be merged.
        TooLargeError: one version is larger than a message may be, or all of them are larger than a server takes.
        StaleVersionError: some of the history went meanwhile: its time was over, or it was erased.
        ComityError: of another class, as the server or the network says; if the connection was lost at the end, the
            room may be there.
    """
    await replica.saved()
    async with Line(url, room, replica.agent) as line:
        try:
            return await _begin(line, room, replica)
        except NameTakenError:
            if not merge:
                raise
        source = RoomSource(line)
        before = await source.span()
        await line.hand_in(replica.document.update_since())
        return Moved(room, int((await source.span()).last > before.last), 0, merged=True)


async def _begin(line: Line, room: str, replica: VersionReplica) -> Moved:
    async with replica.versions() as file:
        outgoing = await Outgoing.of(file, replica.agent)
    limit = line.welcome.limits.get("message", PAGE_BYTES) - _HEAD
    count = 0
    page: _Page = []
    async for following in outgoing.pages(replica, limit):
        if page:
            count = await line.call("begin", after=count, records=page)
        page = following
    if not page:
        raise InvalidValueError("nothing was written to it yet", subject=f"room {replica.room!r}")
    named = outgoing.checkpoints()
    versions: int = await line.call("begin", after=count, records=page, checkpoints=named)
    return Moved(room, versions, len(named), merged=False)


class Outgoing:
    """The history of a local tier as a room is to begin with it: its versions, counted from 1.

    States older than the oldest version that is kept come first, each as the version that made it of the one before.
    """

    def __init__(self, agent: str, anchors: dict[int, int], first: int, last: int, named: list[Named]) -> None:
        self._agent = agent
        self._anchors = anchors  # the time of each state that is kept without the versions that led to it
        self._first = first
        self._last = last
        self._named = named

    @classmethod
    async def of(cls, file: VersionFile, agent: str) -> "Outgoing":
        """Return that of a file."""
        span, named = await file.span(), await file.checkpoints()
        next_rows = await file.rows(span.first, 1)
        latest = next_rows[0][2] if next_rows else wall_ms()
        anchors = {each.number: min(each.at, latest) for each in named if each.number < span.first}
        if (await file.base(span.first)).state != EMPTY_UPDATE:
            folded = await file.folded_at()
            anchors[span.first] = latest if folded is None else min(folded, latest)
        return cls(agent, anchors, span.first, span.last, named)

    async def pages(self, replica: VersionReplica, limit: int) -> AsyncGenerator[_Page]:
        """Yield the versions a page at a time, the last of which may have none.

        Args:
            replica: the tier's replica.
            limit: the bytes that a page may have.

        Raises: TooLargeError, if a version has more; StaleVersionError, if one of them went meanwhile.
        """
        page: _Page = []
        room = min(limit, PAGE_BYTES)
        async for made in self.versions(replica):
            size = len(made.update) + _ROW
            if size > limit:
                raise TooLargeError(
                    f"a version of {len(made.update):,} bytes, over the limit of a message",
                    subject=f"room {replica.room!r}",
                    remedy="start the server with a larger --max-message; nothing was changed",
                )
            if page and size > room:
                yield page
                page, room = [], min(limit, PAGE_BYTES)
            page.append((made.author, made.at, made.update))
            room -= size
        yield page

    async def versions(self, replica: VersionReplica) -> AsyncGenerator[Made]:
        """Yield the versions. Raises StaleVersionError, if one of them went meanwhile."""
        before, at = EMPTY.state, 0
        for number in sorted(self._anchors):
            async with replica.versions() as file:
                if (await file.base(number)).version != number:
                    raise _gone(replica, number)
                state = await file.state(number)
            at = max(at, self._anchors[number])
            yield Made(pycrdt.get_update(state, pycrdt.get_state(before)), self._agent, at)
            before = state
        after = self._first
        while after < self._last:
            async with replica.versions() as file:
                page = await file.records(after, self._last - after)
            if not page or page[0].version != after + 1:
                raise _gone(replica, after + 1)
            for record in page:
                yield Made(record.update, record.author, record.at)
            after = page[-1].version

    def checkpoints(self) -> list[tuple[str | int, ...]]:
        """Return the names of versions, as these are counted."""
        return [tuple(each._replace(number=self._counted(each.number))) for each in self._named]

    def _counted(self, number: int) -> int:
        anchors = sorted(self._anchors)
        if number <= self._first:
            return anchors.index(number) + 1
        return number - self._first + len(anchors)


def _gone(replica: VersionReplica, number: int) -> StaleVersionError:
    return StaleVersionError(
        f"version {number} went while it was on its way",
        subject=f"room {replica.room!r}",
        remedy="promote it once more",
    )


# To this machine ------------------------------------------------------------------------------------------------


async def demote(
    url: str,
    room: str,
    local: str,
    *,
    agent: str,
    directory: Path,
    merge: bool = False,
    history: timedelta | None = HISTORY,
) -> Moved:
    """Bring the history of a room to this machine's disk; the room stays as it is.

    Versions keep their numbers, authors and times. The file has all of them or none.

    Args:
        url: the server's address.
        room: the room.
        local: the local tier's room, which nobody has written to.
        agent: who asks.
        directory: where local files lie.
        merge: whether a local tier that was written to takes the state as one version, merged with what is there.
        history: how long a local tier that is merged with keeps its versions; None is for good.

    Raises:
        NameTakenError: the local tier was written to, and nothing is to be merged.
        InvalidValueError: nobody has written to the room.
        StorageError: the local file is open, or cannot be written.
        ComityError: of another class, as the server or the network says.
    """
    async with Line(url, room, agent) as line:
        source = RoomSource(line)
        span = await source.span()
        if not span.last:
            raise InvalidValueError("nobody has written to it", subject=line.subject)
        try:
            return await _fetch(line, source, local, directory)
        except NameTakenError:
            if not merge:
                raise
        state = await Timeline(source).state(span.last)
    async with LocalReplica(url, local, agent=agent, directory=directory, history=history) as replica:
        before = replica.document.update_since()
        replica.take_own(state)
        await replica.saved()
        return Moved(local, int(replica.document.update_since() != before), 0, merged=True)


async def _fetch(line: Line, source: RoomSource, local: str, directory: Path) -> Moved:
    rows = await line.call("checkpoints")  # before the span: what is named later may lie beyond it
    span = await source.span()
    base = await source.base(span.first) if span.first else EMPTY
    named: list[tuple[Named, bytes | None]] = []
    for name, number, kind, author, at, note in rows:
        state = (await source.base(number)).state if number < span.first else None
        named.append((Named(name, number, kind, author, at, note), state))
    async with VersionFile(directory, local) as file:
        versions = await file.fill(base, source.pages(span.first, span.last), named)
    return Moved(local, versions, len(named), merged=False)
