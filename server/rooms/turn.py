"""What one turn of a room holds, all that came since the one before, until it is on disk."""

from typing import NamedTuple

import pycrdt

from comity.crdt_types.errors import PreconditionError

from .deciding import Decision
from .member import Member


class Change(NamedTuple):
    """What an author changed, as an update."""

    author: str
    update: bytes


class Turn:
    """What came to a room between two commits."""

    __slots__ = ("began", "changes", "counts", "decisions", "is_mixed", "placed", "sources")

    def __init__(self, began: float, *, is_mixed: bool) -> None:
        self.began = began  # by the clock of perf_counter
        self.changes: list[Change] = []
        self.counts: dict[Member, int] = {}  # the last update of each member
        self.placed: list[tuple[Member, int]] = []  # held until now
        self.sources: set[Member] = set()
        self.decisions: list[tuple[Decision, PreconditionError | None]] = []  # with why they were refused
        self.is_mixed = is_mixed  # a change may hold more than its source's

    @property
    def sole_source(self) -> Member | None:
        """The one who has all of this turn's changes already, if there is one."""
        return next(iter(self.sources)) if len(self.sources) == 1 and not self.is_mixed else None

    def change(self) -> bytes:
        """Return all that changed, as one update."""
        return _merged([change.update for change in self.changes])

    def changes_by_author(self) -> list[Change]:
        """Return what each author changed, as one update each: history says who did what.

        Nobody could build on another's change within a turn, since nobody was told of it, so they can be told apart.
        """
        changes: dict[str, list[bytes]] = {}
        for author, update in self.changes:
            changes.setdefault(author, []).append(update)
        return [Change(author, _merged(updates)) for author, updates in changes.items()]


def _merged(updates: list[bytes]) -> bytes:
    return updates[0] if len(updates) == 1 else pycrdt.merge_updates(*updates)
