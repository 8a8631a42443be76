"""What one transaction means to the model: which writes it supersedes, and what it puts in their place."""

from typing import Any, NamedTuple

from comity.crdt_types import StateDocument
from comity.crdt_types.document.entry import CELL, COUNTER, ELEMENT, LISTED, PLACE, REGISTER, Entry
from comity.crdt_types.document.path import child, join, split
from comity.crdt_types.document.values import canonical
from comity.crdt_types.update import read_state_vector

from .model import Cell, Model, Moment, Seen, View, Write

_STORED = {"register": REGISTER, "map": CELL, "set": ELEMENT, "counter": COUNTER, "list": LISTED, "place": PLACE}


class New(NamedTuple):
    """Stands for the id of a list item until the document has chosen one."""

    number: int


class Draft:
    """The edits of one transaction of a replica, while it is under way.

    Args:
        model: what all replicas wrote.
        seen: what this one has seen.
        client: its client id.
    """

    def __init__(self, model: Model, seen: Seen, client: int) -> None:
        self._model = model
        self._seen = seen
        self._view = model.view(seen)
        self._client = client
        self._gone: dict[Cell, list[Write]] = {}
        self._fresh: dict[Cell, Any] = {}
        self._orders: dict[str, list[Any]] = {}
        self._logs: dict[str, list[Any]] = {}
        self._new = 0

    # Reading ----------------------------------------------------------------------------------------------------

    def order(self, path: str) -> list[Any]:
        """Return the ids of a list as it now is."""
        if path not in self._orders:
            self._orders[path] = [key for key in self._view.order(path) if ("list", path, key) not in self._gone]
        return self._orders[path]

    def log(self, path: str) -> list[Any]:
        """Return the items of a log as it now is."""
        if path not in self._logs:
            self._logs[path] = [item for item in self._view.log(path) if ("log", path, item) not in self._gone]
        return self._logs[path]

    def rows(self, path: str) -> list[str]:
        """Return the keys of the rows that are there now."""
        names = split(path)
        cells = [cell for cell in self._live() if cell[0] != "place" and split(cell[1])[: len(names)] == names]
        marked = {self._read(cell) for cell in cells if cell[1] == path and cell[0] == "set"}
        return sorted(marked | {split(cell[1])[len(names)] for cell in cells if len(split(cell[1])) > len(names)})

    def _live(self) -> set[Cell]:
        stored = {(*field, key) for field, cells in self._view.fields.items() for key in cells}
        return (stored - self._gone.keys()) | self._fresh.keys()

    def _read(self, cell: Cell) -> Any:
        if cell in self._fresh:
            return self._fresh[cell]
        writes = [] if cell in self._gone else self._view.of(*cell[:2]).get(cell[2], [])
        return writes[0].value if writes else None

    # Editing ----------------------------------------------------------------------------------------------------

    def _put(self, kind: str, path: str, key: Any, value: Any) -> None:
        cell = (kind, path, key)
        self._erase(cell)
        self._fresh[cell] = value

    def _erase(self, cell: Cell) -> None:
        self._fresh.pop(cell, None)
        if writes := self._view.of(*cell[:2]).get(cell[2]):
            self._gone[cell] = writes

    def do(self, operation: str, path: str, *arguments: Any) -> None:
        """Take in an edit."""
        getattr(self, operation)(path, *arguments)

    def set(self, path: str, value: Any) -> None:
        """Write a register."""
        self._put("register", path, None, value)

    def clear(self, path: str) -> None:
        """Delete what a register holds."""
        self._erase(("register", path, None))

    def put(self, path: str, key: str, value: Any) -> None:
        """Write a map cell."""
        self._put("map", path, key, value)

    def delete(self, path: str, key: str) -> None:
        """Delete a map cell."""
        self._erase(("map", path, key))

    def add(self, path: str, element: Any) -> None:
        """Add a set element."""
        self._put("set", path, canonical(element), element)

    def discard(self, path: str, element: Any) -> None:
        """Remove a set element."""
        self._erase(("set", path, canonical(element)))

    def count(self, path: str, amount: int) -> None:
        """Add to the total of this session."""
        if amount:
            total = self._read(("counter", path, self._client)) or 0
            self._put("counter", path, self._client, total + amount)

    def append(self, path: str, item: Any) -> None:
        """Append to a log an item that nobody else appends."""
        self.log(path).append(item)
        self._put("log", path, item, item)

    def prune(self, path: str, keep: int) -> None:
        """Delete the oldest items of a log."""
        items = self.log(path)
        for item in items[: max(len(items) - keep, 0)]:
            self._erase(("log", path, item))
            items.remove(item)

    def insert(self, path: str, at: int, item: Any) -> None:
        """Insert into a list an item that nobody else inserts."""
        self._new += 1
        self.order(path).insert(at, New(self._new))
        self._put("list", path, New(self._new), item)

    def replace(self, path: str, at: int, item: Any) -> None:
        """Overwrite an item of a list."""
        self._put("list", path, self.order(path)[at], item)

    def move(self, path: str, at: int, to: int) -> None:
        """Move an item of a list."""
        if at == to:
            return
        order = self.order(path)
        order.insert(to, order.pop(at))
        self._put("place", path, order[to], None)

    def remove(self, path: str, at: int) -> None:
        """Remove an item of a list."""
        key = self.order(path).pop(at)
        self._erase(("list", path, key))
        self._erase(("place", path, key))

    def write(self, path: str, _at: int, _gone: int, _come: str) -> None:
        """Edit a text: of one in a row, all that the model follows is that the row stays."""
        names = split(path)
        if len(names) > 2:
            self.add(join(*names[:-2]), names[-2])

    def drop(self, path: str, key: str) -> None:
        """Delete a row."""
        self._erase_below(child(path, key))
        self._erase(("set", path, canonical(key)))

    def row(self, path: str, key: str, title: Any) -> None:
        """Write a row that has a title and nothing else."""
        cell = ("register", f"{child(path, key)}/title", None)
        keep = cell in self._live() and canonical(self._read(cell)) == canonical(title)
        self._erase_below(child(path, key), cell)
        self.add(path, key)
        if not keep:
            self._put(*cell, title)

    def _erase_below(self, path: str, but: Cell | None = None) -> None:
        names = split(path)
        for cell in self._live():
            if cell != but and split(cell[1])[: len(names)] == names:
                self._forget(cell)
                self._erase(cell)

    def _forget(self, cell: Cell) -> None:
        if cell[0] == "list":
            self.order(cell[1]).remove(cell[2])
        elif cell[0] == "log":
            self.log(cell[1]).remove(cell[2])

    # Ending -----------------------------------------------------------------------------------------------------

    def note(self, archive: StateDocument) -> None:
        """Put the transaction into the model.

        Args:
            archive: a document that has seen all updates, this one too. It tells what the session left open to the
                document: stamps, the ids of list items and their positions.
        """
        made = Moment(self._client, read_state_vector(archive.state_vector()).get(self._client, 0))
        ids: dict[Any, str] = {}
        for cell in sorted(self._fresh, key=lambda cell: cell[0] == "place"):  # ids are known before their places
            entry = self._stored(cell, archive, ids)
            found = (*cell[:2], ids.get(cell[2], cell[2])) if cell[0] in ("list", "place") else cell
            value = entry.value if cell[0] == "place" else self._fresh[cell]
            self._model.writes.append(Write(found, value, made, entry.order, self._gone.get(cell, [])))
        for write in [write for writes in self._gone.values() for write in writes]:
            write.gone.append(made)
        self._check_orders(self._model.view({**self._seen, made.client: made.clock}), ids)

    def _check_orders(self, view: View, ids: dict[Any, str]) -> None:
        """Assert that the positions which the document chose come to the order that the edits meant."""
        for path, order in self._orders.items():
            assert view.order(path) == [ids.get(key, key) for key in order]

    def _stored(self, cell: Cell, archive: StateDocument, ids: dict[Any, str]) -> Entry:
        kind, path, key = cell
        own = [entry for entry in self._entries(kind, path, archive) if entry.client == self._client]
        if kind in ("log", "list"):
            [entry] = [entry for entry in own if entry.value == self._fresh[cell]]
            ids[key] = entry.key
            return entry
        [entry] = [entry for entry in own if entry.key == ids.get(key, key)]
        return entry

    def _entries(self, kind: str, path: str, archive: StateDocument) -> list[Entry]:
        if kind == "log":
            return archive.index.items(path).entries
        return [entry for entries in archive.index.cells(_STORED[kind], path).values() for entry in entries]
