"""How a law's exponent hangs on where one looks, and on the floor that one takes."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tinylm.laws import PowerLaw, fit_power_law
from tinylm.plots.style import (
    BLUE,
    INK,
    NATS,
    ORANGE,
    QUIET,
    STYLE,
    VERMILION,
    WIDTH,
    label_axes,
    legend_above,
    log_ticks,
    set_title,
)

REACH = 10.0  # how far beyond the largest x a law with a fixed floor is drawn
HIGHEST = 0.97  # of the smallest mean loss: the highest floor


def local_exponents_figure(
    slopes: pd.DataFrame, law: PowerLaw, lines: Mapping[str, float], *, xlabel: str, title: str
) -> Figure:
    """Exponents between neighbouring x with 95% intervals (x, exponent, low, high), the local
    exponent of a law with a floor, and constant exponents by their labels.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        value = slopes["exponent"]
        axes.errorbar(
            slopes["x"],
            value,
            yerr=[value - slopes["low"], slopes["high"] - value],
            fmt="o",
            color=BLUE,
            capsize=3,
            label="measured, 95%",
        )
        grid = np.geomspace(slopes["x"].min() / 1.5, slopes["x"].max() * 1.5, 200)
        local = law.alpha * law.excess(grid) / law.loss(grid)
        axes.plot(grid, local, color=INK, lw=1.2, label="law with a floor")
        for (label, exponent), colour in zip(lines.items(), (ORANGE, VERMILION), strict=False):
            axes.axhline(exponent, color=colour, ls=(0, (5, 2)), label=label)
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        axes.set_ylim(0, 1.15 * max(slopes["high"].max(), *lines.values()))
        label_axes(axes, xlabel, "local exponent")
        legend_above(axes, ncols=2)
        set_title(figure, title)
    return figure


def fixed_floor_figure(
    runs: pd.DataFrame, E: float, E_interval: tuple[float, float] | None = None
) -> Figure:
    """The law whose floor is held at E, out to ten times the largest N; and, beside it, the
    exponent that fits best at every floor. `runs` has N and loss.
    """
    fit = fit_power_law(runs["N"], runs["loss"], floor=E)
    means = runs.groupby("N")["loss"].mean()
    lowest, largest = float(means.min()), float(means.index.max())
    floors = np.linspace(0, HIGHEST * float(runs["loss"].min()), 24)
    far = float(fit.loss(REACH * largest))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.7))
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1.0))
        x = np.geomspace(means.index.min(), REACH * largest, 200)
        left.plot(means.index, means, "o", color=BLUE)
        left.axvspan(largest, x[-1], color=QUIET, alpha=0.1, lw=0)
        left.plot(x, fit.loss(x), color=INK)
        left.set_xscale("log")
        log_ticks(left.xaxis)
        left.set_ylim(0.8 * lowest, 1.03 * float(means.max()))
        label_axes(left, "N (grey: not measured)", NATS)
        if E_interval is not None:
            right.axvspan(*E_interval, color=ORANGE, alpha=0.25, lw=0, label="95% interval of E")
            right.legend(loc="upper left")
        right.plot(floors, best_exponents(runs["N"], runs["loss"], floors), color=QUIET)
        right.plot([E], [fit.alpha], "o", color=VERMILION, markersize=8)
        label_axes(right, "E held at (nats per token)", "α that fits best")
        set_title(
            figure,
            f"E = {E:.2f}: α = {fit.alpha:.3f}, residuals {100 * fit.residual_rms:.2f} %, "
            f"at ten times the largest N {far:.2f} nats",
        )
    return figure


def best_exponents(
    x: ArrayLike, loss: ArrayLike, floors: Sequence[float] | ArrayLike
) -> list[float]:
    """The exponent that fits best at each of some floors."""
    return [fit_power_law(x, loss, floor=float(E)).alpha for E in np.asarray(floors)]
