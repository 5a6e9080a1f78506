"""The best learning rate of each width, from sweeps over rates: where it lies and how surely."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.errors import BadInput
from tinylm.laws.scatter import check_repeats, interval, settings_of
from tinylm.optim import peak_learning_rate
from tinylm.records import RunRecord
from tinylm.store import Store
from tinylm.studies.findings import finding
from tinylm.studies.runs import to_table
from tinylm.sweeps.declare import expand, load_experiment

Floats = NDArray[np.float64]
Place = Literal["inside", "lowest", "highest"]
COLUMNS = ["d_model", "learning_rate", "seed", "nats"]
MIN_RATES = 3  # of a width: a parabola has three constants
STANDARD, MAXIMAL = "standard", "maximal updates"  # the two parametrisations


@dataclass(frozen=True)
class BestRate:
    """The learning rate with the lowest loss at one width."""

    width: int
    rate: float  # the lowest point of a parabola in log rate; at an end of the grid that end
    place: Place  # inside the grid, or at its lowest or highest rate, which then bounds the best
    interval: tuple[float, float]  # 95%, of the rate
    loss: float  # nats per token: the lowest mean over seeds
    std: float  # over seeds, there

    @property
    def text(self) -> str:
        """The rate as it is printed: a bound where it is one."""
        end = {"inside": "", "lowest": " or less", "highest": " or more"}[self.place]
        return f"{self.rate:.2g}{end}"


@dataclass(frozen=True)
class BestRates:
    """The best rate of every width of a sweep, and rate ∝ width^-exponent through them."""

    found: tuple[BestRate, ...]  # by width, rising
    exponent: float
    exponent_interval: tuple[float, float]  # 95%
    means: pd.DataFrame  # d_model, learning_rate, nats: the mean over seeds of each setting
    diverged: int  # runs left out

    @property
    def losses(self) -> pd.DataFrame:
        """Mean loss over seeds: a row a rate, a column a width."""
        return self.means.pivot_table(index="learning_rate", columns="d_model", values="nats")

    def cost(self, width: int, rate: float) -> float:
        """Nats by which a rate is worse than the grid's best at a width, between rates by a line in
        log rate; NaN outside the grid.
        """
        column = self.losses[width].dropna()
        rates = column.index.to_numpy()
        if not rates[0] <= rate <= rates[-1]:
            return float("nan")
        there = np.interp(np.log(rate), np.log(rates), column.to_numpy())
        return float(there - column.min())


@dataclass(frozen=True)
class RateStudy:
    """The runs of `maximal_updates` and the best rates under both parametrisations."""

    store: Store
    records: list[RunRecord]
    runs: pd.DataFrame  # a row a run: kind (STANDARD or MAXIMAL), d_model, learning_rate, nats, ...
    found: dict[str, BestRates]  # by kind

    @property
    def widths(self) -> list[int]:
        """Every width, rising."""
        return [one.width for one in self.found[STANDARD].found]

    @property
    def used(self) -> dict[int, float]:
        """The rate that the rule of the other experiments gives each width."""
        rule = expand(load_experiment("model_size"), self.store.profile)[0].config.optimizer
        return {width: peak_learning_rate(rule, width) for width in self.widths}


def rate_study(store: Store) -> RateStudy:
    """The runs, all of which must have records, and the best rates, which are a finding.

    Raises:
        Missing: a run has no record, or the finding is not there.
        BadInput: the profile has no such runs, or too few for a best rate.
    """
    records = store.load(expand(load_experiment("maximal_updates"), store.profile))
    kinds = [STANDARD if one.config.model.mup_base is None else MAXIMAL for one in records]
    runs = to_table(records).assign(kind=kinds)
    found = finding(
        store,
        "best_rates",
        records,
        ("tinylm.studies.rates", "tinylm.laws.scatter"),
        lambda: {kind: best_rates(runs[runs["kind"] == kind]) for kind in (STANDARD, MAXIMAL)},
    )
    return RateStudy(store=store, records=records, runs=runs, found=found)


def lowest_points(log_rates: Floats, losses: Floats) -> tuple[Floats, list[Place]]:
    """Log rate of the lowest loss of each row (m, r), by a parabola through the lowest point and
    its two neighbours; and where it was found.
    """
    m, r = losses.shape
    best = losses.argmin(axis=1)
    middle = np.clip(best, 1, r - 2)
    rows = np.arange(m)
    x0, x1, x2 = (log_rates[middle + step] for step in (-1, 0, 1))
    y0, y1, y2 = (losses[rows, middle + step] for step in (-1, 0, 1))
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    curvature = (right - left) / (x2 - x0)
    inside = (best == middle) & (curvature > 0)
    curvature = np.where(inside, curvature, 1.0)
    vertex = (x0 + x1) / 2 - left / (2 * curvature)
    places: list[Place] = [
        "inside" if ok else "lowest" if at == 0 else "highest"
        for ok, at in zip(inside, best, strict=True)
    ]
    return np.where(inside, vertex, log_rates[best]), places


def best_rates(runs: pd.DataFrame, n_resamples: int = 1000, rng_seed: int = 0) -> BestRates:
    """The best rate of each width from a table of runs: d_model, learning_rate, seed, and nats, NaN
    for runs that diverged.

    Intervals are by bootstrap: every setting keeps its mean and each run has a deviation drawn from
    those of all runs, as in `tinylm.laws`. A rate with a run that diverged is left out.

    Raises:
        BadInput: a missing column, fewer than 2 widths, a width with fewer than 3 rates, or fewer
            than 4 runs beyond the first of their setting.
    """
    kept = _without_diverged(runs)
    settings = settings_of(
        {name: kept[name].to_numpy(float) for name in COLUMNS[:2]},
        kept["seed"].to_numpy(),
        kept["nats"].to_numpy(float),
    )
    check_repeats(settings)
    rng = np.random.default_rng(rng_seed)
    drawn = np.log(settings.resample(rng, n_resamples, settings.means_of_runs, 1.0))
    means = np.stack([drawn[:, group].mean(axis=1) for group in settings.groups], axis=1)
    table = kept.groupby(COLUMNS[:2])["nats"].agg(["mean", "std"]).reset_index()  # as the groups
    found, draws = [], []
    for width, rows in table.groupby("d_model"):
        here = rows.index.to_numpy()
        log_rates = np.log(rows["learning_rate"].to_numpy(float))
        resampled, _ = lowest_points(log_rates, means[:, here])
        (log_rate,), (place,) = lowest_points(log_rates, settings.means[None, here])
        low, high = np.exp(interval(resampled))
        lowest = rows.iloc[int(rows["mean"].argmin())]
        draws.append(resampled)
        found.append(
            BestRate(
                width=int(str(width)),
                rate=float(np.exp(log_rate)),
                place=place,
                interval=(float(low), float(high)),
                loss=float(lowest["mean"]),
                std=float(lowest["std"]),
            )
        )
    log_widths = np.log([one.width for one in found])
    best = np.log([one.rate for one in found])
    return BestRates(
        found=tuple(found),
        exponent=float(-np.polyfit(log_widths, best, 1)[0]),
        exponent_interval=interval(-np.polyfit(log_widths, np.stack(draws), 1)[0]),
        means=table.rename(columns={"mean": "nats"})[["d_model", "learning_rate", "nats"]],
        diverged=int(runs["nats"].isna().sum()),
    )


def _without_diverged(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of settings none of whose runs diverged, by width, rate and seed.

    Raises:
        BadInput: a missing column, too few widths, or a width with too few rates left.
    """
    if missing := [name for name in COLUMNS if name not in runs]:
        raise BadInput(f"column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")
    whole = runs["nats"].notna().groupby([runs[name] for name in COLUMNS[:2]]).transform("all")
    kept = runs[whole].sort_values(COLUMNS[:3])
    rates = kept.groupby("d_model")["learning_rate"].nunique()
    if len(rates) < 2:
        raise BadInput(f"runs have {len(rates)} different d_model; expected at least 2")
    for width, n in rates.items():
        if n < MIN_RATES:
            raise BadInput(
                f"d_model {width} has {n} rates without a diverged run; expected at least "
                f"{MIN_RATES}"
            )
    return kept
