"""What each part of the recipe earns: alone, added to the first recipe, and missing from this."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinylm.store import Store
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
    recipe: float  # mean loss over seeds
    first: float
    # A row a step: step; earns, the first recipe's loss less that with the step added; missed, the
    # loss without the step less the recipe's; of each its standard error (_error) by pairs of runs
    # of one seed.
    steps: pd.DataFrame

    @property
    def left_over(self) -> float:
        """What all steps together earn beyond the sum of what each earns alone."""
        return self.first - self.recipe - float(self.steps["earns"].sum())


def steps_study(store: Store) -> StepsStudy:
    """The runs, all of which must have records.

    Raises:
        Missing: a run has no record.
    """
    table = to_table(store.load(expand(load_experiment("recipe_steps"), store.profile)))
    return StepsStudy(table, *earned(table))


def earned(runs: pd.DataFrame) -> tuple[float, float, pd.DataFrame]:
    """The fields of a StepsStudy, of runs in the order of the experiment: the recipe, without each
    step, the first recipe, with each step; all seeds of one after the other.
    """
    losses = runs["nats"].to_numpy(float).reshape(2 * (1 + len(STEPS)), -1)  # (part, seed)
    whole, *without = losses[: 1 + len(STEPS)]
    first, *alone = losses[1 + len(STEPS) :]
    rows = []
    for step, missing, added in zip(STEPS, without, alone, strict=True):
        row: dict[str, str | float] = {"step": step}
        for name, by_seed in (("earns", first - added), ("missed", missing - whole)):
            error = by_seed.std(ddof=1) / np.sqrt(len(by_seed))
            row |= {name: float(by_seed.mean()), f"{name}_error": float(error)}
        rows.append(row)
    return float(whole.mean()), float(first.mean()), pd.DataFrame(rows)
