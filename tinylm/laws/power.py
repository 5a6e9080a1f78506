"""One-variable power laws L = E + A·x^-alpha, their intervals, and how well they predict."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import fdtrc, stdtrit

from tinylm.errors import BadInput
from tinylm.laws.scatter import (
    COVERAGE,
    FitStatus,
    Misfit,
    Settings,
    centred,
    check_floor,
    check_repeats,
    interval,
    intervals,
    log_slopes,
    positive,
    read_fit,
    settings_of,
)
from tinylm.laws.solver import Array, descend_from_all, descend_from_best


@dataclass(frozen=True)
class PowerLaw:
    """L(x) = E + A·x^-alpha. E and L are in nats per token if the losses were."""

    E: float  # loss no x goes below
    A: float
    alpha: float
    status: FitStatus
    n_points: int
    residual_rms: float  # of log loss: about the relative error of a run

    def loss(self, x: ArrayLike) -> Array:
        """Loss at each x, in the shape of x."""
        return self.E + self.excess(x)

    def excess(self, x: ArrayLike) -> Array:
        """Loss above E at each x, in the shape of x."""
        return self.A * np.asarray(x, dtype=float) ** -self.alpha

    def __str__(self) -> str:
        """'L = 1.79 + 41.3 / x^0.368 (24 runs, residuals 1.66 %)'."""
        floor = f"{self.E:.3g} + " if self.E else ""
        return (
            f"L = {floor}{self.A:.3g} / x^{self.alpha:.3f} "
            f"({self.n_points} runs, residuals {100 * self.residual_rms:.2f} %)"
        )


@dataclass(frozen=True)
class PowerLawWithIntervals:
    """A law and the laws of its bootstrap resamples."""

    law: PowerLaw
    resamples: Array  # (n_resamples, 3): E, A, alpha
    misfit: float  # scatter of the sizes' means about the law, in units of what seeds explain
    widening: float  # of the intervals for it; 1 where the misfit may well be chance
    failed_resamples: int  # fits of resamples that did not converge

    @property
    def E_interval(self) -> tuple[float, float]:
        """95% interval of E."""
        return interval(self.resamples[:, 0])

    @property
    def A_interval(self) -> tuple[float, float]:
        """95% interval of A."""
        return interval(self.resamples[:, 1])

    @property
    def alpha_interval(self) -> tuple[float, float]:
        """95% interval of alpha."""
        return interval(self.resamples[:, 2])

    def loss(self, x: ArrayLike) -> Array:
        """Loss at each x, in the shape of x."""
        return self.law.loss(x)

    def loss_interval(self, x: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the law's loss (the mean over seeds) at each x: low and high."""
        return intervals(self.loss_resamples(x))

    def loss_resamples(self, x: ArrayLike) -> Array:
        """Loss of every resample's law at each x: (n_resamples, *x.shape)."""
        points = np.asarray(x, dtype=float)
        E, A, alpha = (column.reshape(-1, *[1] * points.ndim) for column in self.resamples.T)
        curves: Array = E + A * points**-alpha
        return curves


@dataclass(frozen=True)
class HeldOut:
    """What a law fitted without the largest x said of it, and what was measured there."""

    x: float
    predicted: float
    interval: tuple[float, float]  # 95%, for the mean of n_runs new runs at x
    actual: float  # mean of the runs at x
    actual_std: float  # over those runs; nan for one run
    n_runs: int
    relative_error: float  # predicted / actual - 1
    fit: PowerLawWithIntervals  # the law without the largest x


def fit_power_law(x: ArrayLike, loss: ArrayLike, floor: float | None = None) -> PowerLaw:
    """Fit L = E + A·x^-alpha to runs: Huber loss of log residuals (Hoffmann et al. 2022, eq. 10).

    `x` and `loss` are (n,), one entry a run. E >= 0 is fitted if `floor` is None, else it is
    `floor`: the entropy where that is known, or 0 for a pure power law (Kaplan et al. 2020). The
    search descends from the best E and A at each of a grid of alphas and keeps the lowest end.

    Raises:
        BadInput: fewer than 4 different x (3 with a given floor); a value that is not finite and
            positive, as the loss of a diverged run; a floor outside [0, smallest loss).
    """
    sizes, losses = _check(x, loss, floor)
    return _fit(sizes, losses, floor)


def bootstrap_power_law(
    x: ArrayLike,
    seed: ArrayLike,
    loss: ArrayLike,
    floor: float | None = None,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> PowerLawWithIntervals:
    """Fit the law and give every constant and prediction a 95% interval by bootstrap over runs.

    `x`, `seed` and `loss` are (n,), one entry a run. A resample is the fitted law, and each run has
    a deviation drawn, with replacement, from the deviations of all runs from the means of their x,
    in units of the noise at that x: 3 seeds alone say too little of their spread. Three corrections
    make the intervals honest:

    - n runs vary about their own mean too little by (n - 1)/n, a third for 3 seeds: deviations are
      multiplied by sqrt(n / (n - 1)).
    - Small models may differ more between seeds than large ones. The noise of log loss is taken to
      be a power of the loss (`Settings.noise_at`).
    - Seeds say nothing of how far the law itself is wrong. If the means at each x scatter about the
      law S times as much as the seeds explain, and that is more than chance would do in one study
      of twenty, resamples keep these means, and deviations grow by S. (The Particle Data Group
      takes every S > 1, which makes intervals too wide where the law holds.) S is kept as `misfit`.

    Coverage measured on 300 synthetic studies a case (8 sizes over two decades, 3 seeds), of E,
    alpha and the loss at the largest size; `tinylm.bench.coverage` measures it on our grids:

    - the law holds: 94 to 95%.
    - noise that falls eightfold, or rises threefold, with size: 93 to 96%.
    - every size deviates from the law by some 0.2%: 89 to 91%. Without S two thirds.
    - half of the noise is common to the runs of a seed, as a shared data order may make it: the
      loss at the largest size 89%, the constants 97% and more.
    - a true E of 0, which estimates cannot err below: alpha and the loss at the largest size 88 to
      90%.

    Raises:
        BadInput: as fit_power_law; a seed given twice at one x; fewer than
            4 runs beyond the first at their x.
    """
    sizes, losses = _check(x, loss, floor)
    settings = settings_of({"x": sizes}, np.asarray(seed), losses)
    check_repeats(settings)
    law = _fit(sizes, losses, floor)
    z, shift = centred(sizes)
    with np.errstate(divide="ignore"):  # A may be 0
        row = np.array([law.E, np.log(law.A) - law.alpha * shift, law.alpha])
    slopes = log_slopes(row, z[None], with_E=floor is None and law.E > 0)
    fitted = np.log(law.loss(sizes))
    misfit = settings.misfit(fitted, slopes)
    rng = np.random.default_rng(rng_seed)
    drawn = settings.resample_about(fitted, misfit, rng, n_resamples)
    fit = descend_from_best(z[None], drawn, floor, near=np.array([law.alpha]))
    E, a, alpha = fit.rows.T
    resamples = np.stack([E, np.exp(a + alpha * shift), alpha], axis=-1)
    return PowerLawWithIntervals(
        law, resamples, misfit.ratio, misfit.widening, int((~fit.converged).sum())
    )


def predict_mean(
    fit: PowerLawWithIntervals, settings: Settings, x: float, n_runs: int, rng_seed: int = 1
) -> tuple[float, tuple[float, float]]:
    """The mean loss of `n_runs` runs that are still to be made at x, and its 95% interval.

    The interval holds the uncertainty of the law and the scatter of that mean, taken from the
    spread of the runs that were fitted, `settings`; a law that holds covers in 95% of studies.
    """
    predicted = float(fit.loss(x))
    spread = settings.noise_at(predicted) / np.sqrt(n_runs) * fit.widening
    rng = np.random.default_rng(rng_seed)
    draws = fit.loss_resamples(x)
    return predicted, interval(draws * np.exp(spread * rng.standard_normal(len(draws))))


def held_out(
    x: ArrayLike,
    seed: ArrayLike,
    loss: ArrayLike,
    floor: float | None = None,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> HeldOut:
    """Fit the law without the largest x and compare its prediction there with the runs.

    The interval is that of `predict_mean`.

    Raises:
        BadInput: as bootstrap_power_law, of the runs without the largest x.
    """
    sizes, losses = _check(x, loss, floor)
    seeds = np.asarray(seed)
    last = sizes == sizes.max()
    fit = bootstrap_power_law(
        sizes[~last], seeds[~last], losses[~last], floor, n_resamples, rng_seed
    )
    actual, n = losses[last], int(last.sum())
    smaller = settings_of({"x": sizes[~last]}, seeds[~last], losses[~last])
    predicted, bounds = predict_mean(fit, smaller, sizes.max(), n, rng_seed + 1)
    return HeldOut(
        x=float(sizes.max()),
        predicted=predicted,
        interval=bounds,
        actual=float(actual.mean()),
        actual_std=float(actual.std(ddof=1)) if n > 1 else float("nan"),
        n_runs=n,
        relative_error=predicted / float(actual.mean()) - 1.0,
        fit=fit,
    )


def local_exponents(
    x: ArrayLike, seed: ArrayLike, loss: ArrayLike, floor: float = 0.0
) -> pd.DataFrame:
    """Slopes -d log(L - floor) / d log x between neighbouring x, with 95% intervals from the spread
    of the seeds: a row a pair, in rising x, with x (the geometric mean), exponent, low, high.

    Runs of one x are averaged first (mean log loss). A pure power law above the floor has one slope
    everywhere; any other law bends.

    Raises:
        BadInput: fewer than 2 different x; a value that is not finite and positive; a floor that
            is negative or not below every loss; a seed given twice at one x; fewer than 4 runs
            beyond the first at their x.
    """
    if (found := len(np.unique(positive(x=x, loss=loss)[0]))) < 2:
        raise BadInput(f"x has {found} different values; a slope needs at least 2")
    unique, logs, errors, repeats = _log_excess(x, seed, loss, floor)
    gaps = np.diff(np.log(unique))
    slopes = -np.diff(logs) / gaps
    half = stdtrit(repeats, (1 + COVERAGE) / 2) * np.hypot(errors[1:], errors[:-1])
    return pd.DataFrame(
        {
            "x": np.sqrt(unique[1:] * unique[:-1]),
            "exponent": slopes,
            "low": slopes - half / gaps,
            "high": slopes + half / gaps,
        }
    )


Runs = tuple[ArrayLike, ArrayLike, ArrayLike, float]  # x, seed, loss: an entry a run; and a floor


@dataclass(frozen=True)
class ExponentGap:
    """By how much one exponent is above another."""

    gap: float
    interval: tuple[float, float]  # 95%
    misfit: float  # scatter of the ratios about a power of x, in units of what seeds explain


def exponent_gap(one: Runs, other: Runs) -> ExponentGap:
    """The exponent of one set of runs less that of another.

    The ratio of two losses above their floors is a power of x, of the difference of the exponents.
    Where both bend alike that shows in neither, so that the gap is known better than the exponents
    are. By weighted least squares of the mean log ratio at every x that both have; the interval is
    from the spread of the seeds, widened by the misfit where that is more than chance.

    Raises:
        BadInput: as local_exponents, of either; fewer than 2 different x in common.
    """
    (x_a, log_a, error_a, repeats_a), (x_b, log_b, error_b, repeats_b) = (
        _log_excess(*part) for part in (one, other)
    )
    common, at_a, at_b = np.intersect1d(x_a, x_b, return_indices=True)
    if len(common) < 2:
        raise BadInput(f"the runs have {len(common)} x in common; a gap needs at least 2")
    ratio = log_a[at_a] - log_b[at_b]
    error = np.hypot(error_a[at_a], error_b[at_b])
    z = np.log(common)
    known = bool(error.all())  # else seeds agree to the last digit, and tell no noise
    weight = 1 / error**2 if known else np.ones_like(error)
    z = z - np.average(z, weights=weight)
    pull = weight * z / (weight * z**2).sum()
    gap = -float((pull * ratio).sum())
    off = ratio - np.average(ratio, weights=weight) + gap * z
    freedom, repeats = len(common) - 2, repeats_a + repeats_b
    misfit = Misfit(1.0, 1.0)
    if known and freedom:
        square = float((weight * off**2).sum()) / freedom
        misfit = Misfit(square**0.5, float(fdtrc(freedom, repeats, square)))
    spread = float(np.sqrt(((pull * error) ** 2).sum()))
    half = float(stdtrit(repeats, (1 + COVERAGE) / 2)) * spread * misfit.widening
    return ExponentGap(gap, (gap - half, gap + half), misfit.ratio)


def _log_excess(
    x: ArrayLike, seed: ArrayLike, loss: ArrayLike, floor: float
) -> tuple[Array, Array, Array, int]:
    """Rising x, log of the mean loss above the floor there and its standard error, and repeats."""
    sizes, losses = positive(x=x, loss=loss)
    check_floor(floor, losses)
    settings = settings_of({"x": sizes}, np.asarray(seed), losses)
    check_repeats(settings)
    means = np.exp(settings.means)
    counts = np.array([len(group) for group in settings.groups])
    errors = settings.noise * means / (means - floor) / np.sqrt(counts)
    return np.unique(sizes), np.log(means - floor), errors, settings.repeats


def _fit(sizes: Array, losses: Array, floor: float | None) -> PowerLaw:
    z, shift = centred(sizes)
    fit = descend_from_all(z[None], losses, floor)
    row, status, rms = read_fit(fit, z[None], losses, floor, [("A", "alpha")])
    E, a, alpha = (float(value) for value in row)
    return PowerLaw(
        E=E,
        A=0.0 if "A = 0" in status.bounds else float(np.exp(a + alpha * shift)),
        alpha=alpha,
        status=status,
        n_points=len(losses),
        residual_rms=rms,
    )


def _check(x: ArrayLike, loss: ArrayLike, floor: float | None) -> tuple[Array, Array]:
    sizes, losses = positive(x=x, loss=loss)
    needed = 4 if floor is None else 3
    if (found := len(np.unique(sizes))) < needed:
        raise BadInput(f"x has {found} different values; this law needs at least {needed}")
    check_floor(floor, losses)
    return sizes, losses
