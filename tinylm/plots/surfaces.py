"""A full grid of sizes and amounts of text, its law, and what counting does to an exponent."""

import textwrap
from collections.abc import Mapping
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tinylm import say
from tinylm.laws import Surface
from tinylm.plots.style import (
    INK,
    MARKERS,
    NATS,
    PALETTE,
    QUIET,
    STYLE,
    WIDTH,
    colours,
    draw_floors,
    draw_means,
    label_axes,
    legend_above,
    log_axes,
    log_ticks,
    set_title,
)


def grid_figure(
    runs: pd.DataFrame,
    surface: Surface,
    floors: Mapping[str, float],
    *,
    title: str,
    since: float = 0.0,
    along: Literal["N", "asked"] = "N",
) -> Figure:
    """Loss against N, a colour an amount of text, or against tokens asked for, a colour a size:
    means with bars of ± one standard deviation over seeds, floors as lines, and the law's curves
    from `since` tokens on. `runs` has a row a run: N, asked (tokens), loss.
    """
    of, unit = ("asked", " tokens") if along == "N" else ("N", "")
    series = sorted(runs[of].unique())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.4))
        axes = figure.subplots()
        least = max(since, runs["asked"].min()) if along == "asked" else runs["N"].min()
        x = np.geomspace(least, runs[along].max(), 120)
        for place, (value, colour) in enumerate(zip(series, colours(len(series)), strict=True)):
            here = runs[runs[of] == value].groupby(along)["loss"]
            draw_means(axes, here, place, colour, f"{say.short(float(value))}{unit}")
            if along == "asked":
                axes.plot(x, surface.loss(float(value), x), color=colour, lw=1.2)
            elif value >= since:
                axes.plot(x, surface.loss(x, float(value)), color=colour, lw=1.2)
        log_axes(axes)
        label_axes(
            axes, "N, non-embedding parameters" if along == "N" else "D, training tokens", NATS
        )
        legend_above(axes, ncols=min(5, len(series)))
        set_title(figure, title)
        draw_floors(figure, axes, floors)
    return figure


def misses_figure(misses: pd.DataFrame, *, noise: float, title: str) -> Figure:
    """How far each setting's mean lies from several laws, in per cent, over compute; the band is
    ± two standard errors of such a mean. Columns form, C, off.
    """
    forms = list(dict.fromkeys(misses["form"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.0))
        row = figure.subplots(1, len(forms), sharey=True, squeeze=False)[0]
        for place, (axes, form) in enumerate(zip(row, forms, strict=True)):
            here = misses[misses["form"] == form]
            axes.axhspan(-200 * noise, 200 * noise, color=QUIET, alpha=0.15, lw=0)
            axes.axhline(0, color=INK, lw=0.8)
            axes.plot(here["C"], 100 * here["off"], "o", color=PALETTE[place], markersize=3.2)
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
            if misses["C"].max() >= 10 * misses["C"].min():
                axes.xaxis.set_major_locator(LogLocator())  # decades: the panels are narrow
            axes.set_title(textwrap.fill(form, 14), loc="left", fontsize=9.5)
            label_axes(axes, "FLOPs", "measured over law (%)" if axes is row[0] else "")
        set_title(figure, title)
    return figure


def counts_figure(exponents: pd.DataFrame, claims: Mapping[str, float], *, title: str) -> Figure:
    """Exponents of the best size with 95% intervals, a row an approach, a colour a count of N, and
    published values as lines. Columns count, approach, exponent, low, high.
    """
    approaches = list(dict.fromkeys(exponents["approach"]))
    counts = list(dict.fromkeys(exponents["count"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.7 + 0.36 * len(approaches)))
        axes = figure.subplots()
        for place, count in enumerate(counts):
            here = exponents[exponents["count"] == count]
            rows = [approaches.index(name) + 0.14 * (2 * place - 1) for name in here["approach"]]
            value = here["exponent"]
            axes.errorbar(
                value,
                rows,
                xerr=[value - here["low"], here["high"] - value],
                linestyle="",
                marker=MARKERS[place],
                color=PALETTE[place],
                capsize=3,
                label=count,
            )
        for name, claimed in claims.items():
            axes.axvline(claimed, color=INK, lw=1.0, ls=(0, (5, 2)), zorder=1)
            axes.annotate(
                f"{name} {claimed:.2f}",
                (claimed, 0.0),
                xycoords=axes.get_xaxis_transform(),
                xytext=(3, 3),
                textcoords="offset points",
                color=QUIET,
            )
        axes.set_yticks(range(len(approaches)), approaches)
        axes.set_ylim(len(approaches) - 0.3, -0.6)
        axes.tick_params(axis="y", length=0)
        label_axes(axes, "a of the best N ∝ C^a, with 95% interval", "")
        legend_above(axes, ncols=len(counts))
        set_title(figure, title)
    return figure
