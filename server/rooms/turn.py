"""What one turn of a room holds, all that came since the one before, until it is on disk."""

from .member import Member


class Turn:
    """What came to a room between two commits."""

    __slots__ = ("began", "changes", "counts", "is_mixed", "placed", "sources")

    def __init__(self, began: float, *, is_mixed: bool) -> None:
        self.began = began  # by the clock of perf_counter
        self.changes: list[bytes] = []
        self.counts: dict[Member, int] = {}  # the last update of each member
        self.placed: list[tuple[Member, int]] = []  # held until now
        self.sources: set[Member] = set()
        self.is_mixed = is_mixed  # a change may hold more than its source's

    @property
    def sole_source(self) -> Member | None:
        """The one who has all of this turn's changes already, if there is one."""
        return next(iter(self.sources)) if len(self.sources) == 1 and not self.is_mixed else None

    @property
    def author(self) -> str:
        """The names of those whose changes these are."""
        names = {member.author for member in self.sources}
        return names.pop() if len(names) == 1 else ",".join(sorted(names))
