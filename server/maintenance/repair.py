"""Bringing a damaged database back to one that is sound, room by room."""

import sqlite3
import tempfile
from collections.abc import Callable, Collection, Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import pycrdt

from comity.crdt_types.update import EMPTY_UPDATE, holds_no_inserts
from comity.persistence.checksum import checksum
from comity.persistence.directory import exclusive
from comity.persistence.errors import StoreError, StoreUnwritableError
from comity.persistence.failures import FAILURES, from_os, from_sqlite
from comity.persistence.mending import Patient, Removed, drop_strays
from comity.persistence.progress import Progress, no_progress
from comity.persistence.records import Record, new_lineage
from comity.persistence.salvage import salvage, upgrade
from comity.persistence.verdicts import Kept, Report, RoomReport
from comity.persistence.verify import examine, inspected

from ..rooms.archive import now
from ..rooms.document import Document
from ..rooms.vetting import without_deletions
from .aside import copied, install, set_aside

Strategy = Literal["rollback", "merge", "reset"]

_BACKUP: Final = "backup"  # the name under which another database is attached


class Gathered(NamedTuple):
    """Sound records beyond the damage: how many are in the document again, and how many wait for what is lost."""

    joined: int
    waiting: int


class Mended(NamedTuple):
    """What became of a room: how it was found, what was deleted of it, and where its log ends now.

    ``lineage`` is its new one, "" if it kept the one it had; ``gathered`` is None but for a merge.
    """

    before: RoomReport
    removed: Removed
    end: int
    lineage: str
    gathered: Gathered | None


class Repaired(NamedTuple):
    """What a repair did: how the database was found, where the copy of it lies, and what became of damaged rooms.

    ``copy`` is None if nothing was changed. ``dropped`` counts what belonged to no room.
    """

    before: Report
    copy: Path | None
    rooms: tuple[Mended, ...]
    dropped: int


class Plan(NamedTuple):
    """How to repair: the strategy, and the rooms that it is for, all if there are none.

    ``source`` returns, for "reset", a database with these rooms as they were in a backup, and raises StoreError if that
    has not got them.
    """

    strategy: Strategy
    rooms: Collection[str] = ()
    source: Callable[[Collection[str]], Path] | None = None


def repair(path: Path, plan: Plan, *, dry_run: bool = False, on_progress: Progress = no_progress) -> Repaired:
    """Mend the rooms of a database that are damaged, and leave the others alone.

    Before anything is changed a copy of the database lies beside it, on disk. What is changed is changed in one
    transaction; a broken file is replaced by a new one with all that could be read of it.

    Args:
        path: the database; no server may have it open.
        plan: what to do.
        dry_run: do it to a copy in the directory for temporary files, to see what would become of the rooms.
        on_progress: told of bytes, pages and records as they are copied and read.

    Raises:
        StoreInUseError: a server has it open.
        StoreError: it cannot be read or written, or has no room of a name that is given; it was not changed.
        EngineError: a record is sound and yet cannot be applied; it was not changed.
    """
    if not path.is_file():
        raise StoreUnwritableError("there is no database", subject=str(path), remedy="give the data directory")
    with exclusive(path), _translated(path):
        found = examine(path, on_progress)
        if isinstance(found, Report):
            _check_names(found, plan)
            if found.is_sound:
                return Repaired(found, None, (), 0)
        with ExitStack() as stack:
            if dry_run:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="comity-repair-"))
                return _rehearsed(path, Path(folder) / path.name, found, plan, on_progress)
            return _repaired(path, found, plan, on_progress)


def _check_names(report: Report, plan: Plan) -> None:
    for name in set(plan.rooms).difference(room.room for room in report.rooms):
        raise StoreError("there is no such room", subject=f"room {name!r}", remedy="comity verify lists all")


def _rehearsed(path: Path, copy: Path, found: Report | tuple[str, ...], plan: Plan, on_progress: Progress) -> Repaired:
    if isinstance(found, Report):
        copied(path, copy, on_progress)
        return _mended(copy, found, plan)
    salvage(path, copy, on_progress)
    return _mended(copy, inspected(copy, found, on_progress), plan)


def _repaired(path: Path, found: Report | tuple[str, ...], plan: Plan, on_progress: Progress) -> Repaired:
    copy = set_aside(path, now(), on_progress)
    if isinstance(found, Report):
        return _mended(path, found, plan)._replace(copy=copy)
    with install(path) as anew:
        salvage(path, anew, on_progress)
        return _mended(anew, inspected(anew, found, on_progress), plan)._replace(copy=copy)


def _mended(path: Path, report: Report, plan: Plan) -> Repaired:
    """Mend a database in one transaction."""
    _check_names(report, plan)
    damaged = [room for room in report.rooms if room.verdict != "sound" and (not plan.rooms or room.room in plan.rooms)]
    lost = [room.room for room in damaged if room.verdict == "lost"]
    source = plan.source(lost) if plan.source and lost else None
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("comity_checksum", 5, checksum, deterministic=True)
        database.execute("PRAGMA secure_delete = ON")
        upgrade(database)
        if source is not None:
            database.execute(f"ATTACH ? AS {_BACKUP}", (str(source),))
        with database:
            database.execute("BEGIN IMMEDIATE")
            rooms = tuple(_mend(Patient(database, room.id), room, plan.strategy) for room in damaged)
            dropped = drop_strays(database)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Repaired(report, None, rooms, dropped)


def _mend(patient: Patient, found: RoomReport, strategy: Strategy) -> Mended:
    gathered, records = _gather(patient, found.kept) if strategy == "merge" and found.after else (None, [])
    removed = patient.keep(found.kept)
    end = found.kept.end
    if strategy == "reset" and found.verdict == "lost":
        end = patient.take(_BACKUP)
    for record in records:
        end += 1
        patient.append(record._replace(seq=end))
    patient.conclude()
    return Mended(found, removed, end, _renewed(patient), gathered)


def _renewed(patient: Patient) -> str:
    """Give a room whose own row is damaged another lineage: nobody can tell whether it still has its own."""
    if patient.is_known():
        return ""
    lineage = new_lineage()
    patient.renew(lineage, now())
    return lineage


def _gather(patient: Patient, kept: Kept) -> tuple[Gathered, list[Record]]:
    """Apply what is sound beyond the damage, and return as records what of it found its place."""
    base = patient.state(kept.base)
    document = Document([] if base is None else [base])
    beyond, changed = [], []
    for record in patient.sound_records(kept.base):
        change = document.apply(record.update) or EMPTY_UPDATE
        if record.seq > kept.end:
            beyond.append(record.update)
            if _waits(document, record.update):  # what was to come in the place of what it deletes is not there
                change = without_deletions(change)
            if change != EMPTY_UPDATE:
                changed.append(record._replace(update=change))
    waiting = sum(document.lacks(update) for update in beyond)
    return Gathered(len(beyond) - waiting, waiting), changed


def _waits(document: Document, update: bytes) -> bool:
    """Tell whether inserts of an update that was applied wait for others."""
    return not holds_no_inserts(pycrdt.get_update(update, document.state_vector()))


@contextmanager
def _translated(path: Path) -> Generator[None]:
    try:
        yield
    except FAILURES as error:
        raise from_sqlite(error, path) from error
    except OSError as error:
        raise from_os(error, path) from error
