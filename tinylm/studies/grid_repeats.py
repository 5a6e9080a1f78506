"""What it costs runs of the grid to read less text more often, to the same number of tokens."""

import numpy as np
import pandas as pd

from tinylm.store import Store
from tinylm.studies.grid import runs_of_grid
from tinylm.sweeps.declare import expand, load_experiment


def repetition_costs(store: Store) -> pd.DataFrame:
    """The runs of `grid_repeats` beside those of `grid` that differ in nothing but the text: see
    `costs_of`.

    Raises:
        Missing: a run has no record.
    """
    fewer = expand(load_experiment("grid_repeats"), store.profile)
    alike = {(run.config.model.d_model, run.config.tokens) for run in fewer}
    whole = [
        run
        for run in expand(load_experiment("grid"), store.profile)
        if (run.config.model.d_model, run.config.tokens) in alike
    ]
    return costs_of(*(runs_of_grid(store.load(runs)) for runs in (whole, fewer)))


def costs_of(whole: pd.DataFrame, fewer: pd.DataFrame) -> pd.DataFrame:
    """What reading less text more often adds to the log loss, seed by seed: N, d_model, epochs,
    before (epochs of the runs with the whole text), cost, and its standard error.
    """
    pairs = fewer.merge(whole, on=["d_model", "asked", "seed"], suffixes=("", "_whole"))
    pairs = pairs.assign(
        epochs=pairs["tokens"] / pairs["unique_tokens"],
        before=pairs["tokens_whole"] / pairs["unique_tokens_whole"],
        cost=np.log(pairs["loss"] / pairs["loss_whole"]),
    )
    by_text = pairs.groupby(["d_model", "unique_tokens"], sort=True)
    found = by_text.agg(
        N=("N", "first"),
        epochs=("epochs", "mean"),
        before=("before", "mean"),
        error=("cost", "sem"),
        cost=("cost", "mean"),
    )
    return found.reset_index().sort_values(["N", "epochs"], ignore_index=True)
