"""What the commands print: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from comity.crdt_types import ABSENT, Change
from comity.crdt_types.document.delta import Delta
from comity.crdt_types.history.differences import Difference
from comity.crdt_types.views.plain import escaped, stored_json

# Wider than any line: where there is no terminal, nothing is to be broken or cut.
_ANY_WIDTH: Final = 100_000


def tell(line: str) -> None:
    """Print a line."""
    _console().print(Text(line), soft_wrap=True)


def tell_json(value: Any) -> None:
    """Print a result as one line of JSON."""
    tell(json.dumps(plain(value), ensure_ascii=False))


def tell_table(columns: Iterable[str], rows: Iterable[Iterable[object]], nothing: str) -> None:
    """Print a table, or what to say if it has no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    if table.row_count:
        _console().print(table)
    else:
        tell(nothing)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_ANY_WIDTH)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    return f"{value:,}" if type(value) is int else printable(str(value))


def printable(name: str) -> str:
    """Return a name as it may be printed: others than this program's users chose it."""
    return name if name.isprintable() else repr(name)


def plain(value: Any) -> Any:
    """Return a result as what JSON can hold; values of fields as in docs/json.md."""
    if hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {escaped(key): plain(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is ABSENT else stored_json(value)


def value_line(value: Any) -> str:
    """Return a value as JSON for a table; nothing for None."""
    return "" if value is None or value is ABSENT else json.dumps(plain(value), ensure_ascii=False)


DIFFERENCES: Final = ("field", "key", "what", "old", "new", "by")
"""The columns of `difference_rows`."""


def difference_rows(
    changes: Iterable[Difference | Change], texts: dict[str, Delta] | None = None
) -> Iterator[tuple[object, ...]]:
    """Yield a row for each change and each text that was edited."""
    for change in changes:
        yield (
            change.field,
            value_line(change.key),
            change.action,
            value_line(change.old),
            value_line(change.new),
            change.author,
        )
    for name, delta in (texts or {}).items():
        yield name, None, "edited", None, value_line(delta), None
