"""How much of the loss above a floor is context that was not there."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm.plots.style import (
    BLUE,
    ORANGE,
    STYLE,
    VERMILION,
    WIDTH,
    label_axes,
    legend_above,
    set_title,
)


def missing_context_figure(shares: pd.DataFrame, *, title: str) -> Figure:
    """Excess loss by context length, split into missing context and the rest.

    `shares` has a row a context length, its index: excess, std, missing, low, high.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        at = np.arange(len(shares))
        rest = shares["excess"] - shares["missing"]
        axes.bar(at, rest, 0.6, color=BLUE, yerr=shares["std"], capsize=3, label="not learnt")
        axes.bar(
            at,
            shares["missing"],
            0.6,
            bottom=rest,
            color=ORANGE,
            yerr=[shares["missing"] - shares["low"], shares["high"] - shares["missing"]],
            capsize=6,
            ecolor=VERMILION,
            label="missing context, 95% interval",
        )
        axes.set_xticks(at, [f"{length:,}" for length in shares.index])
        label_axes(axes, "context length (tokens)", "loss above the true floor (nats per token)")
        legend_above(axes, ncols=2)
        set_title(figure, title)
    return figure
