"""Reading a whole database, to tell what is right and what is damaged."""

import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from .checksum import checksum
from .errors import NewerDatabaseError, StoreUnwritableError
from .failures import FAILURES, from_os, from_sqlite
from .inspection import Inspection
from .progress import Progress, no_progress
from .salvage import salvage
from .schema import APPLICATION_ID, migrations
from .verdicts import Report

# Of what SQLite finds wrong with a file: the first few tell whether it is a page or an index, and the rest follows.
STRUCTURE_LIMIT: Final = 20

# Result codes, the low byte, that tell of the way to a file and not of what is in it.
_UNREACHABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


def verify(path: Path, on_progress: Progress = no_progress) -> Report:
    """Read a whole database and return what is right and what is damaged, changing nothing.

    A server may have it open: what is read is one state of it. Where the file itself is broken, its rows are first
    brought into one that is not, in the directory for temporary files, which takes as much space there.

    Args:
        path: the database.
        on_progress: told of records, and of pages of a broken file.

    Raises:
        StoreUnwritableError: it cannot be opened, or is no database of ours.
        NewerDatabaseError: a newer version wrote it.
    """
    try:
        path.open("rb").close()
        with tempfile.TemporaryDirectory(prefix="comity-verify-") as folder:
            return _verified(path, Path(folder) / path.name, on_progress)
    except OSError as error:
        raise from_os(error, path) from error
    except FAILURES as error:
        raise from_sqlite(error, path) from error


def examine(path: Path, on_progress: Progress = no_progress) -> Report | tuple[str, ...]:
    """Return the report on a database, or what is wrong with its file if it cannot be read as it is.

    Raises: StoreUnwritableError, NewerDatabaseError, sqlite3.Error where the file cannot be reached.
    """
    before = _rest_of(path)
    found = _examined(path, on_progress, "immutable=1" if before else "mode=ro")
    return found if before == _rest_of(path) else _examined(path, on_progress, "mode=ro")


def _rest_of(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file that nobody has open is written; None for one that somebody may have open."""
    if path.with_name(f"{path.name}-wal").exists():
        return None
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _examined(path: Path, on_progress: Progress, mode: str) -> Report | tuple[str, ...]:
    try:
        with opened(path, mode) as database:
            _check_ours(database, path)
            structure = _structure(database)
            return structure or Inspection(database, on_progress).report()
    except FAILURES as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNREACHABLE:
            raise
        return (str(error),)


def inspected(salvaged: Path, structure: tuple[str, ...], on_progress: Progress) -> Report:
    """Return the report on a broken database from what was salvaged of it. Raises StoreUnwritableError."""
    with opened(salvaged, "immutable=1") as database:
        report = Inspection(database, on_progress).report()
    if not report.rooms and not report.strays:
        raise _foreign(salvaged)
    return report._replace(structure=structure)


@contextmanager
def opened(path: Path, mode: str) -> Generator[sqlite3.Connection]:
    """Open a database to read it as it is now, whatever is written meanwhile.

    Args:
        path: the database.
        mode: "mode=ro", or "immutable=1" for one that nobody writes to: then no file is made beside it.

    Raises: sqlite3.Error.
    """
    address = f"{path.absolute().as_uri()}?{mode}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database:
        database.create_function("comity_checksum", 5, checksum, deterministic=True)
        database.execute("BEGIN")
        yield database


def _verified(path: Path, salvaged: Path, on_progress: Progress) -> Report:
    found = examine(path, on_progress)
    if isinstance(found, Report):
        return found
    salvage(path, salvaged, on_progress)
    return inspected(salvaged, found, on_progress)


def _check_ours(database: sqlite3.Connection, path: Path) -> None:
    version = _pragma(database, "user_version")
    if _pragma(database, "application_id") != APPLICATION_ID:
        if not _has_rooms(database):
            raise _foreign(path)
    elif int(version) > len(migrations()):
        raise NewerDatabaseError(
            f"a newer version wrote this database (format {version}; this one knows up to {len(migrations())})",
            subject=str(path),
            remedy="use the version that wrote it, or one after it",
        )


def _structure(database: sqlite3.Connection) -> tuple[str, ...]:
    """Return what is wrong with the file of a database, nothing if all is well."""
    found = []
    if (encoding := _pragma(database, "encoding")) != "UTF-8":
        found.append(f"its text is said to be {encoding}")
    if _pragma(database, "application_id") != APPLICATION_ID:
        found.append("the mark of Comity's databases is not there")
    found += [str(line) for (line,) in database.execute(f"PRAGMA integrity_check({STRUCTURE_LIMIT})")]
    return tuple(line for line in found if line != "ok")


def _pragma(database: sqlite3.Connection, name: str) -> str | int:
    ((value,),) = database.execute(f"PRAGMA {name}")
    assert isinstance(value, str | int)
    return value


def _has_rooms(database: sqlite3.Connection) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'rooms'").fetchall())


def _foreign(path: Path) -> StoreUnwritableError:
    return StoreUnwritableError("not a database of Comity", subject=str(path), remedy="name another directory")
