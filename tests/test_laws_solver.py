"""The solver: its inner step is SciPy's, and what it calls converged is the lowest there is."""

import numpy as np
import pytest
from scipy.optimize import nnls

from tinylm.laws.solver import Array, descend, descend_from_best, project, starts


def random_problems(K: int, m: int = 60, n: int = 24) -> tuple[Array, Array, Array, Array]:
    """z (K, n), losses (m, n), exponents (m, K) and weights (m, n); some laws fall, some rise."""
    rng = np.random.default_rng(K)
    z = rng.uniform(-3.0, 3.0, (K, n))
    slopes = rng.uniform(-0.1, 0.5, (m, K))
    clean = rng.uniform(0.0, 2.0, (m, 1)) + np.exp(-slopes[:, :, None] * z).sum(axis=1)
    losses = clean * np.exp(rng.normal(0.0, 0.02, (m, n)))
    return z, losses, rng.uniform(0.01, 2.0, (m, K)), rng.uniform(0.1, 3.0, (m, n))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("floor", [None, 0.0, 0.4])
@pytest.mark.parametrize("K", [1, 2])
def test_projection_is_the_non_negative_least_squares_of_scipy(
    K: int, floor: float | None, weighted: bool
) -> None:
    z, losses, exponents, weight = random_problems(K)
    rows = project(z, losses, exponents, floor, weight if weighted else None)
    scales = np.sqrt(weight) if weighted else np.ones_like(weight)
    bounded = 0
    for row, loss, alpha, scale in zip(rows, losses, exponents, scales, strict=True):
        columns = np.vstack([np.ones_like(loss), np.exp(-alpha[:, None] * z)]) * scale / loss
        if floor is None:
            found, _ = nnls(columns.T, scale)
            assert row[0] == pytest.approx(min(found[0], 0.999 * loss.min()), abs=1e-7)
        else:
            found = np.array([floor, *nnls(columns[1:].T, scale - floor * columns[0])[0]])
            assert row[0] == floor
        np.testing.assert_allclose(np.exp(row[1 : 1 + K]), found[1:], rtol=1e-6, atol=1e-7)
        bounded += int((found[1:] == 0).any() or (floor is None and found[0] == 0))
    assert (bounded > 0) == (floor is None or K > 1)  # in some a coefficient is at its bound


Z = np.repeat(np.linspace(-1.5, 1.5, 6), 3)[None]


def resamples(E: float, n: int = 150) -> Array:
    """Noisy data sets (n, 18) of a law whose floor is told from nothing in some of them only."""
    exact = E + 3.0 * np.exp(-0.15 * Z[0])
    noise: Array = np.exp(0.012 * np.random.default_rng(0).standard_normal((n, Z.size)))
    data: Array = exact * noise
    return data


@pytest.mark.parametrize("E", [0.0, 0.6])
def test_no_fit_that_nears_a_floor_of_zero_stops_short(E: float) -> None:
    """Newton steps that would take E below 0 must not shorten those of the other constants."""
    loss = resamples(E)
    fit = descend_from_best(Z, loss, None, np.array([0.15]))
    assert fit.converged.all()
    on_zero = fit.rows[:, 0] == 0
    assert 0.1 < on_zero.mean() < 0.9
    assert fit.rows[~on_zero, 0].min() > 1e-6
    without = descend_from_best(Z, loss, 0.0, np.array([0.15]))
    np.testing.assert_allclose(fit.objective[on_zero], without.objective[on_zero], rtol=1e-5)
    np.testing.assert_allclose(fit.rows[on_zero], without.rows[on_zero], atol=1e-4)
    for rows in starts(Z, loss, None)[::6]:
        other = descend(Z, loss, rows)
        assert (fit.objective <= other.objective * (1 + 1e-5)).mean() > 0.99
