"""The solver's inner step against SciPy's."""

import numpy as np
import pytest
from scipy.optimize import nnls

from tinylm.laws.solver import Array, project


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
