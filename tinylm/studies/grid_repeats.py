"""What it costs runs of the grid to read less text more often, to the same number of tokens."""

import numpy as np
import pandas as pd

from tinylm.store import Store
from tinylm.studies.grid import runs_of_grid
from tinylm.studies.pooled import half_interval
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
    squares = float(((pairs["cost"] - groups["cost"].transform("mean")) ** 2).sum())
    n_seeds = len(pairs) / groups.ngroups
    found = groups.agg(
        N=("N", "first"),
        epochs=("epochs", "mean"),
        before=("before", "mean"),
        cost=("cost", "mean"),
    )
    found["half"] = half_interval(squares, len(pairs) - groups.ngroups, n_seeds)
    ordered: pd.DataFrame = found.reset_index().sort_values(["N", "epochs"], ignore_index=True)
    return ordered
