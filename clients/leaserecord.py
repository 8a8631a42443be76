"""Leases as they are stored: one record for each name, in a map of a state."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from comity.crdt_types import Map
from comity.crdt_types.errors import InvalidValueError, LeaseHeldError, PreconditionError


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease as it is stored. One that was released stays, so that its token is not given out again.

    Attributes:
        holder: the agent that holds it, or held it last.
        token: how often the name was acquired.
        until: when it expires, in ms since the Unix epoch by the server's clock.
        id: tells this acquisition from any other; empty once it was released.
        tentative: whether it was written without the server, so that somebody else may hold it as well.
    """

    holder: str
    token: int
    until: int
    id: str = ""
    tentative: bool = False

    @property
    def precedence(self) -> tuple[bool, int, str]:
        """What decides between records of one name: the server's decision, then the greater token, then chance."""
        return not self.tentative, self.token, self.id


class LeaseTable:
    """The leases of a state, or of the draft of a decision.

    Args:
        field: the map that they lie in.
    """

    def __init__(self, field: Map[LeaseRecord]) -> None:
        self._field: Final = field

    def current(self, name: str) -> LeaseRecord | None:
        """Return the record of a name that counts, whoever holds it, None if it was never acquired."""
        rivals = self.rivals(name)
        return rivals[0] if rivals else self._field.get(name)

    def rivals(self, name: str) -> tuple[LeaseRecord, ...]:
        """Return the records of a name that were written at the same time, the one that counts first; none if alone."""
        for conflict in self._field.conflicts():
            if conflict.key == name:
                found = [rival.value for rival in conflict.rivals if isinstance(rival.value, LeaseRecord)]
                return tuple(sorted(found, key=lambda record: record.precedence, reverse=True))
        return ()

    def held(self, name: str, now: int) -> LeaseRecord | None:
        """Return the record of a name that somebody holds at a time, None if nobody does."""
        record = self.current(name)
        return record if record is not None and record.id and record.until > now else None

    def take(self, name: str, holder: str, now: int, ttl: timedelta, *, tentative: bool = False) -> LeaseRecord:
        """Write that an agent holds a name from a moment on, in ms since the Unix epoch.

        Raises: LeaseHeldError, if somebody holds it; InvalidValueError, if the time to live is none.
        """
        check_ttl(name, ttl)
        held = self.held(name, now)
        if held is not None:
            raise held_error(name, held, now)
        before = self.current(name)
        token = 1 if before is None else before.token + 1
        self._field[name] = record = LeaseRecord(holder, token, now + milliseconds(ttl), uuid4().hex, tentative)
        return record

    def check(self, name: str, id: str) -> LeaseRecord:
        """Return the record of a lease. Raises PreconditionError, if it is held no more."""
        record = self.current(name)
        if record is None or record.id != id:
            raise PreconditionError(
                f"somebody else has it: {record.holder!r}" if record is not None and record.id else "it was given back",
                subject=f"lease {name!r}",
                remedy="stop what you do under it, or acquire it again; nothing was written",
            )
        return record

    def renew(self, name: str, id: str, until: int) -> LeaseRecord:
        """Write that a lease is held up to a time. Raises PreconditionError, if it is held no more."""
        self._field[name] = record = replace(self.check(name, id), until=until, tentative=False)
        return record

    def release(self, name: str, id: str) -> bool:
        """Write that a lease is held no more; returns False if that is so already."""
        record = self.current(name)
        if record is None or record.id != id:
            return False
        self._field[name] = replace(record, id="", until=0, tentative=False)
        return True

    def withdraw(self, name: str) -> None:
        """Write that nobody holds a name any more, whoever does; the holder's lease is lost, even if it is renewed."""
        record = self.current(name)
        if record is not None and record.id:
            self._field[name] = replace(record, token=record.token + 1, id="", until=0, tentative=False)


def check_ttl(name: str, ttl: Any) -> None:
    """Raise InvalidValueError, if that is no time to live."""
    if not isinstance(ttl, timedelta) or ttl < timedelta(milliseconds=1):
        raise InvalidValueError(f"{ttl!r} is no time to live", subject=f"lease {name!r}", remedy="give a timedelta")


def milliseconds(ttl: timedelta) -> int:
    """Return a time to live in ms."""
    return round(ttl / timedelta(milliseconds=1))


def held_error(name: str, record: LeaseRecord, now: int) -> LeaseHeldError:
    """Return the error for whoever wants a lease that somebody holds."""
    return LeaseHeldError(
        f"{record.holder!r} holds it",
        subject=f"lease {name!r}",
        remedy="try again when it expires; nothing was written",
        holder=record.holder,
        until=record.until,
        retry_after=max(record.until - now, 0) / 1000,
    )
