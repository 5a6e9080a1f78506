"""Figures of the first four chapters: what is drawn is what was given."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from test_plots import TITLE, shown_texts, xs, ys

from tinylm.plots import (
    bars_figure,
    bytes_per_token_figure,
    distance_figure,
    lines_figure,
    rotary_figure,
    windows_figure,
)

LENGTHS = pd.DataFrame(
    {"mean": [1.0, 2.0, 4.0], "low": [0.9, 1.9, 3.8], "high": [1.2, 2.2, 4.1]},
    index=[257, 512, 4096],
)
STARTS = np.array([0, 100, 130, 400])  # three documents


def draw_bytes() -> Figure:
    return bytes_per_token_figure(LENGTHS, 1.5, title=TITLE)


def draw_windows() -> Figure:
    return windows_figure(STARTS, 64, 32, title=TITLE)


def draw_rotary() -> Figure:
    return rotary_figure(np.linspace([0.0, 1.0], [2.0, 3.0], 101), title=TITLE)


def draw_distances() -> Figure:
    heads = {"layer 1, head 1": [0.5, 0.3, 0.1], "layer 1, head 2": [0.1, 0.1, 0.1]}
    return distance_figure(heads, 0.2, title=TITLE)


def draw_bars() -> Figure:
    return bars_figure({"embedding": 3000, "norms": 1000}, xlabel="parameters", title=TITLE)


def draw_lines() -> Figure:
    lines = {"constant": [1.0, 1.0, 1.0], "linear": [1.0, 0.5, 0.1]}
    return lines_figure(
        lines, {"even guess": 0.7}, xlabel="step", ylabel="share", title=TITLE, log_y=True
    )


@pytest.mark.parametrize(
    "draw",
    [draw_bytes, draw_windows, draw_rotary, draw_distances, draw_bars, draw_lines],
    ids=lambda draw: draw.__name__,
)
def test_title_is_whole_and_axes_have_names(draw: Callable[[], Figure]) -> None:
    figure = draw()
    texts = shown_texts(figure)
    assert figure.get_suptitle().replace("\n", " ") == TITLE
    assert min(float(text.get_fontsize()) for text in texts) >= 9.0
    assert figure.get_figwidth() <= 7.5
    assert all(axes.get_xlabel() for axes in figure.axes)


def test_bytes_per_token_has_a_point_a_label_and_an_interval_for_each_vocabulary() -> None:
    (axes,) = draw_bytes().axes
    points = next(line for line in axes.lines if line.get_marker() == "o")
    assert xs(points).tolist() == [257, 512, 4096]
    assert ys(points).tolist() == [1.0, 2.0, 4.0]
    (bars,) = axes.containers[0].lines[2]  # type: ignore[attr-defined]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, LENGTHS[["low", "high"]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["257", "512", "4,096"]
    assert {text.get_text() for text in axes.texts} == {"1.00", "2.00", "4.00"}
    assert ys(axes.lines[-1]).tolist() == [1.5, 1.5]


def spans(
    figure: Figure, *, row: float, rows: int = 1, opaque: bool | None = None
) -> list[tuple[float, float]]:
    """Begin and end of the boxes drawn at heights from `row` to so many rows above it."""
    found = []
    for boxes in figure.axes[0].collections:
        assert isinstance(boxes, PolyCollection)
        if opaque is not None and (boxes.get_alpha() in (None, 1.0)) is not opaque:
            continue
        for path in boxes.get_paths():
            low, high = path.get_extents().get_points()
            if row <= low[1] < row + rows:
                found.append((float(low[0]), float(high[0])))
    return found


def test_windows_cut_the_stream_and_score_each_token_of_it_once() -> None:
    figure = draw_windows()
    assert spans(figure, row=3) == [(0, 100), (100, 130), (130, 400)]
    assert spans(figure, row=2) == [(begin, begin + 64) for begin in range(0, 384, 64)]
    scored = np.zeros(400, dtype=int)
    for begin, end in spans(figure, row=0, rows=2, opaque=True):
        scored[int(begin) : int(end)] += 1
    assert (scored == 1).all()
    read = spans(figure, row=0, rows=2, opaque=False)
    assert max(end - begin for begin, end in read) == 64
    assert {0, 100, 130} <= {begin for begin, _ in read}  # each document from its beginning


def test_rotary_shows_the_mean_over_vectors_and_a_band_about_it() -> None:
    (axes,) = draw_rotary().axes
    np.testing.assert_allclose(ys(axes.lines[0]), [1.0, 2.0])
    band = axes.collections[0].get_datalim(axes.transData)
    assert (band.y0, band.y1) == (pytest.approx(0.05), pytest.approx(2.95))


def test_distances_have_a_line_for_each_head_and_one_of_even_weights() -> None:
    (axes,) = draw_distances().axes
    drawn = {str(line.get_label()): ys(line).tolist() for line in axes.lines}
    assert drawn["layer 1, head 1"] == [0.5, 0.3, 0.1]
    assert drawn["even weights"] == [0.2, 0.2]
    assert axes.get_yscale() == "log"


def test_bars_name_their_values_and_shares() -> None:
    (axes,) = draw_bars().axes
    assert [text.get_text().strip() for text in axes.texts] == ["3,000 (75.0 %)", "1,000 (25.0 %)"]
    assert axes.yaxis_inverted()


def test_lines_start_at_zero_and_stand_beside_what_they_are_compared_with() -> None:
    figure = draw_lines()
    (axes,) = figure.axes
    assert xs(axes.lines[1]).tolist() == [0, 1, 2]
    assert "even guess 0.70" in [text.get_text() for text in shown_texts(figure)]
    assert axes.get_yscale() == "log"
    (alone,) = lines_figure({"loss": [1.0, 2.0]}, xlabel="x", ylabel="y", title=TITLE).axes
    assert alone.get_yscale() == "linear"
    assert alone.get_legend() is None
