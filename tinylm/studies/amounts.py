"""What more text is worth to each size of the grid: cuts along D, and where each of them ends."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from tinylm.laws import PowerLawWithIntervals, bootstrap_power_law, local_exponents
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.grid import GridStudy, grid_study

N_RESAMPLES = 500
MIN_AMOUNTS = 4  # of a size, for a law with three constants
CODE = (
    "tinylm.studies.amounts",
    "tinylm.laws.power",
    "tinylm.laws.scatter",
    "tinylm.laws.solver",
)


@dataclass(frozen=True)
class AmountsStudy:
    """The grid, cut along D at every size."""

    grid: GridStudy
    # A row a size that read MIN_AMOUNTS or more, of L = E + B/D^β from `grid.since` on: N, E, beta
    # (each with _low and _high), misfit, and `end`, where the law of the whole grid ends for it.
    cuts: pd.DataFrame
    largest_pure: PowerLawWithIntervals  # the law without a floor of the largest of these

    @property
    def slopes(self) -> pd.DataFrame:
        """-d log L / d log D between neighbouring amounts: a row a size, a column a D between."""
        by_size = {
            n: local_exponents(runs["asked"], runs["seed"], runs["loss"]).set_index("x")["exponent"]
            for n, runs in self.grid.runs.groupby("N")
        }
        return pd.DataFrame(by_size).T.rename_axis("N")


def amounts_study(store: Store) -> AmountsStudy:
    """The cuts, which are a finding.

    Raises:
        TinyLMError: as `grid_study`.
    """
    grid = grid_study(store)
    fitted = grid.fitted
    found = finding(
        store,
        "amounts",
        grid.records,
        CODE,
        lambda: laws_in_text(fitted),
        resamples=N_RESAMPLES,
        since=grid.since,
    )
    ends = [float(grid.best.surface.loss(n, float("inf"))) for n in found["cuts"]["N"]]
    return AmountsStudy(grid, found["cuts"].assign(end=ends), found["largest_pure"])


def laws_in_text(runs: pd.DataFrame) -> dict[str, Any]:
    """The fields of an AmountsStudy that are computed."""
    enough = runs[runs.groupby("N")["asked"].transform("nunique") >= MIN_AMOUNTS]
    return {"cuts": cuts_of(enough), "largest_pure": pure_of_largest(enough)}


def cuts_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The law in D of each size: N, misfit, and E and beta, each with _low and _high."""
    rows = []
    for n, some in runs.groupby("N"):
        fit = bootstrap_power_law(some["D"], some["seed"], some["loss"], n_resamples=N_RESAMPLES)
        row = {"N": n, "misfit": fit.misfit, "E": fit.law.E, "beta": fit.law.alpha}
        for name, (low, high) in (("E", fit.E_interval), ("beta", fit.alpha_interval)):
            row |= {f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def pure_of_largest(runs: pd.DataFrame) -> PowerLawWithIntervals:
    """L = B/D^β of the largest size."""
    some = runs[runs["N"] == runs["N"].max()]
    return bootstrap_power_law(some["D"], some["seed"], some["loss"], 0.0, n_resamples=N_RESAMPLES)
