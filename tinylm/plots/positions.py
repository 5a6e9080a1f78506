"""Documents, what a context shows of them, and what that is worth position by position."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from tinylm.plots.style import (
    BLUE,
    GREEN,
    INK,
    NATS,
    QUIET,
    STYLE,
    VERMILION,
    WIDTH,
    colours,
    label_axes,
    legend_above,
    set_title,
)

Floats = NDArray[np.float64]
POSITION = "position in the document (tokens)"


def seen_tokens_figure(seen: ArrayLike, context: int, *, title: str) -> Figure:
    """How many tokens before it a model sees when it predicts each token of a document, `seen`
    (n_tokens,), beside how many there are.
    """
    counts = np.asarray(seen)
    places = np.arange(1, len(counts) + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.8))
        axes = figure.subplots()
        axes.plot(places, places, color=QUIET, lw=1, label="all there is")
        axes.plot(places, counts, color=BLUE, label=f"seen with context {context}")
        axes.set_ylim(0, 2.4 * context)
        label_axes(axes, POSITION, "tokens seen")
        axes.legend(loc="upper right")
        set_title(figure, title)
    return figure


def document_lengths_figure(
    position: Floats, reaching: Floats, beyond: Mapping[int, float], *, title: str
) -> Figure:
    """The share of documents that reach each position (both (bins,)), and the share of tokens that
    stand beyond each context.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2))
        axes = figure.subplots()
        axes.step(position, 100 * reaching, where="mid", color=INK)
        for (T, share), colour in zip(beyond.items(), colours(len(beyond)), strict=True):
            label = f"beyond {T:,}: {100 * share:.1f} % of tokens"
            axes.axvline(T, color=colour, ls=(0, (4, 2)), lw=1.4, label=label)
        _powers_of_two(axes, 16, float(position.max()))
        axes.set_xlim(16, max(float(position.max()), 1.05 * max(beyond)))
        label_axes(axes, "length of the document (tokens)", "documents at least\nso long (%)")
        axes.legend(loc="lower left")
        set_title(figure, title)
    return figure


def position_differences_figure(
    position: Floats, losses: Mapping[int, Floats], *, title: str
) -> Figure:
    """Losses (seeds, bins) by context as differences from the first, with bands of one standard
    deviation of the mean; dashed, from where on each context does not see all.
    """
    first, *others = losses
    base, chosen = losses[first], colours(len(losses))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        axes.axhline(0, color=chosen[0], label=f"context {first:,}")
        for colour, T in zip(chosen[1:], others, strict=True):
            group = losses[T]
            change = group.mean(axis=0) - base.mean(axis=0)
            error = np.sqrt(_variance_of_mean(group) + _variance_of_mean(base))
            label = f"context {T:,}"
            axes.plot(position, change, color=colour, marker="o", markersize=3, label=label)
            axes.fill_between(
                position, change - error, change + error, color=colour, alpha=0.2, lw=0
            )
        for colour, T in zip(chosen, losses, strict=True):
            axes.axvline(T, color=colour, ls=(0, (4, 2)), lw=1)
        _powers_of_two(axes, 1, float(position.max()), step=4)
        label_axes(axes, POSITION, f"loss against context {first:,}\n(nats per token)")
        legend_above(axes, ncols=4)
        set_title(figure, title)
    return figure


def changes_figure(
    steps: Sequence[str], parts: Mapping[str, Sequence[tuple[float, float | None]]], *, title: str
) -> Figure:
    """Bars of the parts of a change, and of their sum, at each step: a value and half its 95%
    interval, or None where that is not known.
    """
    at = np.arange(len(steps))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.6))
        axes = figure.subplots()
        for place, ((name, changes), colour) in enumerate(
            zip(parts.items(), (VERMILION, GREEN, INK), strict=False)
        ):
            x = at + 0.26 * (place - (len(parts) - 1) / 2)
            axes.bar(x, [value for value, _ in changes], 0.24, color=colour, label=name)
            bars = [(i, *change) for i, change in zip(x, changes, strict=True) if change[1]]
            if bars:
                where, values, halves = zip(*bars, strict=True)
                axes.errorbar(where, values, halves, ls="", color=QUIET, capsize=3)
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_xticks(at, list(steps))
        label_axes(axes, "context (tokens)", "change of the loss\n(nats per token)")
        legend_above(axes, ncols=len(parts))
        set_title(figure, title)
    return figure


def one_length_figure(
    losses: Mapping[int, Floats], span: tuple[float, float], *, title: str
) -> Figure:
    """Loss of each run (seeds,) by context, with means; `span` is the range of the means of all
    such figures.
    """
    means = {T: float(group.mean()) for T, group in losses.items()}
    best = min(means, key=means.__getitem__)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.3))
        axes = figure.subplots()
        for T, group in losses.items():
            axes.plot([T] * len(group), group, "o", color=BLUE, alpha=0.4, markersize=4)
        axes.errorbar(
            list(means),
            list(means.values()),
            yerr=[group.std(ddof=1) for group in losses.values()],
            color=BLUE,
            marker="o",
            markerfacecolor="none",
            capsize=3,
        )
        axes.plot([best], [means[best]], "o", color=VERMILION, markersize=9)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(means), [f"{T:,}" for T in means])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_ylim(span[0] - 0.1, span[1] + 0.1)
        label_axes(axes, "context length (tokens), at fixed training compute", NATS)
        set_title(figure, title)
    return figure


def _variance_of_mean(group: Floats) -> Floats:
    """Of each bin, over seeds."""
    variance: Floats = group.var(axis=0, ddof=1) / len(group)
    return variance


def _powers_of_two(axes: Axes, first: int, last: float, step: int = 2) -> None:
    """A log axis of positions with plain ticks."""
    axes.set_xscale("log", base=2)
    ticks = [first]
    while ticks[-1] * step <= last:
        ticks.append(ticks[-1] * step)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
