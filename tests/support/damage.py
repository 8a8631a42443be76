"""Damage to databases, done with SQL."""

import sqlite3
from contextlib import closing
from pathlib import Path

# (room)
ROOM = "(SELECT id FROM rooms WHERE name = '{}')"


def alter(path: Path, statement: str, *values: bytes | int | str) -> None:
    """Change one row behind the back of a store."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def spoil(path: Path, room: str, seq: int) -> None:
    """Make an update of a room another one, which its checksum does not fit."""
    alter(path, "UPDATE updates SET \"update\" = x'00' WHERE seq = ? AND room = " + ROOM.format(room), seq)


def allow_null(path: Path) -> None:
    """Make the schema take what only a damaged file can hold."""
    script = "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '');"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
