"""The tables: what each workload came to on each server, and what went over the wire meanwhile."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final, NamedTuple

from benchmarks.peers.bench import MOST_TAKEN
from benchmarks.peers.workloads import Outcome

OURS: Final = "Comity"
BESIDE: Final = "Hocuspocus"

# By workload, then by server: what it came to, or in words why it came to nothing.
Outcomes = Mapping[str, Mapping[str, Outcome | str]]

Target = Callable[[float, float], bool]  # of Comity's figure and Hocuspocus's; no comparison with nan holds


class Unit(NamedTuple):
    """How a figure is shown: so many of it make one, and what that is called."""

    scale: float
    name: str


_MICROSECONDS: Final = Unit(1e6, "µs")
_MILLISECONDS: Final = Unit(1e3, "ms")
_SECONDS: Final = Unit(1, "s")
_KILOBYTES: Final = Unit(1e-3, "kB")
_CORE: Final = Unit(100, "% of a core")
_RATE: Final = Unit(1, "/s")
_TIMES: Final = Unit(1, "times the document")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        workload: the workload's name.
        figure: the name of its figure.
        what: what that is, for the reader.
        unit: that of all figures in the line.
        wanted: what is wanted of Comity's, for the reader.
        holds: whether that holds.
    """

    workload: str
    figure: str
    what: str
    unit: Unit
    wanted: str = "none"
    holds: Target = lambda ours, _: not isnan(ours)


def _at_most(limit: float) -> Target:
    return lambda ours, _: ours <= limit


def _of_theirs(part: float) -> Target:
    return lambda ours, theirs: ours <= theirs * part


_SATURATED: Final = "50 writers = 50 readers, one room, saturated"
_PACED: Final = "the same at 20 edits/s each"
_OBSERVED: Final = "1 writer at 25 edits/s, 1,000 observers"
_SMALL: Final = "50 rooms of 4, 10 edits/s each"
_PRESENCE: Final = "500 clients that move their awareness once a second, one room"
_STORM: Final = "150 clients join one 4 MB room at once"
_ROOMS: Final = "1,000 rooms each with one idle client"
_CPU: Final = "server CPU per delivered edit"
_LESS: Final = "less than Hocuspocus"

ROWS: Final = (
    Row("saturated", "cpu", f"{_SATURATED}: {_CPU}", _MICROSECONDS, "half of Hocuspocus", _of_theirs(0.5)),
    Row("saturated", "rate", "the same: edits taken and delivered to all", _RATE),
    Row("saturated", "mean", "the same: latency to the writer's neighbour, mean", _MILLISECONDS),
    Row("paced", "cpu", f"{_PACED}: {_CPU}", _MICROSECONDS, _LESS, _of_theirs(1)),
    Row("paced", "p50", "the same: latency, median", _MILLISECONDS),
    Row("paced", "p99", "the same: latency, 99th percentile", _MILLISECONDS, "at most 5 ms", _at_most(0.005)),
    Row("observed", "cpu", f"{_OBSERVED}: {_CPU}", _MICROSECONDS, _LESS, _of_theirs(1)),
    Row("observed", "p50", "the same: latency, median", _MILLISECONDS),
    Row("observed", "p99", "the same: latency, 99th percentile", _MILLISECONDS, "at most 100 ms", _at_most(0.1)),
    Row("small", "cpu", f"{_SMALL}: {_CPU}", _MICROSECONDS, _LESS, _of_theirs(1)),
    Row("small", "p50", "the same: latency, median", _MILLISECONDS),
    Row("small", "p99", "the same: latency, 99th percentile", _MILLISECONDS),
    Row("presence", "core", f"{_PRESENCE}: server CPU", _CORE),
    Row("presence", "p50", "the same: latency, median", _MILLISECONDS),
    Row("presence", "p99", "the same: latency, 99th percentile", _MILLISECONDS, "at most 100 ms", _at_most(0.1)),
    Row("storm", "p50", f"{_STORM}: until a client has all, median", _SECONDS),
    Row("storm", "p95", "the same: 95th percentile", _SECONDS, "at most 2 s", _at_most(2)),
    Row("storm", "memory", "the same: most memory above that before", _TIMES, "less than 3", lambda ours, _: ours < 3),
    Row("rooms", "memory", f"{_ROOMS}: memory for each", _KILOBYTES, "that of Hocuspocus", _of_theirs(1)),
    Row("rooms", "core", "the same: server CPU", _CORE),
    Row(
        "durable",
        "p50",
        "one durable edit at a time: until it is acknowledged, median",
        _MILLISECONDS,
        "at most 5 ms",
        _at_most(0.005),
    ),
    Row("durable", "p99", "the same: 99th percentile", _MILLISECONDS),
    Row("durable", "rate", "durable edits in bulk", _RATE, "at least 20,000/s", lambda ours, _: ours >= 20_000),
)


def figures(outcomes: Outcomes, servers: list[str]) -> tuple[list[str], list[list[str]]]:
    """Return headings and lines of the table of figures; in brackets, the figure divided by Comity's.

    A line for each figure of the workloads that were run, a column for each server. (!) marks a target that is missed.
    """
    lines = [_line(row, outcomes[row.workload], servers) for row in ROWS if row.workload in outcomes]
    return ["what", "target", *servers], lines


def figure(row: Row, outcomes: Outcomes, server: str) -> float:
    """Return one figure, nan where there is none."""
    outcome = outcomes[row.workload].get(server, "")
    return float("nan") if isinstance(outcome, str) else outcome.figures.get(row.figure, float("nan"))


def _line(row: Row, by_server: Mapping[str, Outcome | str], servers: list[str]) -> list[str]:
    return [row.what, row.wanted, *(_cell(row, by_server, server) for server in servers)]


def _cell(row: Row, by_server: Mapping[str, Outcome | str], server: str) -> str:
    outcome = by_server[server]
    if isinstance(outcome, str):
        return outcome
    if not outcome.figures:
        return "no ack"
    found = {row.workload: by_server}
    own, ours = figure(row, found, server), figure(row, found, OURS)
    shown = shown_in(row.unit, own)
    if server == OURS:
        return shown if row.wanted == "none" or row.holds(ours, figure(row, found, BESIDE)) else f"{shown} (!)"
    return shown if isnan(ours) or not ours else f"{shown} ({_ratio(own / ours)})"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def shown_in(unit: Unit, value: float) -> str:
    """Return a figure as text in its unit."""
    number = value * unit.scale
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:,.{digits}f}{'' if unit is _RATE else ' '}{unit.name if unit is not _TIMES else ''}".rstrip()


WIRE_HEADINGS: Final = (
    "workload",
    "server",
    "edits in",
    "messages out",
    "server, of its core",
    "others, of that core",
    "load idle",
    "load late, p99",
)


def wire(outcomes: Outcomes) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table of what went over the wire in each measured span, and who was the slower part."""
    for workload, by_server in outcomes.items():
        for server, outcome in by_server.items():
            if not isinstance(outcome, str) and (span := outcome.span) is not None:
                window = outcome.figures.get("window")
                late = "" if isnan(span.lag) else f"{span.lag * 1e3:.2f} ms"
                yield (
                    workload if window is None else f"{workload}, {window:.0f} under way",
                    server,
                    f"{span.made / span.seconds:,.0f}/s",
                    f"{span.messages_out / span.seconds:,.0f}/s",
                    f"{span.load:.0%}{' (!)' if span.limit == 'server' else ''}",
                    f"{span.others:.0%}{' (!)' if span.others > MOST_TAKEN else ''}",
                    f"{span.idle:.0%}{' (!)' if span.limit == 'load' else ''}",
                    late,
                )
