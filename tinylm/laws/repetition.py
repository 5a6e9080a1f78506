"""What repeated text is worth: L = E + B·D'^-beta, with D' the tokens that count.

Source: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", eq. 5. Of U unique
tokens read in 1 + R epochs D' = U + U·R*·(1 - exp(-R / R*)) count: the first repetitions nearly as
much as new text, and all repetitions together no more than R* times the unique text.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from tinylm.errors import BadInput
from tinylm.laws.scatter import (
    FitStatus,
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
from tinylm.laws.solver import (
    Array,
    BatchFit,
    descend,
    descend_from_all,
    descend_from_best,
)

R_BOUNDS = (0.02, 2000.0)  # of R*: repeats worth next to nothing, and as good as new text
R_FIRST = 5.0  # where beta is first looked for
GRID = 13  # values of R* that are tried
SECTIONS = 14  # of the interval about the best of them: to 0.1% of R*
GOLDEN = (5**0.5 - 1) / 2
NAMES = ("E", "B", "beta", "R_star")
DIFFERENCE = 1e-4  # of log R*, for a derivative


@dataclass(frozen=True)
class Repetition:
    """L = E + B·D'^-beta, for one model size. E and L are in nats per token if the losses were."""

    E: float  # loss that no data go below
    B: float
    beta: float
    R_star: float  # what all repetitions together are worth at most, in unique texts
    status: FitStatus
    n_points: int
    residual_rms: float  # of log loss

    def effective(self, unique: ArrayLike, tokens: ArrayLike) -> Array:
        """Tokens that count, D', of `tokens` read from `unique` ones."""
        return effective_tokens(unique, tokens, self.R_star)

    def loss(self, unique: ArrayLike, tokens: ArrayLike) -> Array:
        """Loss after reading `tokens` from `unique` ones."""
        return _loss(np.array([self.E, self.B, self.beta, self.R_star]), unique, tokens)


@dataclass(frozen=True)
class RepetitionWithIntervals:
    """A law of repetition and the laws of its bootstrap resamples."""

    law: Repetition
    resamples: Array  # (n_resamples, 4): E, B, beta, R*
    misfit: float  # scatter of the settings' means about the law, in units of what seeds explain
    widening: float  # of the intervals for it; 1 where the misfit may well be chance
    failed_resamples: int  # fits of resamples that did not converge

    def interval(self, name: str) -> tuple[float, float]:
        """95% interval of a constant.

        Raises:
            BadInput: another name.
        """
        if name not in NAMES:
            raise BadInput(f"constant {name!r}; expected one of {', '.join(NAMES)}")
        return interval(self.resamples[:, NAMES.index(name)])

    def loss_interval(self, unique: ArrayLike, tokens: ArrayLike) -> tuple[Array, Array]:
        """95% interval of the law's loss (the mean over seeds): low and high."""
        shape = np.broadcast_shapes(np.shape(unique), np.shape(tokens))
        return intervals(_loss(self.resamples.T.reshape(4, -1, *[1] * len(shape)), unique, tokens))


def effective_tokens(unique: ArrayLike, tokens: ArrayLike, R_star: ArrayLike) -> Array:
    """Tokens that count, D', of `tokens` read from `unique` ones, in order, again and again."""
    unique, tokens, R_star = (np.asarray(x, dtype=float) for x in (unique, tokens, R_star))
    repeats = np.maximum(tokens / unique - 1.0, 0.0)
    worth: Array = np.minimum(tokens, unique) - unique * R_star * np.expm1(-repeats / R_star)
    return worth


def fit_repetition(
    unique: ArrayLike, tokens: ArrayLike, loss: ArrayLike, floor: float | None = None
) -> Repetition:
    """Fit the law to runs of one model size: Huber loss of log residuals, as `fit_power_law`.

    `unique`, `tokens` and `loss` are (n,), one entry a run. For any R* the best E, B and beta are
    those of a power law in D', so that R* alone is searched for.

    Raises:
        BadInput: fewer than 3 different tokens or 5 different settings (4 with a given floor), no
            run that repeats, or fewer than 2 different tokens without; a value that is not finite
            and positive; a floor outside [0, smallest loss).
    """
    U, D, losses = _check(unique, tokens, loss, floor)
    z, _ = centred(effective_tokens(U, D, R_FIRST))
    first = descend_from_all(z[None], losses, floor)
    near = first.rows[first.objective.argmin(), 2:]
    R_star = float(_search(U, D, losses[None], floor, near)[0, 3])
    z, shift = centred(effective_tokens(U, D, R_star))
    fit = descend_from_all(z[None], losses, floor)
    (E, b, beta), status, rms = read_fit(fit, z[None], losses, floor, [("B", "beta")])
    ends = [f"R* = {bound:g}" for bound in R_BOUNDS if np.isclose(R_star, bound, rtol=0.01)]
    return Repetition(
        E=float(E),
        B=0.0 if "B = 0" in status.bounds else float(np.exp(b + beta * shift)),
        beta=float(beta),
        R_star=R_star,
        status=replace(status, bounds=(*status.bounds, *ends)),
        n_points=len(losses),
        residual_rms=rms,
    )


def bootstrap_repetition(
    unique: ArrayLike,
    tokens: ArrayLike,
    seed: ArrayLike,
    loss: ArrayLike,
    floor: float | None = None,
    n_resamples: int = 1000,
    rng_seed: int = 0,
) -> RepetitionWithIntervals:
    """Fit the law and give its constants and losses 95% intervals by bootstrap, made as those of
    `bootstrap_power_law` with (unique, tokens) for its x.

    Raises:
        BadInput: as fit_repetition; a seed given twice in one setting; fewer than 4 runs beyond
            the first of their setting.
    """
    U, D, losses = _check(unique, tokens, loss, floor)
    settings = settings_of({"unique": U, "tokens": D}, np.asarray(seed), losses)
    check_repeats(settings)
    law = fit_repetition(U, D, losses, floor)
    fitted = np.log(law.loss(U, D))
    misfit = settings.misfit(fitted, _log_slopes(law, U, D, with_E=floor is None and law.E > 0))
    drawn = settings.resample_about(fitted, misfit, np.random.default_rng(rng_seed), n_resamples)
    found = _search(U, D, drawn, floor, np.array([law.beta]))
    failed = int((found[:, 5] == 0).sum())
    return RepetitionWithIntervals(law, found[:, :4], misfit.ratio, misfit.widening, failed)


def _search(U: Array, D: Array, losses: Array, floor: float | None, near: Array) -> Array:
    """For each data set of `losses` (m, n): E, B, beta, R*, Huber's loss, and whether it converged:
    (m, 6). A grid over log R*, then a golden section about the best of it.
    """
    grid = np.log(np.geomspace(*R_BOUNDS, GRID))
    best = np.full((len(losses), 6), np.inf)
    for log_R in grid:
        z, shift = centred(effective_tokens(U, D, float(np.exp(log_R))))
        fit = descend_from_best(z[None], losses, floor, near)
        _keep_better(best, _described(fit, shift, log_R))
    step = grid[1] - grid[0]
    low = np.maximum(np.log(best[:, 3]) - step, grid[0])
    high = np.minimum(np.log(best[:, 3]) + step, grid[-1])
    for _ in range(SECTIONS):
        inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
        left, right = (_fit_at(log_R, best, U, D, losses, floor) for log_R in inner)
        for found in (left, right):
            _keep_better(best, found)
        nearer = left[:, 4] <= right[:, 4]
        low, high = np.where(nearer, low, inner[0]), np.where(nearer, inner[1], high)
    return best


def _fit_at(
    log_R: Array, start: Array, U: Array, D: Array, losses: Array, floor: float | None
) -> Array:
    """`_search` with R* given for each data set (m,), from the constants of `start` (m, 6)."""
    logs = np.log(effective_tokens(U, D, np.exp(log_R)[:, None]))
    shift = logs.mean(axis=1)
    E, B, beta = start[:, :3].T
    rows = np.column_stack([E, np.log(B) - beta * shift, beta])
    z = (logs - shift[:, None])[:, None]
    fit = descend(z, losses, rows, fixed=[] if floor is None else [0])
    return _described(fit, shift, log_R)


def _described(fit: BatchFit, shift: ArrayLike, log_R: ArrayLike) -> Array:
    E, b, beta = fit.rows.T
    R_star = np.broadcast_to(np.exp(log_R), E.shape)
    B = np.exp(b + beta * shift)
    return np.column_stack([E, B, beta, R_star, fit.objective, fit.converged])


def _keep_better(best: Array, found: Array) -> None:
    better = found[:, 4] < best[:, 4]
    best[better] = found[better]


def _log_slopes(law: Repetition, U: Array, D: Array, *, with_E: bool) -> Array:
    """Derivatives of log loss by the free constants, log R* last: (n, 3 or 4)."""
    z, shift = centred(law.effective(U, D))
    with np.errstate(divide="ignore"):  # B may be 0
        row = np.array([law.E, np.log(law.B) - law.beta * shift, law.beta])
    logs = [
        np.log(replace(law, R_star=law.R_star * np.exp(step)).loss(U, D))
        for step in (-DIFFERENCE, DIFFERENCE)
    ]
    by_R = (logs[1] - logs[0]) / (2 * DIFFERENCE)
    return np.column_stack([log_slopes(row, z[None], with_E=with_E), by_R])


def _loss(constants: Array, unique: ArrayLike, tokens: ArrayLike) -> Array:
    E, B, beta, R_star = constants
    loss: Array = E + B * effective_tokens(unique, tokens, R_star) ** -beta
    return loss


def _check(
    unique: ArrayLike, tokens: ArrayLike, loss: ArrayLike, floor: float | None
) -> tuple[Array, Array, Array]:
    U, D, losses = positive(unique=unique, tokens=tokens, loss=loss)
    if (found := len(np.unique(D))) < 3:
        raise BadInput(f"tokens has {found} different values; this law needs at least 3")
    needed = 5 if floor is None else 4
    if (found := len(np.unique(np.stack([U, D]), axis=1).T)) < needed:
        raise BadInput(
            f"runs have {found} different (unique, tokens); this law needs at least {needed}"
        )
    if not (D > U).any():
        raise BadInput("no run reads its text twice; what repetition is worth needs some that do")
    once = D <= U
    if len(np.unique(D[once])) < 2:
        raise BadInput(
            "fewer than 2 different tokens are read at most once; what new text is worth needs them"
        )
    check_floor(floor, losses)
    return U, D, losses
