"""The runs of an experiment as a table: what every chapter begins with."""

from collections.abc import Iterable

import pandas as pd

from tinylm.records import RunRecord, to_table
from tinylm.say import NO_BREAK, NO_BREAK_HYPHEN
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
    return short_names(to_table(Store(profile).load(runs)))


def short_names(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that did not diverge, and the columns N, D, C and loss beside the others."""
    done = table[table["status"] == "done"].reset_index(drop=True)
    return done.assign(
        N=done["n_non_embedding"], D=done["tokens"], C=done["flops_exact"], loss=done["nats"]
    )


def runs_page_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Where and when each run was made, and what it took, as the results page shows it."""
    runs = to_table(records)
    return pd.DataFrame(
        {
            "run": [f"`{run_id}`" for run_id in runs["run_id"]],
            "corpus": [name.replace("-", NO_BREAK_HYPHEN) for name in runs["corpus"]],
            "D": [f"{tokens:,}" for tokens in runs["tokens"]],
            "d_model": runs["d_model"],
            "context": runs["context_length"],
            "rate": [f"{rate:g}" for rate in runs["learning_rate"]],
            "seed": runs["seed"],
            "status": runs["status"],
            "nats": [f"{nats:.4f}" for nats in runs["nats"]],
            f"CPU{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["cpu_seconds"]],
            f"clock{NO_BREAK}s": [f"{seconds:,.0f}" for seconds in runs["wall_seconds"]],
            "commit": runs["commit"],
            "tree": runs["clean"].map({True: "clean", False: "changed"}).fillna("unknown"),
            "date": [date.replace("-", NO_BREAK_HYPHEN) for date in runs["date"]],
            "where": [name.replace(" ", NO_BREAK) for name in made_on(runs)],
        }
    )


def made_on(runs: pd.DataFrame) -> list[str]:
    """What each run was trained on: the GPU's name, or the processor's."""
    return [
        row["processor"] if row["device"] == "cpu" else row["device"]
        for row in runs.to_dict("records")
    ]
