"""Fit L = E + Σ_k A_k·x_k^-alpha_k to many data sets at once: the optimiser, apart from statistics.

With one term this is a power law in x, with two the surface in N and D. A law is a row
(E, a_1 .. a_K, alpha_1 .. alpha_K) with L = E + Σ exp(a_k - alpha_k·z_k), where z_k is log x_k less
its mean: in this form the parameters are far less correlated than E, A and alpha are. All functions
take a batch of such rows, so that a thousand bootstrap fits are one array computation.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HUBER_DELTA = 1e-3  # in log loss: residuals beyond 0.1% count linearly (Hoffmann et al. 2022)
ALPHA_BOUNDS = (1e-3, 5.0)
ALPHA_GRIDS = {1: np.geomspace(*ALPHA_BOUNDS, 30), 2: np.geomspace(0.03, 2.0, 12)}  # by K
MAX_ITERATIONS = 400
STEP_TOLERANCE = 1e-9
NEAR_ZERO = 1e-6  # of E over a middling loss: where the loss falls towards 0, E is put there
SMALLEST = 1e-12  # of a term at the middle of the data over the least loss: as good as none
MANY_RUNS = 2_000  # of more, only so many tell where to descend from
MANY_STARTS = 3  # that are then descended from with all


@dataclass(frozen=True)
class BatchFit:
    """Fitted rows (m, 1 + 2K), their Huber losses (m,) and whether each converged."""

    rows: Array
    objective: Array
    converged: NDArray[np.bool_]


def terms(rows: Array, z: Array) -> Array:
    """The K terms of each law (m, 1 + 2K) at each z (K, n), or its own (m, K, n): (m, K, n)."""
    K = z.shape[-2]
    found: Array = np.exp(rows[:, 1 : 1 + K, None] - rows[:, 1 + K :, None] * z)
    return found


def predict_log(rows: Array, z: Array) -> Array:
    """Log loss of each law (m, 1 + 2K) at each z (K, n): shape (m, n)."""
    total: Array = np.log(rows[:, :1] + terms(rows, z).sum(axis=1))
    return total


def huber(residual: Array, mass: Array | float = 1.0) -> Array:
    """Sum over the last axis of Huber's loss, quadratic up to HUBER_DELTA and linear beyond, of
    each residual as often as its mass says.
    """
    size = np.abs(residual)
    inner = 0.5 * residual**2
    outer = HUBER_DELTA * (size - 0.5 * HUBER_DELTA)
    total: Array = (mass * np.where(size <= HUBER_DELTA, inner, outer)).sum(axis=-1)
    return total


def starts(
    z: Array,
    loss: Array,
    floor: float | None,
    near: Array | None = None,
    mass: Array | None = None,
) -> Array:
    """Starting rows (S, m, 1 + 2K) for each data set of `loss` (m, n), from a grid of exponents; if
    those of a fit to similar data are known, `near` (K,), from these and a third of the grid's.
    `mass` as in `descend`.
    """
    K = len(z)
    axis = ALPHA_GRIDS[K] if near is None else ALPHA_GRIDS[K][1::3]
    grid = [np.array(exponents) for exponents in itertools.product(axis, repeat=K)]
    return np.stack(
        [
            project(z, loss, np.broadcast_to(exponents, (len(loss), K)), floor, mass)
            for exponents in [*grid, *([] if near is None else [near])]
        ]
    )


def project(
    z: Array, loss: Array, exponents: Array, floor: float | None, mass: Array | None = None
) -> Array:
    """The best rows (m, 1 + 2K) with given exponents (m, K), for data sets `loss` (m, n).

    Variable projection: with exponents given, a law is linear in E and the A_k, so least squares on
    relative residuals, each square times its mass (m, n), with E, A_k >= 0, has an exact solution.
    It is that of the normal equations on the best set of coefficients which comes out without a
    negative one.
    """
    m, K = exponents.shape
    # As scipy.optimize.nnls, to 1e-12, but that solves one data set a call: a thousand with 24 runs
    # take it three times as long, and a whole bootstrap of a power law twice.
    free = 0 if floor is None else 1  # the first column that is fitted
    columns = np.concatenate(
        [np.ones((m, 1, len(z[0]))), np.exp(-exponents[:, :, None] * z)], axis=1
    )
    columns = columns / loss[:, None]  # (m, 1 + K, n)
    target = np.ones_like(loss) if floor is None else 1.0 - floor / loss
    weighted = columns if mass is None else columns * mass[:, None]
    gram = weighted @ columns.swapaxes(1, 2)
    right = (weighted @ target[..., None])[..., 0]
    found = np.zeros((m, 1 + K))
    gain = np.zeros(m)  # how far the sum of squares falls below that of no column
    for chosen in _subsets(range(free, 1 + K)):
        solved = _solve(gram[:, chosen][:, :, chosen], right[:, chosen])
        its_gain = np.where((solved >= 0).all(axis=1), (solved * right[:, chosen]).sum(axis=1), 0)
        better = its_gain > gain
        gain[better] = its_gain[better]
        found[better] = 0.0
        found[np.ix_(np.flatnonzero(better), np.array(chosen))] = solved[better]
    E = (
        np.full(m, floor)
        if floor is not None
        else np.minimum(found[:, 0], 0.999 * loss.min(axis=1))
    )
    least = SMALLEST * loss.min(axis=1, keepdims=True)
    return np.column_stack([E, np.log(np.maximum(found[:, 1:], least)), exponents])


def descend(
    z: Array,
    loss: Array,
    rows: Array,
    *,
    fixed: Sequence[int] = (),
    mass: Array | None = None,
) -> BatchFit:
    """Minimise Huber's loss of log residuals from `rows` (m, 1 + 2K) for data `loss` (m, n) at `z`
    (K, n), or (m, K, n) if each data set has its own; each residual counts as often as its `mass`
    (m, n) says, once if not given.

    Damped Newton steps. Huber's own second derivative vanishes beyond delta; the damping adds a
    multiple of the reweighted least-squares matrix, which is always positive and makes large
    damping a small reweighted least-squares step. E >= 0 and ALPHA_BOUNDS hold by projection;
    columns of `rows` named in `fixed` stay as they are.
    """
    K, given = z.shape[-2], rows
    unit = np.median(np.log(loss), axis=1, keepdims=True)  # steps are of the size of losses near 1
    rows = np.column_stack(
        [rows[:, :1] / np.exp(unit), rows[:, 1 : 1 + K] - unit, rows[:, 1 + K :]]
    )
    target = np.log(loss) - unit
    counted = np.broadcast_to(1.0, loss.shape) if mass is None else mass
    objective = huber(predict_log(rows, z) - target, mass=counted)
    damping = np.full(len(rows), 1.0)
    converged = np.zeros(len(rows), dtype=bool)
    for _ in range(MAX_ITERATIONS):
        active = np.flatnonzero(~converged)
        if not len(active):
            break
        current, here = rows[active], z if z.ndim == 2 else z[active]
        aim, often = target[active], counted[active]
        trial = _into_bounds(
            current + _step(here, aim, often, current, damping[active], list(fixed))
        )
        value = huber(predict_log(trial, here) - aim, mass=often)
        better = value <= objective[active]
        moved = np.abs(trial - current).max(axis=-1)
        rows[active[better]] = trial[better]
        objective[active[better]] = value[better]
        damping[active] = np.clip(np.where(better, 0.2, 10.0) * damping[active], 1e-9, 1e12)
        converged[active] = (moved < STEP_TOLERANCE) & (better | (damping[active] >= 1e6))
    rows[:, :1] *= np.exp(unit)
    rows[:, 1 : 1 + K] += unit
    rows[:, list(fixed)] = given[:, list(fixed)]  # to the last bit
    return BatchFit(rows, objective, converged)


def descend_from_all(z: Array, loss: Array, floor: float | None) -> BatchFit:
    """`descend` from every start of one data set (n,); with many runs, from the best that some of
    them tell.
    """
    if len(loss) > MANY_RUNS:
        some = np.random.default_rng(0).choice(len(loss), MANY_RUNS, replace=False)
        first = descend_from_all(z[:, some], loss[some], floor)
        rows = first.rows[np.argsort(first.objective)[:MANY_STARTS]]
    else:
        rows = starts(z, loss[None], floor)[:, 0]
    repeated = np.broadcast_to(loss, (len(rows), len(loss)))
    return descend(z, repeated, rows, fixed=[] if floor is None else [0])


def descend_from_best(
    z: Array, loss: Array, floor: float | None, near: Array, mass: Array | None = None
) -> BatchFit:
    """Descend from the best start of each data set (m, n), all alike one whose exponents are `near`
    (K,); `mass` as in `descend`.
    """
    rows = starts(z, loss, floor, near, mass)
    counted = 1.0 if mass is None else mass
    quality = np.stack(
        [huber(predict_log(start, z) - np.log(loss), mass=counted) for start in rows]
    )
    best = rows[quality.argmin(axis=0), np.arange(len(loss))]
    return descend(z, loss, best, fixed=[] if floor is None else [0], mass=mass)


def one_step(slopes: Array, residual: Array, gradients: Array) -> Array:
    """How far about the minimum of each of many data sets lies from that of one which is like them:
    a Newton step (m, P), exact but for terms of 1/n.

    `slopes` (P, n) are of the law's log loss by its constants, `residual` (n,) its misses of the
    one data set, `gradients` (m, P) those of the data sets' Huber losses by the constants. How
    dense residuals are where Huber's derivative turns is told by those near zero.
    """
    size = np.abs(residual)
    near = max(HUBER_DELTA, float(np.median(size)) * len(residual) ** -0.2)
    matrix = (slopes * (size <= near)) @ slopes.T * (HUBER_DELTA / near)
    return cast(Array, -np.linalg.solve(matrix, gradients.T).T)


def pull(residual: Array) -> Array:
    """Derivative of Huber's loss by the residual."""
    return np.clip(residual, -HUBER_DELTA, HUBER_DELTA)


def _subsets(columns: Sequence[int]) -> list[list[int]]:
    """All sets of columns but the empty one."""
    sizes = range(1, len(columns) + 1)
    return [list(some) for size in sizes for some in itertools.combinations(columns, size)]


def _solve(gram: Array, right: Array) -> Array:
    """Solutions (m, k) of gram (m, k, k) · x = right (m, k), each column scaled to one."""
    scale = np.sqrt(np.einsum("mii->mi", gram))
    scaled = gram / (scale[:, :, None] * scale[:, None])
    scaled += 1e-14 * np.eye(gram.shape[1])  # two columns alike: share them
    solved: Array = np.linalg.solve(scaled, (right / scale)[..., None])[..., 0] / scale
    return solved


def _step(
    z: Array,
    target: Array,
    mass: Array,
    rows: Array,
    damping: Array,
    fixed: list[int],
) -> Array:
    """One damped Newton step (m, 1 + 2K); parameters at a bound do not move further out."""
    K = z.shape[-2]
    parts = terms(rows, z)
    loss = rows[:, :1] + parts.sum(axis=1)
    residual = np.log(loss) - target
    shares = parts / loss[:, None]
    jacobian = np.concatenate([1.0 / loss[:, None], shares, -z * shares], axis=1)
    size = np.abs(residual)
    gradient = (jacobian @ (mass * pull(residual))[..., None])[..., 0]
    pulls_back = size <= HUBER_DELTA
    weight = mass * (pulls_back + damping[:, None] / np.maximum(1.0, size / HUBER_DELTA))
    matrix = (jacobian * weight[:, None]) @ jacobian.swapaxes(1, 2)
    lower, upper = _bounds(K)
    at_lower = rows <= lower + np.array([NEAR_ZERO, *[0.0] * 2 * K])
    at_upper = rows >= upper
    held = (at_lower & (gradient > 0)) | (at_upper & (gradient < 0))
    held[:, fixed] = True
    step = _newton(matrix, gradient, held)
    # The matrix may turn a step outwards where the slope does not: that stops the others short.
    held |= (at_lower & (step < 0)) | (at_upper & (step > 0))
    step = _newton(matrix, gradient, held)
    if 0 not in fixed:
        step[held[:, 0], 0] = -rows[held[:, 0], 0]  # onto the bound
    return np.clip(step, -1.0, 1.0)


def _newton(matrix: Array, gradient: Array, held: NDArray[np.bool_]) -> Array:
    """The Newton step (m, P) of matrix (m, P, P) and gradient (m, P), none where held."""
    matrix = np.where(held[:, :, None] | held[:, None], 0.0, matrix)
    scale = np.einsum("mii->mi", matrix)
    scale += np.where(held, 1.0, 1e-10 * scale.max(axis=-1, keepdims=True) + 1e-300)
    slope = np.where(held, 0.0, gradient)
    return cast(Array, -np.linalg.solve(matrix, slope[..., None])[..., 0])


def _bounds(K: int) -> tuple[Array, Array]:
    """Of a row: E >= 0 and ALPHA_BOUNDS."""
    low, high = ALPHA_BOUNDS
    lower = np.array([0.0, *[-np.inf] * K, *[low] * K])
    upper = np.array([np.inf, *[np.inf] * K, *[high] * K])
    return lower, upper


def _into_bounds(rows: Array) -> Array:
    """Back into the bounds."""
    return np.clip(rows, *_bounds(rows.shape[1] // 2))
