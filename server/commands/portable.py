"""The commands ``comity export`` and ``comity import``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from comity.persistence.errors import StoreError
from comity.persistence.transfer import Carried, export_room, import_room

from ..app import DATABASE
from ..cli import FAILED, REFUSED, fail
from ..rooms.archive import now
from ..settings import DATA
from .backup import Data, Quiet
from .progress import shown


def export(
    room: Annotated[str, typer.Argument(help="Name of the room.")],
    file: Annotated[Path, typer.Argument(help="The file to write; must not exist.")],
    data: Data = DATA,
    quiet: Quiet = False,
) -> None:
    """Write a room with its history and its checkpoints to one file; the server may be running.

    Exits with 1 if some of the room is damaged and not in the file therefore, with 2 if there is no file.
    """
    try:
        with shown("exporting", quiet=quiet) as on_progress:
            done = export_room(data / DATABASE, room, file, now(), on_progress=on_progress)
    except StoreError as error:
        fail(error, REFUSED)
    _tell(done, "exported")


def import_(
    file: Annotated[Path, typer.Argument(help="A file that comity export wrote.")],
    data: Data = DATA,
    name: Annotated[str, typer.Option("--as", help="What the room shall be called; as in the file if not given.")] = "",
    quiet: Quiet = False,
) -> None:
    """Put an exported room into a data directory that no server has open.

    Under its own name it is the same room: replicas of it go on. Under another name it is a new one. Exits with 1 if
    some of it was damaged when it was exported, with 2, and has changed nothing, if it cannot be imported.
    """
    if not name.isprintable():
        fail(f"{name!r} is no name for a room: give printable characters", REFUSED)
    try:
        with shown("importing", quiet=quiet) as on_progress:
            done = asyncio.run(import_room(file, data / DATABASE, name, on_progress=on_progress))
    except StoreError as error:
        fail(error, REFUSED)
    _tell(done, "imported")


def _tell(done: Carried, what: str) -> None:
    typer.echo(f"{what} room {done.room!r} up to record {done.seq:,}")
    if done.damage:
        typer.echo(f"damaged when it was exported: {done.damage}", err=True)
        raise typer.Exit(FAILED)
