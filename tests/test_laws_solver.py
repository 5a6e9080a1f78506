"""The optimiser under the laws: what it calls converged is the lowest there is."""

import numpy as np
import pytest

from tinylm.laws.solver import Array, descend, descend_from_best, starts

Z = np.repeat(np.linspace(-1.5, 1.5, 6), 3)[None]


def resamples(E: float, n: int = 150) -> Array:
    """Noisy data sets (n, 18) of a law whose floor is told from nothing in some of them only."""
    exact = E + 3.0 * np.exp(-0.15 * Z[0])
    noise: Array = np.exp(0.012 * np.random.default_rng(0).standard_normal((n, Z.size)))
    return exact * noise


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
