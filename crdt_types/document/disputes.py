"""Disputes: which cells are in conflict, what their values come from, and which deletions somebody did not know of."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .cells import Cells
from .changes import ABSENT, Conflict, ConflictKind, Rival
from .entry import Entry
from .steps import identity
from .values import canonical

# A conflict comes up when two have written within the time that an update takes, or one was away: what was superseded
# by the last so many writes is at hand then, as long as it is no more than so many bytes.
_SUPERSEDED_KEPT: Final = 1024
_SUPERSEDED_BYTES: Final = 1024 * 1024
_DELETIONS_KEPT: Final = 4096
_DELETED_BYTES: Final = 1024  # of an entry whose value is kept with its deletion
_JSON_TYPES: Final = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    bytes: "bytes",
    list: "array",
    dict: "object",
}


class Deletion(NamedTuple):
    """A cell that became empty: the greatest stamp that was deleted, the value (ABSENT if large), who did it when."""

    stamp: int
    value: Any
    client: int | None
    seen_at: int


class Revival(NamedTuple):
    """An entry whose author did not know of a deletion."""

    entry: tuple[int, bytes] | None
    deletion: Deletion


class Disputes:
    """Remembers of a document what its bytes do not tell: what was superseded, and what was deleted.

    Args:
        author: returns the agent's name of a client id.
    """

    def __init__(self, author: Callable[[int | None], str | None]) -> None:
        self._superseded: deque[Entry] = deque()
        self._superseded_bytes = 0
        self._author = author
        self._deletions: OrderedDict[tuple[int, Any], tuple[Cells, Deletion]] = OrderedDict()
        self._revived: OrderedDict[tuple[int, Any], tuple[Cells, Revival]] = OrderedDict()

    @property
    def know_deletions(self) -> bool:
        """Whether any deletion is remembered."""
        return bool(self._deletions)

    def remember(self, superseded: list[Entry]) -> None:
        """Remember entries that were superseded."""
        kept = self._superseded
        for entry in superseded:
            kept.append(entry)
            self._superseded_bytes += len(entry.raw)
        while len(kept) > _SUPERSEDED_KEPT or self._superseded_bytes > _SUPERSEDED_BYTES:
            self._superseded_bytes -= len(kept.popleft().raw)

    def _before(self, cells: Cells, key: Any) -> Iterator[Entry]:
        """Yield what was superseded in a cell, the last one first, as far as it is remembered."""
        place = (cells.kind, cells.field, key)
        return (entry for entry in reversed(self._superseded) if (entry.kind, entry.field, entry.key) == place)

    def deleted(self, cells: Cells, key: Any, entry: Entry, client: int | None, seen_at: int) -> None:
        """Note that a transaction left a cell empty."""
        place = (id(cells), key)
        self._revived.pop(place, None)
        value = entry.value if len(entry.raw) <= _DELETED_BYTES else ABSENT
        self._deletions[place] = cells, Deletion(entry.stamp, value, client, seen_at)
        if len(self._deletions) > _DELETIONS_KEPT:
            self._deletions.popitem(last=False)

    def written(self, cells: Cells, key: Any) -> bool:
        """Note that a transaction filled an empty cell; returns whether by somebody who did not know it deleted."""
        _cells, deletion = self._deletions.pop((id(cells), key), (None, None))
        entries = cells.get(key)
        if deletion is None or not entries:
            return False
        unaware = any(entry.ancestor and entry.ancestor == deletion.stamp for entry in entries)
        if unaware:
            self._revived[id(cells), key] = cells, Revival(identity(entries), deletion)
            if len(self._revived) > _DELETIONS_KEPT:
                self._revived.popitem(last=False)
        return unaware

    def conflicts_in(self, cells: Cells) -> Iterator[Conflict]:
        """Yield the conflicts of one field by key; a set has none, whoever adds an element wants it there."""
        if not cells.disputable:
            return
        revived = {key for _field, key in self._revived if _field == id(cells)} if self._revived else set()
        for key in sorted(cells.disputed | revived, key=lambda key: key or ""):
            if (conflict := self.conflict(cells, key)) is not None:
                yield conflict

    def conflict(self, cells: Cells, key: Any) -> Conflict | None:
        """Return the conflict of one cell, if it is in conflict.

        Entries of one value are one rival, the one that is read first: there is nothing to choose between them.
        """
        entries = cells.get(key, ())
        deletion = self._deletion_of(cells, key, entries)
        if len(entries) < 2 and deletion is None:
            return None
        rivals = {canonical(entry.value): entry for entry in reversed(entries)}
        kept = [entry for entry in entries if entry in rivals.values()]
        if deletion is None and len(kept) < 2:
            return None
        return self._as_conflict(cells, key, kept, deletion)

    def _as_conflict(self, cells: Cells, key: Any, kept: list[Entry], deletion: Deletion | None) -> Conflict:
        rivals = tuple(Rival(entry.value, self._name(entry.client), entry.client, entry.stamp) for entry in kept)
        if deletion is None:
            return Conflict(cells.field, key, rivals, _kind_of(rivals), self._ancestor(cells, kept))
        who = -1 if deletion.client is None else deletion.client
        gone = Rival(ABSENT, self._name(deletion.client), who, deletion.seen_at, deleted=True)
        return Conflict(cells.field, key, (*rivals, gone), "deleted_modified", deletion.value)

    def _deletion_of(self, cells: Cells, key: Any, entries: tuple[Entry, ...]) -> Deletion | None:
        _cells, revival = self._revived.get((id(cells), key), (None, None))
        # If the entry is not live any more, somebody has written since.
        live = revival is not None and revival.entry in [identity((entry,)) for entry in entries]
        return revival.deletion if revival is not None and live else None

    def _name(self, client: int | None) -> str:
        return self._author(client) or ""

    def _ancestor(self, cells: Cells, rivals: list[Entry]) -> Any:
        """Return the value of the youngest entry that all rivals descend from, as far as this replica remembers."""
        lines = [self._line(cells, rival) for rival in rivals]
        common = set(lines[0]).intersection(*lines[1:])
        return lines[0][max(common)].value if common else ABSENT

    def _line(self, cells: Cells, entry: Entry) -> dict[int, Entry]:
        """Return the entries that one descends from, by their stamps."""
        line: dict[int, Entry] = {}
        before = self._find(cells, entry)
        while before is not None and before.stamp not in line:
            line[before.stamp] = before
            before = self._find(cells, before)
        return line

    def _find(self, cells: Cells, entry: Entry) -> Entry | None:
        if not entry.ancestor:
            return None
        found = [old for old in self._before(cells, entry.key) if old.stamp == entry.ancestor]
        return found[0] if len(found) == 1 else None  # two sessions may have made one stamp: then nobody knows which


def _kind_of(rivals: tuple[Rival, ...]) -> ConflictKind:
    types = {_JSON_TYPES.get(type(rival.value)) for rival in rivals if rival.value is not None}
    return "type_mismatch" if len(types) > 1 else "concurrent_modification"
