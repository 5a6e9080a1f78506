"""How a law's exponent hangs on where one looks, and on the floor that one takes."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

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

LABEL = 40  # characters of a line beside an axis
REACH = 10.0  # how far beyond the largest x a law with a fixed floor is drawn


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
    runs: pd.DataFrame,
    E: float,
    exponents: Mapping[float, float],
    E_interval: tuple[float, float],
) -> Figure:
    """The law whose floor is held at E, out to ten times the largest N; and, beside it, the
    exponents that fit best by floor, with the 95% interval of E. `runs` has N and loss.
    """
    fit = fit_power_law(runs["N"], runs["loss"], floor=E)
    means = runs.groupby("N")["loss"].mean()
    largest = float(means.index.max())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.7))
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1.0))
        x = np.geomspace(means.index.min(), REACH * largest, 200)
        left.plot(means.index, means, "o", color=BLUE)
        left.axvspan(largest, x[-1], color=QUIET, alpha=0.1, lw=0)
        left.plot(x, fit.loss(x), color=INK)
        left.set_xscale("log")
        log_ticks(left.xaxis)
        pure = fit_power_law(runs["N"], runs["loss"], floor=0.0)
        left.set_ylim(0.98 * float(pure.loss(x[-1])), 1.03 * float(means.max()))
        label_axes(left, "N (grey: not measured)", NATS)
        right.axvspan(*E_interval, color=ORANGE, alpha=0.25, lw=0, label="95% interval of E")
        right.plot(list(exponents), list(exponents.values()), color=QUIET)
        right.plot([E], [fit.alpha], "o", color=VERMILION, markersize=8)
        right.legend(loc="upper left")
        label_axes(right, "E held at (nats per token)", "α that fits best")
        set_title(
            figure,
            f"E = {E:.2f}: α = {fit.alpha:.3f}, residuals {100 * fit.residual_rms:.2f} %, "
            f"at ten times the largest N {float(fit.loss(REACH * largest)):.2f} nats",
        )
    return figure


def apart_figure(rows: Sequence[tuple[str, float]], *, near: float, title: str) -> Figure:
    """How far two numbers are apart, in standard errors, a row a pair: (label, distance). The band
    is up to `near`, within which the axis is linear; beyond, it is logarithmic.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.2 + 0.42 * max(1, len(rows))))
        axes = figure.subplots()
        axes.axvspan(-near, near, color=QUIET, alpha=0.15, lw=0)
        axes.axvline(0, color=INK, lw=0.8)
        for row, (_, distance) in enumerate(rows):
            colour = BLUE if abs(distance) <= near else VERMILION
            axes.plot([0, distance], [row, row], color=colour, lw=1.2)
            axes.plot([distance], [row], "o", color=colour)
        axes.set_xscale("symlog", linthresh=near)
        reach = max([2 * near, *(1.3 * abs(distance) for _, distance in rows)])
        axes.set_xlim(-reach, reach)
        ticks = [0.0, near, *(10.0**k for k in range(1, 6) if near < 10.0**k <= reach)]
        places = sorted({-tick for tick in ticks if tick} | {*ticks})
        axes.set_xticks(places, [f"{place:g}".replace("-", "\N{MINUS SIGN}") for place in places])
        axes.xaxis.set_minor_locator(NullLocator())
        labels = [textwrap.fill(label, LABEL) for label, _ in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=9)
        axes.set_ylim(max(1, len(rows)) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        label_axes(axes, "ours less the claim, in standard errors of both", "")
        set_title(figure, title)
    return figure
