"""How runs scatter: between seeds, and about a law. What all intervals are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinylm.errors import InputError
from tinylm.laws.solver import Array

COVERAGE = 0.95
MIN_REPEATS = 4  # runs beyond the first of their setting, for the spread over seeds to be known


@dataclass(frozen=True)
class FitStatus:
    """How a fit ended."""

    converged: bool
    bounds: tuple[str, ...]  # parameters that rest on a bound, such as "E = 0"
    starts: int
    failed_starts: int  # starts that did not converge


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
    def pure_error(self) -> float:
        """Pooled variance of log loss between runs of one setting."""
        squares = sum(((self.logs[g] - self.logs[g].mean()) ** 2).sum() for g in self.groups)
        return float(squares) / self.repeats

    @property
    def deviations(self) -> Array:
        """Of runs from the mean of their setting, freed of the shrinkage of small groups."""
        repeated = [self.logs[group] for group in self.groups if len(group) > 1]
        return np.concatenate([(g - g.mean()) * np.sqrt(len(g) / (len(g) - 1)) for g in repeated])

    def misfit(self, fitted: Array, n_free: int) -> float:
        """Root of (scatter of the means about fitted log losses (n,)) over (what seeds explain)."""
        lack = sum(len(g) * (self.logs[g] - fitted[g]).mean() ** 2 for g in self.groups)
        pure, freedom = self.pure_error, len(self.groups) - n_free
        return float(np.sqrt(lack / freedom / pure)) if pure > 0 and freedom > 0 else 1.0

    def resample(self, rng: np.random.Generator, n_resamples: int, scale: float) -> Array:
        """Losses (n_resamples, n): the mean of each setting, and for each run a deviation drawn
        from those of all, times `scale`.
        """
        deviations = scale * self.deviations
        drawn = deviations[rng.integers(0, len(deviations), size=(n_resamples, len(self.logs)))]
        for group in self.groups:
            drawn[:, group] += self.logs[group].mean()
        losses: Array = np.exp(drawn)
        return losses


def settings_of(
    coordinates: Sequence[Array], seeds: NDArray[np.generic], losses: Array
) -> Settings:
    """Runs by their coordinates, such as (x,) or (N, D), each (n,).

    Raises:
        InputError: seeds of another shape, or a seed given twice in one setting.
    """
    if seeds.shape != losses.shape:
        raise InputError(f"seed has shape {seeds.shape}; expected {losses.shape} as x")
    _, place = np.unique(np.stack(coordinates), axis=1, return_inverse=True)
    place = place.reshape(-1)
    groups = [np.flatnonzero(place == i) for i in range(place.max() + 1)]
    for group in groups:
        if len(np.unique(seeds[group])) < len(group):
            at = ", ".join(f"{values[group[0]]:g}" for values in coordinates)
            raise InputError(f"x {at} has a seed more than once; expected one run a seed")
    return Settings(groups, np.log(losses))


def check_repeats(settings: Settings) -> None:
    """Raises InputError if too few runs share a setting for the spread over seeds to be known."""
    if settings.repeats < MIN_REPEATS:
        raise InputError(
            f"{len(settings.logs)} runs at {len(settings.groups)} different x repeat an x "
            f"{settings.repeats} times; intervals need at least {MIN_REPEATS} repeats with other "
            f"seeds"
        )


def centred(values: Array) -> tuple[Array, float]:
    """Logs less their mean, and that mean."""
    logs = np.log(values)
    return logs - logs.mean(), float(logs.mean())


def positive(**columns: ArrayLike) -> list[Array]:
    """Columns as arrays of floats, one entry a run.

    Raises:
        InputError: shapes that differ, or a value that is not finite and positive.
    """
    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        told = " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise InputError(f"{told}; expected one of each a run")
    for name, values in arrays.items():
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise InputError(
                f"{name} {values[bad][0]:g} at place {int(bad.argmax())} is not finite and "
                f"positive; leave diverged runs out of a fit"
            )
    return list(arrays.values())


def check_floor(floor: float | None, losses: Array) -> None:
    """Raises InputError if a floor is not below every loss, or is negative."""
    if floor is not None and not 0 <= floor < losses.min():
        raise InputError(
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
