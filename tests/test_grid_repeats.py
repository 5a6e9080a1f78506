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
    costs = costs_of(runs)
    assert costs["epochs"].round(1).to_list() == [3.3, 6.7, 3.3, 6.7]
    assert costs["before"].to_numpy() == pytest.approx(4_000_256 / 2_400_000)
    np.testing.assert_allclose(costs["cost"], [0.01, 0.03, 0.01, 0.03], atol=1e-12)
    np.testing.assert_allclose(costs["half"], 0.0, atol=1e-12)
    said = words.grid_repeats_said(costs)
    assert said.startswith("To read half the text, and so 3.3 epochs instead of 1.7, costs a model")
    assert said.count("1.00") == 6
    assert len(words.grid_repeats_table(costs)) == 4


def test_the_declared_runs_are_those_of_the_grid_but_for_the_text() -> None:
    declared = expand(load_experiment("grid_repeats"), "next")
    grid = [run.config for run in expand(load_experiment("grid"), "next")]
    for run in declared:
        data = run.config.data.model_copy(update={"train_documents": None})
        assert run.config.model_copy(update={"data": data}) in grid


def test_the_interval_covers_what_was_planted() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        runs = planted()
        runs["loss"] *= np.exp(0.01 * rng.standard_normal(len(runs)))
        costs = costs_of(runs)
        true = (4_000_256 / costs["epochs"]).round().map(COST)
        inside.append((costs["cost"] - true).abs() <= costs["half"])
    assert 0.92 < np.mean(inside) < 0.98
