"""The commands ``comity backup`` and ``comity backups``."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from comity.persistence.backup import Taken, back_up
from comity.persistence.errors import StoreError
from comity.persistence.manifest import Backup, load

from ..app import DATABASE
from ..cli import FAILED, REFUSED, fail
from ..rooms.archive import now
from ..settings import DATA
from .progress import shown

Data = Annotated[Path, typer.Option(envvar="COMITY_DATA", help="Data directory of the server.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    to: Annotated[Path, typer.Argument(help="Directory of the backups; made when absent.")],
    data: Data = DATA,
    full: Annotated[bool, typer.Option("--full", help="Take everything, not only what came since the last.")] = False,
    quiet: Quiet = False,
) -> None:
    """Back up all rooms as they stand at one moment; the server may be running.

    Exits with 1 if something was damaged and the backup is not whole therefore, with 2 if there is no backup.
    """
    try:
        with shown("backing up", quiet=quiet) as on_progress:
            taken = back_up(data / DATABASE, to, now(), full=full, on_progress=on_progress)
    except StoreError as error:
        fail(error, REFUSED)
    typer.echo(_said(taken))
    for damage in taken.damaged.values():
        typer.echo(f"damaged: {damage}", err=True)
    if taken.damaged:
        raise typer.Exit(FAILED)


def backups(
    directory: Annotated[Path, typer.Argument(metavar="FROM", help="Directory of the backups.")],
    as_json: AsJson = False,
) -> None:
    """List the backups in a directory, the oldest first."""
    try:
        found = load(directory).backups
    except StoreError as error:
        fail(error, REFUSED)
    typer.echo("\n".join(_plain(found) if as_json else _lines(found)))


def _said(taken: Taken) -> str:
    done = taken.backup
    kind = f"what came since {done.parent}" if done.parent else "everything"
    return f"backup {done.id}: {kind}, {len(done.rooms):,} rooms, {taken.records:,} records, {done.size:,} bytes"


def _lines(backups: tuple[Backup, ...]) -> Iterator[str]:
    for each in backups:
        at = datetime.fromtimestamp(each.at / 1000, UTC)
        kind = "since the one before" if each.parent else "full"
        yield f"{each.id}  {at:%Y-%m-%d %H:%M:%S} UTC  {len(each.rooms):>7,} rooms  {each.size:>15,} bytes  {kind}"
    if not backups:
        yield "no backups"


def _plain(backups: tuple[Backup, ...]) -> Iterator[str]:
    rows = [{**each._asdict(), "rooms": sorted(each.rooms)} for each in backups]
    yield json.dumps(rows, ensure_ascii=False)
