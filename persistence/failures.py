"""What failures of the system and of SQLite mean for a store."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

from .errors import CorruptRecordError, StoreError, StoreFullError, StoreInUseError, StoreUnwritableError

# SQLite's result codes, the low byte: https://www.sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _READONLY, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 3, 5, 6, 8, 11, 13, 14, 26

_FREE_SPACE: Final = "free space on this disk"
_WRITABLE: Final = "choose a data directory that this user may create and write"
_THERE: Final = "look at its name, and at the directory that it is to be in"

_MEANINGS: Final[dict[int, tuple[type[StoreError], str]]] = {
    _FULL: (StoreFullError, _FREE_SPACE),
    _BUSY: (StoreInUseError, "another process is writing to this file: let it finish, or stop it"),
    _LOCKED: (StoreInUseError, "another process is writing to this file: let it finish, or stop it"),
    _PERM: (StoreUnwritableError, _WRITABLE),
    _READONLY: (StoreUnwritableError, _WRITABLE),
    _CANTOPEN: (StoreUnwritableError, _WRITABLE),
    _NOTADB: (StoreUnwritableError, "move this file away, or choose another data directory"),
    _CORRUPT: (StoreError, "run comity repair, or restore the file from a backup"),
}


# What statements raise; a message of SQLite's that quotes a damaged file may not be text.
FAILURES: Final = (sqlite3.Error, UnicodeDecodeError)


def from_os(error: OSError, path: Path) -> StoreError:
    """Return what a failed system call on ``path`` means for a store."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError(reason, subject=str(path), remedy=_FREE_SPACE)
    return StoreUnwritableError(reason, subject=str(path), remedy=_THERE if error.errno == errno.ENOENT else _WRITABLE)


def from_sqlite(error: sqlite3.Error | UnicodeDecodeError, path: Path, room: str = "") -> StoreError:
    """Return what a failed statement on ``path``, about ``room`` if given, means for a store."""
    code = _CORRUPT if isinstance(error, UnicodeDecodeError) else getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _CORRUPT and room:
        return CorruptRecordError(f"{path} is damaged ({error})", room=room)
    kind, remedy = _MEANINGS.get(code, (StoreError, "look at the disk and at the system's log"))
    return kind(str(error), subject=str(path), remedy=remedy)
