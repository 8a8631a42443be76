"""The audit trail: who changed what, from what to what, and why."""

from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from comity.crdt_types.errors import InvalidValueError

from ...tiers.tier import Tier
from .document import SystemState
from .values import AuditEntry

KEPT_ENTRIES: Final = 10_000  # some megabytes, and years of a system that people configure; the room's history has all

Clock = Callable[[], int]


def milliseconds(moment: datetime) -> int:
    """Return a time in milliseconds since 1970; raises InvalidValueError if it has no time zone."""
    if moment.tzinfo is None:
        raise InvalidValueError(f"{moment} has no time zone", subject="time", remedy="use datetime.now(UTC)")
    return round(moment.timestamp() * 1000)


class Trail:
    """Notes changes, in the transaction that makes them, and lists them.

    Args:
        tier: the tier that holds the system's state.
        clock: tells the time.
        keep: how many entries are kept.
    """

    def __init__(self, tier: Tier[SystemState], clock: Clock, keep: int) -> None:
        self.clock = clock
        self.agent = tier.replica.agent
        self._log = tier.state.audit
        self._keep = keep

    def note(self, name: str, old: Any, new: Any, why: str) -> None:
        """Note a change; to be called inside the transaction that makes it."""
        self._log.append(AuditEntry(self.clock(), self.agent, name, old, new, why))
        self._log.prune(self._keep)

    def entries(self, name: str | None, by: str | None, since: datetime | None) -> list[AuditEntry]:
        """Return the entries that match all that is given, the oldest first."""
        start = None if since is None else milliseconds(since)
        stored: Iterable[object] = self._log  # what does not fit is read as it is stored
        return [
            entry
            for entry in stored
            if isinstance(entry, AuditEntry)
            and (name is None or fnmatchcase(entry.name, name))
            and (by is None or entry.by == by)
            and (start is None or entry.at >= start)
        ]
