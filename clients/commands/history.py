"""The commands ``comity history``, ``show``, ``diff``, ``log``, ``blame``, ``rollback``, ``erase`` and
``forget``.
"""

import json
from typing import Annotated, Final

import typer

from comity.crdt_types.history.blame import Credit
from comity.crdt_types.history.differences import Differences
from comity.crdt_types.history.timeline import LogEntry

from ..history.history import History
from ..history.results import Checkpoint, ErasedRoom, RedactedRoom, Revision, Version
from .contents import contents
from .options import MOMENT, URL, Agent, AsJson, At, Room, Since, Until, Url, When, ask, moment, perhaps
from .output import DIFFERENCES, difference_rows, printable, tell, tell_json, tell_table, value_line

# A few screens; what is not shown is said.
LIMIT: Final = 100


def history(
    room: Room,
    limit: Annotated[int, typer.Option(min=1, help="How many versions to show.")] = LIMIT,
    url: Url = URL,
    as_json: AsJson = False,
) -> None:
    """List the versions of a room, the newest first, with who made them, when, and their checkpoints."""
    versions, checkpoints, more = ask(room, url, "", lambda history: _versions(history, limit))
    if as_json:
        tell_json([version._asdict() | {"checkpoints": _names(version, checkpoints)} for version in versions])
        return
    rows = [
        (str(each.number), each.at, each.author, each.size, ", ".join(_names(each, checkpoints))) for each in versions
    ]
    tell_table(("version", "time", "author", "bytes", "checkpoints"), rows, "no versions")
    if more:
        tell("there are older ones; --limit says how many are shown")


async def _versions(history: History, limit: int) -> tuple[list[Version], list[Checkpoint], bool]:
    found: list[Version] = []
    async for version in history.versions(newest_first=True):
        if len(found) == limit:
            return found, await history.checkpoints(), True
        found.append(version)
    return found, await history.checkpoints(), False


def _names(version: Version, checkpoints: list[Checkpoint]) -> list[str]:
    return [checkpoint.name for checkpoint in checkpoints if checkpoint.version == version.number]


def show(room: Room, version: When, url: Url = URL, as_json: AsJson = False) -> None:
    """Print what a room held at a version, as JSON by the paths of its fields.

    With --json it comes as one line.
    """
    found = ask(room, url, "", lambda history: history.at(moment(version)))
    tell(json.dumps(contents(found), ensure_ascii=False, indent=None if as_json else 2))


def diff(
    room: Room,
    a: Annotated[str, typer.Argument(metavar="A", help=f"A version: {MOMENT}.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one; the newest if not given.")] = "",
    url: Url = URL,
    as_json: AsJson = False,
) -> None:
    """Tell what lies between two versions of a room, forwards or backwards."""
    tell_differences(ask(room, url, "", lambda history: history.diff(moment(a), perhaps(b))), as_json)


def tell_differences(found: Differences, as_json: bool) -> None:
    """Print differences."""
    if as_json:
        tell_json(found)
    else:
        tell_table(DIFFERENCES, difference_rows(found.changes, found.texts), "no differences")


def log(
    room: Room,
    field: Annotated[str, typer.Option(help="The path of a field, meant with all that lies below it.")] = "",
    author: Annotated[str, typer.Option(help="The agent that made the changes.")] = "",
    since: Since = "",
    until: Until = "",
    url: Url = URL,
    as_json: AsJson = False,
) -> None:
    """Tell what each version of a room changed, the oldest first; with --json a line for each."""
    told = tell_json if as_json else _tell_entry

    async def tell_log(history: History) -> int:
        count = 0
        matching = history.log(field=field or None, author=author or None, since=perhaps(since), until=perhaps(until))
        async for entry in matching:
            told(entry)
            count += 1
        return count

    if not ask(room, url, "", tell_log) and not as_json:
        tell("no changes")


def _tell_entry(entry: LogEntry) -> None:
    tell(f"version {entry.version}  {entry.at.astimezone():%Y-%m-%d %H:%M:%S}  {printable(entry.author)}")
    for change in entry.changes:
        tell(f"  {printable(str(change))}")
    for name, delta in entry.texts.items():
        tell(f"  {printable(name)}: edited {value_line(delta)}")


def blame(room: Room, at: At = "", url: Url = URL, as_json: AsJson = False) -> None:
    """Tell who wrote what is in a room, in which version and when."""
    found = ask(room, url, "", lambda history: history.blame(perhaps(at)))
    if as_json:
        tell_json(found)
        return
    rows: list[tuple[object, ...]] = [
        (cell.field, value_line(cell.key), value_line(cell.value), *_credited(cell.credit)) for cell in found.cells
    ]
    for name, runs in found.texts.items():
        rows += [(name, f"{start}-{start + length}", None, *_credited(credit)) for start, length, credit in runs]
    tell_table(("field", "key", "value", "author", "version", "time"), rows, "nothing is there")


def _credited(credit: Credit) -> tuple[object, ...]:
    return credit.author, None if credit.version is None else str(credit.version), credit.at


def rollback(
    room: Room,
    author: Annotated[str, typer.Option(help="The agent whose work is taken back.")] = "",
    since: Since = "",
    until: Until = "",
    version: Annotated[list[int] | None, typer.Option(help="Take back this version; may be given again.")] = None,
    field: Annotated[list[str] | None, typer.Option(help="Only in this field; may be given again.")] = None,
    url: Url = URL,
    agent: Agent = "",
    as_json: AsJson = False,
) -> None:
    """Take back some of what was done in a room, and keep everything else.

    What is taken back is what meets all that is given: an author, a time, versions. It is a version of its own, which
    can be taken back as well.
    """
    done = ask(
        room,
        url,
        agent,
        lambda history: history.rollback(
            author=author or None, since=perhaps(since), until=perhaps(until), versions=version, fields=field
        ),
    )
    tell_revision(done, as_json)


def tell_revision(done: Revision, as_json: bool) -> None:
    """Print what a restore or a rollback came to."""
    if as_json:
        tell_json(done)
        return
    tell("nothing to change" if done.version is None else f"version {done.version}")
    tell_table(DIFFERENCES, difference_rows(done.changes), "no changes")
    for kept in done.kept:
        where = kept.field if kept.key is None else f"{kept.field}[{kept.key!r}]"
        tell(f"left alone: {printable(where)}, written since by {printable(kept.by or 'someone')}")


def erase(
    room: Room,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = URL,
    agent: Agent = "",
    as_json: AsJson = False,
) -> None:
    """Remove a room for good, with its history, checkpoints and branches; it asks first."""
    if not yes:
        typer.confirm(f"Erase room {printable(room)} with its history and its branches for good?", abort=True, err=True)
    found = ask(room, url, agent, History.erase)
    if as_json:
        tell_json(found)
    else:
        columns = ("room", "versions", "snapshots", "checkpoints", "bytes", "left out by backups")
        tell_table(columns, map(_erased, found), "there was no such room")


def forget(
    author: Annotated[str, typer.Argument(help="The agent that is to be forgotten.")],
    room: Room,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = URL,
    agent: Agent = "",
    as_json: AsJson = False,
) -> None:
    """Take out of a room, its history and its branches what an agent wrote, for good; it asks first."""
    if not yes:
        what = f"Take what {printable(author)} wrote out of room {printable(room)} and its history for good?"
        typer.confirm(what, abort=True, err=True)
    found = ask(room, url, agent, lambda history: history.forget(author))
    if as_json:
        tell_json(found)
    else:
        columns = ("room", "versions", "snapshots", "checkpoints", "items", "left out by backups")
        tell_table(columns, map(_redacted, found), "there was nothing of theirs")


def _redacted(room: RedactedRoom) -> tuple[object, ...]:
    said = "yes" if room.backups else "no"
    return room.room, room.versions, room.snapshots, room.checkpoints, room.items, said


def _erased(room: ErasedRoom) -> tuple[object, ...]:
    said = "yes" if room.backups else "no"
    return room.room, room.versions, room.snapshots, room.checkpoints, room.size, said
