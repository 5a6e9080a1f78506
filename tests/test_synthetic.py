"""Made-up studies are on the grids they claim, and hits are counted."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tinylm.laws import PowerLaw
from tinylm.laws.scatter import FitStatus, settings_of
from tinylm.laws.solver import Array
from tinylm.studies import synthetic
from tinylm.studies.synthetic import (
    Plan,
    count,
    cut_plan,
    measure_law,
    paper_runs,
    surface_plans,
)

X = np.repeat(np.geomspace(6e3, 6e5, 6), 3)
SEED = np.tile(np.arange(3.0), 6)
TRUTH = PowerLaw(1.2, 20.0, 0.3, status=FitStatus(True, (), 1, 0), n_points=0, residual_rms=0.0)
LOSS: Array = TRUTH.loss(X)
CHECKOUT = Path(__file__).resolve().parent.parent


def plan_of(noise: float = 0.004) -> Plan:
    return Plan("cut", LOSS, np.full(len(X), noise), partial(measure_law, X, SEED, 1.2, TRUTH))


def test_a_cut_has_the_grid_and_the_noise_of_the_paper_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TINYLM_ROOT", str(CHECKOUT))
    runs = paper_runs("model_size")
    plan = cut_plan("sizes", runs, None)
    assert plan.loss.shape == (len(runs),)
    assert np.ptp(plan.loss - runs["nats"].to_numpy()) < 0.2
    assert 0.002 < plan.noise.min() < plan.noise.max() < 0.05


def test_sizes_lie_about_the_best_of_each_budget() -> None:
    x = np.geomspace(1e4, 1e6, 4).repeat(3)
    losses = (0.5 + 9 * x**-0.3) * np.exp(0.004 * np.random.default_rng(0).standard_normal(12))
    plans = surface_plans(0.5, settings_of({"x": x}, np.tile(np.arange(3), 4), losses))
    assert [plan.name for plan in plans][-1] == synthetic.PARABOLAS
    by_budget = plans[0].loss.reshape(5, 6, 3)
    assert (np.ptp(by_budget, axis=2) == 0).all()  # seeds differ by noise alone
    lowest = by_budget[:, :, 0].argmin(axis=1)
    assert set(lowest.tolist()) <= {2, 3}
    assert (np.diff(by_budget[:, 2, 0]) < 0).all()  # more compute, less loss


def test_a_study_is_a_function_of_its_number() -> None:
    plan = plan_of()
    assert plan.study(3) == plan.study(3)
    assert plan.study(3) != plan.study(4)
    names, truths, low, high = zip(*plan.study(0), strict=True)
    assert names == ("alpha", "loss at the largest N", "loss at ten times the largest N")
    assert truths[0] == 0.3
    assert (np.array(low) < np.array(high)).all()


def test_hits_are_counted_with_their_own_interval() -> None:
    studies = [[("alpha", 0.3, 0.2, 0.5)]] * 90 + [[("alpha", 0.3, 0.31, 0.5)]] * 10
    (row,) = count("cut", studies)
    assert (row["plan"], row["of"], row["studies"]) == ("cut", "alpha", 100)
    assert row["covered"] == 0.9
    assert row["covered_low"] == pytest.approx(0.8256, abs=1e-4)  # Wilson 1927
    assert row["covered_high"] == pytest.approx(0.9448, abs=1e-4)
    assert row["median_width"] == pytest.approx(0.3)


def test_every_quantity_of_every_plan_has_its_own_row() -> None:
    rows = pd.DataFrame(count("cut", map(plan_of().study, range(3))))
    assert rows["of"].is_unique
    assert (rows["studies"] == 3).all()
