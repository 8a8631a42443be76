"""The rows of `benchmarks.types`: what is measured in either language, what is wanted, and how it is shown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

Unit = Literal["bytes", "us", "s"]

KEYS: Final = 50
WRITERS: Final = 8
COUNTERS: Final = 10
LIVE_ITEMS: Final = 1_000  # in the list that items are inserted into and moved in, to begin with


class Scale(NamedTuple):
    """How much is done."""

    overwrites: int
    increments: int
    cells: int
    repeats: int


FULL: Final = Scale(overwrites=100_000, increments=1_000_000, cells=100_000, repeats=10_000)
QUICK: Final = Scale(overwrites=10_000, increments=20_000, cells=10_000, repeats=2_000)


class Figure(NamedTuple):
    """What one row came to in one language: typed state, and the plain Yjs type beside it."""

    comity: float
    plain: float

    @property
    def ratio(self) -> float:
        """How many times the plain figure ours is."""
        return self.comity / self.plain


Figures = Mapping[str, Figure]  # by the row's key


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        key: what both languages call it.
        what: what it is, for the reader.
        plain: the plain Yjs type that does the same.
        unit: that of both figures.
        limit: what the figure is to be at most, in this unit; None if there is no target.
        share: what the figure is to be at most, as a share of the plain one; None if there is no such target.
    """

    key: str
    what: str
    plain: str
    unit: Unit
    limit: float | None = None
    share: float | None = None

    def met(self, figure: Figure) -> bool:
        """Whether a figure is within the target."""
        within = self.limit is None or figure.comity <= self.limit
        return within and (self.share is None or figure.ratio <= self.share)

    @property
    def target(self) -> str:
        """The target in words."""
        if self.share is not None:
            return f"at most 1/{1 / self.share:.0f}"
        return "none" if self.limit is None else f"at most {_amount(self.limit, self.unit)}"


def rows(scale: Scale) -> list[Row]:
    """Return the lines of the table; targets that grow with the amount of work are scaled down with it."""
    overwrites = f"{scale.overwrites:,} overwrites of {KEYS} keys"
    share = 1 / 100 * FULL.overwrites / scale.overwrites
    load = 0.5 * scale.cells / FULL.cells
    return [
        Row("overwrites by 1", f"{overwrites} by 1 writer: document", "Y.Map", "bytes"),
        Row("overwrites by 8", f"{overwrites} by {WRITERS} writers: document", "Y.Map", "bytes", share=share),
        Row("apart", f"the same by {WRITERS} writers apart, with the conflicts", "Y.Map", "bytes", share=share),
        Row("increments", f"{scale.increments:,} increments of {COUNTERS} counters: document", "Y.Map", "bytes", 4000),
        Row("set", "local set, index, update and listeners included", "Y.Map", "us", 15),
        Row("ten sets", "10 sets in one transaction", "Y.Map", "us", 70),
        Row("read register", "read of a register", "Y.Map", "us", 1),
        Row("read cell", "read of a map cell", "Y.Map", "us", 1),
        Row("read counter", "read of a counter", "Y.Map", "us", 1),
        Row("remote", "remote update applied, indexed and told to listeners", "Y.Map", "us", 12),
        Row("load", f"load of {scale.cells:,} live cells, with the index", "Y.Map", "s", load),
        Row("append", "append to a log", "Y.Array", "us"),
        Row("insert", f"insert somewhere in a list of {LIVE_ITEMS:,} and more", "Y.Array", "us"),
        Row("move", "move within this list", "Y.Array", "us"),
    ]


HEADINGS: Final = ("what", "target", "Python", "plain", "ratio", "JavaScript", "plain", "ratio")


def lines(scale: Scale, python: Figures, javascript: Figures | None) -> Iterator[tuple[str, ...]]:
    """Yield the cells of the table; what is over its target is marked, a language that was not measured has dashes."""
    for row in rows(scale):
        there = ("-", "-", "-") if javascript is None else _cells(row, javascript[row.key])
        yield (row.what, row.target, *_cells(row, python[row.key]), *there)


def _cells(row: Row, figure: Figure) -> tuple[str, ...]:
    mark = "" if row.met(figure) else " (!)"
    return _amount(figure.comity, row.unit) + mark, f"{row.plain} {_amount(figure.plain, row.unit)}", _ratio(figure)


def _ratio(figure: Figure) -> str:
    return f"{figure.ratio:.2f}" if figure.ratio > 0.1 else f"1/{1 / figure.ratio:,.0f}"


def _amount(value: float, unit: Unit) -> str:
    return _FORMATS[unit](value)


_FORMATS: Final[dict[Unit, Callable[[float], str]]] = {
    "bytes": lambda value: f"{value:,.0f} bytes",
    "us": lambda value: f"{value:.3g} µs" if value < 1000 else f"{value:,.0f} µs",
    "s": lambda value: f"{value:.3g} s",
}


def markdown(headings: Sequence[str], table: Iterable[Iterable[str]]) -> str:
    """Return a table as the pages of docs have it."""
    rule = "|" + "---|" * len(headings)
    head, *lines = (f"| {' | '.join(line)} |" for line in (headings, *table))
    return "\n".join((head, rule, *lines))
