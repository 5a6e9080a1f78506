"""The surface L(N, D) = E + A/N^alpha + B/D^beta, its intervals, and the best N for a budget."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.stats import f as f_distribution

from tinylm.cost import FLOPS_PER_PARAMETER_AND_TOKEN
from tinylm.errors import BadInput
from tinylm.laws.scatter import (
    COVERAGE,
    MIN_REPEATS,
    NOTHING,
    FitStatus,
    Misfit,
    centred,
    check_floor,
    interval,
    intervals,
    log_slopes,
    positive,
    read_fit,
    settings_of,
)
from tinylm.laws.solver import (
    ALPHA_BOUNDS,
    HUBER_DELTA,
    Array,
    BatchFit,
    descend,
    descend_from_all,
    descend_from_best,
    huber,
    predict_log,
    project,
    starts,
    terms,
)

NAMES = ("E", "A", "alpha", "B", "beta")
NO_OPTIMUM = {"A = 0", "B = 0"}
LEAST_SQUARES = 1e9  # a Huber delta that no residual reaches
CHUNK = 500  # resamples that are fitted at a time
Method = Literal["newton", "lbfgs", "projection"]
Profiled = Literal["E", "alpha", "beta"]


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
    """L(N, D) = E + A·N^-alpha + B·D^-beta. E and L are in nats a token if the losses were."""

    E: float  # loss that neither size nor data go below
    A: float
    alpha: float
    B: float
    beta: float
    status: FitStatus
    n_points: int
    residual_rms: float  # of log loss: about the relative error of a run

    @property
    def constants(self) -> Array:
        """(5,): E, A, alpha, B, beta."""
        return np.array([self.E, self.A, self.alpha, self.B, self.beta])

    def loss(self, n: ArrayLike, d: ArrayLike) -> Array:
        """Loss at each (N, D), which are broadcast against each other."""
        return _loss(self.constants, np.asarray(n, dtype=float), np.asarray(d, dtype=float))

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
        n, d, loss = _optimal(self.constants, np.array(flops))
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
    resamples: Array  # (n_resamples, 5): E, A, alpha, B, beta
    misfit: float  # scatter of the settings' means about it, in units of what seeds explain
    widening: float  # of the intervals for it; 1 where the misfit may well be chance
    drawn_from: Literal["seeds", "residuals"]  # what the resamples scatter by
    failed_resamples: int  # fits of resamples that did not converge

    def interval(self, name: str) -> tuple[float, float]:
        """95% interval of a constant, or of `size_exponent`.

        Raises:
            BadInput: another name.
        """
        E, A, alpha, B, beta = self.resamples.T
        draws = dict(zip(NAMES, (E, A, alpha, B, beta), strict=True))
        draws["size_exponent"] = beta / (alpha + beta)
        if name not in draws:
            raise BadInput(f"constant {name!r}; expected one of {', '.join(draws)}")
        return interval(draws[name])

    def loss_interval(self, n: ArrayLike, d: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the surface (the mean over seeds) at each (N, D): low and high."""
        return intervals(self.loss_resamples(n, d))

    def loss_resamples(self, n: ArrayLike, d: ArrayLike) -> Array:
        """Loss of every resample's surface at each (N, D): (n_resamples, *shape)."""
        sizes, tokens = np.broadcast_arrays(np.asarray(n, float), np.asarray(d, float))
        constants = self.resamples.T.reshape(5, -1, *[1] * sizes.ndim)
        return _loss(constants, sizes, tokens)

    def optimal_resamples(self, flops: ArrayLike) -> tuple[Array, Array, Array]:
        """Optimal N, D and loss of every resample at each budget: (n_resamples, *flops.shape)."""
        budgets = np.asarray(flops, dtype=float)
        return _optimal(self.resamples.T.reshape(5, -1, *[1] * budgets.ndim), budgets)


def fit_surface(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    floor: float | None = None,
    method: Method = "newton",
) -> Surface:
    """Fit the surface to runs: Huber loss (delta 1e-3) of log residuals (Hoffmann et al. 2022).

    `n`, `d` and `loss` are (n_runs,). E >= 0 is fitted if `floor` is None, else it is `floor`.
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
    sizes, tokens, losses = _check(n, d, loss, floor)
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
    E, A, alpha, B, beta = (float(value) for value in _constants(row[None], shifts)[0])
    return Surface(
        E=E,
        A=0.0 if "A = 0" in status.bounds else A,
        alpha=alpha,
        B=0.0 if "B = 0" in status.bounds else B,
        beta=beta,
        status=status,
        n_points=len(losses),
        residual_rms=rms,
    )


def bootstrap_surface(
    n: ArrayLike,
    d: ArrayLike,
    seed: ArrayLike | None,
    loss: ArrayLike,
    floor: float | None = None,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> SurfaceWithIntervals:
    """Fit the surface and give its constants and predictions 95% intervals by bootstrap.

    Where settings (N, D) have runs of several seeds, resamples are made as those of
    `bootstrap_power_law`, with a setting for its x. Where they have not (a table without seeds, or
    fewer than 4 repeats), each resample is the fitted surface with residuals drawn from those of
    all runs, multiplied by sqrt(n / (n - constants)); the misfit is then 1 by definition.

    Raises:
        BadInput: as fit_surface; a seed given twice at one (N, D).
    """
    sizes, tokens, losses = _check(n, d, loss, floor)
    surface = fit_surface(sizes, tokens, losses, floor)
    rng = np.random.default_rng(rng_seed)
    fitted = np.log(surface.loss(sizes, tokens))
    with_E = floor is None and surface.E > 0
    z, shifts = _log_axes(sizes, tokens)
    exponents = np.array([surface.alpha, surface.beta])
    settings, misfit = None, Misfit(1.0, 1.0)
    if seed is not None:
        settings = settings_of({"N": sizes, "D": tokens}, np.asarray(seed), losses)
    if settings is not None and settings.repeats >= MIN_REPEATS:
        with np.errstate(divide="ignore"):  # A or B may be 0
            factors = np.log([surface.A, surface.B])
        row = np.array([surface.E, *(factors - exponents * shifts), *exponents])
        misfit = settings.misfit(fitted, log_slopes(row, z, with_E=with_E))
        drawn = settings.resample_about(fitted, misfit, rng, n_resamples)
    else:
        settings, n_runs = None, len(losses)
        n_free = 4 + with_E
        residuals = (np.log(losses) - fitted) * np.sqrt(n_runs / (n_runs - n_free))
        drawn = np.exp(fitted + rng.choice(residuals, size=(n_resamples, n_runs)))
    fits = [
        descend_from_best(z, drawn[begin : begin + CHUNK], floor, near=exponents)
        for begin in range(0, n_resamples, CHUNK)
    ]
    return SurfaceWithIntervals(
        surface=surface,
        resamples=np.concatenate([_constants(fit.rows, shifts) for fit in fits]),
        misfit=misfit.ratio,
        widening=misfit.widening,
        drawn_from="seeds" if settings else "residuals",
        failed_resamples=sum(int((~fit.converged).sum()) for fit in fits),
    )


def profile_interval(
    n: ArrayLike,
    d: ArrayLike,
    loss: ArrayLike,
    name: Profiled,
    floor: float | None = None,
) -> tuple[float, float]:
    """95% interval of a constant by profile likelihood, of the means over seeds.

    The constant is held at a row of values and the others are fitted by least squares of log
    residuals, in units of the noise of their settings where repeats tell it. The interval ends
    where the sum of squares is 1 + F(1, k)/k times its minimum, with k settings less constants: the
    residuals, the surface's own faults among them, tell the noise. An end that lies beyond what is
    tried is the last that is: for E 0 or nearly the smallest loss, for exponents ALPHA_BOUNDS.

    Raises:
        BadInput: as fit_surface; a constant without a profile, such as E with a given floor.
    """
    column = {"E": 0, "alpha": 3, "beta": 4}.get(name)
    if column is None or (name == "E" and floor is not None):
        raise BadInput(f"constant {name!r} has no profile; expected E (if fitted), alpha or beta")
    sizes, tokens, losses = _check(n, d, loss, floor)
    settings = settings_of({"N": sizes, "D": tokens}, np.arange(len(losses)), losses)
    first = [group[0] for group in settings.groups]
    z, _ = _log_axes(sizes[first], tokens[first])
    means = np.exp(settings.means)[None]
    weight = settings.weights
    fit = descend_from_all(z, means[0], floor, LEAST_SQUARES, weight)
    best = fit.rows[fit.objective.argmin()]
    freedom = len(first) - (4 if floor is not None else 5)
    limit = float(fit.objective.min()) * (1 + f_distribution.ppf(COVERAGE, 1, freedom) / freedom)
    held = [column] if floor is None else [0, column]

    def value(points: Array) -> Array:
        """The least sum of squares with the constant at each of the points."""
        rows = np.repeat(best[None], len(points), axis=0)
        rows[:, column] = points
        repeated = np.broadcast_to(means, (len(points), means.shape[1]))
        fits = descend(z, repeated, rows, fixed=held, delta=LEAST_SQUARES, weight=weight)
        return fits.objective

    low, high = (0.0, 0.999 * means.min()) if name == "E" else ALPHA_BOUNDS
    start = float(best[column])
    if name == "E" and start / means.min() < NOTHING:
        start = 0.0
    return (
        _crossing(value, start, low, limit),
        _crossing(value, start, high, limit),
    )


def _crossing(value: Callable[[Array], Array], start: float, end: float, limit: float) -> float:
    """Where between start and end a profile first exceeds the limit; `end` if it does nowhere."""
    for _ in range(4):
        points = np.linspace(start, end, 33)
        above = value(points) > limit
        above[0] = False
        if not above.any():
            return end
        first = int(above.argmax())
        start, end = float(points[first - 1]), float(points[first])
    return (start + end) / 2


def _loss(constants: Array, n: Array, d: Array) -> Array:
    E, A, alpha, B, beta = constants
    loss: Array = E + A * n**-alpha + B * d**-beta
    return loss


def _optimal(constants: Array, flops: Array) -> tuple[Array, Array, Array]:
    """Hoffmann et al. 2022, eq. 4."""
    _, A, alpha, B, beta = constants
    product = flops / FLOPS_PER_PARAMETER_AND_TOKEN
    log_n = (np.log(alpha * A) - np.log(beta * B) + beta * np.log(product)) / (alpha + beta)
    n = np.exp(log_n)
    d = product / n
    return n, d, _loss(constants, n, d)


def _log_axes(sizes: Array, tokens: Array) -> tuple[Array, Array]:
    """log N and log D less their means (2, n), and the means (2,)."""
    (z_n, shift_n), (z_d, shift_d) = centred(sizes), centred(tokens)
    return np.stack([z_n, z_d]), np.array([shift_n, shift_d])


def _constants(rows: Array, shifts: Array) -> Array:
    """(m, 5) of E, A, alpha, B, beta from the solver's rows."""
    E, a, b, alpha, beta = rows.T
    with np.errstate(over="ignore"):
        A, B = np.exp(a + alpha * shifts[0]), np.exp(b + beta * shifts[1])
    return np.column_stack([E, A, alpha, B, beta])


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
    n: ArrayLike, d: ArrayLike, loss: ArrayLike, floor: float | None
) -> tuple[Array, Array, Array]:
    sizes, tokens, losses = positive(N=n, D=d, loss=loss)
    for name, values in (("N", sizes), ("D", tokens)):
        if (found := len(np.unique(values))) < 3:
            raise BadInput(f"{name} has {found} different values; a surface needs at least 3")
    places = np.unique(np.stack([sizes, tokens]), axis=1)
    needed = 6 if floor is None else 5
    if places.shape[1] < needed:
        raise BadInput(
            f"runs have {places.shape[1]} different (N, D); this surface needs at least {needed}"
        )
    logs = np.log(places)
    if abs(np.corrcoef(logs)[0, 1]) > 1 - 1e-9:
        raise BadInput("log N and log D of the runs lie on one line; a surface needs both varied")
    check_floor(floor, losses)
    return sizes, tokens, losses
