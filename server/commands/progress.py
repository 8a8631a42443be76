"""How far long work has come, for people who watch it."""

from collections.abc import Generator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from comity.persistence.progress import Progress


@contextmanager
def shown(title: str, *, quiet: bool = False) -> Generator[Progress]:
    """Show a bar on standard error while the context lasts; nothing where that is no terminal.

    Args:
        title: what is being done.
        quiet: show nothing.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with bars.Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, advance=done, total=total)
