"""Moments: which version of a room is meant by a number, the name of a checkpoint, or a time."""

from datetime import datetime
from typing import Final

from comity.crdt_types.errors import StaleVersionError
from comity.crdt_types.history.record import Span, milliseconds

from .asked import Asked
from .results import Checkpoint
from .source import RoomSource

Moment = int | str | datetime
"""A version: by its number, by the name of a checkpoint, or the last one at a time, which must say its time zone."""


class Moments:
    """Finds the versions of a room. Methods raise StaleVersionError, InvalidValueError, and what `Line.call` does.

    Args:
        line: who is asked.
        source: the room's history, over that line.
    """

    def __init__(self, line: Asked, source: RoomSource) -> None:
        self._line: Final = line
        self._source: Final = source

    async def version(self, when: Moment) -> int:
        """Return the version that is meant."""
        if isinstance(when, str):
            return await self._named(when)
        return await self._at(when) if isinstance(when, datetime) else when

    async def _at(self, when: datetime) -> int:
        """Return the last version at a time. What came before the oldest that is kept is not nothing: nobody knows."""
        version, span = await self._source.version_at(milliseconds(when)), await self._source.span()
        if version < span.first:
            raise StaleVersionError(
                f"what it was at {when} is not kept",
                subject=self._line.subject,
                remedy=f"ask for a version from {span.first} to {span.last}",
            )
        return version

    async def stretch(self, since: Moment | None, until: Moment | None) -> tuple[int, int]:
        """Return the version before the first one that is meant, and the last one.

        Args:
            since: the version before the first one, or the time from which on; from the oldest if None.
            until: the last version, or the time up to which; the newest if None.
        """
        span = await self._source.span()
        end = span.last if until is None else self._kept(await self._edge(until), span, until)
        start = span.first if since is None else self._kept(await self._edge(since, before=True), span, since)
        return start, max(start, end)

    async def _edge(self, when: Moment, *, before: bool = False) -> int:
        """Return the version that is meant, or, of a time, the last one up to it, or before it."""
        if isinstance(when, datetime):
            return await self._source.version_at(milliseconds(when) - before)
        return await self.version(when)

    async def checkpoints(self) -> list[Checkpoint]:
        """Return the room's checkpoints, the oldest version first."""
        return [Checkpoint.of(row) for row in await self._line.call("checkpoints")]

    async def _named(self, name: str) -> int:
        for checkpoint in await self.checkpoints():
            if checkpoint.name == name:
                return checkpoint.version
        raise StaleVersionError(
            f"there is no checkpoint {name!r}",
            subject=self._line.subject,
            remedy="see which there are by checkpoints()",
        )

    def _kept(self, version: int, span: Span, when: Moment) -> int:
        """Return a version that is kept; of a time, the oldest that is."""
        if isinstance(when, datetime):
            return max(version, span.first)
        if not span.first <= version <= span.last:
            raise StaleVersionError(
                f"there is no version {version}",
                subject=self._line.subject,
                remedy=f"ask for one from {span.first} to {span.last}",
            )
        return version
