"""Published claims held against this book's measurements, one row each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.errors import Missing
from tinylm.laws import PowerLawWithIntervals, SurfaceWithIntervals, bootstrap_power_law
from tinylm.laws.planning import NORMAL
from tinylm.laws.published import (
    CONTEXT_CLAIM,
    DATA_CLAIMS,
    REPEATS_CLAIM,
    SIZE_CLAIMS,
    TOKENS_CLAIM,
    WIDER_CLAIMS,
    Claim,
)
from tinylm.laws.scatter import interval
from tinylm.laws.table_words import NO_LAW
from tinylm.plots import grid_figure, repetition_figure
from tinylm.store import Store
from tinylm.studies.amounts import amounts_study
from tinylm.studies.context import context_shares
from tinylm.studies.cuts import fables_study
from tinylm.studies.epochs import repeat_study
from tinylm.studies.findings import finding
from tinylm.studies.grid import COUNTS, grid_study
from tinylm.studies.grid_words import grid_title
from tinylm.studies.headlines import if_there
from tinylm.studies.predictions import BACKED, FITTED, bet_store, read_prediction, score
from tinylm.studies.runs import to_table
from tinylm.studies.size import size_study
from tinylm.studies.tails import tail_gaps
from tinylm.sweeps.declare import expand, load_experiment

Study = TypeVar("Study")
EXPONENTS_CODE = (
    "tinylm.studies.verdict:exponents_of",
    "tinylm.laws.power",
    "tinylm.laws.scatter",
    "tinylm.laws.solver",
)


NEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Verdict:
    """A claim and what was measured of the same quantity."""

    key: str  # of its numbers in summary.json
    claim: str
    source: str
    claimed: float  # what was published, is known to be true, or was predicted
    measured: float  # what came
    interval: tuple[float, float] | None  # 95%; None: of a law that does not hold
    chapter: str  # where it is measured
    interval_of: Literal["measured", "claimed"] = "measured"  # a prediction has its own
    claimed_error: float = 0.0  # standard error of the published number, where its source has one

    @property
    def distance(self) -> float:
        """What was measured less what was claimed, in standard errors of both together; NaN where
        the law that was measured does not hold. Ours is a half of the interval on the side of the
        other number, over 1.96.
        """
        if self.interval is None:
            return float("nan")
        middle, other = self.measured, self.claimed
        if self.interval_of == "claimed":
            middle, other = other, middle
        end = self.interval[1] if other > middle else self.interval[0]
        error = float(np.hypot(abs(end - middle) / NORMAL, self.claimed_error))
        return (self.measured - self.claimed) / error

    @property
    def is_near(self) -> bool:
        """Whether the two are within two standard errors of each other."""
        return abs(self.distance) <= NEAR


@dataclass(frozen=True)
class Verdicts:
    """The claims of which a profile has the runs, and what it has not."""

    found: tuple[Verdict, ...]
    left_out: tuple[str, ...]  # for each part without its runs: what it is of, and what is missing

    @property
    def near(self) -> int:
        """How many are within two standard errors."""
        return sum(one.is_near for one in self.found)

    @property
    def told(self) -> list[Verdict]:
        """Those whose law holds here, so that there is a distance."""
        return [one for one in self.found if one.interval is not None]

    @property
    def by_distance(self) -> list[Verdict]:
        """Those furthest off first, those that cannot be told last."""
        return sorted(self.found, key=lambda one: -np.nan_to_num(abs(one.distance), nan=-1.0))


def verdicts(store: Store) -> Verdicts:
    """Every claim of which a profile has the runs.

    Raises:
        TinyLMError: a record, a finding or a prediction is damaged. Only what is missing is left
            out.
    """
    parts: dict[str, Callable[[Store], Iterator[Verdict]]] = {
        "predictions": _predictions,
        "model size": _sizes,
        "data": _data,
        "repetition": _repetition,
        "compute": _compute,
        "context": _context,
        "tails": _tails,
    }
    found: list[Verdict] = []
    left_out = []
    for name, part in parts.items():
        try:
            found += part(store)
        except Missing as missing:
            left_out.append(f"{name}: {missing}")
    return Verdicts(tuple(found), tuple(left_out))


def verdict_numbers(verdict: Verdicts) -> dict[str, str | int | float]:
    """What summary.json holds of them: of each claim `verdict_KEY`, what was measured,
    `verdict_KEY_claimed`, `verdict_KEY_distance`, and the 95% interval, `verdict_KEY_low` and
    `_high` of what was measured, or `verdict_KEY_claimed_low` and `_claimed_high` of what was
    predicted; distance and interval only where the law that was measured holds.
    """
    numbers: dict[str, str | int | float] = {
        "verdict_n": len(verdict.found),
        "verdict_near": verdict.near,
        "verdict_left_out": "; ".join(verdict.left_out),
    }
    for one in verdict.found:
        key = f"verdict_{one.key}"
        numbers |= {key: float(one.measured), f"{key}_claimed": float(one.claimed)}
        if one.interval is not None:
            of = key if one.interval_of == "measured" else f"{key}_claimed"
            numbers |= {f"{of}_low": float(one.interval[0]), f"{of}_high": float(one.interval[1])}
            numbers[f"{key}_distance"] = one.distance
    return numbers


def fitted_constants(store: Store) -> dict[str, float]:
    """What summary.json holds of the laws in two variables: every constant, with its 95% interval
    if the law holds, and the misfit; of those of which the profile has the runs.
    """
    fits: dict[str, tuple[object, Callable[[str], tuple[float, float]], float]] = {}
    if grid := if_there(grid_study, "grid", store):
        for name, fit in grid.fits.items():
            fits[f"grid_{name}"] = fit.surface, fit.interval, fit.misfit
    if repeats := if_there(repeat_study, "data_epochs", store):
        fits["repeats"] = repeats.law.law, repeats.law.interval, repeats.law.misfit
    numbers: dict[str, float] = {}
    for name, (law_found, interval_of, misfit) in fits.items():
        numbers[f"{name}_misfit"] = float(misfit)
        for constant in ("E", "A", "alpha", "B", "beta", "g", "R_star"):
            if (value := getattr(law_found, constant, None)) is not None:
                numbers[f"{name}_{constant}"] = float(value)
                if misfit <= NO_LAW:
                    low, high = interval_of(constant)
                    numbers[f"{name}_{constant}_low"] = float(low)
                    numbers[f"{name}_{constant}_high"] = float(high)
    return numbers


def law_figures(store: Store) -> dict[str, Figure]:
    """Figures of the laws in two variables, by name; of those of which the profile has the runs."""
    figures: dict[str, Figure] = {}
    if grid := if_there(grid_study, "grid", store):
        figures["grid"] = grid_figure(
            grid.runs, grid.best.surface, grid.floors, title=grid_title(grid), since=grid.since
        )
    if repeats := if_there(repeat_study, "data_epochs", store):
        figures["repeats"] = repetition_figure(
            repeats.runs,
            repeats.law,
            title=f"All repetitions together are worth {repeats.law.law.R_star:.1f} texts at most",
        )
    return figures


def _declared(experiment: str, store: Store) -> None:
    """Raises Missing if a profile asks for no runs of an experiment."""
    if store.profile not in load_experiment(experiment).profiles:
        raise Missing(f"profile {store.profile} asks for no runs of {experiment}")


def size_exponents(store: Store) -> pd.DataFrame:
    """The exponent in N fitted in other ways to the same runs: with E and without, to all sizes and
    to the largest three, by each count of N. Columns: floor, sizes, count, exponent, low, high,
    misfit.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: too few runs for a law.
    """
    records = store.load(expand(load_experiment("model_size"), store.profile))
    table = to_table(records)
    runs = table[table["status"] == "done"]
    return finding(store, "size_exponents", records, EXPONENTS_CODE, lambda: exponents_of(runs))


def exponents_of(runs: pd.DataFrame) -> pd.DataFrame:
    """`size_exponents` of these runs."""
    counts = {
        "non-embedding": "n_non_embedding",
        "with output": "n_with_output",
        "all": "n_total",
    }
    rows = []
    for count, column in counts.items():
        sizes = np.sort(runs[column].unique())
        for floor, n_sizes in ((None, len(sizes)), (0.0, len(sizes)), (0.0, 3)):
            kept = runs[runs[column] >= sizes[-n_sizes]]
            law = bootstrap_power_law(kept[column], kept["seed"], kept["nats"], floor)
            low, high = law.alpha_interval
            rows.append(
                {
                    "floor": "fitted" if floor is None else "none",
                    "sizes": "all" if n_sizes == len(sizes) else f"largest {n_sizes}",
                    "count": count,
                    "exponent": law.law.alpha,
                    "low": low,
                    "high": high,
                    "misfit": law.misfit,
                }
            )
    return pd.DataFrame(rows)


# --- the claims, a function a chapter -------------------------------------------------------------


def _exponent(
    key: str, claim: Claim, law: PowerLawWithIntervals, bounds: tuple[float, float], chapter: str
) -> Verdict:
    """A claimed exponent against that of a law of the same form in one variable."""
    return Verdict(
        key,
        f"{claim.form}, exponent",
        claim.source,
        claim.exponent,
        law.law.alpha,
        bounds if law.misfit <= NO_LAW else None,
        chapter,
        claimed_error=claim.error,
    )


def _of_grid(key: str, claim: Claim, fit: SurfaceWithIntervals, name: str) -> Verdict:
    """A claimed exponent against that of the grid's law in the same form, the sum."""
    return Verdict(
        key,
        f"L = E + A/N^α + B/D^β, exponent {claim.form[-1]}",
        claim.source,
        claim.exponent,
        float(getattr(fit.surface, name)),
        fit.interval(name) if fit.misfit <= NO_LAW else None,
        "08_compute",
        claimed_error=claim.error,
    )


def _sizes(store: Store) -> Iterator[Verdict]:
    study, grid = size_study(store), if_there(grid_study, "grid", store)
    for index, claim in enumerate(SIZE_CLAIMS):
        key = f"size_{index}"
        if claim.with_floor and grid:
            yield _of_grid(key, claim, grid.fits["sum"], "alpha")
        else:
            law = study.law if claim.with_floor else study.pure
            yield _exponent(key, claim, law, law.alpha_interval, "06_model_size")


def _data(store: Store) -> Iterator[Verdict]:
    _declared("grid", store)
    amounts = amounts_study(store)
    for index, claim in enumerate(DATA_CLAIMS):
        if claim.with_floor:
            yield _of_grid(f"data_{index}", claim, amounts.grid.fits["sum"], "beta")
        else:
            law = amounts.largest_pure
            yield _exponent(f"data_{index}", claim, law, law.alpha_interval, "07_data")


def _repetition(store: Store) -> Iterator[Verdict]:
    _declared("data_epochs", store)
    law = repeat_study(store).law
    yield Verdict(
        "repeats",
        "R*, what repetition is worth at most, in unique texts",
        "Muennighoff et al. (2023)",
        REPEATS_CLAIM,
        law.law.R_star,
        law.interval("R_star") if law.misfit <= NO_LAW else None,
        "07_data",
    )


def _compute(store: Store) -> Iterator[Verdict]:
    _declared("grid", store)
    study = grid_study(store)
    for index, (wider, count) in enumerate(zip(WIDER_CLAIMS, COUNTS, strict=True)):
        row = study.size_exponent(count)
        yield Verdict(
            f"compute_{index}",
            f"best N ∝ C^a, {COUNTS[count]}, exponent a",
            wider.source,
            wider.exponent,
            row["exponent"],
            (row["low"], row["high"]),
            "08_compute",
            claimed_error=wider.error,
        )
    fit = study.with_output
    top = float(study.frontiers["n_with_output"].frontier.flops[-1])
    sizes, tokens, _ = fit.optimal_resamples(top)
    yield Verdict(
        "tokens",
        "best tokens for each parameter",
        "Hoffmann et al. (2022)",
        TOKENS_CLAIM,
        fit.surface.optimal(top).tokens_per_parameter,
        interval(tokens / sizes),
        "08_compute",
    )


def _context(store: Store) -> Iterator[Verdict]:
    _declared("context_fables", store)
    shares = {row["context_length"]: row for row in context_shares(store).to_dict("records")}
    if CONTEXT_CLAIM in shares and max(shares) > CONTEXT_CLAIM:
        here = shares[CONTEXT_CLAIM]
        yield Verdict(
            "context",
            f"nats per token that context beyond {CONTEXT_CLAIM} is worth",
            "common advice",
            0.0,
            here["missing"],
            (here["low"], here["high"]),
            "09_context_length",
        )


def _tails(store: Store) -> Iterator[Verdict]:
    for row in tail_gaps(fables_study(store)).to_dict("records"):
        yield Verdict(
            f"tails_{row['axis']}",
            f"by how much a lighter tail raises the exponent in {row['axis']}",
            "Hutter (2021) and others",
            row["predicted"],
            row["gap"],
            (row["low"], row["high"]) if row["misfit"] <= NO_LAW else None,
            "10_floor",
        )


def _predictions(store: Store) -> Iterator[Verdict]:
    bets = [(name, read_prediction(bet_store(name, store), name)) for name in FITTED]
    if not any(prediction for _, prediction in bets):
        raise Missing(f"profile {store.profile} has no prediction of {' or '.join(FITTED)}")
    number = 0
    for experiment, prediction in bets:
        if prediction is None:
            continue
        scores = score(prediction, bet_store(experiment, store)).dropna(subset="error")
        for row in scores[scores["method"] == BACKED[experiment]].to_dict("records"):
            yield Verdict(
                f"prediction_{number}",
                f"loss of {say.short(row['n_non_embedding'])} parameters on "
                f"{say.short(row['tokens'])} tokens",
                "this book, before the run",
                row["predicted"],
                row["measured"],
                (row["low"], row["high"]),
                "11_predictions",
                interval_of="claimed",
            )
            number += 1
