"""Files beside a database: copies of it, and a new one that takes its place."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from comity.persistence.directory import sync
from comity.persistence.progress import Progress

# Bytes copied between two words on how far that has come: some ms.
COPY_STEP: Final = 8 * 1024 * 1024

_ANEW: Final = ".repairing"


def set_aside(path: Path, at: int, on_progress: Progress) -> Path:
    """Copy a database as it is to a name with a time (ms) in it, beside it and on disk. Raises OSError."""
    time = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = path.with_name(f"{path.name}.before-repair-{time}")
    copied(path, copy, on_progress)
    sync(path.parent)
    return copy


def copied(path: Path, copy: Path, on_progress: Progress) -> None:
    """Copy a database and its write-ahead log to where neither is yet, on disk. Raises OSError."""
    names = [(path, copy), (_log(path), _log(copy))]
    files = [(source, target) for source, target in names if source.exists()]
    size = sum(source.stat().st_size for source, _ in files)
    for source, target in files:
        _copy(source, target, size, on_progress)


@contextmanager
def install(path: Path) -> Generator[Path]:
    """Yield where a new database is to be made, which takes the place of an old one unless the context raises.

    Raises: OSError.
    """
    anew = path.with_name(f"{path.name}{_ANEW}")
    _remove(anew)  # of a repair that was interrupted
    try:
        yield anew
        _take_over(path, anew)
        for file in (_log(path), _index(path)):  # they belong to the old one, and would be read into the new
            file.unlink(missing_ok=True)
        anew.replace(path)
        sync(path.parent)
    finally:
        _remove(anew)


def _take_over(path: Path, anew: Path) -> None:
    """Put a file on disk, with the owner and the rights of another."""
    found = path.stat()
    with anew.open("r+b") as file:
        os.fchmod(file.fileno(), found.st_mode & 0o777)
        os.fchown(file.fileno(), found.st_uid, found.st_gid)
        os.fsync(file.fileno())


def _copy(source: Path, target: Path, size: int, on_progress: Progress) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        while part := read.read(COPY_STEP):
            written.write(part)
            on_progress(len(part), size)
        written.flush()
        os.fsync(written.fileno())
    shutil.copystat(source, target)


def _remove(path: Path) -> None:
    for file in (path, _log(path), _index(path), path.with_name(f"{path.name}-journal")):
        file.unlink(missing_ok=True)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")
