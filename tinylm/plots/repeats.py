"""What more text, and the same text again, do to the loss."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.laws import RepetitionWithIntervals
from tinylm.plots.style import (
    INK,
    NATS,
    STYLE,
    WIDTH,
    colours,
    draw_means,
    label_axes,
    legend_above,
    log_ticks,
    set_title,
)


def repetition_figure(points: pd.DataFrame, fit: RepetitionWithIntervals, *, title: str) -> Figure:
    """Loss against tokens, a line for each number of unique tokens, and what new text would give.

    `points` has a row a run: unique_tokens, tokens, seed, nats.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2))
        axes = figure.subplots()
        groups = list(points.groupby("unique_tokens"))
        for place, ((unique, runs), colour) in enumerate(
            zip(groups, colours(len(groups)), strict=True)
        ):
            label = f"{say.short(float(str(unique)))} unique"
            draw_means(axes, runs.groupby("tokens")["nats"], place, colour, label)
            x = np.geomspace(runs["tokens"].min(), runs["tokens"].max(), 60)
            axes.plot(x, fit.law.loss(float(str(unique)), x), color=colour, lw=1.1)
        x = np.geomspace(points["tokens"].min(), points["tokens"].max(), 60)
        axes.plot(
            x, fit.law.loss(x, x), color=INK, ls=(0, (5, 2)), label="all of it new, by the law"
        )
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, "D, training tokens", NATS)
        legend_above(axes, ncols=3)
        set_title(figure, title)
    return figure
