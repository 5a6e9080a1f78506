"""Compute-optimal sizes without a surface: isoFLOP parabolas, and the envelope of learning curves.

The first two approaches of Hoffmann et al. 2022; the third is `Surface.optimal`. C = 6·N·D.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput, TinyLMError
from tinylm.laws.scatter import check_repeats, interval, intervals, positive, settings_of
from tinylm.laws.solver import Array

MIN_SIZES = 4  # of a budget: a parabola has three constants
SAME_BUDGET = 0.02  # budgets this near in log C are one: steps are whole


@dataclass(frozen=True)
class Frontier:
    """The best size for each of several budgets, and N = G·C^a through these."""

    flops: Array  # (k,), rising
    N: Array  # (k,)
    loss: Array  # (k,), in the unit of the losses
    exponent: float  # a; that of D is 1 - a
    log_factor: float  # log G
    left_out: tuple[float, ...] = ()  # budgets whose minimum lies outside the sizes tried

    @property
    def D(self) -> Array:
        """Tokens of each budget's best size."""
        tokens: Array = self.flops / (FLOPS_PER_PARAMETER_AND_TOKEN * self.N)
        return tokens

    def optimal_size(self, flops: ArrayLike) -> Array:
        """N at each budget, by the power law."""
        size: Array = np.exp(self.log_factor + self.exponent * np.log(np.asarray(flops, float)))
        return size


@dataclass(frozen=True)
class FrontierWithIntervals:
    """A frontier and those of its bootstrap resamples."""

    frontier: Frontier
    resamples: Array  # (n_resamples, 2): exponent, log G
    failed_resamples: int  # fewer than two budgets with a minimum, or two sizes that win

    @property
    def exponent_interval(self) -> tuple[float, float]:
        """95% interval of a."""
        return interval(self.resamples[:, 0])

    def size_interval(self, flops: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the optimal N at each budget: low and high."""
        return intervals(np.exp(self.log_size_resamples(flops)))

    def log_size_resamples(self, flops: ArrayLike) -> Array:
        """log N of every resample at each budget: (n_resamples, *flops.shape)."""
        logs = np.log(np.asarray(flops, dtype=float))
        exponent, log_factor = self.resamples.T.reshape(2, -1, *[1] * logs.ndim)
        found: Array = log_factor + exponent * logs
        return found


def fit_isoflops(n: ArrayLike, d: ArrayLike, loss: ArrayLike) -> Frontier:
    """A parabola of loss in log N for each budget, and a power law through their minima.

    `n`, `d` and `loss` are (n_runs,); runs whose 6·N·D follow each other within 2% share a budget.
    Budgets that open downwards or have their minimum outside the sizes tried are left out, and
    told.

    Parabolas are biased. Sizes spread evenly in log N over N/w to N·w about the true minimum of an
    exact surface put it off by (alpha - beta)·(log w)²/10 in log N, to leading order (for few sizes
    (alpha - beta)/6 times the ratio of the fourth moment to the second), and more where the sizes
    lie to one side. Equal spreads leave the exponent right, others do not.

    Raises:
        BadInput: a budget with fewer than 4 sizes, fewer than 2 budgets with a minimum, or a
            value that is not finite and positive.
    """
    sizes, tokens, losses = positive(N=n, D=d, loss=loss)
    budgets = _budgets(sizes, tokens)
    logs = [np.log(losses[members])[None] for members in budgets.values()]
    log_n, lowest = _minima(list(budgets.values()), np.log(sizes), logs)
    flops = np.array(list(budgets))
    inside = np.isfinite(log_n[0])
    left_out = tuple(float(budget) for budget in flops[~inside])
    if inside.sum() < 2:
        raise BadInput(
            f"{inside.sum()} of {len(flops)} budgets have their minimum among the sizes tried; a "
            f"power law needs at least 2"
        )
    exponent, log_factor = _line(np.log(flops), log_n[0])
    return Frontier(
        flops=flops[inside],
        N=np.exp(log_n[0][inside]),
        loss=np.exp(lowest[0][inside]),
        exponent=exponent,
        log_factor=log_factor,
        left_out=left_out,
    )


def bootstrap_isoflops(
    n: ArrayLike,
    d: ArrayLike,
    seed: ArrayLike,
    loss: ArrayLike,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> FrontierWithIntervals:
    """`fit_isoflops` with 95% intervals by bootstrap over runs and seeds.

    Resamples keep the mean of each setting (N, D) and draw deviations from those of all runs, as
    `bootstrap_power_law` does, at the budgets of the frontier. What the parabola itself does wrong
    is not in them.

    Raises:
        BadInput: as fit_isoflops; a seed given twice in a setting; fewer than 4 repeats.
    """
    sizes, tokens, losses = positive(N=n, D=d, loss=loss)
    frontier = fit_isoflops(sizes, tokens, losses)
    settings = settings_of({"N": sizes, "D": tokens}, np.asarray(seed), losses)
    check_repeats(settings)
    budgets = _budgets(sizes, tokens)
    rng = np.random.default_rng(rng_seed)
    drawn = np.log(settings.resample(rng, n_resamples, settings.means_of_runs, 1.0))
    kept = [members for flops, members in budgets.items() if flops not in frontier.left_out]
    log_n, _ = _minima(kept, np.log(sizes), [drawn[:, members] for members in kept])
    log_c = np.log(frontier.flops)
    resamples = np.array([_line(log_c, row) for row in log_n])
    good = np.isfinite(resamples).all(axis=1)
    return FrontierWithIntervals(frontier, resamples[good], int((~good).sum()))


@dataclass(frozen=True)
class LearningCurve:
    """Loss of one run along its training, which is that of shorter runs only if the learning rate
    has been brought down at each point.
    """

    N: float
    tokens: Array  # (k,), rising
    loss: Array  # (k,)


def fit_envelope(
    curves: Sequence[LearningCurve], n_budgets: int = 100, edge: float = 0.0
) -> Frontier:
    """For each of `n_budgets` amounts of compute the size whose curve is lowest there, and a power
    law through these.

    Curves are interpolated in log loss over log compute, and are not continued beyond their ends.
    Budgets reach from where the second curve begins to where the last but one ends; the share
    `edge` of that range (in log C) is cut off at both sides, where the smallest and the largest
    size win for want of others.

    Raises:
        BadInput: an edge outside [0, 0.5); curves of fewer than 3 sizes; a curve with fewer than
            2 points, tokens that do not rise or a size that is not positive; all budgets won by one
            size.
    """
    if not 0 <= edge < 0.5:
        raise BadInput(f"edge is {edge:g}; expected at least 0 and below 0.5")
    if (found := len({curve.N for curve in curves})) < 3:
        raise BadInput(f"curves have {found} different sizes; an envelope needs at least 3")
    for curve in curves:
        positive(tokens=curve.tokens, loss=curve.loss)
        positive(N=[curve.N])
        if len(curve.tokens) < 2 or (np.diff(curve.tokens) <= 0).any():
            raise BadInput(f"the curve of N = {curve.N:g} does not have rising tokens")
    logs = [np.log(FLOPS_PER_PARAMETER_AND_TOKEN * c.N * c.tokens) for c in curves]
    low = sorted(log[0] for log in logs)[1]
    high = sorted(log[-1] for log in logs)[-2]
    cut = edge * (high - low)
    budgets = np.linspace(low + cut, high - cut, n_budgets)
    heights = np.stack(
        [
            np.interp(budgets, log, np.log(c.loss), left=np.inf, right=np.inf)
            for log, c in zip(logs, curves, strict=True)
        ]
    )
    best = heights.argmin(axis=0)
    sizes = np.array([curve.N for curve in curves])[best]
    there = np.isfinite(heights.min(axis=0))
    if len(np.unique(sizes[there])) < 2:
        raise BadInput("one size wins at every budget; an envelope needs at least 2")
    exponent, log_factor = _line(budgets[there], np.log(sizes[there]))
    return Frontier(
        flops=np.exp(budgets[there]),
        N=sizes[there],
        loss=np.exp(heights.min(axis=0)[there]),
        exponent=exponent,
        log_factor=log_factor,
    )


def bootstrap_envelope(
    curves: Sequence[LearningCurve],
    n_budgets: int = 100,
    edge: float = 0.0,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> FrontierWithIntervals:
    """`fit_envelope` of the mean curve of each size, with 95% intervals by bootstrap over seeds.

    Curves of one N are runs that differ in their seed and have the same tokens. A resample draws as
    many of them as there are, with replacement, and takes their mean log loss. 3 seeds vary too
    little by a third, so deviations from the mean are multiplied by sqrt(n / (n - 1)).

    Raises:
        BadInput: as fit_envelope; curves of one size at different tokens, or one alone.
    """
    sizes = sorted({curve.N for curve in curves})
    groups = [[curve for curve in curves if size == curve.N] for size in sizes]
    for size, group in zip(sizes, groups, strict=True):
        if len(group) < 2:
            raise BadInput(f"N = {size:g} has one curve; intervals need at least 2 seeds")
        if any(not np.array_equal(group[0].tokens, curve.tokens) for curve in group):
            raise BadInput(f"curves of N = {size:g} differ in their tokens; expected the same")
    logs = [np.log([curve.loss for curve in group]) for group in groups]

    def mean_curves(heights: Sequence[Array]) -> list[LearningCurve]:
        return [
            LearningCurve(size, group[0].tokens, np.exp(height))
            for size, group, height in zip(sizes, groups, heights, strict=True)
        ]

    frontier = fit_envelope(mean_curves([log.mean(axis=0) for log in logs]), n_budgets, edge)
    rng = np.random.default_rng(rng_seed)
    found, failed = [], 0
    for _ in range(n_resamples):
        heights = []
        for log in logs:
            n = len(log)
            off = (log - log.mean(axis=0))[rng.integers(0, n, n)].mean(axis=0)
            heights.append(log.mean(axis=0) + off * np.sqrt(n / (n - 1)))
        try:
            one = fit_envelope(mean_curves(heights), n_budgets, edge)
        except TinyLMError:  # one size wins at every budget
            failed += 1
        else:
            found.append((one.exponent, one.log_factor))
    return FrontierWithIntervals(frontier, np.array(found).reshape(-1, 2), failed)


def _budgets(sizes: Array, tokens: Array) -> dict[float, NDArray[np.intp]]:
    """Runs by budget, rising; its number is the geometric mean of its runs."""
    logs = np.log(FLOPS_PER_PARAMETER_AND_TOKEN * sizes * tokens)
    order = np.argsort(logs, kind="stable")
    breaks = np.flatnonzero(np.diff(logs[order]) > SAME_BUDGET) + 1
    budgets = {}
    for members in np.split(order, breaks):
        flops = float(np.exp(logs[members].mean()))
        if (found := len(np.unique(sizes[members]))) < MIN_SIZES:
            raise BadInput(
                f"the budget of {flops:.3g} FLOPs has {found} sizes; a parabola needs at least "
                f"{MIN_SIZES}"
            )
        budgets[flops] = members
    return budgets


def _minima(
    budgets: Sequence[NDArray[np.intp]], log_sizes: Array, log_losses: Sequence[Array]
) -> tuple[Array, Array]:
    """log N and log loss at each budget's minimum, (m, k) for losses (m, n_b) a budget; nan where
    a parabola has none among its sizes.
    """
    places, lowest = [], []
    for members, logs in zip(budgets, log_losses, strict=True):
        x = log_sizes[members]
        middle = x.mean()
        c2, c1, c0 = np.polynomial.polynomial.polyfit(x - middle, np.exp(logs).T, 2)[::-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.where(c2 > 0, -c1 / (2 * c2), np.nan)
        at[(at < (x - middle).min()) | (at > (x - middle).max())] = np.nan
        places.append(middle + at)
        lowest.append(np.log(c0 + c1 * at + c2 * at**2))
    return np.stack(places, axis=1), np.stack(lowest, axis=1)


def _line(log_c: Array, log_n: Array) -> tuple[float, float]:
    """Exponent and log G through the budgets that have a minimum; nan if fewer than 2 have."""
    there = np.isfinite(log_n)
    if there.sum() < 2:
        return np.nan, np.nan
    exponent, log_factor = np.polyfit(log_c[there], log_n[there], 1)
    return float(exponent), float(log_factor)
