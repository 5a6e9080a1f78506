"""One house style, one function a figure. Data come in as plain arrays and tables; figures go out.

Figures are made without pyplot: nothing to close, and a notebook that ends a cell with a figure
shows it once. Every function that draws takes its title, the finding, from the caller.
"""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from tinylm.errors import InputError
from tinylm.files import write_atomic
from tinylm.laws import HeldOut, PowerLawWithIntervals

WIDTH = 7.2  # inches: a book page
DPI = 200
MOST_TOKENS = 32  # of an attention picture, for its labels to be readable
NATS = "validation loss (nats a token)"

INK, QUIET, PAPER = "#1f2328", "#5b636c", "#fdfdfb"
# Okabe & Ito (2008): told apart by colour-blind readers
BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
PALETTE = (BLUE, VERMILION, GREEN, "#cc79a7", ORANGE, "#56b4e9", "#000000")
MARKERS = "osD^vPX"

STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.12,
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e6e8",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.hashsalt": "tinylm",
}


def use_style() -> None:
    """Set the house style for figures drawn outside this module, as in a notebook cell."""
    mpl.rcParams.update(STYLE)


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
        _label_axes(left, xlabel, ylabel)
        left.set_xscale("log")
        _log_ticks(left.xaxis)
        _legend_above(left)
        _draw_excess(right, points, law, claim)
        _label_axes(right, xlabel, "loss above E (nats a token)")
        _title(figure, title)
        _draw_floors(figure, left, floors)
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
        _label_axes(axes, xlabel, ylabel)
        _legend_above(axes, ncols=3)
        _title(figure, title)
        _draw_floors(figure, axes, floors)
    return figure


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
        InputError: a position below 1, which a log axis cannot show.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.subplots()
        for place, (label, (positions, losses)) in enumerate(curves.items()):
            x, y = _log_bins(np.asarray(positions, float), np.asarray(losses, float))
            colour = _colours(len(curves))[place]
            axes.plot(x, y, marker=MARKERS[place % len(MARKERS)], color=colour, label=label)
        axes.set_xscale("log")
        _log_ticks(axes.xaxis)
        _label_axes(axes, xlabel, ylabel)
        _legend_above(axes, ncols=min(4, len(curves)))
        _title(figure, title)
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
        for place, (label, colour) in enumerate(zip(labels, _colours(len(labels)), strict=True)):
            by_tokens = curves[curves["label"] == label].groupby("tokens")["loss"]
            mean, spread = by_tokens.mean(), by_tokens.std().fillna(0.0)
            x = mean.index.to_numpy(dtype=float)
            marker = MARKERS[place % len(MARKERS)]
            axes.plot(x, mean.to_numpy(), color=colour, label=label, marker=marker, markersize=3.5)
            axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        axes.set_xscale("log")
        _log_ticks(axes.xaxis)
        _label_axes(axes, xlabel, ylabel)
        _legend_above(axes, ncols=min(4, len(labels)))
        _title(figure, title)
        _draw_floors(figure, axes, floors)
    return figure


def attention_figure(weights: ArrayLike, tokens: Sequence[str], *, title: str) -> Figure:
    """Attention weights (T, T) of one head: a row is a reading token, a column a token read.

    Causal: what lies above the diagonal is grey. Colours go by the square root of the weight.

    Raises:
        InputError: shapes that do not match, or more tokens than labels can be read (32).
    """
    matrix = np.asarray(weights, dtype=float)
    n = len(tokens)
    if matrix.shape != (n, n):
        raise InputError(f"weights have shape {matrix.shape}; expected ({n}, {n}), as tokens")
    if not 1 <= n <= MOST_TOKENS:
        raise InputError(f"tokens are {n}; expected 1 to {MOST_TOKENS}, to be readable")
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
        _label_axes(axes, "token read", "reading token")
        figure.colorbar(image, ax=axes, shrink=0.7, label="attention weight (square-root colours)")
        _title(figure, title)
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
            axes.text(101.0, row, _short(total), va="center")
        axes.set_yticks(range(len(parts)), [str(name) for name in parts.index])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        _label_axes(axes, f"share of {quantity} (%); the total stands at the right", "")
        _legend_above(axes, ncols=min(3, len(parts.columns)))  # a wider one narrows the bars
        _title(figure, title)
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
            _label_axes(axes, xlabel, "")
        left.set_yticks(range(len(rows)), [str(step) for step in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        left.set_title("this step and all above it", loc="left", fontsize=9.5)
        right.axvline(whole, color=INK, lw=1.0, ls=(0, (5, 2)))
        right.set_title("all but this step (dashed: all)", loc="left", fontsize=9.5)
        _title(figure, title)
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
        _log_ticks(axes.xaxis)
        _label_axes(axes, xlabel, "loss against the law (%)")
        _legend_above(axes, ncols=2)
        _title(figure, title)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG (200 dpi) or SVG, by the suffix: the same bytes for the same figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    kind = path.suffix.lower()
    fixed: dict[str, dict[str, None]] = {".png": {"Software": None}, ".svg": {"Date": None}}
    if kind not in fixed:
        raise InputError(f"figure {path.name} has suffix {kind!r}; expected .png or .svg")
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=kind[1:], dpi=DPI, metadata=fixed[kind])
    write_atomic(path, content.getvalue())


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
    axes: Axes, points: pd.DataFrame, law: PowerLawWithIntervals, claim: tuple[str, float] | None
) -> None:
    """Loss above the fitted E on log axes: a power law is a line, and alpha its slope."""
    fitted = law.law
    excess = points.assign(loss=points["loss"] - fitted.E)
    excess = excess[excess["loss"] > 0]  # a run below E has no logarithm
    _draw_runs(axes, excess)
    x = _between(points["x"])
    low, high = law.alpha_interval
    axes.plot(
        x,
        fitted.excess(x),
        color=INK,
        lw=1.3,
        zorder=2.5,
        label=f"α = {fitted.alpha:.3f} [{low:.3f}, {high:.3f}]",
    )
    if claim is not None:
        name, exponent = claim
        middle = float(np.sqrt(x[0] * x[-1]))
        slope = fitted.excess(middle) * (x / middle) ** -exponent
        axes.plot(x, slope, color=VERMILION, ls=(0, (5, 2)), label=f"α = {exponent:g}: {name}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _log_ticks(axis)
    _legend_above(axes, only="α")


def _draw_floors(figure: Figure, axes: Axes, floors: Mapping[str, float]) -> None:
    """Horizontal lines with their labels right of the axes, moved apart where they would touch."""
    if not floors:
        return
    for loss in floors.values():
        axes.axhline(loss, color=QUIET, lw=1.0, ls=(0, (2, 2)), zorder=1.5)
    ordered = sorted(floors.items(), key=lambda item: item[1])
    texts = [
        axes.annotate(
            f"{label} {loss:.2f}",
            (1.0, loss),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=QUIET,
        )
        for label, loss in ordered
    ]
    figure.draw_without_rendering()
    per_point = figure.dpi / 72.0
    heights = axes.transData.transform([(1.0, loss) for _, loss in ordered])[:, 1] / per_point
    for text, shift in zip(texts, _spread_apart(heights, gap=12.0) - heights, strict=True):
        text.xyann = (4, float(shift))


def _spread_apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Rising heights, moved as little as needed (least squares) to be at least `gap` apart."""
    steps = gap * np.arange(len(heights))
    blocks: list[list[float]] = []  # pool adjacent violators on heights less their steps
    for value in heights - steps:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    pooled: NDArray[np.float64] = np.concatenate(
        [np.full(len(block), np.mean(block)) for block in blocks]
    )
    return pooled + steps


def _between(x: "pd.Series[Any]") -> NDArray[np.float64]:
    """200 log-spaced points over the measured range."""
    return np.geomspace(float(x.min()), float(x.max()), 200)


def _log_bins(
    positions: NDArray[np.float64], losses: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Geometric mean position and mean loss in bins of a quarter octave, empty ones left out."""
    if len(positions) and positions.min() < 1:
        raise InputError(f"position is {positions.min():g}; expected 1 or more")
    bins = np.floor(4.0 * np.log2(positions) + 1e-9).astype(int)
    count = np.bincount(bins)
    full = count > 0
    x = np.exp(np.bincount(bins, weights=np.log(positions))[full] / count[full])
    return x, np.bincount(bins, weights=losses)[full] / count[full]


def _colours(n: int) -> list[Any]:
    """n colours: the palette, or steps of one dark-to-bright map where it is too short."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    return [mpl.colormaps["viridis"](share) for share in np.linspace(0.0, 0.88, n)]


def _log_ticks(axis: Axis) -> None:
    """Few, plainly written ticks on a log axis: 5k, 10k, 20k."""
    low, high = axis.get_view_interval()
    decades = float(np.log10(high / low))
    subs: tuple[float, ...] = (
        (1.0, 2.0, 5.0) if decades < 1.3 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    )
    if decades < 0.9:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_minor_locator(NullLocator())


def _short(value: float) -> str:
    """A number in a few characters: 0.25, 64, 6.1k, 1.2M."""
    for unit, suffix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:.3g}"


def _label_axes(axes: Axes, xlabel: str, ylabel: str) -> None:
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)


def _legend_above(axes: Axes, ncols: int = 1, only: str = "") -> None:
    """A legend between title and axes, where no curve or floor can run through it."""
    lines, labels = axes.get_legend_handles_labels()
    chosen = [pair for pair in zip(lines, labels, strict=True) if pair[1].startswith(only)]
    axes.legend(
        *zip(*chosen, strict=True),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=ncols,
        borderaxespad=0.3,
    )


def _title(figure: Figure, title: str) -> None:
    """The finding, at the left, in lines that fit the width."""
    characters = int(11 * figure.get_figwidth())  # of this size, in the width
    lines = textwrap.wrap(title, characters, break_long_words=False, break_on_hyphens=False)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
