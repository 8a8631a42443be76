"""The commands ``comity checkpoint``."""

from typing import Annotated

import typer

from ..history.history import History
from ..history.results import CheckpointKind
from .history import tell_revision
from .options import URL, Agent, AsJson, At, Room, Url, When, ask, moment, perhaps
from .output import printable, tell, tell_json, tell_table

app = typer.Typer(help="Names for versions of a room: create, list, delete, restore.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the checkpoint.")]


@app.command()
def create(
    room: Room,
    name: Name,
    at: At = "",
    kind: Annotated[CheckpointKind, typer.Option(help="What it is for.")] = "manual",
    note: Annotated[str, typer.Option(help="What else there is to say.")] = "",
    url: Url = URL,
    agent: Agent = "",
    as_json: AsJson = False,
) -> None:
    """Give a version of a room a name."""
    made = ask(room, url, agent, lambda history: history.checkpoint(name, at=perhaps(at), kind=kind, note=note))
    if as_json:
        tell_json(made)
    else:
        tell(f"version {made.version} is {printable(name)}")


@app.command("list")
def list_(room: Room, url: Url = URL, as_json: AsJson = False) -> None:
    """List the checkpoints of a room, the oldest version first."""
    found = ask(room, url, "", History.checkpoints)
    if as_json:
        tell_json(found)
        return
    rows = [(each.name, str(each.version), each.kind, each.author, each.at, each.note) for each in found]
    tell_table(("name", "version", "kind", "author", "time", "note"), rows, "no checkpoints")


@app.command()
def delete(room: Room, name: Name, url: Url = URL, agent: Agent = "", as_json: AsJson = False) -> None:
    """Delete a checkpoint of a room; its version stays."""
    existed = ask(room, url, agent, lambda history: history.delete_checkpoint(name))
    if as_json:
        tell_json(existed)
    else:
        tell("deleted" if existed else "there was no such checkpoint")


@app.command()
def restore(room: Room, version: When, url: Url = URL, agent: Agent = "", as_json: AsJson = False) -> None:
    """Make a room what it was at a checkpoint, or at any version.

    It is a version of its own, which merges with what others do at the same moment, and can be taken back.
    """
    tell_revision(ask(room, url, agent, lambda history: history.restore(moment(version))), as_json)
