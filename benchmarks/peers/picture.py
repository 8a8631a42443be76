"""The picture of the figures: a panel for each of some of them, a bar for each server; needs the `bench` extra."""

from math import isnan
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from benchmarks.peers import table
from benchmarks.peers.table import Outcomes, Row
from benchmarks.picture import INK, OURS, PLAIN

_COLUMNS: Final = 4
_TITLES: Final = {
    ("saturated", "cpu"): "50 writers, saturated\nCPU per delivered edit",
    ("paced", "cpu"): "50 writers, 20/s each\nCPU per delivered edit",
    ("observed", "cpu"): "1,000 observers\nCPU per delivered edit",
    ("small", "cpu"): "50 rooms of 4\nCPU per delivered edit",
    ("paced", "p99"): "50 writers, 20/s each\nlatency, p99",
    ("presence", "p99"): "500 awareness clients\nlatency, p99",
    ("storm", "p95"): "150 join a 4 MB room\nuntil synced, p95",
    ("rooms", "memory"): "idle room and client\nmemory",
}


def draw(outcomes: Outcomes, servers: list[str], path: Path) -> None:
    """Draw the figures, the less the better in every panel; the same input gives the same file."""
    rows = [row for row in table.ROWS if (row.workload, row.figure) in _TITLES]
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.patch.set_alpha(0)
    grid = figure.subplots(2, _COLUMNS, squeeze=False)
    for axes, key in zip(grid.flat, _TITLES, strict=True):
        _draw(axes, next(row for row in rows if (row.workload, row.figure) == key), outcomes, servers)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _draw(axes: Any, row: Row, outcomes: Outcomes, servers: list[str]) -> None:
    values = [table.figure(row, outcomes, server) for server in servers]
    bars = [0 if isnan(value) else value * row.unit.scale for value in values]
    labels = ["did not finish" if isnan(value) else table.shown_in(row.unit, value) for value in values]
    colours = [OURS if server == table.OURS else PLAIN for server in servers]
    axes.set_title(_TITLES[row.workload, row.figure], color=INK, fontsize=9)
    axes.patch.set_alpha(0)
    drawn = axes.barh(servers, bars, color=colours, height=0.6)
    axes.bar_label(drawn, labels, padding=3, color=INK, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(bars) * 1.5 or 1)
    axes.set_xticks([])
    axes.tick_params(colors=INK, length=0)
    axes.spines[:].set_visible(False)
