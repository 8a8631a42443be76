"""A plain model of what replicas must read: every write, who had seen it when superseding it, and nothing of Yjs.

A cell is (kind, path, key). What a replica reads follows from which transactions it has seen, which its state vector
says: all writes that it has seen, but for those that a transaction superseded which it has seen too.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from comity.crdt_types import Map, State
from comity.crdt_types.document.path import child, split
from comity.crdt_types.document.values import canonical
from comity.crdt_types.schema.declaration import declared_fields

Cell = tuple[str, str, Any]
Seen = Mapping[int, int]
Rivals = dict[tuple[str, Any], list[tuple[bytes, int, int]]]

DISPUTABLE: Final = frozenset({"register", "map", "list"})


class Moment(NamedTuple):
    """The end of a transaction: the session that made it, and its clock in Yjs then."""

    client: int
    clock: int

    def is_in(self, seen: Seen) -> bool:
        """Tell whether somebody has seen the transaction."""
        return self.clock <= seen.get(self.client, 0)


class Write:
    """One value that came into a cell.

    Attributes:
        cell: the cell.
        value: the plain value; of a place the position.
        made: the transaction that wrote it.
        order: what decides between concurrent values: the stamp that the document chose, the client id, the bytes.
        before: the stored writes that it superseded.
        gone: the transactions that superseded it.
    """

    def __init__(
        self, cell: Cell, value: Any, made: Moment, order: tuple[int, int, bytes], before: "list[Write]"
    ) -> None:
        self.cell = cell
        self.value = value
        self.made = made
        self.order = order
        self.before = before
        self.gone: list[Moment] = []

    @property
    def place(self) -> tuple[int, int]:
        """The client and the stamp, which tell a write of a cell from all others."""
        return self.made.client, self.order[0]

    def lives(self, seen: Seen) -> bool:
        """Tell whether the write is live for somebody who has seen so much."""
        return self.made.is_in(seen) and not any(moment.is_in(seen) for moment in self.gone)

    @property
    def line(self) -> "list[Write]":
        """The write's ancestors, the youngest first: of several that were superseded at once, the greatest."""
        if not self.before:
            return []
        parent = max(self.before, key=lambda write: write.order)
        return [parent, *parent.line]

    def __repr__(self) -> str:
        return f"<Write {self.cell} {self.value!r} {self.made} gone {self.gone}>"


class View:
    """What is live for one replica: the writes of every cell, the one that is read first."""

    def __init__(self, writes: Iterable[Write]) -> None:
        self.fields: dict[tuple[str, str], dict[Any, list[Write]]] = {}
        for write in sorted(writes, key=lambda write: write.order, reverse=True):
            kind, path, key = write.cell
            self.fields.setdefault((kind, path), {}).setdefault(key, []).append(write)

    def of(self, kind: str, path: str) -> dict[Any, list[Write]]:
        """Return the cells of a field by key."""
        return self.fields.get((kind, path), {})

    def log(self, path: str) -> list[Any]:
        """Return the items of a log, the oldest first."""
        items = [write for writes in self.of("log", path).values() for write in writes]
        return [write.value for write in sorted(items, key=lambda write: write.order)]

    def order(self, path: str) -> list[Any]:
        """Return the ids of a list's items in order."""
        places = self.of("place", path)
        return sorted(self.of("list", path), key=lambda id: (places[id][0].value if id in places else id, id))

    def rows(self, path: str) -> set[str]:
        """Return the keys of the rows that are there."""
        marked = {writes[0].value for writes in self.of("set", path).values()}
        return marked | {names[0] for names, _field in self.below(path, "place")}

    def below(self, path: str, but: str = "") -> list[tuple[tuple[str, ...], tuple[str, str]]]:
        """Return the fields that lie below a path: the rest of their names, and which they are."""
        over = split(path)
        found = [(split(field[1]), field) for field, cells in self.fields.items() if cells and field[0] != but]
        return [(names[len(over) :], field) for names, field in found if names[: len(over)] == over != names]

    def rivals(self) -> Rivals:
        """Return the values of each cell with several: canonical bytes, client and stamp."""
        found: Rivals = {}
        for (kind, path), cells in self.fields.items():
            for key, writes in cells.items() if kind in DISPUTABLE else ():
                kept = [write for write in writes if write in _one_of_each(writes)]
                if len(kept) > 1:
                    found[path, key] = [(canonical(w.value), w.made.client, w.order[0]) for w in kept]
        return found

    def plain(self) -> dict[tuple[str, str], Any]:
        """Return what every field reads by kind and path, without a schema; empty ones and zeros are left out."""
        read = {field: self._read_kind(*field) for field, cells in self.fields.items() if cells and field[0] != "place"}
        return {field: value for field, value in read.items() if field[0] != "counter" or value}

    def read(self, schema: type[State], path: str = "") -> dict[str, Any]:
        """Return what a State of a class reads; of texts, which the model does not follow, None."""
        fields = declared_fields(schema)  # type: ignore[arg-type]  # mypy takes no class for hashable
        return {
            name: self._read(field.declaration, field.annotation, child(path, name)) for name, field in fields.items()
        }

    def _read(self, declaration: Any, annotation: Any, path: str) -> Any:
        if isinstance(declaration, type):
            return self.read(declaration, path)
        if isinstance(declaration, Map) and isinstance(annotation, type) and issubclass(annotation, State):
            return {key: self.read(annotation, child(path, key)) for key in sorted(self.rows(path))}
        return self._read_kind(declaration.kind, path)

    def _read_kind(self, kind: str, path: str) -> Any:
        cells = self.of(kind, path)
        match kind:
            case "register":
                return cells[None][0].value if cells else None
            case "map":
                return {key: writes[0].value for key, writes in sorted(cells.items())}
            case "set":
                return [writes[0].value for _key, writes in sorted(cells.items())]
            case "counter":
                return sum(writes[0].value for writes in cells.values())
            case "log":
                return self.log(path)
            case "list":
                return [cells[id][0].value for id in self.order(path)]
            case _:
                return None


def _one_of_each(writes: list[Write]) -> list[Write]:
    return list({canonical(write.value): write for write in reversed(writes)}.values())


class Model:
    """All writes of all replicas."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def view(self, seen: Seen) -> View:
        """Return what somebody reads who has seen so much."""
        return View(write for write in self.writes if write.lives(seen))

    def ancestors(self, field: str, key: Any, rivals: list[tuple[int, int]]) -> list[bytes]:
        """Return the values that may be called the ancestor of rivals, which are given by client and stamp.

        That is the youngest one that all of them descend from. An entry names its ancestor by its stamp alone, so that
        of several with one stamp each may be meant.
        """
        own = [write for write in self.writes if write.cell[1:] == (field, key) and write.cell[0] in DISPUTABLE]
        lines = [[parent.order[0] for parent in write.line] for write in own if write.place in rivals]
        common = [stamp for stamp in lines[0] if all(stamp in line for line in lines[1:])]
        return [canonical(write.value) for write in own if write.order[0] == max(common, default=0)]
