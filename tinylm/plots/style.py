"""The house style, and what several figures have in common."""

import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from tinylm import say
from tinylm.errors import BadInput
from tinylm.files import write_atomic

if TYPE_CHECKING:
    from pandas.api.typing import SeriesGroupBy

WIDTH = 7.2  # inches: a book page
DPI = 200
NATS = "validation loss (nats per token)"

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
NO_DATE: dict[str, dict[str, None]] = {".png": {"Software": None}, ".svg": {"Date": None}}


def use_style() -> None:
    """Set the house style for figures drawn elsewhere, as in a notebook cell."""
    mpl.rcParams.update(STYLE)


def figure_kind(path: Path) -> str:
    """The suffix of a figure's file, to be asked before the figure is made.

    Raises:
        BadInput: it is not .png or .svg.
    """
    kind = path.suffix.lower()
    if kind not in NO_DATE:
        raise BadInput(f"figure {path.name} has suffix {kind!r}; expected .png or .svg")
    return kind


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG (200 dpi) or SVG, by the suffix: the same bytes for the same figure.

    Raises:
        TinyLMError: as figure_kind, or the file cannot be written.
    """
    kind = figure_kind(path)
    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=kind[1:], dpi=DPI, metadata=NO_DATE[kind])
    write_atomic(path, content.getvalue())


def draw_floors(figure: Figure, axes: Axes, floors: Mapping[str, float]) -> None:
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
    for text, shift in zip(texts, spread_apart(heights, gap=12.0) - heights, strict=True):
        text.xyann = (4, float(shift))


def spread_apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Rising heights, moved as little as needed (least squares) to be at least `gap` apart."""
    if (np.diff(heights) >= gap).all():
        return heights
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


def colours(n: int) -> list[Any]:
    """n colours: the palette, or steps of one dark-to-bright map where it is too short."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    return [mpl.colormaps["viridis"](share) for share in np.linspace(0.0, 0.88, n)]


def log_axes(axes: Axes) -> None:
    """Both axes logarithmic, with few, plainly written ticks."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        log_ticks(axis)


def draw_means(
    axes: Axes,
    values: "SeriesGroupBy[Any, Any]",
    place: int,
    colour: Any,
    label: str,
    *,
    linestyle: str = "",
) -> None:
    """The mean of each group at its key, with bars of ± one standard deviation. Series number
    `place` of a figure has a marker of its own.
    """
    mean = values.mean()
    axes.errorbar(
        mean.index,
        mean,
        yerr=values.std().fillna(0.0),
        linestyle=linestyle,
        marker=MARKERS[place % len(MARKERS)],
        color=colour,
        capsize=3,
        label=label,
    )


def log_ticks(axis: Axis) -> None:
    """Few, plainly written ticks on a log axis: 5k, 10k, 20k."""
    low, high = axis.get_view_interval()
    decades = float(np.log10(high / low))
    subs: tuple[float, ...] = (
        (1.0, 2.0, 5.0) if decades < 1.3 else (1.0, 3.0) if decades < 3.2 else (1.0,)
    )
    if decades < 0.9:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: say.short(value)))
    axis.set_minor_locator(NullLocator())


def label_axes(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Name both axes."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)


def legend_above(axes: Axes, ncols: int = 1, only: str = "") -> None:
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


def set_title(figure: Figure, title: str) -> None:
    """The finding, at the left, in lines that fit the width."""
    characters = int(11 * figure.get_figwidth())  # of this size, in the width
    lines = textwrap.wrap(title, characters, break_long_words=False, break_on_hyphens=False)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
