"""Backups of a database that may be in use: each holds what came since the one before."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from .errors import CorruptRecordError, StoreError
from .failures import from_os
from .manifest import Backup, Manifest, load, locked, save, state_of
from .portable import About, PortableWriter, portable_file
from .progress import Progress, no_progress
from .sections import Kept, Section, SectionWriter
from .view import Listed, View
from .wholefile import PART

SUFFIX: Final = ".comity"


class Taken(NamedTuple):
    """A backup that was taken: how many records it holds, and what was damaged, by room."""

    backup: Backup
    records: int
    damaged: dict[str, str]


class _Contents(NamedTuple):
    """What a backup has of which room, and what was damaged."""

    rooms: dict[str, Section]
    gone: tuple[str, ...]
    damaged: dict[str, str]


def back_up(
    database: Path, directory: Path, at: int, *, full: bool = False, on_progress: Progress = no_progress
) -> Taken:
    """Take a backup of all rooms as they stand at one moment, while others go on writing.

    It holds what came since the newest backup of the directory, or everything if there is none. Rooms that are damaged
    are taken as far as they are sound, and named in what is returned.

    Args:
        database: the database file.
        directory: where the backups are; made when absent.
        at: the time, in ms; a backup is never older than the one before.
        full: whether to take everything in any case.
        on_progress: told of records.

    Raises:
        StoreInUseError: another backup is being written to the directory.
        StoreError: the database cannot be read, or the directory not be written; there is no new backup then.
    """
    with locked(directory), View(database) as view:
        _clear(directory)
        manifest = load(directory).burying(view.tombstones())
        chain = () if full else _usable(directory, manifest)
        at = max(at, *(backup.at + 1 for backup in manifest.backups[-1:]), 0)
        name = stamp(at)
        path = directory / f"{name}{SUFFIX}"
        parent = chain[-1].id if chain else ""
        with portable_file(path) as writer:
            writer.write(About(name, parent, at))
            contents = _write(view, writer, state_of(chain), on_progress)
        backup = Backup(name, at, parent, path.name, writer.sha256, writer.size, contents.rooms, contents.gone)
        _add(directory, manifest, backup)
    return Taken(backup, writer.records, contents.damaged)


def prune(directory: Path, keep: int) -> tuple[Backup, ...]:
    """Delete the oldest backups so that as many full ones are left as are to be kept, and what builds on them.

    Args:
        directory: where the backups are.
        keep: how many full backups stay, at least 1.

    Returns what was deleted.

    Raises:
        StoreError: the directory cannot be written.
    """
    with locked(directory):
        manifest = load(directory)
        old = _outdated(manifest, keep)
        try:
            for backup in old:
                (directory / backup.file).unlink(missing_ok=True)
        except OSError as error:
            raise from_os(error, directory) from error
        if old:
            save(directory, replace(manifest, backups=manifest.backups[len(old) :]))
    return old


def outdated(directory: Path, keep: int) -> tuple[Backup, ...]:
    """Return what ``prune`` would delete. Raises StoreError, if the directory cannot be read."""
    return _outdated(load(directory), keep)


def _outdated(manifest: Manifest, keep: int) -> tuple[Backup, ...]:
    fulls = [place for place, backup in enumerate(manifest.backups) if not backup.parent]
    return manifest.backups[: fulls[-keep]] if len(fulls) > keep else ()


def _usable(directory: Path, manifest: Manifest) -> tuple[Backup, ...]:
    """Return the newest backup and all that it builds on, nothing if some of that is not there."""
    try:
        chain = manifest.chain()
    except StoreError:
        return ()
    return chain if all((directory / backup.file).is_file() for backup in chain) else ()


def stamp(at: int) -> str:
    """Return a time in ms as it stands in names, in UTC; later ones sort behind."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y%m%dT%H%M%S}.{at % 1000:03}Z"


def _write(view: View, writer: PortableWriter, before: dict[str, Kept], on_progress: Progress) -> _Contents:
    listed = view.rooms()
    total = sum(_new(room, before.get(room.room)) for room in listed)
    sections = SectionWriter(view, writer, lambda records: on_progress(records, total))
    rooms: dict[str, Section] = {}
    damaged: dict[str, str] = {}
    for room in listed:
        try:
            section = sections.write(room, before.get(room.room))
        except CorruptRecordError as error:
            damaged[room.room] = str(error)
            continue
        if section is not None:
            rooms[room.room] = section
            damaged |= {room.room: section.kept.damage} if section.kept.damage else {}
    gone = before.keys() - {room.room for room in listed}
    return _Contents(rooms, tuple(sorted(gone)), damaged)


def _new(room: Listed, kept: Kept | None) -> int:
    """Return how many records there are to be read of a room, more or less."""
    return room.seq - (kept.to if kept and kept.lineage == room.lineage else 0)


def _add(directory: Path, manifest: Manifest, backup: Backup) -> None:
    try:
        save(directory, replace(manifest, backups=(*manifest.backups, backup)))
    except StoreError:
        (directory / backup.file).unlink(missing_ok=True)
        raise


def _clear(directory: Path) -> None:
    """Delete what is left of a backup during which the process was killed."""
    for part in directory.glob(f"*{SUFFIX}{PART}"):
        part.unlink()
