"""The best learning rate of a width: planted optima come back, ends of the grid are told."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from planted import planted_records, planted_store

from tinylm.errors import Missing, TinyLMError
from tinylm.records import RunRecord
from tinylm.studies import rates_words as words
from tinylm.studies.findings import computing_findings
from tinylm.studies.rates import MAXIMAL, STANDARD, RateStudy, best_rates, lowest_points, rate_study
from tinylm.sweeps.declare import expand, load_experiment

RATES = np.array([0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064])


def planted(
    exponent: float = 1.0, noise: float = 0.0, seeds: int = 3, rng_seed: int = 0
) -> pd.DataFrame:
    """Losses that are parabolas in log rate, lowest at 0.008·(64/width)^exponent."""
    rng = np.random.default_rng(rng_seed)
    return pd.DataFrame(
        [
            {
                "d_model": width,
                "learning_rate": rate,
                "seed": seed,
                "nats": (3 + 0.1 * math.log(rate / 0.008 * (width / 64) ** exponent) ** 2)
                * math.exp(noise * rng.standard_normal()),
            }
            for width in (24, 64, 160)
            for rate in RATES
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0])
def test_planted_optima_are_found(exponent: float) -> None:
    found = best_rates(planted(exponent), n_resamples=20)
    assert [one.width for one in found.found] == [24, 64, 160]
    for one in found.found:
        assert one.rate == pytest.approx(0.008 * (64 / one.width) ** exponent, rel=0.03)
        assert one.place == "inside"
        assert one.text == f"{one.rate:.2g}"
        assert one.loss == found.losses[one.width].min()
    assert found.exponent == pytest.approx(exponent, abs=0.02)
    assert found.diverged == 0


def test_intervals_hold_the_truth() -> None:
    held = 0
    for rng_seed in range(60):
        found = best_rates(planted(noise=0.005, rng_seed=rng_seed), 200, rng_seed)
        low, high = found.exponent_interval
        held += low <= 1.0 <= high
        low, high = found.found[1].interval
        assert low <= found.found[1].rate <= high
    assert 52 <= held <= 60  # 57 are expected


def test_an_optimum_at_an_end_of_the_grid_is_a_bound() -> None:
    runs = planted()
    high = best_rates(runs[runs["learning_rate"] < 0.006], 20)
    assert high.found[0].place == "highest"
    assert high.found[0].rate == pytest.approx(0.004)
    assert high.found[0].text == "0.004 or more"
    low = best_rates(runs[runs["learning_rate"] > 0.006], 20)
    assert low.found[2].text == "0.008 or less"
    assert low.found[2].interval == pytest.approx((0.008, 0.008))


def test_cost_of_a_rate_that_is_not_the_best() -> None:
    found = best_rates(planted(), 20)
    assert found.cost(64, 0.008) == pytest.approx(0, abs=1e-12)
    assert found.cost(64, 0.016) == pytest.approx(0.1 * math.log(2) ** 2)
    assert found.cost(64, 0.0226) == pytest.approx(0.1 * math.log(2) ** 2 * 2.5, rel=0.01)
    assert math.isnan(found.cost(64, 0.1))


def test_a_rate_where_a_run_diverged_is_left_out() -> None:
    runs = planted()
    one = (runs["d_model"] == 160) & (runs["learning_rate"] == 0.064) & (runs["seed"] == 1)
    runs.loc[one, "nats"] = math.nan
    found = best_rates(runs, 20)
    assert found.diverged == 1
    assert math.isnan(found.losses[160].iloc[-1])
    assert math.isnan(found.cost(160, 0.064))
    assert found.found[2].rate == pytest.approx(0.0032, rel=0.03)


def test_lowest_points_of_rows_that_are_flat_or_turn_down() -> None:
    log_rates = np.log(RATES[:4])
    losses = np.array([[1.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 1.0, 2.0]])
    points, places = lowest_points(log_rates, losses)
    assert places == ["lowest", "highest", "inside"]
    assert points[1] == log_rates[3]
    assert points[2] == pytest.approx((log_rates[1] + log_rates[2]) / 2)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (planted().drop(columns="seed"), "column 'seed' is missing"),
        (planted().query("d_model == 64"), "1 different d_model; expected at least 2"),
        (planted().query("learning_rate < 0.003"), "d_model 24 has 2 rates"),
        (planted(seeds=1), "intervals need at least 4"),
    ],
)
def test_too_few_runs_are_told(runs: pd.DataFrame, message: str) -> None:
    with pytest.raises(TinyLMError, match=message):
        best_rates(runs, 20)


# --- the study and its words ----------------------------------------------------------------------


def law(record: RunRecord, tokens: int) -> float:
    """Best at 0.008·64/width under the standard parametrisation, at 0.008 under the other; wide
    models of the first end 0.05 nats higher.
    """
    model, rate = record.config.model, record.config.optimizer.learning_rate
    standard = model.mup_base is None
    best = 0.008 * (64 / model.d_model if standard else 1.0)
    wide = 0.05 * (standard and model.d_model == 192)
    return 3 - 0.001 * model.d_model + wide + 0.05 * math.log(rate / best) ** 2


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> RateStudy:
    runs = expand(load_experiment("maximal_updates"), "first")
    with pytest.MonkeyPatch.context() as patch:
        records = planted_records(runs, law, noise=0.001)
        store = planted_store(tmp_path_factory.mktemp("rates"), records, patch, "first")
        with pytest.raises(Missing, match="'best_rates' of profile first is not there"):
            rate_study(store)
        with computing_findings():
            rate_study(store)
        return rate_study(store)  # as chapters read it


def test_both_parametrisations_are_found_apart(study: RateStudy) -> None:
    assert list(study.found) == [STANDARD, MAXIMAL]
    assert study.widths == [16, 48, 128, 192]
    assert study.found[STANDARD].exponent == pytest.approx(1.0, abs=0.1)
    assert study.found[MAXIMAL].exponent == pytest.approx(0.0, abs=0.1)
    assert study.found[STANDARD].losses.shape == (7, 4)
    assert list(study.used) == study.widths
    assert study.used[16] > study.used[192]


def test_the_chapter_says_what_was_found(study: RateStudy) -> None:
    assert words.sweep_said(study).startswith("4 widths, 7 rates, 2 parametrisations and 3 seeds")
    assert words.rates_title(study).startswith("From width 16 to 192 the best rate falls 1")
    table = words.rates_table(study)
    assert table.index.tolist() == study.widths
    best = study.found[MAXIMAL].found[1]
    assert str(table.loc[48, "maximal updates: best rate"]).startswith(f"{best.rate:.2g} [")
    standard, maximal = words.rates_said(study).split("\n\n")
    assert standard.startswith(
        f"**Standard**: best rate ∝ width^{-study.found[STANDARD].exponent:.2f}"
    )
    assert maximal.startswith("**Maximal updates**: best rate ∝ width^")
    assert "is its end, which bounds it" not in standard
    assert words.rule_table(study)["best rate"].iloc[0].startswith("0.03")


def test_a_width_is_called_short_changed_only_if_it_is(study: RateStudy) -> None:
    assert "But by its parametrisation one is:** at width 192" in words.rule_said(study)
    as_good = replace(study, found=study.found | {MAXIMAL: study.found[STANDARD]})
    assert "neither parametrisation is better" in words.rule_said(as_good)


def test_an_end_of_the_grid_is_said_to_bound_the_best(study: RateStudy) -> None:
    few = best_rates(planted().query("learning_rate < 0.006"), 20)
    bounded = replace(study, found={STANDARD: few, MAXIMAL: few})
    assert "; at width 24, 64, 160 the best rate of the grid is its end" in words.rates_said(
        bounded
    )
    said = str(words.rates_table(bounded).loc[24, "standard: best rate"])
    assert said.startswith("0.004 or more [")
