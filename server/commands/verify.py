"""The command ``comity verify``."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from comity.persistence.errors import StoreError
from comity.persistence.verdicts import Report, RoomReport
from comity.persistence.verify import verify as read_all

from ..app import DATABASE
from ..cli import FAILED, REFUSED, fail
from ..settings import DATA
from .progress import shown

Data = Annotated[Path, typer.Argument(envvar="COMITY_DATA", help="Directory of the database.")]


def verify(
    data: Data = DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Read everything in a data directory, and say of each room whether it is sound, recoverable or lost.

    A server may have it open. Exits with 0 if all is sound, with 1 if not, with 2 if it cannot be read.
    """
    try:
        with shown("reading", quiet=quiet) as on_progress:
            report = read_all(data / DATABASE, on_progress)
    except StoreError as error:
        fail(error, REFUSED)
    typer.echo(json.dumps(plain(report), ensure_ascii=False) if as_json else "\n".join(lines(report)))
    if not report.is_sound:
        raise typer.Exit(FAILED)


def lines(report: Report) -> Iterator[str]:
    """Return a report for people."""
    for found in report.structure:
        yield f"the file is damaged: {found}"
    if report.strays:
        yield f"rows that belong to no room: {report.strays:,}"
    if report.tombstones:
        yield f"tombstones that are not what was written: {report.tombstones:,}"
    for room in report.rooms:
        yield f"{room.verdict:<11}  {room.room}: {_said(room)}"
        for damage in room.damage:
            yield f"{'':<13}{damage}"
    counts = Counter(room.verdict for room in report.rooms)
    yield ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in ("sound", "recoverable", "lost"))


def plain(report: Report) -> dict[str, Any]:
    """Return a report as what JSON can hold."""
    rooms = [
        {
            "room": room.room,
            "verdict": room.verdict,
            "records": room.records,
            "end": room.end,
            "kept": room.kept.end,
            "sound_after": room.after,
            "damage": [damage._asdict() for damage in room.damage],
        }
        for room in report.rooms
    ]
    return {
        "sound": report.is_sound,
        "structure": report.structure,
        "strays": report.strays,
        "tombstones": report.tombstones,
        "rooms": rooms,
    }


def _said(room: RoomReport) -> str:
    if room.verdict == "lost":
        return f"whole up to record {room.kept.end} of {room.end}; {room.after:,} sound records after that"
    return f"whole up to record {room.end}"
