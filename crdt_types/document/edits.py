"""Typed edits as data: what a replica meant, kept so that it can be said again to another document."""

from collections import OrderedDict
from typing import Any, Final, Literal, NamedTuple

from .entry import MAX_COUNT

Operation = Literal[
    "set",
    "clear",
    "put",
    "delete",
    "add",
    "discard",
    "count",
    "reset",
    "append",
    "prune",
    "item",
    "place",
    "remove",
    "text",
    "yjs",
]

REPLAYABLE: Final = frozenset(
    {"set", "clear", "put", "delete", "add", "discard", "count", "reset", "append", "item", "place", "remove"}
)
# These say what a cell shall be, so the last one of a cell says it all.
_LAST_ONE_HOLDS: Final = {
    "set": "register",
    "clear": "register",
    "put": "map",
    "delete": "map",
    "add": "set",
    "discard": "set",
    "item": "list",
    "remove": "list",
    "place": "place",
    "yjs": "yjs",
}


class Edit(NamedTuple):
    """One typed edit.

    Attributes:
        operation: ``set`` and ``clear`` of a register, ``put`` and ``delete`` of a map cell, ``add`` and ``discard`` of
            a set element, ``count`` and ``reset`` of a counter, ``append`` and ``prune`` of a log, ``item``, ``place``
            and ``remove`` of a list's item, ``text``, and ``yjs``, which stands for whatever was edited in the Yjs
            document itself.
        field: the field's path.
        key: the key of a map cell, the canonical bytes of a set element, the id of a list's item, else None.
        value: the plain value; for ``count`` the amount, which may be negative; for ``place`` the position.
    """

    operation: Operation
    field: str
    key: Any
    value: Any


class EditLog:
    """The typed edits that no server has acknowledged yet, each cell's last one only.

    Its size follows the number of cells touched, not the number of edits, except for what a log gained or lost, and
    texts.
    """

    def __init__(self) -> None:
        self._edits: OrderedDict[Any, tuple[int, Edit]] = OrderedDict()
        self._next_key = 0
        self._resets: dict[str, int] = {}  # what is counted after a reset is not summed with what was before

    def __len__(self) -> int:
        return len(self._edits)

    def in_order(self) -> list[tuple[int, Edit]]:
        """Return the edits with their numbers, the oldest first."""
        return list(self._edits.values())

    def clear(self) -> None:
        """Forget every edit."""
        self._edits.clear()

    def add(self, number: int, edit: Edit, *, unsent: bool = False) -> None:
        """Take in an edit.

        Args:
            number: that of the local update that carries it; it never falls.
            edit: the edit.
            unsent: whether nothing is on its way to the server. All that is counted then is acknowledged at once, and
                becomes one edit.
        """
        cell = _LAST_ONE_HOLDS.get(edit.operation)
        if cell is not None:
            self._put((cell, edit.field, edit.key), number, edit)
        elif edit.operation == "count" and unsent and (total := self._counted(edit)) is not None:
            self._put(self._count_key(edit), number, edit._replace(value=total))
        else:
            if edit.operation == "reset":
                self._resets[edit.field] = self._resets.get(edit.field, 0) + 1
            self._append(number, edit)

    def _count_key(self, edit: Edit) -> tuple[str, str, int]:
        return "count", edit.field, self._resets.get(edit.field, 0)

    def _append(self, number: int, edit: Edit) -> None:
        self._next_key += 1
        self._put(self._next_key, number, edit)

    def _counted(self, edit: Edit) -> int | None:
        """Return what was counted and this together, or None if one session cannot count as much."""
        _number, known = self._edits.get(self._count_key(edit), (0, edit._replace(value=0)))
        total: int = known.value + edit.value
        return total if abs(total) <= MAX_COUNT else None

    def _put(self, key: Any, number: int, edit: Edit) -> None:
        self._edits[key] = (number, edit)
        self._edits.move_to_end(key)

    def take(self, after: int, number: int) -> list[Edit]:
        """Take out the edits after one number, up to another."""
        taken = [key for key, (n, _edit) in self._edits.items() if after < n <= number]
        return [self._edits.pop(key)[1] for key in taken]

    def forget(self, number: int) -> None:
        """Forget the edits up to a number, which are safe on the server."""
        while self._edits and next(iter(self._edits.values()))[0] <= number:
            self._edits.popitem(last=False)
