"""What the recipe costs where nothing was swept: each of its values halved and doubled there.

Between half and twice a value the slope of the log loss is half the difference of two runs. With
the curvature that `tinylm.studies.mistuning` finds for that value everywhere, it says where the
lowest point is and how far the recipe lies above it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm import say
from tinylm.errors import BadInput
from tinylm.laws.scatter import interval
from tinylm.store import Store
from tinylm.studies.mistuning import (
    EDGE,
    FACTORS,
    FLATTEST,
    RecipeFit,
    add_distances,
    recipe_study,
    recipe_values,
)
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

PLACE = ["corpus", "n_layers", "d_model", "n_non_embedding", "asked"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RecipeCheck:
    """The runs of `recipe_check`, and what the recipe costs at each of their places."""

    runs: pd.DataFrame  # to_table's, and a column `off_<factor>` each, from the recipe
    # A row a place: corpus, n_layers, d_model, n_non_embedding, asked; for each factor how far its
    # best value is from the recipe's (best_) and what that costs (cost_); in all cost, cost_low
    # and cost_high; costs in per cent of the loss.
    places: pd.DataFrame
    noise: float  # standard deviation of a run's log loss


def recipe_check(store: Store) -> RecipeCheck:
    """The runs, all of which must have records, as must those of `recipe`.

    Raises:
        Missing: a run has no record.
        BadInput: the profile has no such runs, or one of them diverged.
    """
    declared = expand(load_experiment("recipe_check"), store.profile)
    table = to_table(store.load(declared)).set_index("run_id")
    asked = pd.Series({run.run_id: run.config.tokens for run in declared}, name="asked")
    runs = add_distances(table.join(asked).reset_index(), recipe_values)
    fit = recipe_study(store).fit
    return RecipeCheck(runs, costs(runs, fit), fit.noise)


def costs(runs: pd.DataFrame, fit: RecipeFit, rng_seed: int = 0) -> pd.DataFrame:
    """The rows of `RecipeCheck.places`, from runs with the columns of `add_distances`.

    Raises:
        BadInput: a run that diverged, or a place at which a value was not moved to both sides.
    """
    if runs["nats"].isna().any():
        raise BadInput("a run of the recipe's check diverged; its loss is no parabola")
    rng, rows = np.random.default_rng(rng_seed), []
    curvature = np.maximum(fit.coefficients[:, 3], FLATTEST)
    drawn_curvature = np.maximum(fit.draws[:, :, 3], FLATTEST)
    for place, here in runs.groupby(PLACE, sort=False):
        slope = np.array([_slope(here, factor) for factor in FACTORS])
        # Half the difference of two runs, each as noisy as most of the sweep.
        drawn = slope + fit.noise / np.sqrt(2) * rng.standard_normal(drawn_curvature.shape)
        each = _cost(slope, curvature)
        low, high = interval(_cost(drawn, drawn_curvature).sum(axis=1))
        row = dict(zip(PLACE, place, strict=True))
        for at, factor in enumerate(FACTORS):
            row |= {f"best_{factor}": -slope[at] / (2 * curvature[at])}
            row |= {f"cost_{factor}": 100 * each[at]}
        row |= {"cost": 100 * each.sum(), "cost_low": 100 * low, "cost_high": 100 * high}
        rows.append(row)
    return pd.DataFrame(rows)


def _slope(here: pd.DataFrame, factor: str) -> float:
    """Of log loss by how far a factor is from the recipe, between one below and one above."""
    off = here[f"off_{factor}"]
    below, above = (np.log(here["nats"][np.isclose(off, side)]) for side in (-EDGE, EDGE))
    if below.empty or above.empty:
        raise BadInput(
            f"{FACTORS[factor]} was not halved and doubled at width {here['d_model'].iloc[0]}; "
            f"the check needs both"
        )
    return float((above.mean() - below.mean()) / (2 * EDGE))


def _cost(slope: Floats, curvature: Floats) -> Floats:
    """Log loss at the centre over that of the lowest point within EDGE of it."""
    lowest = np.clip(-slope / (2 * curvature), -EDGE, EDGE)
    found: Floats = -slope * lowest - curvature * lowest**2
    return found


def named(places: pd.DataFrame) -> list[str]:
    """'fables, width 96, 1M tokens' of each row."""
    told = []
    for row in places.to_dict("records"):
        deep = f", {row['n_layers']} layers" if row["n_layers"] != 2 else ""
        told.append(
            f"{row['corpus']}, width {row['d_model']}{deep}, {say.short(row['asked'])} tokens"
        )
    return told
