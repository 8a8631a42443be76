"""The commands ``comity branch``."""

from typing import Annotated

import typer

from comity.crdt_types import Conflict

from ..history.history import History
from .history import tell_differences
from .options import URL, Agent, AsJson, At, Room, Url, ask, perhaps
from .output import DIFFERENCES, difference_rows, printable, tell, tell_json, tell_table, value_line

app = typer.Typer(help="Branches of a room: create, list, diff, merge, delete.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the branch.")]


@app.command()
def create(room: Room, name: Name, at: At = "", url: Url = URL, agent: Agent = "", as_json: AsJson = False) -> None:
    """Make a room that begins as another one was at a version."""
    made = ask(room, url, agent, lambda history: history.branch(name, at=perhaps(at)))
    if as_json:
        tell_json(made)
    else:
        tell(f"room {printable(made.room)} begins as version {made.version}")


@app.command("list")
def list_(room: Room, url: Url = URL, as_json: AsJson = False) -> None:
    """List the branches of a room, by name."""
    found = ask(room, url, "", History.branches)
    if as_json:
        tell_json(found)
        return
    rows = [(each.name, each.room, str(each.version), each.author, each.at) for each in found]
    tell_table(("name", "room", "version", "author", "time"), rows, "no branches")


@app.command()
def diff(room: Room, name: Name, url: Url = URL, as_json: AsJson = False) -> None:
    """Tell what makes a room, as it is now, read like one of its branches."""
    tell_differences(ask(room, url, "", lambda history: history.diff_branch(name)), as_json)


@app.command()
def merge(
    room: Room,
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would come of it, and write nothing.")] = False,
    url: Url = URL,
    agent: Agent = "",
    as_json: AsJson = False,
) -> None:
    """Bring everything that was done in a branch to its room; the branch stays as it is."""
    done = ask(room, url, agent, lambda history: history.merge(name, dry_run=dry_run))
    if as_json:
        tell_json(done)
        return
    if not dry_run:
        tell("nothing to merge" if done.version is None else f"version {done.version}")
    tell_table(DIFFERENCES, difference_rows(done.changes, done.texts), "no changes")
    for conflict in done.conflicts:
        tell(f"in dispute: {_said(conflict)}")


def _said(conflict: Conflict) -> str:
    where = conflict.field if conflict.key is None else f"{conflict.field}[{conflict.key!r}]"
    rivals = (
        f"{'deleted' if rival.deleted else value_line(rival.value) or 'null'} by {rival.author or 'someone'}"
        for rival in conflict.rivals
    )
    return printable(f"{where}: {', '.join(rivals)}")


@app.command()
def delete(room: Room, name: Name, url: Url = URL, agent: Agent = "", as_json: AsJson = False) -> None:
    """Erase a branch of a room, with its history and its own branches."""
    existed = ask(room, url, agent, lambda history: history.delete_branch(name))
    if as_json:
        tell_json(existed)
    else:
        tell("deleted" if existed else "there was no such branch")
