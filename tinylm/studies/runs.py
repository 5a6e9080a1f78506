"""The runs of an experiment as a table: what every chapter begins with."""

import pandas as pd

from tinylm.records import to_table
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment


def load_runs(experiment: str, profile: str = "paper") -> pd.DataFrame:
    """A row for each run of an experiment that did not diverge, with the columns of
    `tinylm.records.to_table` and the field's short names: N (non-embedding parameters), D (training
    tokens), C (exact training FLOPs), loss (nats per token).

    Raises:
        Missing: a run has no record yet.
        BadInput: unknown experiment or profile.
    """
    runs = expand(load_experiment(experiment), profile)
    table = to_table(Store(profile).load(runs))
    done = table[table["status"] == "done"].reset_index(drop=True)
    return done.assign(
        N=done["n_non_embedding"], D=done["tokens"], C=done["flops_exact"], loss=done["nats"]
    )
