"""What the recipe costs against the best rates, batch and decay, at any size and amount of text.

In the runs of the experiment `recipe` one factor at a time is moved away from a first guess of the
rule. For each factor the log loss is a parabola in the log of its value over the guess, whose slope
is linear in log N and log D and whose curvature is the same everywhere: one regression over all
sizes and amounts, in which seeds' noise at one of them moves little. It is Huber's, since now and
then a run comes to induction and its neighbours do not. The recipe was then put where that says.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.errors import BadInput
from tinylm.laws.scatter import interval, intervals
from tinylm.store import Store
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.sweeps.recipe import MEASURED_AT, recipe

Floats = NDArray[np.float64]
Centre = Callable[[float, float, int], dict[str, float]]  # values at N, tokens and context
# Each factor's column, and what it is called. How far a value is from the guess is counted in
# doublings, or for the decay, which may be none, in roots: none is one below, four times one above.
FACTORS = {
    "batch_tokens": "batch",
    "learning_rate": "AdamW's rate",
    "matrix_learning_rate": "Muon's rate",
    "weight_decay": "decay",
}
# The guess: the value at a million tokens, and the power of D with which it goes.
GUESS = {
    "batch_tokens": (1024, 1 / 2),
    "learning_rate": (0.02, -1 / 4),
    "matrix_learning_rate": (0.02, -1 / 6),
    "weight_decay": (0.05, -1 / 2),
}
EDGE = 1.0  # how far from the guess was swept
N_DRAWS = 4000
HUBER, STEPS_OF_HUBER = 1.345, 50  # Huber's constant, in standard deviations; reweighted so often
NORMAL_MEDIAN = 1.4826  # standard deviation over median absolute deviation, of normal noise
FLATTEST = 1e-4  # curvature (of log loss by a doubling squared) below which there is no optimum


@dataclass(frozen=True)
class RecipeFit:
    """The regression: each factor's slope and curvature at the guess as functions of N and D."""

    coefficients: Floats  # (n_factors, 4): slope, its change with log N and log D; curvature
    draws: Floats  # (n_draws, n_factors, 4): as sure as the runs make them
    middle: float  # log N that log N is taken from
    noise: float  # standard deviation of most runs' log loss about the parabolas
    far_off: int  # runs more than 3 of these off, which count less

    def _parabolas(self, n: float, d: float, coefficients: Floats) -> tuple[Floats, Floats]:
        """Slope and curvature of each factor at N and D: (..., n_factors) each."""
        place = np.array([1.0, np.log(n) - self.middle, np.log(d / MEASURED_AT)])
        return coefficients[..., :3] @ place, np.maximum(coefficients[..., 3], FLATTEST)

    def best(self, n: float, d: float) -> tuple[Floats, Floats, Floats]:
        """How far each factor's best value is from the guess, and its 95% interval: (n_factors)
        each.
        """
        low, high = intervals(self._lowest(n, d, self.draws))
        return self._lowest(n, d, self.coefficients), low, high

    def powers(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[Floats, ...]:
        """By what power of N (or of D) each factor's best value moves from one (N, D) to another,
        beyond the guess's own, and 95% intervals. For the decay, of its root.
        """
        ratio = np.log(end[0] * end[1] / (start[0] * start[1]))
        found = [
            np.log(2) * (self._lowest(*end, some) - self._lowest(*start, some)) / ratio
            for some in (self.coefficients, self.draws)
        ]
        return found[0], *intervals(found[1])

    def _lowest(self, n: float, d: float, coefficients: Floats) -> Floats:
        slope, curvature = self._parabolas(n, d, coefficients)
        found: Floats = -slope / (2 * curvature)
        return found

    def along(self, n: float, d: float, factor: str, off: Floats) -> Floats:
        """Log loss over that of the guess at N and D, where a factor is `off` so far from it."""
        slope, curvature = self._parabolas(n, d, self.coefficients)
        place = list(FACTORS).index(factor)
        found: Floats = slope[place] * off + curvature[place] * off**2
        return found

    def cost(
        self, n: float, d: float, context_length: int = 256
    ) -> tuple[Floats, tuple[float, float]]:
        """What the recipe costs at N and D against the best values among those tried, as a share
        of the loss: by each factor, and a 95% interval of the sum.
        """
        at = recipe_off(n, d, context_length)
        drawn = self._cost(n, d, at, self.draws).sum(axis=1)
        return self._cost(n, d, at, self.coefficients), interval(drawn)

    def _cost(self, n: float, d: float, at: Floats, coefficients: Floats) -> Floats:
        slope, curvature = self._parabolas(n, d, coefficients)
        lowest = np.clip(self._lowest(n, d, coefficients), np.minimum(at, -EDGE), EDGE)
        found: Floats = slope * at + curvature * at**2 - slope * lowest - curvature * lowest**2
        return found


def guess(tokens: float, context_length: int) -> dict[str, float]:
    """The values about which was swept: the batch in whole rows, rates to two digits."""
    x = tokens / MEASURED_AT
    found = {factor: value * x**power for factor, (value, power) in GUESS.items()}
    rows = max(1, round(found["batch_tokens"] / context_length))
    rounded = {factor: float(f"{value:.2g}") for factor, value in found.items()}
    return rounded | {"batch_tokens": rows * context_length}


def guess_at(_: float, tokens: float, context_length: int) -> dict[str, float]:
    """The guess, which is the same for every N."""
    return guess(tokens, context_length)


def recipe_off(n: float, tokens: float, context_length: int) -> Floats:
    """How far the recipe is from the guess: (n_factors)."""
    values, centre = recipe_values(n, tokens, context_length), guess(tokens, context_length)
    return np.array([off_by(factor, values[factor], centre[factor]) for factor in FACTORS])


def recipe_values(n: float, tokens: float, context_length: int) -> dict[str, float]:
    """What the recipe gives each factor."""
    rule = recipe(n, round(tokens), context_length)
    values = {**rule["optimizer"], **rule}
    return {factor: float(values[factor]) for factor in FACTORS}


def off_by(factor: str, value: float, centre: float) -> float:
    """How far a factor's value is from another, in doublings, or for the decay in roots."""
    ratio = value / centre
    return float(np.sqrt(ratio) - 1 if factor == "weight_decay" else np.log2(ratio))


@dataclass(frozen=True)
class RecipeStudy:
    """The runs of `recipe`, how far each is from the guess, and the regression."""

    runs: pd.DataFrame  # to_table's, and a column `off_<factor>` each
    fit: RecipeFit

    @property
    def cells(self) -> pd.DataFrame:
        """A row a size and amount of text: d_model, N, D, and for each factor how far its best
        value is from the guess (best_, low_, high_) and what that costs (cost_), in all (cost,
        cost_low, cost_high), in per cent of the loss.
        """
        rows = []
        keys = ["d_model", "n_non_embedding", "asked"]
        for width, n, d in self.runs[keys].drop_duplicates().sort_values(keys).to_numpy():
            best, low, high = self.fit.best(n, d)
            cost, (cost_low, cost_high) = self.fit.cost(n, d)
            row = {"d_model": int(width), "N": n, "D": d}
            for place, factor in enumerate(FACTORS):
                row |= {f"best_{factor}": best[place], f"low_{factor}": low[place]}
                row |= {f"high_{factor}": high[place], f"cost_{factor}": 100 * cost[place]}
            row |= {"cost": 100 * cost.sum()}
            row |= {"cost_low": 100 * cost_low, "cost_high": 100 * cost_high}
            rows.append(row)
        return pd.DataFrame(rows)


def recipe_study(store: Store) -> RecipeStudy:
    """The runs, all of which must have records, and the regression.

    Raises:
        Missing: a run has no record.
        BadInput: the profile has no such runs, or one of them diverged.
    """
    runs = swept(store, "recipe", guess_at)
    return RecipeStudy(runs, fit_recipe(runs))


def swept(store: Store, experiment: str, centre: Centre) -> pd.DataFrame:
    """The runs of an experiment, with the tokens that they asked for, and how far each is from a
    centre; raises as `recipe_study`.
    """
    records = store.load(expand(load_experiment(experiment), store.profile))
    asked = [record.config.tokens for record in records]
    return add_distances(to_table(records).assign(asked=asked), centre)


def add_distances(runs: pd.DataFrame, centre: Centre) -> pd.DataFrame:
    """How far each factor of each run is from what a rule gives at its N, tokens and context, in
    columns `off_<factor>`.
    """
    where = zip(runs["n_non_embedding"], runs["asked"], runs["context_length"], strict=True)
    centres = [centre(float(n), float(tokens), int(length)) for n, tokens, length in where]
    found = runs.copy()
    for factor in FACTORS:
        pairs = zip(runs[factor], centres, strict=True)
        found[f"off_{factor}"] = [off_by(factor, float(own), one[factor]) for own, one in pairs]
    return found


def fit_recipe(runs: pd.DataFrame, rng_seed: int = 0) -> RecipeFit:
    """The regression through runs with the columns of `add_distances`.

    Raises:
        BadInput: a run that diverged, or too few runs.
    """
    if runs["nats"].isna().any():
        raise BadInput("a run of the recipe's sweep diverged; its loss is no parabola")
    cells = runs.groupby(["n_non_embedding", "asked"]).ngroup().to_numpy()
    intercepts = np.eye(cells.max() + 1)[cells]
    sizes = np.log(runs["n_non_embedding"].to_numpy(float))
    texts = np.log(runs["asked"].to_numpy(float) / MEASURED_AT)
    place = np.column_stack([np.ones(len(runs)), sizes - sizes.mean(), texts])
    columns = []
    for factor in FACTORS:
        off = runs[f"off_{factor}"].to_numpy(float)[:, None]
        columns += [off * place, off**2]
    design = np.column_stack([intercepts, *columns])
    target = np.log(runs["nats"].to_numpy(float))
    freedom = len(runs) - design.shape[1]
    if freedom < 1:
        raise BadInput(f"{len(runs)} runs; expected more than {design.shape[1]} for the regression")
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise BadInput(
            "the runs do not move every value at several N and D; the regression needs it"
        )
    weight = np.ones(len(runs))
    for _ in range(STEPS_OF_HUBER):
        root = np.sqrt(weight)
        solved, *_ = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)
        off = target - design @ solved
        noise = float(NORMAL_MEDIAN * np.median(np.abs(off)) * np.sqrt(len(runs) / freedom))
        weight = np.minimum(1.0, HUBER * noise / np.maximum(np.abs(off), 1e-12))
    spread = noise**2 * np.linalg.inv((design * weight[:, None]).T @ design)
    rng = np.random.default_rng(rng_seed)
    # By Cholesky's factor, which is unique: singular vectors may turn from processor to processor.
    normal = rng.standard_normal((N_DRAWS, len(solved))) @ np.linalg.cholesky(spread).T
    drawn = solved + normal * np.sqrt(freedom / rng.chisquare(freedom, size=(N_DRAWS, 1)))
    first, shape = intercepts.shape[1], (len(FACTORS), 4)
    return RecipeFit(
        coefficients=solved[first:].reshape(shape),
        draws=drawn[:, first:].reshape(-1, *shape),
        middle=float(sizes.mean()),
        noise=noise,
        far_off=int((np.abs(off) > 3 * noise).sum()),
    )
