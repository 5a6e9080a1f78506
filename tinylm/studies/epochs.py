"""Unique tokens and epochs at one model size: what more text is worth, and what the same again."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinylm.laws import (
    PowerLawWithIntervals,
    RepetitionWithIntervals,
    bootstrap_power_law,
    bootstrap_repetition,
)
from tinylm.records import RunRecord, to_table
from tinylm.store import Store
from tinylm.sweeps.declare import expand, load_experiment

N_RESAMPLES = 500
MOST_FITTED = 0.6  # of the most epochs: settings with more are held out once
MIN_SIZES = 4  # different tokens that a power law with a free floor needs


@dataclass(frozen=True)
class RepeatStudy:
    """The runs of `data_epochs`, and the laws through them."""

    profile: str
    records: list[RunRecord]
    runs: pd.DataFrame  # a row a finished run: unique_tokens, tokens, epochs, seed, nats, ...
    law: RepetitionWithIntervals  # of all runs
    fresh: PowerLawWithIntervals | None  # of those that read no token twice; None: too few
    held_out: pd.DataFrame  # settings of most epochs: by the law fitted without them, and measured

    @property
    def diverged(self) -> int:
        """Runs that are left out."""
        return len(self.records) - len(self.runs)


def repeat_study(profile: str) -> RepeatStudy:
    """The runs, all of which must have records, and their laws.

    Raises:
        TinyLMError: a run has no record, or too few have ended without diverging.
    """
    records = Store(profile).load(expand(load_experiment("data_epochs"), profile))
    table = to_table(records)
    runs = table[table["status"] == "done"]
    runs = runs.assign(epochs=runs["tokens"] / runs["unique_tokens"])
    once = runs[runs["epochs"] <= 1]
    return RepeatStudy(
        profile=profile,
        records=records,
        runs=runs,
        law=_law(runs),
        fresh=(
            bootstrap_power_law(once["tokens"], once["seed"], once["nats"])
            if once["tokens"].nunique() >= MIN_SIZES
            else None
        ),
        held_out=_held_out(runs),
    )


def _law(runs: pd.DataFrame) -> RepetitionWithIntervals:
    return bootstrap_repetition(
        runs["unique_tokens"], runs["tokens"], runs["seed"], runs["nats"], n_resamples=N_RESAMPLES
    )


def _held_out(runs: pd.DataFrame) -> pd.DataFrame:
    """For each setting of most epochs: unique_tokens, tokens, epochs, what the law says that was
    fitted without these (predicted, low, high: of its mean), and the runs' nats and std.
    """
    least = MOST_FITTED * runs["epochs"].max()
    fit = _law(runs[runs["epochs"] < least])
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
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return float(values[0]), float(low), float(high)
