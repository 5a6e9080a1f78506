"""The surface of the loss over N and D, its intervals, and the best N for a budget.

All forms of `tinylm.laws.forms` are one surface: the sum L = E + A/N^alpha + B/D^beta, the sum
raised to a power, Kaplan's, and the one with two ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws.forms import (
    SUM,
    Form,
    descend_bent,
    descend_bent_all,
    formula,
    log_slopes_bent,
    loss_of_rows,
    told_form,
)
from tinylm.laws.scatter import (
    MIN_REPEATS,
    SAME_LOSS,
    FitStatus,
    Misfit,
    Settings,
    centred,
    check_floor,
    interval,
    intervals,
    positive,
    read_fit,
    settings_of,
)
from tinylm.laws.solver import (
    ALPHA_BOUNDS,
    HUBER_DELTA,
    MANY_RUNS,
    Array,
    BatchFit,
    descend_from_all,
    descend_from_best,
    huber,
    one_step,
    predict_log,
    project,
    pull,
    starts,
    terms,
)

NAMES = ("E", "A", "alpha", "B", "beta", "g")
NO_OPTIMUM = {"A = 0", "B = 0"}
# Rms distance of log N and log D from a line. In 40 simulated tables each, 95% intervals of the
# exponents held the truth in 70 to 78% at 0.006, 88% at 0.02, and 95% at 0.047.
OFF_LINE = 0.05
CHUNK = 500  # resamples that are fitted at a time
CHUNK_RUNS = 2_000_000  # and the runs that they have in all
Method = Literal["newton", "lbfgs", "projection"]
Drawn = Literal["seeds", "settings"]


@dataclass(frozen=True)
class Optimum:
    """The best use of a compute budget."""

    flops: float  # 6·N·D
    N: float
    D: float
    loss: float

    @property
    def tokens_per_parameter(self) -> float:
        """D / N."""
        return self.D / self.N


@dataclass(frozen=True)
class Surface:
    """L(N, D) = E + Q^g / (1 + Q^g/(U - E)), Q = A·N^-alpha + B·D^-beta, with g = 1 and an infinite
    U but for the forms that say otherwise. E, U and L are in nats per token if the losses were.
    """

    E: float  # loss that neither size nor data go below
    A: float
    alpha: float
    B: float
    beta: float
    status: FitStatus
    n_points: int
    residual_rms: float  # of log loss: about the relative error of a run
    g: float = 1.0
    form: Form = SUM

    @property
    def constants(self) -> Array:
        """(6,): E, A, alpha, B, beta, g."""
        return np.array([self.E, self.A, self.alpha, self.B, self.beta, self.g])

    @property
    def formula(self) -> str:
        """L(N, D) with the constants filled in."""
        return formula(self.form, self.constants)

    def loss(self, n: ArrayLike, d: ArrayLike) -> Array:
        """Loss at each (N, D), which are broadcast against each other."""
        sizes, tokens = np.asarray(n, dtype=float), np.asarray(d, dtype=float)
        return _loss(self.constants, sizes, tokens, self.form)

    def optimal(self, flops: float) -> Optimum:
        """The N and D with the lowest loss among those with 6·N·D = flops.

        Raises:
            BadInput: flops that are not positive, or a surface that lacks a term and so has no
                optimum.
        """
        if not flops > 0:
            raise BadInput(f"flops is {flops:g}; expected a positive number")
        if not self.has_optimum:
            missing = next(bound for bound in self.status.bounds if bound in NO_OPTIMUM)
            raise BadInput(f"a surface with {missing} has no optimal N")
        n, d, loss = _optimal(self.constants, np.array(flops), self.form)
        return Optimum(float(flops), float(n), float(d), float(loss))

    @property
    def has_optimum(self) -> bool:
        """Whether loss depends on N and on D, so that a budget has a best N."""
        return not NO_OPTIMUM & set(self.status.bounds)

    @property
    def size_exponent(self) -> float:
        """a of the optimal N ∝ C^a; the optimal D is ∝ C^(1 - a)."""
        return self.beta / (self.alpha + self.beta)


@dataclass(frozen=True)
class SurfaceWithIntervals:
    """A surface and the surfaces of its bootstrap resamples."""

    surface: Surface
    resamples: Array  # (n_resamples, 6): E, A, alpha, B, beta, g
    misfit: float  # scatter of the settings' means about it, in units of what seeds explain
    widening: float  # of the intervals for it; 1 where the misfit may well be chance
    drawn_from: Drawn  # what the resamples scatter by
    failed_resamples: int  # fits of resamples that did not converge

    def interval(self, name: str) -> tuple[float, float]:
        """95% interval of a constant, or of `size_exponent`.

        Raises:
            BadInput: another name.
        """
        draws = dict(zip(NAMES, self.resamples.T, strict=True))
        draws["size_exponent"] = draws["beta"] / (draws["alpha"] + draws["beta"])
        if name not in draws:
            raise BadInput(f"constant {name!r}; expected one of {', '.join(draws)}")
        return interval(draws[name])

    def loss_interval(self, n: ArrayLike, d: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the surface (the mean over seeds) at each (N, D): low and high."""
        return intervals(self.loss_resamples(n, d))

    def loss_resamples(self, n: ArrayLike, d: ArrayLike) -> Array:
        """Loss of every resample's surface at each (N, D): (n_resamples, *shape)."""
        sizes, tokens = np.broadcast_arrays(np.asarray(n, float), np.asarray(d, float))
        constants = self.resamples.T.reshape(len(NAMES), -1, *[1] * sizes.ndim)
        return _loss(constants, sizes, tokens, self.surface.form)

    def optimal_resamples(self, flops: ArrayLike) -> tuple[Array, Array, Array]:
        """Optimal N, D and loss of every resample at each budget: (n_resamples, *flops.shape)."""
        budgets = np.asarray(flops, dtype=float)
        constants = self.resamples.T.reshape(len(NAMES), -1, *[1] * budgets.ndim)
        return _optimal(constants, budgets, self.surface.form)


def fit_surface(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    floor: float | None = None,
    method: Method = "newton",
    form: Form = SUM,
) -> Surface:
    """Fit the surface to runs: Huber loss (delta 1e-3) of log residuals (Hoffmann et al. 2022).

    `n`, `d` and `loss` are (n_runs,). E >= 0 is fitted if `floor` is None, else it is `floor`.
    Forms other than the sum are descended to from the sum that fits best, by
    `tinylm.laws.forms.descend_bent`; `method` is that sum's.
    Three searches for the same minimum, so that one can vouch for another:

    - "newton" descends by damped Newton steps from a grid of exponents, all starts at once;
    - "lbfgs" runs L-BFGS-B from each of them, as the papers do, on an objective scaled so that its
      tolerance is not met too early (the mistake that Besiroglu et al. 2024 found);
    - "projection" searches over the two exponents alone. With these given, E, A and B are exact.

    Raises:
        BadInput: runs at fewer than 3 different N or D, at fewer different (N, D) than constants
            and one, or with log N and log D on one line; a value that is not finite and positive; a
            floor outside [0, smallest loss).
    """
    sizes, tokens, losses = _check(n, d, loss, floor, form)
    searches: dict[Method, Callable[[Array, Array, float | None], BatchFit]] = {
        "newton": _by_newton,
        "lbfgs": _by_lbfgs,
        "projection": _by_projection,
    }
    if method not in searches:
        raise BadInput(f"method {method!r}; expected one of {', '.join(searches)}")
    z, shifts = _log_axes(sizes, tokens)
    fit = searches[method](z, losses, floor)
    row, status, rms = read_fit(fit, z, losses, floor, [("A", "alpha"), ("B", "beta")])
    row = np.append(row, 1.0)
    if form.name != "sum":
        row, status, rms = descend_bent(form, z, losses, floor, row)
    E, A, alpha, B, beta, g = (float(value) for value in _constants(row[None], shifts)[0])
    return Surface(
        E=E,
        A=0.0 if "A = 0" in status.bounds else A,
        alpha=alpha,
        B=0.0 if "B = 0" in status.bounds else B,
        beta=beta,
        status=status,
        n_points=len(losses),
        residual_rms=rms,
        g=g,
        form=form,
    )


def bootstrap_surface(
    n: ArrayLike,
    d: ArrayLike,
    seed: ArrayLike | None,
    loss: ArrayLike,
    floor: float | None = None,
    n_resamples: int = 1000,
    rng_seed: int = 0,
    form: Form = SUM,
) -> SurfaceWithIntervals:
    """Fit the surface and give its constants and predictions 95% intervals by bootstrap.

    Where settings (N, D) have runs of several seeds, resamples are made as those of
    `bootstrap_power_law`, with a setting for its x. Where they have not (a table without seeds,
    fewer than 4 repeats, or seeds that are copies of one run), each resample gives the settings
    random weights (Rubin 1981), so that every resample has all sizes and amounts of data, and
    nothing is supposed of the noise; the misfit is then 1 by definition. Weights have a mean of 1
    and a variance of n / (n - constants), as residuals are smaller than errors.

    More runs than MANY_RUNS are not fitted anew in every resample: a Newton step is as good.

    Raises:
        BadInput: as fit_surface; a seed given twice at one (N, D).
    """
    sizes, tokens, losses = _check(n, d, loss, floor, form)
    surface = fit_surface(sizes, tokens, losses, floor, form=form)
    rng = np.random.default_rng(rng_seed)
    z, shifts = _log_axes(sizes, tokens)
    misfit = Misfit(1.0, 1.0)
    drawn_from: Drawn = "settings"
    places = {"N": sizes, "D": tokens}
    by_seed = settings_of(places, np.asarray(seed), losses) if seed is not None else None
    if by_seed is not None and by_seed.repeats >= MIN_REPEATS and by_seed.noise.all():
        fitted, drawn_from = np.log(surface.loss(sizes, tokens)), "seeds"
        row = _row(surface, shifts)
        slopes = log_slopes_bent(form, row, z)[:, form.told(floor, row)]
        misfit = by_seed.misfit(fitted, slopes)
        drawn = _by_seeds(by_seed, fitted, misfit, rng, n_resamples)
    else:
        settings = settings_of(places, np.arange(len(losses)), losses)
        n_constants = len(form.free(floor))
        drawn = _by_weights(settings, losses, n_constants, rng, n_resamples)
    rows, converged = _fit_resamples(z, losses, drawn, floor, _row(surface, shifts), form)
    return SurfaceWithIntervals(
        surface=surface,
        resamples=_constants(rows, shifts),
        misfit=misfit.ratio,
        widening=misfit.widening,
        drawn_from=drawn_from,
        failed_resamples=int((~converged).sum()),
    )


Resamples = Iterator[tuple[Array, Array]]  # losses, and how often each counts: both (m, n)


def _chunks(n_resamples: int, n_runs: int) -> Iterator[int]:
    """How many resamples to make at a time."""
    size = max(1, min(CHUNK, CHUNK_RUNS // n_runs))
    for begin in range(0, n_resamples, size):
        yield min(size, n_resamples - begin)


def _by_seeds(
    settings: Settings, fitted: Array, misfit: Misfit, rng: np.random.Generator, n_resamples: int
) -> Resamples:
    for size in _chunks(n_resamples, len(fitted)):
        drawn = settings.resample_about(fitted, misfit, rng, size)
        yield drawn, np.ones_like(drawn)


def _by_weights(
    settings: Settings, losses: Array, n_constants: int, rng: np.random.Generator, n_resamples: int
) -> Resamples:
    place = np.empty(len(losses), dtype=int)
    for number, group in enumerate(settings.groups):
        place[group] = number
    n = len(settings.groups)
    shape = (n - n_constants) / n  # of a gamma distribution: the variance of its ratio to its mean
    for size in _chunks(n_resamples, len(losses)):
        weights = rng.gamma(shape, 1 / shape, size=(size, n))
        weights /= weights.mean(axis=1, keepdims=True)
        yield np.broadcast_to(losses, (size, len(losses))), weights[:, place]


def _fit_resamples(
    z: Array, losses: Array, resamples: Resamples, floor: float | None, row: Array, form: Form
) -> tuple[Array, NDArray[np.bool_]]:
    """Rows of all resamples, and whether each fit converged."""
    form = told_form(form, row)
    if len(losses) > MANY_RUNS:
        fitted = np.log(loss_of_rows(form, row[None], z))
        slopes, residual = log_slopes_bent(form, row, z).T, fitted[0] - np.log(losses)
        pulls = (mass * pull(fitted - np.log(drawn)) for drawn, mass in resamples)
        gradients = np.concatenate([some @ slopes.T for some in pulls])
        rows = np.repeat(row[None], len(gradients), axis=0)
        told = form.told(floor, row)
        rows[:, told] += one_step(slopes[told], residual, gradients[:, told])
        if floor is None and row[0] == 0 and 0 in form.free(floor):  # E may rise from its bound
            with_E = [0, *told]
            steps = one_step(slopes[with_E], residual, gradients[:, with_E])
            for place, step in zip(with_E, steps.T, strict=True):
                rows[:, place] = np.where(steps[:, 0] > 0, row[place] + step, rows[:, place])
        return form.into_bounds(rows), np.ones(len(rows), dtype=bool)
    if form.name != "sum":
        return descend_bent_all(form, z, resamples, floor, row)
    fits = [descend_from_best(z, drawn, floor, row[3:5], mass) for drawn, mass in resamples]
    rows = np.concatenate([fit.rows for fit in fits])
    converged = np.concatenate([fit.converged for fit in fits])
    return np.column_stack([rows, np.ones(len(rows))]), converged


def _row(surface: Surface, shifts: Array) -> Array:
    """The row (6,) of a surface: E, a, b, alpha, beta, g."""
    exponents = np.array([surface.alpha, surface.beta])
    with np.errstate(divide="ignore"):  # A or B may be 0
        factors = np.log([surface.A, surface.B])
    return np.array([surface.E, *(factors - exponents * shifts), *exponents, surface.g])


def _loss(constants: Array, n: Array, d: Array, form: Form) -> Array:
    E, A, alpha, B, beta, g = constants
    return form.loss(A * n**-alpha + B * d**-beta, E, g)


def _optimal(constants: Array, flops: Array, form: Form) -> tuple[Array, Array, Array]:
    """Hoffmann et al. 2022, eq. 4: where the loss rises with Q, its least is where Q's is."""
    _, A, alpha, B, beta, _ = constants
    product = flops / FLOPS_PER_PARAMETER_AND_TOKEN
    log_n = (np.log(alpha * A) - np.log(beta * B) + beta * np.log(product)) / (alpha + beta)
    with np.errstate(over="ignore"):  # of exponents near zero
        n = np.exp(log_n)
    d = product / n
    return n, d, _loss(constants, n, d, form)


def _log_axes(sizes: Array, tokens: Array) -> tuple[Array, Array]:
    """log N and log D less their means (2, n), and the means (2,)."""
    (z_n, shift_n), (z_d, shift_d) = centred(sizes), centred(tokens)
    return np.stack([z_n, z_d]), np.array([shift_n, shift_d])


def _constants(rows: Array, shifts: Array) -> Array:
    """(m, 6) of E, A, alpha, B, beta, g from rows (m, 6) about the middle of the data."""
    E, a, b, alpha, beta, g = rows.T
    with np.errstate(over="ignore"):
        A, B = np.exp(a + alpha * shifts[0]), np.exp(b + beta * shifts[1])
    return np.column_stack([E, A, alpha, B, beta, g])


def _by_newton(z: Array, losses: Array, floor: float | None) -> BatchFit:
    return descend_from_all(z, losses, floor)


def _by_lbfgs(z: Array, losses: Array, floor: float | None) -> BatchFit:
    target = np.log(losses)

    def objective(row: Array) -> tuple[float, Array]:
        parts = terms(row[None], z)[0]
        loss = row[0] + parts.sum(axis=0)
        residual = np.log(loss) - target
        pull = np.clip(residual, -HUBER_DELTA, HUBER_DELTA) / loss
        gradient = np.concatenate([[pull.sum()], parts @ pull, -(z * parts) @ pull])
        return float(huber(residual)) / HUBER_DELTA**2, gradient / HUBER_DELTA**2

    E = (0.0, 0.9999 * float(losses.min())) if floor is None else (floor, floor)
    highest = float(target.max()) + 5.0  # of a term's log at the middle: far above any loss
    bounds: Any = [E, (None, highest), (None, highest), ALPHA_BOUNDS, ALPHA_BOUNDS]
    found = [
        minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={
            "maxiter": 5000, "maxfun": 10000, "ftol": 1e-12, "gtol": 1e-8,
        })
        for start in starts(z, losses[None], floor)[:, 0]
    ]  # fmt: skip
    return BatchFit(
        np.stack([one.x for one in found]),
        np.array([one.fun for one in found]) * HUBER_DELTA**2,
        np.array([one.status == 0 for one in found]),
    )


def _by_projection(z: Array, losses: Array, floor: float | None) -> BatchFit:
    """Nelder & Mead over log alpha and log beta from the best start of the grid."""
    grid = starts(z, losses[None], floor)[:, 0]
    target = np.log(losses)

    def solve(log_exponents: Array) -> tuple[Array, float]:
        """The row of these exponents: least squares, reweighted until it is Huber's minimum."""
        exponents = np.clip(np.exp(log_exponents), *ALPHA_BOUNDS)[None]
        row, best = project(z, losses[None], exponents, floor), np.inf
        for _ in range(60):
            ratio = np.exp(predict_log(row, z)[0] - target)
            residual = np.log(ratio)
            value = float(huber(residual))
            if value > best * (1 - 1e-12):
                break
            best = value
            # weights for which the least squares' stationary point is that of Huber's loss
            off = np.where(np.abs(ratio - 1) < 1e-12, 1.0, (ratio - 1) * ratio)
            pull = np.clip(residual, -HUBER_DELTA, HUBER_DELTA)
            weight = np.where(np.abs(ratio - 1) < 1e-12, 1.0, pull / off)
            row = project(z, losses[None], exponents, floor, weight[None])
        return row[0], float(huber(predict_log(row, z)[0] - target))

    first = grid[huber(predict_log(grid, z) - target).argmin(), 3:]

    def value(log_exponents: Array) -> float:
        return solve(log_exponents)[1] / HUBER_DELTA**2

    options: Any = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000}
    found: Any = minimize(value, np.log(first), method="Nelder-Mead", options=options)
    row, least = solve(found.x)
    return BatchFit(row[None], np.array([least]), np.array([bool(found.success)]))


def _check(
    n: ArrayLike, d: ArrayLike, loss: ArrayLike, floor: float | None, form: Form
) -> tuple[Array, Array, Array]:
    sizes, tokens, losses = positive(N=n, D=d, loss=loss)
    for name, values in (("N", sizes), ("D", tokens)):
        if (found := len(np.unique(values))) < 3:
            raise BadInput(f"{name} has {found} different values; a surface needs at least 3")
    places = np.unique(np.stack([sizes, tokens]), axis=1)
    needed = len(form.free(floor)) + 1
    if places.shape[1] < needed:
        raise BadInput(
            f"runs have {places.shape[1]} different (N, D); this surface needs at least {needed}"
        )
    _check_line(np.log(places))
    check_floor(floor, losses)
    form.check(losses, floor)
    if losses.max() <= losses.min() * (1 + SAME_LOSS):
        raise BadInput(f"all losses are {losses[0]:g}; a surface needs them to differ")
    return sizes, tokens, losses


def _check_line(logs: Array) -> None:
    """Raises BadInput if log N and log D (2, n) lie on one line, or nearly."""
    _, size, axes = np.linalg.svd((logs - logs.mean(axis=1, keepdims=True)).T, full_matrices=False)
    if (off := float(size[1]) / np.sqrt(logs.shape[1])) < OFF_LINE:
        slope = float(axes[0, 1] / axes[0, 0])
        line = (
            "one budget 6·N·D" if abs(slope + 1) < OFF_LINE else f"D proportional to N^{slope:.2g}"
        )
        raise BadInput(
            f"log N and log D of the runs lie on one line ({line}, to within {100 * off:.2g} %), "
            f"on which no fit can tell their terms apart; a surface needs both varied"
        )
