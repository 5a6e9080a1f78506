"""What repetition costs is found seed by seed, against runs that differ in nothing else."""

import numpy as np
import pandas as pd
import pytest

from tinylm.studies import epochs_words as words
from tinylm.studies.grid_repeats import costs_of
from tinylm.sweeps.declare import expand, load_experiment

COST = {600_000: 0.03, 1_200_000: 0.01}  # by unique tokens


def planted() -> pd.DataFrame:
    """Two sizes; a seed shifts the losses of all texts alike."""
    shift = {0: 0.0, 1: 0.05, 2: -0.02}
    rows = [
        {"d_model": d_model, "N": 24 * d_model**2, "asked": 4_000_000, "tokens": 4_000_256}
        | {"seed": seed, "unique_tokens": unique, "loss": np.exp(1 + add + cost)}
        for d_model in (32, 96)
        for seed, add in shift.items()
        for unique, cost in (COST | {2_400_000: 0.0}).items()
    ]
    return pd.DataFrame(rows)


def test_the_cost_is_that_of_each_seed() -> None:
    runs = planted()
    full = runs["unique_tokens"] == 2_400_000
    costs = costs_of(runs[full], runs[~full])
    assert costs["epochs"].round(1).to_list() == [3.3, 6.7, 3.3, 6.7]
    assert costs["before"].to_numpy() == pytest.approx(4_000_256 / 2_400_000)
    np.testing.assert_allclose(costs["cost"], [0.01, 0.03, 0.01, 0.03], atol=1e-12)
    np.testing.assert_allclose(costs["error"], 0.0, atol=1e-12)
    said = words.grid_repeats_said(costs)
    assert "from 1.7 to 3.3 epochs costs 1.0" in said
    assert len(words.grid_repeats_table(costs)) == 4


def test_the_declared_runs_are_those_of_the_grid_but_for_the_text() -> None:
    fewer = expand(load_experiment("grid_repeats"), "paper")
    grid = {
        (run.config.model.d_model, run.config.tokens, run.seed): run.config
        for run in expand(load_experiment("grid"), "paper")
    }
    for run in fewer:
        whole = grid[run.config.model.d_model, run.config.tokens, run.seed]
        data = run.config.data.model_copy(update={"train_documents": None})
        evaluation = whole.evaluation  # how often the curve is drawn is not what a run learns
        assert run.config.model_copy(update={"data": data, "evaluation": evaluation}) == whole
