"""Best sizes by every approach, on runs of the paper's grid whose surface is planted."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from planted import planted_records

from tinylm.errors import TinyLMError
from tinylm.records import RunRecord
from tinylm.studies import compute
from tinylm.studies.compute import (
    ENVELOPE,
    PARABOLAS,
    SURFACE,
    SURFACE_KNOWN,
    ComputeStudy,
    compute_study,
    learning_curves_of,
    pareto,
    surface_of_cuts,
)
from tinylm.sweeps.declare import expand, load_experiment

FLOOR, A, ALPHA, B, BETA = 0.65, 600.0, 0.5, 600.0, 0.45
RUNS = expand(load_experiment("isoflops"), "paper")


def law(record: RunRecord, tokens: int) -> float:
    return float(FLOOR + A * record.parameters.with_output**-ALPHA + B * tokens**-BETA)


def best_size(flops: float) -> float:
    factor = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    return float(factor * (flops / 6) ** (BETA / (ALPHA + BETA)))


@pytest.fixture(scope="module")
def study() -> ComputeStudy:
    return studied(planted_records(RUNS, law))


def studied(records: list[RunRecord]) -> ComputeStudy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "load_runs", lambda runs, profile: records)
        patch.setattr(compute, "N_RESAMPLES", 100)
        patch.setattr(
            compute, "prepare", lambda *_: SimpleNamespace(validation=None, tokenizer=None)
        )
        patch.setattr(compute, "token_floor", lambda *_: SimpleNamespace(nats=FLOOR))
        return compute_study("paper")


def test_five_budgets_over_a_factor_of_a_hundred(study: ComputeStudy) -> None:
    assert len(study.budgets) == 5
    assert study.budgets[-1] / study.budgets[0] == pytest.approx(100)
    np.testing.assert_allclose(study.runs["flops"], study.runs["budget"], rtol=0.02)
    assert study.runs.groupby("budget")["n"].nunique().tolist() == [6] * 5
    assert study.floor == FLOOR


def test_every_approach_finds_the_planted_best_sizes(study: ComputeStudy) -> None:
    names = [one.name for one in study.approaches]
    assert names == [ENVELOPE, PARABOLAS, SURFACE, SURFACE_KNOWN]
    true = BETA / (ALPHA + BETA)
    for one in study.approaches[1:]:
        assert one.exponent == pytest.approx(true, abs=0.08)
        low, high = one.exponent_interval
        assert low < one.exponent < high
        size, (lows, highs) = one.size(study.budgets), one.size_interval(study.budgets)
        assert size.shape == lows.shape == highs.shape == (5,)
        np.testing.assert_allclose(
            np.log(size), np.log([best_size(c) for c in study.budgets]), atol=0.3
        )
        assert (lows < size).all()
        assert (size < highs).all()
    known = study.approaches[-1]
    low, high = known.exponent_interval
    assert abs(known.exponent - true) < high - low  # four standard errors
    assert study.known.surface.E == FLOOR


def test_the_race_hides_the_largest_budget(study: ComputeStudy) -> None:
    race = study.race.set_index("approach")
    assert set(race.index) == {ENVELOPE, PARABOLAS, SURFACE, SURFACE_KNOWN}
    there = best_size(study.budgets[-1])
    known = race.loc[SURFACE_KNOWN]
    assert abs(np.log(known["size"] / there)) < np.log(known["high"] / known["low"])
    exact = FLOOR + A * there**-ALPHA + B * (study.budgets[-1] / 6 / there) ** -BETA
    assert known["loss"] == pytest.approx(exact, rel=0.02)
    assert race["loss"].isna().tolist() == [True, True, False, False]  # names none
    changed = [
        record.model_copy(update={"validation": record.validation.model_copy(update={"nats": 9.0})})
        if record.validation and record.run_id in last_budget(study)
        else record
        for record in study.records
    ]
    np.testing.assert_allclose(studied(changed).race["size"], study.race["size"], rtol=1e-9)


def last_budget(study: ComputeStudy) -> set[str]:
    runs = study.runs
    return set(runs[runs["budget"] == runs["budget"].max()]["run_id"])


def test_curves_are_those_of_the_longest_run_of_a_size(study: ComputeStudy) -> None:
    curves = learning_curves_of(study.records)
    assert len(curves) == 3 * study.runs["n"].nunique()
    longest = study.runs.groupby("n")["tokens"].max()
    assert {(c.N, c.tokens[-1]) for c in curves} == set(
        longest.reset_index().itertuples(index=False, name=None)
    )


def test_the_front_falls_and_nothing_lies_below_it(study: ComputeStudy) -> None:
    front = pareto(study.runs)
    assert (np.diff(front["flops_exact"]) > 0).all()
    assert (np.diff(front["nats"]) < 0).all()
    means = study.runs.groupby(["n", "tokens"])[["flops_exact", "nats"]].mean()
    for _, row in means.iterrows():
        cheaper = front[front["flops_exact"] <= row["flops_exact"]]
        assert cheaper["nats"].min() <= row["nats"]


def test_diverged_runs_are_left_out_and_too_few_are_told(study: ComputeStudy) -> None:
    gone: dict[str, Any] = {"status": "diverged", "validation": None}
    one = [study.records[0].model_copy(update=gone), *study.records[1:]]
    assert len(studied(one).runs) == len(study.runs) - 1
    with pytest.raises(TinyLMError, match="needs at least"):
        studied(
            [record.model_copy(update=gone) for record in study.records[:80]] + study.records[80:]
        )


def test_the_surface_of_cuts_reads_no_token_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the committed records: sizes at one number of tokens, texts at one size, one corpus."""
    monkeypatch.setattr(compute, "N_RESAMPLES", 20)
    runs, fit = surface_of_cuts("paper")
    assert (runs["tokens"] <= runs["unique_tokens"]).all()
    assert runs["corpus"].nunique() == 1
    assert runs["n"].nunique() >= 8
    assert runs["tokens"].nunique() >= 5
    assert (runs["flops"] == 6 * runs["n_non_embedding"] * runs["tokens"]).sum() == 0
    said = fit.surface.loss(runs["n"].to_numpy(float), runs["tokens"].to_numpy(float))
    assert (np.abs(said / runs["nats"] - 1) < 0.1).all()
