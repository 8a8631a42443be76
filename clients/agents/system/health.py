"""The health of a system: what each of its parts was reported to be, and what that says of the whole."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from comity.crdt_types import Change
from comity.crdt_types.errors import InvalidValueError

from ...tiers.tier import Tier
from .audit import Trail
from .document import PartState, SystemState
from .rows import row_of
from .telling import told
from .values import PartHealth, PartStatus

_REPORTED: Final = ("ok", "degraded", "down")
_STATUSES: Final[dict[str, PartStatus]] = {  # the worst first
    "down": "down",
    "degraded": "degraded",
    "unknown": "unknown",
    "ok": "ok",
}


class Health:
    """Reports and tells the health of parts.

    Args:
        tier: the tier that holds the system's state.
        trail: where changes of a status are noted; a report that changes none is not.
    """

    def __init__(self, tier: Tier[SystemState], trail: Trail) -> None:
        self._tier = tier
        self._parts = tier.state.parts
        self._trail = trail

    def report(
        self, part: str, status: PartStatus = "ok", *, detail: str = "", interval: timedelta | None = None
    ) -> None:
        """Say how a part is.

        Args:
            part: its name.
            status: ``ok``, ``degraded`` or ``down``.
            detail: what there is to say about it.
            interval: after how long without a report nothing is known of it; never if None.

        Raises: InvalidValueError, if that is no status to report, or no interval; nothing is written then.
        """
        if status not in _REPORTED:
            raise InvalidValueError(
                f"{status!r} cannot be reported", subject=f"part {part!r}", remedy=f"report {', '.join(_REPORTED)}"
            )
        if interval is not None and interval < timedelta(milliseconds=1):
            raise InvalidValueError(f"an interval of {interval}", subject=f"part {part!r}", remedy="give one above 0")
        known = part in self._parts
        old = self._parts[part].status.value if known else None
        at = self._trail.clock()
        with self._tier.transaction():
            row = row_of(self._parts, part, PartState)
            if old != status:
                row.status.set(status)
                row.since.set(at)
                self._trail.note(f"parts.{part}", old, status, detail)
            row.assign(
                {
                    "checked": at,
                    "detail": detail,
                    "interval": 0 if interval is None else interval // timedelta(milliseconds=1),
                    "by": self._trail.agent,
                }
            )

    def part(self, name: str) -> PartHealth:
        """Return how a part is, ``unknown`` if it was not reported for longer than its interval, or never."""
        if name not in self._parts:
            return PartHealth(name, "unknown", "", 0, 0, 0, "")
        return self._seen(name, self._parts[name])

    def parts(self) -> dict[str, PartHealth]:
        """Return how each part is, by name."""
        return {name: self._seen(name, row) for name, row in self._parts.items()}

    def _seen(self, name: str, row: PartState) -> PartHealth:
        status, checked, interval = row.status.value, row.checked.get(0), row.interval.get(0)
        late = interval > 0 and self._trail.clock() > checked + interval
        return PartHealth(
            name,
            _STATUSES.get("unknown" if late or status is None else status, "unknown"),
            row.detail.get(""),
            checked + interval if late else row.since.get(0),
            checked,
            interval,
            row.by.get(""),
        )

    @property
    def status(self) -> PartStatus:
        """How the whole is: as its worst part, of which ``down`` is worse than ``degraded``, and that than ``unknown``.

        It is ``unknown`` while there is no part.
        """
        found = {part.status for part in self.parts().values()} or {"unknown"}
        return next(status for status in _STATUSES.values() if status in found)

    def remove(self, part: str, *, why: str = "") -> bool:
        """Forget a part, and note who did; returns whether there was one."""
        if part not in self._parts:
            return False
        with self._tier.transaction():
            self._trail.note(f"parts.{part}", self._parts[part].status.value, None, why)
            del self._parts[part]
        return True

    def on_change(self, callback: Callable[[PartHealth], Awaitable[object] | object]) -> Callable[[], None]:
        """Call a function with a part whenever another status of it was reported; returns how to stop it.

        That a report is overdue is no change: whoever reads sees it.

        Args:
            callback: the function; it may be asynchronous.
        """

        def values(change: Change) -> tuple[PartHealth] | None:
            name = next((part for part, row in self._parts.items() if row.status.name == change.field), None)
            return None if name is None else (self.part(name),)

        return self._tier.subscribe(told(values, callback), name="parts.*.status", kind="register")
