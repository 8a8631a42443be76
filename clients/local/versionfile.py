"""A file of a local tier: a replica's file in which every version of the document stays, and not the last one alone."""

import asyncio
import os
from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pycrdt

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.document.edits import Edit
from comity.crdt_types.document.listeners import Callbacks
from comity.crdt_types.errors import NameTakenError
from comity.crdt_types.history.record import EMPTY, Base, Span, VersionRecord
from comity.crdt_types.update import EMPTY_UPDATE

from ..localfile import SCHEMA, VERSIONED, LocalFile, Restored, last_number

# Versions in a page, like those of a server: some forty bytes each, and what they changed.
PAGE: Final = 1000
# Bytes of updates in a page; far less than memory, and reading more at once is no faster.
PAGE_BYTES: Final = 4 * 1024 * 1024

_VERSIONS: Final = """
CREATE TABLE versions (number INTEGER PRIMARY KEY, author TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE states (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE checkpoints (
    name TEXT PRIMARY KEY, number INTEGER NOT NULL, kind TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL,
    note TEXT NOT NULL
) WITHOUT ROWID;
"""
_ADD_VERSION: Final = "INSERT INTO versions (number, author, at, body) VALUES (?, ?, ?, ?)"
_ADD_STATE: Final = "INSERT OR REPLACE INTO states (number, body) VALUES (?, ?)"
_ADD_CHECKPOINT: Final = "INSERT INTO checkpoints (name, number, kind, author, at, note) VALUES (?, ?, ?, ?, ?, ?)"
_SPAN: Final = """
SELECT (SELECT min(number) - 1 FROM versions), max(ifnull((SELECT max(number) FROM versions), 0),
                                                   ifnull((SELECT max(number) FROM states), 0))
"""
# A checkpoint's own state goes with it, unless the log or the document begins with that.
_DROP_STATE: Final = """
DELETE FROM states WHERE number = ? AND number NOT IN (SELECT number FROM checkpoints)
AND number NOT IN (SELECT max(number) FROM states) AND number NOT IN (SELECT min(number) - 1 FROM versions)
"""


# The key in meta of the time, in ms, of the state that the log begins with.
_FOLDED: Final = "folded"

Checkpoints = Iterable[tuple["Named", bytes | None]]


class Made(NamedTuple):
    """A version that has no number yet: what it changed, who made it, and when in ms since the Unix epoch."""

    update: bytes
    author: str
    at: int


class Named(NamedTuple):
    """A checkpoint as it is kept: its name, the version, its kind, who made it, when in ms, and a note."""

    name: str
    number: int
    kind: str
    author: str
    at: int
    note: str


class VersionFile(LocalFile):
    """The file of a local tier, which keeps the versions of its document.

    The document is the last state that is kept whole, and the versions after it. Calls must not overlap: whoever shares
    the file holds one lock around each of them.

    Args:
        directory: where the files of all rooms lie; made if absent.
        room: the room's name.
        history: how long versions are kept; None is for good.

    Attributes:
        anew: called where the history begins anew: what was read of it before is nothing to keep.

    Raises: StorageError, from every method, if the file cannot be read or written.
    """

    def __init__(self, directory: Path, room: str, history: timedelta | None = None) -> None:
        super().__init__(directory, room)
        self.anew = Callbacks()
        self.last_at = 0  # when the last version was made, as of opening
        self._history_ms = None if history is None else history // timedelta(milliseconds=1)

    async def _make_ready(self, version: int) -> None:
        if version == 0:
            await self._db.executescript(f"BEGIN;{SCHEMA}{_VERSIONS}PRAGMA user_version = {VERSIONED};COMMIT;")
        elif version != VERSIONED:
            await self._begin_versions()

    async def _begin_versions(self) -> None:
        """Make the document of a file that kept none the first version."""
        updates = [body for (body,) in await self._rows("SELECT body FROM updates ORDER BY seq")]
        await self._db.execute("BEGIN")
        for statement in _VERSIONS.split(";")[:-1]:
            await self._db.execute(statement)
        if updates:
            await self._db.execute(_ADD_VERSION, (1, "", wall_ms(), compacted(updates)))
        await self._db.execute("DELETE FROM updates")
        await self._db.execute(f"PRAGMA user_version = {VERSIONED}")
        await self._db.commit()

    # Writing ----------------------------------------------------------------------------------------------------

    async def restore(self) -> Restored:
        """Read everything back, and forget the versions whose time is over."""
        kept = await super().restore()
        await self.retire()
        span = await self.span()
        base = await self.base(span.last)
        async with self._explained():
            rows = await self._rows("SELECT body FROM versions WHERE number > ? ORDER BY number", base.version)
            ((last_at,),) = await self._rows("SELECT ifnull(max(at), 0) FROM versions")
        self.last_at = max(last_at, await self.folded_at() or 0)
        return kept._replace(updates=[base.state, *(body for (body,) in rows)])

    async def record(
        self, made: Sequence[Made], edits: Iterable[tuple[int, Edit]], number: int, state: bytes | None = None
    ) -> None:
        """Write versions and the edits behind them, on disk when it returns.

        Args:
            made: the versions.
            edits: those that the server has not acknowledged, with their numbers.
            number: that of the last local update.
            state: the whole document after these versions, if it shall be kept.
        """
        async with self._explained():
            last = (await self.span()).last
            await self._insert_versions(last, made)
            if state is not None:
                await self._db.execute(_ADD_STATE, (last + len(made), state))
            await self._insert_edits(edits)
            await self._set("number", number)
            await self._db.commit()

    async def _insert_versions(self, after: int, made: Sequence[Made]) -> None:
        rows = [(after + nth, each.author, each.at, each.update) for nth, each in enumerate(made, 1)]
        await self._db.executemany(_ADD_VERSION, rows)

    async def _replace(self, state: bytes, edits: Iterable[tuple[int, Edit]], number: int) -> None:
        """Write a state that is not the sum of the versions: they end, and the history begins anew with it.

        Numbers go on, so that nobody takes one version for another.
        """
        last = (await self.span()).last
        for table in ("versions", "states", "checkpoints", "edits"):
            await self._db.execute(f"DELETE FROM {table}")
        await self._db.execute(_ADD_STATE, (last + 1, state))
        await self._set(_FOLDED, wall_ms())
        self.anew.call()
        await self._insert_edits(edits)
        await self._set("number", number)

    async def keep_aside(self, state: bytes, edits: list[tuple[int, Edit]]) -> Path:
        """Write the versions, and after them a document and its unacknowledged edits, to a new file beside this one."""
        aside = VersionFile(self.path.parent, "")
        async with self._put_aside(aside):
            await aside._go_on_with(state, edits)
        return aside.path

    async def _copy_to(self, path: Path) -> None:
        async with self._explained():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))  # SQLite would let others read it
            await self._db.execute("VACUUM INTO ?", (str(path),))

    async def _go_on_with(self, state: bytes, edits: list[tuple[int, Edit]]) -> None:
        """Make what a document has that the versions have not another version, of nobody in particular."""
        before = await self.state((await self.span()).last)
        rest = pycrdt.get_update(state, pycrdt.get_state(before))
        is_new = compacted([before, rest]) != compacted([before])
        async with self._explained():
            await self._db.execute("DELETE FROM edits")
        await self.record([Made(rest, "", wall_ms())] if is_new else [], edits, last_number(edits))

    async def fill(
        self,
        base: Base,
        pages: AsyncIterable[Sequence[VersionRecord]],
        checkpoints: Checkpoints,
    ) -> int:
        """Write the history of another document, whole or not at all, and return how many versions that are.

        Args:
            base: the state before the first version.
            pages: the versions.
            checkpoints: names of versions, each with the state as of one that is older than those.

        Raises: NameTakenError, if something was written here before; whatever the pages raise.
        """
        if not await self._is_empty():
            raise NameTakenError(
                "there is something of that name already",
                subject=str(self.path),
                remedy="choose another name, or let the two be merged",
            )
        try:
            return await self._fill(base, pages, checkpoints)
        except BaseException:
            with suppress(ValueError):  # closed meanwhile
                await self._db.rollback()
            raise

    async def _fill(
        self,
        base: Base,
        pages: AsyncIterable[Sequence[VersionRecord]],
        checkpoints: Checkpoints,
    ) -> int:
        count, at = 0, 0
        kept = await super().restore()
        await self._execute("DELETE FROM states", ())
        if base.version:
            await self._execute(_ADD_STATE, base)
        async for page in pages:
            made = []
            for record in page:
                at = max(at, record.at)  # a server whose clock was set back notes times out of order
                made.append(Made(record.update, record.author, at))
            async with self._explained():
                await self._insert_versions(page[0].version - 1, made)
            count += len(page)
        for checkpoint, state in checkpoints:
            await self._execute(_ADD_CHECKPOINT, checkpoint)
            whole = await self.state(checkpoint.number) if state is None else state
            await self._execute(_ADD_STATE, (checkpoint.number, whole))
        async with self._explained():
            # So that a server which this is backed up to is waited for, whatever it had of one that was erased.
            await self._set("number", kept.acknowledged + 1)
            await self._set(_FOLDED, at or wall_ms())
            await self._db.commit()
        return count

    async def _is_empty(self) -> bool:
        """Tell whether nothing was written since the beginning, or since everything was erased."""
        span = await self.span()
        return span.first == span.last and (await self.base(span.last)).state == EMPTY_UPDATE

    async def _execute(self, sql: str, values: Sequence[Any]) -> None:
        async with self._explained():
            await self._db.execute(sql, values)

    async def retire(self) -> None:
        """Forget the versions whose time is over, but for the last state of them, and those that have names."""
        if self._history_ms is None:
            return
        end = await self.version_at(wall_ms() - self._history_ms)
        if end <= (await self.span()).first:
            return
        state = await self.state(end)
        async with self._explained():
            await self._db.execute(_ADD_STATE, (end, state))
            ((at,),) = await self._rows("SELECT at FROM versions WHERE number = ?", end)
            await self._set(_FOLDED, at)
            await self._db.execute("DELETE FROM versions WHERE number <= ?", (end,))
            await self._db.execute(
                "DELETE FROM states WHERE number < ? AND number NOT IN (SELECT number FROM checkpoints)", (end,)
            )
            await self._db.commit()

    # Reading ----------------------------------------------------------------------------------------------------

    async def span(self) -> Span:
        """Return which versions there are."""
        async with self._explained():
            ((first, last),) = await self._rows(_SPAN)
        return Span(last if first is None else first, last)

    async def version_at(self, at: int) -> int:
        """Return the last version that was made at a moment or before, in ms since the epoch; 0 if none is kept."""
        async with self._explained():
            ((number,),) = await self._rows("SELECT ifnull(max(number), 0) FROM versions WHERE at <= ?", at)
        if not number and (folded := await self.folded_at()) is not None and folded <= at:
            return (await self.span()).first
        return int(number)

    async def folded_at(self) -> int | None:
        """Return when the state was made that the log begins with, in ms since the Unix epoch; None if nobody knows."""
        async with self._explained():
            rows = await self._rows("SELECT value FROM meta WHERE key = ?", _FOLDED)
        return int(rows[0][0]) if rows else None

    async def base(self, version: int) -> Base:
        """Return the nearest whole state at a version or before; `EMPTY` if there is none."""
        async with self._explained():
            rows = await self._rows(
                "SELECT number, body FROM states WHERE number <= ? ORDER BY number DESC LIMIT 1", version
            )
        return Base(*rows[0]) if rows else EMPTY

    async def records(self, after: int, limit: int = PAGE) -> list[VersionRecord]:
        """Return at most so many versions after one, of at most PAGE_BYTES together unless the first alone has more."""
        sizes = [size for _number, _author, _at, size in await self.rows(after, limit)]
        count = _fitting(sizes)
        async with self._explained():
            rows = await self._rows(
                "SELECT number, body, author, at FROM versions WHERE number > ? ORDER BY number LIMIT ?", after, count
            )
        return [VersionRecord(*row) for row in rows]

    async def rows(self, after: int, limit: int = PAGE) -> list[tuple[int, str, int, int]]:
        """Return what is known of at most so many versions after one, but for what they changed; and their sizes."""
        async with self._explained():
            return await self._rows(
                "SELECT number, author, at, length(body) FROM versions WHERE number > ? ORDER BY number LIMIT ?",
                after,
                min(limit, PAGE),
            )

    async def state(self, version: int) -> bytes:
        """Return the whole document as of a version that is kept."""
        base = await self.base(version)
        parts, at = [base.state], base.version
        while at < version:
            page = [record for record in await self.records(at) if record.version <= version]
            if not page:
                break
            parts += [record.update for record in page]
            at = page[-1].version
        return parts[0] if len(parts) == 1 else await asyncio.to_thread(compacted, parts)

    # Checkpoints ------------------------------------------------------------------------------------------------

    async def checkpoints(self) -> list[Named]:
        """Return the names of versions, the oldest version first."""
        async with self._explained():
            rows = await self._rows("SELECT name, number, kind, author, at, note FROM checkpoints ORDER BY number, at")
        return [Named(*row) for row in rows]

    async def add_checkpoint(self, checkpoint: Named) -> None:
        """Give a version that is kept a name, and keep its state whole. Raises NameTakenError."""
        if any(each.name == checkpoint.name for each in await self.checkpoints()):
            raise NameTakenError(
                f"there is a checkpoint {checkpoint.name!r} already",
                subject=str(self.path),
                remedy="choose another name, or delete that one",
            )
        state = await self.state(checkpoint.number)
        async with self._explained():
            await self._db.execute(_ADD_STATE, (checkpoint.number, state))
            await self._db.execute(_ADD_CHECKPOINT, checkpoint)
            await self._db.commit()

    async def drop_checkpoint(self, name: str) -> bool:
        """Delete a name, not the version; returns whether there was one."""
        async with self._explained():
            rows = await self._rows("SELECT number FROM checkpoints WHERE name = ?", name)
            await self._db.execute("DELETE FROM checkpoints WHERE name = ?", (name,))
            for row in rows:
                await self._db.execute(_DROP_STATE, row)
            await self._db.commit()
        return bool(rows)


def compacted(updates: Sequence[bytes]) -> bytes:
    """Return the document that some updates make up, as one update."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    for update in updates:
        doc.apply_update(update)
    return doc.get_update()


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many of the first versions go into one page."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > PAGE_BYTES:
            return count
    return len(sizes)
