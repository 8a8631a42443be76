"""The format of the database: numbered migrations, and the refusal of databases that are not ours."""

from importlib.resources import files
from pathlib import Path
from typing import Final

import aiosqlite

from .errors import NewerDatabaseError, StoreUnwritableError

# "Cmty", in the header of every database of ours; `file` and SQLite's tools show it.
APPLICATION_ID: Final = 0x436D7479


def migrations() -> list[str]:
    """Return the SQL of the migrations in order: the n-th, counted from 1, leads to format n."""
    folder = files(__name__.rpartition(".")[0]) / "migrations"
    scripts = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".sql")}
    return [scripts[name].read_text(encoding="utf-8") for name in sorted(scripts)]


async def migrate(connection: aiosqlite.Connection, path: Path) -> None:
    """Bring a database to the newest format, one transaction per step; writes nothing when none is needed.

    Raises:
        NewerDatabaseError: a newer version wrote it; it was not touched.
        StoreUnwritableError: it is a database of something else; it was not touched.
    """
    steps = migrations()
    version = await _ours(connection, path)
    if version > len(steps):
        raise NewerDatabaseError(
            f"a newer version wrote this database (format {version}; this one knows up to {len(steps)})",
            subject=str(path),
            remedy="start the version that wrote it, or one after it",
        )
    for number, script in enumerate(steps[version:], version + 1):
        await connection.executescript(step(number, script))


async def _ours(connection: aiosqlite.Connection, path: Path) -> int:
    application = await _number(connection, "PRAGMA application_id")
    if application != APPLICATION_ID and not (application == 0 and await _is_empty(connection)):
        raise StoreUnwritableError(
            "the file is another program's database",
            subject=str(path),
            remedy="move it away, or choose another data directory",
        )
    return await _number(connection, "PRAGMA user_version")


def step(number: int, script: str) -> str:
    """Return a migration as one transaction, which ends in the marks of the format that it leads to."""
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
    return f"BEGIN IMMEDIATE; {script} {marks} COMMIT;"


async def _is_empty(connection: aiosqlite.Connection) -> bool:
    return await _number(connection, "SELECT count(*) FROM sqlite_master") == 0


async def _number(connection: aiosqlite.Connection, query: str) -> int:
    ((value,),) = await connection.execute_fetchall(query)
    return int(value)
