"""Best sizes from isoFLOP parabolas and envelopes: what is planted, what the methods get wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.errors import TinyLMError
from tinylm.laws.optimal import (
    LearningCurve,
    bootstrap_envelope,
    bootstrap_isoflops,
    fit_envelope,
    fit_isoflops,
)
from tinylm.laws.solver import Array

BUDGETS = np.geomspace(1e11, 1e13, 5)
E, A, B = 0.5, 30.0, 200.0


def surface(n: Array, d: Array, alpha: float, beta: float) -> Array:
    loss: Array = E + A * n**-alpha + B * d**-beta
    return loss


def best_size(flops: Array, alpha: float, beta: float) -> Array:
    factor = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    size: Array = factor * (flops / 6) ** (beta / (alpha + beta))
    return size


def isoflops(
    alpha: float, beta: float, spread: float, sizes: int = 9, shift: float = 1.0
) -> tuple[Array, Array]:
    """Sizes about the best of each budget (times `shift`), and their tokens."""
    ladder = shift * np.geomspace(1 / spread, spread, sizes)
    n = (best_size(BUDGETS, alpha, beta)[:, None] * ladder).ravel()
    return n, np.repeat(BUDGETS, sizes) / 6 / n


@settings(max_examples=40)
@given(alpha=st.floats(0.2, 0.6), beta=st.floats(0.2, 0.6), sizes=st.integers(5, 15))
def test_the_known_bias_of_parabolas_is_reproduced(alpha: float, beta: float, sizes: int) -> None:
    """The cubic term of the exact curve tilts the parabola; moments of the sizes say how far."""
    n, d = isoflops(alpha, beta, 2.0, sizes)
    found = fit_isoflops(n, d, surface(n, d, alpha, beta))
    x = np.linspace(-np.log(2), np.log(2), sizes)
    bias = (alpha - beta) / 6 * (x**4).mean() / (x**2).mean()
    error = np.log(found.N / best_size(BUDGETS, alpha, beta))
    np.testing.assert_allclose(error, bias, atol=0.03 * abs(alpha - beta) + 1e-6)
    assert found.exponent == pytest.approx(beta / (alpha + beta), rel=1e-6)
    np.testing.assert_allclose(6 * found.N * found.D, found.flops)


def test_the_bias_grows_with_the_square_of_the_spread() -> None:
    errors = []
    for spread in (2.0, 4.0, 16.0):
        n, d = isoflops(0.3, 0.45, spread, 30)
        found = fit_isoflops(n, d, surface(n, d, 0.3, 0.45))
        errors.append(np.log(found.N / best_size(BUDGETS, 0.3, 0.45)).mean())
    assert np.array(errors) / errors[0] == pytest.approx([1, 4, 16], rel=0.1)
    assert errors[0] == pytest.approx(-0.15 * np.log(2) ** 2 / 10, rel=0.1)


def test_a_symmetric_surface_has_no_bias() -> None:
    n, d = isoflops(0.4, 0.4, 8.0)
    found = fit_isoflops(n, d, surface(n, d, 0.4, 0.4))
    np.testing.assert_allclose(found.N, best_size(BUDGETS, 0.4, 0.4), rtol=1e-6)
    assert found.optimal_size(BUDGETS) == pytest.approx(best_size(BUDGETS, 0.4, 0.4))


def test_budgets_without_a_minimum_among_their_sizes_are_left_out_and_told() -> None:
    n, d = isoflops(0.4, 0.4, 4.0)
    first = np.arange(len(n)) < 9
    n[first] *= 64
    d[first] /= 64
    found = fit_isoflops(n, d, surface(n, d, 0.4, 0.4))
    np.testing.assert_allclose(found.left_out, BUDGETS[:1])
    np.testing.assert_allclose(found.flops, BUDGETS[1:])
    assert found.exponent == pytest.approx(0.5)


def test_intervals_of_the_exponent_hold_it_in_nearly_all_studies() -> None:
    n, d = (np.repeat(axis, 3) for axis in isoflops(0.35, 0.42, 3.0, 7))
    seed = np.tile(np.arange(3), len(n) // 3)
    held = 0
    for rng_seed in range(40):
        rng = np.random.default_rng(rng_seed)
        loss = surface(n, d, 0.35, 0.42) * np.exp(0.003 * rng.standard_normal(len(n)))
        study = bootstrap_isoflops(n, d, seed, loss, n_resamples=200)
        low, high = study.exponent_interval
        held += low < 0.42 / 0.77 < high
    assert held >= 34  # 38 are expected
    lower, upper = study.size_interval(BUDGETS)
    assert (lower < upper).all()
    assert study.failed_resamples == 0


def curves(alpha: float, beta: float) -> list[LearningCurve]:
    """Of an exact surface: as if the learning rate had been brought down at every point."""
    tokens = np.geomspace(1e5, 3e7, 60)
    return [
        LearningCurve(float(n), tokens, surface(np.array(n), tokens, alpha, beta))
        for n in np.geomspace(3e3, 3e6, 25)
    ]


def test_an_envelope_finds_the_planted_exponent() -> None:
    found = fit_envelope(curves(0.35, 0.42), edge=0.25)
    assert found.exponent == pytest.approx(0.42 / 0.77, abs=0.02)
    np.testing.assert_allclose(
        np.log(found.N), np.log(best_size(found.flops, 0.35, 0.42)), atol=0.2
    )  # half a step of the sizes, 0.14, and then some
    assert (np.diff(found.loss) < 0).all()


def test_an_envelope_has_intervals_from_seeds() -> None:
    rng = np.random.default_rng(0)
    noisy = [
        LearningCurve(c.N, c.tokens, c.loss * np.exp(0.002 * rng.standard_normal()))
        for c in curves(0.35, 0.42)
        for _ in range(3)
    ]
    found = bootstrap_envelope(noisy, edge=0.25, n_resamples=50)
    low, high = found.exponent_interval
    assert low < found.frontier.exponent < high
    assert 0.005 < high - low < 0.1
    same = bootstrap_envelope([c for c in curves(0.35, 0.42) for _ in range(3)], n_resamples=3)
    assert np.ptp(same.exponent_interval) < 1e-9  # seeds that agree
    assert same.failed_resamples == 0
    with pytest.raises(TinyLMError, match="has one curve; intervals need at least 2 seeds"):
        bootstrap_envelope(curves(0.35, 0.42))
    shorter = LearningCurve(noisy[0].N, noisy[0].tokens[1:], noisy[0].loss[1:])
    with pytest.raises(TinyLMError, match="differ in their tokens"):
        bootstrap_envelope([*noisy[1:], shorter])


N9, D9 = isoflops(0.4, 0.4, 4.0)
L9 = surface(N9, D9, 0.4, 0.4)
ONE = LearningCurve(1e4, np.array([1.0, 2.0]), np.array([2.0, 1.0]))
BELOW_ZERO = LearningCurve(-1e4, np.array([1.0, 2.0]), np.array([2.0, 1.0]))
APART = [LearningCurve(n, ONE.tokens, ONE.loss) for n in (1e4, 1e6, 1e8)]
BACKWARDS = LearningCurve(3e4, np.array([2.0, 1.0]), np.array([2.0, 1.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_isoflops(N9[:3], D9[:3], L9[:3]), "has 3 sizes; a parabola needs at least 4"),
        (lambda: fit_isoflops(N9[:9], D9[:9], L9[:9]), "1 of 1 budgets .* needs at least 2"),
        (lambda: fit_isoflops(N9, D9, -L9), "loss -.* at place 0"),
        (lambda: bootstrap_isoflops(N9, D9, 0 * N9, L9), "45 different settings and so 0 repeats"),
        (lambda: fit_envelope([ONE, ONE, ONE]), "1 different sizes; an envelope needs at least 3"),
        (lambda: fit_envelope(curves(0.3, 0.3), edge=0.7), "edge is 0.7; expected"),
        (lambda: fit_envelope([*curves(0.3, 0.3), BELOW_ZERO]), "N -10000 at place 0"),
        (lambda: fit_envelope(APART), "one size wins at every budget"),
        (lambda: fit_envelope([*curves(0.3, 0.3), BACKWARDS]), "N = 30000 does not have rising"),
    ],
)
def test_runs_without_a_frontier_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TinyLMError, match=message):
        call()
