"""Typed state that AI agents share, merge and keep."""

import asyncio
from contextlib import suppress
from typing import Annotated

import typer

from comity import __version__
from comity.clients import demo as demo_agents
from comity.crdt_types.errors import ComityError
from comity.server.cli import FAILED, fail, serve

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, rich_markup_mode="rich")
app.command()(serve)


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Address of the server.")] = "ws://127.0.0.1:8765",
    seconds: Annotated[float | None, typer.Option(help="How long; until interrupted if not given.")] = None,
) -> None:
    """Let three small agents edit the room shared/demo together."""
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(demo_agents.run(url, seconds))
    except ComityError as error:
        fail(error, FAILED)


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
