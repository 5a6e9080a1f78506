"""Forms of the law L(N, D): how Q = A/N^alpha + B/D^beta becomes a loss.

All are one formula, L = E + Q^g / (1 + Q^g/(U - E)), and differ in what of it is free:

- sum: g = 1, no U. Loss falls by two powers that add up (Hoffmann et al. 2022).
- power: g is free. The sum raised to a power (Busbridge et al. 2025).
- kaplan: E = 0, beta = 1, g free. With an exponent g·alpha of N and g of D (Kaplan et al. 2020,
  eq. 1.5).
- ends: g = 1, and U is the loss of a model that knows no more than how frequent each token is. The
  law then has an end above as well: 1/(L - E) = 1/(U - E) + 1/Q.
- both: g is free, between the same two ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from tinylm.errors import BadInput
from tinylm.laws.scatter import NOTHING, FitStatus
from tinylm.laws.solver import ALPHA_BOUNDS, HUBER_DELTA, Array, huber, terms

FormName = Literal["sum", "power", "kaplan", "ends", "both"]
TWO_ENDS = ("ends", "both")  # that have a U
POWER_BOUNDS = (0.05, 20.0)  # of g
BELOW_CEILING = 0.9999  # the highest E over U
HIGHEST_LOG = 50.0  # of a term: far above any loss
FIRST_POWERS = (0.1, 0.3, 1.0, 3.0)  # that a search sets out from
ROW = ("E", "A", "B", "alpha", "beta", "g")  # of a row: a = log A and b = log B about the middle


@dataclass(frozen=True)
class Form:
    """What is free in the formula, and U where it has one."""

    name: FormName
    ceiling: float = np.inf  # U

    def check(self, losses: Array, floor: float | None) -> None:
        """Raises BadInput for losses or a floor that the form cannot have."""
        if self.name in TWO_ENDS and not losses.max() < self.ceiling < np.inf:
            raise BadInput(
                f"ceiling is {self.ceiling:g}; expected the loss of token frequencies alone, "
                f"above the largest loss {losses.max():g}"
            )
        if self.name == "kaplan" and floor:
            raise BadInput(f"floor is {floor:g}; expected none, for Kaplan's form has E = 0")

    def fixed(self, floor: float | None) -> dict[str, float]:
        """Constants that are not fitted."""
        given = {} if floor is None else {"E": floor}
        if self.name == "kaplan":
            return {"E": 0.0, "beta": 1.0}
        return given if self.name in ("power", "both") else given | {"g": 1.0}

    def free(self, floor: float | None) -> list[int]:
        """Places in a row of the constants that are fitted."""
        held = self.fixed(floor)
        return [place for place, name in enumerate(ROW) if name not in held]

    def told(self, floor: float | None, row: Array) -> list[int]:
        """Places of those fitted constants that the data tell of: not on a bound, and of no term
        that is none; with one term alone, g and its exponent are one.
        """
        (no_a, no_b), (lower, upper) = _vanished(row), _bounds(self)
        lost = {*(("A", "alpha") if no_a else ()), *(("B", "beta") if no_b else ())}
        lost |= {"g"} if no_a or no_b else set()
        ends = np.isclose(row, lower, rtol=1e-6) | np.isclose(row, upper, rtol=1e-6)
        return [place for place in self.free(floor) if ROW[place] not in lost and not ends[place]]

    def loss(self, q: Array, E: Array | float, g: Array | float) -> Array:
        """The loss where A/N^alpha + B/D^beta is q."""
        bent = _bent(q, g)
        found: Array = E + bent / (1.0 + bent / (self.ceiling - E))
        return found

    def into_bounds(self, rows: Array) -> Array:
        """Rows (m, 6) with E, exponents and g back within their bounds, in any unit of the loss."""
        lower, upper = _bounds(self)
        lower[1:3], upper[1:3] = -np.inf, np.inf
        return np.clip(rows, lower, upper)


SUM = Form("sum")


def make_form(name: str, ceiling: float | None = None) -> Form:
    """A form by its name.

    Raises:
        BadInput: no such form, or a ceiling that the form lacks, or needs.
    """
    names: tuple[FormName, ...] = ("sum", "power", "kaplan", "ends", "both")
    known = {known: known for known in names}
    if name not in known:
        raise BadInput(f"form {name!r}; expected one of {', '.join(known)}")
    if (name in TWO_ENDS) != (ceiling is not None):
        need = "needs a ceiling, U" if name in TWO_ENDS else "has no ceiling"
        raise BadInput(f"form {name} {need}")
    return Form(known[name]) if ceiling is None else Form(known[name], ceiling)


def formula(form: Form, constants: Array | None = None) -> str:
    """L(N, D) in plain text, with letters or with the constants (6,) E, A, alpha, B, beta, g."""
    E, A, alpha, B, beta, g = ["E", "A", "alpha", "B", "beta", "g"]
    ceiling = "U"
    if constants is not None:
        E, A, B = (f"{constants[place]:.4g}" for place in (0, 1, 3))
        alpha, beta, g = (f"{constants[place]:.3g}" for place in (2, 4, 5))
        ceiling = f"{form.ceiling:.4g}"
    q = f"{A}/N^{alpha} + {B}/D^{beta}"
    if form.name == "sum":
        return f"{E} + {q}"
    if form.name in TWO_ENDS:
        inner = q if form.name == "ends" else f"({q})^{g}"
        return f"{E} + Q/(1 + Q/({ceiling} - {E})), Q = {inner}"
    return f"({q})^{g}" if form.name == "kaplan" else f"{E} + ({q})^{g}"


def _bent(q: Array, g: Array | float) -> Array:
    """q^g, but for what a search meets far from any law: there it ends."""
    return q if np.all(g == 1) else np.exp(np.minimum(g * np.log(q), HIGHEST_LOG))


def loss_of_rows(form: Form, rows: Array, z: Array) -> Array:
    """Loss of each row (m, 6) at z (2, n): (m, n)."""
    q = terms(rows[:, :5], z).sum(axis=1)
    return form.loss(q, rows[:, :1], rows[:, 5:])


def log_slopes_bent(form: Form, row: Array, z: Array) -> Array:
    """Derivatives of log loss at z (2, n) by each constant of a row (6,): (n, 6)."""
    parts = terms(row[None, :5], z)[0]
    q, g, E = parts.sum(axis=0), row[5], row[0]
    bent = _bent(q, g)
    toward_end = bent / (bent + form.ceiling - E) if np.isfinite(form.ceiling) else 0.0 * bent
    by_bent = (1.0 - toward_end) ** 2
    positive = np.where(q > 0, q, 1.0)  # where both terms are none, so are all slopes by them
    by_parts = by_bent * g * bent / positive * parts
    columns = [1.0 - toward_end**2, *by_parts, *(-z * by_parts), by_bent * bent * np.log(positive)]
    slopes: Array = (np.stack(columns) / form.loss(q, E, g)).T
    return slopes


def descend_bent(
    form: Form, z: Array, losses: Array, floor: float | None, near: Array
) -> tuple[Array, FitStatus, float]:
    """The best row (6,) of a form, from that of the sum `near`, how it ended, and its rms residual
    of log loss. Huber's loss of log residuals is least; scipy's trust region searches.
    """
    form = told_form(form, near)  # one term raised to a power is one term
    found = [_search(form, z, losses, floor, start, far=True) for start in _starts(form, near)]
    values = [value for _, value, _ in found]
    row, _, converged = found[int(np.argmin(values))]
    bounds = ["E = 0"] if "E" not in form.fixed(floor) and row[0] == 0 else []
    bounds += [f"{name} = 0" for name, gone in zip("AB", _vanished(row), strict=True) if gone]
    ends = zip(*_bounds(form), strict=True)
    bounds += [
        f"{name} = {end:g}"
        for place, (name, two) in enumerate(zip(ROW, ends, strict=True))
        if place in form.free(floor) and name in ("alpha", "beta", "g")
        for end in two
        if np.isclose(row[place], end, rtol=1e-6)
    ]
    residual = np.log(loss_of_rows(form, row[None], z)[0]) - np.log(losses)
    failed = sum(not ended for _, _, ended in found)
    status = FitStatus(converged, tuple(bounds), len(found), failed)
    return row, status, float(np.sqrt(np.mean(residual**2)))


def told_form(form: Form, row: Array) -> Form:
    """The form that data can tell which a sum with this row fits best: of one term, no power."""
    if not any(_vanished(row)):
        return form
    simpler = {"power": SUM, "both": Form("ends", form.ceiling)}
    return simpler.get(form.name, form)


def _vanished(row: Array) -> list[bool]:
    """Whether either term of a row is none, against the other; both, where the loss is constant."""
    largest = row[1:3].max()
    if largest == -np.inf:
        return [True, True]
    parts = np.exp(row[1:3] - largest)
    return [bool(part < NOTHING) for part in parts]


def descend_bent_all(
    form: Form, z: Array, resamples: Iterable[tuple[Array, Array]], floor: float | None, row: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Rows (m, 6) of many data sets like the one that `row` was fitted to, whose losses and masses
    come some at a time, and whether each search ended.
    """
    found = [
        _search(form, z, losses, floor, row, mass)
        for drawn, masses in resamples
        for losses, mass in zip(drawn, masses, strict=True)
    ]
    return np.stack([one for one, _, _ in found]), np.array([ended for _, _, ended in found])


def _starts(form: Form, near: Array) -> list[Array]:
    """Rows to set out from: the sum's, whose Q^g is about the same at other powers."""
    rows = []
    for g in FIRST_POWERS if form.name in ("power", "kaplan", "both") else (1.0,):
        row = near.copy()
        row[1:5] /= g
        row[5] = g
        rows.append(row)
    if form.name in TWO_ENDS:
        rows.append(near * np.array([1, 1, 1, 1.5, 1.5, 1]))
    return rows


def _bounds(form: Form) -> tuple[Array, Array]:
    """Of a row: E from 0, and below U, ALPHA_BOUNDS, POWER_BOUNDS."""
    (low, high), most = ALPHA_BOUNDS, HIGHEST_LOG
    highest = form.ceiling * BELOW_CEILING if np.isfinite(form.ceiling) else np.exp(most)
    lower = np.array([0.0, -most, -most, low, low, POWER_BOUNDS[0]])
    upper = np.array([highest, most, most, high, high, POWER_BOUNDS[1]])
    return lower, upper


def _in_units(form: Form, row: Array, unit: float) -> tuple[Form, Array]:
    """The form and a row of losses that are divided by `unit`."""
    by = np.log(unit) / row[5]
    scaled = np.array([row[0] / unit, row[1] - by, row[2] - by, *row[3:]])
    return Form(form.name, form.ceiling / unit), scaled


def _search(
    form: Form,
    z: Array,
    losses: Array,
    floor: float | None,
    start: Array,
    mass: Array | float = 1.0,
    *,
    far: bool = False,
) -> tuple[Array, float, bool]:
    """A row near `start` with the least Huber loss, that loss, and whether the search ended. From
    `far`, where residuals are all so large that Huber's loss is a slope without a shape, the least
    squares are found first.
    """
    unit = float(np.median(losses))
    free, target = form.free(floor), np.log(losses / unit)
    given = start.copy()
    for name, value in form.fixed(floor).items():
        given[ROW.index(name)] = value
    here, given = _in_units(form, given, unit)
    lower, upper = _bounds(here)
    inside = np.clip(given, lower + 1e-9, upper * (1 - 1e-9))

    def row(values: Array) -> Array:
        whole = given.copy()
        whole[free] = values
        return whole

    def residual(values: Array) -> Array:
        off: Array = np.log(loss_of_rows(here, row(values)[None], z)[0]) - target
        return off

    def jacobian(values: Array) -> Array:
        return log_slopes_bent(here, row(values), z)[:, free]

    def weigh(squares: Array) -> Array:
        """Huber's function of squares in units of HUBER_DELTA², and two derivatives."""
        near, root = squares <= 1, np.sqrt(np.maximum(squares, 1))
        value = np.where(near, squares, 2 * root - 1)
        slope = np.where(near, 1.0, 1 / root)
        return np.stack([value, slope, np.where(near, 0.0, -0.5 * root**-3)]) * mass

    weighed: Any = weigh
    least: Any = partial(
        least_squares, residual, jac=jacobian, bounds=(lower[free], upper[free]), x_scale="jac",
        xtol=1e-10, ftol=1e-12, gtol=1e-12, max_nfev=2000,
    )  # fmt: skip
    begin = least(inside[free]).x if far else inside[free]
    found: Any = least(begin, loss=weighed, f_scale=HUBER_DELTA)
    best = row(found.x)
    if "E" not in form.fixed(floor) and best[0] < NOTHING:
        best[0] = 0.0
    _, back = _in_units(here, best, 1 / unit)
    return back, float(huber(residual(found.x), mass)), bool(found.status > 0)
