"""The law of a learning curve under any schedule of the learning rate, at one model size.

Of the rates η_1 .. η_t that a run has had, with S = Σ η its rate summed over its tokens:

- summed rate: L = E + A·S^-alpha, which knows nothing of when the rate was high;
- annealing (Tissue et al. 2024): L = E + A·S^-alpha - B·Σ_i Σ_{k≤i} (η_{k-1} - η_k)·decay^(i-k),
  where B is kept over 1 - decay, in nats;
- multi-power (Luo et al. 2025): L = E + A·S^-alpha - B·Σ_k (η_{k-1} - η_k)·G(η_k^-gamma·S_k), with
  S_k the rate summed since step k and G(x) = 1 - (1 + C·x)^-beta.

Rates are in units of a run's largest, and S in tokens at that rate. A warm-up counts in S; that the
rate rises there gives the second term nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from tinylm.errors import BadInput
from tinylm.laws.solver import HUBER_DELTA, Array

Integers = NDArray[np.int64]

MIN_POINTS = 10
DECAYS = (0.9, 0.99, 0.999)  # of annealing a step, where a fit starts from
ALPHAS = (0.15, 0.3, 0.6)
GAINS = (0.03, 0.3)  # B in nats, likewise


@dataclass(frozen=True)
class Curve:
    """What a run measured on its way."""

    rates: Array  # (steps,): of each step, over the largest
    batch_tokens: int
    steps: Array  # (n,): after which the loss was taken, from 1 on
    losses: Array  # (n,): nats per token


@dataclass(frozen=True)
class ScheduleLaw:
    """A law of learning curves, fitted."""

    form: str
    constants: dict[str, float]  # by name; E and B in nats
    residual_rms: float  # of log loss, on the curves that it was fitted to

    def losses(self, curve: Curve) -> Array:
        """What it says of a curve where that was measured."""
        values = np.array([self.constants[name] for name in NAMES[self.form]])
        found: Array = FORMS[self.form](values, curve)
        return found


def _summed(curve: Curve) -> Array:
    """(n,): the rate summed over the tokens up to each measurement."""
    total: Array = np.cumsum(curve.rates)[curve.steps.astype(int) - 1] * curve.batch_tokens
    return total


def _falls(curve: Curve) -> tuple[Integers, Array]:
    """The steps, counted from 0, from whose predecessors the rate fell, and by how much."""
    fall = -np.diff(curve.rates, prepend=curve.rates[0])
    at = np.flatnonzero(fall > 0)
    return at, fall[at]


def _summed_rate(values: Array, curve: Curve) -> Array:
    E, A, alpha = values
    found: Array = E + A * _summed(curve) ** -alpha
    return found


def _annealing(values: Array, curve: Curve) -> Array:
    *power, B, decay = values
    at, fall = _falls(curve)
    ages = curve.steps[:, None] - at  # steps since each fall, itself counted
    gained = (1 - decay ** np.maximum(ages, 0)) @ fall
    found: Array = _summed_rate(np.array(power), curve) - B * gained
    return found


def _multi_power(values: Array, curve: Curve) -> Array:
    *power, B, beta, C, gamma = values
    at, fall = _falls(curve)
    at, fall = (
        at[curve.rates[at] > 0],
        fall[curve.rates[at] > 0],
    )  # a step of no length does nothing
    before = np.concatenate([[0.0], np.cumsum(curve.rates)])
    since = (before[curve.steps.astype(int)][:, None] - before[at]) * curve.batch_tokens
    x = C * np.maximum(since, 0.0) * curve.rates[at] ** -gamma
    gained = (1 - (1 + x) ** -beta) @ fall
    found: Array = _summed_rate(np.array(power), curve) - B * gained
    return found


FORMS: dict[str, Callable[[Array, Curve], Array]] = {
    "summed rate": _summed_rate,
    "annealing": _annealing,
    "multi-power": _multi_power,
}
NAMES = {
    "summed rate": ("E", "A", "alpha"),
    "annealing": ("E", "A", "alpha", "B", "decay"),
    "multi-power": ("E", "A", "alpha", "B", "beta", "C", "gamma"),
}
BOUNDS = {
    "E": (0.0, np.inf),
    "A": (0.0, np.inf),
    "alpha": (0.01, 3.0),
    "B": (0.0, np.inf),
    "decay": (0.5, 0.99999),
    "beta": (0.01, 5.0),
    "C": (1e-9, 1.0),
    "gamma": (-2.0, 3.0),
}


def fit_schedule_law(curves: Sequence[Curve], form: str) -> ScheduleLaw:
    """The law of a form nearest to some curves: Huber's loss of the residuals of the log loss, from
    the best of several starts.

    Raises:
        BadInput: another form, or fewer than MIN_POINTS measurements.
    """
    if form not in FORMS:
        raise BadInput(f"form {form!r}: expected one of {', '.join(FORMS)}")
    n = sum(len(curve.losses) for curve in curves)
    if n < MIN_POINTS:
        raise BadInput(f"{n} measurements of learning curves: expected at least {MIN_POINTS}")
    measured = np.log(np.concatenate([curve.losses for curve in curves]))
    law, names = FORMS[form], NAMES[form]
    lower, upper = (np.array([BOUNDS[name][end] for name in names]) for end in (0, 1))

    def residuals(values: Array) -> Array:
        said = np.concatenate([law(values, curve) for curve in curves])
        off: Array = np.log(np.maximum(said, 1e-6)) - measured
        return off

    fits = [
        least_squares(
            residuals, start, bounds=(lower, upper), x_scale=np.maximum(np.abs(start), 1e-3),
            loss="huber", f_scale=HUBER_DELTA, max_nfev=400,
        )
        for start in _starts(curves, form)
    ]  # fmt: skip
    best = min(fits, key=lambda fit: float(fit.cost))
    off = residuals(best.x)
    return ScheduleLaw(
        form, dict(zip(names, map(float, best.x), strict=True)), float((off**2).mean() ** 0.5)
    )


def _starts(curves: Sequence[Curve], form: str) -> list[Array]:
    """A power law in the summed rate by least squares for each exponent, and some second terms."""
    x = np.concatenate([_summed(curve) for curve in curves])
    y = np.concatenate([curve.losses for curve in curves])
    most = float(x.max())
    starts = []
    for alpha in ALPHAS:
        slope, level = np.polyfit(x**-alpha, y, 1)
        E, A = float(np.clip(level, 0.01, y.min())), max(float(slope), 1e-6)
        if form == "summed rate":
            starts.append(np.array([E, A, alpha]))
            continue
        for B in GAINS:
            if form == "annealing":
                starts += [np.array([E, A, alpha, B, decay]) for decay in DECAYS]
            else:
                starts += [
                    np.array([E, A, alpha, B, beta, C, 0.5])
                    for beta in (0.3, 1.0)
                    for C in (10 / most, 200 / most)
                ]
    return starts
