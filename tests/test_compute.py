"""Best sizes by every approach, on runs of the paper's grid whose surface is planted."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import CHECKOUT
from planted import ALL_DOCUMENTS, CURVE_DOCUMENTS, planted_records, planted_store

from tinylm.errors import Missing, TinyLMError
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies import compute
from tinylm.studies import compute_words as words
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
from tinylm.studies.findings import computing_findings
from tinylm.sweeps.declare import expand, load_experiment

FLOOR, A, ALPHA, B, BETA = 0.65, 600.0, 0.5, 600.0, 0.45
RUNS = expand(load_experiment("isoflops"), "paper")


def law(record: RunRecord, tokens: int) -> float:
    return float(FLOOR + A * record.parameters.with_output**-ALPHA + B * tokens**-BETA)


def best_size(flops: float) -> float:
    factor = (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA))
    return float(factor * (flops / 6) ** (BETA / (ALPHA + BETA)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> ComputeStudy:
    return studied(planted_records(RUNS, law), tmp_path_factory.mktemp("compute"))


def studied(records: list[RunRecord], root: Path, n_resamples: int = 100) -> ComputeStudy:
    """The study as chapters read it, of records in a project of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "N_RESAMPLES", n_resamples)
        patch.setattr(compute, "known_floor", lambda *_: SimpleNamespace(nats=FLOOR))
        store = planted_store(root, records, patch)
        with pytest.raises(Missing, match="'isoflops' of profile paper"):
            compute_study(store)
        with computing_findings():
            compute_study(store)
        return compute_study(store)


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


def test_the_race_hides_the_largest_budget(study: ComputeStudy, tmp_path: Path) -> None:
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
    again = studied(changed, tmp_path).race
    np.testing.assert_allclose(again["size"], study.race["size"], rtol=1e-6)


def last_budget(study: ComputeStudy) -> set[str]:
    runs = study.runs
    return set(runs[runs["budget"] == runs["budget"].max()]["run_id"])


def test_curves_are_those_of_the_longest_run_of_a_size(study: ComputeStudy) -> None:
    curves = learning_curves_of(study.records)
    assert len(curves) == 3 * study.runs["n"].nunique()
    longest = study.runs.groupby("n")["tokens"].max()
    begins = {(curve.N, int(curve.tokens[0])) for curve in curves}
    assert begins == {(n, tokens // 100) for n, tokens in longest.items()}


def test_a_curve_has_no_point_on_other_documents(study: ComputeStudy) -> None:
    """Runs end with an evaluation on all documents. Say these are harder than the curve's few, then
    the envelope must not know.
    """
    curves = learning_curves_of(study.records)
    points = study.records[0].curve
    assert [point.validation_documents for point in points] == [CURVE_DOCUMENTS] * 7 + [
        ALL_DOCUMENTS
    ]
    assert {len(curve.tokens) for curve in curves} == {7}
    harder = [record.model_copy(update={"curve": harder_end(record)}) for record in study.records]
    for ours, other in zip(curves, learning_curves_of(harder), strict=True):
        np.testing.assert_array_equal(ours.loss, other.loss)
        np.testing.assert_array_equal(ours.tokens, other.tokens)


def harder_end(record: RunRecord) -> list[Any]:
    last = record.curve[-1]
    nats = last.validation_nats + 0.5
    return [*record.curve[:-1], last.model_copy(update={"validation_nats": nats})]


def test_curves_of_runs_that_are_all_on_one_set_of_documents_keep_their_end(
    study: ComputeStudy,
) -> None:
    alike = [
        record.model_copy(
            update={
                "curve": [p.model_copy(update={"validation_documents": 4}) for p in record.curve]
            }
        )
        for record in study.records
    ]
    assert {len(curve.tokens) for curve in learning_curves_of(alike)} == {8}


def test_the_front_falls_and_nothing_lies_below_it(study: ComputeStudy) -> None:
    front = pareto(study.runs)
    assert (np.diff(front["flops_exact"]) > 0).all()
    assert (np.diff(front["nats"]) < 0).all()
    means = study.runs.groupby(["n", "tokens"])[["flops_exact", "nats"]].mean()
    for _, row in means.iterrows():
        cheaper = front[front["flops_exact"] <= row["flops_exact"]]
        assert cheaper["nats"].min() <= row["nats"]


def test_diverged_runs_are_left_out_and_too_few_are_told(
    study: ComputeStudy, tmp_path: Path
) -> None:
    gone: dict[str, Any] = {"status": "diverged", "validation": None}
    one = [study.records[0].model_copy(update=gone), *study.records[1:]]
    assert len(studied(one, tmp_path / "one", 20).runs) == len(study.runs) - 1
    with pytest.raises(TinyLMError, match="needs at least"):
        studied(
            [record.model_copy(update=gone) for record in study.records[:80]] + study.records[80:],
            tmp_path / "most",
        )


def test_the_surface_of_cuts_reads_no_token_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the committed records: sizes at one number of tokens, texts at one size, one corpus."""
    monkeypatch.setenv("TINYLM_ROOT", str(CHECKOUT))
    runs, fit = surface_of_cuts(Store("paper"))
    assert (runs["tokens"] <= runs["unique_tokens"]).all()
    assert runs["corpus"].nunique() == 1
    assert runs["n"].nunique() >= 8
    assert runs["tokens"].nunique() >= 5
    assert (runs["flops"] == 6 * runs["n_non_embedding"] * runs["tokens"]).sum() == 0
    said = fit.surface.loss(runs["n"].to_numpy(float), runs["tokens"].to_numpy(float))
    assert (np.abs(said / runs["nats"] - 1) < 0.1).all()


# --- what the chapter says ------------------------------------------------------------------------


def test_titles_and_tables_are_of_the_runs(study: ComputeStudy) -> None:
    assert words.runs_said(study).startswith("5 budgets over a factor of 100, 20 sizes and 3 seeds")
    top = float(study.budgets[-1])
    by_surface = study.known.surface.optimal(top).tokens_per_parameter
    assert words.isoflops_title(study).endswith(f", {by_surface:.0f} by the surface")
    optima = words.optima_table(study)
    assert len(optima) == 5
    assert optima["three times too large"].str.startswith("+").all()
    assert "by 4 approaches" in words.approaches_title(study)
    approaches = words.approaches_table(study)
    assert approaches.index.tolist() == [ENVELOPE, PARABOLAS, SURFACE, SURFACE_KNOWN]
    assert approaches["exponent a of N ∝ C^a"].iloc[1] == f"{study.approaches[1].exponent:.3f}"
    assert words.race_table(study).loc[ENVELOPE, "loss there, predicted"] == "names none"
    assert words.race_said(study).startswith("Measured: of the sizes tried, ")
    assert words.race_said(study).count("is off by") == 2
    assert "-fold" in words.pareto_title(study)


def test_a_surface_that_does_not_fit_is_said_not_to(study: ComputeStudy) -> None:
    assert study.known.misfit < words.HOLDS
    assert "No surface of this form" not in words.surface_said(study)
    bent = replace(study, known=replace(study.known, misfit=19.0))
    said = words.surface_said(bent)
    assert "Its misfit is 19.0" in said
    assert "**No surface of this form fits these runs.**" in said
    assert said.count("nats too ") == 5


def test_what_could_not_be_followed_is_said(study: ComputeStudy) -> None:
    assert "envelope" not in words.approaches_said(study)
    less = replace(study, envelope=None, race=study.race.iloc[:0])
    assert "Too few sizes compete for an envelope" in words.approaches_said(less)
    assert len(words.approaches_table(less)) == 3
    assert words.race_table(less).empty
    assert words.race_said(less) == "A race needs three budgets; this profile has fewer."


def test_the_floor_is_said_to_lie_inside_or_outside(study: ComputeStudy) -> None:
    low, high = study.free.interval("E")
    middle = (low + high) / 2
    assert f"is {middle:.3f}, inside." in words.floor_said(replace(study, floor=middle))
    assert f"is {high + 1:.3f}, **outside**." in words.floor_said(replace(study, floor=high + 1))
