"""Typed state that AI agents share, merge and keep."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from comity import __version__
from comity.clients import demo as demo_agents
from comity.clients.commands import branch, checkpoint
from comity.clients.commands.history import blame, diff, erase, forget, history, log, rollback, show
from comity.crdt_types.errors import ComityError
from comity.server.cli import FAILED, fail, serve
from comity.server.commands.backup import backup, backups
from comity.server.commands.portable import export, import_
from comity.server.commands.repair import repair
from comity.server.commands.restore import restore
from comity.server.commands.verify import verify


class Commands(TyperGroup):
    """Commands that say in one line what went wrong."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for."""
        try:
            return super().invoke(ctx)
        except ComityError as error:
            fail(error, FAILED)


app = typer.Typer(cls=Commands, help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
app.command()(serve)
app.command()(verify)
app.command()(repair)
app.command()(backup)
app.command()(backups)
app.command()(restore)
app.command()(export)
app.command("import")(import_)
app.command()(history)
app.command()(show)
app.command()(diff)
app.command()(log)
app.command()(blame)
app.command()(rollback)
app.command()(erase)
app.command()(forget)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(branch.app, name="branch")


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Address of the server.")] = "ws://127.0.0.1:8765",
    seconds: Annotated[float | None, typer.Option(help="How long; until interrupted if not given.")] = None,
) -> None:
    """Let three small agents edit the room shared/demo together."""
    with suppress(KeyboardInterrupt):
        asyncio.run(demo_agents.run(url, seconds))


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Typed state that AI agents share, merge and keep."""
    if version:
        typer.echo(f"comity {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
