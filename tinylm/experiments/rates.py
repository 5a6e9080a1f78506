"""The best learning rate of each width, from sweeps over rates: where it lies and how surely."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tinylm.errors import InputError
from tinylm.laws.scatter import check_repeats, interval, settings_of

Floats = NDArray[np.float64]
Place = Literal["inside", "lowest", "highest"]
COLUMNS = ["d_model", "learning_rate", "seed", "nats"]
MIN_RATES = 3  # of a width: a parabola has three constants


@dataclass(frozen=True)
class BestRate:
    """The learning rate with the lowest loss at one width."""

    width: int
    rate: float  # the lowest point of a parabola in log rate; at an end of the grid that end
    place: Place  # inside the grid, or at its lowest or highest rate, which then bounds the best
    interval: tuple[float, float]  # 95%, of the rate
    loss: float  # nats a token: the lowest mean over seeds
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
    losses: pd.DataFrame  # mean loss over seeds: a row a rate, a column a width
    diverged: int  # runs left out

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
        InputError: a missing column, fewer than 2 widths, a width with fewer than 3 rates, or fewer
            than 4 runs beyond the first of their setting.
    """
    if missing := [name for name in COLUMNS if name not in runs]:
        raise InputError(f"column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")
    diverged = int(runs["nats"].isna().sum())
    whole = runs.groupby(["d_model", "learning_rate"])["nats"].transform(
        lambda nats: nats.notna().all()
    )
    kept = runs[whole.astype(bool)].sort_values(["d_model", "learning_rate", "seed"])
    widths = sorted(int(width) for width in kept["d_model"].unique())
    if len(widths) < 2:
        raise InputError(f"runs have {len(widths)} different d_model; expected at least 2")
    settings = settings_of(
        {"d_model": kept["d_model"].to_numpy(float), "rate": kept["learning_rate"].to_numpy(float)},
        kept["seed"].to_numpy(),
        kept["nats"].to_numpy(float),
    )
    check_repeats(settings)
    rng = np.random.default_rng(rng_seed)
    drawn = np.log(settings.resample(rng, n_resamples, settings.means_of_runs, 1.0))
    first = kept.iloc[[group[0] for group in settings.groups]]  # one run of each setting
    means = np.stack([drawn[:, group].mean(axis=1) for group in settings.groups], axis=1)
    measured = settings.means
    found, draws = [], []
    for width in widths:
        mine = np.flatnonzero(first["d_model"] == width)
        rates = first["learning_rate"].to_numpy(float)[mine]
        if len(rates) < MIN_RATES:
            raise InputError(
                f"d_model {width} has {len(rates)} rates without a diverged run; expected at least "
                f"{MIN_RATES}"
            )
        (log_rate,), (place,) = lowest_points(np.log(rates), measured[None, mine])
        resampled, _ = lowest_points(np.log(rates), means[:, mine])
        draws.append(resampled)
        low, high = interval(resampled)
        best = kept[kept["d_model"] == width].groupby("learning_rate")["nats"].agg(["mean", "std"])
        lowest = best.iloc[int(best["mean"].argmin())]
        found.append(
            BestRate(
                width=width,
                rate=float(np.exp(log_rate)),
                place=place,
                interval=(float(np.exp(low)), float(np.exp(high))),
                loss=float(lowest["mean"]),
                std=float(lowest["std"]),
            )
        )
    log_widths = np.log(widths)
    slopes = -np.polyfit(log_widths, np.stack(draws), 1)[0]
    return BestRates(
        found=tuple(found),
        exponent=float(-np.polyfit(log_widths, np.log([one.rate for one in found]), 1)[0]),
        exponent_interval=interval(slopes),
        losses=kept.pivot_table(index="learning_rate", columns="d_model", values="nats"),
        diverged=diverged,
    )
