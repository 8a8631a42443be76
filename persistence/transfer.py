"""One room as a file: out of a database that may be in use, and into one that is not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from .checksum import checksum
from .errors import DamagedFileError, ExistsError, StoreError
from .failures import from_os, from_sqlite
from .filling import Filler, Place, sound_frames
from .portable import About, Frame, Room, RoomEnd, portable_file
from .progress import Progress, no_progress
from .records import new_lineage
from .restore import beside
from .sections import SectionWriter
from .sqlite import SqliteStore
from .store import Store
from .view import View

# Rooms have other ids in another database. What the rows' checksums cover stays the same, but for where logs begin and
# end.
_ID: Final = """
    (SELECT here.id FROM main.rooms AS here JOIN other.rooms AS there ON here.name = there.name
    WHERE there.id = rows.room)"""


def _copy(table: str, columns: str) -> str:
    """Return the statement that copies a table."""
    return f"INSERT INTO main.{table} (room, {columns}) SELECT {_ID}, {columns} FROM other.{table} AS rows ORDER BY id"


_COPIES: Final = (
    """INSERT INTO main.rooms (name, lineage, created, checksum)
    SELECT name, lineage, created, checksum FROM other.rooms""",
    _copy("updates", 'seq, at, checksum, author, "update"'),
    _copy("snapshots", "seq, at, checksum, state"),
    _copy("checkpoints", "name, seq, kind, author, at, note, checksum"),
    _copy("attributes", "key, checksum, value"),
    f"""INSERT INTO main.heads (room, seq, at, checksum)
    SELECT id, seq, at, comity_checksum(x'', seq, x'', id, CAST(at AS BLOB))
    FROM (SELECT {_ID} AS id, seq, at FROM other.heads AS rows)""",
    f"""INSERT INTO main.beginnings (room, seq, checksum)
    SELECT id, seq, comity_checksum(x'', seq, CAST('beginning' AS BLOB), id, x'')
    FROM (SELECT {_ID} AS id, seq FROM other.beginnings AS rows)""",
)


class Carried(NamedTuple):
    """A room that was exported or imported: its name, its last update, and what was damaged of it, in words."""

    room: str
    seq: int
    damage: str


def export_room(database: Path, room: str, path: Path, at: int, *, on_progress: Progress = no_progress) -> Carried:
    """Write everything that is kept of a room to a file, while others go on writing to the room.

    A damaged room is written as far as it is sound.

    Args:
        database: the database file.
        room: the room's name.
        path: the file; must not exist.
        at: the time, in ms.
        on_progress: told of records.

    Raises:
        ExistsError: the file exists.
        StoreError: there is no such room, it cannot be read, or the file cannot be written.
    """
    if path.exists():
        raise ExistsError("there is such a file already", subject=str(path), remedy="give another name")
    with View(database) as view:
        found = next((each for each in view.rooms() if each.room == room), None)
        if found is None:
            raise StoreError("there is no such room", subject=f"room {room!r}", remedy="look at its name")
        with portable_file(path) as writer:
            writer.write(About("", "", at))
            section = SectionWriter(view, writer, lambda records: on_progress(records, found.seq)).write(found, None)
    assert section is not None  # all of a room is always something
    return Carried(room, section.kept.to, section.kept.damage)


async def import_room(path: Path, database: Path, name: str = "", *, on_progress: Progress = no_progress) -> Carried:
    """Put the room of an exported file into a database that no server has open, whole or not at all.

    Under its own name it keeps its lineage: replicas of it go on from where they were. Under another name it is a new
    room, with a lineage of its own.

    Args:
        path: the file.
        database: the database file; made when absent.
        name: what the room shall be called; as in the file if empty.
        on_progress: told of bytes.

    Raises:
        DamagedFileError: the file is not what was written, or does not hold one room; nothing was changed.
        ExistsError: there is a room of that name, or it was erased; nothing was changed.
        StoreError: what cannot be read or written.
    """
    total = 2 * _size(path)

    def on_bytes(count: int) -> None:
        on_progress(count, total)

    room, end = _looked_over(path, sound_frames(path, on_bytes=on_bytes))
    to = Place(name or room.name, room.lineage if name in ("", room.name) else new_lineage())
    async with SqliteStore(database) as store:
        await _check_free(store, to)
        with beside(database) as new:
            async with SqliteStore(new, durability="os") as filled:
                filler = Filler(filled, lambda _room: to)
                for frame in sound_frames(path, on_bytes=on_bytes):
                    await filler.put(frame)
            _join(database, new)
    return Carried(to.room, end.seq, end.damage)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise from_os(error, path) from error


def _looked_over(path: Path, frames: Iterator[Frame]) -> tuple[Room, RoomEnd]:
    """Read a file to its end, and return the head and the end of its one room."""
    ends = [frame for frame in frames if isinstance(frame, Room | RoomEnd)]
    match ends:
        case [Room(is_whole=1) as room, RoomEnd() as end]:
            return room, end
        case _:
            raise DamagedFileError(
                f"it does not hold one room, but {len(ends) // 2}, or a part of one",
                subject=str(path),
                remedy="give a file that comity export wrote, or use comity restore",
            )


async def _check_free(store: Store, to: Place) -> None:
    if any(row.room == to.room for row in await store.rooms()):
        raise ExistsError(
            "the room is there already", subject=f"room {to.room!r}", remedy="give another name, with --as"
        )
    if any((each.room, each.lineage) == to for each in await store.tombstones()):
        raise ExistsError(
            "the room was erased, and erased rooms do not come back",
            subject=f"room {to.room!r}",
            remedy="give another name, with --as: it is another room then",
        )


def _join(database: Path, other: Path) -> None:
    """Copy everything of the rooms of another database into one, in one transaction."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.create_function("comity_checksum", 5, checksum, deterministic=True)
            connection.execute("ATTACH ? AS other", (str(other),))
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                for statement in _COPIES:
                    connection.execute(statement)
    except sqlite3.Error as error:
        raise from_sqlite(error, database) from error
