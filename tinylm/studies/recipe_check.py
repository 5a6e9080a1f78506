"""What the recipe costs where nothing was swept: each of its values halved and doubled there.

At each place the log loss is a parabola in each value, as in `tinylm.studies.mistuning`. Their
slopes are the place's own, and so are their curvatures, since how much a value matters differs from
text to text. Three values tell a curvature badly, so each is held to those found there, times
1 ± 1, and to LEAST_SHARPNESS of them or more.
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
    N_DRAWS,
    RecipeFit,
    recipe_study,
    recipe_values,
    swept,
)
from tinylm.studies.shown import shown_profile

PLACE = ["corpus", "n_layers", "d_model", "n_non_embedding", "asked"]
LEAST_SHARPNESS = 0.5  # less is taken for noise
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RecipeCheck:
    """The runs of `recipe_check`, and what the recipe costs at each of their places."""

    runs: pd.DataFrame  # to_table's, and a column `off_<factor>` each, from the recipe
    # A row a place: corpus, n_layers, d_model, n_non_embedding, asked; for each factor how far its
    # best value is from the recipe's (best_) and what that costs (cost_); in all cost, cost_low
    # and cost_high; costs in per cent of the loss. And scatter, the standard deviation of the log
    # losses about all that.
    places: pd.DataFrame
    noise: float  # standard deviation of a run's log loss


def recipe_check(store: Store) -> RecipeCheck:
    """The runs, all of which must have records, as must those of `recipe` in the same profile, or
    the published ones.

    Raises:
        Missing: a run has no record.
        BadInput: the profile has no such runs, or one of them diverged.
    """
    runs = swept(store, "recipe_check", recipe_values)
    fit = recipe_study(Store(shown_profile("recipe", store.profile))).fit
    return RecipeCheck(runs, costs(runs, fit), fit.noise)


def costs(runs: pd.DataFrame, fit: RecipeFit, rng_seed: int = 0) -> pd.DataFrame:
    """The rows of `RecipeCheck.places`, from runs with the columns of `add_distances`.

    Raises:
        BadInput: a run that diverged, or a place at which a value was not moved to both sides.
    """
    if runs["nats"].isna().any():
        raise BadInput("a run of the recipe's check diverged; its loss is no parabola")
    rng, rows = np.random.default_rng(rng_seed), []
    usual = np.maximum(fit.coefficients[:, 3], FLATTEST)
    for place, here in runs.groupby(PLACE, sort=False):
        solved, spread, scatter = _parabolas(here, usual, fit.noise)
        normal = rng.standard_normal((N_DRAWS, len(solved)))
        drawn = solved + fit.noise * normal @ np.linalg.cholesky(spread).T
        each, best = _cost(solved[None], usual)
        low, high = interval(_cost(drawn, usual)[0].sum(axis=1))
        row = dict(zip(PLACE, place, strict=True))
        for at, factor in enumerate(FACTORS):
            row |= {f"best_{factor}": best[0, at], f"cost_{factor}": 100 * each[0, at]}
        row |= {"cost": 100 * each.sum(), "cost_low": 100 * low, "cost_high": 100 * high}
        rows.append(row | {"scatter": scatter})
    return pd.DataFrame(rows)


def _parabolas(here: pd.DataFrame, usual: Floats, noise: float) -> tuple[Floats, Floats, float]:
    """Least squares at one place: the slopes of the factors, and by what their curvatures are
    larger than usual, of which 1 ± 1 is known before; their covariance for a noise of one; and the
    standard deviation of the runs about it.
    """
    off = here[[f"off_{factor}" for factor in FACTORS]].to_numpy(float)
    for at, name in enumerate(FACTORS.values()):
        if off[:, at].min() > -0.9 * EDGE or off[:, at].max() < 0.9 * EDGE:
            raise BadInput(
                f"{name} was not halved and doubled at width {here['d_model'].iloc[0]}; the check "
                f"needs both"
            )
    seeds = pd.get_dummies(here["seed"]).to_numpy(float)
    design = np.column_stack([seeds, off, off**2 * usual])
    losses = np.log(here["nats"].to_numpy(float))
    n, k, first = len(usual), design.shape[1], seeds.shape[1]
    before = noise * np.eye(k)[-n:]
    held = np.vstack([design, before])
    solved, *_ = np.linalg.lstsq(held, np.append(losses, np.full(n, noise)), rcond=None)
    squares = float(((losses - design @ solved) ** 2).sum())
    scatter = float(np.sqrt(squares / max(1, len(losses) - first - n)))
    return solved[first:], np.linalg.inv(held.T @ held)[first:, first:], scatter


def _cost(found: Floats, usual: Floats) -> tuple[Floats, Floats]:
    """By each factor: log loss at the centre over that of the lowest point within EDGE of it, and
    where the lowest point is; `found` as `_parabolas`, (..., 8).
    """
    slope, sharpness = np.split(found, 2, axis=1)
    curvature = np.maximum(sharpness, LEAST_SHARPNESS) * usual
    best = -slope / (2 * curvature)
    lowest = np.clip(best, -EDGE, EDGE)
    return -slope * lowest - curvature * lowest**2, best


def named(places: pd.DataFrame) -> list[str]:
    """'fables, width 96, 1M tokens' of each row."""
    told = []
    for row in places.to_dict("records"):
        deep = f", {row['n_layers']} layers" if row["n_layers"] != 2 else ""
        told.append(
            f"{row['corpus']}, width {row['d_model']}{deep}, {say.short(row['asked'])} tokens"
        )
    return told
