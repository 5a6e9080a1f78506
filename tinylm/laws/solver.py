"""Fit L = E + A·x^-alpha to many data sets at once: the optimiser, apart from the statistics.

A law is a row (E, a, alpha) with L = E + exp(a - alpha·z), where z is log x less its mean: in this
form the three parameters are far less correlated than E, A and alpha are. All functions take a
batch of such rows, so that a thousand bootstrap fits are one array computation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HUBER_DELTA = 1e-3  # in log loss: residuals beyond 0.1% count linearly (Hoffmann et al. 2022)
ALPHA_BOUNDS = (1e-3, 5.0)
ALPHA_GRID = np.geomspace(*ALPHA_BOUNDS, 30)
MAX_ITERATIONS = 400
STEP_TOLERANCE = 1e-9


@dataclass(frozen=True)
class BatchFit:
    """Fitted rows (m, 3) of (E, a, alpha), their Huber losses (m,) and whether each converged."""

    rows: Array
    objective: Array
    converged: NDArray[np.bool_]


def predict_log(rows: Array, z: Array) -> Array:
    """Log loss of each law (m, 3) at each z (n,): shape (m, n)."""
    return np.log(rows[:, :1] + np.exp(rows[:, 1:2] - rows[:, 2:] * z))


def huber(residual: Array) -> Array:
    """Sum over the last axis of Huber's loss, quadratic up to HUBER_DELTA and linear beyond."""
    size = np.abs(residual)
    inner = 0.5 * residual**2
    outer = HUBER_DELTA * (size - 0.5 * HUBER_DELTA)
    total: Array = np.where(size <= HUBER_DELTA, inner, outer).sum(axis=-1)
    return total


def starts(z: Array, loss: Array, floor: float | None) -> Array:
    """Starting rows (len(ALPHA_GRID), m, 3) for each data set of `loss` (m, n).

    Variable projection: with alpha given, the law is linear in E and A = exp(a), so least squares
    on relative residuals, with E, A >= 0, has a closed form.
    """
    candidates = []
    for alpha in ALPHA_GRID:
        slope = np.exp(-alpha * z) / loss
        level = 1.0 / loss
        if floor is None:
            ss, sl, ll = (slope**2).sum(-1), (slope * level).sum(-1), (level**2).sum(-1)
            s1, l1 = slope.sum(-1), level.sum(-1)
            determinant = np.maximum(ss * ll - sl**2, 1e-300)
            E = np.clip((ss * l1 - sl * s1) / determinant, 0.0, 0.999 * loss.min(-1))
        else:
            E = np.full(len(loss), floor)
        A = (slope * (1.0 - E[:, None] * level)).sum(-1) / (slope**2).sum(-1)
        a = np.log(np.maximum(A, 1e-12))
        candidates.append(np.stack([E, a, np.full_like(E, alpha)], axis=-1))
    return np.stack(candidates)


def descend(z: Array, loss: Array, rows: Array, E_free: bool) -> BatchFit:
    """Minimise Huber's loss of log residuals from `rows` (m, 3) for data `loss` (m, n).

    Damped Newton steps. Huber's own second derivative vanishes beyond delta; the damping adds a
    multiple of the reweighted least-squares matrix, which is always positive and makes large
    damping a small reweighted least-squares step. E >= 0 and ALPHA_BOUNDS hold by projection.
    """
    rows = rows.copy()
    target = np.log(loss)
    objective = huber(predict_log(rows, z) - target)
    damping = np.full(len(rows), 1.0)
    converged = np.zeros(len(rows), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        active = np.flatnonzero(~converged)
        if not len(active):
            break
        current = rows[active]
        trial = _project(current + _step(z, target[active], current, damping[active], E_free))
        value = huber(predict_log(trial, z) - target[active])
        better = value <= objective[active]
        moved = np.abs(trial - current).max(axis=-1)
        rows[active[better]] = trial[better]
        objective[active[better]] = value[better]
        damping[active] = np.clip(np.where(better, 0.2, 10.0) * damping[active], 1e-9, 1e12)
        converged[active] = (moved < STEP_TOLERANCE) & (better | (damping[active] >= 1e6))
    return BatchFit(rows, objective, converged)


def _step(z: Array, target: Array, rows: Array, damping: Array, E_free: bool) -> Array:
    """One damped Newton step (m, 3); parameters held at a bound do not move further out."""
    power = np.exp(rows[:, 1:2] - rows[:, 2:] * z)
    loss = rows[:, :1] + power
    residual = np.log(loss) - target
    jacobian = np.stack([1.0 / loss, power / loss, -z * power / loss], axis=-1)
    size = np.abs(residual)
    gradient = np.einsum("mni,mn->mi", jacobian, np.clip(residual, -HUBER_DELTA, HUBER_DELTA))
    weight = (size <= HUBER_DELTA) + damping[:, None] / np.maximum(1.0, size / HUBER_DELTA)
    matrix = np.einsum("mni,mn,mnj->mij", jacobian, weight, jacobian)
    held = np.zeros_like(rows, dtype=bool)
    held[:, 0] = ((rows[:, 0] <= 0) & (gradient[:, 0] > 0)) | (not E_free)
    low, high = ALPHA_BOUNDS
    held[:, 2] = ((rows[:, 2] <= low) & (gradient[:, 2] > 0)) | (
        (rows[:, 2] >= high) & (gradient[:, 2] < 0)
    )
    matrix[held] = 0.0
    matrix.swapaxes(1, 2)[held] = 0.0
    scale = np.einsum("mii->mi", matrix)
    scale += np.where(held, 1.0, 1e-10 * scale.max(axis=-1, keepdims=True) + 1e-300)
    gradient[held] = 0.0
    step: Array = -np.linalg.solve(matrix, gradient[..., None])[..., 0]
    return np.clip(step, -1.0, 1.0)


def _project(rows: Array) -> Array:
    """Back into E >= 0 and ALPHA_BOUNDS."""
    low, high = ALPHA_BOUNDS
    lower, upper = np.array([0.0, -np.inf, low]), np.array([np.inf, np.inf, high])
    return np.clip(rows, lower, upper)
