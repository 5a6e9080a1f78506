"""Unique tokens and epochs at one model size: what more text is worth, and what the same again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tinylm.laws import RepetitionWithIntervals, bootstrap_repetition
from tinylm.laws.scatter import interval
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

N_RESAMPLES = 500
MOST_FITTED = 0.6  # of the most epochs: settings with more are held out once
CODE = (
    "tinylm.studies.epochs",
    "tinylm.laws.repetition",
    "tinylm.laws.scatter",
    "tinylm.laws.solver",
)


@dataclass(frozen=True)
class RepeatStudy:
    """The runs of `data_epochs`, and the laws through them."""

    store: Store
    records: list[RunRecord]
    runs: pd.DataFrame  # a row a finished run: unique_tokens, tokens, epochs, seed, nats, ...
    law: RepetitionWithIntervals  # of all runs
    held_out: pd.DataFrame  # settings of most epochs: by the law fitted without them, and measured

    @property
    def diverged(self) -> int:
        """Runs that are left out."""
        return len(self.records) - len(self.runs)


def repeat_study(store: Store) -> RepeatStudy:
    """The runs, all of which must have records, and their laws, which are a finding.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: the profile has no such runs, or too few have ended without diverging.
    """
    records = store.load(expand(load_experiment("data_epochs"), store.profile))
    table = to_table(records)
    runs = table[table["status"] == "done"]
    runs = runs.assign(epochs=runs["tokens"] / runs["unique_tokens"])
    found = finding(
        store, "data_epochs", records, CODE, lambda: laws_of(runs), resamples=N_RESAMPLES
    )
    return RepeatStudy(store=store, records=records, runs=runs, **found)


def laws_of(runs: pd.DataFrame) -> dict[str, Any]:
    """The laws through the runs: the fields of RepeatStudy."""
    return {"law": _repetition(runs), "held_out": _held_out(runs)}


def _repetition(runs: pd.DataFrame) -> RepetitionWithIntervals:
    return bootstrap_repetition(
        runs["unique_tokens"], runs["tokens"], runs["seed"], runs["nats"], n_resamples=N_RESAMPLES
    )


def _held_out(runs: pd.DataFrame) -> pd.DataFrame:
    """For each setting of most epochs: unique_tokens, tokens, epochs, what the law says that was
    fitted without these (predicted, low, high: of its mean), and the runs' nats and std.
    """
    least = MOST_FITTED * runs["epochs"].max()
    fit = _repetition(runs[runs["epochs"] < least])
    by = ["unique_tokens", "tokens", "epochs"]
    last = runs[runs["epochs"] >= least].groupby(by)["nats"].agg(nats="mean", std="std")
    table = last.reset_index()
    low, high = fit.loss_interval(table["unique_tokens"], table["tokens"])
    predicted = fit.law.loss(table["unique_tokens"], table["tokens"])
    said: pd.DataFrame = table.assign(predicted=predicted, low=low, high=high)
    return said


def worth(law: RepetitionWithIntervals, epochs: float) -> tuple[float, float, float]:
    """What so many epochs are worth, in unique texts, with its 95% interval."""
    repeats = epochs - 1.0
    draws = np.append(law.law.R_star, law.resamples[:, 3])
    values = 1.0 - draws * np.expm1(-repeats / draws)
    return float(values[0]), *interval(values[1:])
