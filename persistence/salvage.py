"""A new database from whatever can be read of one that is broken."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from .checksum import checksum
from .pages import Pages, Row, pages_of
from .progress import Progress
from .schema import migrations, step

# How a table's column is declared, and the kind of value that its rows have there.
_KINDS: Final = {"INTEGER": "i", "TEXT": "t", "BLOB": "b"}
# Entries of the only index by a text alone: the names of rooms.
_NAME_ENTRY: Final = "ti"


def salvage(path: Path, into: Path, on_progress: Progress) -> None:
    """Write all rows that are found in a database into a new one, damaged ones as they are.

    Args:
        path: the database; it is only read, and its schema and indexes not at all.
        into: the new database, which must not exist.
        on_progress: told of pages, each of which is read twice.

    Raises: OSError, or sqlite3.Error if the new one cannot be written.
    """
    with closing(new_database(into)) as database, pages_of(path) as pages:
        tables = _Tables(database)
        names = _Names()
        for row in _rows(pages, on_progress):
            names.add(row, tables)
        with database:
            database.execute("BEGIN")
            names.store(tables)
            for row in _rows(pages, on_progress):
                tables.store(row, names)


def new_database(path: Path) -> sqlite3.Connection:
    """Create an empty database of the newest format."""
    database = sqlite3.connect(path, isolation_level=None)
    database.create_function("comity_checksum", 5, checksum, deterministic=True)
    upgrade(database)
    return database


def upgrade(database: sqlite3.Connection) -> None:
    """Bring a database, which may be empty, to the newest format."""
    ((version,),) = database.execute("PRAGMA user_version")
    for number, script in enumerate(migrations()[version:], version + 1):
        database.executescript(step(number, script))


def _rows(pages: Pages, on_progress: Progress) -> Iterator[Row]:
    for number in range(1, pages.count + 1):
        yield from pages.rows(number)
        on_progress(1, 2 * pages.count)


class _Tables:
    """The tables of a new database: what their rows look like, and how they are stored."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._columns: dict[str, tuple[str, list[str]]] = {}  # table and columns, by the kinds of a row
        self._statements: dict[tuple[str, str], str] = {}
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = database.execute(f"PRAGMA table_info({table})").fetchall()
            # A rowid lies beside its row, in which its place is null.
            kinds = "".join("n" if key else _KINDS[kind] for _, _, kind, _, _, key in columns)
            self._columns[kinds] = table, [name for _, name, *_ in columns]

    def table(self, row: Row) -> str:
        """Return the table that a row belongs to, "" if to none."""
        return self._columns[row.kinds][0] if row.id is not None and row.kinds in self._columns else ""

    def values(self, row: Row) -> dict[str, Any]:
        """Return the values of a row by column."""
        return dict(zip(self._columns[row.kinds][1], (row.id, *row.values[1:]), strict=True))

    def store(self, row: Row, names: "_Names") -> None:
        """Store a row of a room."""
        table = self.table(row)
        if table in ("", "rooms"):
            return
        values = self.values(row)
        is_sound = False
        if "room" in values and table != "tombstones":
            values["room"], name = names.of(values["room"])
            is_sound = name is not None and _is_sound(table, name, values)
        values.pop("id", None)  # it means nothing, and a damaged one could be another's
        self.insert(table, values, "REPLACE" if is_sound else "IGNORE")

    def insert(self, table: str, values: dict[str, Any], otherwise: str) -> None:
        """Store a row, and do something else where there is one of its key."""
        if (table, otherwise) not in self._statements:
            self._statements[table, otherwise] = self._statement(table, list(values), otherwise)
        self._database.execute(self._statements[table, otherwise], tuple(values.values()))

    def _statement(self, table: str, columns: list[str], otherwise: str) -> str:
        kinds = next(kinds for kinds, (name, _) in self._columns.items() if name == table)
        of = dict(zip(self._columns[kinds][1], kinds, strict=True))
        places = ", ".join("CAST(? AS TEXT)" if of[name] == "t" else "?" for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        return f"INSERT OR {otherwise} INTO {table} ({names}) VALUES ({places})"


class _Names:
    """The rooms of a broken database: by rows of their own, and by the index of their names."""

    def __init__(self) -> None:
        self._rooms: dict[int, dict[str, Any]] = {}
        self._indexed: dict[int, bytes] = {}
        self._places: dict[bytes, int] = {}  # the id of each room in the new database, by name
        self._names: dict[int, bytes] = {}  # by an id that the broken one gives it

    def add(self, row: Row, tables: _Tables) -> None:
        """Note what a row says of rooms, if it does."""
        if row.id is None and row.kinds == _NAME_ENTRY:
            name, room = row.values
            assert isinstance(name, bytes)
            assert isinstance(room, int)
            self._indexed[room] = name
        elif tables.table(row) == "rooms":
            values = tables.values(row)
            self._rooms[values["id"]] = values

    def store(self, tables: _Tables) -> None:
        """Store every room, those first of which all is known."""
        for room, values in self._rooms.items():
            if not _is_sound_room(values) and room in self._indexed:
                values["name"] = self._indexed[room]
        for room, values in sorted(self._rooms.items(), key=lambda each: not _is_sound_room(each[1])):
            self._store(tables, room, values)
        for room, name in self._indexed.items():
            self._store(tables, room, {"id": room, "name": name, "lineage": b"", "created": 0, "checksum": b""})

    def of(self, room: int) -> tuple[int, bytes | None]:
        """Return the id of a room in the new database and its name, None if that is not known."""
        name = self._names.get(room)
        return (room, None) if name is None else (self._places[name], name)

    def _store(self, tables: _Tables, room: int, values: dict[str, Any]) -> None:
        name = self._names.setdefault(room, values["name"])
        if name not in self._places:
            self._places[name] = room
            tables.insert("rooms", values, "IGNORE")


def _is_sound_room(values: dict[str, Any]) -> bool:
    expected = checksum(values["name"], 0, values["lineage"], values["created"], b"")
    return bool(values["checksum"] == expected)


def _is_sound(table: str, name: bytes, values: dict[str, Any]) -> bool:
    author, payload = values.get("author", b""), values.get("update", values.get("state"))
    if table not in ("updates", "snapshots"):
        return False
    return bool(values["checksum"] == checksum(name, values["seq"], author, values["at"], payload))
