"""The source of a room's history: its server, asked page by page."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from comity.crdt_types.errors import StaleVersionError
from comity.crdt_types.history.record import EMPTY, Base, Span, VersionRecord
from comity.crdt_types.varint import MAX_VARINT

from .asked import Asked

# More come in no answer: the server says so. One of them is some forty bytes and an agent's name.
PAGE: Final = 1000
# A few answers of the largest size: whoever asks for neighbouring versions asks for the same records again and again.
KEPT_BYTES: Final = 16 * 1024 * 1024

_Row = tuple[int, str, int, int]  # version, author, milliseconds, bytes
_Answer = Base | list[VersionRecord]


class RoomSource:
    """Reads a room's history over a line; a `HistorySource`.

    What a version was never changes, so states and records that were read lately are kept, up to KEPT_BYTES of them.
    Every method raises what `Line.call` does.

    Args:
        line: who is asked.
    """

    def __init__(self, line: Asked) -> None:
        self._line = line
        self._kept: OrderedDict[tuple[str, int], tuple[int, _Answer]] = OrderedDict()
        self._kept_bytes = 0

    async def span(self) -> Span:
        """Return which versions there are; whatever was sent to the room before is in them."""
        head = await self._line.call("head")
        return Span(head["first"], head["seq"])

    async def version_at(self, at: int) -> int:
        """Return the last version that was taken at a moment or before, in ms since the Unix epoch; 0 if none was."""
        version: int = await self._line.call("version_at", at_ms=max(at, 0))
        return version

    async def base(self, version: int) -> Base:
        """Return the nearest whole state at a version or before; `EMPTY` if there is none."""
        kept = self._recall("base", version)
        if isinstance(kept, Base):
            return kept
        seq, state = await self._line.call("base", seq=min(version, MAX_VARINT))
        base = EMPTY if state is None else Base(seq, state)
        self._keep("base", version, base, len(base.state))
        return base

    async def records(self, after: int, until: int) -> Sequence[VersionRecord]:
        """Return the next records after one version, up to another: a page, or none if there are none."""
        kept = self._recall("records", after)
        if isinstance(kept, list):
            return kept[: max(until - after, 0)]
        rows = await self._line.call("records", after=after, limit=min(until - after, PAGE))
        page = [VersionRecord(seq, update, author, at) for seq, author, at, update in rows]
        if page:
            self._keep("records", after, page, sum(len(record.update) for record in page))
        return page

    async def pages(self, after: int, until: int) -> AsyncGenerator[Sequence[VersionRecord]]:
        """Yield all records after one version, up to another; raises StaleVersionError if one is not kept."""
        while after < until:
            page = await self.records(after, until)
            if not page or page[0].version != after + 1:
                raise StaleVersionError(f"version {after + 1} is not kept", subject=self._line.subject)
            yield page
            after = page[-1].version

    async def rows(self, after: int, until: int) -> list[_Row]:
        """Return what is known of a page of the versions after one, up to another, but for what they changed."""
        rows = await self._line.call("versions", after=after, limit=min(until - after, PAGE))
        return [(version, author, at, size) for version, author, at, size in rows]

    # What was read lately ---------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._kept.clear()
        self._kept_bytes = 0

    def _recall(self, what: str, version: int) -> _Answer | None:
        if (what, version) not in self._kept:
            return None
        self._kept.move_to_end((what, version))
        return self._kept[what, version][1]

    def _keep(self, what: str, version: int, answer: _Answer, size: int) -> None:
        replaced, _ = self._kept.pop((what, version), (0, answer))  # two tasks may have asked at once
        self._kept[what, version] = size, answer
        self._kept_bytes += size - replaced
        while self._kept_bytes > KEPT_BYTES:
            _, (gone, _) = self._kept.popitem(last=False)
            self._kept_bytes -= gone
