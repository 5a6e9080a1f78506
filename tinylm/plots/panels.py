"""What a model and a recipe are made of, attention weights, costs, steps of an ablation; and
predictors beside a floor."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from tinylm import say
from tinylm.errors import BadInput
from tinylm.plots.style import (
    BLUE,
    INK,
    MARKERS,
    PALETTE,
    PAPER,
    STYLE,
    VERMILION,
    WIDTH,
    label_axes,
    legend_above,
    log_axes,
    log_ticks,
    set_title,
)

MOST_TOKENS = 32  # of an attention picture, for its labels to be readable


def attention_figure(weights: ArrayLike, tokens: Sequence[str], *, title: str) -> Figure:
    """Attention weights (T, T) of one head: a row is a reading token, a column a token read.

    Causal: what lies above the diagonal is grey. Colours go by the square root of the weight.

    Raises:
        TinyLMError: shapes that do not match, or more tokens than labels can be read (32).
    """
    matrix = np.asarray(weights, dtype=float)
    n = len(tokens)
    if matrix.shape != (n, n):
        raise BadInput(f"weights have shape {matrix.shape}; expected ({n}, {n}), as tokens")
    if not 1 <= n <= MOST_TOKENS:
        raise BadInput(f"tokens are {n}; expected 1 to {MOST_TOKENS}, to be readable")
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        side = float(np.clip(0.19 * n + 1.4, 3.6, WIDTH - 0.9))
        figure = Figure(figsize=(side + 0.9, side))
        axes = figure.subplots()
        future = np.triu(np.ones_like(matrix, dtype=bool), k=1)
        scale = PowerNorm(0.5, vmin=0.0, vmax=float(matrix.max()) or 1.0)
        image = axes.imshow(np.ma.masked_array(matrix, future), cmap="Blues", norm=scale)
        axes.set_facecolor("#e9ebed")  # what causality forbids, unlike a weight of zero
        axes.set_xticks(range(n), tokens, rotation=90, parse_math=False)
        axes.set_yticks(range(n), tokens, parse_math=False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        label_axes(axes, "token read", "reading token")
        figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight (square-root colours)")
        set_title(figure, title)
    return figure


def cost_figure(parts: pd.DataFrame, *, quantity: str, title: str) -> Figure:
    """Share of each part (columns) in the whole, a bar a model (rows), the total at its end.

    `quantity` names what is counted, with its unit: "parameters", or "training FLOPs (exact)".
    """
    totals = parts.sum(axis=1)
    shares = parts.div(totals, axis=0) * 100.0
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(WIDTH, 1.3 + 0.36 * len(parts)))
        axes = figure.subplots()
        begin = np.zeros(len(parts))
        for place, part in enumerate(shares.columns):
            width = shares[part].to_numpy()
            colour = PALETTE[place % len(PALETTE)]
            axes.barh(
                range(len(parts)),
                width,
                left=begin,
                color=colour,
                label=str(part),
                height=0.72,
                edgecolor=PAPER,
                linewidth=0.8,
            )
            begin += width
        for row, total in enumerate(totals):
            axes.text(101.0, row, say.short(total), va="center")
        axes.set_yticks(range(len(parts)), [str(name) for name in parts.index])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        label_axes(axes, f"share of {quantity} (%); the total stands at the right", "")
        legend_above(axes, ncols=min(3, len(parts.columns)))  # a wider one narrows the bars
        set_title(figure, title)
    return figure


def growth_figure(
    x: Sequence[float] | Mapping[str, Sequence[float]],
    lines: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Figure:
    """Positive quantities (a value at each x) on log axes, where a power is a straight line. All
    have the same x, or each its own by its label.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        for place, (label, values) in enumerate(lines.items()):
            own = x[label] if isinstance(x, Mapping) else x
            axes.plot(own, values, color=PALETTE[place], marker=MARKERS[place], label=label)
        log_axes(axes)
        label_axes(axes, xlabel, ylabel)
        legend_above(axes, ncols=len(lines))
        set_title(figure, title)
    return figure


def ablation_figure(
    added: pd.DataFrame, removed: pd.DataFrame, *, xlabel: str, title: str
) -> Figure:
    """A row a step: the loss with it and all before it, and of the whole without it.

    Both tables have the steps as index and columns nats, std. The first row of `added` is where the
    steps start from and its last row the whole, which the line at the right marks.
    """
    rows = list(added.index)
    whole = float(added["nats"].iloc[-1])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.6 + 0.27 * len(rows)))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, table, colour in ((left, added, BLUE), (right, removed, VERMILION)):
            axes.errorbar(
                table["nats"],
                [rows.index(step) for step in table.index],
                xerr=table["std"].fillna(0.0),
                linestyle="",
                marker="o",
                color=colour,
                capsize=3,
                elinewidth=1.2,
            )
            axes.tick_params(axis="y", length=0)
            label_axes(axes, xlabel, "")
        left.set_yticks(range(len(rows)), [str(step) for step in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        left.set_title("this step and all above it", loc="left", fontsize=9.5)
        right.axvline(whole, color=INK, lw=1.0, ls=(0, (5, 2)))
        right.set_title("all but this step (dashed: all)", loc="left", fontsize=9.5)
        set_title(figure, title)
    return figure


def gains_figure(columns: Mapping[str, pd.DataFrame], *, xlabel: str, title: str) -> Figure:
    """What each of some changes brings, a row a change and a panel a column, which is named above.

    Each table has the changes as index, the same for all, and columns gain, low, high.
    """
    rows = [str(change) for change in next(iter(columns.values())).index]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.6 + 0.3 * len(rows)))
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, (name, table), colour in zip(panels, columns.items(), PALETTE, strict=False):
            axes.axvline(0, color=INK, lw=0.8)
            off = [table["gain"] - table["low"], table["high"] - table["gain"]]
            style = {"linestyle": "", "marker": "o", "capsize": 3, "elinewidth": 1.2}
            axes.errorbar(table["gain"], range(len(rows)), xerr=off, color=colour, **style)
            axes.tick_params(axis="y", length=0)
            axes.set_title(name, loc="left", fontsize=9.5)
            label_axes(axes, xlabel, "")
        panels[0].set_yticks(range(len(rows)), rows)
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        set_title(figure, title)
    return figure


def bits_figure(groups: Mapping[str, Mapping[str, float]], floor: float, *, title: str) -> Figure:
    """Bits per byte of many predictors, the worst on top, a colour for each group, and the floor.

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
        label_axes(axes, "bits per byte", "")
        legend_above(axes, ncols=len(groups) + 1)
        set_title(figure, title)
    return figure
