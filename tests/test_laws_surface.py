"""Loss surfaces: planted ones come back, searches agree, intervals cover, bad tables are named."""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from tinylm.errors import TinyLMError
from tinylm.laws import solver
from tinylm.laws import surface as surface_module
from tinylm.laws.solver import Array
from tinylm.laws.surface import (
    Method,
    Surface,
    bootstrap_surface,
    fit_surface,
)

SIZES, TOKENS = np.geomspace(3e3, 1e6, 5), np.geomspace(2.5e5, 8e6, 4)
N, D = (np.repeat(axis.ravel(), 3) for axis in np.meshgrid(SIZES, TOKENS))
SEED = np.tile(np.arange(3), len(N) // 3)
TRUE = {"E": 0.53, "A": 30.0, "alpha": 0.38, "B": 200.0, "beta": 0.42}
METHODS = get_args(Method)


def planted(changed: Mapping[str, float] = TRUE, n: Array = N, d: Array = D) -> Array:
    at = TRUE | dict(changed)
    loss: Array = at["E"] + at["A"] * n ** -at["alpha"] + at["B"] * d ** -at["beta"]
    return loss


def noisy(rng_seed: int, noise: float = 0.003) -> Array:
    rng = np.random.default_rng(rng_seed)
    loss: Array = planted() * np.exp(noise * rng.standard_normal(len(N)))
    return loss


def assert_is_the_planted_one(
    surface: Surface, rel: float, changed: Mapping[str, float] = TRUE
) -> None:
    for name, value in (TRUE | dict(changed)).items():
        assert getattr(surface, name) == pytest.approx(value, rel=rel), name


@hypothesis_settings(max_examples=20, deadline=None)
@given(E=st.floats(0.1, 3), A=st.floats(5, 50), alpha=st.floats(0.2, 0.7), beta=st.floats(0.2, 0.7))
def test_planted_surface_is_recovered(E: float, A: float, alpha: float, beta: float) -> None:
    changed = {"E": E, "A": A, "alpha": alpha, "beta": beta}
    surface = fit_surface(N, D, planted(changed))
    assert_is_the_planted_one(surface, 1e-3, changed)
    assert surface.status.converged
    assert surface.status.bounds == ()
    assert surface.residual_rms < 1e-7
    assert surface.n_points == len(N)


def test_three_searches_find_one_minimum() -> None:
    loss = noisy(0)
    fits = [fit_surface(N, D, loss, method=method) for method in METHODS]
    for fit in fits:
        np.testing.assert_allclose(fit.constants, fits[0].constants, rtol=1e-4)
        assert fit.status.converged
    for method in METHODS:
        assert_is_the_planted_one(fit_surface(N, D, planted(), method=method), 1e-4)


def test_a_known_floor_is_kept_and_sharpens_the_rest() -> None:
    loss = noisy(1)
    known, free = (bootstrap_surface(N, D, SEED, loss, floor, 300) for floor in (0.53, None))
    assert known.surface.E == 0.53
    assert known.interval("E") == (0.53, 0.53)
    assert np.diff(known.interval("alpha")) < np.diff(free.interval("alpha"))
    for method in METHODS:
        fit = fit_surface(N, D, loss, 0.53, method)
        np.testing.assert_allclose(fit.constants, known.surface.constants, rtol=1e-4)


def test_an_outlier_or_a_run_gone_wrong_does_not_move_the_fit() -> None:
    loss = noisy(2)
    before = fit_surface(N, D, loss)
    for place in (0, 17, len(N) - 1):
        wrong = loss.copy()
        wrong[place] *= 1.5
        after = fit_surface(N, D, wrong)
        assert after.alpha == pytest.approx(before.alpha, abs=0.01)
        assert after.beta == pytest.approx(before.beta, abs=0.01)
        assert abs(after.E - before.E) < 0.02


PLANTED = fit_surface(N, D, planted())


@given(flops=st.floats(1e10, 1e16))
def test_the_optimum_is_the_lowest_loss_of_its_budget(flops: float) -> None:
    surface = PLANTED
    best = surface.optimal(flops)
    assert best.flops == pytest.approx(6 * best.N * best.D)
    assert best.loss == pytest.approx(float(surface.loss(best.N, best.D)))
    found = minimize_scalar(
        lambda log_n: float(surface.loss(np.exp(log_n), flops / 6 / np.exp(log_n))),
        bounds=(np.log(best.N) - 3, np.log(best.N) + 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert np.log(best.N) == pytest.approx(found.x, abs=1e-3)
    assert best.tokens_per_parameter == pytest.approx(best.D / best.N)


def test_the_optimum_grows_with_the_exponent_that_is_told() -> None:
    surface = PLANTED
    small, large = (surface.optimal(flops).N for flops in (1e12, 1e15))
    assert np.log(large / small) / np.log(1e3) == pytest.approx(surface.size_exponent)
    assert surface.size_exponent == pytest.approx(0.42 / 0.80, rel=1e-3)


def test_intervals_hold_the_truth_and_shrink_with_the_noise() -> None:
    loud, quiet = (
        bootstrap_surface(N, D, SEED, noisy(3, noise), n_resamples=300) for noise in (0.006, 0.002)
    )
    for study in (loud, quiet):
        for name, value in (TRUE | {"size_exponent": 0.525}).items():
            low, high = study.interval(name)
            assert low < value < high, name
        lower, upper = study.loss_interval(1e6, 6e7)
        assert lower < planted(TRUE, np.array(1e6), np.array(6e7)) < upper
        n, _, lowest = study.optimal_resamples(np.array([1e13, 1e14]))
        assert n.shape == lowest.shape == (300, 2)
        assert study.failed_resamples == 0
    assert np.diff(quiet.interval("E")) < 0.6 * np.diff(loud.interval("E"))


def test_without_seeds_settings_are_weighted_at_random() -> None:
    loss = noisy(4)
    by_seed = bootstrap_surface(N, D, SEED, loss, n_resamples=300)
    alone = bootstrap_surface(N, D, None, loss, n_resamples=300)
    assert (by_seed.drawn_from, alone.drawn_from) == ("seeds", "settings")
    for name in ("E", "alpha", "beta"):
        ratio = np.diff(alone.interval(name)) / np.diff(by_seed.interval(name))
        assert 0.6 < ratio < 1.6


def test_runs_that_are_repeated_without_a_seed_narrow_no_interval() -> None:
    loss = noisy(4)[::3]
    once = bootstrap_surface(N[::3], D[::3], None, loss, n_resamples=300)
    often = bootstrap_surface(N, D, None, np.repeat(loss, 3), n_resamples=300)
    for name in ("E", "alpha", "beta"):
        np.testing.assert_allclose(often.interval(name), once.interval(name), rtol=1e-4)


def test_seeds_that_are_copies_tell_no_noise() -> None:
    loss = np.repeat(noisy(4)[::3], 3)
    copied = bootstrap_surface(N, D, SEED, loss, n_resamples=50)
    assert (copied.drawn_from, copied.misfit) == ("settings", 1.0)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_loss_does_not_matter(unit: float) -> None:
    loss = noisy(6)
    here, there = (bootstrap_surface(N, D, None, loss * u, n_resamples=50) for u in (1, unit))
    for name in ("E", "A", "B"):
        assert getattr(there.surface, name) == pytest.approx(
            unit * getattr(here.surface, name), rel=1e-4
        )
    for name in ("alpha", "beta"):
        np.testing.assert_allclose(there.interval(name), here.interval(name), rtol=1e-4)


def test_one_loss_beyond_all_measure_moves_nothing() -> None:
    loss = noisy(7)
    before = fit_surface(N, D, loss)
    loss[20] = 1e300
    after = bootstrap_surface(N, D, None, loss, n_resamples=50)
    assert after.surface.alpha == pytest.approx(before.alpha, abs=0.01)
    low, high = after.interval("alpha")
    assert low < before.alpha < high


def test_many_runs_are_resampled_by_one_step_as_well_as_by_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n, d = (np.repeat(axis[::3], 30) for axis in (N, D))
    rng = np.random.default_rng(0)
    n, d = (
        n * np.exp(0.1 * rng.standard_normal(len(n))),
        d * np.exp(0.1 * rng.standard_normal(len(n))),
    )
    loss = planted(TRUE, n, d) * np.exp(0.01 * rng.standard_normal(len(n)))
    fits = bootstrap_surface(n, d, None, loss, n_resamples=200)
    for module in (solver, surface_module):
        monkeypatch.setattr(module, "MANY_RUNS", 100)
    steps = bootstrap_surface(n, d, None, loss, n_resamples=200)
    np.testing.assert_allclose(steps.surface.constants, fits.surface.constants, rtol=1e-5)
    for name in ("E", "alpha", "beta"):
        one, other = steps.interval(name), fits.interval(name)
        assert np.ptp(one) == pytest.approx(np.ptp(other), rel=0.3)
        assert abs(np.mean(one) - np.mean(other)) < 0.2 * np.ptp(other)


def test_a_surface_that_data_do_not_bind_says_so() -> None:
    surface = fit_surface(N, D, planted({"B": 1e-12}))
    assert "B = 0" in surface.status.bounds
    with pytest.raises(TinyLMError, match="B = 0 has no optimal N"):
        surface.optimal(1e12)


TOO_FEW = [0, 3, 6]
MANY = np.geomspace(1e3, 1e6, 8)
JITTER = np.exp(0.01 * np.random.default_rng(0).standard_normal(8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_surface(N[:9], D[:9], planted()[:9]), "D has 1 different values"),
        (lambda: fit_surface(MANY, MANY * 20, MANY**-0.1), r"on one line \(D prop.* N\^1,"),
        (lambda: fit_surface(MANY, MANY**0.5 * JITTER, MANY**-0.1), r"N\^0.5, to within"),
        (lambda: fit_surface(MANY, 1e12 / MANY * JITTER, MANY**-0.1), r"\(one budget 6·N·D, to"),
        (lambda: fit_surface(N[TOO_FEW], D[[0, 15, 30]], [3, 2, 1.0]), "needs at least 6"),
        (lambda: fit_surface(N, D, np.where(N > 5e5, np.nan, planted())), "loss nan at place"),
        (lambda: fit_surface(N, D, planted(), floor=2.0), "floor is 2; expected"),
        (lambda: fit_surface(N, D[:-1], planted()), r"N has shape \(60,\) and D has shape \(59,\)"),
        (lambda: fit_surface(N, D, planted(), None, cast(Method, "magic")), "method 'magic'; exp"),
        (lambda: bootstrap_surface(N, D, 0 * SEED, planted()), "has a seed more than once"),
        (lambda: bootstrap_surface(N, D, SEED[:-1], planted()), "seed has shape"),
        (lambda: fit_surface(N, D, planted()).optimal(-1), "flops is -1"),
    ],
)  # fmt: skip
def test_tables_that_no_surface_can_be_fitted_to_are_named(
    call: Callable[[], Any], message: str
) -> None:
    with pytest.raises(TinyLMError, match=message):
        call()
