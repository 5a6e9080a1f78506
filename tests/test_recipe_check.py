"""What the recipe costs at a place: found again where it was planted."""

import numpy as np
import pandas as pd
import pytest
from test_recipe import CURVATURE, simulated

from tinylm.errors import BadInput
from tinylm.studies import recipe_words as words
from tinylm.studies.mistuning import FACTORS, add_distances, fit_recipe, recipe_values
from tinylm.studies.recipe_check import RecipeCheck, costs, named

N, TOKENS = 55_632, 500_000.0
SHARPNESS = 1.5
OFF = {"batch_tokens": 0.6, "learning_rate": -0.4, "matrix_learning_rate": 3.0}  # of the best


def check_runs(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """The recipe at one place, and each value halved and doubled, where the best are OFF."""
    centre, rng = recipe_values(N, TOKENS, 256), np.random.default_rng(seed)
    trials = [centre]
    for name, value in centre.items():
        factors = (0.0, 4.0) if name == "weight_decay" else (0.5, 2.0)
        trials += [centre | {name: value * factor} for factor in factors]
    place = {"corpus": "fables", "n_layers": 4, "d_model": 48, "n_non_embedding": N}
    place |= {"asked": TOKENS, "context_length": 256, "seed": 0}
    runs = add_distances(pd.DataFrame([place | values for values in trials]), recipe_values)
    loss = 2.0 * np.ones(len(runs))
    for name in FACTORS:
        off = runs[f"off_{name}"] - OFF.get(name, 0.0)
        loss = loss * np.exp(SHARPNESS * CURVATURE * off**2)
    return runs.assign(nats=loss * np.exp(noise * rng.standard_normal(len(runs))))


def test_the_cost_that_was_planted_is_found() -> None:
    found = costs(check_runs(), fit_recipe(simulated(noise=1e-9))).iloc[0]
    assert found["best_batch_tokens"] == pytest.approx(0.6, abs=1e-3)
    assert found["best_learning_rate"] == pytest.approx(-0.4, abs=1e-3)
    assert found["best_matrix_learning_rate"] == pytest.approx(3.0, abs=1e-2)
    assert found["cost_batch_tokens"] == pytest.approx(100 * SHARPNESS * CURVATURE * 0.36, rel=1e-3)
    # Beyond the values that were tried nothing is counted: from 3 to 2 off.
    planted = 100 * SHARPNESS * CURVATURE * (9 - 4)
    assert found["cost_matrix_learning_rate"] == pytest.approx(planted, rel=1e-2)
    assert found["scatter"] == pytest.approx(0.0, abs=1e-6)
    each = sum(found[f"cost_{name}"] for name in FACTORS)
    assert found["cost"] == pytest.approx(each)
    assert found["cost_low"] <= found["cost"] <= found["cost_high"]


def test_noise_widens_the_interval_and_is_covered() -> None:
    true = costs(check_runs(), fit_recipe(simulated(noise=1e-9)))["cost"].iloc[0]
    fit = fit_recipe(simulated(noise=0.005))
    inside = []
    for seed in range(40):
        found = costs(check_runs(0.005, seed), fit).iloc[0]
        inside.append(found["cost_low"] <= true <= found["cost_high"])
    assert np.mean(inside) > 0.8


def test_a_place_is_named_and_one_moved_to_one_side_is_told() -> None:
    runs = check_runs()
    places = costs(runs, fit_recipe(simulated(noise=1e-9)))
    assert named(places) == ["fables, width 48, 4 layers, 500k tokens"]
    with pytest.raises(BadInput, match="Muon's rate was not halved and doubled at width 48"):
        costs(runs[runs["off_matrix_learning_rate"] > -1], fit_recipe(simulated(noise=1e-9)))
    with pytest.raises(BadInput, match="diverged"):
        costs(runs.assign(nats=np.nan), fit_recipe(simulated(noise=1e-9)))


def test_the_value_that_costs_most_everywhere_is_said() -> None:
    runs = check_runs()
    fit = fit_recipe(simulated(noise=1e-9))
    check = RecipeCheck(runs, costs(runs, fit), fit.noise)
    said = words.check_said(check)
    assert said.startswith("9 runs, 1 of each. At 0 of 1 places the recipe costs 0.5")
    assert "Most of it comes of one value, Muon's rate: more would be better at every one" in said
    assert "1 of 4 values would be best beyond half or twice the recipe's" in said
    assert words.check_table(check)["batch"].iloc[0] == "0.54"


def test_what_matched_keys_save_is_that_of_the_centres() -> None:
    before, fit = check_runs(), fit_recipe(simulated(noise=1e-9))
    after = before.assign(nats=before["nats"] * 0.98)
    after.loc[after["off_batch_tokens"] > 0.9, "nats"] *= 0.5  # which the recipe does not have
    saved = words.matched_savings(before, after)
    assert saved == pytest.approx({"fables, width 48, 4 layers, 500k tokens": 0.02})
    said = words.matched_said(
        *(RecipeCheck(runs, costs(before, fit), fit.noise) for runs in (before, after))
    )
    assert "falls by 2.0" in said
