"""Power laws: planted laws come back, intervals cover, bad runs are named."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import fmin

from tinylm.errors import TinyLMError
from tinylm.laws import (
    bootstrap_power_law,
    exponent_gap,
    fit_power_law,
    held_out,
    local_exponents,
)
from tinylm.laws.scatter import Misfit, log_slopes, settings_of
from tinylm.laws.solver import HUBER_DELTA, Array, predict_log

SIZES = np.geomspace(6e3, 6e5, 8)
X = np.repeat(SIZES, 3)
SEED = np.tile(np.arange(3), 8)


def planted(E: float, excess: float, alpha: float, x: Array = X) -> Array:
    """A law by its loss above E at 6,000."""
    loss: Array = np.multiply(excess, (x / 6e3) ** -alpha) + E
    return loss


def noisy(E: float, excess: float, alpha: float, rng_seed: int, misfit: float = 0.0) -> Array:
    """Runs with a noise of 0.004 nats and, for each size, a deviation from the law (log sd)."""
    rng = np.random.default_rng(rng_seed)
    of_size: Array = np.repeat(np.exp(misfit * rng.standard_normal(len(SIZES))), 3)
    noise: Array = 0.004 * rng.standard_normal(len(X))
    loss: Array = planted(E, excess, alpha) * of_size + noise
    return loss


@settings(max_examples=40, deadline=None)
@given(E=st.floats(0, 3), excess=st.floats(0.3, 3), alpha=st.floats(0.08, 1.5))
def test_planted_law_is_recovered(E: float, excess: float, alpha: float) -> None:
    law = fit_power_law(X, planted(E, excess, alpha))
    np.testing.assert_allclose(law.E, E, atol=1e-5)
    np.testing.assert_allclose(law.alpha, alpha, rtol=1e-5)
    np.testing.assert_allclose(law.A, excess * 6e3**alpha, rtol=1e-4)
    assert law.status.converged
    assert law.residual_rms < 1e-8
    assert law.n_points == 24


@pytest.mark.parametrize("alpha", [0.05, 0.076, 0.3])
def test_pure_power_law_is_recovered_with_a_floor_of_zero(alpha: float) -> None:
    law = fit_power_law(X, planted(0.0, 2.5, alpha), floor=0.0)
    assert law.E == 0.0
    assert law.alpha == pytest.approx(alpha, rel=1e-8)
    assert law.status.bounds == ()  # E was given, it did not run into a bound


def test_known_floor_is_kept_and_sharpens_alpha() -> None:
    loss = noisy(1.2, 1.2, 0.3, rng_seed=0)
    known, free = (bootstrap_power_law(X, SEED, loss, floor) for floor in (1.2, None))
    assert known.law.E == 1.2
    assert known.E_interval == (1.2, 1.2)
    assert np.diff(known.alpha_interval) < 0.5 * np.diff(free.alpha_interval)


def test_law_that_bends_upwards_rests_on_the_bound_of_E() -> None:
    loss = planted(0.0, 3.0, 0.2) - 0.3  # no power law with E >= 0 bends so
    law = fit_power_law(X, loss)
    assert law.E == 0.0
    assert law.status.bounds == ("E = 0",)


def test_loss_that_does_not_fall_is_told_by_the_status() -> None:
    rising = fit_power_law(X, 2.0 + X / X.max(), floor=0.0)
    assert rising.status.bounds == ("alpha = 0.001",)
    flat = fit_power_law(X, np.full(24, 2.0))
    assert "A = 0" in flat.status.bounds
    assert flat.loss(SIZES) == pytest.approx(2.0, abs=1e-6)


def huber_of(row: np.ndarray, loss: np.ndarray) -> float:
    """The objective, in millionths, of a law given as E, excess at 6,000, alpha."""
    E, excess, alpha = row
    residual = np.log(planted(E, excess, alpha)) - np.log(loss)
    size = np.abs(residual)
    outer = HUBER_DELTA * (size - HUBER_DELTA / 2)
    return float(np.where(size <= HUBER_DELTA, residual**2 / 2, outer).sum() * 1e6)


@pytest.mark.parametrize("rng_seed", [0, 1, 2])
def test_fit_is_the_minimum_of_the_huber_loss(rng_seed: int) -> None:
    """A general optimiser, from three starts, finds nothing lower."""
    loss = noisy(1.2, 1.2, 0.3, rng_seed)
    law = fit_power_law(X, loss)
    found = huber_of(np.array([law.E, law.A * 6e3**-law.alpha, law.alpha]), loss)
    for start in ([1.2, 1.2, 0.3], [1.0, 1.4, 0.2], [1.3, 1.1, 0.4]):
        row = fmin(huber_of, np.array(start), (loss,), xtol=1e-9, ftol=1e-9, disp=False)
        assert found <= huber_of(row, loss) + 1e-6


def test_outlier_does_not_move_the_fit() -> None:
    loss = planted(1.2, 1.2, 0.3)
    loss[4] *= 1.5
    assert fit_power_law(X, loss).alpha == pytest.approx(0.3, abs=2e-3)


def test_units_of_x_change_only_A() -> None:
    loss = noisy(1.2, 1.2, 0.3, rng_seed=1)
    law, scaled = fit_power_law(X, loss), fit_power_law(X / 1e3, loss)
    assert scaled.alpha == pytest.approx(law.alpha, rel=1e-6)
    assert scaled.loss(SIZES / 1e3) == pytest.approx(law.loss(SIZES), rel=1e-8)


@pytest.mark.parametrize(("misfit", "least"), [(0.0, 0.88), (0.002, 0.86)])
def test_intervals_cover_the_truth_in_about_95_percent_of_studies(
    misfit: float, least: float
) -> None:
    """On these 60 studies coverage is 0.92 and 0.89, and 0.94 and 0.90 on many more.

    Without the correction for 3 seeds it is 0.85 and 0.83; without the one for misfit 0.62 in the
    second case; with neither 0.83 and 0.54.
    """
    truth, studies = (1.2, 1.2, 0.3), 60
    hits = np.zeros(3)
    for study in range(studies):
        loss = noisy(*truth, rng_seed=1000 + study, misfit=misfit)
        fit = bootstrap_power_law(X, SEED, loss, n_resamples=200, rng_seed=study)
        last = fit.loss_interval(SIZES[-1])
        for place, ((low, high), value) in enumerate(
            [
                (fit.E_interval, truth[0]),
                (fit.alpha_interval, truth[2]),
                (last, planted(*truth, x=SIZES[-1:])[0]),
            ]
        ):
            hits[place] += low <= value <= high
    assert least <= hits.mean() / studies <= 0.995


def test_interval_of_the_loss_narrows_with_less_noise_and_widens_outside_the_sizes() -> None:
    loss = noisy(1.2, 1.2, 0.3, rng_seed=2)
    clean = planted(1.2, 1.2, 0.3)
    wide = bootstrap_power_law(X, SEED, loss)
    narrow = bootstrap_power_law(X, SEED, clean + (loss - clean) / 4)
    x = np.array([6e4, 6e7])
    low, high = wide.loss_interval(x)
    less_low, less_high = narrow.loss_interval(x)
    assert (less_high - less_low < 0.5 * (high - low)).all()
    assert high[1] - low[1] > 3 * (high[0] - low[0])
    assert wide.loss_resamples(np.ones((2, 5))).shape == (1000, 2, 5)


def test_misfit_tells_a_wrong_law_from_noise() -> None:
    right = bootstrap_power_law(X, SEED, noisy(1.2, 1.2, 0.3, 3), n_resamples=50)
    wrong = bootstrap_power_law(X, SEED, noisy(1.2, 1.2, 0.3, 3), floor=0.0, n_resamples=50)
    assert right.misfit < 2
    assert wrong.misfit > 5


def test_same_seed_of_the_bootstrap_gives_the_same_intervals() -> None:
    loss = noisy(1.2, 1.2, 0.3, rng_seed=4)
    first, second, other = (
        bootstrap_power_law(X, SEED, loss, n_resamples=100, rng_seed=s) for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.resamples, second.resamples)
    assert first.alpha_interval != other.alpha_interval


def test_held_out_size_is_predicted_and_does_not_enter_the_fit() -> None:
    loss = noisy(1.2, 1.2, 0.3, rng_seed=5)
    found = held_out(X, SEED, loss)
    assert found.x == SIZES[-1]
    assert found.n_runs == 3
    assert found.actual == pytest.approx(loss[-3:].mean())
    assert found.actual_std == pytest.approx(loss[-3:].std(ddof=1))
    assert found.interval[0] < found.predicted < found.interval[1]
    assert found.relative_error == pytest.approx(found.predicted / found.actual - 1)
    assert abs(found.relative_error) < 0.01
    moved = loss.copy()
    moved[-3:] *= 1.2
    again = held_out(X, SEED, moved)
    assert again.predicted == pytest.approx(found.predicted, rel=1e-9)
    assert again.actual > again.interval[1]


def test_local_exponents_of_a_pure_power_law_are_its_exponent() -> None:
    found = local_exponents(X, SEED, planted(0.0, 2.0, 0.2))
    middle, slopes = found["x"].to_numpy(), found["exponent"].to_numpy()
    assert slopes == pytest.approx(np.full(7, 0.2))
    assert middle == pytest.approx(np.sqrt(SIZES[1:] * SIZES[:-1]))


def test_local_exponents_fall_towards_a_floor() -> None:
    slopes = local_exponents(X, SEED, planted(1.2, 1.2, 0.3))["exponent"]
    assert (np.diff(slopes) < 0).all()
    above = local_exponents(X, SEED, planted(1.2, 1.2, 0.3), floor=1.2)["exponent"]
    np.testing.assert_allclose(above, 0.3)


def test_intervals_of_local_exponents_hold_the_truth() -> None:
    held = 0
    for rng_seed in range(60):
        found = local_exponents(X, SEED, noisy(1.2, 1.2, 0.3, rng_seed), floor=1.2)
        held += int(((found["low"] <= 0.3) & (found["high"] >= 0.3)).sum())
    assert 0.91 <= held / (60 * 7) <= 0.99


def _last_replaced(value: float) -> np.ndarray:
    loss = planted(1.2, 1.2, 0.3)
    loss[-1] = value
    return loss


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_power_law(X[:9], planted(1, 1, 0.3)[:9]), "x has 3 different values.*4"),
        (lambda: fit_power_law(X[:6], planted(1, 1, 0.3)[:6], floor=0.0), "x has 2 .*least 3"),
        (lambda: fit_power_law(X, _last_replaced(np.nan)), "loss nan at place 23.*diverged"),
        (lambda: fit_power_law(X, _last_replaced(np.inf)), "loss inf at place 23.*diverged"),
        (lambda: fit_power_law(X, _last_replaced(-1.0)), "loss -1 at place 23"),
        (lambda: fit_power_law(X - 6e3, planted(1, 1, 0.3)), "x 0 at place 0 is not finite and"),
        (
            lambda: fit_power_law(X, planted(1, 1, 0.3)[:-1]),
            r"shape \(24,\) and loss has shape \(23,\)",
        ),
        (lambda: fit_power_law(X, planted(1, 1, 0.3), floor=1.9), "floor is 1.9; expected"),
        (lambda: fit_power_law(X, planted(1, 1, 0.3), floor=-0.1), "floor is -0.1; expected"),
        (lambda: bootstrap_power_law(X, SEED * 0, planted(1, 1, 0.3)), "x 6000 has a seed more"),
        (lambda: bootstrap_power_law(X, SEED[:5], planted(1, 1, 0.3)), r"seed has shape \(5,\)"),
        (
            lambda: bootstrap_power_law(SIZES, SEED[:8], planted(1, 1, 0.3, SIZES)),
            "8 runs have 8 different settings and so 0 repeats",
        ),
        (lambda: held_out(X[:12], SEED[:12], planted(1, 1, 0.3)[:12]), "x has 3 different"),
        (
            lambda: local_exponents(X[:3], SEED[:3], planted(1, 1, 0.3)[:3]),
            "a slope needs at least 2",
        ),
    ],
)
def test_runs_that_no_law_can_be_fitted_to_are_named(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(TinyLMError, match=message):
        call()


def test_a_size_that_kept_one_run_does_not_stop_the_bootstrap() -> None:
    kept = np.ones(24, dtype=bool)
    kept[[22, 23]] = False  # two of the three largest diverged
    loss = noisy(1.2, 1.2, 0.3, rng_seed=6)
    fit = bootstrap_power_law(X[kept], SEED[kept], loss[kept], n_resamples=200)
    assert fit.alpha_interval[0] < 0.3 < fit.alpha_interval[1]


def test_noise_that_changes_with_the_loss_is_found() -> None:
    """Ten times as much at the smallest size as at the largest, in 40 studies of 3 seeds."""
    mean = planted(0.5, 3.0, 0.35)
    true = 0.02 * (mean / mean[0]) ** 1.5
    ratios = []
    for rng_seed in range(40):
        rng = np.random.default_rng(rng_seed)
        losses = mean * np.exp(true * rng.standard_normal(len(X)))
        settings = settings_of({"x": X}, SEED, losses)
        ratios.append(settings.noise / true[::3])
        assert settings.noise_at(np.exp(settings.means[0])) == pytest.approx(settings.noise[0])
    np.testing.assert_allclose(np.sqrt(np.square(ratios).mean(axis=0)), 1.0, atol=0.15)


@pytest.mark.parametrize("power", [1.5, -1.5])
def test_intervals_cover_where_noise_changes_with_the_loss(power: float) -> None:
    mean = planted(0.5, 3.0, 0.35)
    held = np.zeros(2)
    for rng_seed in range(40):
        rng = np.random.default_rng(rng_seed)
        noise = 0.005 * (mean / mean.mean()) ** power
        losses = mean * np.exp(noise * rng.standard_normal(len(X)))
        study = bootstrap_power_law(X, SEED, losses, floor=0.5, n_resamples=200)
        low, high = study.alpha_interval
        lowest, highest = study.loss_interval(X[-1])
        held += [low < 0.35 < high, lowest < mean[-1] < highest]
    assert (held >= 35).all()  # of 40; 38 are expected


def test_intervals_are_widened_for_a_misfit_that_is_more_than_chance() -> None:
    held = [
        bootstrap_power_law(X, SEED, noisy(1.2, 1.2, 0.3, k), n_resamples=20) for k in range(60)
    ]
    widened = [fit for fit in held if fit.widening > 1]
    assert len(widened) <= 8  # 3 are expected
    assert all(fit.widening == fit.misfit for fit in widened)
    assert any(fit.misfit > 1.1 and fit.widening == 1 for fit in held)
    wrong = bootstrap_power_law(X, SEED, noisy(1.2, 1.2, 0.3, 0, misfit=0.02), n_resamples=20)
    assert wrong.widening == wrong.misfit > 2


def test_imitations_scatter_about_a_law_that_holds_and_else_about_the_means() -> None:
    rng = np.random.default_rng(0)
    loss = noisy(1.2, 1.2, 0.3, rng_seed=3)
    settings = settings_of({"x": X}, SEED, loss)
    fitted = np.log(planted(1.2, 1.2, 0.3))
    holds, not_so = Misfit(1.3, 0.2), Misfit(1.3, 0.01)
    about_law = np.log(settings.resample_about(fitted, holds, rng, 4000))
    np.testing.assert_allclose(about_law.mean(axis=0), fitted, atol=5e-4)
    about_means = np.log(settings.resample_about(fitted, not_so, rng, 4000))
    np.testing.assert_allclose(about_means.mean(axis=0), np.repeat(settings.means, 3), atol=5e-4)
    ratio = about_means.std(axis=0) / about_law.std(axis=0)
    np.testing.assert_allclose(ratio, 1.3, rtol=0.05)


def test_slopes_are_derivatives() -> None:
    row, z = np.array([1.2, -0.4, 0.1, 0.3, 0.5]), np.linspace(-2, 2, 10).reshape(2, 5)
    slopes = log_slopes(row, z, with_E=True)
    for place in range(5):
        step = np.where(np.arange(5) == place, 1e-6, 0.0)
        numeric = (predict_log((row + step)[None], z) - predict_log((row - step)[None], z)) / 2e-6
        np.testing.assert_allclose(slopes[:, place], numeric[0], atol=1e-8)
    np.testing.assert_allclose(log_slopes(row, z, with_E=False), slopes[:, 1:], rtol=1e-12)


def bent(alpha: float, rng: np.random.Generator) -> Array:
    """Losses above 1.2 that bend away from a power law, alike for every alpha, with noise."""
    excess: Array = (X / 6e3) ** -alpha * np.exp(-0.3 * np.log(X / 6e4) ** 2 / 5)
    noise: Array = np.exp(0.002 * rng.standard_normal(len(X)))
    return (1.2 + excess) * noise


def test_a_gap_is_known_where_exponents_are_not() -> None:
    rng = np.random.default_rng(0)
    a, b = bent(0.45, rng), bent(0.30, rng)
    found = exponent_gap((X, SEED, a, 1.2), (X, SEED, b, 1.2))
    assert found.gap == pytest.approx(0.15, abs=0.02)
    fit = bootstrap_power_law(X, SEED, a, 1.2, n_resamples=100)
    assert np.ptp(found.interval) < 0.2 * np.ptp(fit.alpha_interval)
    back = exponent_gap((X, SEED, b, 1.2), (X, SEED, a, 1.2))
    assert back.gap == pytest.approx(-found.gap)
    fewer = X <= 6e4
    part = exponent_gap((X[fewer], SEED[fewer], a[fewer], 1.2), (X, SEED, b, 1.2))
    assert part.gap == pytest.approx(0.15, abs=0.05)


def test_intervals_of_gaps_cover() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        a, b = bent(0.45, rng), bent(0.30, rng)
        low, high = exponent_gap((X, SEED, a, 1.2), (X, SEED, b, 1.2)).interval
        held += low <= 0.15 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_a_ratio_that_is_no_power_widens_its_interval() -> None:
    rng = np.random.default_rng(2)
    a = 1.2 + (X / 6e3) ** -0.4
    b = bent(0.4, rng)
    a *= np.exp(0.002 * rng.standard_normal(len(X)))
    found = exponent_gap((X, SEED, a, 1.2), (X, SEED, b, 1.2))
    assert found.misfit > 3
    assert np.ptp(found.interval) > 0.1


def test_gaps_need_x_in_common() -> None:
    loss = planted(1.2, 1.0, 0.3)
    with pytest.raises(TinyLMError, match="0 x in common"):
        exponent_gap((X, SEED, loss, 0.0), (2 * X, SEED, loss, 0.0))


def test_a_gap_of_seeds_that_agree_has_no_width() -> None:
    a, b = planted(1.2, 1.0, 0.5), planted(1.2, 1.0, 0.3)
    found = exponent_gap((X, SEED, a, 1.2), (X, SEED, b, 1.2))
    assert found.gap == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.2, 0.2))
    nothing = exponent_gap((X, SEED, np.full(24, 2.0), 1.0), (X, SEED, np.full(24, 3.0), 1.0))
    assert nothing.gap == pytest.approx(0.0)
    assert nothing.interval == pytest.approx((0.0, 0.0))
    assert nothing.misfit == 1.0
