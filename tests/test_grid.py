"""The law of a full grid: forms, best sizes off the runs, and what the count of N does to them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from planted import planted_records, planted_store

from tinylm.errors import Missing
from tinylm.ngrams import NgramFloor
from tinylm.plots import counts_figure, grid_figure, misses_figure
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies import grid
from tinylm.studies import grid_words as words
from tinylm.studies.findings import computing_findings
from tinylm.studies.grid import COUNTS, ISOFLOPS, GridStudy, grid_study, read_off
from tinylm.studies.headlines import grid_numbers
from tinylm.studies.predictions import Bet
from tinylm.studies.predictions_words import grounds_said, lesson_said
from tinylm.sweeps.declare import expand, load_experiment

E, A, ALPHA, B, BETA = 0.9, 60.0, 0.45, 300.0, 0.42
NGRAMS = [NgramFloor(1, 5.0, 2.0), NgramFloor(5, 2.0, 1.0)]


def law(record: RunRecord, tokens: int) -> float:
    return float(E + A * record.parameters.non_embedding**-ALPHA + B * tokens**-BETA)


def planted_grid(folder: Path, patch: pytest.MonkeyPatch, profile: str = "next") -> Store:
    """A project with the grid's runs of a profile, whose losses follow the law."""
    patch.setattr(grid, "N_RESAMPLES", 60)
    patch.setattr(grid, "ngram_baselines", lambda *_, **__: NGRAMS)
    runs = expand(load_experiment("grid"), profile)
    return planted_store(folder, planted_records(runs, law), patch, profile)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> GridStudy:
    with pytest.MonkeyPatch.context() as patch:
        store = planted_grid(tmp_path_factory.mktemp("grid"), patch)
        with pytest.raises(Missing, match="'grid' of profile next"):
            grid_study(store)
        with computing_findings():
            grid_study(store)
        return grid_study(store)


def test_the_planted_law_wins_and_is_found(study: GridStudy) -> None:
    by_form = study.race.set_index("form")
    assert study.best_form == str(by_form["hidden_rms"].idxmin())
    assert study.best_form in ("sum", "power")  # of which the sum is a case
    assert by_form["bic"].idxmin() in ("sum", "power")
    assert by_form["bic"]["sum"] < by_form["bic"].min() + 2  # no better than chance makes it
    fit = study.fits["sum"]
    assert fit.misfit < 1.5
    for name, true in (("E", E), ("alpha", ALPHA), ("beta", BETA)):
        low, high = fit.interval(name)
        assert abs(getattr(fit.surface, name) - true) < high - low  # four standard errors
    race = {row["form"]: row for row in study.race.to_dict("records")}
    assert race["sum"]["hidden_rms"] < 0.01
    assert race["kaplan"]["hidden_rms"] > 2 * race["sum"]["hidden_rms"]
    assert race["sum"]["constants"] == 5
    assert race["power"]["constants"] == 6


def test_hidden_settings_are_those_of_most_compute_and_tell_nothing(study: GridStudy) -> None:
    runs = study.fitted
    hidden = grid.is_hidden(runs)
    assert 0 < hidden.sum() < len(runs) / 2
    assert runs[hidden]["C"].min() > runs[~hidden]["C"].max()
    changed = runs.assign(loss=runs["loss"].where(~hidden, 9.0))
    form = study.fits["sum"].surface.form
    ours, other = grid.hidden_errors(runs, form), grid.hidden_errors(changed, form)
    np.testing.assert_allclose(
        (1 + ours["error"]) * ours["loss"], (1 + other["error"]) * other["loss"]
    )


def test_the_laws_are_fitted_where_there_is_text_enough(study: GridStudy) -> None:
    assert (len(study.runs), len(study.fitted)) == (171, 141)
    assert study.fitted["asked"].min() == study.since == 500_000
    assert study.starts["since"].tolist() == [250_000, 500_000, 1_000_000]
    assert study.starts["alpha"].iloc[1] == pytest.approx(study.best.surface.alpha)
    assert study.best.surface.n_points == 141
    assert "141 runs" in words.range_said(study)
    assert words.starts_table(study).index[0] == "250k tokens"


def test_points_read_off_lie_on_the_law_and_on_their_budgets(study: GridStudy) -> None:
    for count in COUNTS:
        points = pd.DataFrame(read_off(study.fitted, count), columns=["n", "d", "seed", "loss"])
        budgets = (6 * points["n"] * points["d"]).round(-2)
        assert budgets.nunique() == grid.N_BUDGETS
        assert points.groupby(budgets)["n"].nunique().min() >= grid.MIN_SIZES
        assert points["d"].min() >= study.fitted["D"].min()
        assert points["d"].max() <= study.runs["D"].max()
        sizes = study.runs.drop_duplicates(count).set_index(count)["N"]
        true = E + A * sizes[points["n"]].to_numpy(float) ** -ALPHA + B * points["d"] ** -BETA
        assert np.abs(points["loss"] / true - 1).max() < 0.02


def test_the_best_sizes_off_the_runs_are_the_laws(study: GridStudy) -> None:
    (row,) = study.sizes[
        (study.sizes["count"] == "n_non_embedding") & (study.sizes["approach"] == "sum")
    ].to_dict("records")
    true = BETA / (ALPHA + BETA)
    assert row["low"] < true < row["high"]
    read = study.size_exponent("n_non_embedding")
    assert read["low"] - 0.05 < true < read["high"] + 0.05  # parabolas are biased
    assert study.size_exponent("n_with_output")["exponent"] < read["exponent"]
    assert set(study.sizes["approach"]) == {ISOFLOPS, "sum", "power", "kaplan", "ends", "both"}


def test_what_the_chapter_says_is_of_the_runs(study: GridStudy) -> None:
    said = words.runs_said(study)
    assert said.startswith("10 sizes from ")
    assert "171 runs" in said
    below = (study.runs.groupby(["N", "D"])["loss"].mean() < 2.0).sum()
    assert f"{below} of the 57 settings" in said
    table = words.forms_table(study)
    assert table.index[0] == "sum"
    lowest = words.CALLED[str(study.race.set_index("form")["bic"].idxmin())]
    assert table.loc[lowest, "BIC above the lowest"] == "0.0"
    best = words.CALLED[study.best_form].capitalize()
    assert f"**{best}** comes nearest to them" in words.forms_said(study)
    constants = words.constants_table(study)
    assert constants.loc["Kaplan's", "β"] == "1, fixed"
    assert constants.loc["sum", "g"] == "1, fixed"
    beside = words.beside_said(study, study)
    assert beside.count("0.0 joint standard errors apart") == 2
    at_bound = replace(study.fits["sum"].surface.status, bounds=("E = 0",))
    surface = replace(study.fits["sum"].surface, E=0.0, status=at_bound)
    bounded = replace(study, fits={"sum": replace(study.fits["sum"], surface=surface)})
    assert words.constants_table(bounded).loc["sum", "E"] == "0, its bound"
    high = replace(study, ngrams=[replace(study.best_ngram, nats_per_token=0.5)])
    assert "none of the 57 settings is below it" in words.runs_said(high)
    assert "without embeddings" in words.counts_table(study).columns
    assert f"C^{study.size_exponent('n_non_embedding')['exponent']:.2f}" in words.counts_title(
        study
    )
    optima = words.optima_table(study)
    assert optima["three times too large"].str.startswith("+").all()


def test_a_bet_says_on_what_ground_it_is_placed_and_what_it_taught(study: GridStudy) -> None:
    race = study.race.assign(misfit=[1.0, 4.0, 9.0, 5.0, 2.0], bic=[0.0, 5.0, 9.0, 5.0, 2.0])
    hidden = {"sum": 0.01, "power": 0.02, "kaplan": 0.09, "ends": 0.05, "both": 0.03}
    grid = replace(study, race=race.assign(hidden_rms=race["form"].map(hidden)))
    said = grounds_said(grid)
    assert said.startswith(
        "Sum has the lowest misfit, the lowest BIC and the least error on hidden compute, 1.0"
    )
    assert "A misfit of 3 or less have sum, power" in said
    backed = race["form"].map({**hidden, "ends": 0.005})
    other = grounds_said(replace(grid, race=grid.race.assign(hidden_rms=backed)))
    assert other.startswith("Two\N{NO-BREAK SPACE}ends has the least error on hidden compute, 0.5")
    for error, taught in ((0.015, "that told about what"), (0.04, "is no proof")):
        bet = SimpleNamespace(backed="sum", worst_errors=pd.Series({"sum": error}))
        assert taught in lesson_said(cast(Bet, bet), grid)
    none = SimpleNamespace(backed="sum", worst_errors=pd.Series(dtype=float))
    assert lesson_said(cast(Bet, none), grid) == ""


def test_the_summary_has_the_law_under_plain_names(study: GridStudy) -> None:
    numbers = grid_numbers(study)
    corpus = study.records[0].config.data.corpus
    assert numbers["law_form"] == study.best_form
    assert numbers[f"alpha_{corpus}"] == study.best.surface.alpha
    for name in (f"alpha_{corpus}", f"beta_{corpus}", f"E_{corpus}"):
        assert numbers[f"{name}_low"] < numbers[name] < numbers[f"{name}_high"]  # type: ignore[operator]
    largest = study.runs.sort_values(["N", "asked"]).tail(3)["loss"].mean()
    assert numbers[f"ngram_gap_nats_{corpus}"] == pytest.approx(largest - 2.0)
    without, with_output = (
        numbers[f"size_exponent_{name}_count"] for name in ("kaplan", "chinchilla")
    )
    assert with_output < without  # type: ignore[operator]


def test_a_law_that_does_not_hold_is_said_not_to(study: GridStudy) -> None:
    fits = {name: replace(fit, misfit=7.0) for name, fit in study.fits.items()}
    bent = replace(study, fits=fits)
    assert "No form of the law holds" in words.grid_title(bent)
    assert "7.0" in words.forms_said(bent)
    assert "[" not in words.constants_table(bent)["α"].iloc[0]


def test_the_figures_show_every_setting(study: GridStudy, tmp_path: Path) -> None:
    figure = grid_figure(study.runs, study.best.surface, study.floors, title="T")
    assert len(figure.axes[0].containers) == 6  # an amount of text each
    misses = misses_figure(study.misses, noise=study.noise, title="T")
    assert len(misses.axes) == 5
    assert len(misses.axes[0].lines[-1].get_xdata()) == 47  # type: ignore[arg-type]
    counts = counts_figure(words.named(study.sizes), {"Kaplan": 0.73}, title="T")
    assert counts.axes[0].get_yticklabels()[0].get_text() == "isoFLOPs, no form"
