"""Which size is best for a compute budget: three approaches on the same runs.

N counts the output layer and C is 6·N·D with it, as in Hoffmann et al. 2022. At these sizes that is
most of the arithmetic; without the output layer neither is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tinylm.batches import prepare
from tinylm.errors import TinyLMError
from tinylm.laws import (
    FrontierWithIntervals,
    LearningCurve,
    SurfaceWithIntervals,
    bootstrap_envelope,
    bootstrap_isoflops,
    bootstrap_surface,
)
from tinylm.laws.scatter import interval
from tinylm.laws.solver import Array
from tinylm.records import RunRecord, to_table
from tinylm.store import Store
from tinylm.studies.floor import token_floor
from tinylm.sweeps.declare import expand, load_experiment

EDGE = 0.1  # of the envelope's range, cut off where too few sizes compete
N_RESAMPLES = 1000
ENVELOPE, PARABOLAS = "1: envelope of the curves", "2: isoFLOP parabolas"
SURFACE, SURFACE_KNOWN = "3: surface, E fitted", "3: surface, E known"


@dataclass(frozen=True)
class Approach:
    """What one approach says of the best size."""

    name: str
    exponent: float  # a of N ∝ C^a
    exponent_interval: tuple[float, float]  # 95%
    size: Callable[[Array], Array]  # best N at each budget
    size_interval: Callable[[Array], tuple[Array, Array]]  # 95%


@dataclass(frozen=True)
class ComputeStudy:
    """The runs of `isoflops` and what the approaches make of them."""

    profile: str
    records: list[RunRecord]
    runs: pd.DataFrame  # a row a finished run: n, tokens, flops, flops_exact, seed, nats, budget
    floor: float  # true entropy, nats a token
    known: SurfaceWithIntervals  # E at the floor
    free: SurfaceWithIntervals
    parabolas: FrontierWithIntervals
    approaches: list[Approach]
    race: pd.DataFrame  # each approach without the largest budget, on the best size there

    @property
    def budgets(self) -> Array:
        """Training FLOPs of each budget, rising."""
        return np.sort(self.runs["budget"].unique())


def compute_study(profile: str) -> ComputeStudy:
    """The runs, all of which must have records, and every approach to their best sizes.

    Raises:
        TinyLMError: a run has no record, or an approach cannot be followed on those that ended.
    """
    declared = load_experiment("isoflops")
    records = Store(profile).load(expand(declared, profile))
    budgets = np.array([part.flops for part in declared.profiles[profile].grids], dtype=float)
    runs = _table(records, budgets)
    data = prepare("fables", records[0].config.data.tokenizer)
    floor = token_floor("fables", data.validation, data.tokenizer).nats
    points = runs["n"], runs["tokens"], runs["seed"], runs["nats"]
    known = bootstrap_surface(*points, floor=floor, n_resamples=N_RESAMPLES)
    free = bootstrap_surface(*points, n_resamples=N_RESAMPLES)
    parabolas = bootstrap_isoflops(*points, n_resamples=N_RESAMPLES)
    return ComputeStudy(
        profile=profile,
        records=records,
        runs=runs,
        floor=floor,
        known=known,
        free=free,
        parabolas=parabolas,
        approaches=[
            *_of_frontiers(records, runs, parabolas),
            of_surface(SURFACE, free),
            of_surface(SURFACE_KNOWN, known),
        ],
        race=_race(records, runs, floor),
    )


def _table(records: Sequence[RunRecord], budgets: Array) -> pd.DataFrame:
    table = to_table(records)
    done = table[table["status"] == "done"].rename(columns={"n_with_output": "n"})
    flops = 6.0 * done["n"] * done["tokens"]
    nearest = np.abs(np.log(flops.to_numpy()[:, None] / budgets)).argmin(axis=1)
    return done.assign(flops=flops, budget=budgets[nearest])


def learning_curves_of(records: Sequence[RunRecord]) -> list[LearningCurve]:
    """Curves of the longest run of each size, a curve a seed. Their learning rate has come down at
    the end only, so that every earlier point is above what a run of that length would reach.
    """
    longest: dict[int, int] = {}
    for record in records:
        n = record.parameters.with_output
        longest[n] = max(longest.get(n, 0), record.tokens)
    return [
        LearningCurve(
            float(record.parameters.with_output),
            np.array([point.tokens for point in record.curve], dtype=float),
            np.array([point.validation_nats for point in record.curve]),
        )
        for record in records
        if record.validation is not None and record.tokens == longest[record.parameters.with_output]
    ]


def of_surface(name: str, fit: SurfaceWithIntervals) -> Approach:
    """A surface's best sizes (Hoffmann et al. 2022, approach 3)."""
    surface = fit.surface
    return Approach(
        name,
        surface.size_exponent,
        fit.interval("size_exponent"),
        lambda flops: np.array([surface.optimal(float(c)).N for c in np.atleast_1d(flops)]),
        lambda flops: _percentiles(fit.optimal_resamples(np.atleast_1d(flops))[0]),
    )


def of_frontier(name: str, fit: FrontierWithIntervals) -> Approach:
    """The power law through a frontier's best sizes."""
    return Approach(
        name,
        fit.frontier.exponent,
        fit.exponent_interval,
        lambda flops: fit.frontier.optimal_size(np.atleast_1d(flops)),
        lambda flops: fit.size_interval(np.atleast_1d(flops)),
    )


def _percentiles(draws: Array) -> tuple[Array, Array]:
    low, high = np.percentile(draws, (2.5, 97.5), axis=0)
    return low, high


def _of_frontiers(
    records: Sequence[RunRecord], runs: pd.DataFrame, parabolas: FrontierWithIntervals
) -> list[Approach]:
    kept = set(runs["run_id"])
    found = [of_frontier(PARABOLAS, parabolas)]
    try:
        curves = learning_curves_of([record for record in records if record.run_id in kept])
        envelope = bootstrap_envelope(curves, edge=EDGE, n_resamples=N_RESAMPLES)
    except TinyLMError:  # too few sizes, or one that wins everywhere: no envelope
        return found
    return [of_frontier(ENVELOPE, envelope), *found]


def _race(records: Sequence[RunRecord], runs: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Every approach on the runs without the largest budget: approach, the best N that it expects
    there (size, low, high), and the loss where it names one (loss, loss_low, loss_high). Empty for
    fewer than 3 budgets.
    """
    last = runs["budget"].max()
    smaller = runs[runs["budget"] < last]
    if smaller["budget"].nunique() < 2:
        return pd.DataFrame()
    points = smaller["n"], smaller["tokens"], smaller["seed"], smaller["nats"]
    surfaces = {
        SURFACE: bootstrap_surface(*points, n_resamples=N_RESAMPLES),
        SURFACE_KNOWN: bootstrap_surface(*points, floor=floor, n_resamples=N_RESAMPLES),
    }
    approaches = [
        *_of_frontiers(records, smaller, bootstrap_isoflops(*points, n_resamples=N_RESAMPLES)),
        *(of_surface(name, fit) for name, fit in surfaces.items()),
    ]
    rows = []
    for one in approaches:
        (size,), ((low,), (high,)) = one.size(last), one.size_interval(last)
        row = {"approach": one.name, "size": size, "low": low, "high": high}
        if one.name in surfaces:
            fit = surfaces[one.name]
            row["loss"] = fit.surface.optimal(last).loss
            row["loss_low"], row["loss_high"] = interval(fit.optimal_resamples(last)[2])
        rows.append(row)
    return pd.DataFrame(rows)


def surface_of_cuts(profile: str) -> tuple[pd.DataFrame, SurfaceWithIntervals]:
    """A surface through the cuts on natural text: the runs of `model_size`, and those of
    `data_epochs` that read no token twice. The runs have the columns n, tokens, seed, nats, flops.

    Raises:
        TinyLMError: a run has no record, or they are too few for a surface.
    """
    names = ("model_size", "data_epochs")
    table = pd.concat(
        [to_table(Store(profile).load(expand(load_experiment(name), profile))) for name in names],
        ignore_index=True,
    ).rename(columns={"n_with_output": "n"})
    once = (table["status"] == "done") & (table["tokens"] <= table["unique_tokens"])
    runs = table[once].assign(flops=6.0 * table["n"] * table["tokens"])
    points = runs["n"], runs["tokens"], runs["seed"], runs["nats"]
    return runs, bootstrap_surface(*points, n_resamples=N_RESAMPLES)


def pareto(runs: pd.DataFrame) -> pd.DataFrame:
    """The settings that no cheaper one beats: flops_exact, nats (mean over seeds), rising."""
    means = runs.groupby(["n", "tokens"])[["flops_exact", "nats"]].mean().reset_index()
    means = means.sort_values("flops_exact", ignore_index=True)
    return means[means["nats"] < means["nats"].cummin().shift(fill_value=np.inf)]
