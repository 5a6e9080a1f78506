"""How runs scatter: between seeds, and about a law. What all intervals are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import fdtrc

from tinylm.errors import BadInput
from tinylm.laws.solver import ALPHA_BOUNDS, Array, BatchFit, predict_log, terms

COVERAGE = 0.95
NOTHING = 1e-9  # a part of the loss below this share of it is none
STEEPEST_NOISE = (-8.0, 8.0)  # powers of the loss
CHANCE = 0.05  # a misfit less likely than this is the law's fault
SAME_LOSS = 1e-8  # runs of a setting whose log losses differ by less are one run, copied
MIN_REPEATS = 4  # runs beyond the first of their setting, for the spread over seeds to be known


@dataclass(frozen=True)
class FitStatus:
    """How a fit ended."""

    converged: bool
    bounds: tuple[str, ...]  # parameters that rest on a bound, such as "E = 0"
    starts: int
    failed_starts: int  # starts that did not converge


def read_fit(
    fit: BatchFit, z: Array, losses: Array, floor: float | None, names: Sequence[tuple[str, str]]
) -> tuple[Array, FitStatus, float]:
    """The best row of a fit of one data set, how it ended, and its rms residual of log loss.

    `names` holds each term's, such as ("A", "alpha"). E, and the factor of a term, below NOTHING of
    the smallest loss are none: the row's E is then 0, and the status says so.
    """
    best = int(fit.objective.argmin())
    row = fit.rows[best].copy()
    residual = predict_log(row[None], z)[0] - np.log(losses)
    nothing, K = NOTHING * losses.min(), len(names)
    bounds = []
    if floor is None and row[0] < nothing:
        row[0] = 0.0
        bounds.append("E = 0")
    bounds += [f"{A} = 0" for (A, _), a in zip(names, row[1:], strict=False) if np.exp(a) < nothing]
    for (_, alpha), value in zip(names, row[1 + K :], strict=True):
        bounds += [f"{alpha} = {bound:g}" for bound in ALPHA_BOUNDS if value == bound]
    failed = int((~fit.converged).sum())
    status = FitStatus(bool(fit.converged[best]), tuple(bounds), len(fit.rows), failed)
    return row, status, float(np.sqrt(np.mean(residual**2)))


def log_slopes(row: Array, z: Array, *, with_E: bool) -> Array:
    """Derivatives of a law's log loss at z (K, n) by its constants: (n, 2K), or (n, 1 + 2K) with
    that by E first.
    """
    parts = terms(row[None], z)[0]
    loss = row[0] + parts.sum(axis=0)
    columns = [np.ones((1, z.shape[1]))] if with_E else []
    slopes: Array = (np.concatenate([*columns, parts, -z * parts]) / loss).T
    return slopes


@dataclass(frozen=True)
class Misfit:
    """How far the means of settings lie from a law."""

    ratio: float  # root mean square, in units of what seeds explain: about 1 for a law that holds
    by_chance: float  # probability of as much, for the nearest law, if a law of this form holds

    @property
    def widening(self) -> float:
        """Factor by which intervals are wider for it: 1 where it may well be chance."""
        return max(1.0, self.ratio) if self.by_chance < CHANCE else 1.0


@dataclass(frozen=True)
class Settings:
    """Runs that differ only in their seed, together, and their log losses."""

    groups: list[NDArray[np.intp]]  # indices of the runs of each setting
    logs: Array  # (n,), one entry a run

    @property
    def repeats(self) -> int:
        """Runs beyond the first of their setting."""
        return len(self.logs) - len(self.groups)

    @property
    def means(self) -> Array:
        """Mean log loss of each setting."""
        return np.array([self.logs[group].mean() for group in self.groups])

    @property
    def means_of_runs(self) -> Array:
        """Mean log loss of each run's setting: (n,)."""
        found = np.empty(len(self.logs))
        for group, mean in zip(self.groups, self.means, strict=True):
            found[group] = mean
        return found

    @cached_property
    def noise(self) -> Array:
        """Standard deviation of log loss between the runs of each setting."""
        return self.noise_at(np.exp(self.means))

    def noise_at(self, loss: ArrayLike) -> Array:
        """The same where the mean loss is `loss`: s·loss^b, of one s and b for all settings.

        3 seeds alone say too little of a setting's noise, and one number for all would be too small
        for the small models and too large for the large ones. By maximum likelihood.
        """
        scale, power = self._noise_law
        noise: Array = scale * np.exp(power * (np.log(loss) - self.means.mean()))
        return noise

    @cached_property
    def _noise_law(self) -> tuple[float, float]:
        """Noise where log loss is the mean over settings, and the power b."""
        level = self.means - self.means.mean()
        freedom = np.array([len(group) - 1.0 for group in self.groups])
        squares = np.array([((self.logs[g] - self.logs[g].mean()) ** 2).sum() for g in self.groups])
        if squares.sum() <= freedom.sum() * SAME_LOSS**2:
            return 0.0, 0.0

        def variance(power: float) -> float:
            return float((squares * np.exp(-2 * power * level)).sum() / freedom.sum())

        def deviance(power: float) -> float:
            return float(
                np.log(variance(power)) * freedom.sum() + 2 * power * (freedom * level).sum()
            )

        found: Any = minimize_scalar(deviance, bounds=STEEPEST_NOISE, method="bounded")
        return float(np.sqrt(variance(found.x))), float(found.x)

    def misfit(self, fitted: Array, slopes: Array) -> Misfit:
        """How far the means lie from fitted log losses (n,) of a law, whose derivatives by each of
        its k free constants are `slopes` (n, k).

        Whether it is more than chance is judged for the nearest law of this form, by weighted least
        squares (one step), for Huber's fit is not the nearest.
        """
        freedom = len(self.groups) - slopes.shape[1]
        if freedom <= 0 or not self.noise.all():
            return Misfit(1.0, 1.0)
        weight = np.sqrt([len(group) for group in self.groups]) / self.noise
        off = weight * np.array([(self.logs[g] - fitted[g]).mean() for g in self.groups])
        toward = weight[:, None] * slopes[[group[0] for group in self.groups]]
        nearest = off - toward @ np.linalg.lstsq(toward, off, rcond=None)[0]
        return Misfit(
            ratio=float(np.sqrt((off**2).sum() / freedom)),
            by_chance=float(fdtrc(freedom, max(1, self.repeats - 1), (nearest**2).sum() / freedom)),
        )

    def resample(
        self, rng: np.random.Generator, n_resamples: int, around: Array, scale: float
    ) -> Array:
        """Losses (n_resamples, n): the log losses `around` (n,), and for each run a deviation.

        Deviations are drawn from those of all runs, in units of their settings' noise and freed of
        the shrinkage of small groups, and multiplied by the noise here and by `scale`.
        """
        pool = np.concatenate(
            [
                (self.logs[g] - self.logs[g].mean()) * np.sqrt(len(g) / (len(g) - 1)) / sigma
                for g, sigma in zip(self.groups, self.noise, strict=True)
                if len(g) > 1 and sigma > 0
            ]
            or [np.zeros(1)]
        )
        drawn = pool[rng.integers(0, len(pool), size=(n_resamples, len(self.logs)))]
        sigmas = np.empty(len(self.logs))
        for group, sigma in zip(self.groups, self.noise, strict=True):
            sigmas[group] = sigma
        losses: Array = np.exp(around + scale * sigmas * drawn)
        return losses

    def resample_about(
        self, fitted: Array, misfit: Misfit, rng: np.random.Generator, n_resamples: int
    ) -> Array:
        """Losses (n_resamples, n) about fitted log losses (n,) of a law; if it does not hold, about
        the means of the settings, and widened by the misfit.

        Means scatter about a law that holds. Deviations on top of theirs would make the runs of a
        resample scatter more than those measured, by a third in variance for 3 seeds, and Huber's
        fit, which weighs what lies near the law, less sure than it is.
        """
        around = self.means_of_runs if misfit.widening > 1 else fitted
        return self.resample(rng, n_resamples, around, misfit.widening)


def settings_of(
    coordinates: Mapping[str, Array], seeds: NDArray[np.generic], losses: Array
) -> Settings:
    """Runs by their coordinates, such as x, or N and D, each (n,).

    Raises:
        BadInput: seeds of another shape, or a seed given twice in one setting.
    """
    if seeds.shape != losses.shape:
        raise BadInput(f"seed has shape {seeds.shape}; expected {losses.shape}, one a run")
    _, place = np.unique(np.stack(list(coordinates.values())), axis=1, return_inverse=True)
    place = place.reshape(-1)
    ends = np.cumsum(np.bincount(place))[:-1]
    groups = np.split(np.argsort(place, kind="stable"), ends)
    for group in groups:
        if len(np.unique(seeds[group])) < len(group):
            at = ", ".join(f"{name} {values[group[0]]:g}" for name, values in coordinates.items())
            raise BadInput(f"{at} has a seed more than once; expected one run a seed")
    return Settings(groups, np.log(losses))


def check_repeats(settings: Settings) -> None:
    """Raises TinyLMError if too few runs share a setting for the spread over seeds to be known."""
    if settings.repeats < MIN_REPEATS:
        raise BadInput(
            f"{len(settings.logs)} runs have {len(settings.groups)} different settings and so "
            f"{settings.repeats} repeats; intervals need at least {MIN_REPEATS}, with other seeds"
        )


def centred(values: Array) -> tuple[Array, float]:
    """Logs less their mean, and that mean."""
    logs = np.log(values)
    return logs - logs.mean(), float(logs.mean())


def positive(**columns: ArrayLike) -> list[Array]:
    """Columns as arrays of floats, one entry a run.

    Raises:
        BadInput: shapes that differ, or a value that is not finite and positive.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        told = " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise BadInput(f"{told}; expected one of each a run")
    for name, values in arrays.items():
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            advice = "; leave diverged runs out of a fit" if name == "loss" else ""
            raise BadInput(
                f"{name} {values[bad][0]:g} at place {int(bad.argmax())} is not finite and "
                f"positive{advice}"
            )
    return list(arrays.values())


def check_floor(floor: float | None, losses: Array) -> None:
    """Raises TinyLMError if a floor is not below every loss, or is negative."""
    if floor is not None and not 0 <= floor < losses.min():
        raise BadInput(
            f"floor is {floor:g}; expected at least 0 and below the smallest loss {losses.min():g}"
        )


def interval(draws: Array) -> tuple[float, float]:
    """The middle 95% of draws (m,)."""
    low, high = intervals(draws)
    return float(low), float(high)


def intervals(draws: Array) -> tuple[Array, Array]:
    """The middle 95% over the first axis: low and high."""
    outside = 50.0 * (1.0 - COVERAGE)
    low, high = np.percentile(draws, (outside, 100.0 - outside), axis=0)
    return low, high
