"""A local line: answers what is asked about the past of a local tier, from its file."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from comity.crdt_types.document.clock import wall_ms
from comity.crdt_types.errors import InvalidValueError, StaleVersionError

from .replica import VersionReplica
from .versionfile import Named, VersionFile

# Those of a server, so that what is promoted to it has names that it takes.
KINDS: Final = ("manual", "automatic", "milestone", "backup")
MAX_NAME: Final = 200
MAX_NOTE: Final = 4096


class LocalLine:
    """Answers the calls of docs/protocol.md that a local tier has answers to; an `Asked`.

    Args:
        replica: the tier's replica, which must be open.
    """

    def __init__(self, replica: VersionReplica) -> None:
        self.subject: Final = f"room {replica.room!r}"
        self.principal: Final = replica.agent
        self._replica = replica
        self._methods: dict[str, Callable[..., Awaitable[Any]]] = {
            "head": self._head,
            "versions": self._rows,
            "records": self._records,
            "base": self._base,
            "version_at": self._version_at,
            "checkpoints": self._checkpoints,
            "checkpoint": self._checkpoint,
            "drop_checkpoint": self._drop_checkpoint,
        }

    async def call(self, method: str, **params: Any) -> Any:
        """Return what a call is answered. Raises StorageError, and what else the call says."""
        if method in ("head", "checkpoint"):
            await self._replica.saved()  # the newest version is that of all edits so far
        async with self._replica.versions() as file:
            return await self._methods[method](file, **params)

    async def hand_in(self, update: bytes) -> None:
        """Make an update a version, and return once it is on disk."""
        self._replica.take_own(update)
        await self._replica.saved()

    async def _head(self, file: VersionFile) -> Any:
        span = await file.span()
        return {"seq": span.last, "first": span.first, "lineage": ""}

    async def _rows(self, file: VersionFile, after: int, limit: int) -> Any:
        return await file.rows(after, limit)

    async def _records(self, file: VersionFile, after: int, limit: int) -> Any:
        return [(each.version, each.author, each.at, each.update) for each in await file.records(after, limit)]

    async def _base(self, file: VersionFile, seq: int) -> Any:
        base = await file.base(seq)
        return base if base.version else (0, None)

    async def _version_at(self, file: VersionFile, at_ms: int) -> Any:
        return await file.version_at(at_ms)

    async def _checkpoints(self, file: VersionFile) -> Any:
        return await file.checkpoints()

    async def _checkpoint(self, file: VersionFile, name: str, seq: int | None, kind: str, note: str) -> Any:
        self._check(name, kind, note)
        checkpoint = Named(name, await self._reached(file, seq), kind, self.principal, wall_ms(), note)
        await file.add_checkpoint(checkpoint)
        return checkpoint

    async def _drop_checkpoint(self, file: VersionFile, name: str) -> Any:
        return await file.drop_checkpoint(name)

    async def _reached(self, file: VersionFile, seq: int | None) -> int:
        """Return a version whose state can be had, the newest for None. Raises StaleVersionError."""
        span = await file.span()
        number = span.last if seq is None else seq
        if not span.last:
            raise StaleVersionError("it was never written to", subject=self.subject, remedy="write to it first")
        if not span.first <= number <= span.last and (await file.base(number)).version != number:
            raise StaleVersionError(
                f"version {number} cannot be had", subject=self.subject, remedy="choose one that its history still has"
            )
        return number

    def _check(self, name: str, kind: str, note: str) -> None:
        if not name or not name.isprintable() or len(name.encode(errors="replace")) > MAX_NAME:
            raise InvalidValueError(
                "not a name for a checkpoint",
                subject=self.subject,
                remedy=f"use at most {MAX_NAME} bytes of printable characters",
            )
        if kind not in KINDS:
            raise InvalidValueError(
                f"not a kind of checkpoint: {kind!r:.60}", subject=self.subject, remedy=f"use one of {', '.join(KINDS)}"
            )
        if len(note.encode(errors="replace")) > MAX_NOTE:
            raise InvalidValueError(
                "the checkpoint's note is too long", subject=self.subject, remedy=f"use at most {MAX_NOTE:,} bytes"
            )
