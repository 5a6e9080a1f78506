"""What it costs runs of the grid to read less text more often, to the same number of tokens."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from tinylm.laws.scatter import COVERAGE
from tinylm.store import Store
from tinylm.studies.grid import runs_of_grid
from tinylm.sweeps.declare import expand, load_experiment


def repetition_costs(store: Store) -> pd.DataFrame:
    """The runs of `grid_repeats`, as `costs_of` has them.

    Raises:
        Missing: a run has no record.
    """
    return costs_of(
        runs_of_grid(store.load(expand(load_experiment("grid_repeats"), store.profile)))
    )


def costs_of(runs: pd.DataFrame) -> pd.DataFrame:
    """What reading less text more often adds to the log loss, seed by seed, against the runs of the
    most text: N, d_model, epochs, before (their epochs), cost, and half its 95% interval. Seeds
    scatter alike about each difference, so that all of them say how wide it is.

    `runs` is a table of `runs_of_grid`, of one number of tokens.
    """
    whole = runs["unique_tokens"] == runs["unique_tokens"].max()
    pairs = runs[~whole].merge(runs[whole], on=["d_model", "seed"], suffixes=("", "_whole"))
    pairs = pairs.assign(
        epochs=pairs["tokens"] / pairs["unique_tokens"],
        before=pairs["tokens_whole"] / pairs["unique_tokens_whole"],
        cost=np.log(pairs["loss"] / pairs["loss_whole"]),
    )
    groups = pairs.groupby(["d_model", "unique_tokens"])
    free = len(pairs) - groups.ngroups
    spread = np.sqrt(((pairs["cost"] - groups["cost"].transform("mean")) ** 2).sum() / free)
    found = groups.agg(
        N=("N", "first"),
        epochs=("epochs", "mean"),
        before=("before", "mean"),
        cost=("cost", "mean"),
        half=("cost", "size"),
    )
    found["half"] = stdtrit(free, (1 + COVERAGE) / 2) * spread / np.sqrt(found["half"])
    ordered: pd.DataFrame = found.reset_index().sort_values(["N", "epochs"], ignore_index=True)
    return ordered
