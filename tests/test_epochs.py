"""Unique tokens and epochs, on runs of the paper's grid whose law is planted."""

from collections.abc import Sequence

import numpy as np
import pytest
from planted import planted_records

from tinylm.errors import TinyLMError
from tinylm.laws.repetition import effective_tokens
from tinylm.records import RunRecord
from tinylm.studies import epochs as repeats
from tinylm.studies.epochs import RepeatStudy, repeat_study, worth
from tinylm.sweeps.declare import expand, load_experiment

E, B, BETA, R_STAR = 1.9, 300.0, 0.45, 5.0
RUNS = expand(load_experiment("data_epochs"), "paper")


def law(record: RunRecord, tokens: int) -> float:
    return float(E + B * effective_tokens(record.unique_tokens, tokens, R_STAR) ** -BETA)


def studied(records: Sequence[RunRecord]) -> RepeatStudy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "load_runs", lambda runs, profile: list(records))
        patch.setattr(repeats, "N_RESAMPLES", 60)
        return repeat_study("paper")


@pytest.fixture(scope="module")
def study() -> RepeatStudy:
    return studied(planted_records(RUNS, law, noise=0.001))


def test_the_grid_has_what_the_chapter_asks(study: RepeatStudy) -> None:
    unique = np.sort(study.runs["unique_tokens"].unique())
    np.testing.assert_allclose(unique / unique[0], [1, 2, 4, 8, 16])
    assert study.runs["epochs"].max() > 15
    assert study.runs["n_non_embedding"].nunique() == 1
    assert study.runs.groupby(["unique_tokens", "tokens"])["seed"].nunique().eq(3).all()


def test_the_planted_law_comes_back(study: RepeatStudy) -> None:
    low, high = study.law.interval("R_star")
    assert abs(study.law.law.R_star - R_STAR) < high - low  # four standard errors
    assert study.fresh is not None
    assert study.fresh.law.alpha == pytest.approx(BETA, rel=0.2)
    value, least, most = worth(study.law, 4)
    true = float(effective_tokens(1.0, 4.0, R_STAR))
    assert least < value < most
    assert value == pytest.approx(true, rel=0.05)
    assert worth(study.law, 1) == pytest.approx((1.0, 1.0, 1.0))


def test_what_repeats_most_is_held_out_and_predicted(study: RepeatStudy) -> None:
    held = study.held_out
    assert (held["epochs"] > 9).all()
    assert len(held) >= 1
    np.testing.assert_allclose(held["predicted"], held["nats"], rtol=0.01)
    assert ((held["low"] < held["predicted"]) & (held["predicted"] < held["high"])).all()
    last = set(study.runs[study.runs["epochs"] > 9]["run_id"])
    worse = [
        r.model_copy(update={"validation": r.validation.model_copy(update={"nats": 5.0})})
        if r.validation and r.run_id in last
        else r
        for r in study.records
    ]
    again = studied(worse).held_out
    np.testing.assert_allclose(again["predicted"], held["predicted"])
    assert (again["nats"] == 5.0).all()


def test_diverged_runs_are_counted_and_too_few_are_told(study: RepeatStudy) -> None:
    gone = {"status": "diverged", "validation": None}
    assert studied([study.records[0].model_copy(update=gone), *study.records[1:]]).diverged == 1
    with pytest.raises(TinyLMError):
        studied([record.model_copy(update=gone) for record in study.records])
