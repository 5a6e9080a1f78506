"""Laws of learning curves under any schedule: planted ones come back, and foresee others."""

from collections.abc import Iterable

import numpy as np
import pytest

from tinylm.config import OptimizerConfig
from tinylm.errors import BadInput
from tinylm.laws.schedules import FORMS, NAMES, Curve, ScheduleLaw, fit_schedule_law
from tinylm.optim import schedule_factor

STEPS, BATCH = 1300, 768
PLANTED = {
    "summed rate": [1.2, 60.0, 0.35],
    "annealing": [1.2, 60.0, 0.35, 0.25, 0.99],
    "multi-power": [1.2, 60.0, 0.35, 0.3, 0.6, 1e-4, 0.5],
}


def curve(schedule: str, form: str, noise: float = 0.0, seed: int = 0) -> Curve:
    """A curve of a planted law under one of the optimizer's schedules."""
    values = {"schedule": schedule, "decay_fraction": 0.5, "warmup_steps": 20}
    config = OptimizerConfig.model_validate(values)
    rates = np.array([schedule_factor(config, step, STEPS) for step in range(STEPS)])
    steps = np.round(STEPS * np.arange(1, 17) / 16)
    blank = Curve(rates, BATCH, steps, np.ones(16))
    losses = FORMS[form](np.array(PLANTED[form]), blank)
    scatter = np.exp(noise * np.random.default_rng(seed).standard_normal(16))
    return Curve(rates, BATCH, steps, losses * scatter)


def law(form: str, values: Iterable[float] | None = None) -> ScheduleLaw:
    return ScheduleLaw(form, dict(zip(NAMES[form], values or PLANTED[form], strict=True)), 0.0)


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_law_foresees_other_schedules(form: str) -> None:
    fitted = fit_schedule_law([curve("wsd", form)], form)
    assert fitted.residual_rms < 3e-4
    for schedule in ("linear", "cosine", "constant"):
        other = curve(schedule, form)
        np.testing.assert_allclose(fitted.losses(other)[2:], other.losses[2:], rtol=0.01)


def test_a_rate_that_falls_gains_more_than_its_sum_tells() -> None:
    """The summed rate alone says too much of a run whose rate came down."""
    planted = curve("wsd", "annealing", noise=0.001)
    plain, annealing = (fit_schedule_law([planted], form) for form in ("summed rate", "annealing"))
    assert annealing.residual_rms < plain.residual_rms / 3
    linear = curve("linear", "annealing")
    off = [abs(one.losses(linear)[-1] / linear.losses[-1] - 1) for one in (plain, annealing)]
    assert off[1] < off[0] / 2


def test_before_the_rate_falls_the_forms_agree() -> None:
    constant = curve("constant", "annealing")
    plain = law("summed rate", PLANTED["annealing"][:3]).losses(constant)
    for form in ("annealing", "multi-power"):
        np.testing.assert_allclose(law(form).losses(constant), plain)


def test_a_step_down_gains_what_the_formula_says() -> None:
    """One fall of the rate, by hand."""
    rates = np.array([1.0, 1.0, 0.25, 0.25, 0.25])
    one = Curve(rates, 10, np.array([2.0, 3.0, 5.0]), np.ones(3))
    E, A, alpha, B, decay = PLANTED["annealing"]
    power = E + A * np.array([20.0, 22.5, 27.5]) ** -alpha
    gained = 0.75 * (1 - decay ** np.array([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(law("annealing").losses(one), power - B * gained)
    E, A, alpha, B, beta, C, gamma = PLANTED["multi-power"]
    since = np.array([0.0, 2.5, 7.5]) * 0.25**-gamma
    gained = 0.75 * (1 - (1 + C * since) ** -beta)
    np.testing.assert_allclose(law("multi-power").losses(one), power - B * gained)


def test_bad_input_is_told() -> None:
    with pytest.raises(BadInput, match="form 'x': expected one of summed rate, annealing"):
        fit_schedule_law([curve("wsd", "annealing")], "x")
    few = curve("wsd", "annealing")
    few = Curve(few.rates, BATCH, few.steps[:5], few.losses[:5])
    with pytest.raises(BadInput, match="5 measurements of learning curves: expected at least 10"):
        fit_schedule_law([few], "annealing")
