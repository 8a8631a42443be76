"""Staged: what a transaction will do to the Yjs document when it ends."""

from typing import Any

from .cells import Cells
from .changes import Change
from .edits import Edit
from .entry import Entry
from .textmirror import TextEdit


class Staged:
    """What a transaction will do to the Yjs document when it ends."""

    __slots__ = ("_deleted", "doomed", "edits", "fresh", "texts")

    def __init__(self) -> None:
        self.doomed: list[Entry] = []
        self.fresh: dict[Entry, None] = {}  # in order, and quick to take an entry out of again
        self.texts: list[TextEdit] = []
        self.edits: list[Edit] = []
        self._deleted: dict[tuple[int, Any], int] = {}

    def doom(self, entry: Entry) -> None:
        """Delete an entry at the end, or never write it."""
        if entry in self.fresh:
            del self.fresh[entry]
        else:
            self.doomed.append(entry)

    def ancestor(self, cells: Cells, key: Any, before: tuple[Entry, ...] | None) -> int:
        """Return the stamp of what a write of a cell supersedes in the Yjs document, 0 if that is nothing."""
        if not before:
            return self._deleted.get((id(cells), key), 0)
        return before[0].ancestor if before[0] in self.fresh else before[0].stamp

    def note_deletion(self, cells: Cells, key: Any, before: tuple[Entry, ...]) -> None:
        """Note what a deleted cell held: what is written to it next supersedes that."""
        self._deleted[id(cells), key] = self.ancestor(cells, key, before)

    def __bool__(self) -> bool:
        return bool(self.fresh or self.doomed or self.texts)

    def text_changes(self, agent: str, client: int) -> list[Change]:
        """Return what becomes of the texts, one change for each edit."""
        return [
            Change("text", edit.mirror.name, None, None, edit.delta, agent, client, local=True) for edit in self.texts
        ]
