"""What the commands have in common: how they reach a server, and how they are told of a version."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Final, TypeVar

import typer

from ..client import connect
from ..history.history import History
from ..history.moments import Moment

T = TypeVar("T")

URL: Final = "ws://127.0.0.1:8765"  # where `comity serve` listens if nothing is said
# What --since and the like may be; people may give a checkpoint the name of a number, but must call it by its version.
MOMENT: Final = "a version's number, a time such as 2026-11-20T18:00, or a checkpoint's name"

Room = Annotated[str, typer.Argument(help="Name of the room.")]
Url = Annotated[str, typer.Option(envvar="COMITY_URL", help="Address of the server.")]
Agent = Annotated[str, typer.Option(envvar="COMITY_AGENT", help="The name that what is written bears.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
When = Annotated[str, typer.Argument(metavar="VERSION", help=f"The version: {MOMENT}.")]
At = Annotated[str, typer.Option(metavar="VERSION", help=f"The version, the newest if not given: {MOMENT}.")]
Since = Annotated[str, typer.Option(metavar="VERSION", help="The version before the first one, or a time.")]
Until = Annotated[str, typer.Option(metavar="VERSION", help="The last version, or a time.")]


def ask(room: str, url: str, agent: str, question: Callable[[History], Awaitable[T]]) -> T:
    """Return what a question about the history of a room is answered.

    Args:
        room: the room.
        url: the server's address.
        agent: the name that what is written bears.
        question: asks it.
    """

    async def asked() -> T:
        async with connect(url, agent=agent).history(room) as history:
            return await question(history)

    return asyncio.run(asked())


def moment(text: str) -> Moment:
    """Return the version that somebody means; a time without a zone is one of this machine's."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        return text


def perhaps(text: str) -> Moment | None:
    """Return the version that somebody means, None for an empty text."""
    return moment(text) if text else None
