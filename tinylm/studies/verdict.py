"""Published claims held against this book's measurements, one row each."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tinylm import say
from tinylm.errors import TinyLMError
from tinylm.laws import bootstrap_power_law
from tinylm.laws.published import (
    CONTEXT_CLAIM,
    DATA_CLAIMS,
    REPEATS_CLAIM,
    SIZE_CLAIMS,
    TOKENS_CLAIM,
    WIDER_CLAIMS,
)
from tinylm.laws.scatter import interval
from tinylm.plots import isoflop_figure, repetition_figure
from tinylm.store import Store
from tinylm.studies.compute import compute_study
from tinylm.studies.context import context_shares
from tinylm.studies.cuts import default_cuts, fables_study
from tinylm.studies.epochs import repeat_study
from tinylm.studies.floor import default_cuts, fables_study, tail_gaps
from tinylm.studies.predictions import FITTED, read_prediction, score
from tinylm.studies.size import size_study
from tinylm.studies.tails import tail_gaps

_compute_study, _repeat_study = cache(compute_study), cache(repeat_study)  # each takes seconds


@dataclass(frozen=True)
class Verdict:
    """A claim and what was measured of the same quantity."""

    key: str  # of its numbers in summary.json
    claim: str
    source: str
    claimed: float
    measured: float
    interval: tuple[float, float]  # 95%
    chapter: str  # where it is measured

    @property
    def holds(self) -> str:
        """'inside' or 'outside': where the claimed value lies of our interval."""
        return say.within(self.interval, self.claimed)


def verdicts(profile: str) -> list[Verdict]:
    """Every claim of which a profile has the runs."""
    found: list[Verdict] = []
    for part in (_sizes, _data, _compute, _context, _floors, _tails, _predictions):
        with suppress(TinyLMError):  # a profile without these runs says nothing of the claim
            found += part(profile)
    return found


def verdict_numbers(found: list[Verdict]) -> dict[str, int | float]:
    """What summary.json holds of them."""
    inside = sum(one.holds == "inside" for one in found)
    return {"verdict_n": len(found), "verdict_inside": inside} | {
        f"verdict_{one.key}{suffix}": float(value)
        for one in found
        for suffix, value in (
            ("", one.measured),
            ("_low", one.interval[0]),
            ("_high", one.interval[1]),
            ("_claimed", one.claimed),
        )
    }


def fitted_constants(profile: str) -> dict[str, float]:
    """What summary.json holds of the laws in two variables: every constant, with its 95% interval,
    and the misfit; of those of which the profile has the runs.
    """
    fits: dict[str, tuple[object, Callable[[str], tuple[float, float]], float]] = {}
    with suppress(TinyLMError):
        compute = _compute_study(profile)
        for name, fit in (("known_floor", compute.known), ("fitted_floor", compute.free)):
            fits[f"surface_{name}"] = fit.surface, fit.interval, fit.misfit
    with suppress(TinyLMError):
        law = _repeat_study(profile).law
        fits["repeats"] = law.law, law.interval, law.misfit
    numbers: dict[str, float] = {}
    for name, (law_found, interval_of, misfit) in fits.items():
        numbers[f"{name}_misfit"] = float(misfit)
        for constant in ("E", "A", "alpha", "B", "beta", "R_star"):
            if (value := getattr(law_found, constant, None)) is not None:
                low, high = interval_of(constant)
                numbers[f"{name}_{constant}"] = float(value)
                numbers[f"{name}_{constant}_low"] = float(low)
                numbers[f"{name}_{constant}_high"] = float(high)
    return numbers


def law_figures(profile: str) -> dict[str, Figure]:
    """Figures of the laws in two variables, by name; of those of which the profile has the runs."""
    figures: dict[str, Figure] = {}
    with suppress(TinyLMError):
        compute = _compute_study(profile)
        exponent = compute.parabolas.frontier.exponent
        figures["isoflops"] = isoflop_figure(
            compute.runs,
            compute.parabolas.frontier,
            compute.known.surface,
            title=f"The best size grows as C^{exponent:.2f}, by the parabolas",
        )
    with suppress(TinyLMError):
        repeats = _repeat_study(profile)
        figures["repeats"] = repetition_figure(
            repeats.runs,
            repeats.law,
            title=f"All repetitions together are worth {repeats.law.law.R_star:.1f} texts at most",
        )
    return figures


def size_exponents(profile: str) -> pd.DataFrame:
    """The exponent in N fitted in other ways to the same runs: with E and without, to all sizes and
    to the largest three, by each count of N. Columns: floor, sizes, count, exponent, low, high.
    """
    runs = size_study(profile).finished
    counts = {
        "non-embedding": "n_non_embedding",
        "with output": "n_with_output",
        "all": "n_total",
    }
    rows = []
    for count, column in counts.items():
        for floor in (None, 0.0):
            for n_sizes in (None, 3) if floor == 0.0 else (None,):
                sizes = np.sort(runs[column].unique())
                kept = runs[runs[column] >= (sizes[0] if n_sizes is None else sizes[-n_sizes])]
                law = bootstrap_power_law(kept[column], kept["seed"], kept["nats"], floor)
                row = {
                    "floor": "fitted" if floor is None else "none",
                    "sizes": "all" if n_sizes is None else f"largest {n_sizes}",
                    "count": count,
                    "exponent": law.law.alpha,
                }
                low, high = law.alpha_interval
                rows.append(row | {"low": low, "high": high})
    return pd.DataFrame(rows)


def _sizes(profile: str) -> Iterator[Verdict]:
    study = size_study(profile)
    for index, claim in enumerate(SIZE_CLAIMS):
        law = study.law if claim.with_floor else study.pure
        yield Verdict(
            f"size_{index}",
            f"{claim.form}, exponent",
            claim.source,
            claim.exponent,
            law.law.alpha,
            law.alpha_interval,
            "05_model_size",
        )


def _data(profile: str) -> Iterator[Verdict]:
    study = _repeat_study(profile)
    once = study.runs[study.runs["epochs"] <= 1]
    if study.fresh is not None:
        pure = bootstrap_power_law(once["tokens"], once["seed"], once["nats"], 0.0)
        for index, claim in enumerate(DATA_CLAIMS):
            law = study.fresh if claim.with_floor else pure
            yield Verdict(
                f"data_{index}",
                f"{claim.form}, exponent",
                claim.source,
                claim.exponent,
                law.law.alpha,
                law.alpha_interval,
                "09_data",
            )
    yield Verdict(
        "repeats",
        "R*, what repetition is worth at most, in unique texts",
        "Muennighoff et al. (2023)",
        REPEATS_CLAIM,
        study.law.law.R_star,
        study.law.interval("R_star"),
        "09_data",
    )


def _compute(profile: str) -> Iterator[Verdict]:
    study = _compute_study(profile)
    known = next(one for one in study.approaches if one.name.endswith("E known"))
    for index, wider in enumerate(WIDER_CLAIMS):
        yield Verdict(
            f"compute_{index}",
            "best N ∝ C^a, exponent a",
            wider.source,
            wider.exponent,
            known.exponent,
            known.exponent_interval,
            "10_compute",
        )
    top = study.budgets[-1]
    sizes, tokens, _ = study.known.optimal_resamples(np.array([top]))
    yield Verdict(
        "tokens",
        "best tokens for each parameter",
        "Hoffmann et al. (2022)",
        TOKENS_CLAIM,
        study.known.surface.optimal(float(top)).tokens_per_parameter,
        interval(tokens[:, 0] / sizes[:, 0]),
        "10_compute",
    )
    yield Verdict(
        "surface_E",
        "E of the surface is the entropy",
        "the true floor",
        study.floor,
        study.free.surface.E,
        study.free.interval("E"),
        "10_compute",
    )


def _context(profile: str) -> Iterator[Verdict]:
    shares = {row["context_length"]: row for row in context_shares(profile).to_dict("records")}
    if CONTEXT_CLAIM in shares and max(shares) > CONTEXT_CLAIM:
        here = shares[CONTEXT_CLAIM]
        yield Verdict(
            "context",
            f"nats a token that context beyond {CONTEXT_CLAIM} is worth",
            "common advice",
            0.0,
            here["missing"],
            (here["low"], here["high"]),
            "06_context_length",
        )


def _floors(profile: str) -> Iterator[Verdict]:
    places = {"": profile} | ({" on a GPU": "full"} if profile == "paper" else {})
    for where, of in places.items():
        for axis, cut in default_cuts(Store(of)).items():
            if cut.free is not None and cut.floor is not None:
                yield Verdict(
                    f"floor_{axis}{'_gpu' if where else ''}",
                    f"E of L = E + A/x^α along {axis}{where} is the entropy",
                    "the true floor",
                    cut.floor,
                    cut.free.law.E,
                    cut.free.E_interval,
                    "07_floor",
                )


def _tails(profile: str) -> Iterator[Verdict]:
    for row in tail_gaps(fables_study(Store(profile))).to_dict("records"):
        yield Verdict(
            f"tails_{row['axis']}",
            f"by how much a lighter tail raises the exponent in {row['axis']}",
            "Hutter (2021) and others",
            row["predicted"],
            row["gap"],
            (row["low"], row["high"]),
            "07_floor",
        )


def _predictions(profile: str) -> Iterator[Verdict]:
    for experiment in FITTED:
        if (prediction := read_prediction(profile, experiment)) is None:
            continue
        scores = score(prediction, profile).dropna(subset="error")
        largest = scores[scores["n_non_embedding"] == scores["n_non_embedding"].max()]
        for index, row in enumerate(largest.to_dict("records")):
            yield Verdict(
                f"prediction_{index}",
                f"{row['method']} foresees {row['compute']:.0f} times the compute (nats)",
                "this book, before the run",
                row["measured"],
                row["predicted"],
                (row["low"], row["high"]),
                "05_model_size",
            )
