"""What each part of the recipe earns: alone, added to the first recipe, and missing from this."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinylm.store import Store
from tinylm.studies.pooled import half_interval
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

# The steps from the first recipe to this one, in the order of the experiment's parts.
STEPS = (
    "Muon for matrices",
    "constant rate, then a cool-down over half",
    "β₂ 0.99, clipping at 10",
    "squared ReLU",
    "shift",
    "induction head",
    "larger batches",
    "bf16",
)


@dataclass(frozen=True)
class StepsStudy:
    """The runs of `recipe_steps`: both recipes, and each step missing and alone."""

    runs: pd.DataFrame  # to_table's
    recipe: float  # mean log loss over seeds
    first: float
    # A row a step: step; earns, the log loss of the first recipe less that with the step added;
    # missed, that without the step less the recipe's.
    steps: pd.DataFrame
    half: float  # of the 95% interval of each of these differences

    @property
    def left_over(self) -> float:
        """What all steps together earn beyond the sum of what each earns alone, in log loss."""
        return self.first - self.recipe - float(self.steps["earns"].sum())


def steps_study(store: Store) -> StepsStudy:
    """The runs, all of which must have records.

    Raises:
        Missing: a run has no record.
    """
    table = to_table(store.load(expand(load_experiment("recipe_steps"), store.profile)))
    return StepsStudy(table, *earned(table))


def earned(runs: pd.DataFrame) -> tuple[float, float, pd.DataFrame, float]:
    """The fields of a StepsStudy, of runs in the order of the experiment: the recipe, without each
    step, the first recipe, with each step; all seeds of one after the other.

    Seeds shift all parts alike. What is left of the scatter is taken for that of every part, so
    that an interval rests on all runs and not on three.
    """
    losses = np.log(runs["nats"].to_numpy(float)).reshape(2 * (1 + len(STEPS)), -1)  # (part, seed)
    means = losses.mean(axis=1)
    noise = losses - means[:, None] - losses.mean(axis=0) + losses.mean()
    n_parts, n_seeds = losses.shape
    freedom = (n_parts - 1) * (n_seeds - 1)
    half = half_interval(float((noise**2).sum()), freedom, n_seeds / 2)  # of a difference of two
    whole, *without = means[: 1 + len(STEPS)]
    first, *alone = means[1 + len(STEPS) :]
    steps = pd.DataFrame(
        {
            "step": STEPS,
            "earns": first - np.array(alone),
            "missed": np.array(without) - whole,
        }
    )
    return float(whole), float(first), steps, half
