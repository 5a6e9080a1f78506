"""The law of a full grid: every size with every amount of text, and every form of the law.

Two cuts that cross, one along N and one along D, leave open how the two work together; a grid does
not. The forms are judged by how far the means of the settings lie from them, and by what they say
of the settings that took most compute, fitted without these.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws import FrontierWithIntervals, SurfaceWithIntervals, bootstrap_surface, fit_surface
from tinylm.laws.forms import SUM, Form
from tinylm.laws.optimal import bootstrap_isoflops
from tinylm.laws.scatter import Settings, settings_of
from tinylm.laws.solver import Array
from tinylm.laws.table_words import NO_LAW
from tinylm.ngrams import NgramFloor
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.runs import evaluation_of, to_table
from tinylm.studies.size import ngram_baselines
from tinylm.sweeps.declare import expand, load_experiment
from tinylm.texts import texts_of

N_RESAMPLES = 1000
# Tokens from which on a law is fitted, where that leaves three amounts: with fewer, models have not
# come to induction yet, and the loss falls by a step that no power law has.
SINCE = 500_000
HIDDEN_FOLD = 8.0  # settings of more than the largest compute over this are hidden in the race
COUNTS = {"n_non_embedding": "without embeddings", "n_with_output": "with the output layer"}
ISOFLOPS = "isoFLOPs"
N_BUDGETS = 8  # of the isoFLOP curves read off the grid
MIN_SIZES = 4  # of a budget
CODE = (
    "tinylm.studies.grid",
    "tinylm.laws.scatter",
    "tinylm.laws.solver",
    "tinylm.laws.forms",
    "tinylm.laws.surface",
    "tinylm.laws.optimal",
)

# What is computed of runs, those with so many tokens or more, in these forms.
Fit = Callable[[pd.DataFrame, int, Mapping[str, Form]], dict[str, Any]]


@dataclass(frozen=True)
class Grid:
    """The runs of a grid, and the law in every form."""

    store: Store
    records: list[RunRecord]
    # A row a finished run. N is without embeddings, C is exact, and D is what was asked for, in
    # whole steps: it differs a little from size to size.
    runs: pd.DataFrame
    ngrams: list[NgramFloor]
    fits: dict[str, SurfaceWithIntervals]  # by form, N without embeddings
    race: pd.DataFrame  # a row a form: form, constants, misfit, bic, hidden_rms, hidden_mean

    @property
    def since(self) -> int:
        """The least tokens of a run that the laws are fitted to."""
        return since_of(self.runs)

    @property
    def fitted(self) -> pd.DataFrame:
        """The runs that the laws are fitted to."""
        return self.runs[self.runs["asked"] >= self.since]

    @property
    def best_form(self) -> str:
        """The form that comes nearest to the hidden settings, fitted without them."""
        return first_by(self.race, "hidden_rms")

    @property
    def best(self) -> SurfaceWithIntervals:
        """The law in that form."""
        return self.fits[self.best_form]

    @property
    def floors(self) -> dict[str, float]:
        """What counting reaches: the best n-gram, by its label."""
        return {f"{self.best_ngram.order}-gram": self.best_ngram.nats_per_token}

    @property
    def epochs(self) -> float:
        """How often the longest runs read their text."""
        return float((self.runs["tokens"] / self.runs["unique_tokens"]).max())

    @property
    def misses(self) -> pd.DataFrame:
        """How far each setting's mean log loss lies from each form's law: form, N, D, C, off."""
        means = self.fitted.groupby(["N", "D"]).agg(C=("C", "first"), loss=("loss", mean_of_logs))
        means = means.reset_index()
        return pd.concat(
            [
                means.assign(
                    form=name, off=means["loss"] - np.log(fit.surface.loss(means["N"], means["D"]))
                )
                for name, fit in self.fits.items()
            ],
            ignore_index=True,
        )

    @property
    def noise(self) -> float:
        """Standard error of a setting's mean log loss by its seeds: the median over settings."""
        settings = settings_of_runs(self.fitted)
        errors = settings.noise / np.sqrt([len(group) for group in settings.groups])
        return float(np.median(errors))

    @property
    def best_ngram(self) -> NgramFloor:
        """The order with the lowest loss."""
        return min(self.ngrams, key=lambda one: one.nats_per_token)

    @property
    def corpus(self) -> str:
        """What the runs read."""
        return self.records[0].config.data.corpus


@dataclass(frozen=True)
class GridStudy(Grid):
    """The runs of `grid`, the law in every form, and the best sizes for a budget by both counts."""

    starts: pd.DataFrame  # the best form fitted from each amount on: since, misfit, alpha, ...
    with_output: SurfaceWithIntervals  # the best form with N counted with the output layer
    sizes: pd.DataFrame  # a row a count and approach: exponent, low, high
    frontiers: dict[str, FrontierWithIntervals]  # by count: isoFLOPs read off the grid

    def size_exponent(self, count: str) -> dict[str, float]:
        """a of the best N ∝ C^a by a count of N, off the isoFLOPs: exponent, low, high."""
        rows = self.sizes[(self.sizes["count"] == count) & (self.sizes["approach"] == ISOFLOPS)]
        (row,) = rows[["exponent", "low", "high"]].to_dict("records")
        return {str(name): float(value) for name, value in row.items()}


def grid_study(store: Store) -> GridStudy:
    """The runs of `grid`, all of which must have records, and the laws, which are a finding.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: the profile has no such runs, or too few of them ended for a law.
    """
    return GridStudy(**_fields(store, "grid", fit_grid))


def news_study(store: Store) -> Grid:
    """The runs of `grid_ag_news` and the laws; raises as `grid_study`."""
    return Grid(**_fields(store, "grid_ag_news", fit_laws))


def _fields(store: Store, experiment: str, fit: Fit) -> dict[str, Any]:
    """The fields of a Grid, and those that `fit` finds."""
    records = store.load(expand(load_experiment(experiment), store.profile))
    runs = runs_of_grid(records)
    (text,) = texts_of(records)
    ngrams = ngram_baselines(store, text, evaluation=evaluation_of(records))
    ceiling, since = unigram_loss(ngrams), since_of(runs)
    found = finding(
        store,
        experiment,
        records,
        CODE,
        lambda: fit(runs, since, forms(ceiling)),
        resamples=N_RESAMPLES,
        ceiling=round(ceiling, 9),
        since=since,
    )
    return {"store": store, "records": records, "runs": runs, "ngrams": ngrams, **found}


def runs_of_grid(records: Sequence[RunRecord]) -> pd.DataFrame:
    """A row a finished run, as `GridStudy.runs`: N, D, C, asked, seed, loss and the rest."""
    table = to_table(records)
    table["asked"] = [record.config.tokens for record in records]
    done = table[table["status"] == "done"]
    return done.assign(
        N=done["n_non_embedding"], D=done["tokens"], C=done["flops_exact"], loss=done["nats"]
    )


def first_by(race: pd.DataFrame, column: str) -> str:
    """The form with the least of a column of a race."""
    return str(race.sort_values(column)["form"].iloc[0])


def since_of(runs: pd.DataFrame) -> int:
    """The least tokens, as asked for, of the runs that laws are fitted to."""
    amounts = runs["asked"].unique()
    return SINCE if (amounts >= SINCE).sum() >= 3 else int(amounts.min())


def unigram_loss(ngrams: Sequence[NgramFloor]) -> float:
    """Nats per token of a model that knows only how frequent each token is."""
    return next(one.nats_per_token for one in ngrams if one.order == 1)


def forms(ceiling: float) -> dict[str, Form]:
    """Every form of the law, those with two ends between a floor and `ceiling`, the loss of a model
    that knows only how frequent each token is.
    """
    return {
        "sum": SUM,
        "power": Form("power"),
        "kaplan": Form("kaplan"),
        "ends": Form("ends", ceiling),
        "both": Form("both", ceiling),
    }


def fit_grid(every: pd.DataFrame, since: int, raced: Mapping[str, Form]) -> dict[str, Any]:
    """The fields of a GridStudy that are computed, of the runs with `since` tokens or more."""
    runs = every[every["asked"] >= since]
    by_count = {
        (count, name): fit
        for count in COUNTS
        for name, fit in fit_forms(runs, raced, N_RESAMPLES, count).items()
    }
    fits = {name: by_count["n_non_embedding", name] for name in raced}
    race = race_of(runs, fits)
    frontiers = {count: isoflops_of_grid(runs, count) for count in COUNTS}
    best = first_by(race, "hidden_rms")
    return {
        "fits": fits,
        "race": race,
        "starts": fit_starts(every, {since: fits[best]}),
        "with_output": by_count["n_with_output", best],
        "sizes": size_exponents(by_count, frontiers),
        "frontiers": frontiers,
    }


def fit_laws(every: pd.DataFrame, since: int, raced: Mapping[str, Form]) -> dict[str, Any]:
    """The fields of a Grid that are computed, of the runs with `since` tokens or more."""
    runs = every[every["asked"] >= since]
    fits = fit_forms(runs, raced, N_RESAMPLES)
    return {"fits": fits, "race": race_of(runs, fits)}


def fit_forms(
    runs: pd.DataFrame, raced: Mapping[str, Form], n_resamples: int, count: str = "N"
) -> dict[str, SurfaceWithIntervals]:
    """The law in each form, fitted to the same runs, with N in the column `count`."""
    return {
        name: bootstrap_surface(
            runs[count], runs["D"], runs["seed"], runs["loss"], n_resamples=n_resamples, form=form
        )
        for name, form in raced.items()
    }


def race_of(runs: pd.DataFrame, fits: Mapping[str, SurfaceWithIntervals]) -> pd.DataFrame:
    """How well each form describes the runs that it was fitted to, and foresees hidden ones: a row
    a form, as `race_row`.
    """
    return pd.DataFrame([race_row(runs, fit.surface.form, fit) for fit in fits.values()])


def fit_starts(runs: pd.DataFrame, known: Mapping[int, SurfaceWithIntervals]) -> pd.DataFrame:
    """The law in one form fitted to the runs from each of the three least amounts on: since,
    misfit, rms (of log loss), and E, alpha, beta, each with _low and _high. `known` has the form,
    and what it was fitted to already.
    """
    rows, form = [], next(iter(known.values())).surface.form
    for since in sorted(runs["asked"].unique())[:3]:
        some = runs[runs["asked"] >= since]
        fit = known.get(int(since)) or bootstrap_surface(
            some["N"], some["D"], some["seed"], some["loss"], n_resamples=N_RESAMPLES, form=form
        )
        row = {"since": int(since), "misfit": fit.misfit, "rms": fit.surface.residual_rms}
        for name in ("E", "alpha", "beta"):
            low, high = fit.interval(name)
            row |= {name: getattr(fit.surface, name), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def mean_of_logs(losses: "pd.Series[float]") -> float:
    """Mean log of some losses."""
    return float(np.log(losses).mean())


def settings_of_runs(runs: pd.DataFrame) -> Settings:
    """The runs by (N, D), and how they scatter."""
    places = {"N": runs["N"].to_numpy(float), "D": runs["D"].to_numpy(float)}
    return settings_of(places, runs["seed"].to_numpy(), runs["loss"].to_numpy(float))


def race_row(runs: pd.DataFrame, form: Form, fit: SurfaceWithIntervals) -> dict[str, Any]:
    """How well a form describes all settings, and what it says of those that took most compute,
    fitted without them (NaN if that leaves too few for a law).
    """
    settings = settings_of_runs(runs)
    first = np.array([group[0] for group in settings.groups])
    n, d = runs["N"].to_numpy(float)[first], runs["D"].to_numpy(float)[first]
    off = settings.means - np.log(fit.surface.loss(n, d))
    k, m = len(form.free(None)), len(first)
    try:
        hidden = hidden_errors(runs, form)["error"]
    except BadInput:
        hidden = pd.Series(dtype=float)
    return {
        "form": form.name,
        "constants": k,
        "misfit": fit.misfit,
        "bic": float(m * np.log((off**2).mean()) + k * np.log(m)),
        "hidden_settings": len(hidden),
        "hidden_rms": float(np.sqrt((hidden**2).mean())),
        "hidden_mean": float(hidden.mean()),
    }


def is_hidden(runs: pd.DataFrame) -> "pd.Series[bool]":
    """Whether each run took more than the largest compute over HIDDEN_FOLD."""
    return runs["C"].gt(runs["C"].max() / HIDDEN_FOLD)


def hidden_errors(runs: pd.DataFrame, form: Form) -> pd.DataFrame:
    """Error, predicted over measured less one, at each setting that took most compute, by the law
    without them: N, D, C, loss (mean over seeds), error.
    """
    hidden = is_hidden(runs)
    shown = runs[~hidden]
    law = fit_surface(shown["N"], shown["D"], shown["loss"], form=form)
    means = runs[hidden].groupby(["N", "D"], as_index=False)[["C", "loss"]].mean()
    return means.assign(error=law.loss(means["N"], means["D"]) / means["loss"] - 1)


def size_exponents(
    fits: Mapping[tuple[str, str], SurfaceWithIntervals],
    frontiers: Mapping[str, FrontierWithIntervals],
) -> pd.DataFrame:
    """a of the best N ∝ C^a with C = 6·N·D, by each count of N: off the grid's isoFLOPs, and by
    the law in each form fitted with that count. A row each: count, approach, exponent, low, high;
    bounds are NaN where a form does not hold.
    """
    found = [
        (count, ISOFLOPS, one.frontier.exponent, one.exponent_interval)
        for count, one in frontiers.items()
    ]
    found += [
        (count, name, fit.surface.size_exponent, _if_it_holds(fit, "size_exponent"))
        for (count, name), fit in fits.items()
    ]
    return pd.DataFrame(
        [
            {"count": count, "approach": by, "exponent": a, "low": bounds[0], "high": bounds[1]}
            for count, by, a, bounds in found
        ]
    )


def _if_it_holds(fit: SurfaceWithIntervals, name: str) -> tuple[float, float]:
    return fit.interval(name) if fit.misfit <= NO_LAW else (np.nan, np.nan)


def isoflops_of_grid(runs: pd.DataFrame, count: str) -> FrontierWithIntervals:
    """The isoFLOP approach on budgets read off the grid: the loss of each size and seed at the D
    that the budget leaves it, between the measured D by a monotone cubic in the logs.

    Raises:
        BadInput: too few budgets have their best size among those tried.
    """
    points = pd.DataFrame(read_off(runs, count), columns=["n", "d", "seed", "loss"])
    return bootstrap_isoflops(
        points["n"], points["d"], points["seed"], points["loss"], n_resamples=N_RESAMPLES
    )


def read_off(runs: pd.DataFrame, count: str) -> list[tuple[float, float, int, float]]:
    """(N, D, seed, loss) on N_BUDGETS budgets 6·N·D, for every size whose measured D hold that."""
    curves: dict[tuple[float, int], tuple[Array, PchipInterpolator]] = {}
    for (n, seed), one in runs.sort_values("D").groupby([count, "seed"]):
        log_d = np.log(one["D"].to_numpy(float))
        curve = PchipInterpolator(log_d, np.log(one["loss"].to_numpy(float)))
        curves[float(str(n)), int(str(seed))] = log_d, curve
    points: list[tuple[float, float, int, float]] = []
    for budget in budgets_of(runs, count):
        for (n, seed), (log_d, curve) in curves.items():
            at = np.log(budget / (FLOPS_PER_PARAMETER_AND_TOKEN * n))
            if log_d[0] <= at <= log_d[-1]:
                points.append((n, float(np.exp(at)), seed, float(np.exp(curve(at)))))
    return points


def budgets_of(runs: pd.DataFrame, count: str) -> NDArray[np.float64]:
    """Budgets, as evenly in the log as may be, at which MIN_SIZES sizes or more have their D among
    those measured.
    """
    ends = runs.groupby(count)["D"].agg(["min", "max"])
    each = FLOPS_PER_PARAMETER_AND_TOKEN * ends.mul(ends.index.to_numpy(float), axis=0)
    least, most = each["min"].to_numpy(float), each["max"].to_numpy(float)
    tried = np.geomspace(least.min(), most.max(), 40 * N_BUDGETS)
    held = (tried[:, None] >= least) & (tried[:, None] <= most)
    good = tried[held.sum(axis=1) >= MIN_SIZES]
    chosen: NDArray[np.float64] = good[np.linspace(0, len(good) - 1, N_BUDGETS).round().astype(int)]
    return chosen
