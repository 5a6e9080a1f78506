"""The law of repeated text: planted laws come back, intervals cover, bad runs are named."""

import numpy as np
import pytest
from conftest import amount
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.errors import TinyLMError
from tinylm.laws import bootstrap_repetition, fit_repetition
from tinylm.laws.repetition import R_BOUNDS, effective_tokens
from tinylm.laws.solver import Array

# unique tokens, each read 1, 2, 4, ... times up to 2.4M tokens, 3 seeds
GRID = [(u, u * e) for u in (150e3, 300e3, 600e3, 1.2e6) for e in (1, 2, 4, 8, 16) if u * e < 2.5e6]
U, D = (np.repeat(column, 3) for column in np.array(GRID).T)
SEED = np.tile(np.arange(3), len(GRID))


def planted(E: float, excess: float, beta: float, R_star: float) -> Array:
    """A law by its loss above E at 150,000 new tokens."""
    count = U + U * R_star * (1 - np.exp(-(D / U - 1) / R_star))
    loss: Array = E + excess * (count / 150e3) ** -beta
    return loss


def test_new_text_counts_in_full_and_repeats_up_to_their_worth() -> None:
    assert effective_tokens(1e6, [2e5, 1e6], 5.0).tolist() == [2e5, 1e6]
    assert effective_tokens(1e6, 2e6, 1e6) == pytest.approx(2e6)  # as good as new
    assert effective_tokens(1e6, 1e9, 5.0) == pytest.approx(6e6)  # 1 + R* texts at most
    assert effective_tokens(1e6, 2e6, 1e-3) == pytest.approx(1.001e6)  # nearly worthless
    rising = effective_tokens(1e6, np.geomspace(1e5, 2e7, 50), 5.0)
    assert (np.diff(rising) > 0).all()


@settings(max_examples=8, deadline=None)
@given(
    E=st.floats(0, 2), excess=st.floats(0.3, 3), beta=st.floats(0.15, 1), R_star=st.floats(0.5, 40)
)
def test_planted_law_is_recovered(E: float, excess: float, beta: float, R_star: float) -> None:
    loss = planted(E, excess, beta, R_star)
    law = fit_repetition(U, D, loss)
    np.testing.assert_allclose(law.loss(U, D), loss, rtol=1e-3)
    np.testing.assert_allclose(law.R_star, R_star, rtol=0.1)
    known = fit_repetition(U, D, loss, floor=E)
    assert known.E == E
    np.testing.assert_allclose([known.beta, known.R_star], [beta, R_star], rtol=0.05)
    assert known.status.converged


def test_intervals_cover() -> None:
    rng = np.random.default_rng(0)
    exact, held, studies = planted(1.2, 1.0, 0.5, 6.0), {"R_star": 0, "beta": 0}, amount(10, 20)
    for study in range(studies):
        loss = exact * np.exp(0.003 * rng.standard_normal(len(exact)))
        fit = bootstrap_repetition(U, D, SEED, loss, n_resamples=60, rng_seed=study)
        for name, true in (("R_star", 6.0), ("beta", 0.5)):
            low, high = fit.interval(name)
            held[name] += low <= true <= high
    assert min(held.values()) >= 0.7 * studies  # of 20 fewer than 15 has a probability of 0.03 %


def test_known_floor_sharpens_and_predictions_have_intervals() -> None:
    rng = np.random.default_rng(1)
    loss = planted(1.2, 1.0, 0.5, 6.0) * np.exp(0.003 * rng.standard_normal(len(U)))
    free, known = (
        bootstrap_repetition(U, D, SEED, loss, floor, n_resamples=200) for floor in (None, 1.2)
    )
    assert np.ptp(known.interval("beta")) < np.ptp(free.interval("beta"))
    assert known.interval("E") == (1.2, 1.2)
    low, high = known.loss_interval(300e3, [300e3, 9.6e6])
    assert low.shape == high.shape == (2,)
    expected = known.law.loss(300e3, [300e3, 9.6e6])
    assert ((low < expected) & (expected < high)).all()
    assert np.ptp([low[0], high[0]]) < np.ptp([low[1], high[1]])  # 32 epochs: beyond the data
    assert known.failed_resamples == 0
    assert known.widening == 1.0
    with pytest.raises(TinyLMError, match="'alpha'; expected one of E, B, beta, R_star"):
        known.interval("alpha")


@pytest.mark.parametrize(("R_star", "bound"), [(1e-6, R_BOUNDS[0]), (1e9, R_BOUNDS[1])])
def test_bounds_are_told(R_star: float, bound: float) -> None:
    law = fit_repetition(U, D, planted(1.2, 1.0, 0.5, R_star), floor=1.2)
    assert f"R* = {bound:g}" in law.status.bounds


def test_the_same_data_give_the_same_intervals() -> None:
    loss = planted(1.2, 1.0, 0.5, 6.0) * (1 + 0.002 * SEED)
    a, b = (bootstrap_repetition(U, D, SEED, loss, n_resamples=20) for _ in range(2))
    np.testing.assert_array_equal(a.resamples, b.resamples)


def test_bad_runs_are_named() -> None:
    loss = planted(1.2, 1.0, 0.5, 6.0)
    once = D <= U
    with pytest.raises(TinyLMError, match="no run reads its text twice"):
        fit_repetition(np.full(len(D), 9e9), D + U, loss)
    with pytest.raises(TinyLMError, match="fewer than 2 different tokens are read at most once"):
        fit_repetition(U[U == 150e3], D[U == 150e3], loss[U == 150e3])
    with pytest.raises(TinyLMError, match="tokens has 2 different values"):
        fit_repetition(U[:6], D[:6], loss[:6])
    with pytest.raises(TinyLMError, match=r"4 different \(unique, tokens\); this law needs at lea"):
        fit_repetition([1e5, 2e5, 1e5, 1e5], [1e5, 2e5, 3e5, 4e5], [3.0, 2.5, 2.4, 2.3])
    with pytest.raises(TinyLMError, match="loss nan at place 0"):
        fit_repetition(U, D, np.where(once, np.nan, loss))
    with pytest.raises(TinyLMError, match=r"floor is 9; expected at least 0 and below"):
        fit_repetition(U, D, loss, floor=9.0)
    with pytest.raises(TinyLMError, match="a seed more than once"):
        bootstrap_repetition(U, D, np.zeros(len(U), dtype=int), loss)
    first = SEED == 0
    with pytest.raises(TinyLMError, match="intervals need at least 4"):
        bootstrap_repetition(U[first], D[first], SEED[first], loss[first])
