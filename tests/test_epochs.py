"""Unique tokens and epochs, on runs of the paper's grid whose law is planted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import planted_records, planted_store

from tinylm.errors import Missing, TinyLMError
from tinylm.laws.repetition import effective_tokens
from tinylm.records import RunRecord
from tinylm.studies import epochs as repeats
from tinylm.studies import epochs_words as words
from tinylm.studies.epochs import RepeatStudy, repeat_study, worth
from tinylm.studies.findings import computing_findings
from tinylm.sweeps.declare import expand, load_experiment

E, B, BETA, R_STAR = 1.9, 300.0, 0.45, 5.0
RUNS = expand(load_experiment("data_epochs"), "paper")


def law(record: RunRecord, tokens: int) -> float:
    return float(E + B * effective_tokens(record.unique_tokens, tokens, R_STAR) ** -BETA)


def studied(records: Sequence[RunRecord], root: Path, n_resamples: int = 20) -> RepeatStudy:
    """The study as chapters read it, of records in a project of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "N_RESAMPLES", n_resamples)
        store = planted_store(root, records, patch)
        with pytest.raises(Missing, match="'data_epochs' of profile paper"):
            repeat_study(store)
        with computing_findings():
            repeat_study(store)
        return repeat_study(store)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> RepeatStudy:
    return studied(planted_records(RUNS, law, noise=0.001), tmp_path_factory.mktemp("epochs"), 60)


def test_the_grid_has_what_the_chapter_asks(study: RepeatStudy) -> None:
    unique = np.sort(study.runs["unique_tokens"].unique())
    np.testing.assert_allclose(unique / unique[0], [1, 2, 4, 8, 16])
    assert study.runs["epochs"].max() > 15
    assert study.runs["n_non_embedding"].nunique() == 1
    assert study.runs.groupby(["unique_tokens", "tokens"])["seed"].nunique().eq(3).all()


def test_the_planted_law_comes_back(study: RepeatStudy) -> None:
    low, high = study.law.interval("R_star")
    assert abs(study.law.law.R_star - R_STAR) < high - low  # four standard errors
    value, least, most = worth(study.law, 4)
    true = float(effective_tokens(1.0, 4.0, R_STAR))
    assert least < value < most
    assert value == pytest.approx(true, rel=0.05)
    assert worth(study.law, 1) == pytest.approx((1.0, 1.0, 1.0))


def test_what_repeats_most_is_held_out_and_predicted(study: RepeatStudy, tmp_path: Path) -> None:
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
    again = studied(worse, tmp_path).held_out
    np.testing.assert_allclose(again["predicted"], held["predicted"])
    assert (again["nats"] == 5.0).all()


def test_diverged_runs_are_counted_and_too_few_are_told(study: RepeatStudy, tmp_path: Path) -> None:
    gone = {"status": "diverged", "validation": None}
    first = study.records[0].model_copy(update=gone)
    one = studied([first, *study.records[1:]], tmp_path / "one")
    assert one.diverged == 1
    assert words.losses_said(one).endswith(" 1 runs diverged and are left out.")
    with pytest.raises(TinyLMError):
        studied([record.model_copy(update=gone) for record in study.records], tmp_path / "all")


def test_the_chapter_says_what_was_found(study: RepeatStudy) -> None:
    four = worth(study.law, 4)[0]
    assert words.repeats_title(study).startswith(f"Four epochs are worth {four:.1f} times the text")
    table = words.losses_table(study)
    assert table.shape == (5, 5)
    assert (table == "").to_numpy().sum() == 10  # texts longer than D
    assert words.losses_said(study).startswith("Losses in nats per token, mean ± standard dev")
    assert "15.4, which lies outside" in words.repeats_said(study)
    broken = replace(study, law=replace(study.law, misfit=3.1))
    assert "the law does not hold here, and no interval" in words.repeats_said(broken)
    assert words.worth_table(broken)["95% interval"].eq("").all()
    assert words.worth_table(study).loc[1, "worth, in unique texts"] == "1.00"
    assert words.worth_table(study).loc[4, "worth, in unique texts"] == f"{four:.2f}"
    held = words.held_out_table(study)
    assert len(held) == len(study.held_out)
    assert held["error"].str.endswith("%").all()


def test_learning_by_heart_is_told_by_whether_the_loss_rises(study: RepeatStudy) -> None:
    assert "has not risen yet" in words.by_heart_said(study)
    runs = study.runs.copy()
    last = (runs["unique_tokens"] == runs["unique_tokens"].min()) & (
        runs["tokens"] == runs["tokens"].max()
    )
    runs.loc[last, "nats"] += 1.0
    said = words.by_heart_said(replace(study, runs=runs))
    assert "has begun to learn by heart" in said
    assert "1.10 nats above the training loss after 16 epochs" in said
