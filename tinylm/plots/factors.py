"""A sweep of several factors, one at a time, and what a rule costs against the best of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from tinylm.plots.style import (
    INK,
    MARKERS,
    STYLE,
    WIDTH,
    colours,
    label_axes,
    log_ticks,
    set_title,
)


@dataclass(frozen=True)
class SweepPanel:
    """Runs in which one factor moves: how far it is from the centre, and what that costs."""

    row: str  # the panel's row and column
    column: str
    points: pd.DataFrame  # label, x, y
    curves: pd.DataFrame  # the same, of what was fitted
    rule: float  # where a rule is, which a line marks


def sweep_figure(
    panels: Sequence[SweepPanel],
    *,
    xlabels: Mapping[str, str],
    ylabel: str,
    title: str,
) -> Figure:
    """A grid of small panels: y over x, a colour a label, points measured and curves fitted.

    `xlabels` has the label of the axis below each column.
    """
    rows = list(dict.fromkeys(panel.row for panel in panels))
    columns = list(dict.fromkeys(panel.column for panel in panels))
    labels = list(dict.fromkeys(label for panel in panels for label in panel.points["label"]))
    chosen = dict(zip(labels, colours(len(labels)), strict=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 1.5 * len(rows)))
        grid = figure.subplots(len(rows), len(columns), sharey=True, sharex="col", squeeze=False)
        for panel in panels:
            axes = grid[rows.index(panel.row), columns.index(panel.column)]
            axes.axvline(panel.rule, color=INK, lw=0.8, ls=(0, (4, 2)))
            for place, label in enumerate(labels):
                here = panel.points[panel.points["label"] == label]
                curve = panel.curves[panel.curves["label"] == label]
                style = {"color": chosen[label], "marker": MARKERS[place % len(MARKERS)]}
                axes.plot(here["x"], here["y"], linestyle="", label=label, **style)
                axes.plot(curve["x"], curve["y"], color=chosen[label], lw=1.1)
            if panel.row == rows[0]:
                axes.set_title(panel.column, loc="left", fontsize=9.5)
            label_axes(axes, xlabels[panel.column], panel.row)
            axes.xaxis.label.set_visible(panel.row == rows[-1])
            axes.yaxis.label.set_visible(panel.column == columns[0])
        figure.supylabel(ylabel, fontsize=9.5)
        handles = grid[0, 0].get_legend_handles_labels()
        figure.legend(*handles, ncols=min(6, len(labels)), loc="outside lower left")
        set_title(figure, title)
    return figure


def rule_cost_figure(
    costs: pd.DataFrame, *, limit: float, xlabel: str, ylabel: str, title: str
) -> Figure:
    """What a rule costs over size, a line with its 95% band each: columns label, x, y, low, high.
    A dashed line marks the `limit` that was aimed at.
    """
    labels = list(dict.fromkeys(costs["label"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots()
        for place, (label, colour) in enumerate(zip(labels, colours(len(labels)), strict=True)):
            here = costs[costs["label"] == label].sort_values("x")
            marker = MARKERS[place % len(MARKERS)]
            axes.plot(here["x"], here["y"], color=colour, marker=marker, label=label)
            axes.fill_between(here["x"], here["low"], here["high"], color=colour, alpha=0.15, lw=0)
        axes.axhline(limit, color=INK, lw=1.0, ls=(0, (5, 2)))
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        axes.set_ylim(bottom=0)
        label_axes(axes, xlabel, ylabel)
        axes.legend(ncols=len(labels), loc="upper right")
        set_title(figure, title)
    return figure
