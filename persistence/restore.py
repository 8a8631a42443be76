"""Bringing rooms back from backups, into a database of their own."""

import os
import sqlite3
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from .backup import stamp
from .directory import exclusive, sync
from .errors import DamagedFileError, ExistsError, StoreError
from .failures import from_os
from .filling import Filler, Place, sound_frames
from .manifest import Backup, load, state_of
from .portable import About, Frame, Room
from .progress import Progress, no_progress
from .records import Tombstone, new_lineage
from .sections import Kept
from .sqlite import SqliteStore
from .store import Store

# Beside a database file, while it is not closed.
_BESIDE: Final = ("-wal", "-shm")


class Chain(NamedTuple):
    """A backup and all that it builds on, and what they have of each room.

    Attributes:
        directory: where they are.
        backups: the full one first.
        rooms: what there is to be had of each room.
        first: the backup, by its place, that a room has to be read from.
        erased: what is left of rooms that were erased, whenever that was.
    """

    directory: Path
    backups: tuple[Backup, ...]
    rooms: dict[str, Kept]
    first: dict[str, int]
    erased: tuple[Tombstone, ...]

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(backup.size for backup in self.backups)

    def frames(self, backup: Backup, on_progress: Progress) -> Iterator[Frame]:
        """Yield the frames of one of its files, telling of bytes. Raises as ``sound_frames`` does."""
        path = self.directory / backup.file
        return sound_frames(path, backup.sha256, lambda count: on_progress(count, self.size))


class Restored(NamedTuple):
    """What was restored: the backup, its rooms, what was damaged of them when it was taken, and what was moved away.

    ``aside`` is where the database is that was there before, None if there was none.
    """

    backup: Backup
    rooms: tuple[str, ...]
    damaged: dict[str, str]
    aside: Path | None


def open_chain(directory: Path, until: str = "", *, on_progress: Progress = no_progress) -> Chain:
    """Return a backup and all that it builds on, after reading and checking every byte of it.

    Args:
        directory: where the backups are.
        until: the id of the backup; the newest if empty.
        on_progress: told of bytes.

    Raises:
        DamagedFileError: some of it is not what was written.
        StoreError: there is no such backup, or it cannot be read.
    """
    manifest = load(directory)
    backups = manifest.chain(until)
    chain = Chain(directory, backups, state_of(backups), _firsts(backups), manifest.erased)
    for backup in backups:
        _verify(backup, chain.frames(backup, on_progress))
    return chain


async def restore(
    chain: Chain,
    database: Path,
    at: int,
    *,
    rooms: Collection[str] = (),
    anew: bool = False,
    force: bool = False,
    on_progress: Progress = no_progress,
) -> Restored:
    """Make a database of what a chain of backups has.

    It gets its place once all of it is on disk; until then nothing is changed. What is left of rooms that were erased,
    also after the backup, is put into it as well.

    Args:
        chain: what to restore.
        database: where; no server may have it open.
        at: the time, in ms, after which a database is named that is moved aside.
        rooms: the rooms to restore; all if empty.
        anew: whether replicas of before shall not merge with what is restored.
        force: whether a database that is there is moved aside.
        on_progress: told of bytes.

    Raises:
        ExistsError: there is a database, and ``force`` is not given.
        StoreError: what cannot be read or written, or a room that is not there.
    """
    wanted = _wanted(chain, rooms)
    with exclusive(database), beside(database) as new:
        if not force and _files(database):
            raise ExistsError(
                "there is a database already",
                subject=str(database),
                remedy="give another data directory, or --force to move this one aside",
            )
        async with SqliteStore(new, durability="os") as store:
            await fill(store, chain, wanted, anew=anew, on_progress=on_progress)
            for tombstone in chain.erased:
                await store.bury(tombstone)
        aside = _replace(database, new, at)
    damaged = {room: chain.rooms[room].damage for room in wanted if chain.rooms[room].damage}
    return Restored(chain.backups[-1], wanted, damaged, aside)


async def fill(
    store: Store,
    chain: Chain,
    rooms: Collection[str],
    *,
    anew: bool = False,
    on_progress: Progress = no_progress,
) -> None:
    """Put rooms of a chain into a store that has none of these names.

    Args:
        store: an open store.
        chain: where they are read from.
        rooms: their names.
        anew: whether each gets a lineage of its own.
        on_progress: told of bytes.

    Raises:
        StoreError: what cannot be read or written.
    """
    for number, backup in enumerate(chain.backups):

        def place(room: Room, number: int = number) -> Place | None:
            if room.name not in rooms or room.name not in chain.backups[number].rooms:
                return None  # it is not to be had any more
            if number < chain.first[room.name]:
                return None  # a later one has the whole room
            return Place(room.name, new_lineage() if anew else room.lineage)

        filler = Filler(store, place)
        for frame in chain.frames(backup, on_progress):
            await filler.put(frame)


def _firsts(backups: tuple[Backup, ...]) -> dict[str, int]:
    return {
        room: number
        for number, backup in enumerate(backups)
        for room, section in backup.rooms.items()
        if section.is_whole
    }


def _verify(backup: Backup, frames: Iterator[Frame]) -> None:
    """Read a file to its end, and see that it is the one that is listed. Raises DamagedFileError."""
    about = next(frames)
    for _ in frames:
        pass
    if about != About(backup.id, backup.parent, backup.at):
        raise DamagedFileError("it is another backup", subject=backup.file, remedy="use another copy of it")


def _wanted(chain: Chain, rooms: Collection[str]) -> tuple[str, ...]:
    absent = sorted(set(rooms) - chain.rooms.keys())
    if absent:
        raise StoreError(
            f"there is nothing of {', '.join(absent)} in backup {chain.backups[-1].id}",
            remedy="choose another backup: comity backups lists them",
        )
    return tuple(sorted(rooms or chain.rooms))


@contextmanager
def beside(database: Path) -> Generator[Path]:
    """Yield a place on the same disk, for a database that is being made."""
    try:
        with TemporaryDirectory(prefix=".restoring-", dir=database.parent) as folder:
            yield Path(folder) / database.name
    except OSError as error:
        raise from_os(error, database) from error


def _files(database: Path) -> list[Path]:
    """Return what there is of a database, the main file first."""
    files = (database, *(database.with_name(f"{database.name}{end}") for end in _BESIDE))
    return [file for file in files if file.exists()]


def _replace(database: Path, new: Path, at: int) -> Path | None:
    """Put a new database in place, and return where the one is that was there."""
    aside = database.with_name(f"{database.name}.before-restore-{stamp(at)}")
    is_there = bool(_files(database))
    if is_there:
        _put_aside(database, aside)
    _sync_file(new)
    new.replace(database)
    sync(database.parent)
    return aside if is_there else None


def _put_aside(database: Path, aside: Path) -> None:
    """Give a database another name as well, under which it stays when the first is taken from it.

    So there is a whole one of the first name at any moment, also for whoever starts after the power was cut.
    """
    is_there = database.exists()
    if is_there:
        with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:  # it may be damaged
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # then nothing of it is in other files
    for file in _files(database):
        if file != database:
            file.rename(file.with_name(file.name.replace(database.name, aside.name, 1)))
    if is_there:
        try:
            os.link(database, aside)
        except OSError:  # a file system without links
            database.rename(aside)
    sync(database.parent)


def _sync_file(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
