"""The error log of a system: the latest errors one by one, and all of them by what they have in common."""

import logging
import re
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final

from comity.crdt_types.errors import ComityError

from ...tiers.tier import Tier
from .audit import Trail
from .document import ErrorGroupState, SystemState
from .rows import row_of
from .values import ErrorGroup, ErrorRecord

logger = logging.getLogger("comity")

KEPT_ERRORS: Final = 1_000  # the latest: what somebody may still look through; the groups count all
KEPT_FOR: Final = timedelta(days=30)  # a month: longer than it takes until an error of last week is asked about
KEPT_GROUPS: Final = 500  # so many kinds of errors nobody reads; what was not seen for the longest time goes first
MAX_MESSAGE: Final = 2_000  # characters of a message and of a detail: a page; what is longer is cut, with dots

_VARYING: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", re.IGNORECASE)  # addresses, ids, numbers


class ErrorLog:
    """Records errors, and tells of them.

    Args:
        tier: the tier that holds the system's state.
        trail: where it is noted that errors were cleared; that they happened is its own record.
        keep: how many errors are kept one by one.
        keep_for: how long errors and their groups are kept.
    """

    def __init__(self, tier: Tier[SystemState], trail: Trail, keep: int, keep_for: timedelta) -> None:
        self._tier = tier
        self._log = tier.state.errors
        self._groups = tier.state.error_groups
        self._trail = trail
        self._keep = keep
        self._keep_for = keep_for

    def record(self, error: BaseException | str, *, part: str = "", kind: str = "", detail: str = "") -> ErrorRecord:
        """Record an error, in one transaction with what becomes of older ones.

        Args:
            error: what was raised, or a message.
            part: where it happened.
            kind: what sort of error it is; the class of what was raised if empty.
            detail: what else there is to say; the place in the program where it was raised if empty.
        """
        if isinstance(error, BaseException):
            kind, detail = kind or type(error).__name__, detail or _place(error)
        message = _cut(str(error))
        record = ErrorRecord(
            at=self._trail.clock(),
            by=self._trail.agent,
            part=part,
            kind=kind,
            message=message,
            detail=_cut(detail),
            fingerprint=fingerprint(part, kind, message),
        )
        with self._tier.transaction():
            self._log.append(record)
            is_new = self._count(record)
            self._prune_log()
            if is_new:  # else no group is more, and the walk over all of them may wait
                self._prune_groups()
        return record

    @contextmanager
    def recording(self, part: str = "") -> Generator[None]:
        """Record what the block raises, and let it go on, also if it could not be recorded: that is logged."""
        try:
            yield
        except Exception as error:
            try:
                self.record(error, part=part)
            except ComityError:
                logger.exception("an error could not be recorded")
            raise

    def _count(self, record: ErrorRecord) -> bool:
        """Count an error in its group; return whether that is a new one."""
        is_new = record.fingerprint not in self._groups
        group = row_of(self._groups, record.fingerprint, ErrorGroupState)
        if is_new:
            group.assign({"part": record.part, "kind": record.kind, "message": record.message, "first": record.at})
        if record.at > group.last.get(0):
            group.last.set(record.at)
        group.count.add()
        return is_new

    def prune(self) -> None:
        """Forget errors and groups that are more, or older, than is kept; `record` does so as far as it is due."""
        with self._tier.transaction():
            self._prune_log()
            self._prune_groups()

    def _oldest(self) -> int:
        return self._trail.clock() - self._keep_for // timedelta(milliseconds=1)

    def _prune_log(self) -> None:
        self._log.prune(min(self._keep, len(self._log) - self._older(self._oldest())))

    def _prune_groups(self) -> None:
        oldest, groups = self._oldest(), sorted(self._groups.items(), key=lambda item: item[1].last.get(0))
        for number, (name, group) in enumerate(groups):
            if len(groups) - number > KEPT_GROUPS or group.last.get(0) < oldest:
                del self._groups[name]

    def _older(self, oldest: int) -> int:
        """Return how many errors at the beginning of the log happened before a time."""
        for number in range(len(self._log)):
            record: object = self._log[number]
            if isinstance(record, ErrorRecord) and record.at >= oldest:
                return number
        return len(self._log)

    def latest(self, limit: int | None = None, *, part: str | None = None) -> list[ErrorRecord]:
        """Return the errors that are kept, the newest first.

        Args:
            limit: how many at most; all if None.
            part: where they happened; anywhere if None.
        """
        stored: Iterator[object] = reversed(self._log)  # what does not fit is read as it is stored
        fitting = (record for record in stored if isinstance(record, ErrorRecord))
        return list(islice((record for record in fitting if part is None or record.part == part), limit))

    def groups(self) -> list[ErrorGroup]:
        """Return what happened by what it has in common, the most frequent first."""
        found = [_group(name, row) for name, row in self._groups.items()]
        return sorted(found, key=lambda group: (-group.count, -group.last))

    def clear(self, fingerprint: str | None = None, *, why: str = "") -> int:
        """Forget the errors of a group, or all, and note who did; returns how many there were, as the groups count.

        Those of one group stay in the log of single errors, until it is pruned: a log has no holes.
        """
        names = [name for name in self._groups if fingerprint in (None, name)]
        total = sum([self._groups[name].count.value for name in names])
        if names:
            with self._tier.transaction():
                for name in names:
                    del self._groups[name]
                if fingerprint is None:
                    self._log.prune(0)
                self._trail.note("errors" if fingerprint is None else f"errors.{fingerprint}", total, None, why)
        return total


def fingerprint(part: str, kind: str, message: str) -> str:
    """Return what errors have in common that differ in numbers, ids and addresses only."""
    return sha256("\0".join((part, kind, _VARYING.sub("#", message))).encode("utf-8", "replace")).hexdigest()[:16]


def _group(name: str, row: ErrorGroupState) -> ErrorGroup:
    return ErrorGroup(
        name,
        row.part.get(""),
        row.kind.get(""),
        row.message.get(""),
        row.count.value,
        row.first.get(0),
        row.last.get(0),
    )


def _place(error: BaseException) -> str:
    """Return where something was raised: the innermost file, line and function."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be stored
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 3]}..."
