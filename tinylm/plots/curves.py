"""Loss along a training, along a document, and over learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tinylm.errors import BadInput
from tinylm.plots.style import (
    MARKERS,
    NATS,
    STYLE,
    WIDTH,
    colours,
    draw_floors,
    draw_means,
    label_axes,
    legend_above,
    log_ticks,
    set_title,
)


def loss_by_position_figure(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    title: str,
    ylabel: str = NATS,
    xlabel: str = "position in document (tokens; 1 is the first)",
) -> Figure:
    """Loss against position in the document, averaged over positions in log-spaced bins.

    `curves` maps a label to positions (n,), 1 or more, and the losses (n,) there.

    Raises:
        TinyLMError: a position below 1, which a log axis cannot show.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        for place, (label, (positions, losses)) in enumerate(curves.items()):
            x, y = _log_bins(np.asarray(positions, float), np.asarray(losses, float))
            colour = colours(len(curves))[place]
            axes.plot(x, y, marker=MARKERS[place % len(MARKERS)], color=colour, label=label)
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, xlabel, ylabel)
        legend_above(axes, ncols=min(4, len(curves)))
        set_title(figure, title)
    return figure


def learning_curves_figure(
    curves: pd.DataFrame,
    floors: Mapping[str, float],
    *,
    title: str,
    ylabel: str = NATS,
    xlabel: str = "training tokens",
) -> Figure:
    """Loss against training tokens: rows of `curves` are tokens, loss, label.

    Rows of one label at the same tokens (several seeds) become a mean and a band of ± one standard
    deviation. Labels keep the order in which they first occur.
    """
    labels = list(dict.fromkeys(curves["label"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2))
        axes = figure.subplots()
        for place, (label, colour) in enumerate(zip(labels, colours(len(labels)), strict=True)):
            by_tokens = curves[curves["label"] == label].groupby("tokens")["loss"]
            mean, spread = by_tokens.mean(), by_tokens.std().fillna(0.0)
            x = mean.index.to_numpy(dtype=float)
            marker = MARKERS[place % len(MARKERS)]
            axes.plot(x, mean.to_numpy(), color=colour, label=label, marker=marker, markersize=3.5)
            axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, xlabel, ylabel)
        legend_above(axes, ncols=min(4, len(labels)))
        set_title(figure, title)
        draw_floors(figure, axes, floors)
    return figure


@dataclass(frozen=True)
class RatePanel:
    """Loss over the learning rate at several widths, for `rates_figure`."""

    label: str
    runs: pd.DataFrame  # d_model, learning_rate, nats: a row a run; NaN for those that diverged
    rule: Mapping[int, float]  # the rate that is used at each width; may be empty


def rates_figure(panels: Sequence[RatePanel], *, title: str) -> Figure:
    """A panel a parametrisation: mean loss against peak learning rate, bars of ± one standard
    deviation over seeds, a curve a width; a triangle on the axis marks the rate of the rule.
    """
    widths = sorted({int(width) for panel in panels for width in panel.runs["d_model"]})
    chosen = dict(zip(widths, colours(len(widths)), strict=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.0))
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            for place, width in enumerate(widths):
                rows = panel.runs[panel.runs["d_model"] == width].groupby("learning_rate")["nats"]
                label = f"d_model {width}"
                draw_means(axes, rows, place, chosen[width], label, linestyle="-")
                if width in panel.rule:
                    axes.plot(
                        [panel.rule[width]],
                        [0.02],
                        transform=axes.get_xaxis_transform(),
                        marker="^",
                        markersize=9,
                        color=chosen[width],
                        linestyle="",
                    )
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
            axes.margins(y=0.1)
            label_axes(axes, "peak learning rate", NATS if axes is every[0] else "")
            if len(panels) > 1:
                axes.set_title(panel.label, loc="left", fontsize=9.5)
        figure.legend(
            *every[0].get_legend_handles_labels(), ncols=len(widths), loc="outside lower left"
        )
        set_title(figure, title)
    return figure


def _log_bins(
    positions: NDArray[np.float64], losses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Geometric mean position and mean loss in bins of a quarter octave, empty ones left out."""
    if len(positions) and positions.min() < 1:
        raise BadInput(f"position is {positions.min():g}; expected 1 or more")
    bins = np.floor(4.0 * np.log2(positions) + 1e-9).astype(int)
    count = np.bincount(bins)
    full = count > 0
    x = np.exp(np.bincount(bins, weights=np.log(positions))[full] / count[full])
    return x, np.bincount(bins, weights=losses)[full] / count[full]
