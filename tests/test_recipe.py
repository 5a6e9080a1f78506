"""The recipe: a valid config for any size and number of tokens, and what it is off by is found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.config import RunConfig, parse_run_config
from tinylm.errors import BadInput
from tinylm.studies.mistuning import FACTORS, add_distances, fit_recipe, guess, guess_at, recipe_off
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.recipe import recipe


def configure(n: float, tokens: int) -> RunConfig:
    return parse_run_config(recipe(n, tokens, 256) | {"tokens": tokens}, "t")


@given(
    n=st.floats(1e3, 1e9),
    tokens=st.integers(60_000, 10**11),
    context_length=st.sampled_from([64, 256, 1024]),
)
def test_the_recipe_is_a_config_for_any_text(n: float, tokens: int, context_length: int) -> None:
    values = recipe(n, tokens, context_length)
    values["model"]["context_length"] = context_length
    config = parse_run_config(values | {"tokens": tokens}, "t")
    assert config.batch_tokens % context_length == 0
    assert config.steps > config.optimizer.warmup_steps  # type: ignore[operator]


def test_more_text_and_size_mean_larger_batches_and_smaller_rates() -> None:
    by_text = [configure(5e4, tokens) for tokens in (250_000, 1_000_000, 4_000_000, 16_000_000)]
    by_size = [configure(n, 4_000_000) for n in (5e3, 5e4, 5e5)]
    for configs in (by_text, by_size):
        batches = [config.batch_tokens for config in configs]
        rates = [config.optimizer.learning_rate for config in configs]
        assert batches == sorted(batches)
        assert batches[-1] > batches[0]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] < rates[0]


BEST = {"batch_tokens": 0.5, "learning_rate": -0.7, "matrix_learning_rate": 0.3}  # doublings off
CURVATURE = 0.01  # of log loss by a doubling squared


def simulated(noise: float, seed: int = 0) -> pd.DataFrame:
    """A sweep about the guess in which each factor is best so far from it, and decay where it is;
    AdamW's rate moves with N.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for n in (5_000, 50_000, 500_000):
        for tokens in (250_000, 1_000_000, 4_000_000):
            centre = guess(tokens, 256)
            trials = [centre]
            for name, value in centre.items():
                factors = (0.0, 4.0) if name == "weight_decay" else (0.5, 2.0)
                trials += [centre | {name: value * factor} for factor in factors]
            for values in trials:
                rows.append(values | {"n_non_embedding": n, "asked": tokens, "context_length": 256})
    runs = add_distances(pd.DataFrame(rows), guess_at)
    loss = 3.0 * (runs["n_non_embedding"] / 5_000.0) ** -0.1
    moved = np.log(runs["n_non_embedding"] / 50_000)
    for name in FACTORS:
        best = BEST.get(name, 0.0) + (0.1 * moved if name == "learning_rate" else 0.0)
        loss = loss * np.exp(CURVATURE * (runs[f"off_{name}"] - best) ** 2)
    return runs.assign(nats=loss * np.exp(noise * rng.standard_normal(len(runs))))


def test_the_best_values_and_the_cost_of_the_recipe_are_found() -> None:
    fit = fit_recipe(simulated(noise=1e-9))
    best, low, high = fit.best(50_000, 1e6)
    np.testing.assert_allclose(best, [0.5, -0.7, 0.3, 0.0], atol=1e-6)
    assert (low <= best).all()
    assert (best <= high).all()
    each, (cost_low, cost_high) = fit.cost(50_000, 1e6)
    off = recipe_off(50_000, 1e6, 256) - best  # of the recipe from the best
    np.testing.assert_allclose(each, CURVATURE * off**2, atol=1e-7)
    assert cost_low <= each.sum() <= cost_high
    along = fit.along(50_000, 1e6, "learning_rate", np.array([0.0, -0.7, 1.0]))
    np.testing.assert_allclose(
        along, [0, -CURVATURE * 0.49, CURVATURE * (1.7**2 - 0.49)], atol=1e-7
    )


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = []
    for seed in range(60):
        fit = fit_recipe(simulated(noise=0.004, seed=seed))
        _, low, high = fit.best(50_000, 1e6)
        held.append((low <= [0.5, -0.7, 0.3, 0.0]) & (high >= [0.5, -0.7, 0.3, 0.0]))
        assert fit.noise == pytest.approx(0.004, rel=0.4)
    assert np.mean(held) > 0.9


def test_the_sweep_is_declared_about_the_guess() -> None:
    """At every size and amount one run is the guess, and all others move one value of it."""
    places: dict[tuple[int, int], list[int]] = {}
    for run in expand(load_experiment("recipe"), "paper"):
        config = run.config
        centre = guess(config.tokens, config.model.context_length)
        values = config.optimizer.model_dump() | {"batch_tokens": config.batch_tokens}
        moved = sum(values[name] != centre[name] for name in FACTORS)
        places.setdefault((config.model.d_model, config.tokens), []).append(moved)
    assert len(places) == 12
    for moved_each in places.values():
        assert sorted(moved_each) == [0] + [1] * 2 * len(FACTORS)


def test_a_run_that_diverged_is_no_parabola() -> None:
    runs = simulated(noise=0.001)
    runs.loc[3, "nats"] = np.nan
    with pytest.raises(BadInput, match="diverged"):
        fit_recipe(runs)
    with pytest.raises(BadInput, match="expected more than"):
        fit_recipe(simulated(noise=0.001).head(16))
    runs = simulated(noise=0.001)
    with pytest.raises(BadInput, match="do not move every value"):
        fit_recipe(runs[runs["off_batch_tokens"] == 0])
