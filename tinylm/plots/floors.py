"""Losses beside a floor that is known: bars in bits a byte, and excess loss on log axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm.plots.style import (
    BLUE,
    INK,
    PALETTE,
    QUIET,
    STYLE,
    VERMILION,
    WIDTH,
    label_axes,
    legend_above,
    log_ticks,
    set_title,
)


def bits_figure(groups: Mapping[str, Mapping[str, float]], floor: float, *, title: str) -> Figure:
    """Bits a byte of many predictors, the worst on top, a colour a group, against the floor.

    `groups` maps a kind (as "compressors") to labels and values.
    """
    rows = [
        (value, label, kind) for kind, values in groups.items() for label, value in values.items()
    ]
    rows.sort(reverse=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.3 + 0.25 * len(rows)))
        axes = figure.subplots()
        for place, kind in enumerate(groups):
            chosen = [(i, row[0]) for i, row in enumerate(rows) if row[2] == kind]
            at, values = zip(*chosen, strict=True)
            axes.plot(values, at, "o", markersize=6, color=PALETTE[place], label=kind)
            axes.hlines(at, floor, values, color=PALETTE[place], lw=1.4)
        axes.axvline(floor, color=INK, lw=1.4, label=f"exact floor, {floor:.3f}")
        axes.set_yticks(range(len(rows)), [f"{row[1]}  {row[0]:.3f}" for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, "bits a byte", "")
        legend_above(axes, ncols=len(groups) + 1)
        set_title(figure, title)
    return figure


@dataclass(frozen=True)
class ExcessPanel:
    """One panel of `excess_figure`: runs (x, seed, excess), the fitted slope and the predicted."""

    xlabel: str
    runs: pd.DataFrame
    A: float | None  # of the fitted excess A·x^-exponent; None: no fit
    exponent: float | None
    interval: tuple[float, float] | None
    predicted: float


def excess_figure(panels: Sequence[ExcessPanel], *, title: str) -> Figure:
    """Loss above the true floor against x on log axes; the predicted slope goes through the middle
    of the measured range.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.0))
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            x, excess = panel.runs["x"].to_numpy(float), panel.runs["excess"].to_numpy(float)
            axes.plot(x, excess, "o", color=BLUE, markersize=4, alpha=0.6, label="one run")
            grid = np.geomspace(x.min(), x.max(), 50)
            middle = float(np.sqrt(x.min() * x.max()))
            means = panel.runs.groupby("x")["excess"].mean()
            height = float(np.exp(np.interp(np.log(middle), np.log(means.index), np.log(means))))
            if panel.A is not None and panel.exponent is not None and panel.interval is not None:
                low, high = panel.interval
                label = f"fitted {panel.exponent:.3f} [{low:.3f}, {high:.3f}]"
                fitted = panel.A * grid**-panel.exponent
                axes.plot(grid, fitted, color=INK, lw=1.3, label=label)
            axes.plot(
                grid,
                height * (grid / middle) ** -panel.predicted,
                color=VERMILION,
                ls=(0, (5, 2)),
                label=f"theory {panel.predicted:.3f}",
            )
            axes.set_xscale("log")
            axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                log_ticks(axis)
            label_axes(axes, panel.xlabel, "")
            legend_above(axes)
        row[0].set_ylabel("loss above the true floor (nats a token)", color=INK)
        set_title(figure, title)
    return figure


def floor_by_position_figure(
    models: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    floor: tuple[Sequence[float], Sequence[float]],
    *,
    title: str,
) -> Figure:
    """Loss at each position in a document, and the exact floor there: the gap is what a model has
    not learnt.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        for place, (label, (x, y)) in enumerate(models.items()):
            axes.plot(x, y, marker="o", color=PALETTE[place], label=label)
        axes.fill_between(*floor, color=QUIET, alpha=0.18, lw=0)
        axes.plot(*floor, color=INK, marker="_", label="exact floor")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        log_ticks(axes.xaxis)
        label_axes(axes, "position in document (tokens; 1 is the first)", "nats a token")
        legend_above(axes, ncols=3)
        set_title(figure, title)
    return figure
