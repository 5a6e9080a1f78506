"""How text, attention, models and training work: the figures of the first four chapters."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tinylm.plots.style import (
    INK,
    PALETTE,
    QUIET,
    STYLE,
    WIDTH,
    colours,
    draw_floors,
    label_axes,
    legend_above,
    set_title,
)


def bytes_per_token_figure(table: pd.DataFrame, characters: float, *, title: str) -> Figure:
    """Bytes per token against vocabulary size, with 95 % intervals.

    `table` has a row for each vocabulary size, its index: mean, low, high. `characters` is the
    length of one character in bytes, a dotted line.
    """
    sizes = table.index.to_numpy(dtype=float)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        bars = [table["mean"] - table["low"], table["high"] - table["mean"]]
        axes.errorbar(sizes, table["mean"], bars, marker="o", capsize=3)
        for size, mean in zip(sizes, table["mean"], strict=True):
            axes.annotate(
                f"{mean:.2f}", (size, mean), (0, 7), textcoords="offset points", ha="center"
            )
        axes.axhline(characters, color=QUIET, linestyle=":")
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_ylim(0, 1.18 * table["mean"].max())
        label_axes(axes, "vocabulary size (tokens)", "bytes per token")
        set_title(figure, title)
    return figure


def windows_figure(
    starts: Sequence[int] | NDArray[np.int64], context_length: int, stride: int, *, title: str
) -> Figure:
    """A stream of documents, and the training and validation windows over it.

    `starts` (documents + 1) are the places of the tokens before each document and of the last.
    Dark tokens of a validation window are scored, pale ones only read.
    """
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        last = int(starts[-1])
        for place, begin in enumerate(starts[:-1]):
            colour, end = PALETTE[place % len(PALETTE)], int(starts[place + 1])
            axes.broken_barh([(int(begin), end - int(begin))], (3.1, 0.6), color=colour)
            _draw_validation_windows(axes, int(begin), end, context_length, stride, colour)
        for begin in range(0, last - context_length + 1, context_length):
            axes.broken_barh(
                [(begin, context_length)], (2.1, 0.6), facecolor="0.9", edgecolor="0.3"
            )
        names = ["documents", "training\nwindows", "validation\nwindows"]
        axes.set_yticks([3.4, 2.4, 0.75], names)
        label_axes(axes, "place in the stream (tokens)", "")
        set_title(figure, title)
    return figure


def _draw_validation_windows(
    axes: Axes, begin: int, end: int, context_length: int, stride: int, colour: str
) -> None:
    """The windows of one document: each pale, and dark where no earlier one has scored."""
    offset = 0
    while True:
        length = min(context_length, end - begin - offset)
        seen = context_length - stride if offset else 0
        height = 1.1 - 0.55 * (offset // stride % 3)
        at = begin + offset
        axes.broken_barh([(at, length)], (height, 0.4), facecolor=colour, alpha=0.25)
        axes.broken_barh([(at + seen, length - seen)], (height, 0.4), color=colour)
        if at + length >= end:
            return
        offset += stride


def rotary_figure(products: ArrayLike, *, title: str) -> Figure:
    """Product of a query with an equal key at distances 0, 1, 2, … (vectors, distances), over that
    at distance 0: the mean, and a band that holds 95 % of the vectors.
    """
    values = np.asarray(products, dtype=float)
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        axes.fill_between(range(values.shape[1]), low, high, alpha=0.2, linewidth=0)
        axes.plot(values.mean(axis=0))
        label_axes(axes, "distance (tokens)", "relative product")
        set_title(figure, title)
    return figure


def distance_figure(curves: Mapping[str, ArrayLike], even: float, *, title: str) -> Figure:
    """Mean attention weight of each head at distances 0, 1, 2, …; `even` is that of a head with
    equal weight on the whole past.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        for (name, weights), colour in zip(curves.items(), colours(len(curves)), strict=True):
            axes.plot(np.asarray(weights, dtype=float), color=colour, marker=".", label=name)
        axes.axhline(even, color=INK, linestyle=":", label="even weights")
        axes.set_yscale("log")
        axes.set_ylim(bottom=1e-4)
        label_axes(axes, "distance (tokens)", "mean weight")
        legend_above(axes, ncols=3)
        set_title(figure, title)
    return figure


def bars_figure(bars: Mapping[str, float], *, xlabel: str, title: str) -> Figure:
    """A bar for each part of a whole, with its value and its share."""
    total = sum(bars.values())
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH - 0.8, 1.2 + 0.35 * len(bars)))
        axes = figure.subplots()
        axes.barh(list(bars), list(bars.values()), color=PALETTE[: len(bars)])
        for place, value in enumerate(bars.values()):
            axes.text(value, place, f" {value:,.0f} ({100 * value / total:.1f} %)", va="center")
        axes.set_xlim(0, 1.45 * max(bars.values()))
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.locator_params(axis="x", nbins=4)
        label_axes(axes, xlabel, "")
        set_title(figure, title)
    return figure


def lines_figure(
    lines: Mapping[str, Sequence[float]],
    floors: Mapping[str, float] | None = None,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_y: bool = False,
) -> Figure:
    """A line for each series of values at 0, 1, 2, …, and levels that they are compared with."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots()
        for (name, values), colour in zip(lines.items(), colours(len(lines)), strict=True):
            axes.plot(values, color=colour, label=name)
        if log_y:
            axes.set_yscale("log")
        label_axes(axes, xlabel, ylabel)
        if len(lines) > 1:
            legend_above(axes, ncols=len(lines))
        set_title(figure, title)
        draw_floors(figure, axes, floors or {})
    return figure
