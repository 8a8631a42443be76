"""The command ``comity restore``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from comity.persistence.errors import StoreError
from comity.persistence.restore import Restored, open_chain
from comity.persistence.restore import restore as bring_back

from ..app import DATABASE
from ..cli import FAILED, REFUSED, fail
from ..rooms.archive import now
from ..settings import DATA
from .backup import Data, Quiet
from .progress import shown


def restore(
    directory: Annotated[Path, typer.Argument(metavar="FROM", help="Directory of the backups.")],
    data: Data = DATA,
    until: Annotated[str, typer.Option(help="The backup to go back to; the newest if not given.")] = "",
    room: Annotated[list[str] | None, typer.Option(help="Restore this room alone; may be given again.")] = None,
    new_lineage: Annotated[
        bool, typer.Option("--new-lineage", help="Replicas set aside what they have, instead of bringing it back.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Move a database that is there aside.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a data directory of backups; no server may have it open.

    Replicas that have more than the backup bring it back when they connect, unless --new-lineage is given. Rooms that
    were erased after the backup are not restored. Exits with 1 if something of it was damaged when the backup was
    taken, with 2, and has changed nothing, if it cannot be restored.
    """
    try:
        with shown("checking", quiet=quiet) as on_progress:
            chain = open_chain(directory, until, on_progress=on_progress)
        with shown("restoring", quiet=quiet) as on_progress:
            done = asyncio.run(
                bring_back(
                    chain,
                    data / DATABASE,
                    now(),
                    rooms=room or (),
                    anew=new_lineage,
                    force=force,
                    on_progress=on_progress,
                )
            )
    except StoreError as error:
        fail(error, REFUSED)
    typer.echo(_said(done))
    for damage in done.damaged.values():
        typer.echo(f"damaged when it was backed up: {damage}", err=True)
    if done.damaged:
        raise typer.Exit(FAILED)


def _said(done: Restored) -> str:
    aside = f"; the database that was there is now {done.aside}" if done.aside else ""
    return f"restored {len(done.rooms):,} rooms from backup {done.backup.id}{aside}"
