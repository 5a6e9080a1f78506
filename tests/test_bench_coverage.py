"""The benchmark of intervals: made-up studies are on the grids they claim, and hits are counted."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tinylm.bench import coverage
from tinylm.bench.coverage import Plan, measure, measure_law, plans, summarise, surface_plans
from tinylm.bench.pages import page_texts
from tinylm.laws import PowerLaw
from tinylm.laws.scatter import FitStatus, settings_of
from tinylm.laws.solver import Array

X = np.repeat(np.geomspace(6e3, 6e5, 6), 3)
SEED = np.tile(np.arange(3.0), 6)
TRUTH = PowerLaw(1.2, 20.0, 0.3, status=FitStatus(True, (), 1, 0), n_points=0, residual_rms=0.0)
LOSS: Array = TRUTH.loss(X)


def cut_plan(noise: float = 0.004) -> Plan:
    law = partial(measure_law, X, SEED, 1.2, TRUTH)
    return Plan("cut", LOSS, np.full(len(X), noise), law)


def test_studies_are_on_the_grids_of_the_paper_profile() -> None:
    found = {plan.name: plan for plan in plans()}
    assert len(found) == 5
    chapter_5 = found["cut in N of chapter 5, E fitted"]
    assert chapter_5.loss.shape == (24,)
    assert 0.002 < chapter_5.noise.min() < chapter_5.noise.max() < 0.05
    for name in ("surface, E fitted", "surface, E known", "isoFLOP parabolas"):
        assert found[name].loss.shape == (90,)


def test_sizes_lie_about_the_best_of_each_budget() -> None:
    x = np.geomspace(1e4, 1e6, 4).repeat(3)
    losses = (0.5 + 9 * x**-0.3) * np.exp(0.004 * np.random.default_rng(0).standard_normal(12))
    plan = surface_plans(0.5, settings_of({"x": x}, np.tile(np.arange(3), 4), losses))[0]
    by_budget = plan.loss.reshape(5, 6, 3)
    assert (np.ptp(by_budget, axis=2) == 0).all()  # seeds differ by noise alone
    lowest = by_budget[:, :, 0].argmin(axis=1)
    assert set(lowest.tolist()) <= {2, 3}
    assert (np.diff(by_budget[:, 2, 0]) < 0).all()  # more compute, less loss


def test_a_study_is_a_function_of_its_number() -> None:
    plan = cut_plan()
    assert plan.study(3) == plan.study(3)
    assert plan.study(3) != plan.study(4)
    rows = pd.DataFrame(plan.study(0))
    assert set(rows["of"]) == {
        "alpha", "loss at the largest N", "loss at ten times the largest N",
    }  # fmt: skip
    assert (
        rows["held"] == ((rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"]))
    ).all()


def test_hits_are_counted_with_their_own_interval() -> None:
    rows = pd.DataFrame(
        {
            "plan": "cut",
            "study": range(100),
            "of": "alpha",
            "truth": 0.3,
            "low": [0.2] * 90 + [0.31] * 10,
            "high": 0.5,
            "held": [True] * 90 + [False] * 10,
        }
    )
    (row,) = summarise(rows).to_dict("records")
    assert row["covered"] == 0.9
    assert row["covered_low"] == pytest.approx(0.8256, abs=1e-4)  # Wilson 1927
    assert row["covered_high"] == pytest.approx(0.9448, abs=1e-4)
    assert row["median_width"] == pytest.approx(0.3)


def test_what_is_measured_is_kept_and_shown(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "plans", lambda: [cut_plan()])
    table = measure(studies=4)
    assert table["studies"].tolist() == [4, 4, 4]
    monkeypatch.setattr(coverage, "run_plan", None)  # nothing is run again
    pd.testing.assert_frame_equal(measure(studies=4), table)
    texts = page_texts(project / "results" / "bench")
    assert texts["bench_coverage_range"].startswith("4 studies of each kind, intervals held it in ")
    assert "parabolas" not in texts["bench_coverage_range"]
    assert texts["bench_coverage"].count("\n") == 4
    assert texts["bench_coverage"].count("cut") == 1
