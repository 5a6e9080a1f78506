"""Runs and the laws fitted to them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter
from numpy.typing import NDArray

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.laws import (
    HeldOut,
    PowerLawWithIntervals,
    SurfaceWithIntervals,
)
from tinylm.laws.scatter import intervals
from tinylm.laws.table_words import sure
from tinylm.plots.style import (
    BLUE,
    INK,
    MARKERS,
    NATS,
    ORANGE,
    PALETTE,
    STYLE,
    VERMILION,
    WIDTH,
    colours,
    draw_floors,
    label_axes,
    legend_above,
    log_axes,
    log_ticks,
    set_title,
)


def scaling_figure(
    points: pd.DataFrame,
    law: PowerLawWithIntervals,
    floors: Mapping[str, float],
    *,
    xlabel: str,
    title: str,
    ylabel: str = NATS,
    claim: tuple[str, float] | None = None,
) -> Figure:
    """Loss against `x` with its law and floors, and, beside it, the excess loss on log axes.

    `points` has a row a run: x, seed, loss. `floors` maps a label to a loss. `claim` is a label and
    an exponent, drawn as a slope through the middle of the measured range.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2))
        left, right = figure.subplots(1, 2, width_ratios=(1.12, 1.0))
        _draw_runs(left, points)
        _draw_law(left, points, law)
        label_axes(left, xlabel, ylabel)
        left.set_xscale("log")
        log_ticks(left.xaxis)
        legend_above(left)
        _draw_excess(right, points, law.law.E, law, claim)
        label_axes(right, xlabel, "loss above E (nats per token)")
        set_title(figure, title)
        draw_floors(figure, left, floors)
    return figure


class ExcessPanel(NamedTuple):
    """One panel of `excess_figure`."""

    xlabel: str
    points: pd.DataFrame  # x, seed, loss: a row a run
    law: PowerLawWithIntervals | None  # with its E at the true floor
    predicted: float  # exponent


def excess_figure(panels: Sequence[ExcessPanel], floor: float, *, title: str) -> Figure:
    """Loss above a known floor on log axes, with the law and the slope that theory says."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.0))
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            claim = ("theory", panel.predicted)
            _draw_excess(axes, panel.points, floor, panel.law, claim)
            label_axes(axes, panel.xlabel, "")
        row[0].set_ylabel("loss above the true floor (nats per token)")
        set_title(figure, title)
    return figure


class SlopePanel(NamedTuple):
    """One panel of `slopes_figure`."""

    xlabel: str
    slopes: pd.DataFrame  # x, exponent, low, high
    fitted: float | None  # exponent of one law for all


def slopes_figure(panels: Sequence[SlopePanel], *, title: str) -> Figure:
    """Exponents between neighbouring points with 95% intervals, and that of one law through all."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4))
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            value = panel.slopes["exponent"]
            axes.errorbar(
                panel.slopes["x"],
                value,
                yerr=[value - panel.slopes["low"], panel.slopes["high"] - value],
                marker="o",
                color=BLUE,
                capsize=3,
                label="between neighbours, 95% interval",
            )
            if panel.fitted is not None:
                axes.axhline(panel.fitted, color=INK, lw=1.3, label="one law through all")
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
            label_axes(axes, panel.xlabel, "")
        every = pd.concat([panel.slopes for panel in panels])
        row[0].set_ylim(min(0.0, every["low"].min()), 1.08 * every["high"].max())
        row[0].set_ylabel("exponent of the excess loss")
        figure.legend(*row[0].get_legend_handles_labels(), ncols=2, loc="outside lower left")
        set_title(figure, title)
    return figure


class KnowledgePanel(NamedTuple):
    """One panel of `knowledge_figure`."""

    title: str
    lines: Mapping[str, pd.DataFrame]  # x (rank), share, std: a row a bin of ranks


def knowledge_figure(panels: Sequence[KnowledgePanel], *, title: str) -> Figure:
    """How much of the facts of characters of a rank is known, a line a model."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(row, panels, strict=True):
            shades = colours(len(panel.lines))
            for place, (label, line) in enumerate(panel.lines.items()):
                axes.errorbar(
                    line["x"],
                    line["share"],
                    yerr=line["std"].fillna(0.0),
                    color=shades[place],
                    marker=MARKERS[place % len(MARKERS)],
                    capsize=2,
                    label=label,
                )
            axes.axhline(0.0, color=INK, lw=0.8)
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            label_axes(axes, "rank of the character, 1 met most", "")
            axes.legend(loc="upper right")
            axes.set_title(panel.title, loc="left", fontsize=9.5)
        row[0].set_ylabel("share of its facts that is known")
        set_title(figure, title)
    return figure


def exponents_figure(exponents: pd.DataFrame, *, title: str) -> Figure:
    """Exponents against the tail of the corpus, a panel an axis: measured, by a theory, by two.

    `exponents` has a row a corpus and axis: axis (the panel's name), tail, predicted, the ends
    world_low, world_high of a second prediction, and measured, low, high (NaN: not measured).
    """
    panels = list(dict.fromkeys(exponents["axis"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, name in zip(row, panels, strict=True):
            table = exponents[exponents["axis"] == name].sort_values("tail")
            measured = table.dropna(subset="measured")
            axes.fill_between(
                table["tail"],
                table["world_low"],
                table["world_high"],
                color=ORANGE,
                alpha=0.3,
                lw=0,
                label="theory, in a world with an end",
            )
            axes.plot(
                table["tail"],
                table["predicted"],
                color=VERMILION,
                ls=(0, (5, 2)),
                marker="_",
                label="theory, in an endless world",
            )
            if len(measured):
                value = measured["measured"]
                axes.errorbar(
                    measured["tail"],
                    value,
                    yerr=[value - measured["low"], measured["high"] - value],
                    linestyle="",
                    marker="o",
                    color=BLUE,
                    capsize=3,
                    label="measured, 95% interval",
                    zorder=3,
                )
            axes.set_xscale("log")
            axes.set_xticks(table["tail"], [f"{tail:g}" for tail in table["tail"]])
            axes.xaxis.set_minor_locator(NullLocator())
            label_axes(axes, "tail exponent a", "")
            axes.set_title(name, loc="left", fontsize=9.5)
        tops = exponents[["predicted", "world_high", "measured", "high"]].max()
        row[0].set_ylim(0, 1.05 * tops.max())
        row[0].set_ylabel("exponent of the excess loss")
        shown: dict[str, Any] = {}
        for axes in row:
            lines, labels = axes.get_legend_handles_labels()
            shown |= dict(zip(labels, lines, strict=True))
        figure.legend(list(shown.values()), list(shown), loc="outside lower left", ncols=len(shown))
        set_title(figure, title)
    return figure


def surface_figure(
    n: NDArray[np.float64],
    d: NDArray[np.float64],
    loss: NDArray[np.float64],
    fit: SurfaceWithIntervals,
    *,
    title: str,
) -> Figure:
    """How far runs (`n`, `d`, `loss`, each (n_runs,)) lie from their surface, and, beside it, their
    sizes over compute and, if the surface has one, the best size.
    """
    flops = FLOPS_PER_PARAMETER_AND_TOKEN * n * d
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.0))
        left, right = figure.subplots(1, 2)
        fitted = fit.surface.loss(n, d)
        left.axhline(0.0, color=INK, lw=1.0)
        left.plot(fitted, 100 * (loss / fitted - 1), "o", color=BLUE, alpha=0.6, markersize=3.5)
        left.set_xscale("log")
        log_ticks(left.xaxis)
        label_axes(left, "loss of the surface", "run against the surface (%)")
        right.plot(flops, n, "o", color=BLUE, alpha=0.6, markersize=3.5, label="one run")
        if fit.surface.has_optimum:
            budgets = np.geomspace(flops.min(), 10 * flops.max(), 60)
            low, high = intervals(fit.optimal_resamples(budgets)[0])
            best = [fit.surface.optimal(budget).N for budget in budgets]
            right.fill_between(budgets, low, high, color=ORANGE, alpha=0.35, lw=0)
            right.plot(budgets, best, color=INK, lw=1.3, label="best N, 95% band")
        log_axes(right)
        label_axes(right, "training FLOPs (6·N·D)", "N, parameters")
        legend_above(right, ncols=2)
        set_title(figure, title)
    return figure


def context_figure(
    points: pd.DataFrame,
    floors: Mapping[str, float],
    *,
    title: str,
    law: PowerLawWithIntervals | None = None,
    ylabel: str = NATS,
    xlabel: str = "context length (tokens), at fixed training compute",
) -> Figure:
    """Loss against context length: a row of `points` is a run (x, seed, loss)."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        _draw_runs(axes, points)
        if law is not None:
            _draw_law(axes, points, law)
        axes.set_xscale("log", base=2)
        lengths = sorted(points["x"].unique())
        axes.set_xticks(lengths, [f"{length:,.0f}" for length in lengths])
        axes.xaxis.set_minor_locator(NullLocator())
        label_axes(axes, xlabel, ylabel)
        legend_above(axes, ncols=3)
        set_title(figure, title)
        draw_floors(figure, axes, floors)
    return figure


def residuals_figure(points: pd.DataFrame, held: HeldOut, *, xlabel: str, title: str) -> Figure:
    """How far each run (x, seed, loss) lies from the law that was fitted without the largest x.

    The bar at the largest x is the 95% interval of the prediction made there.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.5))
        axes = figure.subplots()
        inside = points["x"].to_numpy(dtype=float) < held.x
        residual = 100.0 * (points["loss"] / held.fit.loss(points["x"]) - 1.0)
        shown = points.assign(loss=residual)
        axes.axhline(0.0, color=INK, lw=1.0)
        x = _between(points["x"])
        low, high = held.fit.loss_interval(x)
        middle = held.fit.loss(x)
        axes.fill_between(
            x,
            100 * (low / middle - 1),
            100 * (high / middle - 1),
            color=BLUE,
            alpha=0.15,
            lw=0,
            label="law without the largest, 95% band",
        )
        _draw_runs(axes, shown[inside], prefix="fitted: ")
        reach = [
            [100 * (1 - held.interval[0] / held.predicted)],
            [100 * (held.interval[1] / held.predicted - 1)],
        ]
        axes.errorbar(
            [held.x],
            [0.0],
            yerr=reach,
            color=VERMILION,
            elinewidth=9,
            alpha=0.3,
            linestyle="",
            label="held out: prediction, 95% interval",
        )
        _draw_runs(axes, shown[~inside], prefix="held out: ", colour=VERMILION, marker="D")
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, xlabel, "loss against the law (%)")
        legend_above(axes, ncols=2)
        set_title(figure, title)
    return figure


def predictions_figure(
    points: pd.DataFrame, said: pd.DataFrame, measured: pd.DataFrame, *, xlabel: str, title: str
) -> Figure:
    """Runs that were fitted, what each method said of larger ones, and what came of these.

    `points` and `measured` have a row a run: x, seed, loss; `measured` may be empty. `said` has a
    row a size and method: x, method, predicted, low, high.
    """
    methods = list(dict.fromkeys(said["method"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.0))
        axes = figure.subplots()
        _draw_runs(axes, points, prefix="fitted: ")
        for place, (method, colour) in enumerate(zip(methods, PALETTE[1:], strict=False)):
            rows = said[said["method"] == method]
            aside = 1.05 ** (place - (len(methods) - 1) / 2)  # or bars would lie on each other
            axes.errorbar(
                rows["x"] * aside,
                rows["predicted"],
                yerr=[rows["predicted"] - rows["low"], rows["high"] - rows["predicted"]],
                linestyle="",
                marker=MARKERS[1 + place],
                color=colour,
                capsize=3,
                label=f"predicted: {method}",
            )
        if len(measured):
            _draw_runs(axes, measured, prefix="then run: ", colour=INK, marker="D")
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
        label_axes(axes, xlabel, NATS)
        legend_above(axes, ncols=2)
        set_title(figure, title)
    return figure


def _draw_runs(
    axes: Axes, points: pd.DataFrame, *, prefix: str = "", colour: str = BLUE, marker: str = "o"
) -> None:
    """Every run as a dot, the mean over seeds with a bar of ± one standard deviation."""
    by_x = points.groupby("x")["loss"]
    mean, spread = by_x.mean(), by_x.std().fillna(0.0)
    fewest, most = by_x.count().min(), by_x.count().max()
    seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
    axes.plot(
        points["x"],
        points["loss"],
        linestyle="",
        marker=marker,
        markersize=3.2,
        color=colour,
        alpha=0.5,
        markeredgewidth=0,
        label=f"{prefix}one run",
    )
    axes.errorbar(
        mean.index,
        mean,
        yerr=spread,
        linestyle="",
        marker=marker,
        color=colour,
        markersize=5.5,
        markerfacecolor="none",
        capsize=3,
        elinewidth=1.2,
        label=f"{prefix}mean ± std of {seeds} seeds",
        zorder=3,
    )


def _draw_law(axes: Axes, points: pd.DataFrame, law: PowerLawWithIntervals) -> None:
    """The fitted curve over the measured range, with its 95% band."""
    x = _between(points["x"])
    low, high = law.loss_interval(x)
    axes.fill_between(x, low, high, color=ORANGE, alpha=0.35, lw=0)
    axes.plot(x, law.loss(x), color=INK, lw=1.3, label="law, 95% band", zorder=2.5)


def _draw_excess(
    axes: Axes,
    points: pd.DataFrame,
    E: float,
    law: PowerLawWithIntervals | None,
    claim: tuple[str, float] | None,
) -> None:
    """Loss above E on log axes: a power law is a line, and alpha its slope. A claimed slope goes
    through the middle of the law, or of the runs where there is none.
    """
    excess = points.assign(loss=points["loss"] - E)
    excess = excess[excess["loss"] > 0]  # a run below E has no logarithm
    _draw_runs(axes, excess)
    x = _between(points["x"])
    if law is not None:
        axes.plot(
            x,
            law.law.excess(x),
            color=INK,
            lw=1.3,
            zorder=2.5,
            label=f"α = {law.law.alpha:.3f}{sure(law.misfit, law.alpha_interval)}",
        )
    if claim is not None:
        name, exponent = claim
        middle = float(np.sqrt(x[0] * x[-1]))
        height = (
            law.law.excess(middle) if law is not None else np.exp(np.log(excess["loss"]).mean())
        )
        slope = height * (x / middle) ** -exponent
        axes.plot(x, slope, color=VERMILION, ls=(0, (5, 2)), label=f"α = {exponent:.3g}: {name}")
    log_axes(axes)
    legend_above(axes, only="α")


def _between(x: "pd.Series[Any]") -> NDArray[np.float64]:
    """200 log-spaced points over the measured range."""
    return np.geomspace(float(x.min()), float(x.max()), 200)
