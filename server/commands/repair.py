"""The command ``comity repair``."""

import asyncio
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from comity.crdt_types.errors import ComityError
from comity.persistence.errors import StoreError
from comity.persistence.restore import open_chain, restore

from ..app import DATABASE
from ..cli import REFUSED, fail
from ..maintenance.repair import Mended, Plan, Repaired, Strategy
from ..maintenance.repair import repair as mend
from ..rooms.archive import now
from ..settings import DATA
from .progress import shown
from .verify import Data


def repair(
    strategy: Annotated[Strategy, typer.Option(help="What becomes of a room whose log is damaged.")],
    data: Data = DATA,
    room: Annotated[list[str] | None, typer.Option(help="Repair this room alone; may be given again.")] = None,
    backup: Annotated[Path | None, typer.Option("--from", help="Backups that reset takes rooms from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, and say what would be done.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Mend the rooms of a data directory that are damaged; no server may have it open.

    A room goes back to the last sound point (rollback); keeps in addition what is sound after that, as far as it
    does not build on what is lost (merge); or becomes what it was in a backup (reset). A copy of the database is
    made before anything is changed. Exits with 2, and has changed nothing, if that cannot be done.
    """
    if (strategy == "reset") is not (backup is not None):
        fail("--strategy reset and --from DIRECTORY belong together", REFUSED)
    try:
        with shown("repairing", quiet=quiet) as on_progress, ExitStack() as stack:
            source = None if backup is None else stack.enter_context(_restored(backup))
            plan = Plan(strategy, room or (), source)
            done = mend(data / DATABASE, plan, dry_run=dry_run, on_progress=on_progress)
    except (StoreError, ComityError) as error:
        fail(error, REFUSED)
    typer.echo("\n".join(lines(done, dry_run=dry_run)))


def lines(done: Repaired, *, dry_run: bool) -> Iterator[str]:
    """Return what a repair did, for people."""
    if done.before.is_sound:
        yield "all is sound; nothing was changed"
        return
    if done.before.structure:
        yield "the file was broken: a new one has what could be read of it"
    if done.dropped:
        yield f"rows that were damaged, or belonged to no room, and were deleted: {done.dropped:,}"
    for mended in done.rooms:
        yield from _room_lines(mended)
    yield "nothing was changed" if dry_run else f"the database as it was: {done.copy}"


def _room_lines(mended: Mended) -> Iterator[str]:
    before, removed = mended.before, mended.removed
    yield f"{before.room}: was {before.verdict}, and is whole up to record {mended.end}"
    if removed.records:
        authors = ", ".join(removed.authors)
        yield f"  records deleted, as far as legible: {removed.records:,}, of {authors}{_span(mended)}"
    for what, count in (
        ("snapshots", removed.snapshots),
        ("checkpoints", removed.checkpoints),
        ("attributes", removed.attributes),
    ):
        if count:
            yield f"  {what} deleted: {count:,}"
    if mended.gathered is not None:
        joined, waiting = mended.gathered
        yield f"  of the sound ones after the damage, {joined:,} put back; {waiting:,} build on what is lost"
    if mended.lineage:
        yield "  it was not known which history it is: replicas of it set their edits aside"


def _span(mended: Mended) -> str:
    """Return from when to when what was deleted of a room was written, as far as legible."""
    since, until = mended.removed.since, mended.removed.until
    return "" if since is None or until is None else f", {_time(since)} to {_time(until)}"


def _time(at: int) -> str:
    try:
        return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):  # of a damaged record
        return "an illegible time"


@contextmanager
def _restored(backups: Path) -> Generator[Callable[[Collection[str]], Path]]:
    """Yield a function that brings rooms from a directory of backups into a database that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="comity-repair-") as folder:
        database = Path(folder) / DATABASE

        def restored(rooms: Collection[str]) -> Path:
            asyncio.run(restore(open_chain(backups), database, now(), rooms=rooms))
            return database

        yield restored
