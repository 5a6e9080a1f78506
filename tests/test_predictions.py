"""Predictions: made before their runs, never changed, scored against what came."""

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_records import made_up_record

from tinylm.errors import Missing, TinyLMError
from tinylm.files import project_root
from tinylm.laws import fit_power_law
from tinylm.store import Store
from tinylm.studies import predictions
from tinylm.studies.predictions import (
    METHODS,
    Bet,
    Prediction,
    predict,
    prediction_path,
    read_bet,
    read_prediction,
    score,
    write_prediction,
)
from tinylm.studies.predictions_words import (
    bet_figure,
    bet_misses_figure,
    bet_said,
    bet_table,
    bet_title,
    outcome_said,
    recipes_said,
    recipes_table,
)
from tinylm.studies.runs import load_runs, to_table
from tinylm.sweeps.declare import expand, load_experiment

BEYOND = "model_size_beyond"
FIRST = Store("first")
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the records of model_size, and none of what is predicted."""
    runs = expand(load_experiment("model_size"), "first")
    sources = [FIRST.record_path(run.run_id) for run in runs]
    monkeypatch.setenv("TINYLM_ROOT", str(tmp_path))
    for run, source in zip(runs, sources, strict=True):
        target = FIRST.record_path(run.run_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return tmp_path


def plant(prediction: Prediction, nats: float, n_runs: int) -> None:
    """Records for the first runs of every target."""
    runs = {run.run_id: run for run in expand(load_experiment(prediction.experiment), "first")}
    for target in prediction.targets:
        for place, run_id in enumerate(target.run_ids[:n_runs]):
            made = made_up_record(runs[run_id])
            assert made.validation is not None
            losses = made.validation.model_copy(update={"nats": nats + 0.01 * place})
            FIRST.save(made.model_copy(update={"validation": losses}))


def test_a_prediction_is_what_its_laws_say(fitted: Path) -> None:
    found = predict(BEYOND, FIRST)
    table = to_table(FIRST.load(expand(load_experiment("model_size"), "first")))
    assert found.fitted == sorted(table["run_id"])
    assert found.largest_fitted_flops == table["flops_exact"].max()
    assert [target.d_model for target in found.targets] == [464, 544]
    for target in found.targets:
        assert target.flops_exact >= 5 * found.largest_fitted_flops
        assert len(target.run_ids) == 3
        assert list(target.by) == list(METHODS)
        for (floor, n_sizes), said in zip(METHODS.values(), target.by.values(), strict=True):
            sizes = np.sort(table["n_non_embedding"].unique())[-(n_sizes or 0) :]
            chosen = table[table["n_non_embedding"].isin(sizes)]
            law = fit_power_law(chosen["n_non_embedding"], chosen["nats"], floor)
            assert said.loss == pytest.approx(float(law.loss(target.n_non_embedding)))
            assert said.interval[0] < said.loss < said.interval[1]


def test_a_prediction_is_written_once(fitted: Path) -> None:
    path = write_prediction(BEYOND, FIRST)
    assert path == prediction_path(FIRST, BEYOND)
    before = path.read_bytes()
    kept = read_prediction(FIRST, BEYOND)
    assert kept is not None
    for said, again in zip(kept.targets, predict(BEYOND, FIRST).targets, strict=True):
        assert said.run_ids == again.run_ids
        for method in METHODS:
            one, other = said.by[method], again.by[method]
            assert one.loss == pytest.approx(other.loss, rel=1e-6)
            assert one.interval == pytest.approx(other.interval, rel=1e-3)  # of a bootstrap
    with pytest.raises(TinyLMError, match="holds a prediction already; it is not changed"):
        write_prediction(BEYOND, FIRST)
    assert path.read_bytes() == before


def test_no_prediction_after_a_run(fitted: Path) -> None:
    plant(predict(BEYOND, FIRST), 2.0, 1)
    with pytest.raises(TinyLMError, match="has a record; a prediction comes before its runs"):
        write_prediction(BEYOND, FIRST)
    assert not prediction_path(FIRST, BEYOND).exists()


def test_a_run_of_little_compute_is_no_test(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "LEAST_COMPUTE", 6.0)
    with pytest.raises(TinyLMError, match=r"d_model 464 takes 5\.2 times .* at least 6"):
        predict(BEYOND, FIRST)


def test_only_what_has_a_source_is_predicted(fitted: Path) -> None:
    with pytest.raises(TinyLMError, match="'model_size' is not one to predict"):
        predict("model_size", FIRST)


def test_a_damaged_file_is_told(fitted: Path) -> None:
    assert read_prediction(FIRST, BEYOND) is None
    path = write_prediction(BEYOND, FIRST)
    path.write_text(path.read_text().replace('"made"', '"mad"'))
    with pytest.raises(TinyLMError, match=r"model_size_beyond\.json: made: Field required"):
        read_prediction(FIRST, BEYOND)


def test_scores_are_errors_of_the_mean_over_seeds(fitted: Path) -> None:
    found = predict(BEYOND, FIRST)
    nothing = score(found, FIRST)
    assert len(nothing) == 2 * len(METHODS)
    assert nothing["runs"].sum() == 0
    assert nothing[["measured", "error"]].isna().all(axis=None)
    plant(found, 2.0, 3)
    scored = score(found, FIRST)
    np.testing.assert_allclose(scored["measured"], 2.01)
    np.testing.assert_allclose(scored["std"], 0.01)
    np.testing.assert_allclose(scored["error"], scored["predicted"] / 2.01 - 1)
    assert scored["runs"].eq(3).all()


def test_one_run_has_no_spread(fitted: Path) -> None:
    found = predict(BEYOND, FIRST)
    plant(found, 2.0, 1)
    row = score(found, FIRST).iloc[0]
    assert (row["runs"], row["measured"]) == (1, 2.0)
    assert math.isnan(row["std"])


def test_a_bet_is_open_until_a_run_is_made(fitted: Path) -> None:
    with pytest.raises(Missing, match="nothing was predicted of model_size_beyond"):
        read_bet(FIRST)
    write_prediction(BEYOND, FIRST)
    bet = read_bet(FIRST)
    assert (bet.ended, len(bet.made), len(bet.fitted)) == (0, 0, 24)
    assert "**The bet is open.**" in bet_said(bet)
    assert outcome_said(bet).startswith("What came of it stands here when")
    assert bet_misses_figure(bet) is None
    assert bet_table(bet)["measured"].eq("not yet").all()
    assert bet_title(bet).startswith("At the largest size the laws are 0.")
    plant(bet.prediction, 1.95, 3)
    bet = read_bet(FIRST)
    assert (bet.ended, len(bet.made)) == (6, 6)
    assert "6 of 6 predicted runs have been made" in bet_said(bet)
    assert "open" not in bet_said(bet)
    assert bet.worst_errors.index[0] == "E + A/N^α"
    worst = bet.scores[bet.scores["method"] == "E + A/N^α"]["error"].abs().max()
    shown = "E + A/N^α".replace(" ", "\N{NO-BREAK SPACE}")
    assert bet_title(bet).startswith(f"{shown} comes closest to larger models")
    assert bet_title(bet).endswith(f"at most {100 * worst:.1f}\N{NO-BREAK SPACE}% off")
    assert outcome_said(bet).startswith("**The law that was backed, E\N{NO-BREAK SPACE}+")
    assert f"off by {100 * worst:.1f}\N{NO-BREAK SPACE}% at worst" in outcome_said(bet)
    assert ("failed" in outcome_said(bet)) == (worst > 0.01)
    assert "Closest came" not in outcome_said(bet)
    figure = bet_misses_figure(bet)
    assert figure is not None
    assert len(figure.axes) == len(METHODS)
    off = float(np.asarray(figure.axes[0].lines[-1].get_ydata())[0])
    first = bet.scores.iloc[0]
    assert off == pytest.approx(100 * (first["measured"] / first["predicted"] - 1))
    assert "(backed)" in bet_table(bet).index.get_level_values("law")[0]
    assert set(bet_table(bet)["of the interval"]) == {"inside", "outside"}
    labels = [str(line.get_label()) for line in bet_figure(bet).axes[0].lines]
    assert "then run: one run" in labels


def test_what_failed_is_told_by_the_recipe_that_gains(fitted: Path) -> None:
    write_prediction(BEYOND, FIRST)
    bet = read_bet(FIRST)
    plant(bet.prediction, 2.05, 3)
    bet = widened(read_bet(FIRST))
    wide = load_runs("model_size", "first").query("d_model == 192").head(1)
    for loss, said in ((1.9, "but the recipe: **a scaling law"), (2.06, "does not explain it")):
        maximal = pd.concat([wide, wide.assign(d_model=464, loss=loss)])
        table = recipes_table(bet, maximal)
        assert table.index.tolist() == [192, 464]
        assert said in recipes_said(bet, table)
        assert "rests on 1 run, and so settles nothing" in recipes_said(bet, table)


def widened(bet: Bet) -> Bet:
    """The planted records are all of one config: give each the width that it stands for."""
    widths = {run: target.d_model for target in bet.prediction.targets for run in target.run_ids}
    return replace(bet, made=bet.made.assign(d_model=bet.made["run_id"].map(widths)))


def git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def added(path: Path) -> str | None:
    """The commit in which a file first came, under whatever name; None if it is not yet in one."""
    commits = git(
        "log", "--follow", "-M100%", "--diff-filter=A", "--format=%H", "--", str(path)
    ).split()
    return commits[-1] if commits else None


def test_predictions_are_older_than_their_runs_in_the_history() -> None:
    try:
        shallow = git("rev-parse", "--is-shallow-repository") == "true"
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git history: not a checkout")
    if shallow:
        pytest.skip("no git history: a shallow checkout")
    assert project_root() == REPOSITORY
    compared = 0
    for store, experiment in ((FIRST, BEYOND), (Store("paper"), "grid_beyond")):
        kept = read_prediction(store, experiment)
        if kept is None:
            continue
        path = prediction_path(store, experiment)
        said = added(path)
        assert not git(
            "log", "--follow", "-M100%", "--diff-filter=M", "--format=%H", "--", str(path)
        )
        for run_id in (run_id for target in kept.targets for run_id in target.run_ids):
            record = store.record_path(run_id)
            if not record.exists():
                continue
            assert said is not None
            came = added(record)
            assert came != said
            if came is not None:
                git("merge-base", "--is-ancestor", said, came)
            compared += 1
    assert compared
