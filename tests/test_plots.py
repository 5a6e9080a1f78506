"""Figures: what they show, that nothing is cut off, and that files are the same each time."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from tinylm.errors import TinyLMError
from tinylm.laws import (
    bootstrap_power_law,
    bootstrap_repetition,
    bootstrap_surface,
    fit_isoflops,
    fit_surface,
    held_out,
)
from tinylm.laws.repetition import effective_tokens
from tinylm.plots import (
    ExcessPanel,
    KnowledgePanel,
    RatePanel,
    SlopePanel,
    SweepPanel,
    ablation_figure,
    apart_figure,
    attention_figure,
    bits_figure,
    budget_figure,
    context_figure,
    cost_figure,
    counts_figure,
    excess_figure,
    exponents_figure,
    gains_figure,
    grid_figure,
    growth_figure,
    isoflop_figure,
    knowledge_figure,
    learning_curves_figure,
    loss_by_position_figure,
    misses_figure,
    missing_context_figure,
    predictions_figure,
    rates_figure,
    repetition_figure,
    residuals_figure,
    rule_cost_figure,
    save_figure,
    scaling_figure,
    slopes_figure,
    surface_figure,
    sweep_figure,
    use_style,
)
from tinylm.plots.style import STYLE, spread_apart

FLOORS = {"2-gram": 3.15, "4-gram": 1.98, "5-gram": 1.905, "6-gram": 1.88}
TITLE = "Loss falls by a third from the smallest model to the largest, a hundred times its size"


def runs(x: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = np.repeat(x, 3)
    loss = 1.2 + 1.2 * (size / x[0]) ** -0.3 + 0.004 * rng.standard_normal(len(size))
    return pd.DataFrame({"x": size, "seed": np.tile(range(3), len(x)), "loss": loss})


SIZES = runs(np.geomspace(6e3, 6e5, 8))
LENGTHS = runs(np.array([128.0, 256.0, 512.0, 1024.0]))


def draw_scaling() -> Figure:
    law = bootstrap_power_law(SIZES["x"], SIZES["seed"], SIZES["loss"], n_resamples=50)
    claim = ("Hoffmann et al. 2022", 0.34)
    return scaling_figure(SIZES, law, FLOORS, xlabel="N", title=TITLE, claim=claim)


def draw_context() -> Figure:
    law = bootstrap_power_law(LENGTHS["x"], LENGTHS["seed"], LENGTHS["loss"], n_resamples=50)
    return context_figure(LENGTHS, FLOORS, title=TITLE, law=law)


def draw_positions() -> Figure:
    x = np.arange(1, 500)
    return loss_by_position_figure({"256": (x, 2 + 1 / x), "512": (x, 1.9 + 1 / x)}, title=TITLE)


def draw_curves(labels: int = 3) -> Figure:
    rows = [
        {"tokens": tokens, "loss": 6.0 - np.log10(tokens) + 0.1 * seed, "label": f"N = {label}"}
        for label in range(labels)
        for tokens in (1e4, 1e5, 1e6)
        for seed in range(2)
    ]
    return learning_curves_figure(pd.DataFrame(rows), FLOORS, title=TITLE)


def draw_rates() -> Figure:
    rows = [
        {
            "d_model": width,
            "learning_rate": rate,
            "seed": seed,
            "nats": 3 + rate * width + 0.01 * seed,
        }
        for width in (16, 48)
        for rate in (0.002, 0.008, 0.032)
        for seed in range(2)
    ]
    table = pd.DataFrame(rows)
    panels = [RatePanel("standard", table, {16: 0.02, 48: 0.01}), RatePanel("other", table, {})]
    return rates_figure(panels, title=TITLE)


def draw_attention() -> Figure:
    weights = np.tril(np.ones((6, 6))) / np.arange(1, 7)[:, None]
    return attention_figure(weights, ["<|endoftext|>", "a", "·$5", "_x^", "$", "⏎"], title=TITLE)


def draw_cost() -> Figure:
    table = {"embedding": [8e3, 16e3], "attention": [2e3, 8e3], "MLP": [4e3, 16e3]}
    return cost_figure(pd.DataFrame(table, index=[16, 32]), quantity="parameters", title=TITLE)


def draw_residuals() -> Figure:
    held = held_out(SIZES["x"], SIZES["seed"], SIZES["loss"], n_resamples=50)
    return residuals_figure(SIZES, held, xlabel="N", title=TITLE)


SAID = pd.DataFrame(
    {
        "x": [3e6, 6e6] * 2,
        "method": ["with a floor"] * 2 + ["without"] * 2,
        "predicted": [1.4, 1.35, 1.2, 1.1],
        "low": [1.3, 1.25, 1.1, 1.0],
        "high": [1.5, 1.4, 1.3, 1.2],
    }
)


def draw_predictions() -> Figure:
    came = pd.DataFrame({"x": [3e6] * 3, "seed": [0, 1, 2], "loss": [1.38, 1.39, 1.4]})
    return predictions_figure(SIZES, SAID, came, xlabel="N", title=TITLE)


def draw_growth() -> Figure:
    lines = {"one": [1.0, 2.0, 4.0], "other": [1.0, 1.1, 1.0]}
    return growth_figure([16, 64, 256], lines, xlabel="width", ylabel="change", title=TITLE)


def draw_ablation() -> Figure:
    added = pd.DataFrame(
        {"nats": [2.0, 1.8, 1.6], "std": [0.01, 0.02, 0.01]}, index=["start", "rate", "batch"]
    )
    removed = pd.DataFrame({"nats": [1.7, 1.65], "std": [0.01, None]}, index=["rate", "batch"])
    return ablation_figure(added, removed, xlabel="loss (nats)", title=TITLE)


def draw_gains() -> Figure:
    steps = pd.Index(["rate", "batch"], name="step")
    alone = pd.DataFrame({"gain": [2.0, 1.0], "low": [1.5, 0.5], "high": [2.5, 1.5]}, index=steps)
    return gains_figure({"alone": alone, "missing": 2 * alone}, xlabel="loss (%)", title=TITLE)


def draw_excess() -> Figure:
    law = bootstrap_power_law(SIZES["x"], SIZES["seed"], SIZES["loss"], floor=1.2, n_resamples=50)
    panels = [ExcessPanel("N", SIZES, law, 0.5), ExcessPanel("D", LENGTHS, None, 0.25)]
    return excess_figure(panels, 1.2, title=TITLE)


EXPONENTS = pd.DataFrame(
    {
        "axis": ["N", "N", "N", "D", "D", "D"],
        "tail": [0.5, 0.25, 1.0] * 2,
        "predicted": [0.5, 0.25, 1.0, 0.33, 0.2, 0.5],
        "world_low": [0.41, 0.27, 0.77, 0.37, 0.3, 0.5],
        "world_high": [0.63, 0.46, 1.02, 0.44, 0.43, 0.52],
        "measured": [0.3, np.nan, 0.5, 0.4, 0.3, 0.6],
        "low": [0.2, np.nan, 0.4, 0.3, 0.2, 0.5],
        "high": [0.4, np.nan, 0.6, 0.5, 0.4, 0.7],
    }
)


def draw_exponents() -> Figure:
    return exponents_figure(EXPONENTS, title=TITLE)


def draw_slopes() -> Figure:
    slopes = pd.DataFrame(
        {"x": [1e4, 1e5], "exponent": [0.4, 0.1], "low": [0.35, 0.05], "high": [0.45, 0.15]}
    )
    steep = slopes.add([0, 0.5, 0.5, 0.5])
    return slopes_figure([SlopePanel("N", slopes, 0.3), SlopePanel("D", steep, None)], title=TITLE)


def draw_knowledge() -> Figure:
    line = pd.DataFrame({"x": [3.0, 30.0, 300.0], "share": [0.4, 0.1, 0.0], "std": [0.01] * 3})
    half = line.assign(share=line["share"] / 2, std=np.nan)
    panels = [KnowledgePanel("size", {"8k": half, "400k": line}), KnowledgePanel("D", {"2M": half})]
    return knowledge_figure(panels, title=TITLE)


def draw_missing_context() -> Figure:
    shares = pd.DataFrame(
        {
            "excess": [1.2, 1.0, 0.9],
            "std": [0.01, 0.01, 0.02],
            "missing": [0.3, 0.1, 0.0],
            "low": [0.27, 0.08, 0.0],
            "high": [0.33, 0.12, 0.0],
        },
        index=[128, 256, 1024],
    )
    return missing_context_figure(shares, title=TITLE)


def budgets() -> pd.DataFrame:
    """Runs of an exact surface, 5 sizes at each of 3 budgets, 2 seeds that agree."""
    flops, ladder = np.geomspace(1e11, 1e13, 3), np.geomspace(1 / 3, 3, 5)
    n = (3e4 * (flops / 1e11)[:, None] ** 0.5 * ladder).ravel()
    budget = np.repeat(flops, 5)
    tokens = budget / 6 / n
    nats = 0.6 + 30 * n**-0.4 + 200 * tokens**-0.4
    columns = {"n": n, "tokens": tokens, "budget": budget, "nats": nats, "flops_exact": 2 * budget}
    return pd.concat([pd.DataFrame(columns).assign(seed=seed) for seed in range(2)])


def draw_isoflops() -> Figure:
    runs = budgets()
    surface = fit_surface(runs["n"], runs["tokens"], runs["nats"])
    frontier = fit_isoflops(runs["n"], runs["tokens"], runs["nats"])
    return isoflop_figure(runs, frontier, surface, title=TITLE)


def draw_budget() -> Figure:
    runs = budgets()
    fit = bootstrap_surface(runs["n"], runs["tokens"], runs["seed"], runs["nats"], n_resamples=10)
    return budget_figure(1e5, 1e6, runs, fit, 0.6, title=TITLE)


def draw_grid() -> Figure:
    runs = budgets().rename(columns={"n": "N", "tokens": "D", "nats": "loss"})
    runs["D"] = runs["asked"] = runs["budget"] / 1e5
    surface = fit_surface(runs["N"], runs["D"], runs["loss"])
    return grid_figure(runs, surface, {"5-gram": 3.0}, title=TITLE)


def draw_along_tokens() -> Figure:
    runs = budgets().rename(columns={"n": "N", "tokens": "D", "nats": "loss"})
    runs["D"] = runs["asked"] = runs["budget"] / 1e5
    surface = fit_surface(runs["N"], runs["D"], runs["loss"])
    return grid_figure(runs, surface, {"5-gram": 3.0}, title=TITLE, along="asked")


def draw_apart() -> Figure:
    return apart_figure([("near", -1.0), ("far", 40.0), ("nearer", 0.5)], near=2.0, title=TITLE)


def draw_misses() -> Figure:
    rows = [
        {"form": form, "C": 10.0**k, "off": 0.01 * (-1) ** k}
        for form in ("sum", "power")
        for k in range(9, 14)
    ]
    return misses_figure(pd.DataFrame(rows), noise=0.004, title=TITLE)


def draw_counts() -> Figure:
    rows = [
        {"count": count, "approach": by, "exponent": a, "low": a - 0.05, "high": a + 0.05}
        for count, a in (("without embeddings", 0.7), ("with the output layer", 0.5))
        for by in ("isoFLOPs", "sum")
    ]
    return counts_figure(pd.DataFrame(rows), {"Kaplan": 0.73, "Hoffmann": 0.49}, title=TITLE)


def draw_sweep() -> Figure:
    rows = [
        {"label": label, "x": x, "y": x * x + k}
        for k, label in enumerate(("width 16", "width 64"))
        for x in (-1.0, 0.0, 1.0)
    ]
    points = pd.DataFrame(rows)
    panels = [
        SweepPanel(row, column, points, points, rule=0.2)
        for row in ("250k tokens", "1M tokens")
        for column in ("batch", "rate")
    ]
    xlabels = {"batch": "doublings of the batch", "rate": "doublings of the rate"}
    return sweep_figure(panels, xlabels=xlabels, ylabel="loss over the best (%)", title=TITLE)


def draw_rule_cost() -> Figure:
    rows = [
        {"label": label, "x": x, "y": y, "low": 0.5 * y, "high": 2 * y}
        for label, y in (("250k tokens", 0.3), ("1M tokens", 0.1))
        for x in (1e4, 1e5, 1e6)
    ]
    labels = {"xlabel": "N", "ylabel": "cost (%)"}
    return rule_cost_figure(pd.DataFrame(rows), limit=0.5, title=TITLE, **labels)


def draw_repetition() -> Figure:
    unique = np.repeat([1e5, 1e5, 1e5, 2e5, 2e5, 4e5], 2)
    tokens = np.repeat([1e5, 2e5, 4e5, 2e5, 4e5, 4e5], 2)
    seed = np.tile([0, 1], 6)
    nats = 1.0 + 900 * effective_tokens(unique, tokens, 4.0) ** -0.5 * (1 + 0.001 * seed)
    fit = bootstrap_repetition(unique, tokens, seed, nats, n_resamples=10)
    points = pd.DataFrame({"unique_tokens": unique, "tokens": tokens, "seed": seed, "nats": nats})
    return repetition_figure(points, fit, title=TITLE)


def draw_surface() -> Figure:
    n, d = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e8, 1e10, 8), [1e9, 1e10, 1e11]))
    rng = np.random.default_rng(0)
    loss = (1.8 + 480 * n**-0.35 + 2000 * d**-0.37) * np.exp(0.003 * rng.standard_normal(len(n)))
    fit = bootstrap_surface(n, d, None, loss, n_resamples=50)
    return surface_figure(n, d, loss, fit, title=TITLE)


def draw_bits() -> Figure:
    groups = {"compressor": {"xz": 0.98, "zstd": 0.96}, "GPT": {"small": 1.57, "large": 0.43}}
    return bits_figure(groups, 0.226, title=TITLE)


FIGURES = [
    draw_excess,
    draw_exponents,
    draw_slopes,
    draw_missing_context,
    draw_isoflops,
    draw_budget,
    draw_grid,
    draw_along_tokens,
    draw_apart,
    draw_misses,
    draw_counts,
    draw_sweep,
    draw_rule_cost,
    draw_repetition,
    draw_knowledge,
    draw_surface,
    draw_bits,
    draw_ablation,
    draw_gains,
    draw_scaling,
    draw_context,
    draw_positions,
    draw_curves,
    draw_rates,
    draw_attention,
    draw_cost,
    draw_residuals,
    draw_growth,
    draw_predictions,
]
every_figure = pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)


def xs(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xdata(), dtype=float)


def ys(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_ydata(), dtype=float)


def shown_texts(figure: Figure) -> list[Text]:
    figure.draw_without_rendering()
    found = figure.findobj(lambda artist: isinstance(artist, Text) and bool(artist.get_text()))
    return [text for text in found if isinstance(text, Text) and text.get_visible()]


@every_figure
def test_title_is_whole_and_text_is_large_enough(draw: Callable[[], Figure]) -> None:
    figure = draw()
    texts = shown_texts(figure)
    assert figure.get_suptitle().replace("\n", " ") == TITLE
    assert min(float(text.get_fontsize()) for text in texts) >= 9.0
    width = figure.bbox.width
    title = next(text for text in texts if text.get_text() == figure.get_suptitle())
    assert title.get_window_extent().x1 <= width
    assert figure.get_figwidth() <= 7.5


@every_figure
def test_axes_have_names(draw: Callable[[], Figure]) -> None:
    for axes in draw().axes:
        assert axes.get_xlabel() or axes.get_ylabel()


@every_figure
def test_svg_saved_twice_is_the_same(draw: Callable[[], Figure], tmp_path: Path) -> None:
    save_figure(draw(), tmp_path / "first.svg")
    save_figure(draw(), tmp_path / "second.svg")
    first = (tmp_path / "first.svg").read_bytes()
    assert first == (tmp_path / "second.svg").read_bytes()
    assert first.startswith(b"<?xml")


def test_png_saved_twice_is_the_same(tmp_path: Path) -> None:
    save_figure(draw_cost(), tmp_path / "first.png")
    save_figure(draw_cost(), tmp_path / "second.png")
    first = (tmp_path / "first.png").read_bytes()
    assert first == (tmp_path / "second.png").read_bytes()
    assert first.startswith(b"\x89PNG")


def test_drawing_leaves_the_global_settings_alone() -> None:
    before = dict(mpl.rcParams)
    for draw in FIGURES:
        draw()
    assert dict(mpl.rcParams) == before


def test_use_style_sets_the_house_style() -> None:
    with mpl.rc_context():
        use_style()
        assert mpl.rcParams["svg.hashsalt"] == "tinylm"
        assert mpl.rcParams["figure.facecolor"] == STYLE["figure.facecolor"]


def test_scaling_figure_shows_runs_floors_law_and_claim() -> None:
    figure = draw_scaling()
    left, right = figure.axes
    dots = next(line for line in left.lines if len(xs(line)) == len(SIZES))
    np.testing.assert_array_equal(ys(dots), SIZES["loss"])
    heights = {float(ys(line)[0]) for line in left.lines if len(xs(line)) == 2}
    assert set(FLOORS.values()) <= heights
    texts = [text.get_text() for text in shown_texts(figure)]
    assert "2-gram 3.15" in texts
    assert any(text.startswith("α = 0.34: Hoffmann") for text in texts)
    claimed = next(line for line in right.lines if str(line.get_label()).startswith("α = 0.34:"))
    x, y = np.log(xs(claimed)), np.log(ys(claimed))
    assert np.diff(y) / np.diff(x) == pytest.approx(np.full(len(x) - 1, -0.34))
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")


def test_excess_figure_shows_runs_above_the_floor_and_both_slopes() -> None:
    left, right = draw_excess().axes
    dots = next(line for line in left.lines if len(xs(line)) == len(SIZES))
    np.testing.assert_allclose(ys(dots), SIZES["loss"] - 1.2)
    slopes = {}
    for axes in (left, right):
        for line in axes.lines:
            if str(line.get_label()).startswith("α"):
                x, y = np.log(xs(line)), np.log(ys(line))
                slopes[axes, str(line.get_label())] = -(y[-1] - y[0]) / (x[-1] - x[0])
    assert slopes[left, "α = 0.5: theory"] == pytest.approx(0.5)
    assert slopes[right, "α = 0.25: theory"] == pytest.approx(0.25)
    fitted = [
        slope for (axes, label), slope in slopes.items() if label[4:5] == "0" and "[" in label
    ]
    assert fitted == [pytest.approx(0.3, abs=0.01)]  # none where no law was fitted


def test_exponents_figure_shows_what_is_measured_where_its_tail_is() -> None:
    left, right = draw_exponents().axes
    for axes, tails, heights in (
        (left, [0.5, 1.0], [0.3, 0.5]),
        (right, [0.25, 0.5, 1.0], [0.3, 0.4, 0.6]),
    ):
        dots = next(line for line in axes.lines if line.get_marker() == "o")
        assert xs(dots).tolist() == tails
        assert ys(dots).tolist() == heights
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.25", "0.5", "1"]


def test_exponents_figure_names_measurements_only_where_there_are_some() -> None:
    for measured in (True, False):
        table = EXPONENTS if measured else EXPONENTS.assign(measured=np.nan)
        names = [text.get_text() for text in shown_texts(exponents_figure(table, title=TITLE))]
        assert ("measured, 95% interval" in names) is measured
        assert "theory, in an endless world" in names


def test_bits_figure_puts_the_worst_on_top_and_the_floor_in_the_legend() -> None:
    figure = draw_bits()
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["small  1.570", "xz  0.980", "zstd  0.960", "large  0.430"]
    assert figure.axes[0].yaxis_inverted()
    assert "exact floor, 0.226" in [text.get_text() for text in shown_texts(figure)]


def test_labels_of_floors_do_not_touch() -> None:
    figure = draw_context()
    labels = [text for text in shown_texts(figure) if "-gram " in text.get_text()]
    assert len(labels) == len(FLOORS)
    boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 for low, high in pairwise(boxes))


@given(st.lists(st.floats(0, 500), min_size=1, max_size=8))
def test_spreading_apart_keeps_order_distance_and_middle(heights: list[float]) -> None:
    rising = np.sort(np.array(heights))
    moved = spread_apart(rising, gap=12.0)
    assert (np.diff(moved) >= 12.0 - 1e-6).all()
    assert moved.mean() == pytest.approx(rising.mean(), abs=1e-6)
    if len(rising) > 1 and np.diff(rising).min() >= 12.0:
        np.testing.assert_allclose(moved, rising)


def test_context_figure_names_the_lengths_that_were_run() -> None:
    (axes,) = draw_context().axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["128", "256", "512", "1,024"]


def test_positions_are_averaged_in_bins_and_begin_at_one() -> None:
    x = np.arange(1, 1025)
    (axes,) = loss_by_position_figure({"flat": (x, np.full(1024, 2.0))}, title=TITLE).axes
    (line,) = axes.lines
    assert len(xs(line)) < 45
    np.testing.assert_allclose(ys(line), 2.0)
    with pytest.raises(TinyLMError, match="position is 0; expected 1 or more"):
        loss_by_position_figure({"from 0": (x - 1, x)}, title=TITLE)


def test_learning_curves_average_over_seeds_and_tell_many_labels_apart() -> None:
    (axes,) = draw_curves(labels=9).axes
    curves = [line for line in axes.lines if str(line.get_label()).startswith("N = ")]
    assert ys(curves[0])[0] == pytest.approx(2.05)
    assert len({str(line.get_color()) for line in curves}) == 9


def test_attention_hides_the_future_and_keeps_the_tokens_as_they_are() -> None:
    figure = draw_attention()
    image = figure.axes[0].images[0].get_array()
    assert image is not None
    hidden = np.ma.getmaskarray(image)
    np.testing.assert_array_equal(hidden, np.triu(np.ones((6, 6), bool), k=1))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["<|endoftext|>", "a", "·$5", "_x^", "$", "⏎"]


@pytest.mark.parametrize(
    ("weights", "tokens", "message"),
    [
        (np.eye(3), ["a", "b"], r"shape \(3, 3\); expected \(2, 2\)"),
        (np.eye(33), ["a"] * 33, "tokens are 33; expected 1 to 32"),
    ],
)
def test_attention_that_cannot_be_drawn(
    weights: np.ndarray, tokens: list[str], message: str
) -> None:
    with pytest.raises(TinyLMError, match=message):
        attention_figure(weights, tokens, title=TITLE)


def test_cost_bars_fill_the_whole_and_show_totals() -> None:
    figure = draw_cost()
    (axes,) = figure.axes
    ends = [patch.get_x() + patch.get_width() for patch in axes.patches]  # type: ignore[attr-defined]
    assert ends[-2:] == pytest.approx([100.0, 100.0])
    texts = [text.get_text() for text in shown_texts(figure)]
    assert {"14k", "40k"} <= set(texts)


def test_ablation_has_a_row_a_step_and_marks_the_whole() -> None:
    left, right = draw_ablation().axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["start", "rate", "batch"]
    assert [list(zip(xs(a.lines[0]), ys(a.lines[0]), strict=True)) for a in (left, right)] == [
        [(2.0, 0.0), (1.8, 1.0), (1.6, 2.0)],
        [(1.7, 1.0), (1.65, 2.0)],
    ]
    assert xs(right.lines[-1])[0] == 1.6
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the start is on top


def test_residuals_figure_is_relative_to_the_law_without_the_largest() -> None:
    held = held_out(SIZES["x"], SIZES["seed"], SIZES["loss"], n_resamples=50)
    (axes,) = draw_residuals().axes
    lines = {str(line.get_label()): line for line in axes.lines}
    measured = ys(lines["held out: one run"]).mean()
    assert measured == pytest.approx(100 * (held.actual / held.predicted - 1))


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match=r"suffix '.pdf'; expected .png or .svg"):
        save_figure(draw_cost(), tmp_path / "figure.pdf")
    assert not list(tmp_path.iterdir())


def test_rates_figure_marks_the_rule_and_shares_colours_between_panels() -> None:
    left, right = draw_rates().axes
    marks = {float(xs(line)[0]) for line in left.lines if line.get_marker() == "^"}
    assert marks == {0.02, 0.01}
    assert not [line for line in right.lines if line.get_marker() == "^"]
    for axes in (left, right):
        curves = [line for line in axes.lines if len(xs(line)) == 3 and line.get_linestyle() == "-"]
        np.testing.assert_allclose(ys(curves[0]), 3.005 + 16 * np.array([0.002, 0.008, 0.032]))
        assert len({str(curve.get_color()) for curve in curves}) == 2
    assert left.lines[0].get_color() == right.lines[0].get_color()


def test_predictions_figure_shows_runs_only_once_they_are_made() -> None:
    figure = draw_predictions()
    (axes,) = figure.axes
    texts = [text.get_text() for text in shown_texts(figure)]
    assert {"predicted: with a floor", "predicted: without", "then run: one run"} <= set(texts)
    with_floor = next(line for line in axes.lines if ys(line).tolist() == [1.4, 1.35])
    np.testing.assert_allclose(xs(with_floor), [3e6, 6e6], rtol=0.06)
    before = predictions_figure(SIZES, SAID, SIZES[:0], xlabel="N", title=TITLE)
    assert not [text for text in shown_texts(before) if text.get_text().startswith("then run")]


def test_slopes_figure_draws_one_law_only_where_there_is_one() -> None:
    left, right = draw_slopes().axes
    for axes, heights in ((left, [0.4, 0.1]), (right, [0.9, 0.6])):
        dots = next(line for line in axes.lines if line.get_marker() == "o")
        assert ys(dots).tolist() == heights
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] > 0.95  # the highest interval's end
    assert [line for line in left.lines if set(ys(line)) == {0.3}]
    assert not [line for line in right.lines if set(ys(line)) == {0.3}]


def test_stars_lie_where_the_drawn_parabolas_are_lowest() -> None:
    """The figure fits its parabolas anew: they are those that `fit_isoflops` finds minima of."""
    (axes,) = draw_isoflops().axes
    (stars,) = [line for line in axes.lines if line.get_marker() == "*"]
    drawn = [
        np.asarray(line.get_ydata(), float) for line in axes.lines if line.get_linestyle() == "-"
    ]
    lowest = np.sort([y.min() for y in drawn if len(y) == 80])
    np.testing.assert_allclose(lowest, np.sort(np.asarray(stars.get_ydata(), float)), rtol=1e-4)


def test_a_figure_of_no_claims_is_drawn() -> None:
    figure = apart_figure([], near=2.0, title=TITLE)
    figure.canvas.draw()
    assert figure.axes[0].get_xlim() == (-4.0, 4.0)
