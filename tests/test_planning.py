"""How sure a grid would make a law, told beforehand."""

import numpy as np
import pytest

from tinylm.errors import BadInput
from tinylm.laws import bootstrap_surface, fit_surface
from tinylm.laws.forms import Form
from tinylm.laws.planning import expected_errors
from tinylm.laws.solver import Array
from tinylm.laws.surface import Surface

N, D = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e3, 1e6, 8), np.geomspace(5e5, 8e6, 5)))
NOISE, SEEDS = 0.005, 3


def truth(form: Form) -> Surface:
    """A law of this form near to that of small models."""
    bent = 0.8 + (60 * N**-0.45 + 300 * D**-0.42) ** (0.7 if form.name == "power" else 1.0)
    return fit_surface(N, D, bent, form=form)


def runs_of(surface: Surface, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    n, d = np.repeat(N, SEEDS), np.repeat(D, SEEDS)
    seed = np.tile(np.arange(SEEDS, dtype=float), len(N))
    return n, d, seed, surface.loss(n, d) * np.exp(NOISE * rng.standard_normal(len(n)))


@pytest.mark.parametrize("form", [Form("sum"), Form("power")])
def test_what_is_told_beforehand_is_what_a_bootstrap_finds(form: Form) -> None:
    surface = truth(form)
    told = expected_errors(surface, N, D, NOISE / np.sqrt(SEEDS))
    assert set(told) == {"E", "alpha", "beta", *(["g"] if form.name == "power" else [])}
    n, d, seed, loss = runs_of(surface, np.random.default_rng(0))
    fit = bootstrap_surface(n, d, seed, loss, form=form, n_resamples=400)
    for name, error in told.items():
        half = float(np.diff(fit.interval(name))[0]) / 2
        assert half == pytest.approx(1.96 * error, rel=0.35), name


def test_the_estimates_of_many_made_up_grids_scatter_as_told() -> None:
    surface, rng = truth(Form("sum")), np.random.default_rng(1)
    told = expected_errors(surface, N, D, NOISE / np.sqrt(SEEDS))
    alphas = []
    for _ in range(60):
        n, d, _, loss = runs_of(surface, rng)
        alphas.append(fit_surface(n, d, loss).alpha)
    assert np.std(alphas) == pytest.approx(told["alpha"], rel=0.35)


def test_more_seeds_and_a_wider_range_tell_more() -> None:
    surface = truth(Form("sum"))
    one = expected_errors(surface, N, D, 0.005)
    four = expected_errors(surface, N, D, 0.005 / 2)
    wider = expected_errors(surface, np.append(N, N), np.append(D, 16 * D), 0.005)
    for name in ("E", "alpha", "beta"):
        assert four[name] == pytest.approx(one[name] / 2)
        assert wider[name] < one[name] / np.sqrt(2)


def test_an_error_a_setting() -> None:
    surface, error = truth(Form("sum")), np.full(len(N), 0.005)
    assert expected_errors(surface, N, D, error) == expected_errors(surface, N, D, 0.005)
    error[:10] = 1e3  # as good as not there
    assert expected_errors(surface, N, D, error)["alpha"] == pytest.approx(
        expected_errors(surface, N[10:], D[10:], 0.005)["alpha"], rel=1e-3
    )


def test_too_few_settings_are_told() -> None:
    with pytest.raises(BadInput, match="4 settings; expected at least 5, one a constant"):
        expected_errors(truth(Form("sum")), N[:4], D[:4], 0.005)
