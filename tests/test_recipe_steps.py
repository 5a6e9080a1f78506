"""What each part of the recipe earns, of runs whose losses add up as planted."""

import numpy as np
import pandas as pd
import pytest

from tinylm.studies import recipe_words as words
from tinylm.studies.recipe_steps import STEPS, StepsStudy, earned
from tinylm.sweeps.declare import expand, load_experiment

EARNS = np.arange(1, len(STEPS) + 1) / 100


def planted(together: float, noise: float = 0.0) -> StepsStudy:
    """Steps that earn so much each, and all of them so much more; a seed is a shift of all runs."""
    first, seeds = 1.0, np.array([0.0, 0.02, -0.05])
    whole = first - EARNS.sum() - together
    parts = [whole, *(whole + EARNS), first, *(first - EARNS)]
    losses = np.add.outer(parts, seeds)
    losses += noise * np.random.default_rng(0).standard_normal(losses.shape)
    runs = pd.DataFrame({"nats": np.exp(losses).ravel()})
    runs = runs.assign(d_model=64, tokens=1_000_000, seed=np.tile([0, 1, 2], len(parts)))
    return StepsStudy(runs, *earned(runs))


def test_what_was_planted_is_found_and_seeds_cancel() -> None:
    study = planted(together=0.1)
    np.testing.assert_allclose(study.steps["earns"], EARNS)
    np.testing.assert_allclose(study.steps["missed"], EARNS)
    assert study.half == pytest.approx(0.0, abs=1e-12)
    assert study.left_over == pytest.approx(0.1)
    said = words.steps_said(study)
    assert f"Missed most is: {STEPS[-1]}, 8.0" in said
    assert "10.0\N{NO-BREAK SPACE}% more than the steps earn one by one" in said
    assert "Neither" not in said
    assert all(list(table.index) == list(STEPS) for table in words.steps_columns(study).values())


def test_the_scatter_of_all_runs_makes_the_intervals() -> None:
    study = planted(together=0.1, noise=0.02)
    # The difference of two means over three seeds, and a factor for 34 degrees of freedom.
    assert study.half == pytest.approx(2.03 * 0.02 * np.sqrt(2 / 3), rel=0.3)
    assert "Neither alone nor missing is anything seen of: Muon" in words.steps_said(study)


def test_the_experiment_changes_one_step_a_part() -> None:
    declared = load_experiment("recipe_steps")
    runs = expand(declared, "paper")
    n_seeds = len(declared.profiles["paper"].seeds)
    configs = [run.config for run in runs[::n_seeds]]
    whole, *without = configs[: 1 + len(STEPS)]
    first, *alone = configs[1 + len(STEPS) :]
    assert len(without) == len(alone) == len(STEPS)

    def differing(one: object, other: object) -> set[str]:
        flat = [pd.json_normalize(config.model_dump()).iloc[0] for config in (one, other)]  # type: ignore[attr-defined]
        return {str(name) for name in flat[0].index if flat[0][name] != flat[1][name]}

    moved = differing(whole, first)
    for missing, added in zip(without, alone, strict=True):
        assert differing(whole, missing) <= moved
        assert differing(first, added) <= moved
    # Between them the steps are all that the two recipes differ by.
    assert set().union(*(differing(whole, missing) for missing in without)) == moved
