"""The command ``comity serve``."""

import asyncio
import inspect
import logging
import sys
from typing import Any, Final, NoReturn

import typer
import uvloop
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape

from comity.crdt_types.errors import ComityError

from .serving import serve as serve_until_signalled
from .settings import Settings

FAILED: Final = 1  # it ran and could not go on
REFUSED: Final = 2  # it did not start; also what a wrong option ends with

_out = Console(highlight=False, soft_wrap=True)
_err = Console(highlight=False, soft_wrap=True, stderr=True)

_PROGRAM: Final = (
    "import comity; from comity.clients.demo import Demo",
    'client = comity.connect("{address}", agent="me")',
    'async with client.open("shared/demo", Demo) as demo: demo.goal.set("hello"); await demo.durable()',
)


def serve(**options: Any) -> None:
    """Run the server until it is interrupted.

    Every option can also be given in the environment, as COMITY_ and its name in capitals.
    """
    settings = _settings({name: value for name, value in options.items() if value is not None})
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    exit_code = REFUSED

    def on_started(port: int) -> None:
        nonlocal exit_code
        exit_code = FAILED
        _out.print(_banner(settings, port))

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_until_signalled(settings, on_started))
    except ComityError as error:
        fail(error, exit_code)


def fail(error: object, exit_code: int) -> NoReturn:
    """Print an error for people, and exit with a code."""
    _err.print(f"[bold red]comity:[/] {escape(str(error))}")
    raise typer.Exit(exit_code)


def _settings(given: dict[str, Any]) -> Settings:
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        fail(f"settings that cannot be: {wrong}", REFUSED)


def _banner(settings: Settings, port: int) -> str:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    host = f"[{reached}]" if ":" in reached else reached
    address = f"ws://{host}:{port}"
    program = "\n".join(_PROGRAM).format(address=address)
    return (
        f"[bold]Comity[/] listens on [bold]{escape(address)}[/]\n"
        f"  data       {escape(str(settings.data.resolve()))}\n"
        f"  live page  http://{escape(host)}:{port}/\n"
        f"try, in {escape(sys.executable)} -m asyncio:\n\n{escape(program)}\n\n"
        "Ctrl-C ends it."
    )


def _signature(fields: dict[str, FieldInfo]) -> inspect.Signature:
    """Return the signature of ``serve``: one option per setting, absent unless given."""
    return inspect.Signature([_parameter(name, field) for name, field in fields.items()])


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    default = "unset" if field.default in (None, "") else str(field.default).lower()
    option = typer.Option(None, help=f"{field.description} \\[{default}]", show_default=False)
    kind: Any = field.annotation
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


serve.__signature__ = _signature(Settings.model_fields)  # type: ignore[attr-defined]
serve.__annotations__ = {name: each.annotation for name, each in serve.__signature__.parameters.items()}  # type: ignore[attr-defined]
