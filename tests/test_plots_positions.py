"""Figures of exponents, documents and positions: what is drawn is what was given."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from test_plots import TITLE, shown_texts, xs, ys

from tinylm.laws import fit_power_law
from tinylm.plots import (
    changes_figure,
    document_lengths_figure,
    fixed_floor_figure,
    local_exponents_figure,
    one_length_figure,
    position_differences_figure,
    seen_tokens_figure,
)

POSITION = np.exp2(np.arange(10.0))
LOSSES = {T: np.array([[2.0 + T / 1000], [2.1 + T / 1000]]) + 0 * POSITION for T in (128, 256, 512)}
RUNS = pd.DataFrame({"N": np.geomspace(1e4, 1e6, 6)}).assign(loss=lambda t: 1.5 + 40 * t.N**-0.4)


def draw_local_exponents() -> Figure:
    slopes = pd.DataFrame(
        {"x": [1e4, 1e5], "exponent": [0.2, 0.1], "low": [0.15, 0.05], "high": [0.25, 0.15]}
    )
    law = fit_power_law(RUNS["N"], RUNS["loss"])
    lines = {"pure": 0.09, "claim": 0.076}
    return local_exponents_figure(slopes, law, lines, xlabel="N", title=TITLE)


def draw_seen() -> Figure:
    return seen_tokens_figure(np.minimum(np.arange(1, 300), 128), 128, title=TITLE)


def draw_lengths() -> Figure:
    return document_lengths_figure(
        POSITION, np.linspace(1, 0, 10), {128: 0.3, 256: 0.05}, title=TITLE
    )


def draw_differences() -> Figure:
    return position_differences_figure(POSITION, LOSSES, title=TITLE)


def draw_changes() -> Figure:
    parts: dict[str, list[tuple[float, float | None]]] = {
        "price": [(0.3, None), (0.2, None)],
        "sum": [(0.1, 0.02), (0.2, 0.05)],
    }
    return changes_figure(["128 → 256", "256 → 512"], parts, title=TITLE)


def draw_one_length() -> Figure:
    losses = {128: np.array([2.0, 2.1]), 256: np.array([1.9, 1.8])}
    return one_length_figure(losses, (1.8, 2.1), title=TITLE)


@pytest.mark.parametrize(
    "draw",
    [
        draw_local_exponents,
        draw_seen,
        draw_lengths,
        draw_differences,
        draw_changes,
        draw_one_length,
    ],
    ids=lambda draw: draw.__name__,
)
def test_title_is_whole_and_axes_have_names(draw: Callable[[], Figure]) -> None:
    figure = draw()
    texts = shown_texts(figure)
    assert figure.get_suptitle().replace("\n", " ") == TITLE
    assert min(float(text.get_fontsize()) for text in texts) >= 9.0
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def test_local_exponents_of_a_law_fall_where_its_floor_takes_over() -> None:
    (axes,) = draw_local_exponents().axes
    curve = next(line for line in axes.lines if line.get_label() == "law with a floor")
    assert (np.diff(ys(curve)) < 0).all()
    assert {float(ys(line)[0]) for line in axes.lines if len(xs(line)) == 2} >= {0.09, 0.076}


def test_differences_are_from_the_shortest_context() -> None:
    (axes,) = draw_differences().axes
    lines = {str(line.get_label()): line for line in axes.lines}
    np.testing.assert_allclose(ys(lines["context 256"]), 0.128)
    np.testing.assert_allclose(ys(lines["context 512"]), 0.384)


def test_bars_have_intervals_where_these_are_known() -> None:
    (axes,) = draw_changes().axes
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert heights == [0.3, 0.2, 0.1, 0.2]
    assert len(axes.containers) == 3  # two of bars, one of intervals


def test_documents_share_an_axis_from_frame_to_frame() -> None:
    (axes,) = draw_one_length().axes
    assert axes.get_ylim() == pytest.approx((1.7, 2.2))
    best = next(line for line in axes.lines if line.get_markersize() == 9)
    assert xs(best).tolist() == [256]


def test_a_fixed_floor_is_marked_on_the_line_of_floors() -> None:
    exponents = {0.0: 0.1, 1.5: 0.4}
    figure = fixed_floor_figure(RUNS, 1.5, exponents, (1.4, 1.6))
    assert figure.get_suptitle().startswith("E = 1.50: α = 0.400, residuals 0.00 %")
    dot = next(line for line in figure.axes[1].lines if line.get_markersize() == 8)
    assert (xs(dot)[0], ys(dot)[0]) == (1.5, pytest.approx(0.4, abs=1e-3))
