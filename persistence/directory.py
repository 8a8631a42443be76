"""The directory of a database: created, held by one server at a time, and on disk."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import StoreInUseError
from .failures import from_os

Place = tuple[int, int]
"""A file's device and inode: another file of the same name has another."""


def place_of(file: Path | str) -> Place | None:
    """Return where a file lies, None if there is none or it cannot be seen."""
    try:
        found = os.stat(file)  # noqa: PTH116  # asked at every commit; a path of pathlib costs ten times as much
    except OSError:
        return None
    return found.st_dev, found.st_ino


def lock_file(database: Path) -> Path:
    """Return the lock file of a database."""
    return database.with_name(f"{database.name}.lock")


@contextmanager
def exclusive(database: Path) -> Generator[Place]:
    """Hold the lock file beside a database, creating its directory when absent; yields where that file lies.

    The lock is the kernel's (``flock``), so a crash releases it; the file stays, since removing it would let
    two servers hold two files of one name. It carries the holder's process id for the error message.

    Raises:
        StoreInUseError: another server holds it.
        StoreUnwritableError: the directory or the lock file cannot be created.
    """
    path = lock_file(database)
    try:
        _create(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise from_os(error, path) from error
    try:
        _hold(handle, path)
        held = os.fstat(handle)
        yield held.st_dev, held.st_ino
    finally:
        os.close(handle)


def ensure_openable(database: Path) -> None:
    """Open a database file for writing and close it again, creating it when absent.

    What is in the way is found here rather than by aiosqlite, whose thread outlives a connection that fails to open
    and may speak to a loop that is gone by then. To be called under the lock only: closing any handle of a file gives
    up the locks that SQLite holds on it in this process.

    Raises:
        StoreUnwritableError: it cannot be opened.
    """
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise from_os(error, database) from error


def sync(folder: Path) -> None:
    """Put the names of a folder's files on disk, which syncing the files themselves does not do.

    Raises:
        StoreUnwritableError: the folder cannot be read or synced.
    """
    try:
        _sync(folder)
    except OSError as error:
        raise from_os(error, folder) from error


def _create(folder: Path) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        _sync(place.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hold(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
    except BlockingIOError as error:
        raise _in_use(handle, path) from error
    except OSError as error:
        raise from_os(error, path) from error


def _in_use(handle: int, path: Path) -> StoreInUseError:
    holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
    return StoreInUseError(
        f"another server holds this data directory (process {holder})",
        subject=str(path.parent),
        remedy="stop it, or give this one another directory",
    )
