"""Curves, drawn as SVG that reads on light and on dark pages; needs the `bench` extra."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

# Each stands out from white and from black by four to one or more, and from the other also without colours.
INK: Final = "#7a7a7a"
OURS: Final = "#2a86d1"
PLAIN: Final = "#cf6a12"

mpl.rcParams.update({"svg.hashsalt": "comity", "svg.fonttype": "path", "font.size": 9, "axes.unicode_minus": False})


class Curve(NamedTuple):
    """One curve: its name, whether it is Comity's, whether it is dashed, its places."""

    name: str
    ours: bool
    dashed: bool
    places: list[tuple[float, float]]


class Panel(NamedTuple):
    """One pair of axes with its curves."""

    title: str
    curves: list[Curve]


class Series(NamedTuple):
    """How one figure went on: its name, whether it is dashed, its places."""

    name: str
    dashed: bool
    places: list[tuple[float, float]]


class Course(NamedTuple):
    """One pair of axes with figures that went on along the same thing."""

    title: str
    series: list[Series]
    is_logarithmic: bool = False


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Draw panels, half of them in each of two rows, that share one legend; the same input gives the same file."""
    columns = ceil(len(panels) / 2)
    figure = Figure(figsize=(4 * columns + 0.4, 6.4), layout="constrained")
    figure.patch.set_alpha(0)
    grid = figure.subplots(2, columns, squeeze=False, sharex=True, sharey="row")
    for axes, panel in zip(grid.flat, panels, strict=True):
        _draw(axes, panel)
    for axes in grid[-1]:
        axes.set_xlabel("overwrites of 50 keys", color=INK)
    handles, names = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2 * columns, frameon=False, labelcolor=INK)
    _save(figure, path)


def draw_courses(panels: Sequence[Course], along: str, path: Path) -> None:
    """Draw how figures went on, two panels in each row; the same input gives the same file.

    Args:
        panels: what to draw, from zero up if it is not logarithmic.
        along: what the figures went on along.
        path: where to.
    """
    figure = Figure(figsize=(8.4, 2.6 * ceil(len(panels) / 2) + 0.4), layout="constrained")
    figure.patch.set_alpha(0)
    grid = figure.subplots(ceil(len(panels) / 2), 2, squeeze=False, sharex=True)
    for axes, panel in zip(grid.flat, panels, strict=True):
        _prepare(axes, panel.title)
        for each in panel.series:
            along_axis, values = zip(*each.places, strict=True)
            axes.plot(
                along_axis,
                values,
                label=each.name,
                color=PLAIN if each.dashed else OURS,
                linestyle="--" if each.dashed else "-",
                linewidth=1.4,
            )
        if panel.is_logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.legend(loc="best", frameon=False, labelcolor=INK)
    for axes in grid[-1]:
        axes.set_xlabel(along, color=INK)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _prepare(axes: Any, title: str) -> None:
    axes.set_title(title, color=INK, fontsize=10)
    axes.patch.set_alpha(0)
    axes.tick_params(which="both", colors=INK)
    axes.grid(color=INK, alpha=0.25, linewidth=0.5)
    axes.spines[:].set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)


def _draw(axes: Any, panel: Panel) -> None:
    _prepare(axes, panel.title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for curve in panel.curves:
        writes, values = zip(*curve.places, strict=True)
        axes.plot(
            writes,
            values,
            label=curve.name,
            color=OURS if curve.ours else PLAIN,
            linestyle="--" if curve.dashed else "-",
            marker="o" if curve.ours else "s",
            markersize=3.5,
            linewidth=1.6,
        )
