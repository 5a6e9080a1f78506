"""Compute budgets: isoFLOP curves and best sizes."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tinylm import say
from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.laws import Frontier, Surface, SurfaceWithIntervals
from tinylm.plots.style import (
    BLUE,
    INK,
    NATS,
    STYLE,
    VERMILION,
    WIDTH,
    colours,
    draw_means,
    label_axes,
    legend_above,
    log_axes,
    log_ticks,
    set_title,
)


def isoflop_figure(
    runs: pd.DataFrame,
    frontier: Frontier,
    surface: Surface,
    *,
    title: str,
) -> Figure:
    """Loss against size at each budget, its parabola with its minimum, and a surface through all.

    `runs` has a row a run: n, tokens, budget, nats.
    """
    groups = list(runs.groupby("budget"))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.4))
        axes = figure.subplots()
        for place, ((budget, part), colour) in enumerate(
            zip(groups, colours(len(groups)), strict=True)
        ):
            label = f"{say.short(float(str(budget)))} FLOPs"
            draw_means(axes, part.groupby("n")["nats"], place, colour, label)
            n = np.geomspace(part["n"].min(), part["n"].max(), 80)
            parabola = np.polynomial.Polynomial.fit(np.log(part["n"]), part["nats"], 2)
            axes.plot(n, parabola(np.log(n)), color=colour, lw=1.2)
            tokens = np.exp(np.log(part["n"] * part["tokens"]).mean()) / n
            axes.plot(n, surface.loss(n, tokens), color=colour, lw=1.0, ls=(0, (1, 1.5)))
        _draw_minima(axes, frontier.N, frontier.loss)
        log_axes(axes)
        label_axes(axes, "N, parameters with the output layer", NATS)
        legend_above(axes, ncols=3)
        set_title(figure, title)
    return figure


def budget_figure(
    n: float,
    tokens: float,
    runs: pd.DataFrame,
    fit: SurfaceWithIntervals,
    floor: float,
    *,
    title: str,
) -> Figure:
    """A model of N parameters that reads so many tokens, on the surface at the compute which that
    takes, with its 95% band, and at a tenth and ten times of it; and all runs (n, nats).
    """
    flops = FLOPS_PER_PARAMETER_AND_TOKEN * n * tokens
    sizes = np.geomspace(1e4, 3e6, 80)
    loss = float(fit.surface.loss(n, tokens))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots()
        low, high = fit.loss_interval(sizes, tokens * n / sizes)
        axes.fill_between(sizes, low, high, color=BLUE, alpha=0.2, lw=0)
        axes.plot(runs["n"], runs["nats"], "o", color=VERMILION, markersize=3, label="runs")
        for times, dashes in ((0.1, ":"), (1.0, "-"), (10.0, "--")):
            curve = fit.surface.loss(sizes, times * tokens * n / sizes)
            label = f"{say.short(times * flops)} FLOPs"
            axes.plot(sizes, curve, dashes, color=BLUE, lw=1.2, marker="", label=label)
        axes.plot([n], [loss], "*", color=INK, markersize=12, label="this one")
        axes.axhline(floor, color=INK, ls=(0, (1, 2)), lw=1.0)
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        axes.set_ylim(0, 6)
        label_axes(axes, "N, parameters with the output layer", NATS)
        legend_above(axes, ncols=5)
        set_title(figure, title)
    return figure


def _draw_minima(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    axes.plot(
        x,
        y,
        linestyle="",
        marker="*",
        markersize=11,
        color=INK,
        label="lowest point of a parabola",
        zorder=4,
    )
