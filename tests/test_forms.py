"""Forms of the law: planted ones are found again, and each is what its text says."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tinylm.errors import BadInput
from tinylm.laws import bootstrap_surface, fit_surface
from tinylm.laws.forms import TWO_ENDS, Form, log_slopes_bent, loss_of_rows, make_form, told_form
from tinylm.laws.surface import Surface

SIZES = np.repeat(np.geomspace(3e3, 1e6, 7), 6)
TOKENS = np.tile(np.geomspace(2.5e5, 1e7, 6), 7)
PLANTED = {
    "sum": (make_form("sum"), [1.1, 60.0, 0.4, 900.0, 0.5, 1.0]),
    "power": (make_form("power"), [0.9, 60.0, 0.5, 900.0, 0.6, 0.6]),
    "kaplan": (make_form("kaplan"), [0.0, 1e4, 0.8, 1e6, 1.0, 0.3]),
    "ends": (make_form("ends", 5.6), [0.8, 300.0, 0.5, 9e3, 0.6, 1.0]),
    "both": (make_form("both", 5.6), [0.8, 300.0, 0.5, 9e3, 0.6, 0.6]),
}


def planted(
    name: str, scatter: float = 0.0, seed: int = 0
) -> tuple[Form, list[float], NDArray[np.float64]]:
    form, constants = PLANTED[name]
    E, A, alpha, B, beta, g = constants
    loss = form.loss(A * SIZES**-alpha + B * TOKENS**-beta, E, g)
    noise = np.random.default_rng(seed).normal(0, scatter, len(loss)) if scatter else 0.0
    return form, constants, loss * np.exp(noise)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_law_is_found_again(name: str) -> None:
    form, constants, loss = planted(name)
    found = fit_surface(SIZES, TOKENS, loss, form=form)
    assert found.status.converged
    np.testing.assert_allclose(found.loss(SIZES, TOKENS), loss, rtol=1e-4)
    rtol = 1e-3 if name in ("sum", "ends", "kaplan") else 0.05
    np.testing.assert_allclose(
        found.constants[[2, 4, 5]], np.array(constants)[[2, 4, 5]], rtol=rtol
    )
    assert pytest.approx(constants[0], rel=rtol, abs=1e-6) == found.E


@pytest.mark.parametrize("g", [0.25, 0.7, 1.25, 2.0, 4.0])
def test_a_power_far_from_one_is_found_in_runs_that_hardly_scatter(g: float) -> None:
    n, d = np.repeat(np.geomspace(1e6, 1e9, 6), 5), np.tile(np.geomspace(1e8, 1e11, 5), 6)
    q = 0.8 * ((n / n.mean()) ** -0.35 / 3 + (d / d.mean()) ** -0.3 / 3)
    loss = (1.7 + q**g) * np.exp(np.random.default_rng(0).normal(0, 1e-4, 30))
    found = fit_surface(n, d, loss, form=make_form("power"))
    assert found.g == pytest.approx(g, rel=0.02)
    assert found.residual_rms < 2e-4


@pytest.mark.parametrize("name", PLANTED)
def test_slopes_are_those_of_the_loss(name: str) -> None:
    form = PLANTED[name][0]
    row = np.array([0.7, 0.2, -0.5, 0.4, 0.6, 1.0 if name in ("sum", "ends") else 0.8])
    z = np.stack([np.linspace(-2, 2, 9), np.linspace(1, -3, 9) ** 2 / 3])
    slopes = log_slopes_bent(form, row, z)
    for place in range(6):
        step = np.zeros(6)
        step[place] = 1e-6
        both = loss_of_rows(form, np.stack([row + step, row - step]), z)
        numeric = (np.log(both[0]) - np.log(both[1])) / 2e-6
        np.testing.assert_allclose(slopes[:, place], numeric, rtol=1e-5, atol=1e-8)


def test_the_search_of_all_forms_finds_the_sum_that_newton_finds() -> None:
    """The same minimum, where an end that is far away or a given power leaves the sum."""
    *_, loss = planted("sum", 0.01)
    newton = fit_surface(SIZES, TOKENS, loss)
    far = fit_surface(SIZES, TOKENS, loss, form=make_form("ends", 1e9))
    np.testing.assert_allclose(far.constants, newton.constants, rtol=1e-3)


@pytest.mark.parametrize("name", ["power", "ends", "both"])
def test_intervals_hold_the_truth(name: str) -> None:
    """Of the loss at four times the largest size and text, in nearly all of 12 studies."""
    held = 0
    for seed in range(12):
        form, constants, loss = planted(name, 0.005, seed)
        fit = bootstrap_surface(SIZES, TOKENS, None, loss, n_resamples=100, form=form)
        low, high = fit.loss_interval(4e6, 4e7)
        E, A, alpha, B, beta, g = constants
        truth = form.loss(np.array(A * 4e6**-alpha + B * 4e7**-beta), E, g)
        held += bool(low <= truth <= high)
    assert held >= 9


def test_the_best_size_is_where_the_loss_is_least() -> None:
    form, _, loss = planted("ends")
    found = fit_surface(SIZES, TOKENS, loss, form=form)
    best = found.optimal(1e13)
    sizes = best.N * np.geomspace(0.5, 2, 401)
    losses = found.loss(sizes, 1e13 / 6 / sizes)
    assert sizes[losses.argmin()] == pytest.approx(best.N, rel=0.01)
    assert best.loss == pytest.approx(losses.min(), rel=1e-6)
    assert isinstance(found, Surface)
    assert found.formula.startswith("0.8 + Q/(1 + Q/(5.6 - 0.8)), Q = 300/N^0.5 + ")


def test_what_a_form_cannot_have_is_refused() -> None:
    with pytest.raises(
        BadInput, match="form 'cubic'; expected one of sum, power, kaplan, ends, both"
    ):
        make_form("cubic")
    for name in ("ends", "both"):
        with pytest.raises(BadInput, match=f"form {name} needs a ceiling"):
            make_form(name)
    with pytest.raises(BadInput, match="form sum has no ceiling"):
        make_form("sum", 5.0)
    *_, loss = planted("sum")
    with pytest.raises(BadInput, match=r"ceiling is 2; expected .* above the largest loss"):
        fit_surface(SIZES, TOKENS, loss, form=make_form("ends", 2.0))
    with pytest.raises(BadInput, match="Kaplan's form has E = 0"):
        fit_surface(SIZES, TOKENS, loss, 0.5, form=make_form("kaplan"))


def test_the_power_of_one_term_is_not_told() -> None:
    """What is told is its product with the exponent, so it is put at one."""
    loss = 1.1 + 60 * SIZES**-0.4
    fit = bootstrap_surface(SIZES, TOKENS, None, loss, n_resamples=50, form=make_form("power"))
    assert "B = 0" in fit.surface.status.bounds
    assert fit.surface.g == 1
    assert fit.surface.alpha == pytest.approx(0.4, rel=1e-3)
    assert (fit.resamples[:, 5] == 1).all()


@pytest.mark.parametrize("name", PLANTED)
def test_the_unit_of_the_loss_changes_nothing(name: str) -> None:
    form, _, loss = planted(name, 0.01)
    found = fit_surface(SIZES, TOKENS, loss, form=form)
    for unit in (1e6, 1e-6):
        other = Form(form.name, form.ceiling * unit)
        scaled = fit_surface(SIZES, TOKENS, loss * unit, form=other)
        np.testing.assert_allclose(
            scaled.loss(SIZES, TOKENS), found.loss(SIZES, TOKENS) * unit, rtol=1e-4
        )
        assert scaled.g == pytest.approx(found.g, rel=0.01)


def test_many_runs_have_the_intervals_of_few_and_a_floor_at_zero_may_rise() -> None:
    """One step each in place of a search: about the same, E on its bound included."""
    form, _, _ = planted("ends")
    sizes, tokens = np.repeat(SIZES, 60), np.repeat(TOKENS, 60)
    noise = np.random.default_rng(2).normal(0, 0.02, len(sizes))
    loss = form.loss(300 * sizes**-0.5 + 9e3 * tokens**-0.6, 0.0, 1.0) * np.exp(noise)
    many = bootstrap_surface(sizes, tokens, None, loss, n_resamples=200, form=form)
    few = slice(None, 1900)
    other = bootstrap_surface(sizes[few], tokens[few], None, loss[few], n_resamples=60, form=form)
    assert many.interval("E")[1] > 0
    for constant in ("alpha", "beta"):
        (low, high), (other_low, other_high) = many.interval(constant), other.interval(constant)
        assert 0.4 < (high - low) / (other_high - other_low) < 1.6


def test_many_runs_in_another_unit_have_the_same_intervals() -> None:
    form, _, _ = planted("kaplan")
    sizes, tokens = np.repeat(SIZES, 60), np.repeat(TOKENS, 60)
    noise = np.random.default_rng(3).normal(0, 0.01, len(sizes))
    loss = form.loss(1e20 * sizes**-0.8 + 1e22 / tokens, 0.0, 0.1) * np.exp(noise)
    found = [
        bootstrap_surface(sizes, tokens, None, loss * unit, n_resamples=100, form=form)
        for unit in (1.0, 1e6)
    ]
    np.testing.assert_allclose(found[1].interval("g"), found[0].interval("g"), rtol=0.02)
    low, high = found[1].loss_interval(1e6, 1e7)
    assert low < found[1].surface.loss(1e6, 1e7) < high


def test_losses_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(BadInput, match="all losses are 2; a surface needs them to differ"):
        fit_surface(SIZES, TOKENS, np.full(len(SIZES), 2.0))


@pytest.mark.parametrize("name", ["sum", "power", "ends", "both"])
def test_where_both_terms_are_none_the_loss_tells_of_the_floor_alone(name: str) -> None:
    form = make_form(name, 5.0 if name in TWO_ENDS else None)
    z = np.random.default_rng(0).standard_normal((2, 6))
    row = np.array([2.0, -np.inf, -np.inf, 0.3, 0.4, 1.0])
    slopes = log_slopes_bent(form, row, z)
    np.testing.assert_array_equal(slopes[:, 1:], 0.0)
    np.testing.assert_allclose(slopes[:, 0], 0.5)  # d log E
    assert form.told(None, row) == [0]
    assert told_form(form, row).name == {"power": "sum", "both": "ends"}.get(name, name)
