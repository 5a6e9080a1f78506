"""Which size is best for a compute budget: three approaches on the same runs.

N counts the output layer and C is 6·N·D with it, as in Hoffmann et al. 2022. At these sizes that is
most of the arithmetic; without the output layer neither is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tinylm.errors import BadInput
from tinylm.laws import (
    FrontierWithIntervals,
    LearningCurve,
    SurfaceWithIntervals,
    bootstrap_envelope,
    bootstrap_isoflops,
    bootstrap_surface,
)
from tinylm.laws.scatter import interval, intervals
from tinylm.laws.solver import Array
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.floor import known_floor
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

EDGE = 0.1  # of the envelope's range, cut off where too few sizes compete
N_RESAMPLES = 1000
FLOOR_DIGITS = 9  # decimals of the floor that the finding is kept under
ENVELOPE, PARABOLAS = "1: envelope of the curves", "2: isoFLOP parabolas"
SURFACE, SURFACE_KNOWN = "3: surface, E fitted", "3: surface, E known"
CODE = ("tinylm.studies.compute", "tinylm.laws.scatter", "tinylm.laws.solver")
SURFACE_CODE = (*CODE, "tinylm.laws.forms", "tinylm.laws.surface")


@dataclass(frozen=True)
class Approach:
    """What one approach says of the best size: the power law through a frontier's best sizes, or
    those of a surface (Hoffmann et al. 2022, approach 3).
    """

    name: str
    fit: FrontierWithIntervals | SurfaceWithIntervals

    @property
    def exponent(self) -> float:
        """a of N ∝ C^a."""
        if isinstance(self.fit, SurfaceWithIntervals):
            return self.fit.surface.size_exponent
        return self.fit.frontier.exponent

    @property
    def exponent_interval(self) -> tuple[float, float]:
        """95% interval of a."""
        if isinstance(self.fit, SurfaceWithIntervals):
            return self.fit.interval("size_exponent")
        return self.fit.exponent_interval

    def size(self, flops: ArrayLike) -> Array:
        """Best N at each budget: (k,)."""
        budgets = np.atleast_1d(np.asarray(flops, dtype=float))
        if isinstance(self.fit, SurfaceWithIntervals):
            return np.array([self.fit.surface.optimal(float(budget)).N for budget in budgets])
        return self.fit.frontier.optimal_size(budgets)

    def size_interval(self, flops: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the best N at each budget: low and high, each (k,)."""
        budgets = np.atleast_1d(np.asarray(flops, dtype=float))
        if isinstance(self.fit, SurfaceWithIntervals):
            return intervals(self.fit.optimal_resamples(budgets)[0])
        return self.fit.size_interval(budgets)


@dataclass(frozen=True)
class ComputeStudy:
    """The runs of `isoflops` and what the approaches make of them."""

    store: Store
    records: list[RunRecord]
    runs: pd.DataFrame  # a row a finished run: n, tokens, flops, flops_exact, seed, nats, budget
    floor: float  # true entropy, nats per token
    known: SurfaceWithIntervals  # E at the floor
    free: SurfaceWithIntervals
    parabolas: FrontierWithIntervals
    envelope: FrontierWithIntervals | None  # None: too few sizes, or one that wins everywhere
    race: pd.DataFrame  # each approach without the largest budget, on the best size there

    @property
    def budgets(self) -> Array:
        """Training FLOPs of each budget, rising."""
        return np.sort(self.runs["budget"].unique())

    @property
    def approaches(self) -> list[Approach]:
        """All that could be followed, in the order of their names."""
        return _approaches(self.envelope, self.parabolas, self.free, self.known)


def _approaches(
    envelope: FrontierWithIntervals | None,
    parabolas: FrontierWithIntervals,
    free: SurfaceWithIntervals,
    known: SurfaceWithIntervals,
) -> list[Approach]:
    fits = {ENVELOPE: envelope, PARABOLAS: parabolas, SURFACE: free, SURFACE_KNOWN: known}
    return [Approach(name, fit) for name, fit in fits.items() if fit is not None]


def compute_study(store: Store) -> ComputeStudy:
    """The runs, all of which must have records, and every approach to their best sizes.

    The approaches take minutes and are a finding.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: the profile has no such runs, or too few ended for a law.
    """
    declared = load_experiment("isoflops")
    records = store.load(expand(declared, store.profile))
    grids = declared.profiles[store.profile].grids
    runs = budget_table(records, np.array([part.flops for part in grids], dtype=float))
    floor = known_floor(store, "fables", records[0].config.data.tokenizer).nats
    found = finding(
        store,
        "isoflops",
        records,
        (*SURFACE_CODE, "tinylm.laws.optimal"),
        lambda: {**follow(records, runs, floor), "race": _race(records, runs, floor)},
        resamples=N_RESAMPLES,
        floor=round(floor, FLOOR_DIGITS),
    )
    return ComputeStudy(store=store, records=records, runs=runs, floor=floor, **found)


def budget_table(records: Sequence[RunRecord], budgets: Array) -> pd.DataFrame:
    """A row a finished run: n with the output layer, its flops by 6·N·D, and the budget (k,) that
    is nearest to these.
    """
    table = to_table(records)
    done = table[table["status"] == "done"].rename(columns={"n_with_output": "n"})
    flops = 6.0 * done["n"] * done["tokens"]
    nearest = np.abs(np.log(flops.to_numpy()[:, None] / budgets)).argmin(axis=1)
    return done.assign(flops=flops, budget=budgets[nearest])


def follow(records: Sequence[RunRecord], runs: pd.DataFrame, floor: float) -> dict[str, Any]:
    """Every approach on some runs: envelope, parabolas, free, known."""
    points = runs["n"], runs["tokens"], runs["seed"], runs["nats"]
    kept = set(runs["run_id"])
    curves = learning_curves_of([record for record in records if record.run_id in kept])
    return {
        "envelope": _envelope(curves),
        "parabolas": bootstrap_isoflops(*points, n_resamples=N_RESAMPLES),
        "free": bootstrap_surface(*points, n_resamples=N_RESAMPLES),
        "known": bootstrap_surface(*points, floor=floor, n_resamples=N_RESAMPLES),
    }


def _envelope(curves: Sequence[LearningCurve]) -> FrontierWithIntervals | None:
    """None where these curves have no envelope, which the chapter then says."""
    try:
        return bootstrap_envelope(curves, edge=EDGE, n_resamples=N_RESAMPLES)
    except BadInput:  # too few sizes, or one that wins everywhere
        return None


def learning_curves_of(records: Sequence[RunRecord]) -> list[LearningCurve]:
    """Curves of the longest run of each size, a curve a seed. Their learning rate has come down at
    the end only, so that every point is above what a run of that length would reach.

    All points are on the same few validation documents. Runs end with one on all documents, which
    are harder or easier than those: it is not on the curve.
    """
    done = [record for record in records if record.validation is not None]
    longest: dict[int, int] = {}
    for record in done:
        n = record.parameters.with_output
        longest[n] = max(longest.get(n, 0), record.tokens)
    fewest = min((p.validation_documents for one in done for p in one.curve), default=0)
    curves = []
    for record in done:
        n = record.parameters.with_output
        points = [point for point in record.curve if point.validation_documents == fewest]
        if record.tokens == longest[n]:
            tokens = np.array([point.tokens for point in points], dtype=float)
            losses = np.array([point.validation_nats for point in points])
            curves.append(LearningCurve(float(n), tokens, losses))
    return curves


def _race(records: Sequence[RunRecord], runs: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Every approach on the runs without the largest budget: approach, the best N that it expects
    there (size, low, high), and the loss where it names one (loss, loss_low, loss_high). Empty for
    fewer than 3 budgets.
    """
    last = float(runs["budget"].max())
    smaller = runs[runs["budget"] < last]
    if smaller["budget"].nunique() < 2:
        return pd.DataFrame()
    rows = []
    for one in _approaches(**follow(records, smaller, floor)):
        (size,), ((low,), (high,)) = one.size(last), one.size_interval(last)
        row = {"approach": one.name, "size": size, "low": low, "high": high}
        if isinstance(one.fit, SurfaceWithIntervals):
            row["loss"] = one.fit.surface.optimal(last).loss
            row["loss_low"], row["loss_high"] = interval(one.fit.optimal_resamples(last)[2])
        rows.append(row)
    return pd.DataFrame(rows)


def surface_of_cuts(store: Store) -> tuple[pd.DataFrame, SurfaceWithIntervals]:
    """A surface through the cuts on natural text: the runs of `model_size`, and those of
    `data_epochs` that read no token twice. The runs have the columns n, tokens, seed, nats, flops.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: the profile has no such runs, or too few for a surface.
    """
    names = ("model_size", "data_epochs")
    every = [store.load(expand(load_experiment(name), store.profile)) for name in names]
    records = list({record.run_id: record for part in every for record in part}.values())
    table = to_table(records).rename(columns={"n_with_output": "n"})
    once = (table["status"] == "done") & (table["tokens"] <= table["unique_tokens"])
    runs = table[once].assign(flops=6.0 * table["n"] * table["tokens"])
    points = runs["n"], runs["tokens"], runs["seed"], runs["nats"]
    fit = finding(
        store,
        "surface_of_cuts",
        records,
        SURFACE_CODE,
        lambda: bootstrap_surface(*points, n_resamples=N_RESAMPLES),
        resamples=N_RESAMPLES,
    )
    return runs, fit


def pareto(runs: pd.DataFrame) -> pd.DataFrame:
    """The settings that no cheaper one beats: flops_exact, nats (mean over seeds), rising."""
    means = runs.groupby(["n", "tokens"])[["flops_exact", "nats"]].mean().reset_index()
    means = means.sort_values("flops_exact", ignore_index=True)
    return means[means["nats"] < means["nats"].cummin().shift(fill_value=np.inf)]
